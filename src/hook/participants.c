/* After deaths. A process that is killed in the middle of an operation leaves marks in shared maps: a busy record in a
 * ring, a spin lock that is held. The marks name participants (map/map.h); here it is decided which of them are dead, and
 * the maps' own checks repair what they left.
 *
 *     shared.participant[n mod cells] = n << 32 | process       written by skep at boot, by forked children themselves
 *
 * A number counts as dead only when the process that stands beside it is gone. A number that stands nowhere any more
 * (its cell was used again), or whose process number lives again, counts as living: nothing is repaired then, which is
 * the harmless mistake. Targets can write what they like there: they can harm the maps that they can write anyway.
 *
 * A check reads whole maps, so checks follow each other at a distance of twenty times their own length. */
#include "hook/launch_state.h"
#include <errno.h>
#include <string.h>

enum { PAUSE_FACTOR = 20, PAUSE_MIN_MS = 500 };

static _Thread_local const struct launch *checking; /* during map_ops.check, whose callback has no owner */

static bool alive(u32 owner) {
	const struct launch *l = checking;
	ASSERT(l);
	if (!owner)
		return !l->child_ended;
	return owner > PARTICIPANT_MAX || !(l->dead[owner / 8] & 1u << owner % 8);
}

/* Numbers whose process is gone since the last time. */
static bool find_dead(struct launch *l) {
	struct shared *sh = l->session.shared;
	bool any = false;
	u32 used = MIN(READ_ONCE(sh->participants), PARTICIPANT_CELLS - 1u);
	for (u32 i = 0; i <= used; i++) {
		u64 cell = load_acquire(&sh->participant[i]);
		u32 n = (u32)(cell >> 32);
		if (!cell || n > PARTICIPANT_MAX || !kill((pid_t)(u32)cell, 0) || errno != ESRCH)
			continue;
		l->dead[n / 8] |= (u8)(1u << n % 8);
		any = true;
		__atomic_compare_exchange_n(&sh->participant[i], &cell, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
	return any;
}

static void check_maps(struct launch *l) {
	ASSERT(!checking);
	checking = l;
	for (u32 i = 0; i < l->session.maps_n; i++) {
		const struct engine_map *m = l->session.maps[i];
		const char *why = "";
		if (m->ops && m->ops->check && m->ops->check(&m->map, alive, &why))
			launch_note(l, "map %s was left damaged by a process that died: %s", m->name, why);
	}
	checking = NULL;
}

void participants_check(struct launch *l, bool now) {
	u64 started = launch_now_ms();
	l->deaths |= find_dead(l);
	if (!l->deaths || (!now && started < l->next_check_ms))
		return;
	check_maps(l);
	l->deaths = false;
	l->next_check_ms = launch_now_ms() + MAX((launch_now_ms() - started) * PAUSE_FACTOR, (u64)PAUSE_MIN_MS);
}
