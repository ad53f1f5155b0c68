/* The end of a run that was aborted: it is counted, and what it holds is given back, newest first. */
#include "helper/held.h"
#include "helper/helper.h"
#include "map/ringbuf.h"

void run_release(struct skep_run *run) {
	for (u32 n = MIN(run->held_n, RUN_HELD_MAX); n-- > 0;) {
		const struct run_held *held = &run->held[n];
		if (held->kind == HELD_SPIN_LOCK)
			value_unlock(held->at);
		else if (held->kind == HELD_RINGBUF)
			ring_commit(held->at, true);
	}
	run->held_n = 0;
	if (run->status)
		run_count(run, COUNT_ABORTED);
}
