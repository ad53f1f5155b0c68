/* Loads, stores and atomics of every size through every base register, displacements at the edges of the encodings. */
#include "exec_test.h"
#include "isa/sem.h"

enum { WORDS = 64 };
static u64 memory[WORDS];

static void fill(void) {
	for (u32 i = 0; i < WORDS; i++)
		memory[i] = test_random();
}

/* r1 = context: moved to `base`, which is used; the value loaded comes back in r0. */
static void loads(void) {
	static const s16 offs[] = {0, 8, 120, 127, 128, 129, 200};
	static const enum bpf_op rows[] = {OP_LDX8, OP_LDX16, OP_LDX32, OP_LDX64, OP_LDXS8, OP_LDXS16, OP_LDXS32,
	                                   OP_LOAD_ACQ8, OP_LOAD_ACQ16, OP_LOAD_ACQ32, OP_LOAD_ACQ64};
	for (u32 k = 0; k < ARRAY_SIZE(rows); k++)
		for (u32 base = 0; base < 10; base++)
			for (u32 d = 0; d < 10; d++) {
				fill();
				s16 off = offs[test_random() % ARRAY_SIZE(offs)];
				if (k >= 7)
					off &= ~7;
				struct bpf_insn load = insn_encode(rows[k], false, d, base, off, 0);
				u64 want;
				u8 *at = (u8 *)memory + off;
				switch (rows[k]) {
#define ROW_LOAD(name, ...)                                                                                            \
	case OP_##name:                                                                                                \
		want = sem_##name(at);                                                                                 \
		break;
#include "isa/ops.def"
				default:
					want = 0;
				}
				EXPECT_RUN(want, memory, sizeof memory, X(MOV64, base, 1), load, X(MOV64, 0, d), EXIT());
			}
}

static void stores(void) {
	static const s16 offs[] = {0, 8, 120, 128, 200, 384};
	static const enum bpf_op rows[] = {OP_STX8, OP_STX16, OP_STX32, OP_STX64, OP_STORE_REL8, OP_STORE_REL16,
	                                   OP_STORE_REL32, OP_STORE_REL64, OP_ST8, OP_ST16, OP_ST32, OP_ST64};
	for (u32 k = 0; k < ARRAY_SIZE(rows); k++)
		for (u32 base = 0; base < 10; base++)
			for (u32 s = 0; s < 10; s++) {
				fill();
				s16 off = offs[test_random() % ARRAY_SIZE(offs)];
				s32 imm = (s32)test_random();
				u64 copy[WORDS], value = k >= 8 ? (u64)(s64)imm : s == base ? (u64)memory : memory[1];
				memcpy(copy, memory, sizeof copy);
				u8 *at = (u8 *)copy + off;
				switch (rows[k]) {
#define ROW_STORE(name, ...)                                                                                           \
	case OP_##name:                                                                                                \
		sem_##name(at, value);                                                                                 \
		break;
#include "isa/ops.def"
				default:
					break;
				}
				struct bpf_insn set = s == base ? X(MOV64, base, base) : LDX(LDX64, s, base, 8);
				EXPECT_RUN(copy[off / 8], memory, sizeof memory, X(MOV64, base, 1), set,
				           insn_encode(rows[k], false, base, k >= 8 ? 0 : s, off, k >= 8 ? imm : 0),
				           LDX(LDX64, 0, base, off & ~7), EXIT());
			}
}

/* Every pair of base and operand; r0 is the expected value half of the time. */
static void atomics(void) {
	for (u32 row = 1; row < OP_COUNT; row++) {
		if (op_rows[row].shape != SHAPE_ATOMIC)
			continue;
		for (u32 base = 0; base < 10; base++)
			for (u32 s = 0; s < 10; s++) {
				bool fetch0 = op_rows[row].uses & WRITES_R0;
				if (s == base || (fetch0 && base == 0) || (fetch0 && s == 0))
					continue; /* an address as operand: its value is not known here */
				fill();
				u64 copy[WORDS], r0 = test_random() & 1 ? memory[0] : test_random();
				memory[2] = r0;
				memory[4] = test_random() & 1 ? memory[1] : memory[4];
				memcpy(copy, memory, sizeof copy);
				u64 operand = memory[1], old = 0;
				switch (row) {
#define ROW_ATOMIC(name, ...)                                                                                          \
	case OP_##name:                                                                                                \
		old = sem_##name(copy, operand, r0);                                                                   \
		break;
#include "isa/ops.def"
				}
				bool fetches = op_rows[row].uses & (WRITES_SRC | WRITES_R0);
				u8 result = fetch0 ? 0 : (u8)s;
				u64 want = (fetches ? old : operand) + copy[0] * 3;
				struct bpf_insn load0 = base && s ? LDX(LDX64, 0, base, 16) : X(MOV64, base, base);
				EXPECT_RUN(want, memory, sizeof memory, X(MOV64, base, 1), load0, LDX(LDX64, s, base, 8),
				           insn_encode(row, false, base, s, 0, 0), STX(STX64, 10, -8, result),
				           LDX(LDX64, 0, base, 0), X(MOV64, 1, 0), X(ADD64, 0, 0), X(ADD64, 0, 1),
				           LDX(LDX64, 1, 10, -8), X(ADD64, 0, 1), EXIT());
			}
	}
	/* aliases with r0: compare-and-exchange through r0, fetch-or into the address register */
	memory[0] = (u64)memory;
	EXPECT_RUN((u64)memory, memory, sizeof memory, X(MOV64, 0, 1), K(MOV64, 2, 7),
	           insn_encode(OP_CMPXCHG64, false, 0, 2, 0, 0), EXIT());
	memory[0] = 6;
	EXPECT_RUN(6, memory, sizeof memory, X(MOV64, 0, 1), insn_encode(OP_FETCH_OR64, false, 0, 0, 0, 0), EXIT());
	memory[0] = 0x1234567890;
	EXPECT_RUN(0x34567890, memory, sizeof memory, K(MOV64, 0, -1), insn_encode(OP_CMPXCHG32, false, 1, 0, 0, 0), EXIT());
	memory[0] = 0xffffffff34567890;
	EXPECT_RUN(0x34567890, memory, sizeof memory, LDX(LDX64, 0, 1, 0), K(MOV64, 2, 9),
	           insn_encode(OP_CMPXCHG32, false, 1, 2, 0, 0), EXIT());
}

static void stack(void) {
	/* the frame pointer as an operand, as a stored value, as an index base, as a copied base */
	EXPECT_RUN(8, memory, 8, X(MOV64, 2, 10), K(ADD64, 2, -8), X(MOV64, 0, 10), X(SUB64, 0, 2), EXIT());
	EXPECT_RUN(5, memory, 8, X(MOV64, 2, 10), STX(STX64, 10, -16, 10), LDX(LDX64, 3, 10, -16), X(SUB64, 3, 2),
	           X(MOV64, 0, 3), K(ADD64, 0, 5), EXIT());
	EXPECT_RUN(42, memory, 8, X(MOV64, 2, 10), K(ADD64, 2, -512), K(MOV64, 3, 42), STX(STX64, 2, 0, 3),
	           LDX(LDX64, 0, 10, -512), EXIT());
	EXPECT_RUN(1, memory, 8, X(MOV64, 2, 10), K(MOV64, 0, 0), JX(JNE64, 2, 10, 1), K(MOV64, 0, 1), EXIT());
	EXPECT_RUN(1, memory, 8, X(MOV64, 2, 10), K(MOV64, 0, 0), JX(JLT64, 10, 2, 1), K(MOV64, 0, 1), EXIT());
	/* slots of 4 and 8 bytes, overlapping, narrow and signed uses */
	EXPECT_RUN(0xffffffff, memory, 8, K(MOV64, 2, -1), STX(STX64, 10, -8, 2), LDX(LDX32, 0, 10, -8), EXIT());
	EXPECT_RUN(0xffffffff, memory, 8, K(MOV64, 2, -1), STX(STX32, 10, -8, 2), LDX(LDX32, 0, 10, -8), EXIT());
	EXPECT_RUN(~0ull, memory, 8, K(MOV64, 2, -1), STX(STX32, 10, -8, 2), LDX(LDXS32, 0, 10, -8), EXIT());
	EXPECT_RUN(0x500000004, memory, 8, I(ST32, false, 10, 0, -8, 4), I(ST32, false, 10, 0, -4, 5),
	           LDX(LDX64, 0, 10, -8), EXIT());
	EXPECT_RUN(~4ull, memory, 8, I(ST64, false, 10, 0, -8, -5), LDX(LDX64, 0, 10, -8), EXIT());
	EXPECT_RUN(0xfffffffb, memory, 8, I(ST32, false, 10, 0, -8, -5), LDX(LDX32, 0, 10, -8), EXIT());
	EXPECT_RUN(3, memory, 8, I(ST64, false, 10, 0, -8, 1), K(MOV64, 1, 2),
	           insn_encode(OP_ATOMIC_ADD64, false, 10, 1, -8, 0), LDX(LDX64, 0, 10, -8), EXIT());
}
/* Loads that may find nothing: through the helper, zero where it fails, everything else kept. */
static u64 probe_read(DP_ARGS) {
	ASSERT((uintptr_t)__builtin_frame_address(0) % 16 == 0 && run->cpu == 3);
	if (r3 < 4096) {
		memset((void *)r1, 0, r2);
		return (u64)-14;
	}
	memcpy((void *)r1, (const void *)r3, r2);
	return 0;
}
static void probes(void) {
	static const enum bpf_op rows[] = {OP_LDX8, OP_LDX16, OP_LDX32, OP_LDX64, OP_LDXS8, OP_LDXS16, OP_LDXS32};
	test_dp[DP_helper_probe_read_kernel] = probe_read;
	for (u32 k = 0; k < ARRAY_SIZE(rows); k++)
		for (u32 d = 0; d < 6; d++)
			for (u32 bad = 0; bad < 2; bad++) {
				/* r0 … r5 hold 1 … 32, r6 the address; all but d survive */
				struct bpf_insn insns[32];
				struct test_prog p;
				struct image *image;
				u32 n = 0, at;
				fill();
				insns[n++] = bad ? K(MOV64, 6, 8) : X(MOV64, 6, 1);
				for (u32 r = 0; r < 6; r++)
					insns[n++] = K(MOV64, r, 1 << r);
				at = n;
				insns[n++] = insn_encode(rows[k], false, (u8)d, 6, 24, 0);
				insns[n++] = STX(STX64, 10, -8, d);
				insns[n++] = K(MOV64, d, 1 << d);
				for (u32 r = 1; r < 6; r++)
					insns[n++] = X(ADD64, 0, r);
				insns[n++] = LDX(LDX64, 1, 10, -8);
				insns[n++] = X(ADD64, 0, 1);
				insns[n++] = EXIT();
				u64 m = memory[3], want[] = {(u8)m, (u16)m, (u32)m, m, (u64)(s8)m, (u64)(s16)m, (u64)(s32)m};
				test_prog(&p, insns, n);
				p.facts[at].probe = 1;
				if (!test_build(&p, 0, &image)) {
					struct skep_run run = test_run();
					EXPECT_EQ(test_interp(image, memory, &run), 63 + (bad ? 0 : want[k]));
					EXPECT_EQ(test_jit(image, memory, &run), 63 + (bad ? 0 : want[k]));
					image_free(image);
				}
				test_prog_free(&p);
			}
}
int main(void) {
	RUN(probes);
	RUN(loads);
	RUN(stores);
	RUN(atomics);
	RUN(stack);
	return test_end();
}
