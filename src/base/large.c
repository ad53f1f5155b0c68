#include "base/large.h"
#include <stdlib.h>
#include <sys/mman.h>

/* A huge page is zeroed as a whole, in the time of 100 (virtual machines: 10) page faults; so small blocks stay small. */
enum { HUGE_PAGE = 2 << 20, WORTH_IT = 512 << 10 };

void *large_alloc(u64 size) {
	if (size < WORTH_IT)
		return malloc(size);
	size = round_up(size, HUGE_PAGE);
	void *p = aligned_alloc(HUGE_PAGE, size);
	if (p)
		madvise(p, size, MADV_HUGEPAGE); /* advice: a system without them has small pages, all else is the same */
	return p;
}
