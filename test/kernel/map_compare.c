/* Maps beside the kernel's: which sizes and flags can be created, what each operation returns and leaves, over random
 * sequences. The order in which a hash gives its keys is nobody's promise: compared as a set. Where bpf() is missing this
 * skips. */
#include "kernel.h"
#include "abi/uapi.h"
#include "map/ops.h"
#include "test.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { VALUE_MAX = 64, SEQUENCE = 3000 };
static u64 state = 1;
static u32 cpus;

static u64 any(void) {
	state += 0x9e3779b97f4a7c15ull;
	u64 x = state;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}
static u32 possible_cpus(void) {
	u32 first = 0, last = 0;
	FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
	if (!file || fscanf(file, "%u-%u", &first, &last) < 1)
		first = last = 0;
	if (file)
		fclose(file);
	return MAX(first, last) + 1;
}
static s64 ask(u32 cmd, int fd, const void *key, void *value, u64 flags) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.map_fd = fd;
	a.key = (u64)key;
	a.value = (u64)value;
	a.flags = flags;
	return kernel_bpf(cmd, &a, sizeof a);
}
static u8 *memory(u64 size) {
	return size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) : NULL;
}
static int make(struct map *map, u32 type, u32 key, u32 value, u32 entries, u32 flags) {
	*map = (struct map){.type = type, .key_size = key, .value_size = value, .max_entries = entries, .map_flags = flags,
	                    .spin_lock = -1, .nr_cpus = cpus, .participant = 1};
	return map_ops_of(type)->geometry(map);
}

static void creation(void) {
	static const u32 types[] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
	                            BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_PROG_ARRAY};
	static const u32 keys[] = {0, 1, 4, 4, 4, 8, 512, 513, 5000};
	static const u32 values[] = {0, 1, 4, 4, 8, 4096, 32760, 32768, 32769, 4194304 - 100, 4194304};
	static const u32 counts[] = {0, 1, 3, 4096, 4097, 8192, 12288};
	u32 made = 0;
	for (u32 n = 0; n < 2000; n++) {
		u32 type = types[any() % ARRAY_SIZE(types)], key = keys[any() % ARRAY_SIZE(keys)];
		u32 value = values[any() % ARRAY_SIZE(values)], entries = counts[any() % ARRAY_SIZE(counts)];
		u32 flags = any() % 3 ? 0 : 1u << any() % 20;
		if (type == BPF_MAP_TYPE_RINGBUF && any() % 4)
			key = value = 0;
		if ((u64)value * entries > 64 << 20 || flags & (BPF_F_CLONE | BPF_F_TOKEN_FD | BPF_F_LINK))
			continue;
		int fd = kernel_map(type, key, value, entries, flags, 0);
		struct map map;
		int ours = make(&map, type, key, value, entries, flags);
		int theirs = fd < 0 ? fd : 0;
		if (theirs == -ENOMEM || theirs == -EPERM) /* memory limits and rights are the runtime's */
			continue;
		made += fd >= 0;
		if (ours != theirs)
			printf("# type %u, key %u, value %u, %u entries, flags 0x%x\n", type, key, value, entries, flags);
		EXPECT_EQ(ours, theirs);
		if (fd >= 0)
			close(fd);
		if (test_bad > 10)
			break;
	}
	EXPECT(made > 100);
}

struct pair {
	struct map map;
	const struct map_ops *ops;
	int fd;
	u32 value_bytes; /* as bpf(2) carries it */
	bool percpu, hash;
};
static bool same_value(const struct pair *p, const u8 *ours, const u8 *theirs) {
	return !memcmp(ours, theirs, p->value_bytes);
}
static void expect_same_keys(struct pair *p, const u8 *key) {
	u8 ours[64] = {0}, theirs[64] = {0};
	if (!p->hash) {
		s64 a = p->ops->get_next_key(&p->map, key, ours), b = ask(BPF_MAP_GET_NEXT_KEY, p->fd, key, theirs, 0);
		EXPECT_EQ(a, b);
		EXPECT(a || !memcmp(ours, theirs, 4));
		return;
	}
	/* The same set: as many, and each of ours is there. */
	u32 n = 0, m = 0;
	u8 *last = NULL, value[VALUE_MAX * 64], was[64];
	while (p->ops->get_next_key(&p->map, last, ours) == 0 && n++ < p->map.max_entries) {
		EXPECT_EQ(ask(BPF_MAP_LOOKUP_ELEM, p->fd, ours, value, 0), 0);
		memcpy(was, ours, sizeof was);
		last = was;
	}
	last = NULL;
	while (ask(BPF_MAP_GET_NEXT_KEY, p->fd, last, theirs, 0) == 0 && m++ < p->map.max_entries) {
		memcpy(was, theirs, sizeof was);
		last = was;
	}
	EXPECT_EQ(n, m);
}
static void step(struct pair *p) {
	static u8 value[VALUE_MAX * 64], ours[VALUE_MAX * 64], theirs[VALUE_MAX * 64];
	u64 r = any(), flags = r >> 8 & 15 ? 0 : any() % 9;
	u8 key[64];
	memset(key, 0x11, sizeof key);
	u32 k = r >> 16 & 0xffff;
	k %= p->map.max_entries + p->map.max_entries / 4 + 1;
	memcpy(key, &k, MIN(p->map.key_size, 4));
	for (u32 i = 0; i < p->value_bytes; i++)
		value[i] = any();
	memset(ours, 0xee, p->value_bytes);
	memset(theirs, 0xee, p->value_bytes);
	s64 a, b;
	switch (r % 8) {
	case 0:
	case 1:
	case 2:
		if (r >> 12 & 1)
			flags = r >> 40 & 3;
		a = p->ops->update(&p->map, key, value, flags);
		b = ask(BPF_MAP_UPDATE_ELEM, p->fd, key, value, flags);
		break;
	case 3:
		a = p->ops->delete(&p->map, key);
		b = ask(BPF_MAP_DELETE_ELEM, p->fd, key, NULL, 0);
		break;
	case 4:
		if (!p->hash)
			return;
		a = p->ops->lookup_and_delete(&p->map, key, ours, 0);
		b = ask(BPF_MAP_LOOKUP_AND_DELETE_ELEM, p->fd, key, theirs, 0);
		EXPECT(a || same_value(p, ours, theirs));
		break;
	case 5:
		if (r % 64 == 5)
			expect_same_keys(p, r >> 20 & 7 ? key : NULL);
		return;
	default:
		flags = r >> 12 & 15 ? 0 : BPF_F_LOCK;
		a = p->ops->lookup(&p->map, key, ours, flags);
		b = ask(BPF_MAP_LOOKUP_ELEM, p->fd, key, theirs, flags);
		EXPECT(a || same_value(p, ours, theirs));
	}
	if (a != b)
		printf("# operation %u, key %u of %u, flags %u\n", (u32)(r % 8), k, p->map.max_entries, (u32)flags);
	EXPECT_EQ(a, b);
}
static void sequence(u32 type, u32 key, u32 value, u32 entries, u32 flags) {
	struct pair p = {.ops = map_ops_of(type)};
	EXPECT_EQ(make(&p.map, type, key, value, entries, flags), 0);
	p.map.area = memory(p.map.area_size);
	p.map.data = memory(p.map.data_size);
	p.ops->init(&p.map);
	p.fd = kernel_map(type, key, value, entries, flags, 0);
	EXPECT(p.fd >= 0);
	p.percpu = type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY;
	p.hash = type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_PERCPU_HASH;
	p.value_bytes = p.percpu ? cpus * round_up(value, 8) : value;
	for (u32 n = 0; n < SEQUENCE && test_bad < 10; n++)
		step(&p);
	if (test_bad)
		printf("# type %u, key %u, value %u, %u entries, flags %u\n", type, key, value, entries, flags);
	close(p.fd);
	if (p.map.area)
		munmap(p.map.area, p.map.area_size);
	if (p.map.data)
		munmap(p.map.data, p.map.data_size);
}
static void hashes(void) {
	static const u32 keys[] = {1, 3, 4, 8, 16, 30}, values[] = {1, 4, 8, 12, 24, 50}, counts[] = {1, 7, 64, 200};
	for (u32 n = 0; n < 40 && !test_bad; n++)
		sequence(n % 3 ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_PERCPU_HASH, keys[any() % 6], values[any() % 6], counts[any() % 4],
		         any() % 4 ? 0 : BPF_F_NO_PREALLOC);
}
static void arrays(void) {
	static const u32 values[] = {1, 4, 8, 12, 24, 50}, counts[] = {1, 7, 64, 200};
	for (u32 n = 0; n < 30 && !test_bad; n++)
		sequence(n % 3 ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_PERCPU_ARRAY, 4, values[any() % 6], counts[any() % 4],
		         n % 3 == 1 && any() % 2 ? BPF_F_MMAPABLE : 0);
}
static void other_types(void) {
	/* A ring buffer has none of these operations; an empty prog_array has empty slots. */
	struct map map;
	u32 key = 0, next = 0;
	u64 value = 0;
	int fd = kernel_map(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 0);
	const struct map_ops *ops = map_ops_of(BPF_MAP_TYPE_RINGBUF);
	EXPECT_EQ(make(&map, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0), 0);
	EXPECT_EQ(ops->lookup(&map, &key, &value, 0), ask(BPF_MAP_LOOKUP_ELEM, fd, NULL, &value, 0));
	EXPECT_EQ(ops->update(&map, &key, &value, 0), ask(BPF_MAP_UPDATE_ELEM, fd, NULL, &value, 0));
	EXPECT_EQ(ops->delete(&map, &key), ask(BPF_MAP_DELETE_ELEM, fd, NULL, NULL, 0));
	EXPECT_EQ(ops->get_next_key(&map, NULL, &next), ask(BPF_MAP_GET_NEXT_KEY, fd, NULL, &next, 0));
	close(fd);
	fd = kernel_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 3, 0, 0);
	ops = map_ops_of(BPF_MAP_TYPE_PROG_ARRAY);
	EXPECT_EQ(make(&map, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 3, 0), 0);
	map.area = memory(map.area_size);
	for (key = 0; key < 5; key++) {
		EXPECT_EQ(ops->lookup(&map, &key, &value, 0), ask(BPF_MAP_LOOKUP_ELEM, fd, &key, &value, 0));
		EXPECT_EQ(ops->delete(&map, &key), ask(BPF_MAP_DELETE_ELEM, fd, &key, NULL, 0));
		EXPECT_EQ(ops->get_next_key(&map, &key, &next), ask(BPF_MAP_GET_NEXT_KEY, fd, &key, &next, 0));
	}
	close(fd);
}
int main(void) {
	cpus = possible_cpus();
	if (kernel_missing()) {
		SKIP("all", kernel_missing());
		return test_end();
	}
	RUN(creation);
	RUN(hashes);
	RUN(arrays);
	RUN(other_types);
	return test_end();
}
