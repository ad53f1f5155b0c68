/* The control plane of a map type: one record per type, found by map_ops_of. Everything returns 0 or negative errno as
 * the kernel does. `values` here are what bpf(2) carries: for per-CPU types nr_cpus copies of value_stride bytes; but for
 * prog_array and maps of maps a value is a slot of eight bytes, u64 id | generation << 32, never 0. The caller
 * guards reads of hostile areas against SIGBUS; the operations themselves survive any content.
 *
 * A map is made so: zero the descriptor; set type, key_size, value_size, max_entries, map_flags, id, spin_lock (-1: none),
 * nr_cpus (possible CPUs), participant; geometry(); provide zeroed area and data of area_size and data_size bytes, both
 * aligned to pages and followed by nothing of anybody else's; init(). Another process copies the descriptor and sets
 * area, data, objects and participant to its own. */
#ifndef SKEP_MAP_OPS_H
#define SKEP_MAP_OPS_H
#include "map/map.h"

struct map_ops {
	u32 type;
	/* Checks sizes and flags exactly as the kernel's alloc_check and fills in the geometry and area/data sizes. */
	int (*geometry)(struct map *map);
	/* Makes fresh zeroed areas valid. Runs once, in the process that creates the map. */
	int (*init)(struct map *map);
	int (*lookup)(const struct map *map, const void *key, void *value, u64 flags);
	int (*update)(const struct map *map, const void *key, const void *value, u64 flags);
	int (*delete)(const struct map *map, const void *key);
	int (*get_next_key)(const struct map *map, const void *key, void *next); /* key NULL: the first */
	int (*lookup_and_delete)(const struct map *map, const void *key, void *value, u64 flags);
	u32 (*count)(const struct map *map); /* elements present, approximately while others write; NULL: max_entries */
	/* Invariant check after a writer died, while others may go on: repairs what a dead writer may leave; 0, or -EIO with
	 * what is wrong. alive(n) says whether participant n (map.h) lives; alive(0) whether any but the caller does: if not,
	 * anonymous remains are repaired and the whole structure is verified as well. */
	int (*check)(const struct map *map, bool (*alive)(u32 owner), const char **why);
};

/* NULL when the user engine does not run this type. */
const struct map_ops *map_ops_of(u32 type);
#endif
