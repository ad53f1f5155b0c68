/* sem.h against values worked out by hand, and against slow definitions (bit by bit, repeated subtraction) on random
 * operands. Every row that computes has its function: the expansion below does not compile otherwise. */
#include "test.h"
#include "isa/sem.h"

static u64 seed = 0x2545f4914f6cdd1d;
static u64 next(void) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}
/* Numbers near the corners more often than not. */
static u64 corner(void) {
	static const u64 corners[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
	    0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x17fffffff, 0x180000000, 0x7fffffffffffffff,
	    0x8000000000000000, 0x8000000000000001, 0xffffffff80000000, 0xffffffff7fffffff, 0xfffffffffffffffe,
	    0xffffffffffffffff, 0xffffffff00000000};
	u64 r = next();
	return r & 3 ? corners[(r >> 8) % ARRAY_SIZE(corners)] : r >> (r >> 2 & 63);
}

static void by_hand(void) {
	static const struct {
		enum bpf_op op;
		u64 d, s, is;
	} t[] = {
	    {OP_ADD32, 0xffffffff, 1, 0},
	    {OP_ADD64, 0xffffffff, 1, 0x100000000},
	    {OP_ADD64, 5, (u64)-7, (u64)-2},
	    {OP_SUB32, 0x1234567800000000, 1, 0xffffffff},
	    {OP_MUL32, 0xffffffff, 0xffffffff, 1},
	    {OP_DIV64, 10, 0, 0},
	    {OP_DIV32, 0xffffffff0000000a, 0x100000000, 0},
	    {OP_MOD64, 0xdeadbeef00000007, 0, 0xdeadbeef00000007},
	    {OP_MOD32, 0xdeadbeef00000007, 0, 7},
	    {OP_MOD32, 0xdeadbeef00000007, 0xffffffff00000000, 7},
	    {OP_DIV64, (u64)-1, (u64)-3, 1},
	    {OP_DIV64, 100, (u64)-3, 0},
	    {OP_SDIV64, (u64)-10, 3, (u64)-3},
	    {OP_SDIV64, 10, (u64)-3, (u64)-3},
	    {OP_SDIV64, 0x8000000000000000, (u64)-1, 0x8000000000000000},
	    {OP_SDIV64, 4711, 0, 0},
	    {OP_SDIV32, 0x80000000, (u64)-1, 0x80000000},
	    {OP_SDIV32, 0xfffffff6, 3, 0xfffffffd},
	    {OP_SMOD64, (u64)-10, 3, (u64)-1},
	    {OP_SMOD64, 10, (u64)-3, 1},
	    {OP_SMOD64, 0x8000000000000000, (u64)-1, 0},
	    {OP_SMOD64, (u64)-4711, 0, (u64)-4711},
	    {OP_SMOD32, 0x80000000, (u64)-1, 0},
	    {OP_SMOD32, 0xffffffff80000001, 0, 0x80000001},
	    {OP_LSH32, 1, 33, 2},
	    {OP_LSH64, 1, 65, 2},
	    {OP_RSH32, 0xffffffff80000000, 0, 0x80000000},
	    {OP_ARSH32, 0x80000000, 4, 0xf8000000},
	    {OP_ARSH64, 0x8000000000000000, 63, (u64)-1},
	    {OP_MOV32, 1, 0xffffffff12345678, 0x12345678},
	    {OP_MOV64, 1, (u64)-5, (u64)-5},
	    {OP_MOVSX8_32, 0, 0x1280, 0xffffff80},
	    {OP_MOVSX16_32, 0, 0x8000, 0xffff8000},
	    {OP_MOVSX8_64, 0, 0x1280, 0xffffffffffffff80},
	    {OP_MOVSX16_64, 0, 0x7fff, 0x7fff},
	    {OP_MOVSX32_64, 0, 0x80000000, 0xffffffff80000000},
	    {OP_NEG32, 1, 0, 0xffffffff},
	    {OP_NEG64, 1, 0, (u64)-1},
	    {OP_LE16, 0x1122334455667788, 0, 0x7788},
	    {OP_LE32, 0x1122334455667788, 0, 0x55667788},
	    {OP_LE64, 0x1122334455667788, 0, 0x1122334455667788},
	    {OP_BE16, 0x1122334455667788, 0, 0x8877},
	    {OP_BE32, 0x1122334455667788, 0, 0x88776655},
	    {OP_BE64, 0x1122334455667788, 0, 0x8877665544332211},
	    {OP_BSWAP16, 0x1122334455667788, 0, 0x8877},
	    {OP_BSWAP32, 0x1122334455667788, 0, 0x88776655},
	    {OP_BSWAP64, 0x1122334455667788, 0, 0x8877665544332211},
	};
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		u64 got = sem_alu(t[i].op, t[i].d, t[i].s);
		if (got != t[i].is)
			printf("# %s %llx, %llx\n", op_rows[t[i].op].name, (long long)t[i].d, (long long)t[i].s);
		EXPECT_EQ(got, t[i].is);
	}
}

/* 128-bit arithmetic over sign- or zero-extended operands, cut to the width: no corner needs a case of its own but the
 * zero divisor. */
static u64 slow(enum bpf_op op, u64 d, u64 s) {
	const char *name = op_rows[op].name;
	int bits = strstr(name, "32") && strncmp(name, "MOVSX32", 7) ? 32 : 64;
	u64 mask = bits == 64 ? ~0ull : 0xffffffff;
	unsigned __int128 a = d & mask, b = s & mask, r;
	__int128 sa = bits == 64 ? (s64)d : (s32)d, sb = bits == 64 ? (s64)s : (s32)s;
	u32 count = s % bits;
	switch (op) {
	case OP_ADD32: case OP_ADD64: r = a + b; break;
	case OP_SUB32: case OP_SUB64: r = a - b; break;
	case OP_MUL32: case OP_MUL64: r = a * b; break;
	case OP_DIV32: case OP_DIV64: r = b ? a / b : 0; break;
	case OP_MOD32: case OP_MOD64: r = b ? a % b : a; break;
	case OP_SDIV32: case OP_SDIV64: r = sb ? sa / sb : 0; break;
	case OP_SMOD32: case OP_SMOD64: r = sb ? sa % sb : sa; break;
	case OP_LSH32: case OP_LSH64: r = a << count; break;
	case OP_RSH32: case OP_RSH64: r = a >> count; break;
	case OP_ARSH32: case OP_ARSH64: r = sa >> count; break;
	case OP_NEG32: case OP_NEG64: r = 0 - a; break;
	case OP_OR32: case OP_OR64: r = a + b - (a & b); break;
	case OP_XOR32: case OP_XOR64: r = (a | b) - (a & b); break;
	case OP_AND32: case OP_AND64: r = a + b - (a | b); break;
	default: return sem_alu(op, d, s);
	}
	return (u64)r & mask;
}
static void against_wide_arithmetic(void) {
	for (int op = OP_BAD + 1; op < OP_COUNT; op++) {
		if (op_rows[op].shape != SHAPE_ALU && op_rows[op].shape != SHAPE_UNARY)
			continue;
		for (int i = 0; i < 5000; i++) {
			u64 d = corner(), s = corner();
			if (sem_alu(op, d, s) != slow(op, d, s)) {
				printf("# %s %llx, %llx\n", op_rows[op].name, (long long)d, (long long)s);
				EXPECT_EQ(sem_alu(op, d, s), slow(op, d, s));
				break;
			}
		}
	}
}
/* A comparison is a sign of a difference that cannot overflow. */
static void comparisons(void) {
	static const struct {
		enum bpf_op op64, op32;
		bool is_signed;
		int accept; /* bits: 1 less, 2 equal, 4 greater */
	} t[] = {{OP_JEQ64, OP_JEQ32, 0, 2},   {OP_JNE64, OP_JNE32, 0, 5},   {OP_JGT64, OP_JGT32, 0, 4},
	         {OP_JGE64, OP_JGE32, 0, 6},   {OP_JLT64, OP_JLT32, 0, 1},   {OP_JLE64, OP_JLE32, 0, 3},
	         {OP_JSGT64, OP_JSGT32, 1, 4}, {OP_JSGE64, OP_JSGE32, 1, 6}, {OP_JSLT64, OP_JSLT32, 1, 1},
	         {OP_JSLE64, OP_JSLE32, 1, 3}};
	for (u32 i = 0; i < ARRAY_SIZE(t); i++)
		for (int n = 0; n < 5000; n++) {
			u64 d = corner(), s = corner();
			__int128 w = t[i].is_signed ? (__int128)(s64)d - (s64)s : (__int128)d - s;
			__int128 h = t[i].is_signed ? (__int128)(s32)d - (s32)s : (__int128)(u32)d - (u32)s;
			EXPECT_EQ(sem_jump(t[i].op64, d, s), t[i].accept >> (w < 0 ? 0 : w == 0 ? 1 : 2) & 1);
			EXPECT_EQ(sem_jump(t[i].op32, d, s), t[i].accept >> (h < 0 ? 0 : h == 0 ? 1 : 2) & 1);
		}
	EXPECT(sem_JSET64(0x100000000, 0x100000000) && !sem_JSET32(0x100000000, 0x100000000));
	EXPECT(sem_JSET32(0x8, 0xf) && !sem_JSET64(0x8, 0x7));
}
static void memory(void) {
	u8 m[16] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88};
	EXPECT_EQ(SEM(LDX8, m), 0x80);
	EXPECT_EQ(SEM(LDX16, m + 1), 0x8281);
	EXPECT_EQ(SEM(LDX32, m + 1), 0x84838281);
	EXPECT_EQ(SEM(LDX64, m + 1), 0x8887868584838281);
	EXPECT_EQ(SEM(LDXS8, m), (s64)-128);
	EXPECT_EQ(SEM(LDXS16, m + 1), (s64)0xffffffffffff8281);
	EXPECT_EQ(SEM(LDXS32, m + 1), (s64)0xffffffff84838281);
	EXPECT_EQ(SEM(LD_ABS8, m), 0x80);
	EXPECT_EQ(SEM(LD_ABS16, m), 0x8081);
	EXPECT_EQ(SEM(LD_IND32, m), 0x80818283);
	SEM(ST64, m + 1, (u64)(s64)-2);
	EXPECT_EQ(SEM(LDX64, m + 1), (s64)-2);
	SEM(STX8, m + 1, 0x1234);
	SEM(STX16, m + 3, 0xabcdef01);
	EXPECT_EQ(SEM(LDX32, m + 1), 0xef01ff34);
}
static void atomics(void) {
	union {
		u64 w;
		u32 h[2];
	} m = {.w = 0x00000001fffffffe};
	EXPECT_EQ(SEM(FETCH_ADD32, &m, 0xffffffff00000003, 0), 0xfffffffe); /* zero-extended, no carry to the neighbour */
	EXPECT_EQ(m.w, 0x100000001);
	EXPECT_EQ(SEM(FETCH_ADD64, &m, (u64)-1, 0), 0x100000001);
	EXPECT_EQ(m.w, 0x100000000);
	EXPECT_EQ(SEM(XCHG32, &m, 0x1111111122222222, 0), 0);
	EXPECT_EQ(m.w, 0x122222222);
	EXPECT_EQ(SEM(CMPXCHG32, &m, 7, 0x9999999922222222), 0x22222222); /* only the lower half is compared */
	EXPECT_EQ(m.w, 0x100000007);
	EXPECT_EQ(SEM(CMPXCHG32, &m, 8, 0x9999999999999999), 7); /* fails, and still zero-extends */
	EXPECT_EQ(m.w, 0x100000007);
	EXPECT_EQ(SEM(CMPXCHG64, &m, 8, 7), 0x100000007);
	EXPECT_EQ(SEM(CMPXCHG64, &m, 8, 0x100000007), 0x100000007);
	EXPECT_EQ(m.w, 8);
	SEM(ATOMIC_OR64, &m, 0xf000000000000000, 0);
	SEM(ATOMIC_XOR32, &m, 0xa, 0);
	SEM(ATOMIC_AND64, &m, 0x8000000000000003, 0);
	EXPECT_EQ(m.w, (s64)0x8000000000000002);
	SEM(STORE_REL16, &m, 0x12345678);
	EXPECT_EQ(SEM(LOAD_ACQ64, &m), (s64)0x8000000000005678);
	EXPECT_EQ(SEM(LOAD_ACQ8, &m), 0x78);
}
static void casts(void) {
	EXPECT_EQ(sem_cast(0x7f0012345678, 1, 0x7f0000000000), 0x12345678);
	EXPECT_EQ(sem_cast(0x12345678, 1 << 16, 0x7f0000000000), 0x7f0012345678);
	EXPECT_EQ(sem_cast(0xffffffff00000000, 1 << 16, 0x7f0000000000), 0);
}
/* Every row of a computing shape has its function. */
static void every_row_has_a_function(void) {
	u32 n = 0;
	u64 m = 0;
#define ROW_ALU(name, ...) n++, (void)sem_##name(0, 0);
#define ROW_UNARY ROW_ALU
#define ROW_JCC ROW_ALU
#define ROW_LOAD(name, ...) n++, (void)sem_##name(&m);
#define ROW_PACKET ROW_LOAD
#define ROW_STORE(name, ...) n++, sem_##name(&m, 0);
#define ROW_ATOMIC(name, ...) n++, (void)sem_##name(&m, 0, 0);
#include "isa/ops.def"
	EXPECT(n > 100);
}
int main(void) {
	RUN(by_hand);
	RUN(against_wide_arithmetic);
	RUN(comparisons);
	RUN(memory);
	RUN(atomics);
	RUN(casts);
	RUN(every_row_has_a_function);
	return test_end();
}
