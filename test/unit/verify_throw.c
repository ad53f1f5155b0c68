/* Exceptions: what a throw needs, and the function that runs after it. The kernel is a BTF of three functions; the program's
 * BTF tags its first function with the name of the second. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"

enum function { THROW = 1, RCU_LOCK, RCU_UNLOCK, FUNCTIONS };
static u32 function_id[FUNCTIONS];
static struct btf *kernel;

static void make_kernel(void) {
	static const char *const names[] = {[THROW] = "bpf_throw", [RCU_LOCK] = "bpf_rcu_read_lock",
	                                    [RCU_UNLOCK] = "bpf_rcu_read_unlock"};
	struct btf_builder b;
	const void *data;
	u32 size, number, protos[2];
	btf_builder_init(&b, NULL);
	number = btf_builder_int(&b, "u64", 8, 0);
	protos[0] = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, 0, 0);
	protos[1] = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 1, 0, 2, btf_builder_string(&b, "cookie"), number);
	for (u32 f = 1; f < FUNCTIONS; f++)
		function_id[f] = btf_builder_type(&b, names[f], BTF_KIND_FUNC, 0, protos[f == THROW], 0);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &kernel), 0);
	btf_builder_free(&b);
}

/* int main(void), and int second(int, …) of as many arguments; tags: how many of main name the second. */
static struct btf *types_with(u32 arguments, bool global, u32 tags, const char *tag, u32 ids[2]) {
	struct btf_builder b;
	struct btf *types;
	const void *data;
	u32 size, number, proto;
	btf_builder_init(&b, NULL);
	number = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, number, 0);
	ids[0] = btf_builder_type(&b, "main", BTF_KIND_FUNC, BTF_FUNC_GLOBAL, proto, 0);
	proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, arguments, number, 0);
	for (u32 i = 0; i < arguments; i++) {
		btf_builder_word(&b, btf_builder_string(&b, i ? "b" : "a"));
		btf_builder_word(&b, number);
	}
	ids[1] = btf_builder_type(&b, "second", BTF_KIND_FUNC, global ? BTF_FUNC_GLOBAL : BTF_FUNC_STATIC, proto, 0);
	for (u32 i = 0; i < tags; i++)
		btf_builder_type(&b, i ? "exception_callback:main" : tag, BTF_KIND_DECL_TAG, 0, ids[0], 1, ~0u);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &types), 0);
	btf_builder_free(&b);
	return types;
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define IF_OVER(d, i, o) INSN(BPF_JMP | BPF_JGT | BPF_K, d, 0, o, i)
#define HELPER(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define CALL(o) INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, o)
#define ADDRESS(d, o) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_FUNC, 0, o), INSN(0, 0, 0, 0, 0)
#define KF(f) INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, f) /* imm becomes the function's id */
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define RANDOM HELPER(BPF_FUNC_get_prandom_u32)
#define TAG "exception_callback:second"

static const struct test {
	struct bpf_insn insns[20];
	u32 n, second; /* where the second function begins, 0: there is none */
	const char *message;
	u32 arguments; /* of the second function */
	bool global;
	u32 tags;
	const char *tag;
	u32 type; /* 0: sched_cls */
} tests[] = {
    {{MOV(1, 5), KF(THROW), LOAD(BPF_W, 0, 2, 0), EXIT}, 4, 0, NULL}, /* what stands behind is never reached */
    {{RANDOM, IF_OVER(0, 9, 2), MOV(1, 0), KF(THROW), MOV(0, 0), EXIT}, 6, 0, NULL},
    {{COPY(1, 10), KF(THROW), MOV(0, 0), EXIT}, 4, 0, "R1 is not a scalar"},
    {{KF(RCU_LOCK), MOV(1, 0), KF(THROW), MOV(0, 0), EXIT}, 5, 0,
     "bpf_throw cannot be used inside bpf_rcu_read_lock-ed region"},
    /* without a callback what is thrown is the program's result */
    {{MOV(1, 64), KF(THROW), MOV(0, 1), EXIT}, 4, 0, "At program exit the register R1 has smin=64 smax=64 should have been in [0, 1]",
     .type = BPF_PROG_TYPE_CGROUP_SKB},
    {{MOV(1, 1), KF(THROW), MOV(0, 1), EXIT}, 4, 0, NULL, .type = BPF_PROG_TYPE_CGROUP_SKB},
    {{MOV(1, 64), KF(THROW), MOV(0, 1), EXIT, MOV(0, 0), EXIT}, 6, 4, NULL, 1, true, 1, TAG, BPF_PROG_TYPE_CGROUP_SKB},
    {{MOV(1, 64), KF(THROW), MOV(0, 1), EXIT, COPY(0, 1), EXIT}, 6, 4,
     "At program exit the register R0 has unknown scalar value should have been in [0, 1]", 1, true, 1, TAG,
     BPF_PROG_TYPE_CGROUP_SKB},
    /* the callback is verified whether the program throws or not */
    {{MOV(0, 0), EXIT, LOAD(BPF_W, 0, 1, 0), EXIT}, 4, 2, "R1 invalid mem access 'scalar'", 1, true, 1, TAG},
    {{MOV(0, 0), EXIT, MOV(0, 0), EXIT}, 4, 2, "exception cb only supports single integer argument", 2, true, 1, TAG},
    {{MOV(0, 0), EXIT, MOV(0, 0), EXIT}, 4, 2, "exception callback 'second' must have global linkage", 1, false, 1, TAG},
    {{MOV(0, 0), EXIT, MOV(0, 0), EXIT}, 4, 2, "exception callback 'third' could not be found in BTF", 1, true, 1,
     "exception_callback:third"},
    {{MOV(0, 0), EXIT, MOV(0, 0), EXIT}, 4, 2, "multiple exception callback tags for main subprog", 1, true, 2, TAG},
    {{MOV(0, 0), EXIT}, 2, 0, "exception callback type id not found in func_info", 1, true, 1, TAG},
    {{MOV(0, 0), EXIT, MOV(1, 0), KF(THROW), MOV(0, 0), EXIT}, 6, 2,
     "bpf_throw kfunc (insn 3) cannot be called from callback subprog 1", 1, true, 1, TAG},
    {{MOV(1, 0), CALL(1), EXIT, MOV(0, 0), EXIT}, 5, 3, "insn 1 cannot call exception cb directly", 1, true, 1, TAG},
    /* from called functions */
    {{KF(RCU_LOCK), CALL(3), KF(RCU_UNLOCK), MOV(0, 0), EXIT, MOV(1, 0), KF(THROW), MOV(0, 0), EXIT}, 9, 5,
     "bpf_throw cannot be used inside bpf_rcu_read_lock-ed region"},
    {{CALL(2), MOV(0, 0), EXIT, MOV(1, 0), KF(THROW), MOV(0, 0), EXIT}, 7, 3, NULL},
    {{CALL(2), MOV(0, 0), EXIT, MOV(1, 0), KF(THROW), MOV(0, 0), EXIT}, 7, 3, NULL, .global = true},
    {{KF(RCU_LOCK), CALL(3), KF(RCU_UNLOCK), MOV(0, 0), EXIT, MOV(1, 0), KF(THROW), MOV(0, 0), EXIT}, 9, 5,
     "bpf_throw cannot be used inside bpf_rcu_read_lock-ed region", .global = true}, /* where it is called */
    {{KF(RCU_LOCK), CALL(3), KF(RCU_UNLOCK), MOV(0, 0), EXIT, MOV(0, 0), EXIT}, 7, 5, NULL, .global = true},
    {{MOV(1, 3), ADDRESS(2, 6), MOV(3, 0), MOV(4, 0), HELPER(BPF_FUNC_loop), MOV(0, 0), EXIT, MOV(1, 0), KF(THROW), MOV(0, 0),
      EXIT}, 12, 8, "bpf_throw kfunc (insn 9) cannot be called from callback subprog 1"},
};

static void run(const struct test *t) {
	u32 ids[2], info[4] = {0, 0, t->second, 0};
	struct bpf_insn copy[20];
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = copy,
	                          .insns_n = t->n,
	                          .prog_type = t->type ? t->type : BPF_PROG_TYPE_SCHED_CLS,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .func_info = info,
	                          .func_info_n = t->second ? 2 : 1,
	                          .func_info_size = 8,
	                          .kernel_btf = kernel};
	struct verify_output out;
	struct arena arena;
	struct btf *types = types_with(t->arguments, t->global, t->tags, t->tag, ids);
	in.btf = types;
	info[1] = ids[0];
	info[3] = ids[1];
	for (u32 i = 0; i < t->n; i++) {
		copy[i] = t->insns[i];
		if (copy[i].code == (BPF_JMP | BPF_CALL) && copy[i].src_reg == BPF_PSEUDO_KFUNC_CALL)
			copy[i].imm = (s32)function_id[copy[i].imm];
	}
	arena_init(&arena, 0);
	EXPECT_EQ(!verify(&in, &arena, &out), !t->message);
	EXPECT_STR(out.diag.message ? out.diag.message : "", t->message ? t->message : "");
	arena_free(&arena);
	btf_put(types);
}

static void exceptions(void) {
	make_kernel();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(&tests[i]);
	btf_put(kernel);
}

int main(void) {
	RUN(exceptions);
	return test_end();
}
