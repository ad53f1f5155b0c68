/* Making a session.
 *
 *   code segment:  data plane │ map descriptors │ programs │ hook routines │ … islands, appended as images are met
 *   tables:        hook[0] = nothing, then one cell for every routine; number → cell
 *
 * Numbers that have the same programs share a routine. A number that has none, and that the machinery does not need,
 * gets none: its sites stay untouched.
 *
 * Addresses. The window lies between 1 and 2 GiB, so that stubs reach it with 32-bit absolute operands and programs
 * linked at a fixed low address with a jump; below it is where such programs and their heaps are, above it begins the shadow
 * memory of AddressSanitizer (0x7fff8000). Map areas stand between 0x5500_0000_0000 and 0x5550_0000_0000: just below where the
 * kernel puts position independent programs, and application memory for the address, thread and memory sanitizers alike. */
#include "hook/session.h"
#include "abi/dataplane.h"
#include "hook/dataplane_image.h"
#include "hook/routines.h"
#include <asm/unistd.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define WINDOW_LOW 0x50000000ull
#define WINDOW_HIGH 0x7c000000ull
#define AREAS_LOW 0x550000000000ull
#define AREAS_HIGH 0x554000000000ull
enum { PAGE = 4096, MEMFD_EXEC = 0x10, ISLAND_ALIGN = 64 };

struct builder {
	struct session_state *s;
	const struct launch_prog *progs;
	u32 progs_n;
	char *error;
	u8 *code;                   /* CODE_SIZE bytes */
	struct engine_map *maps[BOOT_FDS_MAX];
	u64 map_at[BOOT_FDS_MAX];   /* their descriptors in targets */
	u64 area_at[BOOT_FDS_MAX], data_at[BOOT_FDS_MAX];
	u32 maps_n;
	struct routine_env env;
	u32 hooks;                  /* cells used */
};

static int say(char *error, int err, const char *what) {
	snprintf(error, 256, "%s: %s", what, strerror(-err));
	return err;
}

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

static int map_here(int fd, u64 size, void **out) {
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*out = p == MAP_FAILED ? NULL : p;
	return p == MAP_FAILED ? -errno : 0;
}

static int make_files(struct session_state *s) {
	int code = keep(s, make_file("skep-code", CODE_SIZE)), tables = keep(s, make_file("skep-tables", TABLES_SIZE));
	int shared = keep(s, make_file("skep-shared", SHARED_SIZE));
	if (code < 0 || tables < 0 || shared < 0)
		return MIN(code, MIN(tables, shared));
	int code_ro = keep(s, reopen_for_reading(code)), tables_ro = keep(s, reopen_for_reading(tables));
	if (code_ro < 0 || tables_ro < 0)
		return MIN(code_ro, tables_ro);
	s->code_fd = code;
	s->fds[0] = code_ro, s->fds[1] = tables_ro, s->fds[2] = shared;
	s->fds_n = SESSION_FDS_OWN;
	int err = fallocate(shared, 0, 0, SHARED_SIZE) ? -errno : 0; /* a sparse page on a full tmpfs would be SIGBUS */
	if (!err)
		err = map_here(tables, TABLES_SIZE, (void **)&s->tables);
	if (!err)
		err = map_here(shared, SHARED_SIZE, (void **)&s->shared);
	return err;
}

static u64 random_in(u64 low, u64 high, u64 step) {
	u64 r = 0;
	if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
		r = (u64)getpid() * 0x9e3779b97f4a7c15ull;
	return low + r % ((high - low) / step) * step;
}

/* ---- maps -------------------------------------------------------------------------------------------------------- */

static struct boot_map *add_boot_map(struct builder *b, u64 address, u64 size, u64 offset, u32 fd, bool writable) {
	struct session *block = b->s->block;
	if (block->maps == BOOT_MAPS_MAX)
		return NULL;
	struct boot_map *m = &block->map[block->maps++];
	*m = (struct boot_map){address, size, offset, (u16)fd, writable, 0};
	block->writable[fd] |= writable;
	return m;
}

static int add_map_file(struct builder *b, int fd, u64 size, u64 *address) {
	struct session_state *s = b->s;
	*address = 0;
	if (!size)
		return 0;
	if (fd < 0)
		return -EOPNOTSUPP;
	if (s->fds_n == BOOT_FDS_MAX)
		return -E2BIG;
	*address = s->next_area;
	s->next_area += round_up(size, PAGE) + PAGE;
	s->fds[s->fds_n] = fd;
	return add_boot_map(b, *address, round_up(size, PAGE), 0, s->fds_n++, true) ? 0 : -E2BIG;
}

static int add_map(struct builder *b, struct engine_map *m) {
	for (u32 i = 0; i < b->maps_n; i++)
		if (b->maps[i] == m)
			return 0;
	u32 i = b->maps_n;
	if (i == BOOT_FDS_MAX)
		return say(b->error, -E2BIG, "too many maps for one launch");
	int err = add_map_file(b, m->area_fd, m->map.area_size, &b->area_at[i]);
	if (!err)
		err = add_map_file(b, m->token_fd, m->map.data_size, &b->data_at[i]);
	if (err == -EOPNOTSUPP)
		snprintf(b->error, 256, "map %s lives in memory of this process only; an engine with files is needed to launch", m->name);
	else if (err)
		say(b->error, err, "maps cannot be handed to the command");
	b->maps[i] = m, b->maps_n++;
	return err;
}

/* ---- code -------------------------------------------------------------------------------------------------------- */

static int take_code(struct builder *b, u64 size, u32 *off) {
	u64 at = round_up(b->s->code_used, ISLAND_ALIGN);
	if (at + size > CODE_SIZE)
		return say(b->error, -E2BIG, "the programs do not fit the code segment");
	*off = (u32)at, b->s->code_used = (u32)(at + size);
	return 0;
}

static int put_maps(struct builder *b) {
	for (u32 i = 0; i < b->maps_n; i++) {
		struct map m = b->maps[i]->map;
		u32 off;
		int err = take_code(b, sizeof m, &off);
		if (err)
			return err;
		m.area = (u8 *)b->area_at[i], m.data = (u8 *)b->data_at[i], m.objects = NULL;
		memcpy(b->code + off, &m, sizeof m);
		b->map_at[i] = b->s->base + off;
	}
	return 0;
}

struct resolver {
	struct builder *b;
	const struct launch_prog *prog;
	u64 code_at;
	bool missing;
	char what[64];
};

static u64 resolve_map(struct resolver *r, u16 kind, u16 index, u64 addend) {
	struct builder *b = r->b;
	struct engine_map *m = index < r->prog->prog->maps_n ? r->prog->prog->maps[index] : NULL;
	for (u32 i = 0; i < b->maps_n; i++)
		if (b->maps[i] == m && kind == RELOC_MAP)
			return b->map_at[i] + addend;
		else if (b->maps[i] == m) /* as in this process: the same place of the same part */
			return (m->map.data ? b->data_at[i] : b->area_at[i] + m->map.off[0]) + addend;
	r->missing = true;
	return 0;
}

static u64 resolve(void *owner, u16 kind, u16 index, u64 addend) {
	struct resolver *r = owner;
	const char *name;
	s64 at;
	switch ((enum reloc_kind)kind) {
	case RELOC_DP:
		name = dp_symbol_name(index);
		at = name ? dataplane_offset(name) : -1;
		if (at >= 0)
			return r->b->s->base + (u64)at + addend;
		snprintf(r->what, sizeof r->what, "%s", name ? name : "?");
		break;
	case RELOC_MAP:
	case RELOC_MAP_VALUE:
		return resolve_map(r, kind, index, addend);
	case RELOC_CODE:
		return r->code_at + addend;
	case RELOC_CONST:
		return index == CONST_NR_CPUS ? (u64)sysconf(_SC_NPROCESSORS_CONF) : r->prog->prog->image->id;
	}
	r->missing = true;
	return 0;
}

static int put_programs(struct builder *b) {
	for (u32 i = 0; i < b->progs_n; i++) {
		const struct launch_prog *p = &b->progs[i];
		u32 off;
		int err = take_code(b, p->prog->image->code_size, &off);
		if (err)
			return err;
		struct resolver r = {b, p, b->s->base + off, false, ""};
		image_relocate(p->prog->image, b->code + off, r.code_at, resolve, &r);
		if (r.missing) {
			snprintf(b->error, 256, "program %s needs %s, which does not run in a launched command", p->prog->name,
			         r.what[0] ? r.what : "an object that is not there");
			return -EOPNOTSUPP;
		}
		b->s->entries[i] = r.code_at + p->prog->image->entry;
	}
	return 0;
}

/* ---- routines ---------------------------------------------------------------------------------------------------- */

static bool machine_wants(u32 nr, bool leave, u32 features) {
	switch (nr) {
	case __NR_execve:
	case __NR_execveat:
		return true;
	case __NR_mmap:
	case __NR_fork:
	case __NR_vfork:
	case __NR_clone3:
		return leave;
	case __NR_clone:
		return leave || features & FEATURE_TASK;
	case __NR_exit:
		return !leave && features & FEATURE_TASK;
	case __NR_prctl:
	case __NR_setuid:
	case __NR_setgid:
	case __NR_setreuid:
	case __NR_setregid:
	case __NR_setresuid:
	case __NR_setresgid:
	case __NR_unshare:
	case __NR_setns:
		return leave && features & FEATURE_TASK;
	}
	return false;
}

static struct hook_list list_of(const struct builder *b, enum launch_point point, u32 nr, u16 *room) {
	struct hook_list list = {.progs = room};
	for (u32 i = 0; i < b->progs_n; i++)
		if (b->progs[i].point == point && (b->progs[i].nr < 0 || (u32)b->progs[i].nr == nr))
			room[list.progs_n++] = (u16)i;
	list.machine = machine_wants(nr, point == LAUNCH_EXIT, b->s->block->features);
	return list;
}

static int put_routine(struct builder *b, enum launch_point point, struct hook_list list, u32 *cell) {
	u8 code[16384];
	struct emit e = {.code = code, .room = sizeof code, .at = b->s->base + round_up(b->s->code_used, ISLAND_ALIGN)};
	u32 off;
	if (b->hooks == HOOKS_MAX)
		return say(b->error, -E2BIG, "too many different hooks");
	(point == LAUNCH_ENTER ? routine_enter : routine_leave)(&e, &b->env, b->progs, list);
	int err = e.full ? say(b->error, -E2BIG, "too many programs at one hook") : take_code(b, e.n, &off);
	if (err)
		return err;
	ASSERT(b->s->base + off == e.at);
	memcpy(b->code + off, code, e.n);
	*cell = b->hooks++;
	b->s->tables->hook[*cell] = e.at;
	return 0;
}

static u64 cell_address(const struct session_state *s, u32 cell) {
	return cell ? s->base + AT_TABLES + offsetof(struct tables, hook) + 8ull * cell : 0;
}

/* One point: a routine for each different list, and the tables from numbers to routines. */
static int put_point(struct builder *b, enum launch_point point, u16 *table, u64 *calls) {
	u16 (*room)[SESSION_PROGS_MAX] = calloc(NR_LIMIT + 1, sizeof *room);
	struct hook_list list[NR_LIMIT + 1];
	int err = room ? 0 : -ENOMEM;
	for (u32 nr = 0; !err && nr <= NR_LIMIT; nr++) {
		list[nr] = list_of(b, point, nr, room[nr]);
		u32 cell = 0, same = 0;
		while (same < nr && (list[same].progs_n != list[nr].progs_n || list[same].machine != list[nr].machine ||
		                     memcmp(room[same], room[nr], sizeof room[nr])))
			same++;
		if (same < nr)
			cell = table[same];
		else if (list[nr].progs_n || list[nr].machine)
			err = put_routine(b, point, list[nr], &cell);
		table[nr] = (u16)cell;
		calls[nr] = cell_address(b->s, cell);
	}
	free(room);
	return err;
}

static int put_dispatch(struct builder *b, bool leave, u64 *call) {
	u8 code[256];
	struct emit e = {.code = code, .room = sizeof code, .at = b->s->base + round_up(b->s->code_used, ISLAND_ALIGN)};
	u32 off;
	(leave ? routine_dispatch_leave : routine_dispatch_enter)(&e, &b->env);
	ASSERT(!e.full);
	int err = take_code(b, e.n, &off);
	if (err || b->hooks == HOOKS_MAX)
		return err ? err : -E2BIG;
	memcpy(b->code + off, code, e.n);
	b->s->tables->hook[b->hooks] = e.at;
	*call = cell_address(b->s, b->hooks++);
	return 0;
}

static int put_routines(struct builder *b) {
	struct session_state *s = b->s;
	s64 nothing = dataplane_offset("hook_nothing"), release = dataplane_offset("run_release");
	b->env = (struct routine_env){
	    .env = s->base + AT_ENV,
	    .tables = s->base + AT_TABLES,
	    .machine_enter = s->base + (u64)dataplane_offset("machine_enter"),
	    .machine_leave = s->base + (u64)dataplane_offset("machine_leave"),
	    .task_current = s->base + (u64)dataplane_offset("task_current"),
	    .run_release = release < 0 ? 0 : s->base + (u64)release,
	    .entries = s->entries,
	};
	s->tables->hook[0] = s->base + (u64)nothing;
	b->hooks = 1;
	int err = put_point(b, LAUNCH_ENTER, s->tables->enter, s->calls.enter);
	if (!err)
		err = put_point(b, LAUNCH_EXIT, s->tables->leave, s->calls.leave);
	if (!err)
		err = put_dispatch(b, false, &s->calls.dispatch_enter);
	if (!err)
		err = put_dispatch(b, true, &s->calls.dispatch_leave);
	return err;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static u32 features_of(const struct launch_prog *progs, u32 n) {
	u32 features = getauxval(AT_HWCAP2) & 2 ? FEATURE_FSGSBASE : 0; /* the kernel lets user code read FS base */
	for (u32 i = 0; i < n; i++)
		if (progs[i].prog->image->xlated->uses_run_task)
			features |= FEATURE_TASK;
	return features;
}

static int check_programs(const struct launch_prog *progs, u32 n, char *error) {
	if (n > SESSION_PROGS_MAX)
		return say(error, -E2BIG, "too many programs for one launch");
	for (u32 i = 0; i < n; i++) {
		const struct engine_prog *p = progs[i].prog;
		if (!p->image || !p->image->code) {
			snprintf(error, 256, "program %s cannot run in a launched command: %s", p->name,
			         p->refusal ? p->refusal : "it has no machine code");
			return -EOPNOTSUPP;
		}
		ASSERT(p->image->entry < p->image->code_size);
	}
	return 0;
}

static int build(struct builder *b) {
	struct session_state *s = b->s;
	u32 size;
	const u8 *bytes = dataplane_bytes(&size);
	ASSERT(size <= CODE_SIZE);
	memcpy(b->code, bytes, size);
	s->code_used = size;
	s->block = (struct session *)(b->code + dataplane_offset("session"));
	s->block->base = s->base;
	s->block->features = features_of(b->progs, b->progs_n);
	add_boot_map(b, s->base + AT_TABLES, TABLES_SIZE, 0, 1, false);
	add_boot_map(b, s->base + AT_SHARED, SHARED_SIZE, 0, 2, true);
	int err = 0;
	for (u32 i = 0; !err && i < b->progs_n; i++)
		for (u32 k = 0; !err && k < b->progs[i].prog->maps_n; k++)
			err = add_map(b, b->progs[i].prog->maps[k]);
	if (!err)
		err = put_maps(b);
	if (!err)
		err = put_programs(b);
	if (!err)
		err = put_routines(b);
	s->block->fds = s->fds_n;
	if (!err) {
		err = session_write_code(s, 0, b->code, s->code_used);
		if (err)
			say(b->error, err, "the code segment cannot be written");
	}
	s->block = NULL;
	return err;
}

int session_create(struct session_state *s, const struct launch_prog *progs, u32 n, char *error) {
	*s = (struct session_state){.base = random_in(WINDOW_LOW, WINDOW_HIGH, 1 << 16),
	                            .next_area = random_in(AREAS_LOW, AREAS_HIGH, PAGE)};
	int err = check_programs(progs, n, error);
	if (err)
		return err;
	err = make_files(s);
	if (err)
		return say(error, err, "the session's files cannot be made"), session_destroy(s), err;
	s->loader = (u64)dataplane_offset("loader_start"), s->boot = (u64)dataplane_offset("boot_entry");
	struct builder b = {.s = s, .progs = progs, .progs_n = n, .error = error, .code = calloc(1, CODE_SIZE)};
	err = b.code ? build(&b) : say(error, -ENOMEM, "the session");
	free(b.code);
	if (err)
		session_destroy(s);
	return err;
}

void session_destroy(struct session_state *s) {
	if (s->tables)
		munmap(s->tables, TABLES_SIZE);
	if (s->shared)
		munmap(s->shared, SHARED_SIZE);
	for (u32 i = 0; i < s->own_n; i++)
		close(s->own[i]);
	*s = (struct session_state){0};
}

s64 session_code_room(struct session_state *s, u32 size) {
	u64 at = round_up(s->code_used, PAGE);
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
