/* What of its context a program can see: hook routines fill in that and no more. */
#ifndef SKEP_HOOK_READS_H
#define SKEP_HOOK_READS_H
#include "abi/image.h"

struct reads {
	u32 words;    /* bit i: the word at 8 * i of its context is loaded directly */
	bool follows; /* it may read what pointers of its context lead to, or hand the context on */
};
struct reads reads_of(const struct image *image);
#endif
