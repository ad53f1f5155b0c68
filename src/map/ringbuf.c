/* The ring buffer: many producers in many processes, one consumer, the kernel's memory layout.
 *
 *  data (the token, mapped by consumers from byte 0)                      area (private)
 *  ┌──────────┬──────────┬───────────────────────┬──────────────────────┐ ┌──────────────────────┐
 *  │ consumer │ producer │ ring, N bytes         │ second half, N bytes │ │ last: pos size owner │
 *  │ position │ position │ hdr data hdr data …   │                      │ └──────────────────────┘
 *  └──────────┴──────────┴───────────────────────┴──────────────────────┘
 *
 * Wrapping. The kernel maps the ring's pages twice, so that a record which passes the end continues at the start. Here the
 * second half is memory of its own: such a record simply runs on into it, and the bytes at the start that it would have
 * covered stay unused. Consumers (libbpf's among them) read a record as one piece from its header, so they cannot tell,
 * and a file can be mapped plainly, by anybody.
 *
 * Reservation without a lock. A producer must own the space before it writes the header, but the header must be busy before
 * the producer position passes it. So the truth is a 16-byte word, the last reservation {pos, size, owner}:
 *   1. complete the last reservation, if its owner has not: make its header busy, move the producer position past it;
 *   2. is there room?  3. CAS the last reservation: the space is mine;
 *   4. write my header, busy;  5. CAS the producer position from my start to my end.
 * A producer that is killed or interrupted after 3 is completed by the next one (ring_complete). It writes the header
 * by CAS from what it saw before it saw that the producer position had not passed: later the owner may have committed
 * it. So that the value before cannot equal the value after, headers carry the lap.
 *
 * Commit clears the busy bit. Records of the dead stay busy and hold up the consumer until map_ops.check discards them: the
 * header names the participant.
 *
 * Nobody is woken; consumers poll, and the wake-up flags of submit and output are accepted and mean nothing. A waiter could
 * announce itself beside the last reservation, where looking costs a producer one load of a line it has. But producers
 * under a seccomp filter may not make the call (RUN_NO_SYSCALLS) and dead ones do not, so a consumer must wake up by
 * itself anyway; and the consumers there are wait for more than a ring (a command's end, requests), in epoll, where a
 * futex cannot be. Who adds it: the word goes into the area, commit needs the map (run_held has it), the time limit stays.
 *
 * Hostile areas: positions are masked and sizes bounded by the descriptor; records lie in the two halves whatever the
 * words hold.
 *
 * Rules for changing: never write ring bytes that are not reserved by oneself, except a header by CAS as above. */
#include "map/ringbuf.h"

enum { RING_RECORD_MAX = 0xffffffffu / 4 };

static ALWAYS_INLINE bool cas_reserve(struct ring_reserve *at, struct ring_reserve was, struct ring_reserve to) {
#if defined(__x86_64__)
	u64 was_low = was.pos, was_high = was.size | (u64)was.owner << 32;
	bool done;
	__asm__ volatile("lock cmpxchg16b %1"
	                 : "=@ccz"(done), "+m"(*at), "+a"(was_low), "+d"(was_high)
	                 : "b"(to.pos), "c"(to.size | (u64)to.owner << 32)
	                 : "memory");
	return done;
#elif defined(__aarch64__)
	u64 low, high, to_high = to.size | (u64)to.owner << 32, was_high = was.size | (u64)was.owner << 32;
	u32 failed;
	for (u32 n = 0; n < RING_TRIES; n++) {
		__asm__ volatile("ldaxp %0, %1, %2" : "=&r"(low), "=&r"(high) : "Q"(*at) : "memory");
		bool same = low == was.pos && high == was_high;
		__asm__ volatile("stlxp %w0, %1, %2, %3"
		                 : "=&r"(failed)
		                 : "r"(same ? to.pos : low), "r"(same ? to_high : high), "Q"(*at)
		                 : "memory");
		if (!failed)
			return same;
	}
	return false;
#endif
}
/* Positions only grow, so the same position before and after means that the rest belongs to it. */
struct ring_reserve ring_read_last(const struct map *map) {
	struct ring_reserve *last = ring_last(map), copy;
	for (u32 n = 0; n < RING_TRIES; n++) {
		copy.pos = load_acquire(&last->pos);
		u64 rest = load_acquire((u64 *)&last->size);
		copy.size = rest, copy.owner = rest >> 32;
		if (likely(READ_ONCE(last->pos) == copy.pos))
			break;
	}
	return copy;
}
static ALWAYS_INLINE u64 end_of(struct ring_reserve r) {
	return r.owner ? r.pos + ring_bytes(r.size) : r.pos;
}
static ALWAYS_INLINE u64 busy_header(const struct map *map, struct ring_reserve r) {
	u64 lap = r.pos >> (32 - __builtin_clz(map->index_mask)); /* a division takes longer than the rest */
	return (r.size & RING_LENGTH) | RING_BUSY | (u64)(u16)r.owner << 32 | lap << 48;
}
static NOINLINE void complete(const struct map *map, struct ring_reserve r) {
	u64 *header = ring_header(map, r.pos), seen = load_acquire(header);
	if ((s64)(load_acquire(ring_producer(map)) - end_of(r)) >= 0)
		return;
	cas(header, seen, busy_header(map, r));
	cas(ring_producer(map), r.pos, end_of(r));
}
void ring_complete(const struct map *map) {
	complete(map, ring_read_last(map));
}

u8 *ring_reserve(const struct map *map, u64 size, u32 participant) {
	ASSERT(participant && participant <= PARTICIPANT_ANY);
	if (unlikely(size > RING_RECORD_MAX || ring_bytes(size) > (u64)map->index_mask + 1))
		return NULL;
	ASSERT(map->data && map->area && (u64)ring_last(map) % 16 == 0);
	u64 *producer = ring_producer(map);
	for (u32 tries = 0; tries < RING_TRIES; tries++) {
		struct ring_reserve last = ring_read_last(map);
		u64 pos = end_of(last);
		if (unlikely((s64)(load_acquire(producer) - pos) < 0)) {
			complete(map, last);
			continue;
		}
		struct ring_reserve mine = {pos, size, participant};
		u64 end = end_of(mine);
		if (unlikely(end - load_acquire(ring_consumer(map)) > map->index_mask))
			return NULL;
		if (unlikely(!cas_reserve(ring_last(map), last, mine)))
			continue;
		u64 *header = ring_header(map, pos);
		WRITE_ONCE(*header, busy_header(map, mine));
		cas(producer, pos, end);
		return (u8 *)(header + 1);
	}
	return NULL;
}
void ring_commit(u8 *record, bool discard) {
	ASSERT((u64)record % 8 == 0);
	u32 *length = (u32 *)(record - BPF_RINGBUF_HDR_SZ);
	u32 to = READ_ONCE(*length) & RING_LENGTH;
	store_release(length, discard ? to | BPF_RINGBUF_DISCARD_BIT : to);
}
