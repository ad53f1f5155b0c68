/* Makes maps for tests: anonymous or shared memory with guard pages behind, a run. */
#ifndef MAP_FIXTURE_H
#define MAP_FIXTURE_H
#include "test.h"
#include "map/ops.h"
#include "map/value.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

struct fixture {
	struct map map;
	const struct map_ops *ops;
	struct run_env env;
	struct skep_run run;
};
/* Shared memory with pages before and behind it that fault. */
static inline u8 *fixture_memory(u64 size) {
	if (!size)
		return NULL;
	size = round_up(size, 4096);
	u8 *p = mmap(NULL, size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED ||
	    mmap(p + 4096, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS, -1, 0) != p + 4096)
		abort();
	return p + 4096;
}
static inline void fixture_unmap(u8 *p, u64 size) {
	if (p)
		munmap(p - 4096, round_up(size, 4096) + 8192);
}
static inline int fixture_make(struct fixture *f, u32 type, u32 key, u32 value, u32 entries, u32 flags, u32 cpus) {
	memset(f, 0, sizeof *f);
	f->ops = map_ops_of(type);
	f->map = (struct map){.type = type, .key_size = key, .value_size = value, .max_entries = entries,
	                      .map_flags = flags, .spin_lock = -1, .nr_cpus = cpus, .participant = 1, .id = 1};
	f->env = (struct run_env){.nr_cpus = cpus, .participant = 1};
	f->run = (struct skep_run){.env = &f->env};
	int error = f->ops->geometry(&f->map);
	if (error)
		return error;
	f->map.area = fixture_memory(f->map.area_size);
	f->map.data = fixture_memory(f->map.data_size);
	return f->ops->init(&f->map);
}
static inline void fixture_free(struct fixture *f) {
	fixture_unmap(f->map.area, f->map.area_size);
	fixture_unmap(f->map.data, f->map.data_size);
}
/* A generator of test input, the same in every run of a test. */
static inline u64 fixture_random(u64 *state) {
	*state += 0x9e3779b97f4a7c15ull;
	u64 x = *state;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}
#endif
