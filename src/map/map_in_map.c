/* Maps whose values are objects: prog_array and array_of_maps. A slot in shared memory holds {id, generation}; the address
 * comes from a table that only skep writes (map.objects). A slot that does not resolve is empty, and is counted. */
#include "map/value.h"

const void *map_resolve(const struct map *map, u64 slot) {
	const struct map_table *table = load_acquire(&map->objects);
	u32 id = slot, generation = slot >> 32;
	if (!table || !slot)
		return NULL;
	u32 from = 0, to = table->n;
	while (from < to) {
		u32 middle = from + (to - from) / 2;
		if (table->at[middle].id < id)
			from = middle + 1;
		else
			to = middle;
	}
	if (from < table->n && table->at[from].id == id && table->at[from].generation == generation)
		return table->at[from].address;
	return NULL;
}
static ALWAYS_INLINE const void *object_at(const struct map *map, u32 index, const struct skep_run *run) {
	ASSERT(map->value_stride == 8);
	if (unlikely(index >= map->max_entries))
		return NULL;
	u64 slot = load_acquire((u64 *)map_values(map) + index);
	const void *object = map_resolve(map, slot);
	if (unlikely(slot && !object && run->env->counters))
		__atomic_fetch_add(&run->env->counters[COUNT_UNREACHABLE], 1, __ATOMIC_RELAXED);
	return object;
}
/* r1 = map, r2 = key: the inner map. */
u64 array_of_maps_lookup_elem(DP_ARGS) {
	return (u64)object_at((const struct map *)r1, *(const u32_anywhere *)r2, run);
}
/* r1 = map, r2 = index: the entry of the program, or 0. */
u64 prog_array_map_resolve(DP_ARGS) {
	return (u64)object_at((const struct map *)r1, r2, run);
}
