/* Division by a constant as multiplication: floor(a / c) = floor(a * m / 2^(BITS + shift)) for every a of BITS bits, when
 * m = ceil(2^(BITS + shift) / c) and the error m * c - 2^(BITS + shift) is at most 2^shift (Granlund and Montgomery 1994).
 * The smallest shift for which m fits BITS bits is taken; for some c there is none, then m has one bit more: `add`, and
 * m holds the lower BITS of it. */
#ifndef SKEP_JIT_MAGIC_H
#define SKEP_JIT_MAGIC_H
#include "base/base.h"

struct magic {
	u64 m;
	u8 shift; /* after the BITS */
	bool add; /* m stands for m + 2^BITS */
};

/* c is not 0 and not a power of two. */
static inline struct magic magic_divide32(u32 c) {
	u32 log = 32 - (u32)__builtin_clz(c - 1); /* ceil(log2(c)) */
	for (u32 k = 0; k < log; k++) {
		u64 power = 1ull << (32 + k), m = power / c + 1;
		if (m * c - power <= 1ull << k && m >> 32 == 0)
			return (struct magic){m, (u8)k, false};
	}
	/* 2^(32+log) / c - 2^32 = 2^32 * (2^log - c) / c */
	return (struct magic){(((1ull << log) - c) << 32) / c + 1, (u8)log, true};
}

static inline struct magic magic_divide64(u64 c) {
	u32 log = 64 - (u32)__builtin_clzll(c - 1);
	for (u32 k = 0; k < log; k++) {
		unsigned __int128 power = (unsigned __int128)1 << (64 + k), m = power / c + 1;
		if (m * c - power <= (unsigned __int128)1 << k && m >> 64 == 0)
			return (struct magic){(u64)m, (u8)k, false};
	}
	u64 rest = (log == 64 ? 0 : 1ull << log) - c;
	return (struct magic){(u64)(((unsigned __int128)rest << 64) / c) + 1, (u8)log, true};
}
#endif
