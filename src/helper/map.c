/* bpf_map_*: by the map's type, for calls whose map the JIT does not know. */
#include "map/hashtab.h"

u64 helper_map_lookup_elem(DP_ARGS) {
	switch (((const struct map *)r1)->type) {
	case BPF_MAP_TYPE_ARRAY:
		return array_map_lookup_elem(r1, r2, r3, r4, r5, run);
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return percpu_array_map_lookup_elem(r1, r2, r3, r4, r5, run);
	case BPF_MAP_TYPE_HASH:
		return htab_map_lookup_elem(r1, r2, r3, r4, r5, run);
	case BPF_MAP_TYPE_PERCPU_HASH:
		return htab_percpu_map_lookup_elem(r1, r2, r3, r4, r5, run);
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		return array_of_maps_lookup_elem(r1, r2, r3, r4, r5, run);
	default:
		return 0;
	}
}
u64 helper_map_update_elem(DP_ARGS) {
	switch (((const struct map *)r1)->type) {
	case BPF_MAP_TYPE_ARRAY:
		return array_map_update_elem(r1, r2, r3, r4, r5, run);
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return percpu_array_map_update_elem(r1, r2, r3, r4, r5, run);
	case BPF_MAP_TYPE_HASH:
		return htab_map_update_elem(r1, r2, r3, r4, r5, run);
	case BPF_MAP_TYPE_PERCPU_HASH:
		return htab_percpu_map_update_elem(r1, r2, r3, r4, r5, run);
	default:
		return -EOPNOTSUPP;
	}
}
u64 helper_map_delete_elem(DP_ARGS) {
	switch (((const struct map *)r1)->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return -EINVAL;
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
		return htab_map_delete_elem(r1, r2, r3, r4, r5, run);
	default:
		return -EOPNOTSUPP;
	}
}

/* r1 = map, r2 = key, r3 = CPU. */
u64 helper_map_lookup_percpu_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	u32 cpu = r3;
	if (cpu >= map->nr_cpus)
		return 0;
	struct skep_run there = {.cpu = cpu, .env = run->env};
	switch (map->type) {
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return percpu_array_map_lookup_elem(r1, r2, 0, 0, 0, &there);
	case BPF_MAP_TYPE_PERCPU_HASH:
		return htab_percpu_map_lookup_elem(r1, r2, 0, 0, 0, &there);
	default:
		return 0;
	}
}

static u64 for_each_index(const struct map *map, u64 fn, u64 ctx, struct skep_run *run) {
	u32 n = 0;
	while (n < map->max_entries && run->status == RUN_OK) {
		u32 index = n++;
		u64 value = helper_map_lookup_elem((u64)map, (u64)&index, 0, 0, 0, run);
		if (run_callback(run, fn, (u64)map, (u64)&index, value, ctx, 0))
			break;
	}
	return n;
}
static u64 for_each_key(const struct map *map, u64 fn, u64 ctx, struct skep_run *run) {
	u32 n = 0;
	for (u32 i = 0; run->status == RUN_OK && (i = htab_next_live(map, i));) {
		n++;
		u8 *value = htab_value(map, i, map->key_size, htab_is_percpu(map) ? run->cpu : 0);
		if (run_callback(run, fn, (u64)map, (u64)htab_elem(map, i)->key, (u64)value, ctx, 0))
			break;
	}
	return n;
}
/* r1 = map, r2 = callback(map, key, value, ctx), r3 = ctx, r4 = flags: elements that were visited, or negative errno. */
u64 helper_for_each_map_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	if (r4)
		return -EINVAL;
	switch (map->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return for_each_index(map, r2, r3, run);
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
		return run->cpu < map->nr_cpus || !htab_is_percpu(map) ? for_each_key(map, r2, r3, run) : (u64)-EINVAL;
	default:
		return -EINVAL;
	}
}

/* r1 = context, r2 = prog_array, r3 = index: the address of the program's entry, or 0. The engine makes the jump. */
u64 helper_tail_call(DP_ARGS) {
	return prog_array_map_resolve(r2, (u32)r3, 0, 0, 0, run);
}

enum { BPF_MAX_LOOPS = 8 << 20 };
/* r1 = iterations, r2 = callback(index, ctx), r3 = ctx, r4 = flags: iterations that were made, or negative errno. */
u64 helper_loop(DP_ARGS) {
	u32 n = r1, i = 0;
	if (r4)
		return -EINVAL;
	if (n > BPF_MAX_LOOPS)
		return -E2BIG;
	while (i < n && run->status == RUN_OK)
		if (run_callback(run, r2, i++, r3, 0, 0, 0))
			break;
	return i;
}
