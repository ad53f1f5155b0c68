/* The control plane of arrays and per-CPU arrays. */
#include "map/control.h"
#include <limits.h>

int array_geometry(struct map *map) {
	bool percpu = map->type == BPF_MAP_TYPE_PERCPU_ARRAY, array = map->type == BPF_MAP_TYPE_ARRAY;
	u32 allowed = BPF_F_NUMA_NODE | BPF_F_MMAPABLE | BPF_F_PRESERVE_ELEMS | BPF_F_INNER_MAP | MAP_ACCESS_FLAGS;
	if (!map->max_entries || map->key_size != 4 || !map->value_size || map->map_flags & ~allowed ||
	    !map_access_flags_ok(map->map_flags) || (percpu && map->map_flags & BPF_F_NUMA_NODE))
		return -EINVAL;
	if ((!array && map->map_flags & (BPF_F_MMAPABLE | BPF_F_INNER_MAP)) || map->map_flags & BPF_F_PRESERVE_ELEMS)
		return -EINVAL;
	if (map->value_size > INT_MAX)
		return -E2BIG;
	if (percpu && round_up(map->value_size, 8) > MAP_PCPU_VALUE_MAX)
		return -E2BIG;
	u64 slots = map_round_up_power(map->max_entries);
	if (slots > UINT_MAX)
		return -E2BIG;
	map->value_stride = round_up(map->value_size, 8);
	map->index_mask = slots - 1;
	if (!percpu)
		map->nr_cpus = 1;
	ASSERT(map->nr_cpus >= 1);
	u64 plane = round_up((u64)map->max_entries * map->value_stride, 64);
	for (u32 i = 0; i < MAP_OFFS; i++)
		map->off[i] = 0;
	map->off[MAP_CPU_PLANE] = percpu ? plane : 0;
	map->area_size = round_up(plane * map->nr_cpus, 4096);
	map->data_size = 0;
	if (map->map_flags & BPF_F_MMAPABLE) {
		map->data_size = map->area_size;
		map->area_size = 0;
	}
	return 0;
}
static int init(struct map *map) {
	ASSERT(map->value_stride >= map->value_size && map->value_stride % 8 == 0);
	ASSERT(map->data_size ? map->data != NULL : map->area != NULL);
	return 0;
}
static u8 *value_at(const struct map *map, u32 index, u32 cpu) {
	ASSERT(index < map->max_entries && cpu < map->nr_cpus);
	return map_values(map) + (u64)index * map->value_stride + cpu * map->off[MAP_CPU_PLANE];
}
static int lookup(const struct map *map, const void *key, void *value, u64 flags) {
	u32 index = *(const u32_anywhere *)key;
	if (flags & BPF_F_LOCK && map->spin_lock < 0)
		return -EINVAL;
	if (index >= map->max_entries)
		return -ENOENT;
	if (flags & BPF_F_LOCK) {
		u8 *from = value_at(map, index, 0);
		return copy_value_locked(map, value, from, from, map_participant(map, NULL));
	}
	if (!map->off[MAP_CPU_PLANE])
		copy_value(map, value, value_at(map, index, 0));
	else
		for (u32 c = 0; c < map->nr_cpus; c++)
			copy_words((u8 *)value + (u64)c * map->value_stride, value_at(map, index, c), map->value_stride);
	return 0;
}
static int update(const struct map *map, const void *key, const void *value, u64 flags) {
	if (flags & BPF_F_LOCK && map->spin_lock < 0)
		return -EINVAL; /* bpf(2) says so before it looks at the index */
	return array_map_update_elem((u64)map, (u64)key, (u64)value, flags, 0, NULL);
}
static int update_percpu(const struct map *map, const void *key, const void *value, u64 flags) {
	u32 index = *(const u32_anywhere *)key;
	if (flags > BPF_EXIST)
		return -EINVAL;
	if (index >= map->max_entries)
		return -E2BIG;
	if (flags == BPF_NOEXIST)
		return -EEXIST;
	for (u32 c = 0; c < map->nr_cpus; c++)
		copy_words(value_at(map, index, c), (const u8 *)value + (u64)c * map->value_stride, map->value_stride);
	return 0;
}
static int delete(const struct map *map, const void *key) {
	return -EINVAL;
}
int array_get_next_key(const struct map *map, const void *key, void *next) {
	u32 index = key ? *(const u32_anywhere *)key : UINT_MAX;
	if (index >= map->max_entries)
		index = UINT_MAX;
	else if (index == map->max_entries - 1)
		return -ENOENT;
	ASSERT(index == UINT_MAX || index + 1 < map->max_entries);
	*(u32_anywhere *)next = index + 1;
	return 0;
}
static int lookup_and_delete(const struct map *map, const void *key, void *value, u64 flags) {
	return -EOPNOTSUPP; /* the kernel's ENOTSUPP is 524; bpf(2) answers before it gets here */
}

bool value_lock_repair(const struct map *map, u8 *value, bool (*alive)(u32 owner)) {
	ASSERT(map->spin_lock >= 0);
	u32 *lock = value_lock_of(map, value), holder = READ_ONCE(*lock);
	return holder && !alive(holder) &&
	       __atomic_compare_exchange_n(lock, &holder, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}
static int check(const struct map *map, bool (*alive)(u32 owner), const char **why) {
	if (map->spin_lock >= 0)
		for (u32 i = 0; i < map->max_entries; i++)
			value_lock_repair(map, value_at(map, i, 0), alive);
	return 0;
}

const struct map_ops array_map_ops = {
    .type = BPF_MAP_TYPE_ARRAY,
    .geometry = array_geometry,
    .init = init,
    .lookup = lookup,
    .update = update,
    .delete = delete,
    .get_next_key = array_get_next_key,
    .lookup_and_delete = lookup_and_delete,
    .check = check,
};
const struct map_ops percpu_array_map_ops = {
    .type = BPF_MAP_TYPE_PERCPU_ARRAY,
    .geometry = array_geometry,
    .init = init,
    .lookup = lookup,
    .update = update_percpu,
    .delete = delete,
    .get_next_key = array_get_next_key,
    .lookup_and_delete = lookup_and_delete,
    .check = check,
};
