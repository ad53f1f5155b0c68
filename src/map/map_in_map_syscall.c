/* The control plane of prog_array and array_of_maps. What a descriptor means, and whether it fits, the runtime decides. */
#include "map/control.h"

static u64 *slot_at(const struct map *map, u32 index) {
	ASSERT(index < map->max_entries);
	return (u64 *)map_values(map) + index;
}
static int geometry(struct map *map) {
	if (map->value_size != 4 || map->map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG))
		return -EINVAL;
	int error = array_geometry(map);
	if (error)
		return error;
	map->value_stride = 8;
	map->area_size = round_up((u64)map->max_entries * 8, 4096);
	return 0;
}
static int init(struct map *map) {
	ASSERT(map->area && map->value_stride == 8);
	return 0;
}
static int lookup(const struct map *map, const void *key, void *value, u64 flags) {
	u32 index = *(const u32_anywhere *)key;
	u64 slot = index < map->max_entries ? load_acquire(slot_at(map, index)) : 0;
	if (!slot)
		return -ENOENT;
	__builtin_memcpy(value, &slot, sizeof slot);
	return 0;
}
static int update(const struct map *map, const void *key, const void *value, u64 flags) {
	u32 index = *(const u32_anywhere *)key;
	if (flags != BPF_ANY)
		return -EINVAL;
	if (index >= map->max_entries)
		return -E2BIG;
	u64 slot;
	__builtin_memcpy(&slot, value, sizeof slot);
	ASSERT((u32)slot);
	store_release(slot_at(map, index), slot);
	return 0;
}
static int delete(const struct map *map, const void *key) {
	u32 index = *(const u32_anywhere *)key;
	if (index >= map->max_entries)
		return -E2BIG;
	return __atomic_exchange_n(slot_at(map, index), 0, __ATOMIC_SEQ_CST) ? 0 : -ENOENT;
}
static int lookup_and_delete(const struct map *map, const void *key, void *value, u64 flags) {
	return -EOPNOTSUPP;
}
static int check(const struct map *map, bool (*alive)(u32 owner), const char **why) {
	return 0;
}

#define OBJECTS(NAME, TYPE)                                                                                            \
	const struct map_ops NAME = {                                                                                  \
	    .type = TYPE,                                                                                              \
	    .geometry = geometry,                                                                                      \
	    .init = init,                                                                                              \
	    .lookup = lookup,                                                                                          \
	    .update = update,                                                                                          \
	    .delete = delete,                                                                                          \
	    .get_next_key = array_get_next_key,                                                                        \
	    .lookup_and_delete = lookup_and_delete,                                                                    \
	    .check = check,                                                                                            \
	}
OBJECTS(prog_array_map_ops, BPF_MAP_TYPE_PROG_ARRAY);
OBJECTS(array_of_map_ops, BPF_MAP_TYPE_ARRAY_OF_MAPS);
