/* A map as the data plane sees it.
 *
 *   struct map (trusted)                     shared areas (hostile: any traced process may scribble in them)
 *   ┌──────────────────────────┐             ┌─────────────────────────────┐
 *   │ type, sizes, flags, id   │   area ───► │ locks, buckets, elements    │  private file of the object
 *   │ geometry, masks          │             └─────────────────────────────┘
 *   │ area, data pointers      │   data ───► ┌─────────────────────────────┐
 *   │ objects ─► table         │             │ pages of the kernel's mmap  │  the token: arrays with MMAPABLE, ring
 *   └──────────────────────────┘             │ ABI from byte 0             │  buffers; else NULL
 *                                            └─────────────────────────────┘
 *
 * The descriptor holds every size and pointer and is never in memory that a target can write: in the library it is a
 * private object, in a target it lies in the read-only segment. An offset or index that is read from an area is masked
 * or bounds-checked with the descriptor's geometry before use. There are no pointers inside areas.
 *
 * map/ and helper/ are data plane: freestanding, no libc but __builtin_memcpy and friends (dataplane.c provides them in
 * the image), no writable statics, no constant pointers to functions or data (they would need relocating), general
 * registers only. The files that end in _syscall.c (create, dump, check) are control plane and use libc. */
#ifndef SKEP_MAP_H
#define SKEP_MAP_H
#include "abi/run.h"

/* Resolves the slots of prog_array and maps of maps: slot value {id, generation} → something in this address space.
 * Read-only in targets. A slot that does not resolve is a NULL, counted as COUNT_UNREACHABLE. */
struct map_object {
	u32 id, generation;
	const void *address; /* struct map *, or the tail entry of a program */
};
struct map_table {
	u32 n; /* sorted by id */
	u32 pad;
	struct map_object at[];
};

struct map {
	u32 type; /* enum bpf_map_type */
	u32 key_size, value_size, max_entries, map_flags, id;
	u32 value_stride; /* bytes from one value (per-CPU: one CPU's copy) to the next: value_size rounded up to 8 */
	u32 elem_size;    /* bytes of one element of a hash: header, key, value(s) */
	u32 nr_cpus;      /* copies of a per-CPU value, 1 otherwise */
	u32 index_mask;   /* arrays: max_entries rounded up to a power of two, minus 1 (hostile indexes stay inside) */
	u32 buckets;      /* hashes: power of two */
	u32 seed;         /* hashes: of the hash function */
	s32 spin_lock;    /* offset of struct bpf_spin_lock in the value, or -1 */
	u32 pad;
	u64 off[4];       /* where the parts of the area start; each type says which */
	u64 area_size, data_size;
	u8 *area, *data;
	const struct map_table *objects; /* NULL: nothing resolves */
};

#define DP_ARGS u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, struct skep_run *run
#endif
