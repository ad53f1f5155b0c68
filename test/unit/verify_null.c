/* NULL where NULL is allowed is relied upon: a state that holds another number there is not safe because one with 0 was.
 * Each program passes 0 on one path and 5 on the other, with a checkpoint between the choice and the call. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define LOAD(d, s) INSN(BPF_LDX | BPF_MEM | BPF_W, d, s, 0, 0)
#define IF_ZERO(d, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define IF_OVER(d, i, o) INSN(BPF_JMP | BPF_JGT | BPF_K, d, 0, o, i)
#define GOTO(o) INSN(BPF_JMP | BPF_JA, 0, 0, o, 0)
#define HELPER(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define CALL(to) INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, to)
#define ADDRESS(d, to) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_FUNC, 0, to), INSN(0, 0, 0, 0, 0)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* r7 = 0 or other */
#define CHOOSE(other)                                                                                                  \
	HELPER(BPF_FUNC_get_prandom_u32), IF_OVER(0, 10, 2), MOV(7, 0), GOTO(1), MOV(7, other), GOTO(0), GOTO(0), MOV(6, 1), \
	    MOV(6, 2), MOV(6, 3), MOV(6, 4), MOV(6, 5), GOTO(0)
enum { CHOOSE_N = 13 };

/* The second function: int f(int *p), global, and as callback f(index, p), static. */
#define READS(reg) MOV(0, 0), IF_ZERO(reg, 1), LOAD(0, reg), MOV(0, 0), EXIT

static const struct test {
	struct bpf_insn insns[32];
	u32 n, function; /* where the second one begins, 0: there is none */
	bool global;
	const char *message;
} tests[] = {
    {{CHOOSE(0), COPY(1, 7), CALL(2), MOV(0, 0), EXIT, READS(1)}, CHOOSE_N + 9, CHOOSE_N + 4, true, NULL},
    {{CHOOSE(5), COPY(1, 7), CALL(2), MOV(0, 0), EXIT, READS(1)}, CHOOSE_N + 9, CHOOSE_N + 4, true,
     "R1 type=scalar expected=fp"},
    {{CHOOSE(0), MOV(1, 3), ADDRESS(2, 6), COPY(3, 7), MOV(4, 0), HELPER(BPF_FUNC_loop), MOV(0, 0), EXIT, READS(2)},
     CHOOSE_N + 13, CHOOSE_N + 8, false, NULL},
    {{CHOOSE(5), MOV(1, 3), ADDRESS(2, 6), COPY(3, 7), MOV(4, 0), HELPER(BPF_FUNC_loop), MOV(0, 0), EXIT, READS(2)},
     CHOOSE_N + 13, CHOOSE_N + 8, false, "R3 type=scalar expected=fp"},
    {{CHOOSE(5), COPY(1, 7), MOV(2, 0), MOV(3, 0), MOV(4, 0), MOV(5, 0), HELPER(BPF_FUNC_csum_diff), MOV(0, 0), EXIT},
     CHOOSE_N + 8, 0, false,
     "R1 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"},
};

static u32 func_id[2][2]; /* by global, and which */
static struct btf *types;

static void make_types(void) {
	struct btf_builder b;
	const void *data;
	u32 n, p, size, protos[3];
	btf_builder_init(&b, NULL);
	n = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	p = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, n, 0);
	protos[0] = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, n, 0);
	protos[1] = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 1, n, 2, btf_builder_string(&b, "p"), p);
	protos[2] = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 2, n, 4, btf_builder_string(&b, "i"), n,
	                             btf_builder_string(&b, "p"), p);
	func_id[0][0] = func_id[1][0] = btf_builder_type(&b, "main", BTF_KIND_FUNC, BTF_FUNC_GLOBAL, protos[0], 0);
	func_id[1][1] = btf_builder_type(&b, "f", BTF_KIND_FUNC, BTF_FUNC_GLOBAL, protos[1], 0);
	func_id[0][1] = btf_builder_type(&b, "g", BTF_KIND_FUNC, BTF_FUNC_STATIC, protos[2], 0);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &types), 0);
	btf_builder_free(&b);
}

static void run(const struct test *t) {
	u32 info[4] = {0, func_id[t->global][0], t->function, func_id[t->global][1]};
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = t->insns,
	                          .insns_n = t->n,
	                          .prog_type = BPF_PROG_TYPE_SCHED_CLS,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .btf = types,
	                          .func_info = info,
	                          .func_info_n = t->function ? 2 : 1,
	                          .func_info_size = 8,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN};
	struct verify_output out;
	struct arena arena;
	arena_init(&arena, 0);
	EXPECT_EQ(!verify(&in, &arena, &out), !t->message);
	EXPECT_STR(out.diag.message ? out.diag.message : "", t->message ? t->message : "");
	arena_free(&arena);
}

static void null_or_else(void) {
	make_types();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(&tests[i]);
	btf_put(types);
}

int main(void) {
	RUN(null_or_else);
	return test_end();
}
