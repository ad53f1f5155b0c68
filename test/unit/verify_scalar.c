/* The numeric domain, compiled at 16 bits (with 8-bit halves), where all members of an abstract scalar can be listed:
 * every operation and every comparison on random abstract operands must hold all concrete results. The operands are
 * built from concrete sets by narrowing in random views, as programs do. The 64-bit build is sampled in
 * verify_scalar64.c. */
#define SCALAR_BITS 16
#include "base/base.h"
typedef u16 full_u;
typedef s16 full_s;
typedef u8 half_u;
typedef s8 half_s;
#define FULL(name) range16##name
#define HALF(name) range8##name
#define RANGE(name) range16##name
#define RU u16
#define RS s16
#define RBITS 16
#include "verify/range_width.h"
#define RANGE(name) range8##name
#define RU u8
#define RS s8
#define RBITS 8
#include "verify/range_width.h"
#include "test.h"
#include "verify/scalar.c"

static u64 seed = 88172645463325252ull;
static u32 rnd(void) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (u32)(seed >> 32);
}

/* A scalar that holds the sample x: unknown, then narrowed by true facts about x. */
static struct scalar around(u16 x) {
	struct scalar s = scalar_unknown();
	for (u32 i = rnd() % 4; i; i--) {
		u16 a = (u16)rnd(), b = rnd() % 3 ? (u16)(x + (s16)(rnd() % 33) - 16) : (u16)rnd();
		switch (rnd() % 7) {
		case 0:
			if (a <= x && x <= b)
				range16_meet_unsigned(&s.r, a, b);
			break;
		case 1:
			if ((s16)a <= (s16)x && (s16)x <= (s16)b)
				range16_meet_signed(&s.r, (s16)a, (s16)b);
			break;
		case 2:
			if ((u8)a <= (u8)x && (u8)x <= (u8)b)
				range8_meet_unsigned(&s.r32, (u8)a, (u8)b);
			break;
		case 3:
			if ((s8)a <= (s8)x && (s8)x <= (s8)b)
				range8_meet_signed(&s.r32, (s8)a, (s8)b);
			break;
		case 4:
			s.var = tnum_intersect(s.var, TNUM(x & ~a & 0xffff, a));
			break;
		case 5: {
			u16 low = (u16)(x - rnd() % 20), high = (u16)(x + rnd() % 20);
			if (low <= x && x <= high)
				range16_meet_unsigned(&s.r, low, high);
			if ((s16)low <= (s16)x && (s16)x <= (s16)high)
				range16_meet_signed(&s.r, (s16)low, (s16)high);
			break;
		}
		case 6:
			if (!(rnd() % 4))
				return scalar_const(x);
			break;
		}
		scalar_sync(&s);
	}
	return s;
}

static u64 shown;
static void outside(const char *what, u8 op, bool full, const struct scalar *a, const struct scalar *b,
                    const struct scalar *d, u32 x, u32 y, u32 z) {
	test_bad++;
	if (shown++ < 5)
		printf("# %s op %#x %s: %#x, %#x gives %#x, not in bits (%#llx; %#llx) u [%#x, %#x] s [%d, %d] half [%#x, %#x] [%d, %d]\n",
		       what, op, full ? "full" : "half", x, y, z, (unsigned long long)d->var.value,
		       (unsigned long long)d->var.mask, d->r.umin, d->r.umax, d->r.smin, d->r.smax, d->r32.umin, d->r32.umax,
		       d->r32.smin, d->r32.smax);
	(void)a, (void)b;
}

/* Calls fn for up to `most` members of s, the ends among them. */
#define FOR_MEMBERS(x, s, most)                                                                                        \
	for (u32 x##_step = MAX(1u, ((u32)(s)->r.umax - (s)->r.umin) / (most)), x##_i = (s)->r.umin;                   \
	     x##_i <= (s)->r.umax; x##_i = x##_i + x##_step > (s)->r.umax && x##_i != (s)->r.umax ? (s)->r.umax : x##_i + x##_step) \
		for (u16 x = (u16)x##_i, x##_once = 1; x##_once && scalar_contains(s, x); x##_once = 0)

static u16 compute(u8 op, bool full, u16 x, u16 y) {
	u16 z;
	s8 hx = (s8)x;
	if (!full)
		x = (u8)x, y = (u8)y;
	switch (op) {
	case BPF_ADD: z = (u16)(x + y); break;
	case BPF_SUB: z = (u16)(x - y); break;
	case BPF_MUL: z = (u16)((u32)x * y); break;
	case BPF_AND: z = x & y; break;
	case BPF_OR: z = x | y; break;
	case BPF_XOR: z = x ^ y; break;
	case BPF_LSH: z = (u16)((u32)x << (y & (full ? 15 : 7))); break;
	case BPF_RSH: z = (u16)(x >> (y & (full ? 15 : 7))); break;
	case BPF_ARSH: z = full ? (u16)((s16)x >> (y & 15)) : (u16)(u8)(hx >> (y & 7)); break;
	case BPF_DIV: z = y ? x / y : 0; break;
	default: z = y ? x % y : x; break;
	}
	return full ? z : (u8)z;
}

static void operations(void) {
	static const u8 ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_AND, BPF_OR,  BPF_XOR,
	                         BPF_LSH, BPF_RSH, BPF_ARSH, BPF_DIV, BPF_MOD};
	for (u32 i = 0; i < 60000; i++) {
		u8 op = ops[rnd() % ARRAY_SIZE(ops)];
		bool full = rnd() & 1, is_shift = op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;
		struct scalar a = around((u16)rnd()), b = is_shift && rnd() % 4 ? scalar_const(rnd() % (full ? 16 : 8)) : around((u16)rnd());
		struct scalar d = a;
		scalar_alu(&d, &b, op, full);
		FOR_MEMBERS(x, &a, 40)
			FOR_MEMBERS(y, &b, 25) {
				u16 z = compute(op, full, x, y);
				if (!scalar_contains(&d, z))
					outside("alu", op, full, &a, &b, &d, x, y, z);
			}
	}
}

static void extensions(void) {
	for (u32 i = 0; i < 60000; i++) {
		struct scalar a = around((u16)rnd()), neg = a, neg8 = a, z8 = a, s8_ = a, zext = a;
		scalar_neg(&neg, true);
		scalar_neg(&neg8, false);
		scalar_zext(&z8, 1);
		scalar_sext64(&s8_, 1);
		scalar_zext32(&zext);
		FOR_MEMBERS(x, &a, 200) {
			if (!scalar_contains(&neg, (u16)-x))
				outside("neg", 0, true, &a, &a, &neg, x, 0, (u16)-x);
			if (!scalar_contains(&neg8, (u8)-x))
				outside("neg", 0, false, &a, &a, &neg8, x, 0, (u8)-x);
			if (!scalar_contains(&z8, (u8)x))
				outside("zext", 0, true, &a, &a, &z8, x, 0, (u8)x);
			if (!scalar_contains(&s8_, (u16)(s16)(s8)x))
				outside("sext", 0, true, &a, &a, &s8_, x, 0, (u16)(s16)(s8)x);
			if (!scalar_contains(&zext, (u8)x))
				outside("zext32", 0, false, &a, &a, &zext, x, 0, (u8)x);
		}
	}
}

static bool holds(u8 op, bool half, u16 x, u16 y) {
	s16 sx = half ? (s16)(s8)x : (s16)x, sy = half ? (s16)(s8)y : (s16)y;
	if (half)
		x = (u8)x, y = (u8)y;
	switch (op) {
	case BPF_JEQ: return x == y;
	case BPF_JNE: return x != y;
	case BPF_JGT: return x > y;
	case BPF_JGE: return x >= y;
	case BPF_JLT: return x < y;
	case BPF_JLE: return x <= y;
	case BPF_JSGT: return sx > sy;
	case BPF_JSGE: return sx >= sy;
	case BPF_JSLT: return sx < sy;
	case BPF_JSLE: return sx <= sy;
	default: return x & y;
	}
}

/* What each way of a jump learns holds for all pairs that go that way, and a decided jump is decided for all. */
static void comparisons(void) {
	static const u8 ops[] = {BPF_JEQ, BPF_JNE, BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE, BPF_JSGT, BPF_JSGE, BPF_JSLT, BPF_JSLE, BPF_JSET};
	for (u32 i = 0; i < 80000; i++) {
		u8 op = ops[rnd() % ARRAY_SIZE(ops)];
		bool half = rnd() & 1;
		struct scalar a = around((u16)rnd()), b = rnd() & 1 ? scalar_const((u16)rnd()) : around((u16)rnd());
		struct scalar ta = a, tb = b, fa = a, fb = b;
		int taken = scalar_branch_taken(&a, &b, op, half);
		if (taken < 0) {
			scalar_learn(&ta, &tb, op, half);
			scalar_learn(&fa, &fb, branch_reverse(op), half);
			scalar_sync(&ta), scalar_sync(&tb), scalar_sync(&fa), scalar_sync(&fb);
		}
		FOR_MEMBERS(x, &a, 40)
			FOR_MEMBERS(y, &b, 25) {
				bool h = holds(op, half, x, y);
				if (taken >= 0 && h != taken)
					outside("taken", op, !half, &a, &b, &a, x, y, (u32)taken);
				if (taken < 0 && !(scalar_contains(h ? &ta : &fa, x) && scalar_contains(h ? &tb : &fb, y)))
					outside("learn", op, !half, &a, &b, h ? &ta : &fa, x, y, h);
			}
	}
}

/* Refining loses no member and is well formed; a set includes itself. */
static void refinement(void) {
	for (u32 i = 0; i < 60000; i++) {
		u16 x = (u16)rnd();
		struct scalar a = around(x), b = a;
		EXPECT(scalar_contains(&a, x));
		EXPECT(!scalar_violation(&a));
		scalar_sync(&b);
		EXPECT(scalar_contains(&b, x));
		EXPECT(scalar_includes(&a, &b));
		EXPECT(scalar_includes(&a, &a));
	}
}

int main(void) {
	RUN(refinement);
	RUN(operations);
	RUN(extensions);
	RUN(comparisons);
	return test_end();
}
