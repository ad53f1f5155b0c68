/* Map operations and helpers, in ns per operation, beside the running kernel's.
 *
 * skep's are called as the JIT calls them: out of line, six arguments; the kernel's from a program under
 * BPF_PROG_TEST_RUN (map_kernel.c), sample by sample in turn. 64 operations in a loop with keys from a 64-bit LCG whose
 * seed is carried on, the loop's own cost subtracted on both sides; key 4 bytes and value 8 unless said; maps half full;
 * 41 samples of 300 runs each, the first not counted; p5, median and p90. The best of a few calls is what the machine
 * can do: the large maps live in memory and in the third-level cache, which it may share with others. The kernel looks
 * arrays up inline; so does skep's JIT (array lookups here are the call that it does not make).
 *
 *   make bench-map        or  build/bench/map [part of a row's name] */
#include "helper/helper.h"
#include "map/ops.h"
#include "map/ringbuf.h"
#include "map_kernel.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { OPS = 64, REPEAT = 300, SAMPLES = 41 };

struct row {
	const char *name;
	enum kind kind;
	u32 type, key, value, entries;
	dataplane_fn *lookup, *update;
	u32 helper; /* CALL: its number */
	struct map *map;
	struct kernel_row kernel;
	double ns[SAMPLES], kernel_ns[SAMPLES];
};
#define H BPF_MAP_TYPE_HASH
#define PH BPF_MAP_TYPE_PERCPU_HASH
static struct row rows[] = {
    {"loop", LOOP},
    {"array[1024] lookup", LOOKUP, BPF_MAP_TYPE_ARRAY, 4, 8, 1024, array_map_lookup_elem, array_map_update_elem},
    {"array[1024] update", UPDATE, BPF_MAP_TYPE_ARRAY, 4, 8, 1024, array_map_lookup_elem, array_map_update_elem},
    {"percpu_array[1024] lookup", LOOKUP, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1024, percpu_array_map_lookup_elem,
     percpu_array_map_update_elem},
    {"hash[512] lookup", LOOKUP, H, 4, 8, 512, htab_map_lookup_elem_4, htab_map_update_elem},
    {"hash[8192] lookup", LOOKUP, H, 4, 8, 8192, htab_map_lookup_elem_4, htab_map_update_elem},
    {"hash[8192] lookup 50% miss", MISS, H, 4, 8, 8192, htab_map_lookup_elem_4, htab_map_update_elem},
    {"hash[8192] lookup, generic", LOOKUP, H, 4, 8, 8192, helper_map_lookup_elem, htab_map_update_elem},
    {"hash[524288] lookup", LOOKUP, H, 4, 8, 524288, htab_map_lookup_elem_4, htab_map_update_elem},
    {"hash[8192] key8 lookup", LOOKUP, H, 8, 8, 8192, htab_map_lookup_elem_8, htab_map_update_elem},
    {"hash[8192] key16 lookup", LOOKUP, H, 16, 8, 8192, htab_map_lookup_elem_16, htab_map_update_elem},
    {"hash[8192] key64 lookup", LOOKUP, H, 64, 8, 8192, htab_map_lookup_elem, htab_map_update_elem},
    {"hash[512] update", UPDATE, H, 4, 8, 512, htab_map_lookup_elem_4, htab_map_update_elem},
    {"hash[8192] update", UPDATE, H, 4, 8, 8192, htab_map_lookup_elem_4, htab_map_update_elem},
    {"hash[524288] update", UPDATE, H, 4, 8, 524288, htab_map_lookup_elem_4, htab_map_update_elem},
    {"hash[8192] delete+insert", CHURN, H, 4, 8, 8192, htab_map_lookup_elem_4, htab_map_update_elem},
    {"hash[524288] delete+insert", CHURN, H, 4, 8, 524288, htab_map_lookup_elem_4, htab_map_update_elem},
    {"percpu_hash[8192] lookup", LOOKUP, PH, 4, 8, 8192, htab_percpu_map_lookup_elem, htab_percpu_map_update_elem},
    {"percpu_hash[8192] update", UPDATE, PH, 4, 8, 8192, htab_percpu_map_lookup_elem, htab_percpu_map_update_elem},
    {"percpu_hash[8192] delete+insert", CHURN, PH, 4, 8, 8192, htab_percpu_map_lookup_elem, htab_percpu_map_update_elem},
    {"ringbuf reserve+submit 16B", RING, BPF_MAP_TYPE_RINGBUF, 0, 16, 1 << 20, NULL, NULL},
    {"ringbuf reserve+submit 128B", RING, BPF_MAP_TYPE_RINGBUF, 0, 128, 1 << 20, NULL, NULL},
    {"ringbuf output 16B", OUTPUT, BPF_MAP_TYPE_RINGBUF, 0, 16, 1 << 20, NULL, NULL},
    {"ringbuf output 128B", OUTPUT, BPF_MAP_TYPE_RINGBUF, 0, 128, 1 << 20, NULL, NULL},
    {"ktime_get_ns", CALL, 0, 0, 0, 0, helper_ktime_get_ns, NULL, BPF_FUNC_ktime_get_ns},
    {"get_prandom_u32", CALL, 0, 0, 0, 0, helper_get_prandom_u32, NULL, BPF_FUNC_get_prandom_u32},
    {"get_current_pid_tgid", CALL, 0, 0, 0, 0, helper_get_current_pid_tgid, NULL, BPF_FUNC_get_current_pid_tgid},
    {"probe_read_user 8B, asked", READ, 0, 0, 8, 0, helper_probe_read_user, NULL},
    {"probe_read_user 8B, stack", READ, 0, 0, 0, 0, helper_probe_read_user, NULL},
    {"probe_read_user_str, asked", READ, 0, 0, 64, 0, helper_probe_read_user_str, NULL},
};

static int vdso_gettime(int clock, void *to) {
	return clock_gettime(clock, to);
}
static struct run_env env = {.clock_gettime = vdso_gettime, .nr_cpus = 2, .participant = 1};
static const struct run_task task = {.pid = 1, .tid = 2};
static char far_away[64] = "a string somewhere in the process";
static u64 lcg = 1;

static u8 *memory(u64 size) {
	if (!size)
		return NULL;
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}
static void key_of(u8 *key, u32 size, u32 i) {
	memset(key, 0, size);
	memcpy(key, &i, 4);
}
static void prepare(struct row *r) {
	if (!r->type)
		return;
	const struct map_ops *ops = map_ops_of(r->type);
	r->map = calloc(1, sizeof *r->map);
	bool ring = r->kind == RING || r->kind == OUTPUT;
	*r->map = (struct map){.type = r->type, .key_size = r->key, .value_size = ring ? 0 : r->value,
	                       .max_entries = r->entries, .spin_lock = -1, .nr_cpus = 2, .participant = 1};
	if (ops->geometry(r->map))
		abort();
	r->map->area = memory(r->map->area_size);
	r->map->data = memory(r->map->data_size);
	ops->init(r->map);
	u8 key[64], value[32] = {0};
	for (u32 i = 0; !ring && i < r->entries / 2; i++) {
		key_of(key, r->key, i);
		ops->update(r->map, key, value, 0);
	}
}
/* One run of OPS operations; what is called is opaque to the compiler. */
static NOINLINE u64 run_once(const struct row *r, struct skep_run *run) {
	u64 map = (u64)r->map, seed = lcg, sum = 0, value[2] = {1, 2};
	u32 mask = r->entries ? r->entries / 2 - 1 : 511;
	_Alignas(8) u8 key[64] = {0};
	dataplane_fn *lookup = r->lookup, *update = r->update;
	for (u32 i = 0; i < OPS; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		u32 k = seed >> 40 & mask;
		if (r->kind == MISS)
			k = seed >> 40 & (mask * 2 + 1);
		__builtin_memcpy(key, &k, 4);
		__asm__ volatile("" : : "r"(key) : "memory");
		switch (r->kind) {
		case LOOP:
			sum += k;
			break;
		case LOOKUP: {
			u64 at = lookup(map, (u64)key, 0, 0, 0, run);
			if (!at)
				abort();
			sum += at;
			break;
		}
		case MISS:
			if (lookup(map, (u64)key, 0, 0, 0, run))
				sum++;
			break;
		case UPDATE:
			sum += update(map, (u64)key, (u64)value, 0, 0, run);
			break;
		case CHURN:
			sum += htab_map_delete_elem(map, (u64)key, 0, 0, 0, run);
			sum += update(map, (u64)key, (u64)value, 0, 0, run);
			break;
		case RING: {
			u64 record = helper_ringbuf_reserve(map, r->value, 0, 0, 0, run);
			if (!record)
				abort();
			*(u64 *)record = k;
			helper_ringbuf_submit(record, 0, 0, 0, 0, run);
			break;
		}
		case OUTPUT:
			sum += helper_ringbuf_output(map, (u64)rows, r->value, 0, 0, run);
			break;
		case CALL:
			sum += lookup(0, 0, 0, 0, 0, run);
			break;
		case READ:
			sum += lookup((u64)key, r->value == 64 ? 64 : 8, r->value ? (u64)far_away : (u64)run, 0, 0, run);
			break;
		}
	}
	lcg = seed;
	return sum;
}
static double now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}
static int compare(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}
static void sample(struct row *r, u32 s) {
	static volatile u64 sink;
	(void)sink;
	u32 repeat = r->kind == READ && r->value ? REPEAT / 10 : REPEAT;
	struct skep_run run = {.env = &env, .task = &task};
	double start = now_ns();
	for (u32 k = 0; k < repeat; k++) {
		sink += run_once(r, &run);
		if (r->kind == RING || r->kind == OUTPUT) /* the consumer has read everything */
			*ring_consumer(r->map) = *ring_producer(r->map);
	}
	double ns = (now_ns() - start) / repeat / OPS, kernel = kernel_run(&r->kernel, REPEAT) / OPS;
	if (s)
		r->ns[s - 1] = ns, r->kernel_ns[s - 1] = kernel;
}
static void print(double *ns, double net) {
	if (ns[0] < 0)
		printf(" | %8s %8s %8s", "-", "-", "-");
	else
		printf(" | %8.2f %8.2f %8.2f", ns[SAMPLES / 20] - net, ns[SAMPLES / 2] - net, ns[SAMPLES * 9 / 10] - net);
}
int main(int argc, char **argv) {
	double loop = 0, kernel_loop = 0;
	printf("%-34s | %-26s | %-26s\n%-34s", "ns per operation, loop subtracted", "skep", "this machine's kernel", "");
	printf(" | %8s %8s %8s | %8s %8s %8s\n", "p5", "median", "p90", "p5", "median", "p90");
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct row *r = &rows[i];
		if (i && argc > 1 && !strstr(r->name, argv[1]))
			continue;
		prepare(r);
		kernel_prepare(&r->kernel, r->kind, r->type, r->key, r->value, r->entries, r->helper, OPS);
		for (u32 s = 0; s <= SAMPLES; s++)
			sample(r, s);
		qsort(r->ns, SAMPLES, sizeof(double), compare);
		qsort(r->kernel_ns, SAMPLES, sizeof(double), compare);
		printf("%-34s", r->name);
		print(r->ns, loop);
		print(r->kernel_ns, kernel_loop);
		printf("\n");
		fflush(stdout);
		if (!i)
			loop = r->ns[SAMPLES / 2], kernel_loop = MAX(r->kernel_ns[SAMPLES / 2], 0.0);
	}
	return 0;
}
