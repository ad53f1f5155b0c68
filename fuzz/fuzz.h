/* One fuzz target is one file with fuzz_one: it looks at some bytes and aborts when something is not as it must be. Two
 * drivers call it: driver.c makes its own inputs, a bounded number of them, anywhere; with LIBFUZZER the compiler's
 * coverage-guided one does.
 *
 *     target [--runs N] [--seconds S] [--seed X] [--canary] [FILE]…      files are run as they are, nothing else then
 *
 * The canary. fuzz_canary makes a target see one planted defect; `make fuzz-ROOM` runs it first and fails unless it is
 * found, so that a target that looks at nothing cannot pass. */
#ifndef SKEP_FUZZ_H
#define SKEP_FUZZ_H
#include "base/base.h"

void fuzz_one(const u8 *data, u64 size);
/* A fresh input, as the target likes it; size bytes at most, the length is returned. *state is a random state. */
u64 fuzz_seed(u8 *to, u64 size, u64 *state);

extern bool fuzz_canary;

/* What must hold; says what did not and aborts. */
#define FUZZ_CHECK(x) (likely(x) ? (void)0 : fuzz_failed(#x, __FILE__, __LINE__))
NORETURN void fuzz_failed(const char *what, const char *file, int line);

static inline u64 fuzz_random(u64 *state) {
	*state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1d;
}
#endif
