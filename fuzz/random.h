/* Random numbers for fuzzers: xorshift64*, seeded, the same everywhere. */
#ifndef SKEP_FUZZ_RANDOM_H
#define SKEP_FUZZ_RANDOM_H
#include "base/base.h"

struct random {
	u64 state;
};
static inline u64 random64(struct random *r) {
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dull;
}
static inline void random_seed(struct random *r, u64 seed) {
	r->state = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
	random64(r);
}
/* 0 … n-1 */
static inline u32 random_below(struct random *r, u32 n) {
	return (u32)((random64(r) >> 32) * n >> 32);
}
static inline bool random_chance(struct random *r, u32 percent) {
	return random_below(r, 100) < percent;
}
#endif
