/* bpf_ringbuf_*: reservations are recorded in the run, so that an aborted run gives them back. */
#include "helper/held.h"
#include "map/ringbuf.h"

enum { WAKEUP_FLAGS = BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP };

/* r1 = map, r2 = size, r3 = flags (0): the record, or NULL when there is no room. */
u64 helper_ringbuf_reserve(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	if (unlikely(r3 || run->held_n >= RUN_HELD_MAX))
		return 0;
	u8 *record = ring_reserve(map, r2, map_participant(map, run));
	if (unlikely(!record)) {
		run_count(run, COUNT_LOST_RINGBUF);
		return 0;
	}
	run->held[run->held_n++] = (struct run_held){.kind = HELD_RINGBUF, .at = record, .map = map};
	return (u64)record;
}
/* r1 = record, r2 = flags. */
u64 helper_ringbuf_submit(DP_ARGS) {
	run_drop(run, (void *)r1);
	ring_commit((u8 *)r1, false);
	return 0;
}
u64 helper_ringbuf_discard(DP_ARGS) {
	run_drop(run, (void *)r1);
	ring_commit((u8 *)r1, true);
	return 0;
}
/* r1 = map, r2 = data, r3 = size, r4 = flags. */
u64 helper_ringbuf_output(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	if (unlikely(r4 & ~(u64)WAKEUP_FLAGS))
		return -EINVAL;
	u8 *record = ring_reserve(map, r3, map_participant(map, run));
	if (unlikely(!record)) {
		run_count(run, COUNT_LOST_RINGBUF);
		return -EAGAIN;
	}
	copy_words(record, (const u8 *)r2, r3);
	ring_commit(record, false);
	return 0;
}
/* r1 = map, r2 = what. */
u64 helper_ringbuf_query(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	switch (r2) {
	case BPF_RB_AVAIL_DATA: {
		u64 consumer = load_acquire(ring_consumer(map));
		return load_acquire(ring_producer(map)) - consumer;
	}
	case BPF_RB_RING_SIZE:
		return (u64)map->index_mask + 1;
	case BPF_RB_CONS_POS:
		return load_acquire(ring_consumer(map));
	case BPF_RB_PROD_POS:
		return load_acquire(ring_producer(map));
	default:
		return 0;
	}
}
