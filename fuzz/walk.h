/* Two verifiers' walks over one program, compared by their logs of level 2. */
#ifndef SKEP_FUZZ_WALK_H
#define SKEP_FUZZ_WALK_H
#include "base/base.h"

enum { WALK_LINE = 4096 };

enum walk_result { WALK_SAME, WALK_KNOWN, WALK_DIFFERS };

/* The first lines that are not the same; empty at the end of a log. before: the last one that was. */
struct walk_difference {
	char before[WALK_LINE], ours[WALK_LINE], kernels[WALK_LINE];
};
/* Both logs are whole. WALK_KNOWN: they differ in a way that docs/verdicts.md has. */
enum walk_result walk_compare(const char *ours, const char *kernels, struct walk_difference *d);
#endif
