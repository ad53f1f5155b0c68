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
 * registers only. The files that end in _syscall.c (create, dump, check) are control plane and use libc.
 *
 * Participants. Words in areas that say who is in the middle of something name a participant: a number from 1 to
 * PARTICIPANT_MAX that skep gives to each process (run_env.participant, map.participant). A number may be shared by a
 * process and its forks; then it is dead only when all of them are. It may be given out again only after map_ops.check
 * was run, with alive() false for it, on every map that it could write. 0 is nobody, PARTICIPANT_ANY never dies. */
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

/* Where the parts of a map lie: indexes of map.off. */
enum map_off {
	MAP_VALUES,    /* arrays: value 0, in data if there is data, else in area. Per-CPU types: value 0 of CPU 0, in area */
	MAP_CPU_PLANE, /* per-CPU types: bytes from one CPU's values to the next CPU's: CPUs share no cache line */
	HASH_HEADER,   /* hashes, all in area: cursors */
	HASH_BUCKETS,  /* cache lines */
	HASH_USED,     /* one bit an element */
	HASH_SUMMARY,  /* one bit a word of HASH_USED */
	HASH_ELEMS,
	RING_CONSUMER = 0, /* ring buffers, in data: u64 position */
	RING_PRODUCER,     /* in data: u64 position, a page further */
	RING_DATA,         /* in data: records; twice the size (see ringbuf.c) */
	RING_RESERVE,      /* in area: the last reservation */
	MAP_OFFS = 8
};

struct map {
	u32 type; /* enum bpf_map_type */
	u32 key_size, value_size, max_entries, map_flags, id;
	u32 value_stride; /* bytes from one value (per-CPU: one CPU's copy) to the next: value_size rounded up to 8 */
	u32 elem_size;    /* bytes of one element of a hash: header, key, value unless per-CPU */
	u32 nr_cpus;      /* copies of a per-CPU value, 1 otherwise */
	u32 index_mask;   /* a power of two minus 1: arrays: of at least max_entries; rings: of bytes; hashes: of buckets */
	u32 buckets;      /* hashes: power of two */
	s32 spin_lock;    /* offset of struct bpf_spin_lock in the value, or -1 */
	u32 participant;  /* of this process, for operations that come without a run; 0 = PARTICIPANT_ANY */
	u32 pad;
	u64 seed;         /* hashes: of the hash function; geometry() draws it, all processes must agree on it */
	u64 off[MAP_OFFS]; /* enum map_off */
	u64 area_size, data_size;
	u8 *area, *data;
	const struct map_table *objects; /* NULL: nothing resolves */
};
enum { PARTICIPANT_MAX = 0xfffe, PARTICIPANT_ANY = 0xffff };

/* First value of an array map (of CPU 0 in a per-CPU array). */
static inline u8 *map_values(const struct map *map) {
	return (map->data_size ? map->data : map->area) + map->off[MAP_VALUES];
}

/* A slot of prog_array and of maps of maps: id | generation << 32; 0 is empty. */
const void *map_resolve(const struct map *map, u64 slot);

#define DP_ARGS u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, struct skep_run *run
#endif
