/* Maps through bpf(2): elements, descriptors, ids, in all three kinds of backing. */
#include "runtime.h"
#include <fcntl.h>
#include <sys/mman.h>
#include "btf/builder.h"

static enum engine_backing backing;
static bool handles;

static struct skep_engine *engine(void) {
	return engine_of(backing, handles);
}

static void elements(void) {
	struct skep_engine *e = engine();
	int fd = make_map(e, BPF_MAP_TYPE_HASH, 4, 8, 16, 0);
	EXPECT(fd >= 0);
	for (u32 k = 0; k < 16; k++) {
		u64 v = k * 7;
		EXPECT_EQ(update(e, fd, &k, &v, BPF_NOEXIST), 0);
		EXPECT_EQ(update(e, fd, &k, &v, BPF_NOEXIST), -EEXIST);
	}
	u32 k = 99, next;
	u64 v = 1;
	EXPECT_EQ(update(e, fd, &k, &v, BPF_ANY), -E2BIG);
	EXPECT_EQ(lookup(e, fd, &k, &v), -ENOENT);
	k = 3;
	EXPECT_EQ(lookup(e, fd, &k, &v), 0);
	EXPECT_EQ(v, 21);
	int n = 0;
	s64 r = BPF(e, BPF_MAP_GET_NEXT_KEY, .map_fd = fd, .next_key = PTR(&next));
	while (!r) {
		n++, k = next;
		r = BPF(e, BPF_MAP_GET_NEXT_KEY, .map_fd = fd, .key = PTR(&k), .next_key = PTR(&next));
	}
	EXPECT_EQ(r, -ENOENT);
	EXPECT_EQ(n, 16);
	k = 3;
	EXPECT_EQ(BPF(e, BPF_MAP_LOOKUP_AND_DELETE_ELEM, .map_fd = fd, .key = PTR(&k), .value = PTR(&v)), 0);
	EXPECT_EQ(BPF(e, BPF_MAP_DELETE_ELEM, .map_fd = fd, .key = PTR(&k)), -ENOENT);
	EXPECT_EQ(update(e, fd, &k, &v, BPF_F_LOCK), -EINVAL);
	EXPECT_EQ(BPF(e, BPF_MAP_FREEZE, .map_fd = fd), 0);
	EXPECT_EQ(update(e, fd, &k, &v, BPF_ANY), -EPERM);
	EXPECT_EQ(BPF(e, BPF_MAP_UPDATE_ELEM, .map_fd = 9999), -EBADF);
	EXPECT_EQ(lookup(e, 0, &k, &v), handles ? -EINVAL : -EINVAL);
	EXPECT_EQ(engine_close(e, fd), 0);
	engine_destroy(e);
}

static void percpu(void) {
	struct skep_engine *e = engine();
	u32 cpus = engine_env(e)->nr_cpus, k = 1;
	u64 in[64] = {0}, out[64] = {0};
	if (cpus > 64)
		return;
	int fd = make_map(e, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4, 2, 0);
	for (u32 i = 0; i < cpus; i++)
		in[i] = 0x1000 + i;
	EXPECT_EQ(update(e, fd, &k, in, BPF_ANY), 0);
	EXPECT_EQ(lookup(e, fd, &k, out), 0);
	EXPECT(!memcmp(in, out, cpus * 8));
	engine_close(e, fd);
	engine_destroy(e);
}

/* A descriptor is a file: what it maps is what commands see. */
static void mapped(void) {
	if (handles)
		return;
	struct skep_engine *e = engine();
	int fd = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 512, BPF_F_MMAPABLE);
	u64 *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(p != MAP_FAILED);
	if (p != MAP_FAILED) {
		u32 k = 5;
		u64 v = 77;
		EXPECT_EQ(update(e, fd, &k, &v, BPF_ANY), 0);
		EXPECT_EQ(p[5], 77);
		p[6] = 78, k = 6;
		EXPECT_EQ(lookup(e, fd, &k, &v), 0);
		EXPECT_EQ(v, 78);
		/* A mapping holds the map as a descriptor does. */
		u32 id = id_of(e, fd);
		close(fd);
		fd = BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = id);
		EXPECT(fd >= 0);
		close(fd);
		munmap(p, 4096);
		EXPECT_EQ(BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = id), -ENOENT);
	}
	engine_destroy(e);
}

static void lifetime(void) {
	struct skep_engine *e = engine();
	int a = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0), b = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0);
	u32 ida = id_of(e, a), idb = id_of(e, b), next = 0;
	EXPECT(ida && ida < idb);
	union bpf_attr x = {.start_id = 0};
	EXPECT_EQ(skep_bpf(e, BPF_MAP_GET_NEXT_ID, &x, sizeof x), 0);
	EXPECT_EQ(x.next_id, ida);
	int dup = BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = ida);
	EXPECT(dup >= 0 && dup != a);
	u32 k = 1;
	u64 v = 5;
	EXPECT_EQ(update(e, a, &k, &v, 0), 0);
	v = 0;
	EXPECT_EQ(lookup(e, dup, &k, &v), 0);
	EXPECT_EQ(v, 5);
	engine_close(e, a);
	EXPECT_EQ(id_of(e, dup), ida);
	engine_close(e, dup);
	x = (union bpf_attr){.start_id = 0};
	EXPECT_EQ(skep_bpf(e, BPF_MAP_GET_NEXT_ID, &x, sizeof x), 0);
	EXPECT_EQ(x.next_id, idb);
	EXPECT_EQ(BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = ida), -ENOENT);
	x = (union bpf_attr){.start_id = idb};
	EXPECT_EQ(skep_bpf(e, BPF_MAP_GET_NEXT_ID, &x, sizeof x), -ENOENT);
	/* Held by a reference instead of a descriptor. */
	struct engine_map *m = engine_map_get(e, b);
	engine_close(e, b);
	engine_collect(e);
	EXPECT(m && m->facts.id == idb && m->map.area);
	EXPECT(engine_map_by_id(e, idb) == m);
	engine_map_put(e, m);
	engine_map_put(e, m);
	EXPECT_EQ(BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = idb), -ENOENT);
	(void)next;
	engine_destroy(e);
}

static void modes(void) {
	struct skep_engine *e = engine();
	int ro = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, BPF_F_RDONLY);
	int wo = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, BPF_F_WRONLY);
	u32 k = 0;
	u64 v = 1;
	EXPECT_EQ(update(e, ro, &k, &v, 0), -EPERM);
	EXPECT_EQ(lookup(e, ro, &k, &v), 0);
	EXPECT_EQ(update(e, wo, &k, &v, 0), 0);
	EXPECT_EQ(lookup(e, wo, &k, &v), -EPERM);
	u32 id = id_of(e, wo);
	int both = BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = id);
	EXPECT_EQ(lookup(e, both, &k, &v), 0);
	int wo2 = BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = id, .open_flags = BPF_F_WRONLY);
	EXPECT(wo2 >= 0);
	engine_close(e, both), engine_close(e, wo);
	EXPECT_EQ(update(e, wo2, &k, &v, 0), 0);
	engine_collect(e);
	EXPECT_EQ(update(e, wo2, &k, &v, 0), 0);
	engine_close(e, wo2), engine_close(e, ro);
	EXPECT_EQ(BPF(e, BPF_MAP_CREATE, .map_type = 2, .map_flags = BPF_F_RDONLY | BPF_F_WRONLY), -EINVAL);
	engine_destroy(e);
}

static void pins(void) {
	struct skep_engine *e = engine();
	int fd = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0);
	u32 k = 2, id = id_of(e, fd);
	u64 v = 42;
	EXPECT_EQ(update(e, fd, &k, &v, 0), 0);
	EXPECT_EQ(pin(e, fd, "/sys/fs/bpf/m"), 0);
	EXPECT_EQ(pin(e, fd, "m"), -EEXIST);
	EXPECT_EQ(pin(e, fd, "/tmp/m"), -EPERM);
	EXPECT_EQ(pin(e, fd, "/sys/fs/bpf/../../m"), -EPERM);
	if (backing == BACKING_FILES)
		EXPECT_EQ(pin(e, fd, "no/such/dir"), -ENOENT);
	engine_close(e, fd);
	engine_collect(e);
	fd = get(e, "m");
	EXPECT_EQ(id_of(e, fd), id);
	v = 0;
	EXPECT_EQ(lookup(e, fd, &k, &v), 0);
	EXPECT_EQ(v, 42);
	EXPECT_EQ(engine_unpin(e, "/sys/fs/bpf/m"), 0);
	EXPECT_EQ(engine_unpin(e, "m"), -ENOENT);
	EXPECT_EQ(id_of(e, fd), id);
	engine_close(e, fd);
	EXPECT_EQ(BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = id), -ENOENT);
	EXPECT_EQ(get(e, "m"), -ENOENT);
	engine_destroy(e);
}

static void attributes(void) {
	struct skep_engine *e = engine();
	u8 big[256] = {0};
	union bpf_attr *a = (void *)big;
	a->map_type = BPF_MAP_TYPE_ARRAY, a->key_size = 4, a->value_size = 8, a->max_entries = 1;
	int fd = skep_bpf(e, BPF_MAP_CREATE, big, sizeof big);
	EXPECT(fd >= 0);
	engine_close(e, fd);
	big[200] = 1;
	EXPECT_EQ(skep_bpf(e, BPF_MAP_CREATE, big, sizeof big), -E2BIG);
	EXPECT_EQ(skep_bpf(e, BPF_MAP_CREATE, big, 5000), -E2BIG);
	big[200] = 0;
	memcpy(a->map_name, "bad-name", 8);
	EXPECT_EQ(skep_bpf(e, BPF_MAP_CREATE, big, sizeof big), -EINVAL);
	memset(a->map_name, 'x', 16);
	EXPECT_EQ(skep_bpf(e, BPF_MAP_CREATE, big, sizeof big), -EINVAL);
	EXPECT_EQ(skep_bpf(e, 999, big, sizeof big), -EINVAL);
	EXPECT_EQ(BPF(e, BPF_MAP_LOOKUP_ELEM, .map_fd = 0, .flags = 1), -EINVAL);
	EXPECT_EQ(skep_bpf(e, BPF_MAP_CREATE, NULL, 40), -EFAULT);
	engine_destroy(e);
}

/* A caller whose descriptors and memory are not ours: numbers are shifted, memory lies behind a key. */
enum { SHIFT = 5000 };
static const u64 key_of_memory = 0x10000000000;
static u8 theirs[4096];
static int caller_calls;
static int caller_read(void *owner, void *to, u64 from, u64 n) {
	caller_calls++;
	if (from < key_of_memory || from - key_of_memory > sizeof theirs - n)
		return -EFAULT;
	memcpy(to, theirs + (from - key_of_memory), n);
	return 0;
}
static int caller_write(void *owner, u64 to, const void *from, u64 n) {
	caller_calls++;
	if (to < key_of_memory || to - key_of_memory > sizeof theirs - n)
		return -EFAULT;
	memcpy(theirs + (to - key_of_memory), from, n);
	return 0;
}
static int caller_borrow(void *owner, int fd) {
	return fd < SHIFT ? -EBADF : dup(fd - SHIFT);
}
static void caller_return(void *owner, int fd) {
	close(fd);
}
static int caller_give(void *owner, int fd) {
	return fd + SHIFT;
}
static void other_caller(void) {
	if (handles)
		return;
	static const struct bpf_caller caller = {.read = caller_read, .write = caller_write, .borrow_fd = caller_borrow,
	                                         .return_fd = caller_return, .give_fd = caller_give};
	struct skep_engine *e = engine();
	union bpf_attr *a = (void *)theirs;
	*a = (union bpf_attr){.map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 4};
	s64 fd = skep_bpf_for(e, &caller, BPF_MAP_CREATE, key_of_memory, sizeof *a);
	EXPECT(fd >= SHIFT);
	u32 k = 3;
	u64 v = 9;
	memcpy(theirs + 1024, &k, 4), memcpy(theirs + 2048, &v, 8);
	*a = (union bpf_attr){.map_fd = fd, .key = key_of_memory + 1024, .value = key_of_memory + 2048};
	EXPECT_EQ(skep_bpf_for(e, &caller, BPF_MAP_UPDATE_ELEM, key_of_memory, sizeof *a), 0);
	a->value = key_of_memory + 3072;
	EXPECT_EQ(skep_bpf_for(e, &caller, BPF_MAP_LOOKUP_ELEM, key_of_memory, sizeof *a), 0);
	EXPECT(!memcmp(theirs + 3072, &v, 8));
	a->value = key_of_memory + 4095;
	EXPECT_EQ(skep_bpf_for(e, &caller, BPF_MAP_LOOKUP_ELEM, key_of_memory, sizeof *a), -EFAULT);
	a->map_fd = 3;
	EXPECT_EQ(skep_bpf_for(e, &caller, BPF_MAP_LOOKUP_ELEM, key_of_memory, sizeof *a), -EBADF);
	EXPECT_EQ(skep_bpf_for(e, &caller, BPF_MAP_CREATE, 4096, sizeof *a), -EFAULT);
	EXPECT(caller_calls > 10);
	close((int)fd - SHIFT);
	engine_destroy(e);
}

/* == Types of values == */

static u32 kptr_to(struct btf_builder *b, const char *name, u32 n) {
	u32 to = btf_builder_type(b, name, BTF_KIND_STRUCT, 1, 4, 3, btf_builder_string(b, "a"), n, 0);
	return btf_builder_type(b, NULL, BTF_KIND_PTR, 0, btf_builder_type(b, "kptr", BTF_KIND_TYPE_TAG, 0, to, 0), 0);
}

/* BTF_LOAD of a structure with a kptr to that, beside a lock or two. */
static s64 load_value(struct skep_engine *e, const char *to, u32 locks) {
	struct btf_builder b;
	union bpf_attr a = {0};
	const void *data;
	u32 size, n, lock, kptr;
	s64 fd;
	btf_builder_init(&b, NULL);
	n = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	lock = btf_builder_type(&b, "bpf_spin_lock", BTF_KIND_STRUCT, 1, 4, 3, btf_builder_string(&b, "v"), n, 0);
	kptr = kptr_to(&b, to, n);
	btf_builder_type(&b, "value", BTF_KIND_STRUCT, 3, 16, 9, btf_builder_string(&b, "k"), kptr, 0,
	                 btf_builder_string(&b, "l"), lock, 8 * 8, btf_builder_string(&b, "m"), locks == 2 ? lock : n, 12 * 8);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	a.btf = (u64)(uintptr_t)data;
	a.btf_size = size;
	fd = skep_bpf(e, BPF_BTF_LOAD, &a, sizeof a);
	btf_builder_free(&b);
	return fd;
}

static void kernel_pointers(void) {
	struct btf_builder b;
	struct btf *kernel = NULL;
	struct engine_opts o = {.size = sizeof o, .backing = BACKING_ANONYMOUS, .log = print_log};
	struct skep_engine *e = NULL;
	const void *data;
	u32 size, n;
	btf_builder_init(&b, NULL);
	n = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	kptr_to(&b, "file", n);
	kptr_to(&b, "task_struct", n);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, 0, NULL, &kernel), 0);
	btf_builder_free(&b);
	o.kernel_btf = kernel;
	EXPECT_EQ(engine_create(&o, &e), 0);
	EXPECT(load_value(e, "task_struct", 1) >= 0);
	EXPECT(load_value(e, "mine", 1) >= 0);
	EXPECT_EQ(load_value(e, "task_struct", 2), -E2BIG);
	EXPECT_EQ(load_value(e, "file", 1), -ENOENT); /* nothing releases it */
	engine_destroy(e);
	btf_put(kernel);
}

static void run_all(void) {
	RUN(elements);
	RUN(percpu);
	RUN(mapped);
	RUN(lifetime);
	RUN(modes);
	RUN(pins);
	RUN(attributes);
	RUN(other_caller);
	RUN(kernel_pointers);
}
int main(void) {
	backing = BACKING_ANONYMOUS, handles = false;
	run_all();
	handles = true;
	run_all();
	handles = false, backing = BACKING_FILES;
	run_all();
	EXPECT_EQ(objects_left(), 0);
	remove_test_dir();
	return test_end();
}
