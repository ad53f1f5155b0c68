/* Tristate numbers: what is known of a value bit by bit. A pair (value, mask): where mask has a 1 the bit is unknown and
 * value has a 0 there; elsewhere the bit is that of value. So x lies in the tnum when (x & ~mask) == value.
 *
 *     value 0010   mask 0101   stands for 0010, 0011, 0110, 0111
 *
 * Every operation here returns a tnum that holds each result of its operands' members; none but tnum_mul is more than
 * a few machine instructions. Addition and subtraction are the optimal ones of Vishwanathan et al., CGO 2022.
 * Invariant: (value & mask) == 0. */
#ifndef SKEP_VERIFY_TNUM_H
#define SKEP_VERIFY_TNUM_H
#include "base/base.h"

struct tnum {
	u64 value, mask;
};
#define TNUM(v, m) ((struct tnum){.value = (v), .mask = (m)})
#define TNUM_UNKNOWN TNUM(0, ~(u64)0)

static inline struct tnum tnum_const(u64 value) {
	return TNUM(value, 0);
}
static inline bool tnum_is_const(struct tnum a) {
	return !a.mask;
}
static inline bool tnum_equals_const(struct tnum a, u64 b) {
	return !a.mask && a.value == b;
}
static inline bool tnum_is_unknown(struct tnum a) {
	return a.mask == ~(u64)0;
}
static inline bool tnum_contains(struct tnum a, u64 x) {
	return (x & ~a.mask) == a.value;
}
/* The smallest tnum with all of [min, max]: the bits above the highest one in which the ends differ are known. */
static inline struct tnum tnum_range(u64 min, u64 max) {
	u64 differ = min ^ max, delta;
	if (differ >> 63)
		return TNUM_UNKNOWN;
	delta = differ ? ((u64)2 << (63 - __builtin_clzll(differ))) - 1 : 0;
	return TNUM(min & ~delta, delta);
}
static inline struct tnum tnum_lshift(struct tnum a, u8 shift) {
	return TNUM(a.value << shift, a.mask << shift);
}
static inline struct tnum tnum_rshift(struct tnum a, u8 shift) {
	return TNUM(a.value >> shift, a.mask >> shift);
}
/* Of a number of `bits` bits. An unknown sign bit makes all bits that are shifted in unknown: shifting the mask
 * arithmetically does exactly that. */
static inline struct tnum tnum_arshift(struct tnum a, u8 shift, u8 bits) {
	u32 up = 64 - bits;
	return TNUM((u64)((s64)(a.value << up) >> shift) >> up, (u64)((s64)(a.mask << up) >> shift) >> up);
}
static inline struct tnum tnum_add(struct tnum a, struct tnum b) {
	u64 low = a.value + b.value, high = low + a.mask + b.mask;
	u64 unknown = (low ^ high) | a.mask | b.mask; /* where a carry may or may not come, or a bit was unknown */
	return TNUM(low & ~unknown, unknown);
}
static inline struct tnum tnum_sub(struct tnum a, struct tnum b) {
	u64 diff = a.value - b.value;
	u64 unknown = ((diff + a.mask) ^ (diff - b.mask)) | a.mask | b.mask;
	return TNUM(diff & ~unknown, unknown);
}
static inline struct tnum tnum_neg(struct tnum a) {
	return tnum_sub(tnum_const(0), a);
}
static inline struct tnum tnum_and(struct tnum a, struct tnum b) {
	u64 may_a = a.value | a.mask, may_b = b.value | b.mask, sure = a.value & b.value;
	return TNUM(sure, may_a & may_b & ~sure);
}
static inline struct tnum tnum_or(struct tnum a, struct tnum b) {
	u64 sure = a.value | b.value;
	return TNUM(sure, (a.mask | b.mask) & ~sure);
}
static inline struct tnum tnum_xor(struct tnum a, struct tnum b) {
	u64 unknown = a.mask | b.mask;
	return TNUM((a.value ^ b.value) & ~unknown, unknown);
}
/* What both know. When they contradict each other the result is arbitrary, yet well formed. */
static inline struct tnum tnum_intersect(struct tnum a, struct tnum b) {
	u64 unknown = a.mask & b.mask;
	return TNUM((a.value | b.value) & ~unknown, unknown);
}
/* The smallest tnum that holds the members of both. */
static inline struct tnum tnum_union(struct tnum a, struct tnum b) {
	u64 unknown = (a.value ^ b.value) | a.mask | b.mask;
	return TNUM(a.value & ~unknown, unknown);
}
/* Do they have a member in common? */
static inline bool tnum_overlap(struct tnum a, struct tnum b) {
	return !((a.value ^ b.value) & ~(a.mask | b.mask));
}
/* Is every member of b one of a? */
static inline bool tnum_in(struct tnum a, struct tnum b) {
	return !(b.mask & ~a.mask) && (b.value & ~a.mask) == a.value;
}
static inline bool tnum_is_aligned(struct tnum a, u64 size) {
	return !size || !((a.value | a.mask) & (size - 1));
}
/* The smallest member above x; the largest one when there is none. Above the highest known bit in which x + 1 is no member
 * the member has its bits; from there on it is as small as it can be. When that bit would have to become 0, the lowest
 * unknown 0 above it becomes 1 instead. */
static inline u64 tnum_next(struct tnum a, u64 x) {
	u64 last = a.value | a.mask, y = x + 1, differ = (y ^ a.value) & ~a.mask, below, carry;
	if (x >= last || !differ)
		return x >= last ? last : y;
	below = ~(u64)0 >> __builtin_clzll(differ); /* that bit and those below it */
	if (a.value & (below ^ below >> 1))
		return (y & ~below) | (a.value & below);
	carry = a.mask & ~y & ~below;
	carry &= -carry;
	ASSERT_DEBUG(carry);
	return (y & ~(carry | (carry - 1))) | carry | (a.value & (carry - 1));
}
/* Zero extension of the low bytes. */
static inline struct tnum tnum_cast(struct tnum a, u32 bytes) {
	u64 keep = bytes >= 8 ? ~(u64)0 : ((u64)1 << (bytes * 8)) - 1;
	return TNUM(a.value & keep, a.mask & keep);
}
struct tnum tnum_mul(struct tnum a, struct tnum b);
#endif
