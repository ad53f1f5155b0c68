/* What the control planes of the map types share. One record a type; map_syscall.c finds them. */
#ifndef SKEP_MAP_CONTROL_H
#define SKEP_MAP_CONTROL_H
#include "map/ops.h"
#include "map/value.h"
#include <errno.h>

extern const struct map_ops array_map_ops, percpu_array_map_ops, htab_map_ops, htab_percpu_map_ops, ringbuf_map_ops,
    prog_array_map_ops, array_of_map_ops;

enum { MAP_PCPU_VALUE_MAX = 32 << 10 }; /* the kernel's PCPU_MIN_UNIT_SIZE */
enum { MAP_ACCESS_FLAGS = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG };
static inline bool map_access_flags_ok(u32 flags) {
	return (flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) != (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG);
}
static inline u64 map_round_up_power(u64 n) {
	return n <= 1 ? 1 : 1ull << (64 - __builtin_clzll(n - 1));
}

/* arraymap_syscall.c: for everything that is indexed from 0 */
int array_geometry(struct map *map);
int array_get_next_key(const struct map *map, const void *key, void *next);
/* A dead holder's lock in a value is opened; true if there was one. */
bool value_lock_repair(const struct map *map, u8 *value, bool (*alive)(u32 owner));
#endif
