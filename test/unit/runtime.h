/* Words of the runtime's unit tests: an engine, commands in one line, temporary directories. */
#ifndef SKEP_TEST_RUNTIME_H
#define SKEP_TEST_RUNTIME_H
#include "runtime/engine.h"
#include "test.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char test_dir[64];
static bool test_oracle, test_interpreter;
static void print_log(void *owner, int level, const char *line) {
	printf("# log %d: %s\n", level, line);
}
static struct skep_engine *engine_of(enum engine_backing backing, bool handles) {
	struct engine_opts o = {.size = sizeof o, .backing = backing, .handles = handles, .log = print_log,
	                        .oracle = test_oracle, .interpreter_only = test_interpreter};
	if (backing == BACKING_FILES) {
		if (!*test_dir) {
			snprintf(test_dir, sizeof test_dir, "/dev/shm/skep-test-%d", getpid());
		}
		o.directory = test_dir;
	}
	struct skep_engine *e = NULL;
	int err = engine_create(&o, &e);
	EXPECT_EQ(err, 0);
	return e;
}
/* Files below the directory, not counting directories and the lock. */
static inline int files_in(const char *dir) {
	DIR *d = opendir(dir);
	int n = 0;
	for (struct dirent *x; d && (x = readdir(d));)
		n += x->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}
static inline int objects_left(void) {
	char path[96];
	snprintf(path, sizeof path, "%s/objects", test_dir);
	return files_in(path);
}
static inline void remove_test_dir(void) {
	char command[128];
	if (!*test_dir)
		return;
	snprintf(command, sizeof command, "rm -rf %s", test_dir);
	EXPECT_EQ(system(command), 0);
}

#define BPF(e, cmd, ...)                                                                                               \
	({                                                                                                             \
		union bpf_attr attr_;                                                                                     \
		memset(&attr_, 0, sizeof attr_);                                                                             \
		attr_ = (union bpf_attr){__VA_ARGS__};                                                                    \
		skep_bpf(e, cmd, &attr_, sizeof attr_);                                                                      \
	})
#define PTR(x) ((u64)(uintptr_t)(x))
static inline int make_map(struct skep_engine *e, u32 type, u32 key, u32 value, u32 n, u32 flags) {
	return BPF(e, BPF_MAP_CREATE, .map_type = type, .key_size = key, .value_size = value, .max_entries = n,
	           .map_flags = flags);
}
static inline int lookup(struct skep_engine *e, int fd, const void *key, void *value) {
	return BPF(e, BPF_MAP_LOOKUP_ELEM, .map_fd = fd, .key = PTR(key), .value = PTR(value));
}
static inline int update(struct skep_engine *e, int fd, const void *key, const void *value, u64 flags) {
	return BPF(e, BPF_MAP_UPDATE_ELEM, .map_fd = fd, .key = PTR(key), .value = PTR(value), .flags = flags);
}
static inline u32 id_of(struct skep_engine *e, int fd) {
	struct bpf_map_info info = {0};
	s64 r = BPF(e, BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = fd, .info_len = sizeof info, .info = PTR(&info)});
	return r ? 0 : info.id;
}
static inline int pin(struct skep_engine *e, int fd, const char *path) {
	return BPF(e, BPF_OBJ_PIN, .bpf_fd = fd, .pathname = PTR(path));
}
static inline int get(struct skep_engine *e, const char *path) {
	return BPF(e, BPF_OBJ_GET, .pathname = PTR(path));
}

/* Instructions, as short as they come. */
#define I(code, dst, src, off, imm) ((struct bpf_insn){code, dst, src, off, imm})
#define MOV(dst, imm) I(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define MOVR(dst, src) I(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ADD(dst, imm) I(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm)
#define CALL(id) I(BPF_JMP | BPF_CALL, 0, 0, 0, id)
#define EXIT I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LDX(size, dst, src, off) I(BPF_LDX | BPF_MEM | size, dst, src, off, 0)
#define STX(size, dst, src, off) I(BPF_STX | BPF_MEM | size, dst, src, off, 0)
#define ST(size, dst, off, imm) I(BPF_ST | BPF_MEM | size, dst, 0, off, imm)
#define JNE(dst, imm, off) I(BPF_JMP | BPF_JNE | BPF_K, dst, 0, off, imm)
#define JEQ(dst, imm, off) I(BPF_JMP | BPF_JEQ | BPF_K, dst, 0, off, imm)
#define MAP_FD(dst, fd) I(BPF_LD_IMM64, dst, BPF_PSEUDO_MAP_FD, 0, fd), I(0, 0, 0, 0, 0)

static inline int load_named(struct skep_engine *e, u32 type, const struct bpf_insn *insns, u32 n, const char *name) {
	union bpf_attr a = {.prog_type = type, .insn_cnt = n, .insns = PTR(insns), .license = PTR("GPL")};
	snprintf(a.prog_name, sizeof a.prog_name, "%s", name);
	return skep_bpf(e, BPF_PROG_LOAD, &a, sizeof a);
}
#define LOAD(e, type, ...)                                                                                             \
	({                                                                                                             \
		struct bpf_insn insns_[] = {__VA_ARGS__};                                                              \
		load_named(e, type, insns_, ARRAY_SIZE(insns_), "test");                                               \
	})
/* A test run over a zero packet: the return value, or negative errno. */
static inline s64 run_packet(struct skep_engine *e, int fd, u32 bytes, u32 repeat) {
	u8 data[2048] = {0};
	union bpf_attr a = {.test = {.prog_fd = fd, .data_in = PTR(data), .data_size_in = bytes, .repeat = repeat}};
	int err = skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a);
	return err ? err : (s64)a.test.retval;
}
#endif
