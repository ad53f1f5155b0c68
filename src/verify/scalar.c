/* The numeric domain.
 *
 *   var   (value, mask)          bits of the whole number
 *   r     umin..umax, smin..smax the number as 64 bits
 *   r32   umin..umax, smin..smax its low half
 *
 * After an operation has set what it knows in each view, scalar_sync lets the views tighten each other:
 *
 *        var ──► r, r32            extremes of the known bits; the one number, if bits and range share only one
 *        r   ◄──► r (u and s)      a range that does not cross the other view's cut
 *        r   ──► r32               when the upper half is the same, or steps once, over the whole range
 *        r32 ──► r                 its bounds replace the low halves of the bounds of r
 *        r   ──► var, var ──► r32  common leading bits
 *
 * One pass is not a fixpoint. The reference does three rounds of deduction, and so do we: doing more would accept
 * programs that it refuses, doing less refuse what it accepts.
 *
 * Rules for changes. Every function must hold the concrete results of all members: test/unit/verify_scalar.c enumerates
 * them at 16 bits and samples at 64. Never trade soundness for the reference's precision: it had defects here.
 * What to compute for DIV, MOD and shifts by an unknown count is «unknown», as in the reference.
 *
 * Sources: RFC 9669; Harishankar, Shachnai et al., CGO 2022 and CAV 2023 (tnum arithmetic, verification of range
 * analysis); behaviour of Linux 6.18 as observed in its log. */
#include "verify/scalar.h"
#include "verify/holes.h"

#if defined SKEP_HOLES && SCALAR_BITS == 64
int verify_hole;
#endif

#define FULL_MAX ((full_u) ~(full_u)0)
#define HALF_MAX ((half_u) ~(half_u)0)
#define HALF_SMAX ((half_s)(HALF_MAX >> 1))
#define HALF_SMIN ((half_s)(-(full_s)HALF_SMAX - 1))
#define FULL_BYTES (SCALAR_BITS / 8)
#define HALF_BYTES (HALF_BITS / 8)

static inline struct tnum half_of(struct tnum t) {
	return tnum_cast(t, HALF_BYTES);
}
static inline struct tnum with_half(struct tnum t, struct tnum half) {
	return TNUM((t.value & ~(u64)HALF_MAX) | half.value, (t.mask & ~(u64)HALF_MAX) | half.mask);
}
static inline struct tnum cut(struct tnum t) {
	return tnum_cast(t, FULL_BYTES);
}

struct scalar scalar_unknown(void) {
	return (struct scalar){.var = cut(TNUM_UNKNOWN), .r = FULL(_full)(), .r32 = HALF(_full)()};
}
void scalar_forget_ranges(struct scalar *s) {
	s->r = FULL(_full)();
	s->r32 = HALF(_full)();
}
struct scalar scalar_const(u64 x) {
	return (struct scalar){.var = tnum_const((full_u)x), .r = FULL(_const)((full_u)x), .r32 = HALF(_const)((half_u)x)};
}
bool scalar_is_unknown(const struct scalar *s) {
	return s->var.mask == FULL_MAX && s->r.umin == 0 && s->r.umax == FULL_MAX && s->r32.umin == 0 &&
	       s->r32.umax == HALF_MAX && s->r.smin == FULL(_full)().smin && s->r.smax == FULL(_full)().smax &&
	       s->r32.smin == HALF_SMIN && s->r32.smax == HALF_SMAX;
}
bool scalar_same(const struct scalar *a, const struct scalar *b) {
	return !__builtin_memcmp(a, b, sizeof *a);
}
bool scalar_contains(const struct scalar *s, u64 x) {
	return tnum_contains(s->var, x) && FULL(_contains)(&s->r, (full_u)x) && HALF(_contains)(&s->r32, (half_u)x);
}
bool scalar_includes(const struct scalar *a, const struct scalar *b) {
	return a->r.umin <= b->r.umin && a->r.umax >= b->r.umax && a->r.smin <= b->r.smin && a->r.smax >= b->r.smax &&
	       a->r32.umin <= b->r32.umin && a->r32.umax >= b->r32.umax && a->r32.smin <= b->r32.smin &&
	       a->r32.smax >= b->r32.smax && tnum_in(a->var, b->var);
}

/* When bits and range have one number in common it is that number. On a branch that cannot be taken they have none, and one
 * of the bits' is taken, the same as the reference takes: what follows there must be refused alike. */
static inline void meet_in_one(struct scalar *s) {
	u64 umin = s->r.umin, next = tnum_next(s->var, umin), last = s->var.value | s->var.mask;
	bool member = tnum_contains(s->var, umin);
	if (member && next > s->r.umax)
		*s = scalar_const(umin);
	else if (!member && (next == last || (next <= s->r.umax && tnum_next(s->var, next) > s->r.umax)))
		*s = scalar_const(next);
}

static inline void meet_var(struct scalar *s) {
	HALF(_meet_tnum)(&s->r32, (half_u)s->var.value, (half_u)s->var.mask);
	FULL(_meet_tnum)(&s->r, (full_u)s->var.value, (full_u)s->var.mask);
	meet_in_one(s);
}

/* The low halves of the ends of a full range bound the half, if the upper half stays the same between them; or, signed,
 * if it steps once and the low half goes from negative to positive there. */
static inline void half_from_ends(struct scalar *s, full_u min, full_u max) {
	half_u low = (half_u)min, high = (half_u)max;
	half_u upper_min = (half_u)(min >> HALF_BITS), upper_max = (half_u)(max >> HALF_BITS);
	if (upper_min == upper_max) {
		if (low <= high)
			HALF(_meet_unsigned)(&s->r32, low, high);
		if ((half_s)low <= (half_s)high)
			HALF(_meet_signed)(&s->r32, (half_s)low, (half_s)high);
	} else if ((half_u)(upper_min + 1) == upper_max && (half_s)low < 0 && (half_s)high >= 0) {
		HALF(_meet_signed)(&s->r32, (half_s)low, (half_s)high);
	}
}

static inline void full_from_half_bounds(struct scalar *s, half_u low, half_u high) {
	full_u keep = ~(full_u)HALF_MAX;
	FULL(_meet_unsigned)(&s->r, (s->r.umin & keep) | low, (s->r.umax & keep) | high);
	FULL(_meet_signed)(&s->r, (full_s)(((full_u)s->r.smin & keep) | low), (full_s)(((full_u)s->r.smax & keep) | high));
}

static inline void full_from_half(struct scalar *s) {
	full_from_half_bounds(s, s->r32.umin, s->r32.umax);
	if ((half_u)s->r32.smin <= (half_u)s->r32.smax)
		full_from_half_bounds(s, (half_u)s->r32.smin, (half_u)s->r32.smax);
	/* A number that is a sign-extended half, and whose half is not negative, is the half. */
	if (s->r32.smin >= 0 && s->r.smin >= HALF_SMIN && s->r.smax <= HALF_SMAX) {
		s->r.smin = s->r32.smin;
		s->r.smax = s->r32.smax;
		s->r.umin = (full_u)s->r32.smin;
		s->r.umax = (full_u)s->r32.smax;
		s->var = tnum_intersect(s->var, tnum_range((full_u)s->r.smin, (full_u)s->r.smax));
	}
}

static inline void deduce(struct scalar *s) {
	half_from_ends(s, s->r.umin, s->r.umax);
	half_from_ends(s, (full_u)s->r.smin, (full_u)s->r.smax);
	HALF(_meet_views)(&s->r32);
	FULL(_meet_views)(&s->r);
	full_from_half(s);
}

static inline void meet_ranges(struct scalar *s) {
	struct tnum t = tnum_intersect(s->var, tnum_range(s->r.umin, s->r.umax));
	struct tnum half = tnum_intersect(half_of(t), tnum_range(s->r32.umin, s->r32.umax));
	s->var = with_half(t, half);
}

void scalar_sync(struct scalar *s) {
	struct scalar was;
	bool changed = false;
	meet_var(s);
	for (int round = 0; round < 3; round++) {
		was = *s;
		deduce(s);
		if (scalar_same(&was, s)) /* further rounds would change nothing */
			break;
		changed = true;
	}
	was.var = s->var;
	meet_ranges(s);
	if (changed || was.var.value != s->var.value || was.var.mask != s->var.mask) /* else it has met them already */
		meet_var(s);
	ASSERT_DEBUG(!(s->var.value & s->var.mask));
}

const char *scalar_violation(const struct scalar *s) {
	if (FULL(_is_empty)(&s->r) || HALF(_is_empty)(&s->r32))
		return "range bounds violation";
	if (!s->var.mask && !(FULL(_is_const)(&s->r) && s->r.umin == s->var.value && (full_u)s->r.smin == s->var.value))
		return "const tnum out of sync with range bounds";
	if (scalar_is_const32(s) && !(HALF(_is_const)(&s->r32) && s->r32.umin == (half_u)s->var.value &&
	                              (half_u)s->r32.smin == (half_u)s->var.value))
		return "const subreg tnum out of sync with range bounds";
	return NULL;
}

/* The full ranges of a zero-extended half. */
static void full_ranges_from_half(struct scalar *s) {
	s->r.umin = s->r32.umin;
	s->r.umax = s->r32.umax;
	s->r.smin = 0;
	s->r.smax = (full_s)HALF_MAX;
	if (s->r32.smin >= 0) {
		s->r.smin = s->r32.smin;
		s->r.smax = s->r32.smax;
	}
}

/* Shifts by a known count. A 64-bit shift moves bits across the halves: the half is learnt from the bits again. */
static void shift(struct scalar *d, u8 op, bool is64, u32 by) {
	struct tnum t = is64 ? d->var : half_of(d->var);
	u32 bits = is64 ? SCALAR_BITS : HALF_BITS;
	ASSERT(by < bits);
	ASSERT(op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH);
	if (is64) {
		struct HALF() half = d->r32;
		switch (op) {
		case BPF_LSH:
			HALF(_forget_signed)(&d->r32);
			HALF(_forget_unsigned)(&d->r32);
			if (by < HALF_BITS) {
				d->r32 = half;
				HALF(_lsh)(&d->r32, by);
			}
			FULL(_lsh)(&d->r, by);
			if (by == HALF_BITS) { /* the compiler's sign extension of a half: shl 32, then arsh 32 */
				d->r.smin = (full_s)((full_u)half.smin << HALF_BITS);
				d->r.smax = (full_s)((full_u)half.smax << HALF_BITS);
			}
			break;
		case BPF_RSH:
			FULL(_rsh)(&d->r, by);
			d->r32 = HALF(_full)();
			break;
		default:
			FULL(_arsh)(&d->r, by);
			d->r32 = HALF(_full)();
			break;
		}
	} else {
		d->r = FULL(_full)();
		if (op == BPF_LSH)
			HALF(_lsh)(&d->r32, by);
		else if (op == BPF_RSH)
			HALF(_rsh)(&d->r32, by);
		else
			HALF(_arsh)(&d->r32, by);
	}
	d->var = op == BPF_LSH ? tnum_lshift(t, by) : op == BPF_RSH ? tnum_rshift(t, by) : tnum_arshift(t, by, bits);
	d->var = is64 ? cut(d->var) : half_of(d->var);
}

static void bitwise(struct scalar *d, const struct scalar *s, u8 op) {
	half_u value, mask;
	ASSERT(op == BPF_AND || op == BPF_OR || op == BPF_XOR);
	if (op == BPF_AND)
		d->var = tnum_and(d->var, s->var);
	else if (op == BPF_OR)
		d->var = tnum_or(d->var, s->var);
	else
		d->var = tnum_xor(d->var, s->var);
	value = (half_u)d->var.value;
	mask = (half_u)d->var.mask;
	switch (op) {
	case BPF_AND:
		HALF(_and)(&d->r32, &s->r32, value, mask);
		FULL(_and)(&d->r, &s->r, (full_u)d->var.value, (full_u)d->var.mask);
		break;
	case BPF_OR:
		HALF(_or)(&d->r32, &s->r32, value, mask);
		FULL(_or)(&d->r, &s->r, (full_u)d->var.value, (full_u)d->var.mask);
		break;
	default:
		HALF(_xor)(&d->r32, value, mask);
		FULL(_xor)(&d->r, (full_u)d->var.value, (full_u)d->var.mask);
		break;
	}
}

/* The end of every operation: a 32-bit result is zero-extended, and the views refine each other. */
static void finish(struct scalar *d, bool is64) {
	ASSERT(!(d->var.value & d->var.mask)); /* a tristate number is well formed */
	if (!is64 && !HOLE(ALU32_KEEPS_UPPER)) {
		d->var = half_of(d->var);
		full_ranges_from_half(d);
	}
	if (tnum_is_const(d->var))
		*d = scalar_const(d->var.value);
	else
		scalar_sync(d);
}

void scalar_alu(struct scalar *dst, const struct scalar *src, u8 op, bool is64) {
	switch (op) {
	case BPF_ADD: {
		full_u low = dst->r.umin + src->r.umin;
		bool whole = low < src->r.umin;
		HALF(_add)(&dst->r32, &src->r32);
		FULL(_add)(&dst->r, &src->r);
		if (HOLE(ADD_IGNORES_WRAP) && !whole)
			dst->r.umin = low;
		dst->var = cut(tnum_add(dst->var, src->var));
		break;
	}
	case BPF_SUB:
		HALF(_sub)(&dst->r32, &src->r32);
		FULL(_sub)(&dst->r, &src->r);
		dst->var = cut(tnum_sub(dst->var, src->var));
		break;
	case BPF_MUL:
		dst->var = cut(tnum_mul(dst->var, src->var));
		HALF(_mul)(&dst->r32, &src->r32);
		FULL(_mul)(&dst->r, &src->r);
		break;
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		bitwise(dst, src, op);
		break;
	case BPF_LSH:
	case BPF_RSH:
	case BPF_ARSH: {
		bool known = is64 ? scalar_is_const(src) : scalar_is_const32(src);
		u64 by = is64 ? src->var.value : (half_u)src->var.value;
		/* A count that is too large is masked by the machine; such programs are rare: unknown. */
		if (!known || by >= (is64 ? SCALAR_BITS : HALF_BITS) || src->r.umax >= (is64 ? SCALAR_BITS : HALF_BITS)) {
			*dst = scalar_unknown();
			return;
		}
		shift(dst, HOLE(ARSH_AS_RSH) && op == BPF_ARSH ? BPF_RSH : op, is64, (u32)by);
		break;
	}
	default: /* DIV, MOD */
		*dst = scalar_unknown();
		return;
	}
	finish(dst, is64);
}

void scalar_neg(struct scalar *dst, bool is64) {
	HALF(_neg)(&dst->r32);
	FULL(_neg)(&dst->r);
	dst->var = cut(tnum_neg(dst->var));
	finish(dst, is64);
}

static u64 swap_bytes(u64 x, u32 bits) {
	return __builtin_bswap64(x) >> (64 - bits);
}

void scalar_swap(struct scalar *dst, u32 bits) {
	struct tnum low = tnum_cast(dst->var, bits / 8);
	ASSERT(bits == 16 || bits == 32 || bits == 64);
	*dst = scalar_unknown();
	dst->var = TNUM(swap_bytes(low.value, bits), swap_bytes(low.mask, bits));
	if (tnum_is_const(dst->var))
		*dst = scalar_const(dst->var.value);
	else
		scalar_sync(dst);
}

void scalar_zext32(struct scalar *s) {
	finish(s, false);
}

void scalar_zext(struct scalar *s, u32 bytes) {
	full_u keep;
	ASSERT(is_power_of_two(bytes) && bytes <= 8);
	if (bytes >= FULL_BYTES)
		return;
	keep = (full_u)(((u64)1 << (bytes * 8)) - 1);
	s->var = tnum_cast(s->var, bytes);
	if ((s->r.umin & ~keep) == (s->r.umax & ~keep)) {
		s->r.umin &= keep;
		s->r.umax &= keep;
	} else {
		s->r.umin = 0;
		s->r.umax = keep;
	}
	s->r.smin = (full_s)s->r.umin;
	s->r.smax = (full_s)s->r.umax;
	if (bytes < HALF_BYTES)
		s->r32 = HALF(_full)();
	scalar_sync(s);
}

/* [min, max] of the signed low `bytes` of x when all members of [lo, hi] agree above them, else the whole range. */
static void sext_ends(full_s lo, full_s hi, u32 bytes, full_s *min, full_s *max) {
	u32 bits = bytes * 8, up = 64 - bits;
	full_u above = (full_u)~(((u64)1 << bits) - 1);
	full_s low = (full_s)((s64)((u64)(s64)lo << up) >> up), high = (full_s)((s64)((u64)(s64)hi << up) >> up);
	*min = (full_s)-((s64)1 << (bits - 1));
	*max = (full_s)(((s64)1 << (bits - 1)) - 1);
	if (((full_u)lo & above) == ((full_u)hi & above) && (low ^ high) >= 0 && low <= high) {
		*min = low;
		*max = high;
	}
}

void scalar_sext64(struct scalar *s, u32 bytes) {
	full_s min, max;
	struct tnum low = tnum_cast(s->var, bytes);
	u32 up = 64 - bytes * 8;
	ASSERT(is_power_of_two(bytes) && bytes <= 8);
	if (bytes >= FULL_BYTES)
		return;
	sext_ends(s->r.smin, s->r.smax, bytes, &min, &max);
	/* The sign bit is copied upwards. Known bits count only when all are: to know more, soundly, is to accept what the
	 * reference refuses. */
	s->var = tnum_is_const(s->var) ? cut(tnum_arshift(tnum_lshift(low, up), up, 64)) : cut(TNUM_UNKNOWN);
	s->r = FULL(_full)();
	s->r.smin = min;
	s->r.smax = max;
	if (min >= 0 || max < 0) {
		s->r.umin = (full_u)min;
		s->r.umax = (full_u)max;
	}
	s->r32 = HALF(_full)(); /* also when the half stays: the reference forgets it */
	if (tnum_is_const(s->var))
		*s = scalar_const(s->var.value);
	else
		scalar_sync(s);
}

void scalar_sext32(struct scalar *s, u32 bytes) {
	full_s min, max;
	struct tnum low = tnum_cast(s->var, bytes);
	u32 up = 64 - bytes * 8;
	ASSERT(bytes <= HALF_BYTES);
	ASSERT(bytes > 0);
	sext_ends(s->r32.smin, s->r32.smax, bytes, &min, &max);
	s->var = half_of(tnum_is_const(s->var) ? tnum_arshift(tnum_lshift(low, up), up, 64) : TNUM_UNKNOWN);
	s->r32 = HALF(_full)();
	s->r32.smin = (half_s)min;
	s->r32.smax = (half_s)max;
	if (min >= 0 || max < 0) {
		s->r32.umin = (half_u)min;
		s->r32.umax = (half_u)max;
	}
	finish(s, false);
}

void scalar_set_half(struct scalar *s, u32 x) {
	s->var = with_half(s->var, tnum_const((half_u)x));
	s->r32 = HALF(_const)((half_u)x);
}

u8 branch_flip(u8 op) {
	ASSERT(op != BPF_JA && op != BPF_CALL && op != BPF_EXIT);
	switch (op) {
	case BPF_JGT: return BPF_JLT;
	case BPF_JGE: return BPF_JLE;
	case BPF_JLT: return BPF_JGT;
	case BPF_JLE: return BPF_JGE;
	case BPF_JSGT: return BPF_JSLT;
	case BPF_JSGE: return BPF_JSLE;
	case BPF_JSLT: return BPF_JSGT;
	case BPF_JSLE: return BPF_JSGE;
	default: return op;
	}
}

u8 branch_reverse(u8 op) {
	switch (op) {
	case BPF_JEQ: return BPF_JNE;
	case BPF_JNE: return BPF_JEQ;
	case BPF_JGT: return BPF_JLE;
	case BPF_JGE: return BPF_JLT;
	case BPF_JLT: return BPF_JGE;
	case BPF_JLE: return BPF_JGT;
	case BPF_JSGT: return BPF_JSLE;
	case BPF_JSGE: return BPF_JSLT;
	case BPF_JSLT: return BPF_JSGE;
	case BPF_JSLE: return BPF_JSGT;
	case BPF_JSET: return JSET_NOT;
	case JSET_NOT: return BPF_JSET;
	default: ASSERT(!"a comparison"); return op;
	}
}

/* Can the two be equal? Every view may say no. */
static int equal_taken(const struct scalar *a, const struct scalar *b, bool is32) {
	struct tnum ta = is32 ? half_of(a->var) : a->var, tb = is32 ? half_of(b->var) : b->var;
	if (tnum_is_const(ta) && tnum_is_const(tb))
		return ta.value == tb.value;
	if (!tnum_overlap(ta, tb))
		return 0;
	if (!is32 && (a->r.umin > b->r.umax || a->r.umax < b->r.umin || a->r.smin > b->r.smax || a->r.smax < b->r.smin))
		return 0;
	if (a->r32.umin > b->r32.umax || a->r32.umax < b->r32.umin || a->r32.smin > b->r32.smax ||
	    a->r32.smax < b->r32.smin)
		return 0;
	return -1;
}

/* Bit test against a constant on either side. */
static int bits_taken(const struct scalar *a, const struct scalar *b, bool is32) {
	struct tnum ta = is32 ? half_of(a->var) : a->var, tb = is32 ? half_of(b->var) : b->var;
	if (!tnum_is_const(tb)) {
		struct tnum swap = ta;
		ta = tb;
		tb = swap;
	}
	if (!tnum_is_const(tb))
		return -1;
	if (ta.value & tb.value)
		return 1;
	return ((ta.value | ta.mask) & tb.value) ? -1 : 0;
}

int scalar_branch_taken(const struct scalar *a, const struct scalar *b, u8 op, bool is32) {
	u64 amin = is32 ? a->r32.umin : a->r.umin, amax = is32 ? a->r32.umax : a->r.umax;
	u64 bmin = is32 ? b->r32.umin : b->r.umin, bmax = is32 ? b->r32.umax : b->r.umax;
	s64 asmin = is32 ? a->r32.smin : a->r.smin, asmax = is32 ? a->r32.smax : a->r.smax;
	s64 bsmin = is32 ? b->r32.smin : b->r.smin, bsmax = is32 ? b->r32.smax : b->r.smax;
	int equal;
	switch (op) {
	case BPF_JEQ:
		return equal_taken(a, b, is32);
	case BPF_JNE:
		equal = equal_taken(a, b, is32);
		return equal < 0 ? equal : !equal;
	case BPF_JSET:
		return bits_taken(a, b, is32);
	case BPF_JGT: return amin > bmax ? 1 : amax <= bmin ? 0 : -1;
	case BPF_JGE: return amin >= bmax ? 1 : amax < bmin ? 0 : -1;
	case BPF_JLT: return amax < bmin ? 1 : amin >= bmax ? 0 : -1;
	case BPF_JLE: return amax <= bmin ? 1 : amin > bmax ? 0 : -1;
	case BPF_JSGT: return asmin > bsmax ? 1 : asmax <= bsmin ? 0 : -1;
	case BPF_JSGE: return asmin >= bsmax ? 1 : asmax < bsmin ? 0 : -1;
	case BPF_JSLT: return asmax < bsmin ? 1 : asmin >= bsmax ? 0 : -1;
	case BPF_JSLE: return asmax <= bsmin ? 1 : asmin > bsmax ? 0 : -1;
	default: return -1;
	}
}

static void learn_equal(struct scalar *a, struct scalar *b, bool is32) {
	if (is32) {
		struct tnum t = tnum_intersect(half_of(a->var), half_of(b->var));
		HALF(_meet)(&a->r32, &b->r32);
		b->r32 = a->r32;
		a->var = with_half(a->var, t);
		b->var = with_half(b->var, t);
	} else {
		FULL(_meet)(&a->r, &b->r);
		b->r = a->r;
		a->var = b->var = tnum_intersect(a->var, b->var);
	}
}

/* a != v, a & v, !(a & v) for a constant v. */
static void learn_const(struct scalar *a, u64 v, u8 op, bool is32) {
	ASSERT(!is32 || v <= HALF_MAX);
	switch (op) {
	case BPF_JNE:
		if (is32)
			HALF(_remove)(&a->r32, (half_u)v);
		else
			FULL(_remove)(&a->r, (full_u)v);
		break;
	case BPF_JSET: /* says something of one bit only */
		if (is_power_of_two(v))
			a->var = tnum_or(a->var, tnum_const(v));
		break;
	default: /* all bits of v are 0. The ranges are learnt anew: on a dead branch they would contradict the bits. */
		scalar_forget_ranges(a);
		a->var = tnum_and(a->var, tnum_const(is32 ? ~(u64)(half_u)v : ~v));
		break;
	}
}

void scalar_learn(struct scalar *a, struct scalar *b, u8 op, bool is32) {
	bool strict;
	if (op == BPF_JGT || op == BPF_JGE || op == BPF_JSGT || op == BPF_JSGE) {
		struct scalar *other = a;
		a = b, b = other;
		op = branch_flip(op);
	}
	strict = op == BPF_JLT || op == BPF_JSLT || (HOLE(JLE_OFF_BY_ONE) && op == BPF_JLE);
	switch (op) {
	case BPF_JEQ:
		learn_equal(a, b, is32);
		return;
	case BPF_JNE:
	case BPF_JSET:
	case JSET_NOT:
		if (is32 ? scalar_is_const32(b) : scalar_is_const(b))
			learn_const(a, is32 ? (half_u)b->var.value : b->var.value, op, is32);
		else if (is32 ? scalar_is_const32(a) : scalar_is_const(a))
			learn_const(b, is32 ? (half_u)a->var.value : a->var.value, op, is32);
		return;
	case BPF_JLT:
	case BPF_JLE:
		if (is32)
			HALF(_order_unsigned)(&a->r32, &b->r32, strict);
		else
			FULL(_order_unsigned)(&a->r, &b->r, strict);
		return;
	case BPF_JSLT:
	case BPF_JSLE:
		if (is32)
			HALF(_order_signed)(&a->r32, &b->r32, strict);
		else
			FULL(_order_signed)(&a->r, &b->r, strict);
		return;
	}
}
