/* The control plane of ring buffers: creation, the consumer, the check. */
#include "map/control.h"
#include "map/ringbuf.h"
#include <stdlib.h>
#include <unistd.h>

enum { KERNEL_ENOTSUPP = 524 }; /* what the kernel answers where a type has no such operation */

static int geometry(struct map *map) {
	u64 page = sysconf(_SC_PAGESIZE);
	if (map->map_flags & ~BPF_F_NUMA_NODE || map->key_size || map->value_size || !is_power_of_two(map->max_entries) ||
	    map->max_entries % page)
		return -EINVAL;
	map->nr_cpus = 1;
	map->index_mask = map->max_entries - 1;
	for (u32 i = 0; i < MAP_OFFS; i++)
		map->off[i] = 0;
	map->off[RING_CONSUMER] = 0;
	map->off[RING_PRODUCER] = page;
	map->off[RING_DATA] = 2 * page;
	map->off[RING_RESERVE] = 0;
	map->area_size = page;
	map->data_size = 2 * page + 2 * (u64)map->max_entries;
	return 0;
}
static int init(struct map *map) {
	ASSERT(map->area && map->data);
	ASSERT(is_power_of_two((u64)map->index_mask + 1));
	return 0;
}
static int lookup(const struct map *map, const void *key, void *value, u64 flags) {
	return -KERNEL_ENOTSUPP;
}
static int update(const struct map *map, const void *key, const void *value, u64 flags) {
	return -KERNEL_ENOTSUPP;
}
static int delete(const struct map *map, const void *key) {
	return -KERNEL_ENOTSUPP;
}
static int get_next_key(const struct map *map, const void *key, void *next) {
	return -KERNEL_ENOTSUPP;
}

u64 ringbuf_map_pending(const struct map *map) {
	u64 pending = load_acquire(ring_producer(map)) - READ_ONCE(*ring_consumer(map));
	return MIN(pending, (u64)map->index_mask + 1);
}
/* The header at pos, if the whole record lies before the producer: true. */
static bool header_at(const struct map *map, u64 pos, u64 producer, u64 *header) {
	*header = load_acquire(ring_header(map, pos));
	return ring_bytes(*header & RING_LENGTH) <= MIN(producer - pos, (u64)map->index_mask + 1);
}
s64 ringbuf_map_consume(const struct map *map, int (*fn)(void *owner, const void *data, u32 size), void *owner) {
	ASSERT(map->type == BPF_MAP_TYPE_RINGBUF && map->data);
	s64 handed = 0;
	u8 *copy = NULL;
	u32 room = 0;
	u64 pos = READ_ONCE(*ring_consumer(map)), header;
	for (bool stop = false; !stop;) {
		u64 producer = load_acquire(ring_producer(map));
		if (pos == producer)
			break;
		if (producer - pos > (u64)map->index_mask + 1 || pos % 8) {
			pos = producer & ~7ull; /* somebody scribbled: what there was is lost */
			store_release(ring_consumer(map), pos);
			handed = -EIO;
			break;
		}
		bool whole = header_at(map, pos, producer, &header);
		if (header & RING_BUSY)
			break;
		if (!whole) {
			store_release(ring_consumer(map), producer & ~7ull);
			handed = -EIO;
			break;
		}
		u32 size = header & RING_LENGTH;
		if (!(header & RING_DISCARDED)) {
			if (size > room) {
				free(copy);
				room = round_up(size, 256);
				copy = malloc(room);
				if (!copy) {
					handed = -ENOMEM;
					break;
				}
			}
			copy_words(copy, (const u8 *)(ring_header(map, pos) + 1), size);
		}
		pos += ring_bytes(size);
		store_release(ring_consumer(map), pos);
		if (!(header & RING_DISCARDED)) {
			handed++;
			stop = fn(owner, copy, size) != 0;
		}
	}
	free(copy);
	return handed;
}

static int check(const struct map *map, bool (*alive)(u32 owner), const char **why) {
	ASSERT(map->type == BPF_MAP_TYPE_RINGBUF && alive);
	*why = NULL;
	ring_complete(map);
	u64 producer = load_acquire(ring_producer(map)), pos = READ_ONCE(*ring_consumer(map)), header;
	struct ring_reserve last = ring_read_last(map);
	if (!alive(0) && last.pos + (last.owner ? ring_bytes(last.size) : 0) != producer)
		*why = "the producer position is not behind the last record";
	else if (producer - pos > (u64)map->index_mask + 1)
		*why = "the consumer is not behind the producer";
	while (!*why && pos != producer) {
		if (!header_at(map, pos, producer, &header)) {
			*why = "a record leads beyond the producer";
			break;
		}
		u32 owner = (u16)(header >> 32);
		if (header & RING_BUSY && owner != PARTICIPANT_ANY && !alive(owner))
			cas(ring_header(map, pos), header, (header & ~RING_BUSY) | RING_DISCARDED);
		pos += ring_bytes(header & RING_LENGTH);
	}
	return *why ? -EIO : 0;
}

const struct map_ops ringbuf_map_ops = {
    .type = BPF_MAP_TYPE_RINGBUF,
    .geometry = geometry,
    .init = init,
    .lookup = lookup,
    .update = update,
    .delete = delete,
    .get_next_key = get_next_key,
    .lookup_and_delete = lookup,
    .check = check,
};
