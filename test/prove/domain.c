/* What is claimed of the verifier's numeric domain, each as a function that must return true whatever it is given:
 *
 *     prove_NAME(any abstract operands, any numbers)  =  the numbers are members  →  the result has the concrete result
 *
 * The compiler turns them into straight code, ir_to_smt.py into formulas, and the solver finds arguments for which one is
 * false or shows that there are none: not by sampling. All is asked twice: at 64 bits (with halves of 32), where some
 * formulas are too hard, and with -DNARROW at 16 (with halves of 8), where all are decided.
 *
 * Composition. scalar_sync() only calls what is proved here, one after the other, so it holds what each of them holds; the
 * same goes for scalar_alu(), which ends in it, and for tnum_mul() by induction over its steps. */
#ifdef NARROW
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
#endif
#include "verify/scalar.c"
#include "verify/tnum.c"
#define CLAIM(x) bool prove_##x

static inline bool follows(bool a, bool b) {
	return !a | b;
}

/* == Known bits == */

static inline bool formed(struct tnum t) {
	return !(t.value & t.mask);
}
static inline bool in(struct tnum t, u64 x) {
	return formed(t) & tnum_contains(t, x);
}
#define T(a) full_u a##v, full_u a##m
#define T_OF(a) TNUM(a##v, a##m)
#ifndef NARROW /* they have one width */
#define BINARY(name, result, concrete)                                                                                 \
	CLAIM(name)(T(a), T(b), u64 x, u64 y) {                                                                        \
		struct tnum a = T_OF(a), b = T_OF(b);                                                                      \
		return follows(in(a, x) & in(b, y), in(result, concrete));                                                 \
	}
BINARY(tnum_add, tnum_add(a, b), x + y)
BINARY(tnum_sub, tnum_sub(a, b), x - y)
BINARY(tnum_and, tnum_and(a, b), x & y)
BINARY(tnum_or, tnum_or(a, b), x | y)
BINARY(tnum_xor, tnum_xor(a, b), x ^ y)
BINARY(tnum_neg, tnum_neg(a), -x)
BINARY(tnum_lshift, tnum_lshift(a, y & 63), x << (y & 63))
BINARY(tnum_rshift, tnum_rshift(a, y & 63), x >> (y & 63))
BINARY(tnum_arshift64, tnum_arshift(a, y & 63, 64), (u64)((s64)x >> (y & 63)))
BINARY(tnum_arshift32, tnum_arshift(tnum_cast(a, 4), y & 31, 32), (u32)((s32)x >> (y & 31)))
BINARY(tnum_cast1, tnum_cast(a, 1), (u8)x)
BINARY(tnum_cast2, tnum_cast(a, 2), (u16)x)
BINARY(tnum_cast4, tnum_cast(a, 4), (u32)x)
BINARY(tnum_union_left, tnum_union(a, b), x)
BINARY(tnum_union_right, tnum_union(a, b), y)
CLAIM(tnum_intersect)(T(a), T(b), u64 x) {
	return follows(in(T_OF(a), x) & in(T_OF(b), x), in(tnum_intersect(T_OF(a), T_OF(b)), x));
}
CLAIM(tnum_overlap)(T(a), T(b), u64 x) {
	return follows(in(T_OF(a), x) & in(T_OF(b), x), tnum_overlap(T_OF(a), T_OF(b)));
}
CLAIM(tnum_in)(T(a), T(b), u64 x) {
	return follows(formed(T_OF(a)) & tnum_in(T_OF(a), T_OF(b)) & in(T_OF(b), x), in(T_OF(a), x));
}
CLAIM(tnum_range)(u64 min, u64 max, u64 x) {
	return follows((min <= x) & (x <= max), in(tnum_range(min, max), x));
}
/* It is a member, above x, and none lies between. */
CLAIM(tnum_next)(T(a), u64 x, u64 between) {
	struct tnum a = T_OF(a);
	u64 next = tnum_next(a, x), last = a.value | a.mask;
	bool fits = in(a, next) & (x >= last ? next == last : next > x);
	return follows(formed(a), fits & follows((x < between) & (between < next), !in(a, between)));
}
/* Of sum + a·b, with one bit of a taken over into the sum: the step that tnum_mul repeats. */
CLAIM(tnum_mul_step)(T(s), T(a), T(b), u64 p, u64 x, u64 y) {
	struct tnum sum = T_OF(s);
	tnum_mul_step(&sum, T_OF(a), T_OF(b));
	return follows(in(T_OF(s), p) & in(T_OF(a), x) & in(T_OF(b), y), in(sum, p + (x & 1 ? y : 0)));
}
#endif

/* == Ranges of one width == */

#define R(a, u, s) u a##umin, u a##umax, s a##smin, s a##smax
#define R_OF(a) {.umin = a##umin, .umax = a##umax, .smin = a##smin, .smax = a##smax}
#define RANGES(w, u, s)                                                                                                \
	CLAIM(range##w##_meet_tnum)(R(a, u, s), u v, u m, u x) {                                                       \
		struct range##w a = R_OF(a), was = a;                                                                      \
		range##w##_meet_tnum(&a, v, m);                                                                            \
		return follows(range##w##_contains(&was, x) & !(v & m) & ((u)(x & ~m) == v), range##w##_contains(&a, x)); \
	}                                                                                                              \
	CLAIM(range##w##_meet_views)(R(a, u, s), u x) {                                                                \
		struct range##w a = R_OF(a), was = a;                                                                      \
		range##w##_meet_views(&a);                                                                                 \
		return follows(range##w##_contains(&was, x), range##w##_contains(&a, x));                                  \
	}                                                                                                              \
	RANGE2(w, u, s, add, (&a, &b), x + y)                                                                          \
	RANGE2(w, u, s, sub, (&a, &b), x - y)                                                                          \
	RANGE2(w, u, s, neg, (&a), -x)                                                                                 \
	RANGE2(w, u, s, lsh, (&a, y & (w - 1)), x << (y & (w - 1)))                                                    \
	RANGE2(w, u, s, rsh, (&a, y & (w - 1)), x >> (y & (w - 1)))                                                    \
	RANGE2(w, u, s, arsh, (&a, y & (w - 1)), (s)x >> (y & (w - 1)))                                                \
	CLAIM(range##w##_remove)(R(a, u, s), u v, u x) {                                                               \
		struct range##w a = R_OF(a), was = a;                                                                      \
		range##w##_remove(&a, v);                                                                                  \
		return follows(range##w##_contains(&was, x) & (x != v), range##w##_contains(&a, x));                       \
	}                                                                                                              \
	BITS(w, u, s, and, (&a, &b, bits.value, bits.mask), &)                                                         \
	BITS(w, u, s, or, (&a, &b, bits.value, bits.mask), |)                                                          \
	BITS(w, u, s, xor, (&a, bits.value, bits.mask), ^)                                                             \
	ORDER(w, u, s, unsigned, u)                                                                                    \
	ORDER(w, u, s, signed, s)
#define RANGE2(w, u, s, op, args, concrete)                                                                            \
	CLAIM(range##w##_##op)(R(a, u, s), R(b, u, s), u x, u y) {                                                     \
		struct range##w a = R_OF(a), b = R_OF(b), was = a;                                                         \
		bool members = range##w##_contains(&was, x) & range##w##_contains(&b, y);                                  \
		range##w##_##op args;                                                                                      \
		return follows(members, range##w##_contains(&a, (u)(concrete)));                                           \
	}
#define BITS(w, u, s, op, args, concrete)                                                                              \
	CLAIM(range##w##_##op)(R(a, u, s), R(b, u, s), T(c), T(d), u x, u y) {                                         \
		struct range##w a = R_OF(a), b = R_OF(b), was = a;                                                         \
		struct tnum c = T_OF(c), d = T_OF(d), bits = tnum_cast(tnum_##op(c, d), w / 8);                            \
		bool members = range##w##_contains(&was, x) & range##w##_contains(&b, y) & in(tnum_cast(c, w / 8), x) &    \
		               in(tnum_cast(d, w / 8), y);                                                                 \
		range##w##_##op args;                                                                                      \
		return follows(members, range##w##_contains(&a, x concrete y));                                            \
	}
#define ORDER(w, u, s, name, type)                                                                                     \
	CLAIM(range##w##_order_##name)(R(a, u, s), R(b, u, s), u x, u y, bool strict) {                                \
		struct range##w a = R_OF(a), b = R_OF(b);                                                                  \
		bool members = range##w##_contains(&a, x) & range##w##_contains(&b, y);                                    \
		bool ordered = strict ? (type)x < (type)y : (type)x <= (type)y;                                            \
		range##w##_order_##name(&a, &b, strict);                                                                   \
		return follows(members & ordered, range##w##_contains(&a, x) & range##w##_contains(&b, y));                \
	}
#ifdef NARROW
RANGES(16, u16, s16)
RANGES(8, u8, s8)
RANGE2(8, u8, s8, mul, (&a, &b), x * y) /* at 16 bits already too hard */
#else
RANGES(64, u64, s64)
RANGES(32, u32, s32)
#endif

/* == Scalars: the views together == */

#define S(a) T(a), R(a, full_u, full_s), R(a##h, half_u, half_s)
#define S_OF(a) {.var = T_OF(a), .r = R_OF(a), .r32 = R_OF(a##h)}
static inline bool member(const struct scalar *s, full_u x) {
	return in(s->var, x) & FULL(_contains)(&s->r, x) & HALF(_contains)(&s->r32, (half_u)x);
}
#define KEEPS(name, call)                                                                                              \
	CLAIM(name)(S(a), full_u x) {                                                                                     \
		struct scalar a = S_OF(a);                                                                                 \
		bool is_member = member(&a, x);                                                                            \
		call;                                                                                                      \
		return follows(is_member, member(&a, x));                                                                  \
	}
KEEPS(meet_in_one, meet_in_one(&a))
KEEPS(meet_var, meet_var(&a))
KEEPS(half_from_unsigned, half_from_ends(&a, a.r.umin, a.r.umax))
KEEPS(half_from_signed, half_from_ends(&a, (full_u)a.r.smin, (full_u)a.r.smax))
KEEPS(full_from_half, full_from_half(&a))
KEEPS(meet_ranges, meet_ranges(&a))

/* A number whose upper half becomes 0. */
CLAIM(zero_extended)(S(a), full_u x) {
	struct scalar a = S_OF(a);
	bool is_member = member(&a, x);
	a.var = half_of(a.var);
	full_ranges_from_half(&a);
	return follows(is_member, member(&a, (half_u)x));
}
#define SHIFT(name, op, is64, concrete)                                                                                \
	CLAIM(shift_##name)(S(a), full_u x, u8 by) {                                                                      \
		struct scalar a = S_OF(a);                                                                                 \
		bool is_member = member(&a, x);                                                                            \
		by &= (is64) ? SCALAR_BITS - 1 : HALF_BITS - 1;                                                                                    \
		shift(&a, op, is64, by);                                                                                   \
		if (!(is64)) {                                                                                             \
			a.var = half_of(a.var);                                                                                \
			full_ranges_from_half(&a);                                                                             \
		}                                                                                                          \
		return follows(is_member, member(&a, concrete));                                                           \
	}
SHIFT(lsh64, BPF_LSH, true, (full_u)(x << by))
SHIFT(rsh64, BPF_RSH, true, (full_u)(x >> by))
SHIFT(arsh64, BPF_ARSH, true, (full_u)((full_s)x >> by))
SHIFT(lsh32, BPF_LSH, false, (half_u)((half_u)x << by))
SHIFT(rsh32, BPF_RSH, false, (half_u)((half_u)x >> by))
SHIFT(arsh32, BPF_ARSH, false, (half_u)((half_s)x >> by))

/* [min, max] of the low bytes as a signed number. */
#define SEXT(bytes, type)                                                                                              \
	CLAIM(sext_ends##bytes)(full_s low, full_s high, full_s x) {                                                            \
		full_s min, max;                                                                                              \
		sext_ends(low, high, bytes, &min, &max);                                                                   \
		return follows((low <= x) & (x <= high), (min <= (type)x) & ((type)x <= max));                             \
	}
SEXT(1, s8)
#ifndef NARROW
SEXT(2, s16)
SEXT(4, s32)
#endif

CLAIM(includes)(S(a), S(b), full_u x) {
	struct scalar a = S_OF(a), b = S_OF(b);
	return follows(formed(a.var) & scalar_includes(&a, &b) & member(&b, x), member(&a, x));
}

/* == Branches == */

static inline bool compare(full_u x, full_u y, u8 op, bool is32) {
	full_s sx = is32 ? (full_s)(half_s)x : (full_s)x, sy = is32 ? (full_s)(half_s)y : (full_s)y;
	if (is32)
		x = (half_u)x, y = (half_u)y;
	switch (op) {
	case BPF_JEQ: return x == y;
	case BPF_JNE: return x != y;
	case BPF_JSET: return x & y;
	case JSET_NOT: return !(x & y);
	case BPF_JGT: return x > y;
	case BPF_JGE: return x >= y;
	case BPF_JLT: return x < y;
	case BPF_JLE: return x <= y;
	case BPF_JSGT: return sx > sy;
	case BPF_JSGE: return sx >= sy;
	case BPF_JSLT: return sx < sy;
	default: return sx <= sy;
	}
}
#define BRANCH(name, op) BRANCH_OF(name##64, op, false) BRANCH_OF(name##32, op, true)
#define BRANCH_OF(name, op, is32)                                                                                      \
	CLAIM(taken_##name)(S(a), S(b), full_u x, full_u y) {                                                                \
		struct scalar a = S_OF(a), b = S_OF(b);                                                                    \
		int taken = scalar_branch_taken(&a, &b, op, is32);                                                         \
		bool is = compare(x, y, op, is32);                                                                         \
		return follows(member(&a, x) & member(&b, y), follows(taken == 1, is) & follows(taken == 0, !is));         \
	}                                                                                                              \
	LEARN_OF(name, op, is32)
#define LEARN_OF(name, op, is32)                                                                                       \
	CLAIM(learn_##name)(S(a), S(b), full_u x, full_u y) {                                                                \
		struct scalar a = S_OF(a), b = S_OF(b);                                                                    \
		bool members = member(&a, x) & member(&b, y);                                                              \
		scalar_learn(&a, &b, op, is32);                                                                            \
		return follows(members & compare(x, y, op, is32), member(&a, x) & member(&b, y));                          \
	}
BRANCH(jeq, BPF_JEQ)
BRANCH(jne, BPF_JNE)
BRANCH(jset, BPF_JSET)
BRANCH(jgt, BPF_JGT)
BRANCH(jge, BPF_JGE)
BRANCH(jlt, BPF_JLT)
BRANCH(jle, BPF_JLE)
BRANCH(jsgt, BPF_JSGT)
BRANCH(jsge, BPF_JSGE)
BRANCH(jslt, BPF_JSLT)
BRANCH(jsle, BPF_JSLE)
LEARN_OF(jset_not64, JSET_NOT, false)
LEARN_OF(jset_not32, JSET_NOT, true)

/* == One that is false, which must be found == */

CLAIM(not_true)(T(a), T(b), full_u x, full_u y) {
	return follows(in(T_OF(a), x) & in(T_OF(b), y), in(tnum_or(T_OF(a), T_OF(b)), x + y));
}
