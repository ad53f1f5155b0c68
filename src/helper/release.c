/* The end of a run that was aborted. */
#include "helper/helper.h"
#include "map/value.h"

void run_release(struct skep_run *run) {
	while (run->held_n) {
		struct run_held *held = &run->held[--run->held_n % RUN_HELD_MAX];
		if (held->kind == HELD_SPIN_LOCK)
			value_unlock(held->at);
	}
}
