/* Memory that running programs may still see: tables of slots, programs and inner maps that were in slots.
 *
 * Runs that can reach such things announce themselves: they add one to running[phase] of a slot chosen by CPU and take
 * it away at the end, on the same slot (run_enter, run_leave). What is retired has been unpublished before; it is free
 * once each phase of each slot has been seen at zero since. Only the phase that new runs do not use is looked at, and
 * phases are swapped whenever it was idle, so busy programs cannot starve it. Both phases must have been idle: a run
 * may read the phase, be delayed, and add itself to the old one after the swap.
 *
 * Nothing waits: retire_poll runs at the start of commands and frees what it can. The engine's mutex is held. */
#include "runtime/state.h"

void retire(struct skep_engine *e, void (*free_it)(struct skep_engine *, void *), void *what) {
	struct retired *r = calloc(1, sizeof *r);
	if (!r)
		return; /* leaks rather than frees too early */
	*r = (struct retired){.next = e->retired, .free = free_it, .what = what};
	e->retired = r;
}

static bool idle(struct skep_engine *e, u32 phase) {
	for (u32 i = 0; i < RUN_SLOTS; i++)
		if (__atomic_load_n(&e->runs[i].running[phase], __ATOMIC_SEQ_CST))
			return false;
	return true;
}

void retire_poll(struct skep_engine *e) {
	for (u32 turn = 0; turn < 2 && e->retired; turn++) {
		u32 old = ~e->phase & 1;
		/* Whoever does not see what was unpublished before is seen here. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!idle(e, old))
			return;
		struct retired *ripe = NULL;
		for (struct retired **at = &e->retired; *at;) {
			struct retired *r = *at;
			r->seen |= 1u << old;
			if (r->seen != 3) {
				at = &r->next;
				continue;
			}
			*at = r->next;
			r->next = ripe, ripe = r;
		}
		__atomic_store_n(&e->phase, e->phase + 1, __ATOMIC_SEQ_CST);
		while (ripe) { /* may retire more: for a later turn */
			struct retired *r = ripe;
			ripe = r->next;
			r->free(e, r->what);
			free(r);
		}
	}
}
