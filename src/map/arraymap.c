/* Arrays: array and per-CPU array. Values stand side by side, value_stride apart; a per-CPU array has one such plane for
 * each CPU, map.off[MAP_CPU_PLANE] = round_up(max_entries * value_stride, 64) bytes apart. Updates copy in place: there is
 * nothing to lock and nothing to repair. */
#include "map/value.h"

static ALWAYS_INLINE u8 *value_at(const struct map *map, u32 index) {
	return map_values(map) + (u64)index * map->value_stride;
}
u64 array_map_lookup_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	u32 index = *(const u32_anywhere *)r2;
	return likely(index < map->max_entries) ? (u64)value_at(map, index) : 0;
}
u64 percpu_array_map_lookup_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	u32 index = *(const u32_anywhere *)r2;
	if (unlikely(index >= map->max_entries || run->cpu >= map->nr_cpus))
		return 0;
	return (u64)value_at(map, index) + run->cpu * map->off[MAP_CPU_PLANE];
}

static ALWAYS_INLINE int check(const struct map *map, u32 index, u64 flags) {
	if (unlikely((flags & ~(u64)BPF_F_LOCK) > BPF_EXIST))
		return -EINVAL;
	if (unlikely(index >= map->max_entries))
		return -E2BIG;
	if (unlikely(flags & BPF_NOEXIST))
		return -EEXIST;
	if (unlikely(flags & BPF_F_LOCK && map->spin_lock < 0))
		return -EINVAL;
	return 0;
}
u64 array_map_update_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	u32 index = *(const u32_anywhere *)r2;
	int error = check(map, index, r4);
	if (unlikely(error))
		return error;
	u8 *value = value_at(map, index);
	if (unlikely(r4 & BPF_F_LOCK))
		return copy_value_locked(map, value, (const u8 *)r3, value, map_participant(map, run));
	copy_value(map, value, (const u8 *)r3);
	return 0;
}
u64 percpu_array_map_update_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	u32 index = *(const u32_anywhere *)r2;
	int error = check(map, index, r4);
	if (unlikely(error))
		return error;
	if (unlikely(run->cpu >= map->nr_cpus))
		return -EBUSY;
	copy_value(map, value_at(map, index) + run->cpu * map->off[MAP_CPU_PLANE], (const u8 *)r3);
	return 0;
}
