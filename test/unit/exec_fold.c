/* Each rule of the JIT, and its near misses: which operations are left. The compilation runs on a machine that is x86-64
 * but for lower(), which writes down the operations; what they compute is the other tests' business, but every program
 * here is also run in both engines with random registers. */
#include "exec_test.h"
#include "exec/x64/x64.h"

static char left[512];
static void record(struct jit *j, const struct jop *op) {
	static const char *const names[JOP_CODES] = {
		[J_ADD] = "add", [J_SUB] = "sub", [J_MUL] = "mul", [J_OR] = "or", [J_AND] = "and", [J_XOR] = "xor", [J_LSH] = "lsh",
		[J_RSH] = "rsh", [J_ARSH] = "arsh", [J_ROL] = "rol", [J_DIV] = "div", [J_MOD] = "mod", [J_SDIV] = "sdiv",
		[J_SMOD] = "smod", [J_MOV] = "mov", [J_MOVSX] = "movsx", [J_MOVZX] = "movzx", [J_NEG] = "neg", [J_BSWAP] = "bswap",
		[J_IMM] = "imm", [J_ADDRESS] = "address", [J_FUNC] = "func", [J_LEA] = "lea", [J_SELECT] = "select",
		[J_SETCC] = "setcc", [J_LOAD] = "load", [J_LOADSX] = "loadsx", [J_LOADBE] = "loadbe", [J_STORE] = "store",
		[J_RMW] = "rmw", [J_ATOMIC] = "atomic", [J_JCC] = "jcc", [J_JMP] = "jmp", [J_CALL] = "call", [J_EXIT] = "exit"};
	u32 n = (u32)strlen(left);
	snprintf(left + n, sizeof left - n, "%s%s%s%s%s", n ? " " : "", names[op->code] ? names[op->code] : "?",
	         op->flags & JF_MEM ? "+mem" : "", op->code == J_MOV && !op->wide ? "32" : "",
	         op->x != JREG_NONE && op->scale ? "*" : "");
	x64_lower(j, op);
}

/* Compiles insns behind five sign-extending loads (r0, r2 … r5 = context) that are not shown, and compares what is left. */
static void check(const struct bpf_insn *insns, u32 n, const char *want, const char *source, int line) {
	enum { LOADS = 5 };
	struct bpf_insn all[64];
	struct test_prog p;
	struct image *image;
	struct jit_machine machine = jit_x64;
	u64 ctx[64], before[64];
	for (u32 i = 0; i < 64; i++)
		before[i] = test_random();
	for (u32 i = 0; i < LOADS; i++)
		all[i] = insn_encode(OP_LDXS32, false, i ? (u8)(i + 1) : 0, 1, (s16)(8 * i), 0);
	memcpy(all + LOADS, insns, n * sizeof *insns);
	test_prog(&p, all, n + LOADS);
	if (test_build(&p, 0, &image))
		return;
	u64 r0[2];
	for (u32 e = 0; e < 2; e++) {
		struct skep_run run = test_run();
		memcpy(ctx, before, sizeof ctx);
		r0[e] = e ? test_jit(image, ctx, &run) : test_interp(image, ctx, &run);
	}
	if (r0[0] != r0[1])
		test_bad++, printf("# line %d: %s: 0x%llx and 0x%llx\n", line, source, (long long)r0[0], (long long)r0[1]);
	free(image->code), free(image->relocs), free(image->lines);
	image->code = NULL;
	machine.lower = record;
	left[0] = 0;
	EXPECT_EQ(jit_compile(image, &machine, machine.features()), 0);
	const char *got = left;
	for (u32 i = 0; i < LOADS && !strncmp(got, "loadsx ", 7); i++) /* those that were not dropped */
		got += 7;
	if (strcmp(got, want))
		test_bad++, printf("# line %d: %s: \"%s\", expected \"%s\"\n", line, source, got, want);
	image_free(image);
	test_prog_free(&p);
}
#define FOLD(want, ...)                                                                                                \
	do {                                                                                                           \
		const struct bpf_insn insns_[] = {__VA_ARGS__, EXIT()};                                                \
		check(insns_, ARRAY_SIZE(insns_), want, #__VA_ARGS__, __LINE__);                                       \
	} while (0)

static void copies(void) {
	FOLD("rsh exit", X(MOV64, 0, 2), K(RSH64, 0, 7));
	FOLD("xor exit", X(MOV64, 4, 2), X(MOV64, 5, 3), X(XOR64, 4, 5), X(MOV64, 0, 4)); /* the result where it is wanted */
	FOLD("add exit", X(MOV32, 4, 2), X(MOV32, 0, 3), X(ADD32, 0, 4));
	FOLD("mov32 add exit", X(MOV32, 4, 2), X(MOV64, 0, 3), X(ADD64, 0, 4)); /* the upper half matters */
	FOLD("imm exit", K(MOV64, 2, 5), K(ADD64, 2, 3), X(MOV64, 0, 2));
	FOLD("exit", X(MOV64, 0, 0), X(MOV64, 2, 0), X(MOV64, 0, 2));
	FOLD("mov add xor exit", X(MOV64, 4, 2), K(ADD64, 2, 1), X(MOV64, 0, 4), X(XOR64, 0, 2)); /* the source has changed */
}
static void rotates(void) {
	FOLD("rol exit", X(MOV64, 4, 2), K(RSH64, 4, 51), X(MOV64, 0, 2), K(LSH64, 0, 13), X(OR64, 0, 4));
	FOLD("rol exit", X(MOV64, 4, 0), K(RSH64, 4, 51), K(LSH64, 0, 13), X(OR64, 0, 4)); /* one in place */
	FOLD("rol exit", X(MOV64, 4, 0), K(LSH64, 4, 13), K(RSH64, 0, 51), X(XOR64, 0, 4)); /* the other */
	FOLD("rol exit", X(MOV32, 4, 2), K(RSH32, 4, 28), X(MOV32, 0, 2), K(LSH32, 0, 4), X(OR32, 0, 4));
	FOLD("rol exit", X(MOV32, 4, 2), K(RSH32, 4, 28), X(MOV32, 0, 2), K(LSH32, 0, 4), X(OR64, 0, 4));
	FOLD("rsh lsh or exit", X(MOV64, 4, 2), K(RSH64, 4, 50), X(MOV64, 0, 2), K(LSH64, 0, 13), X(OR64, 0, 4)); /* 63 bits */
	FOLD("rsh lsh or exit", X(MOV64, 4, 2), K(RSH64, 4, 51), X(MOV64, 0, 3), K(LSH64, 0, 13), X(OR64, 0, 4)); /* not of one */
	FOLD("rsh lsh or exit", X(MOV64, 4, 2), K(RSH64, 4, 28), X(MOV64, 0, 2), K(LSH64, 0, 36), X(OR32, 0, 4)); /* cut */
	FOLD("arsh lsh or exit", X(MOV64, 4, 2), K(ARSH64, 4, 51), X(MOV64, 0, 2), K(LSH64, 0, 13), X(OR64, 0, 4));
}
static void extensions(void) {
	FOLD("mov32 exit", K(LSH64, 0, 32), K(RSH64, 0, 32));
	FOLD("movsx exit", K(LSH64, 0, 32), K(ARSH64, 0, 32));
	FOLD("movsx exit", X(MOV64, 0, 2), K(LSH64, 0, 48), K(ARSH64, 0, 48));
	FOLD("and exit", X(MOV64, 0, 2), K(LSH64, 0, 56), K(RSH64, 0, 56));
	FOLD("lsh rsh exit", K(LSH64, 0, 33), K(RSH64, 0, 33));
	FOLD("lsh mov rsh add exit", K(LSH64, 0, 32), X(MOV64, 2, 0), K(RSH64, 0, 32), X(ADD64, 0, 2)); /* also used as it is */
	FOLD("add exit", X(MOV32, 0, 2), K(ADD32, 0, 1), K(LSH64, 0, 32), K(RSH64, 0, 32)); /* known to be zero */
}
static void addresses(void) {
	FOLD("load exit", X(MOV64, 4, 1), K(ADD64, 4, 8), LDX(LDX32, 0, 4, 4));
	FOLD("and load exit", K(AND64, 2, 31), X(MOV64, 4, 1), X(ADD64, 4, 2), LDX(LDX32, 0, 4, 4));
	FOLD("and load* exit", K(AND64, 2, 31), X(MOV64, 3, 2), K(LSH64, 3, 3), X(MOV64, 4, 1), X(ADD64, 4, 3), LDX(LDX32, 0, 4, 4));
	FOLD("and load* exit", K(AND64, 2, 31), K(LSH64, 2, 2), X(MOV64, 4, 1), X(ADD64, 4, 2), LDX(LDX32, 0, 4, 4)); /* in place */
	FOLD("and lsh load exit", K(AND64, 2, 3), K(LSH64, 2, 4), X(MOV64, 4, 1), X(ADD64, 4, 2), LDX(LDX32, 0, 4, 4)); /* times 16 */
	FOLD("lea xor xor exit", X(MOV64, 0, 2), X(ADD64, 0, 3), K(ADD64, 0, 14), X(XOR64, 0, 2), X(XOR64, 0, 3));
	FOLD("lea* exit", X(MOV64, 0, 2), K(LSH64, 0, 3), X(ADD64, 0, 3));
	FOLD("lea lea sub exit", X(MOV64, 2, 10), K(ADD64, 2, -8), X(MOV64, 0, 10), X(SUB64, 0, 2));
	FOLD("imm exit", X(MOV64, 2, 10), K(ADD64, 2, -8), X(MOV64, 0, 2), X(SUB64, 0, 2));
}
static void memory_operands(void) {
	FOLD("xor+mem exit", LDX(LDX64, 4, 1, 40), X(XOR64, 0, 4));
	FOLD("add+mem exit", LDX(LDX64, 4, 1, 40), X(ADD64, 4, 0), X(MOV64, 0, 4));
	FOLD("add+mem exit", LDX(LDX32, 4, 1, 40), X(ADD32, 0, 4));
	FOLD("load add exit", LDX(LDX32, 4, 1, 40), X(ADD64, 0, 4)); /* sizes differ */
	FOLD("load add add exit", LDX(LDX64, 4, 1, 40), X(ADD64, 0, 4), X(ADD64, 0, 4)); /* used twice */
	FOLD("load store add exit", LDX(LDX64, 4, 1, 40), STX(STX64, 1, 48, 2), X(ADD64, 0, 4)); /* a write in between */
	FOLD("load sub exit", LDX(LDX64, 4, 1, 40), X(SUB64, 4, 0), X(MOV64, 0, 4));
	FOLD("rmw exit", LDX(LDX64, 4, 1, 40), K(ADD64, 4, 1), STX(STX64, 1, 40, 4));
	FOLD("rmw exit", LDX(LDX32, 4, 1, 40), X(XOR32, 4, 0), STX(STX32, 1, 40, 4));
	FOLD("rmw exit", LDX(LDX8, 4, 1, 40), K(OR64, 4, 7), STX(STX8, 1, 40, 4));
	FOLD("load add store exit", LDX(LDX64, 4, 1, 40), K(ADD64, 4, 1), STX(STX64, 1, 48, 4));
	FOLD("load add store mov exit", LDX(LDX64, 4, 1, 40), K(ADD64, 4, 1), STX(STX64, 1, 40, 4), X(MOV64, 0, 4));
	FOLD("loadbe exit", LDX(LDX32, 0, 1, 40), I(BE32, false, 0, 0, 0, 32));
	FOLD("load bswap exit", LDX(LDX64, 0, 1, 40), I(BE32, false, 0, 0, 0, 32));
	FOLD("store exit", K(MOV64, 2, 7), STX(STX64, 1, 40, 2));
}
static void compares(void) {
	FOLD("jcc add exit", X(MOV64, 4, 2), K(AND64, 4, 8), JK(JEQ64, 4, 0, 1), K(ADD64, 0, 9));
	FOLD("and jcc add exit", X(MOV64, 4, 2), K(AND64, 4, 8), JK(JEQ64, 4, 0, 1), X(ADD64, 0, 4)); /* also used as it is */
	FOLD("select exit", X(MOV64, 4, 2), K(AND64, 4, 8), JK(JEQ64, 4, 0, 1), K(MOV64, 0, 9));
	FOLD("setcc exit", K(MOV64, 0, 1), JK(JGT64, 2, 5, 1), K(MOV64, 0, 0));
	FOLD("setcc exit", K(MOV64, 0, 0), JK(JGT64, 2, 5, 1), K(MOV64, 0, 1));
	FOLD("select exit", JX(JGT64, 2, 3, 1), X(MOV64, 0, 4));
	FOLD("imm exit", K(MOV64, 2, 7), JK(JEQ64, 2, 7, 1), K(MOV64, 3, 1), K(MOV64, 0, 3)); /* decided */
	FOLD("exit", X(MOV64, 2, 10), JK(JNE64, 2, 0, 1), X(MOV64, 0, 3)); /* the frame is no NULL */
	FOLD("jcc+mem add exit", LDX(LDX64, 4, 1, 40), JK(JEQ64, 4, 5, 1), K(ADD64, 0, 1));
}
static void division(void) {
	FOLD("rsh exit", K(DIV64, 0, 8));
	FOLD("and exit", K(MOD32, 0, 16));
	FOLD("exit", K(DIV64, 0, 1));
	FOLD("imm exit", K(MOD64, 0, 1));
	FOLD("div exit", K(DIV64, 0, 10));
	FOLD("mov32 exit", K(DIV32, 0, 1));
}
int main(void) {
	RUN(copies);
	RUN(rotates);
	RUN(extensions);
	RUN(addresses);
	RUN(memory_operands);
	RUN(compares);
	RUN(division);
	return test_end();
}
