/* Known bits: every operation over all pairs of tristate numbers of five bits holds all concrete results, and addition
 * and subtraction are as exact as a tristate number can be. */
#include "test.h"
#include "verify/tnum.h"

enum { BITS = 5, ALL = (1 << BITS) - 1 };

static u64 cut(u64 x) {
	return x & ALL;
}
static struct tnum cut_tnum(struct tnum t) {
	return TNUM(cut(t.value), cut(t.mask));
}

typedef struct tnum tnum_op(struct tnum, struct tnum);
typedef u64 number_op(u64, u64);

static u64 n_add(u64 a, u64 b) { return a + b; }
static u64 n_sub(u64 a, u64 b) { return a - b; }
static u64 n_mul(u64 a, u64 b) { return a * b; }
static u64 n_and(u64 a, u64 b) { return a & b; }
static u64 n_or(u64 a, u64 b) { return a | b; }
static u64 n_xor(u64 a, u64 b) { return a ^ b; }

#define FOR_TNUM(t)                                                                                                    \
	for (struct tnum t = {0, 0}; t.mask <= ALL; t.mask++)                                                          \
		for (t.value = 0; t.value <= ALL; t.value++)                                                           \
			if (!(t.value & t.mask))
#define FOR_MEMBER(x, t)                                                                                               \
	for (u64 x = 0; x <= ALL; x++)                                                                                 \
		if (tnum_contains(t, x))

static void check_op(const char *name, tnum_op *op, number_op *concrete, bool optimal) {
	u64 unsound = 0, loose = 0;
	FOR_TNUM(a) {
		FOR_TNUM(b) {
			struct tnum t = cut_tnum(op(a, b)), best = {0, 0};
			bool first = true;
			FOR_MEMBER(x, a) {
				FOR_MEMBER(y, b) {
					u64 z = cut(concrete(x, y));
					unsound += !tnum_contains(t, z);
					best = first ? tnum_const(z) : tnum_union(best, tnum_const(z));
					first = false;
				}
			}
			loose += best.mask != t.mask;
		}
	}
	if (unsound || (optimal && loose))
		printf("# %s: %llu results outside, %llu not optimal\n", name, (unsigned long long)unsound,
		       (unsigned long long)loose);
	EXPECT_EQ(unsound, 0);
	EXPECT(!optimal || !loose);
}

static void operations(void) {
	check_op("add", tnum_add, n_add, true);
	check_op("sub", tnum_sub, n_sub, true);
	check_op("mul", tnum_mul, n_mul, false);
	check_op("and", tnum_and, n_and, true);
	check_op("or", tnum_or, n_or, true);
	check_op("xor", tnum_xor, n_xor, true);
}

static void shifts(void) {
	FOR_TNUM(a) {
		for (u8 by = 0; by < BITS; by++) {
			struct tnum l = cut_tnum(tnum_lshift(a, by)), r = tnum_rshift(a, by), s = tnum_arshift(a, by, BITS);
			FOR_MEMBER(x, a) {
				u64 signed_x = x >> (BITS - 1) ? x | ~(u64)ALL : x;
				EXPECT(tnum_contains(l, cut(x << by)));
				EXPECT(tnum_contains(r, x >> by));
				EXPECT(tnum_contains(s, cut((u64)((s64)signed_x >> by))));
			}
		}
	}
}

static void sets(void) {
	FOR_TNUM(a) {
		FOR_TNUM(b) {
			struct tnum both = tnum_intersect(a, b), any = tnum_union(a, b);
			bool common = false, inside = true;
			FOR_MEMBER(x, a) {
				common |= tnum_contains(b, x);
				EXPECT(!tnum_contains(b, x) || tnum_contains(both, x));
				EXPECT(tnum_contains(any, x));
			}
			FOR_MEMBER(x, b)
				inside &= tnum_contains(a, x);
			EXPECT_EQ(tnum_overlap(a, b), common);
			EXPECT_EQ(tnum_in(a, b), inside);
			EXPECT(!(both.value & both.mask));
		}
	}
}

static void members(void) {
	FOR_TNUM(a) {
		for (u64 x = 0; x <= ALL; x++) {
			u64 next = x + 1;
			while (next <= ALL && !tnum_contains(a, next))
				next++;
			EXPECT_EQ(tnum_next(a, x), next <= ALL ? next : a.value | a.mask);
		}
	}
	EXPECT_EQ(tnum_next(TNUM_UNKNOWN, ~(u64)0), ~(u64)0);
	EXPECT_EQ(tnum_next(TNUM((u64)1 << 63, 0), 5), (u64)1 << 63);
}

static void ranges(void) {
	for (u64 min = 0; min <= ALL; min++) {
		for (u64 max = min; max <= ALL; max++) {
			struct tnum t = tnum_range(min, max);
			for (u64 x = min; x <= max; x++)
				EXPECT(tnum_contains(t, x));
		}
	}
	EXPECT(tnum_is_unknown(tnum_range(0, ~(u64)0)));
	EXPECT(tnum_equals_const(tnum_range(~(u64)0, ~(u64)0), ~(u64)0));
	EXPECT_EQ(tnum_range((u64)1 << 62, ((u64)1 << 63) - 1).mask, ((u64)1 << 62) - 1);
}

int main(void) {
	RUN(operations);
	RUN(shifts);
	RUN(sets);
	RUN(members);
	RUN(ranges);
	return test_end();
}
