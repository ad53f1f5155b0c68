/* Work that is done later: workqueues and task work in the values of maps, and their callbacks. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"

enum function { WQ_INIT = 1, WQ_CALLBACK, TASK_WORK, FUNCTIONS };
enum { WORKS = 3, OTHERS, TASKS };
static u32 function_id[FUNCTIONS], ids[2];
static struct btf *kernel, *types;
static struct map_facts maps[] = {
    {.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 24, .max_entries = 1, .name = "works"},
    {.type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 24, .max_entries = 1, .name = "others"},
    {.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 16, .max_entries = 1, .name = "tasks"}};

static struct map_facts *by_fd(void *owner, s32 fd) {
	(void)owner;
	return fd >= WORKS && fd <= TASKS ? &maps[fd - WORKS] : NULL;
}

static u32 parameters(struct btf_builder *b, u32 result, u32 n, const u32 *list, const char *const *names) {
	u32 id = btf_builder_type(b, NULL, BTF_KIND_FUNC_PROTO, n, result, 0);
	for (u32 i = 0; i < n; i++) {
		btf_builder_word(b, btf_builder_string(b, names[i]));
		btf_builder_word(b, list[i]);
	}
	return id;
}

static u32 pointer(struct btf_builder *b, u32 to) {
	return btf_builder_type(b, NULL, BTF_KIND_PTR, 0, to, 0);
}

static u32 structure(struct btf_builder *b, const char *name, u32 size, u32 member) {
	return btf_builder_type(b, name, BTF_KIND_STRUCT, 1, size, 3, btf_builder_string(b, "a"), member, 0);
}

static void make_kernel(void) {
	static const char *const init_names[] = {"wq", "p__map", "flags"}, *const set_names[] = {"wq", "callback_fn", "flags"},
	                         *const task_names[] = {"task", "tw", "map__map", "callback"};
	struct btf_builder b;
	const void *data;
	u32 size, n, word, wq, tw, map, task, any, back;
	btf_builder_init(&b, NULL);
	n = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	word = btf_builder_int(&b, "long", 8, BTF_INT_SIGNED);
	wq = pointer(&b, structure(&b, "bpf_wq", 16, word));
	tw = pointer(&b, structure(&b, "bpf_task_work", 8, word));
	task = pointer(&b, structure(&b, "task_struct", 8, word));
	map = structure(&b, "bpf_map", 8, word);
	any = pointer(&b, 0);
	back = pointer(&b, btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, n, 0));
	ASSERT(map);
	function_id[WQ_INIT] = btf_builder_type(&b, "bpf_wq_init", BTF_KIND_FUNC, 0,
	                                        parameters(&b, n, 3, (u32[]){wq, any, n}, init_names), 0);
	function_id[WQ_CALLBACK] = btf_builder_type(&b, "bpf_wq_set_callback_impl", BTF_KIND_FUNC, 0,
	                                            parameters(&b, n, 3, (u32[]){wq, back, n}, set_names), 0);
	function_id[TASK_WORK] = btf_builder_type(&b, "bpf_task_work_schedule_signal_impl", BTF_KIND_FUNC, 0,
	                                          parameters(&b, n, 4, (u32[]){task, tw, any, back}, task_names), 0);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &kernel), 0);
	btf_builder_free(&b);
}

/* Two functions, the second static; values with a workqueue at 8, with task work at 8. */
static void make_types(void) {
	struct btf_builder b;
	const void *data;
	u32 size, n, word, proto, wq, work, values[2];
	btf_builder_init(&b, NULL);
	n = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	word = btf_builder_int(&b, "long", 8, BTF_INT_SIGNED);
	proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, n, 0);
	ids[0] = btf_builder_type(&b, "main", BTF_KIND_FUNC, BTF_FUNC_GLOBAL, proto, 0);
	ids[1] = btf_builder_type(&b, "later", BTF_KIND_FUNC, BTF_FUNC_STATIC, proto, 0);
	wq = structure(&b, "bpf_wq", 16, word);
	work = structure(&b, "bpf_task_work", 8, word);
	values[0] = btf_builder_type(&b, "v", BTF_KIND_STRUCT, 1, 24, 3, btf_builder_string(&b, "w"), wq, 64);
	values[1] = btf_builder_type(&b, "t", BTF_KIND_STRUCT, 1, 16, 3, btf_builder_string(&b, "w"), work, 64);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &types), 0);
	btf_builder_free(&b);
	for (u32 i = 0; i < ARRAY_SIZE(maps); i++) {
		maps[i].btf = types;
		EXPECT_EQ(btf_find_fields(types, values[i == TASKS - WORKS], &maps[i].fields, NULL), 0);
	}
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define MAP(d, fd) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define ADDRESS(d, to) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_FUNC, 0, to), INSN(0, 0, 0, 0, 0)
#define IF_THERE(d, o) INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, 0)
#define HELPER(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define KF(f) INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, f) /* imm becomes the function's id */
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define OUT MOV(0, 0), EXIT
/* r6: a value of the map; 10 instructions */
#define VALUE(fd) INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0), COPY(2, 10), ADD(2, -8), MAP(1, fd), \
	HELPER(BPF_FUNC_map_lookup_elem), COPY(6, 0), IF_THERE(6, 2), OUT
#define WQ(o) COPY(1, 6), ADD(1, o)
#define SET(o) VALUE(WORKS), WQ(8), MOV(3, 0), ADDRESS(2, 4), KF(WQ_CALLBACK), OUT /* 18 instructions */
#define SLEEP COPY(1, 10), ADD(1, -8), MOV(2, 8), MOV(3, 0), HELPER(BPF_FUNC_copy_from_user)

static const struct test {
	struct bpf_insn insns[32];
	u32 n, second; /* where the callback begins, 0: there is none */
	const char *message;
} tests[] = {
    {{VALUE(WORKS), WQ(8), MAP(2, WORKS), MOV(3, 0), KF(WQ_INIT), OUT}, 18, 0, NULL},
    {{VALUE(WORKS), WQ(8), MAP(2, OTHERS), MOV(3, 0), KF(WQ_INIT), OUT}, 18, 0,
     "workqueue pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0"},
    {{VALUE(WORKS), WQ(0), MAP(2, WORKS), MOV(3, 0), KF(WQ_INIT), OUT}, 18, 0,
     "off 0 doesn't point to 'struct bpf_wq' that is at 8"},
    {{VALUE(WORKS), WQ(8), COPY(2, 10), MOV(3, 0), KF(WQ_INIT), OUT}, 17, 0, "pointer in R2 isn't map pointer"},
    {{VALUE(TASKS), WQ(8), MAP(2, TASKS), MOV(3, 0), KF(WQ_INIT), OUT}, 18, 0, "map 'tasks' has no valid bpf_wq"},
    {{COPY(1, 10), ADD(1, -16), MAP(2, WORKS), MOV(3, 0), KF(WQ_INIT), OUT}, 8, 0, "arg#0 doesn't point to a map value"},
    {{VALUE(WORKS), WQ(8), MOV(2, 3), MOV(3, 0), KF(WQ_CALLBACK), OUT}, 17, 0, "arg1 expected pointer to func"},
};

/* The callback runs by itself, with the map, a key and a value, and may sleep. */
static const struct test callbacks[] = {
    {{SET(8), OUT}, 20, 18, NULL},
    {{SET(8), LOAD(BPF_W, 0, 2, 0), LOAD(BPF_W, 0, 3, 0), OUT}, 22, 18, NULL},
    {{SET(8), LOAD(BPF_W, 0, 3, 8), OUT}, 21, 18, "bpf_wq cannot be accessed directly by load/store"},
    {{SET(8), SLEEP, OUT}, 25, 18, NULL},
    {{SET(8), COPY(1, 6), OUT}, 21, 18, "R6 !read_ok"},
    {{SET(8), MOV(0, 1), EXIT}, 20, 18, "At async callback return the register R0 has smin=1 smax=1 should have been in [0, 0]"},
};

static void run(const struct test *t) {
	u32 info[4] = {0, ids[0], t->second, ids[1]};
	struct bpf_insn copy[32];
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = copy,
	                          .insns_n = t->n,
	                          .prog_type = BPF_PROG_TYPE_SCHED_CLS,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .btf = types,
	                          .func_info = info,
	                          .func_info_n = t->second ? 2 : 1,
	                          .func_info_size = 8,
	                          .map_by_fd = by_fd,
	                          .kernel_btf = kernel};
	struct verify_output out;
	struct arena arena;
	for (u32 i = 0; i < t->n; i++) {
		copy[i] = t->insns[i];
		if (copy[i].code == (BPF_JMP | BPF_CALL) && copy[i].src_reg == BPF_PSEUDO_KFUNC_CALL)
			copy[i].imm = (s32)function_id[copy[i].imm];
	}
	arena_init(&arena, 0);
	EXPECT_EQ(!verify(&in, &arena, &out), !t->message);
	EXPECT_STR(out.diag.message ? out.diag.message : "", t->message ? t->message : "");
	arena_free(&arena);
}

static void work(void) {
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(&tests[i]);
}

static void later(void) {
	for (u32 i = 0; i < ARRAY_SIZE(callbacks); i++)
		run(&callbacks[i]);
}

int main(void) {
	make_kernel();
	make_types();
	RUN(work);
	RUN(later);
	btf_put(kernel);
	btf_put(types);
	return test_end();
}
