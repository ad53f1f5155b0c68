/* bpf_spin_lock: a lock that stays taken for about 10 ms ends the run instead of hanging somebody's thread. */
#include "helper/held.h"

/* r1 = lock in a map value. */
u64 helper_spin_lock(DP_ARGS) {
	u32 participant = run->env->participant ? run->env->participant : PARTICIPANT_ANY;
	if (run->held_n >= RUN_HELD_MAX)
		run->status = RUN_HELD;
	else if (!value_lock((u32 *)r1, participant))
		run->status = RUN_LOCK;
	else
		run->held[run->held_n++] = (struct run_held){.kind = HELD_SPIN_LOCK, .at = (void *)r1};
	return 0;
}
u64 helper_spin_unlock(DP_ARGS) {
	run_drop(run, (void *)r1);
	value_unlock((u32 *)r1);
	return 0;
}
