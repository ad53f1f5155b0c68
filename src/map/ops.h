/* The control plane of a map type: one record per type, found by map_ops_of. Everything returns 0 or negative errno as
 * the kernel does. `values` here are what bpf(2) carries: for per-CPU types nr_cpus copies of value_stride bytes. The
 * caller guards reads of hostile areas against SIGBUS; the operations themselves survive any content. */
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
	/* Invariant check after a writer died: repairs what a dead writer may leave, 0, or -EIO with what is wrong. */
	int (*check)(const struct map *map, bool (*alive)(u32 owner), const char **why);
};

/* NULL when the user engine does not run this type. */
const struct map_ops *map_ops_of(u32 type);
#endif
