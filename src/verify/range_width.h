/* Ranges of one width: included by range.h once for each width with RANGE(name), RU, RS, RBITS set.
 *
 * A value x of RBITS bits lies in the range when umin <= (unsigned)x <= umax and smin <= (signed)x <= smax: two views of
 * one circle, cut at 0 and at the sign change. A range whose minimum lies above its maximum is empty: that is what a
 * branch that cannot be taken leaves behind, and only scalar.c may see one.
 *
 * All functions take and leave any bounds; none divides or loops. */
struct RANGE() {
	RU umin, umax;
	RS smin, smax;
};
#define RU_MAX ((RU) ~(RU)0)
#define RS_MAX ((RS)(RU_MAX >> 1))
#define RS_MIN ((RS)(RU)((RU)1 << (RBITS - 1)))

static inline struct RANGE() RANGE(_full)(void) {
	return (struct RANGE()){.umin = 0, .umax = RU_MAX, .smin = RS_MIN, .smax = RS_MAX};
}
static inline struct RANGE() RANGE(_const)(RU x) {
	return (struct RANGE()){.umin = x, .umax = x, .smin = (RS)x, .smax = (RS)x};
}
static inline bool RANGE(_is_const)(const struct RANGE() * r) {
	return r->umin == r->umax && r->smin == r->smax;
}
static inline bool RANGE(_is_empty)(const struct RANGE() * r) {
	return r->umin > r->umax || r->smin > r->smax;
}
static inline bool RANGE(_contains)(const struct RANGE() * r, RU x) {
	return r->umin <= x && x <= r->umax && r->smin <= (RS)x && (RS)x <= r->smax;
}
static inline void RANGE(_meet_unsigned)(struct RANGE() * r, RU min, RU max) {
	r->umin = MAX(r->umin, min);
	r->umax = MIN(r->umax, max);
}
static inline void RANGE(_meet_signed)(struct RANGE() * r, RS min, RS max) {
	r->smin = MAX(r->smin, min);
	r->smax = MIN(r->smax, max);
}
static inline void RANGE(_meet)(struct RANGE() * r, const struct RANGE() * other) {
	RANGE(_meet_unsigned)(r, other->umin, other->umax);
	RANGE(_meet_signed)(r, other->smin, other->smax);
}
/* From known bits: unsigned extremes have all unknown bits 0 or 1, signed ones except that the sign works the other way. */
static inline void RANGE(_meet_tnum)(struct RANGE() * r, RU value, RU mask) {
	RANGE(_meet_unsigned)(r, value, value | mask);
	RANGE(_meet_signed)(r, (RS)(value | (mask & (RU)RS_MIN)), (RS)(value | (mask & (RU)RS_MAX)));
}
/* What each view says about the other. A range that does not cross the cut of the other view is one there as well. A
 * signed range that crosses zero is two pieces at the ends of the unsigned circle: if the unsigned range touches only
 * one of them, that piece is the answer. */
static inline void RANGE(_meet_views)(struct RANGE() * r) {
	if ((RS)r->umin <= (RS)r->umax)
		RANGE(_meet_signed)(r, (RS)r->umin, (RS)r->umax);
	if ((RU)r->smin <= (RU)r->smax) {
		RANGE(_meet_unsigned)(r, (RU)r->smin, (RU)r->smax);
	} else if (r->umax < (RU)r->smin) { /* only the piece from 0 upwards */
		r->smin = (RS)r->umin;
		r->umax = MIN(r->umax, (RU)r->smax);
	} else if ((RU)r->smax < r->umin) { /* only the negative piece */
		r->smax = (RS)r->umax;
		r->umin = MAX(r->umin, (RU)r->smin);
	}
}
static inline void RANGE(_forget_unsigned)(struct RANGE() * r) {
	r->umin = 0;
	r->umax = RU_MAX;
}
static inline void RANGE(_forget_signed)(struct RANGE() * r) {
	r->smin = RS_MIN;
	r->smax = RS_MAX;
}
/* Signed bounds that are the unsigned ones, when those do not cross the sign change. */
static inline void RANGE(_signed_from_unsigned)(struct RANGE() * r) {
	RANGE(_forget_signed)(r);
	if ((RS)r->umin <= (RS)r->umax) {
		r->smin = (RS)r->umin;
		r->smax = (RS)r->umax;
	}
}

/* Addition and subtraction: the bounds hold when no sum wraps, or, unsigned, when every sum does. */
static inline void RANGE(_add)(struct RANGE() * d, const struct RANGE() * s) {
	bool low, high;
	low = __builtin_add_overflow(d->smin, s->smin, &d->smin);
	high = __builtin_add_overflow(d->smax, s->smax, &d->smax);
	if (low || high)
		RANGE(_forget_signed)(d);
	low = __builtin_add_overflow(d->umin, s->umin, &d->umin);
	high = __builtin_add_overflow(d->umax, s->umax, &d->umax);
	if (low != high)
		RANGE(_forget_unsigned)(d);
}
static inline void RANGE(_sub)(struct RANGE() * d, const struct RANGE() * s) {
	struct RANGE() by = *s;
	bool low, high;
	low = __builtin_sub_overflow(d->smin, by.smax, &d->smin);
	high = __builtin_sub_overflow(d->smax, by.smin, &d->smax);
	if (low || high)
		RANGE(_forget_signed)(d);
	low = __builtin_sub_overflow(d->umin, by.umax, &d->umin);
	high = __builtin_sub_overflow(d->umax, by.umin, &d->umax);
	if (low != high)
		RANGE(_forget_unsigned)(d);
}
/* The signed extremes of a product are among the four products of the ends. */
static inline void RANGE(_mul)(struct RANGE() * d, const struct RANGE() * s) {
	RS p[4];
	bool wraps = __builtin_mul_overflow(d->smin, s->smin, &p[0]);
	wraps |= __builtin_mul_overflow(d->smin, s->smax, &p[1]);
	wraps |= __builtin_mul_overflow(d->smax, s->smin, &p[2]);
	wraps |= __builtin_mul_overflow(d->smax, s->smax, &p[3]);
	RANGE(_forget_signed)(d);
	if (!wraps) {
		d->smin = MIN(MIN(p[0], p[1]), MIN(p[2], p[3]));
		d->smax = MAX(MAX(p[0], p[1]), MAX(p[2], p[3]));
	}
	wraps = __builtin_mul_overflow(d->umax, s->umax, &d->umax);
	wraps |= __builtin_mul_overflow(d->umin, s->umin, &d->umin);
	if (wraps)
		RANGE(_forget_unsigned)(d);
}
/* Bit operations: (value, mask) are the known bits of the result. */
static inline void RANGE(_and)(struct RANGE() * d, const struct RANGE() * s, RU value, RU mask) {
	d->umin = value;
	d->umax = MIN(d->umax, s->umax);
	RANGE(_signed_from_unsigned)(d);
}
static inline void RANGE(_or)(struct RANGE() * d, const struct RANGE() * s, RU value, RU mask) {
	d->umin = MAX(d->umin, s->umin);
	d->umax = value | mask;
	RANGE(_signed_from_unsigned)(d);
}
static inline void RANGE(_xor)(struct RANGE() * d, RU value, RU mask) {
	d->umin = value;
	d->umax = value | mask;
	RANGE(_signed_from_unsigned)(d);
}
/* Shifts by a constant below the width. */
static inline void RANGE(_lsh)(struct RANGE() * d, u32 by) {
	RANGE(_forget_signed)(d);
	if (d->umax > (RU)((RU)1 << (RBITS - 1 - by))) {
		RANGE(_forget_unsigned)(d); /* a set bit may fall out at the top */
	} else {
		d->umin = (RU)(d->umin << by);
		d->umax = (RU)(d->umax << by);
	}
}
static inline void RANGE(_rsh)(struct RANGE() * d, u32 by) {
	RANGE(_forget_signed)(d);
	d->umin >>= by;
	d->umax >>= by;
}
static inline void RANGE(_arsh)(struct RANGE() * d, u32 by) {
	d->smin >>= by;
	d->smax >>= by;
	RANGE(_forget_unsigned)(d);
}
static inline void RANGE(_neg)(struct RANGE() * d) {
	struct RANGE() zero = RANGE(_const)(0);
	RANGE(_sub)(&zero, d);
	*d = zero;
}
/* x != v is worth something when v is an end. */
static inline void RANGE(_remove)(struct RANGE() * r, RU v) {
	if (r->umin == v)
		r->umin++;
	if (r->umax == v)
		r->umax--;
	if (r->smin == (RS)v)
		r->smin = (RS)((RU)r->smin + 1);
	if (r->smax == (RS)v)
		r->smax = (RS)((RU)r->smax - 1);
}
/* a <= b, or a < b when strict. The ends of a strict comparison cannot wrap: the caller has decided such branches. */
static inline void RANGE(_order_unsigned)(struct RANGE() * a, struct RANGE() * b, bool strict) {
	a->umax = MIN(a->umax, (RU)(b->umax - strict));
	b->umin = MAX((RU)(a->umin + strict), b->umin);
}
static inline void RANGE(_order_signed)(struct RANGE() * a, struct RANGE() * b, bool strict) {
	a->smax = MIN(a->smax, (RS)((RU)b->smax - strict));
	b->smin = MAX((RS)((RU)a->smin + strict), b->smin);
}
#undef RU_MAX
#undef RS_MAX
#undef RS_MIN
#undef RANGE
#undef RU
#undef RS
#undef RBITS
