/* Callers of bpf(2) who lack capabilities, as in the kernel: what they may make, and what is remembered of it. */
#include "runtime.h"

enum { ALL = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN };

#define BPF_WITHOUT(e, lacks_, cmd, ...)                                                                               \
	({                                                                                                             \
		union bpf_attr attr_;                                                                                     \
		struct bpf_caller caller_ = {.lacks = (lacks_)};                                                          \
		memset(&attr_, 0, sizeof attr_);                                                                          \
		attr_ = (union bpf_attr){__VA_ARGS__};                                                                    \
		skep_bpf_for(e, &caller_, cmd, PTR(&attr_), sizeof attr_);                                                \
	})
static s64 load_without(struct skep_engine *e, u64 lacks, u32 type, const struct bpf_insn *insns, u32 n) {
	return BPF_WITHOUT(e, lacks, BPF_PROG_LOAD, .prog_type = type, .insn_cnt = n, .insns = PTR(insns), .license = PTR("GPL"));
}

static void maps(void) {
	static const struct {
		u32 type, key, value;
		u64 lacks;
		int error;
	} tests[] = {{BPF_MAP_TYPE_HASH, 4, 8, ALL, 0},
	             {BPF_MAP_TYPE_ARRAY, 4, 8, ALL, 0},
	             {BPF_MAP_TYPE_LRU_HASH, 4, 8, VERIFY_BPF, -EPERM},
	             {BPF_MAP_TYPE_LRU_HASH, 4, 8, VERIFY_PERFMON | VERIFY_NET_ADMIN, 0},
	             {BPF_MAP_TYPE_SOCKMAP, 4, 4, VERIFY_NET_ADMIN, -EPERM},
	             {BPF_MAP_TYPE_SOCKMAP, 4, 4, VERIFY_BPF | VERIFY_PERFMON, 0},
	             {BPF_MAP_TYPE_LRU_HASH, 0, 8, ALL, -EINVAL}};
	struct skep_engine *e = engine_of(BACKING_ANONYMOUS, true);
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++) {
		s64 r = BPF_WITHOUT(e, tests[i].lacks, BPF_MAP_CREATE, .map_type = tests[i].type, .key_size = tests[i].key,
		                    .value_size = tests[i].value, .max_entries = 4);
		EXPECT_EQ(r < 0 ? r : 0, tests[i].error);
	}
	engine_destroy(e);
}

static void programs(void) {
	static struct bpf_insn many[4097];
	static const struct bpf_insn zero[] = {MOV(0, 0), EXIT}, leak[] = {MOVR(0, 10), EXIT};
	struct skep_engine *e = engine_of(BACKING_ANONYMOUS, true);
	for (u32 i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct bpf_insn)MOV(0, 0);
	many[ARRAY_SIZE(many) - 1] = (struct bpf_insn)EXIT;
	EXPECT(load_without(e, ALL, BPF_PROG_TYPE_SOCKET_FILTER, zero, 2) >= 0);
	EXPECT_EQ(load_without(e, ALL, BPF_PROG_TYPE_SOCKET_FILTER, leak, 2), -EACCES);
	EXPECT(load_without(e, VERIFY_BPF, BPF_PROG_TYPE_SOCKET_FILTER, leak, 2) >= 0);
	EXPECT(load_without(e, ALL, BPF_PROG_TYPE_SOCKET_FILTER, many, 4096) < 0); /* it has no end */
	EXPECT_EQ(load_without(e, VERIFY_BPF, BPF_PROG_TYPE_SOCKET_FILTER, many, 4097), -E2BIG);
	EXPECT(load_without(e, VERIFY_PERFMON, BPF_PROG_TYPE_SOCKET_FILTER, many, 4097) >= 0);
	EXPECT_EQ(load_without(e, VERIFY_BPF, BPF_PROG_TYPE_XDP, zero, 2), -EPERM);
	EXPECT_EQ(load_without(e, VERIFY_NET_ADMIN, BPF_PROG_TYPE_XDP, zero, 2), -EPERM);
	EXPECT_EQ(load_without(e, VERIFY_PERFMON, BPF_PROG_TYPE_KPROBE, zero, 2), -EPERM);
	EXPECT(load_without(e, VERIFY_PERFMON, BPF_PROG_TYPE_XDP, zero, 2) >= 0);
	EXPECT_EQ(BPF_WITHOUT(e, VERIFY_BPF, BPF_BTF_LOAD, .btf = PTR(many), .btf_size = 64), -EPERM);
	engine_destroy(e);
}

static u32 code_size(struct skep_engine *e, int fd) {
	struct bpf_prog_info i = {0};
	EXPECT_EQ(BPF(e, BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = fd, .info_len = sizeof i, .info = PTR(&i)}), 0);
	return i.jited_prog_len;
}

/* A pointer is saved: behind the store stands a barrier, also when another process opens the program. */
static void remembered(void) {
	static const struct bpf_insn insns[] = {STX(BPF_DW, 10, 1, -8), LDX(BPF_DW, 1, 10, -8), LDX(BPF_W, 0, 1, 0), EXIT};
	struct skep_engine *e = engine_of(BACKING_FILES, false);
	int trusted = (int)load_without(e, 0, BPF_PROG_TYPE_SOCKET_FILTER, insns, ARRAY_SIZE(insns));
	int not = (int)load_without(e, ALL, BPF_PROG_TYPE_SOCKET_FILTER, insns, ARRAY_SIZE(insns));
	u32 size = code_size(e, not);
	EXPECT(size > code_size(e, trusted));
	EXPECT_EQ(pin(e, not, "/sys/fs/bpf/not"), 0);
	close(trusted), close(not);
	engine_destroy(e);
	e = engine_of(BACKING_FILES, false);
	not = get(e, "/sys/fs/bpf/not");
	EXPECT_EQ(code_size(e, not), size);
	close(not);
	EXPECT_EQ(engine_unpin(e, "not"), 0);
	engine_destroy(e);
	remove_test_dir();
}

/* An engine for untrusted programs: its owner lacks nothing but what they lack. */
static void untrusted(void) {
	struct engine_opts o = {.size = sizeof o, .backing = BACKING_ANONYMOUS, .handles = true, .untrusted = true};
	struct skep_engine *e = NULL;
	EXPECT_EQ(engine_create(&o, &e), 0);
	EXPECT_EQ(LOAD(e, BPF_PROG_TYPE_SOCKET_FILTER, MOVR(0, 10), EXIT), -EACCES);
	EXPECT_EQ(LOAD(e, BPF_PROG_TYPE_XDP, MOV(0, 0), EXIT), -EPERM);
	EXPECT(LOAD(e, BPF_PROG_TYPE_SOCKET_FILTER, MOV(0, 0), EXIT) >= 0);
	EXPECT_EQ(make_map(e, BPF_MAP_TYPE_LRU_HASH, 4, 8, 4, 0), -EPERM);
	engine_destroy(e);
}

int main(void) {
	RUN(maps);
	RUN(programs);
	RUN(remembered);
	RUN(untrusted);
	return test_end();
}
