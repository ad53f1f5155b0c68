/* The interpreter under the oracle: a verified program runs clean, the same program with an instruction changed behind the
 * verifier's back is stopped before the changed value is used. */
#include "exec_test.h"
#include "verify/oracle.h"

static u32 reports;
static char last[2048];
static void report(void *owner, const char *text) {
	reports++;
	snprintf(last, sizeof last, "%s", text);
}

/* Verifies, lets `spoil` change the rewritten program, runs it under the oracle. */
static u64 run_oracle(const struct bpf_insn *insns, u32 n, u32 prog_type, u32 spoil, s32 imm, void *ctx, u32 *status) {
	struct oracle *oracle = oracle_create(0);
	struct interp_env env = {.resolve = test_resolve, .oracle = oracle, .oracle_report = report};
	struct verify_input in = {.abi = abi_linux(), .insns = insns, .insns_n = n, .prog_type = prog_type, .license = "GPL",
	                          .gpl_compatible = true, .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .oracle = oracle};
	struct verify_output out = {0};
	struct arena arena;
	struct image *image;
	u64 r0 = ~0ull;
	arena_init(&arena, 0);
	int error = verify(&in, &arena, &out);
	if (error)
		printf("# verify: %d %s\n", error, out.diag.message ? out.diag.message : "");
	EXPECT_EQ(error, 0);
	reports = 0, *status = ~0u;
	if (!error) {
		if (spoil < out.xlated->n)
			out.xlated->insns[spoil].imm = imm;
		EXPECT_EQ(image_build(out.xlated, 0, true, &image), 0);
		struct skep_run run = test_run();
		r0 = interp_run(image, &env, ctx, &run);
		*status = run.status;
		if (spoil >= out.xlated->n) { /* and as machine code */
			struct skep_run again = test_run();
			EXPECT_EQ(test_jit(image, ctx, &again), r0);
		}
		image_free(image);
	}
	arena_free(&arena);
	oracle_destroy(oracle);
	return r0;
}

static void registers(void) {
	const struct bpf_insn insns[] = {K(MOV64, 0, 5), K(ADD64, 0, 3), JK(JEQ64, 0, 8, 1), K(MOV64, 0, 1), EXIT()};
	u64 ctx[64] = {0};
	u32 status;
	EXPECT_EQ(run_oracle(insns, ARRAY_SIZE(insns), BPF_PROG_TYPE_SOCKET_FILTER, ~0u, 0, ctx, &status), 8);
	EXPECT_EQ(status, RUN_OK);
	EXPECT_EQ(reports, 0);
	run_oracle(insns, ARRAY_SIZE(insns), BPF_PROG_TYPE_SOCKET_FILTER, 0, 6, ctx, &status);
	EXPECT_EQ(status, RUN_ORACLE);
	EXPECT_EQ(reports, 1);
	EXPECT(strstr(last, "instruction 1"));
}

static void frames(void) {
	/* main: r1 = &stack; call sub(stack): *stack = 7 */
	const struct bpf_insn insns[] = {I(ST64, false, 10, 0, -8, 1), X(MOV64, 1, 10), K(ADD64, 1, -8),
	                                 I(CALL_LOCAL, false, 0, 0, 0, 2), LDX(LDX64, 0, 10, -8), EXIT(),
	                                 I(ST64, false, 1, 0, 0, 7), K(MOV64, 0, 0), EXIT()};
	u64 ctx[64] = {0};
	u32 status;
	EXPECT_EQ(run_oracle(insns, ARRAY_SIZE(insns), BPF_PROG_TYPE_SOCKET_FILTER, ~0u, 0, ctx, &status), 7);
	EXPECT_EQ(status, RUN_OK);
	run_oracle(insns, ARRAY_SIZE(insns), BPF_PROG_TYPE_SOCKET_FILTER, 2, -16, ctx, &status);
	EXPECT_EQ(status, RUN_ORACLE);
	EXPECT_EQ(reports, 1);
}

int main(void) {
	RUN(registers);
	RUN(frames);
	return test_end();
}
