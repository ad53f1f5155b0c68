/* The ring buffer: layout, and what helpers and the control plane use of it. ringbuf.c is the essay. */
#ifndef SKEP_MAP_RINGBUF_H
#define SKEP_MAP_RINGBUF_H
#include "map/value.h"

/* Record header: length | flags in the low half as the kernel's ABI has it; the high half, which consumers ignore, names
 * the participant that reserved it and the lap: owner | lap << 16. */
#define RING_BUSY ((u64)BPF_RINGBUF_BUSY_BIT)
#define RING_DISCARDED ((u64)BPF_RINGBUF_DISCARD_BIT)
#define RING_LENGTH (RING_DISCARDED - 1)
enum { RING_TRIES = 4096 };

/* The last reservation: the truth from which the producer position follows. */
struct ring_reserve {
	u64 pos;   /* of its header */
	u32 size;  /* of its data; with owner 0: nothing was reserved yet */
	u32 owner;
} __attribute__((aligned(16)));

static ALWAYS_INLINE u64 ring_bytes(u32 size) {
	return round_up((u64)size + BPF_RINGBUF_HDR_SZ, 8);
}
static ALWAYS_INLINE u64 *ring_consumer(const struct map *map) {
	return (u64 *)(map->data + map->off[RING_CONSUMER]);
}
static ALWAYS_INLINE u64 *ring_producer(const struct map *map) {
	return (u64 *)(map->data + map->off[RING_PRODUCER]);
}
static ALWAYS_INLINE u64 *ring_header(const struct map *map, u64 pos) {
	return (u64 *)(map->data + map->off[RING_DATA] + (pos & map->index_mask & ~7ull));
}
static ALWAYS_INLINE struct ring_reserve *ring_last(const struct map *map) {
	return (struct ring_reserve *)(map->area + map->off[RING_RESERVE]);
}

/* ringbuf.c */
u8 *ring_reserve(const struct map *map, u64 size, u32 participant); /* NULL: full */
void ring_commit(u8 *record, bool discard);
void ring_complete(const struct map *map);
struct ring_reserve ring_read_last(const struct map *map);

/* ringbuf_syscall.c: the consumer, one at a time. Hands committed records on in order, each as a copy, until one is still
 * busy or fn returns non-zero; the position is stored after each. The number of records handed on, or negative errno. */
s64 ringbuf_map_consume(const struct map *map, int (*fn)(void *owner, const void *data, u32 size), void *owner);
u64 ringbuf_map_pending(const struct map *map); /* bytes between consumer and producer, at most the ring's size */
#endif
