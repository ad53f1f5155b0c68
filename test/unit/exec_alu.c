/* Every arithmetic operation with every pair of registers and every edge immediate, interpreter and machine code, against
 * sem.h. The program loads r0 … r9 from the context, does one operation, and stores all registers. */
#include "exec_test.h"
#include "isa/sem.h"

static const u64 values[] = {0, 1, 2, 3, 7, 8, 10, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000,
	0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
	0xfffffffffffffffe, 0xffffffff80000000, 0x123456789abcdef0};
static const s32 imms[] = {0, 1, -1, 2, 3, 5, 7, 8, 9, 10, 16, 31, 32, 33, 63, 64, 100, 127, 128, -128, -129, 255, 256, 1000,
	641, 6, 14, 28, 65535, 65536, 1000000007, INT32_MAX, INT32_MIN, -3, 0x7ffffffe, 0x40000000};

static u64 value(void) {
	u64 r = test_random();
	return r & 1 ? values[r / 2 % ARRAY_SIZE(values)] : r & 2 ? test_random() : test_random() >> (r >> 8 & 63);
}

/* The program around `op`: 10 loads, the operation, 10 stores through the stack. */
static u32 around(struct bpf_insn *to, struct bpf_insn op) {
	u32 n = 0;
	to[n++] = STX(STX64, 10, -8, 1);
	for (u32 r = 0; r < 10; r++)
		if (r != 1)
			to[n++] = LDX(LDX64, r, 1, r * 8);
	to[n++] = LDX(LDX64, 1, 1, 8);
	to[n++] = op;
	for (u32 r = 0; r < 10; r++)
		to[n++] = STX(STX64, 10, -16 - 8 * r, r);
	to[n++] = LDX(LDX64, 1, 10, -8);
	for (u32 r = 0; r < 10; r++) {
		to[n++] = LDX(LDX64, 2, 10, -16 - 8 * r);
		to[n++] = STX(STX64, 1, 80 + 8 * r, 2);
	}
	to[n++] = K(MOV64, 0, 0);
	to[n++] = EXIT();
	return n;
}

static void check(struct bpf_insn op, enum bpf_op row, u32 rounds) {
	struct bpf_insn insns[64];
	struct test_prog p;
	struct image *image;
	u64 in[20], out[20];
	test_prog(&p, insns, around(insns, op));
	if (test_build(&p, 0, &image))
		return;
	for (u32 round = 0; round < rounds; round++) {
		u32 features = round & 1 ? 0 : jit_x64.features();
		for (u32 r = 0; r < 10; r++)
			in[r] = value(), in[10 + r] = 0;
		u64 s = insn_reg_form(&op) || op_rows[row].shape == SHAPE_UNARY ? in[op.src_reg] : (u64)(s64)op.imm;
		u64 want = sem_alu(row, in[op.dst_reg], s);
		if (round < 2)
			EXPECT_EQ(test_recompile(image, features), 0);
		for (u32 engine = 0; engine < 2; engine++) {
			struct skep_run run = test_run();
			memcpy(out, in, sizeof in);
			engine ? test_jit(image, out, &run) : test_interp(image, out, &run);
			for (u32 r = 0; r < 10; r++)
				if (out[10 + r] != (r == op.dst_reg ? want : in[r])) {
					test_bad++;
					printf("# %s r%u, r%u imm %d: %s r%u is 0x%llx, expected 0x%llx (d 0x%llx s 0x%llx)\n",
					       op_rows[row].name, op.dst_reg, op.src_reg, op.imm, engine ? "jit" : "interp", r,
					       (long long)out[10 + r], (long long)(r == op.dst_reg ? want : in[r]),
					       (long long)in[op.dst_reg], (long long)s);
				}
		}
	}
	image_free(image);
	test_prog_free(&p);
}

static void registers(void) {
	for (u32 row = 1; row < OP_COUNT; row++) {
		u8 shape = op_rows[row].shape;
		if ((shape != SHAPE_ALU && shape != SHAPE_UNARY) || row == OP_ADDR_SPACE_CAST)
			continue;
		for (u32 d = 0; d < 10 && test_bad < 20; d++)
			for (u32 s = 0; s < 10; s++) {
				if (shape == SHAPE_UNARY && !(op_rows[row].uses & FIELD_SRC) && s)
					break;
				check(insn_encode(row, true, d, s, 0, 0), row, 4);
			}
	}
}
static void immediates(void) {
	for (u32 row = 1; row < OP_COUNT; row++) {
		if (op_rows[row].shape != SHAPE_ALU)
			continue;
		for (u32 i = 0; i < ARRAY_SIZE(imms) && test_bad < 20; i++)
			for (u32 d = 0; d < 10; d += 1 + (i > 6))
				check(insn_encode(row, false, d, 0, 0, imms[i]), row, 4);
	}
}
int main(void) {
	RUN(registers);
	RUN(immediates);
	return test_end();
}
