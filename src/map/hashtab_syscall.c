/* The control plane of hashes: creation, what bpf(2) asks for, and the check that follows a death. hashtab.c has the
 * picture.
 *
 * The area: header with cursors │ buckets │ used bits │ their summary │ elements │ per-CPU: one plane of values a CPU.
 * Everything but the bits beyond max_entries starts as zero, so a new map is a new sparse file.
 *
 * The check runs while others go on. For each element whose owner is dead it asks whether the element's key leads to
 * it: if so the element becomes everybody's (a dead owner's number must not stay in the area), else it is free. That
 * is safe because only its owner could have made an unreachable element reachable again. Pins have no names: they are
 * taken off when nobody but the caller lives, and then the whole structure is verified too. */
#include "map/control.h"
#include "map/hashtab.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The kernel's limits: largest allocation; sizes of its structures. */
enum { KMALLOC_MAX = 4 << 20, KERNEL_ELEM = 48, KERNEL_BUCKET = 16 };

static int geometry(struct map *map) {
	bool percpu = map->type == BPF_MAP_TYPE_PERCPU_HASH;
	u32 allowed = BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | MAP_ACCESS_FLAGS;
	if (map->map_flags & ~allowed || !map_access_flags_ok(map->map_flags) ||
	    (percpu && map->map_flags & BPF_F_NUMA_NODE))
		return -EINVAL;
	if (!map->max_entries || !map->key_size || !map->value_size)
		return -EINVAL;
	if ((u64)map->key_size + map->value_size >= KMALLOC_MAX - KERNEL_ELEM)
		return -E2BIG;
	if (percpu && round_up(map->value_size, 8) > MAP_PCPU_VALUE_MAX)
		return -E2BIG;
	if (map_round_up_power(map->max_entries) > UINT_MAX / KERNEL_BUCKET)
		return -E2BIG;
	u64 buckets = MAX(map_round_up_power(map->max_entries) / 4, 1ull);
	ASSERT(map->max_entries < HTAB_INDEX && buckets * HTAB_SLOTS > map->max_entries);
	if (!percpu)
		map->nr_cpus = 1;
	ASSERT(map->nr_cpus >= 1);
	map->buckets = buckets;
	map->index_mask = buckets - 1;
	map->value_stride = round_up(map->value_size, 8);
	map->elem_size = HTAB_HEADER + round_up(map->key_size, 8) + (percpu ? 0 : map->value_stride);
	u64 words = (map->max_entries + 63) / 64, at = 0;
	for (u32 i = 0; i < MAP_OFFS; i++)
		map->off[i] = 0;
	map->off[HASH_HEADER] = at;
	map->off[HASH_BUCKETS] = at = at + HTAB_HEADER_SIZE;
	map->off[HASH_USED] = at = round_up(at + buckets * HTAB_WORDS * 8, 64);
	map->off[HASH_SUMMARY] = at = round_up(at + words * 8, 64);
	map->off[HASH_ELEMS] = at = round_up(at + (words + 63) / 64 * 8, 64);
	at = round_up(at + (u64)map->max_entries * map->elem_size, 64);
	if (percpu) {
		map->off[MAP_VALUES] = at;
		map->off[MAP_CPU_PLANE] = round_up((u64)map->max_entries * map->value_stride, 64);
		at += map->nr_cpus * map->off[MAP_CPU_PLANE];
	}
	map->area_size = round_up(at, 4096);
	map->data_size = 0;
	ASSERT(map->off[HASH_ELEMS] % 64 == 0 && map->elem_size >= HTAB_HEADER + map->key_size);
	map->seed = 0;
	if (!(map->map_flags & BPF_F_ZERO_SEED) && getrandom(&map->seed, sizeof map->seed, 0) != sizeof map->seed)
		return -EAGAIN;
	return 0;
}
/* Numbers beyond max_entries are never free; cursors stand apart. */
static int init(struct map *map) {
	ASSERT(map->area && is_power_of_two(map->buckets) && map->index_mask == map->buckets - 1);
	ASSERT(map->off[HASH_BUCKETS] == HTAB_HEADER_SIZE && (u64)map->area % 64 == 0);
	u32 words = (map->max_entries + 63) / 64;
	u64 *used = (u64 *)(map->area + map->off[HASH_USED]), *summary = (u64 *)(map->area + map->off[HASH_SUMMARY]);
	if (map->max_entries % 64)
		used[words - 1] = ~0ull << (map->max_entries % 64);
	if (words % 64)
		summary[words / 64] = ~0ull << (words % 64);
	for (u32 i = 0; i < HTAB_CURSORS; i++)
		*(u32 *)(map->area + map->off[HASH_HEADER] + i * HTAB_CURSOR_SIZE) = i % words;
	return 0;
}

static int lookup(const struct map *map, const void *key, void *value, u64 flags) {
	if (flags & BPF_F_LOCK && map->spin_lock < 0)
		return -EINVAL;
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		struct htab_place place;
		int error = htab_lookup(map, key, &place);
		if (error)
			return error;
		if (!htab_pin(map, &place))
			continue;
		if (flags & BPF_F_LOCK) {
			u8 *from = htab_value(map, place.i, map->key_size, 0);
			error = copy_value_locked(map, value, from, from, map_participant(map, NULL));
		} else {
			htab_copy_out(map, place.i, value);
		}
		htab_unpin(map, place.i);
		return error;
	}
	return -EBUSY;
}
static int update(const struct map *map, const void *key, const void *value, u64 flags) {
	return htab_update(map, key, value, flags, map_participant(map, NULL), htab_is_percpu(map) ? HTAB_ALL_CPUS : 0);
}
static int delete(const struct map *map, const void *key) {
	return htab_delete(map, key, NULL, map_participant(map, NULL));
}
/* In the order of the elements' numbers. As in the kernel, a key that is not there means: from the start. */
static int get_next_key(const struct map *map, const void *key, void *next) {
	struct htab_place place;
	u32 after = key && htab_lookup(map, key, &place) == 0 ? place.i : 0;
	u32 i = htab_next_live(map, after);
	if (!i)
		return -ENOENT;
	ASSERT(i > after && i <= map->max_entries);
	memcpy(next, htab_elem(map, i)->key, map->key_size);
	return 0;
}
static int lookup_and_delete(const struct map *map, const void *key, void *value, u64 flags) {
	return htab_delete(map, key, value, map_participant(map, NULL));
}
static u32 count(const struct map *map) {
	u32 n = 0;
	const u64 *used = (const u64 *)(map->area + map->off[HASH_USED]);
	for (u32 i = 0; i < (map->max_entries + 63) / 64; i++)
		n += __builtin_popcountll(READ_ONCE(used[i]));
	u32 beyond = -map->max_entries % 64;
	return n >= beyond ? MIN(n - beyond, map->max_entries) : 0;
}

/* == The check == */

static u64 hash_at(const struct map *map, u32 i) {
	struct htab_key key = htab_key_of(map, htab_elem(map, i)->key);
	return htab_hash_of(map, &key);
}
/* Does a slot, or the announcement, of its key's buckets lead to element i? */
static bool reachable(const struct map *map, u32 i) {
	ASSERT(i - 1 < map->max_entries);
	u64 hash = hash_at(map, i), control = load_acquire(htab_bucket(map, hash, 0));
	if (htab_index(control) == i)
		return true;
	for (u32 distance = 0; distance <= htab_reach(control); distance++)
		for (u32 s = HTAB_FIRST; s < HTAB_WORDS; s++)
			if (htab_index(load_acquire(htab_bucket(map, hash, distance) + s)) == i)
				return true;
	return false;
}
/* One element whose owner is dead, or that is pinned while nobody but us lives. */
static void repair(const struct map *map, u32 i, u64 claim, bool others) {
	u64 pins = others ? claim & CLAIM_PINS : 0, *word = &htab_elem(map, i)->claim;
	if (reachable(map, i)) /* it belongs to all: its owner's number must be free to be given out again */
		cas(word, claim, (claim & ~(CLAIM_OWNER | CLAIM_PINS)) | pins | PARTICIPANT_ANY);
	else if (!pins)
		cas(word, claim, htab_claim_free(claim));
}
/* Slots lead to elements that belong to somebody, each once, with the tag of a key whose buckets reach here. */
static const char *check_bucket(const struct map *map, u32 b, u8 *seen) {
	u64 *bucket = htab_bucket(map, b, 0), control = load_acquire(bucket);
	if (htab_index(control))
		htab_help(map, b, control); /* a bucket's number is as good as a hash that ends with it */
	if (htab_index(load_acquire(bucket)))
		return "an announced key does not come in";
	for (u32 s = HTAB_FIRST; s < HTAB_WORDS; s++) {
		u64 word = load_acquire(bucket + s);
		u32 i = htab_index(word);
		if (!i)
			continue;
		if (i > map->max_entries)
			return "a slot leads out of the map";
		u64 hash = hash_at(map, i), home = load_acquire(htab_bucket(map, hash, 0));
		if ((u8)(bucket[HTAB_TAGS] >> 8 * (s - HTAB_FIRST)) != htab_tag(hash) ||
		    ((b - hash) & (map->buckets - 1)) > htab_reach(home))
			return "a key is in the wrong bucket";
		struct htab_place place;
		if (seen[i / 8] & 1 << i % 8 || htab_lookup(map, htab_elem(map, i)->key, &place) || place.i != i)
			return "a key is there twice";
		seen[i / 8] |= 1 << i % 8;
		if (!(READ_ONCE(htab_elem(map, i)->claim) & CLAIM_OWNER))
			return "a key's element counts as free";
	}
	return NULL;
}
static int check(const struct map *map, bool (*alive)(u32 owner), const char **why) {
	bool others = alive(0);
	*why = NULL;
	for (u32 i = 1; i <= map->max_entries; i++) {
		struct htab_elem *e = htab_elem(map, i);
		u64 claim = READ_ONCE(e->claim);
		u32 owner = claim & CLAIM_OWNER;
		if (owner && map->spin_lock >= 0)
			value_lock_repair(map, htab_value(map, i, map->key_size, 0), alive);
		if ((owner && owner != PARTICIPANT_ANY && !alive(owner)) || (claim & (CLAIM_PINS | CLAIM_RETIRED) && !others))
			repair(map, i, claim, others);
		htab_correct_bit(map, i);
	}
	/* The structure is looked at as a whole only when nobody changes it meanwhile. */
	u8 *seen = !others ? calloc(1, map->max_entries / 8 + 1) : NULL;
	for (u32 b = 0; seen && b < map->buckets && !*why; b++)
		*why = check_bucket(map, b, seen);
	free(seen);
	return *why ? -EIO : 0;
}

const struct map_ops htab_map_ops = {
    .type = BPF_MAP_TYPE_HASH,
    .geometry = geometry,
    .init = init,
    .lookup = lookup,
    .update = update,
    .delete = delete,
    .get_next_key = get_next_key,
    .lookup_and_delete = lookup_and_delete,
    .count = count,
    .check = check,
};
const struct map_ops htab_percpu_map_ops = {
    .type = BPF_MAP_TYPE_PERCPU_HASH,
    .geometry = geometry,
    .init = init,
    .lookup = lookup,
    .update = update,
    .delete = delete,
    .get_next_key = get_next_key,
    .lookup_and_delete = lookup_and_delete,
    .count = count,
    .check = check,
};
