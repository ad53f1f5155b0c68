/* What a run holds, and what is counted. */
#ifndef SKEP_HELPER_HELD_H
#define SKEP_HELPER_HELD_H
#include "map/value.h"

/* The acquisition has ended. Most programs hold one thing, the last. */
static inline void run_drop(struct skep_run *run, const void *at) {
	u32 n = MIN(run->held_n, RUN_HELD_MAX);
	for (u32 i = n; i-- > 0;) {
		if (run->held[i].at != at)
			continue;
		run->held[i] = run->held[n - 1];
		run->held_n = n - 1;
		return;
	}
}
static inline void run_count(const struct skep_run *run, enum run_counter counter) {
	if (run->env->counters)
		__atomic_fetch_add(&run->env->counters[counter], 1, __ATOMIC_RELAXED);
}
#endif
