/* A session's files and addresses.
 *
 * Addresses. The window lies between 1 and 2 GiB, so that stubs reach it with 32-bit absolute operands and programs
 * linked at a fixed low address with a jump; below it is where such programs and their heaps are, above it begins the
 * shadow memory of AddressSanitizer (0x7fff8000). Map areas stand there too when they are small; large ones between
 * 0x5500_0000_0000 and 0x5550_0000_0000: just below where the kernel puts position independent programs, and application
 * memory for the address, thread and memory sanitizers alike. */
#include "hook/session.h"
#include "hook/dataplane_image.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define WINDOW_LOW 0x50000000ull
#define WINDOW_HIGH 0x7c000000ull
#define AREAS_LOW 0x550000000000ull
#define AREAS_HIGH 0x554000000000ull
enum { PAGE = 4096, MEMFD_EXEC = 0x10, TRACE_SIZE = 256 << 10 };

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int make_file(const char *name, u64 size) {
	int fd = memfd_create(name, MFD_CLOEXEC | MEMFD_EXEC);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, (off_t)size)) {
		int err = -errno;
		close(fd);
		return err;
	}
	return fd < 0 ? -errno : fd;
}

/* The same file through a description that cannot write. */
static int reopen_for_reading(int fd) {
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int got = open(path, O_RDONLY | O_CLOEXEC);
	return got < 0 ? -errno : got;
}

static int keep(struct session_state *s, int fd) {
	ASSERT(s->own_n < ARRAY_SIZE(s->own));
	if (fd >= 0)
		s->own[s->own_n++] = fd;
	return fd;
}

static int map_here(int fd, u64 at, u64 size, void **out) {
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
	*out = p == MAP_FAILED ? NULL : p;
	return p == MAP_FAILED ? -errno : 0;
}

static int make_files(struct session_state *s) {
	int code = keep(s, make_file("skep-code", TABLES_IN_FILE + TABLES_SIZE));
	int shared = keep(s, make_file("skep-shared", SHARED_SIZE));
	if (code < 0 || shared < 0)
		return MIN(code, shared);
	int code_ro = keep(s, reopen_for_reading(code));
	if (code_ro < 0)
		return code_ro;
	s->code_fd = code;
	s->fds[0] = code_ro, s->fds[1] = shared;
	s->fds_n = SESSION_FDS_OWN;
	int err = fallocate(shared, 0, 0, SHARED_SIZE) ? -errno : 0; /* a sparse page on a full tmpfs would be SIGBUS */
	if (!err)
		err = map_here(code, TABLES_IN_FILE, TABLES_SIZE, (void **)&s->tables);
	if (!err)
		err = map_here(shared, 0, SHARED_SIZE, (void **)&s->shared);
	return err;
}

static u64 random_in(u64 low, u64 high, u64 step) {
	u64 r = 0;
	ASSERT(low < high && step && high - low >= step);
	if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
		r = (u64)getpid() * 0x9e3779b97f4a7c15ull;
	return low + r % ((high - low) / step) * step;
}

/* bpf_printk lines of all targets: a ring buffer of the session's own, in the shared file. */
static int make_trace(struct session_state *s) {
	struct engine_map *t = &s->trace;
	const struct map_ops *ops = map_ops_of(BPF_MAP_TYPE_RINGBUF);
	snprintf(t->name, sizeof t->name, "trace");
	t->ops = ops;
	t->map = (struct map){.type = BPF_MAP_TYPE_RINGBUF, .max_entries = TRACE_SIZE, .spin_lock = -1, .nr_cpus = 1};
	t->token_fd = t->area_fd = -1;
	int err = ops ? ops->geometry(&t->map) : -EOPNOTSUPP;
	if (err)
		return err;
	s->trace_data = TRACE_IN_FILE, s->trace_area = s->trace_data + round_up(t->map.data_size, PAGE);
	s->shared_size = s->trace_area + round_up(t->map.area_size, PAGE);
	ASSERT(s->shared_size <= AT_TABLES - AT_SHARED);
	if (ftruncate(s->fds[1], (off_t)s->shared_size))
		return -errno;
	err = map_here(s->fds[1], s->trace_data, t->map.data_size, (void **)&t->map.data);
	if (!err)
		err = map_here(s->fds[1], s->trace_area, t->map.area_size, (void **)&t->map.area);
	return err ? err : ops->init(&t->map);
}

int session_create(struct session_state *s, struct skep_engine *e, const struct launch_prog *progs, u32 n, char *error) {
	u64 areas = random_in(AREAS_LOW, AREAS_HIGH, PAGE);
	*s = (struct session_state){.engine = e, .base = random_in(WINDOW_LOW, WINDOW_HIGH, 1 << 16), .areas = areas,
	                            .next_area = areas};
	s->nr_cpus = (u32)sysconf(_SC_NPROCESSORS_CONF);
	s->loader = (u64)dataplane_offset("loader_start"), s->boot = (u64)dataplane_offset("boot_entry");
	s->block = (u64)dataplane_offset("session");
	int err = make_files(s);
	if (!err)
		err = make_trace(s);
	if (err)
		snprintf(error, 256, "the session's files cannot be made: %s", strerror(-err));
	else
		err = session_build(s, progs, n, error);
	if (err)
		session_destroy(s);
	return err;
}

void session_destroy(struct session_state *s) {
	if (s->tables)
		munmap(s->tables, TABLES_SIZE);
	if (s->shared)
		munmap(s->shared, SHARED_SIZE);
	if (s->trace.map.data)
		munmap(s->trace.map.data, s->trace.map.data_size);
	if (s->trace.map.area)
		munmap(s->trace.map.area, s->trace.map.area_size);
	for (u32 i = 0; i < s->own_n; i++)
		close(s->own[i]);
	for (u32 i = 0; i < s->held_progs_n; i++)
		engine_prog_put(s->engine, s->held_progs[i]);
	for (u32 i = 0; i < s->held_maps_n; i++)
		engine_map_put(s->engine, s->held_maps[i]);
	*s = (struct session_state){0};
}

s64 session_code_room(struct session_state *s, u32 size) {
	u64 at = round_up(s->code_used, PAGE);
	ASSERT(size > 0 && s->code_used <= CODE_SIZE);
	if (at + size > CODE_SIZE)
		return -ENOSPC;
	s->code_used = (u32)(at + size);
	return (s64)at;
}

int session_write_code(struct session_state *s, u32 off, const void *code, u32 size) {
	ASSERT((u64)off + size <= s->code_used);
	for (u32 done = 0; done < size;) {
		ssize_t got = pwrite(s->code_fd, (const u8 *)code + done, size - done, off + done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EIO;
		done += (u32)got;
	}
	return 0;
}

void session_mute(struct session_state *s) {
	for (u32 i = 1; i < HOOKS_MAX && s->tables->hook[i]; i++)
		store_release(&s->tables->hook[i], s->tables->hook[0]);
}
