/* Images that arrive: the program, ld.so and the vDSO when a process boots, libraries when they are mapped.
 *
 *   identity of the file ─► its sites (images.c) ─► an island for this distance ─► mapped into the process ─► jumps
 *
 * The island's pages are in the code segment already, which the process has mapped: the sleeping thread duplicates them
 * to their place with mremap. It reserves the place first (MAP_FIXED_NOREPLACE), and the second call is made only when
 * the first gave what it should. Then the stubs are read back: what a target says is not believed.
 *
 * Addresses follow from the auxiliary vector; /proc/PID/maps need not be read. */
#include "hook/launch_state.h"
#include "map/map.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, AT_COOKIE = ENV_SIZE - 8, VDSO_MAX = 4 * PAGE };
enum { RESERVE = 0x100022 /* MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE */, MOVE_FIXED = 3 };

static u64 page_of(u64 address) {
	return address & ~(PAGE - 1ull);
}

/* ---- one image --------------------------------------------------------------------------------------------------- */

static int map_island(const struct launch *l, const struct mail *m, const struct process *p,
                      const struct placed_island *placed, u64 at) {
	u64 size = round_up(MAX(placed->island.size, 1u), PAGE), from = l->session.base + placed->code_off;
	u8 here[16] = {0};
	s64 ret[2] = {0, 0};
	const struct remote_call call[] = {
	    {SYS_mmap, {at, size, 0 /* PROT_NONE */, RESERVE, (u64)-1, 0}, at},
	    {SYS_mremap, {from, 0, size, MOVE_FIXED, at, 0}, at},
	};
	int err = mail_call(m, call, ARRAY_SIZE(call), ret);
	if (err || ret[0] != (s64)at)
		return err ? err : -EEXIST;
	u32 n = MIN(placed->island.size, (u32)sizeof here);
	err = process_read(p, at, here, n);
	return err ? err : memcmp(here, placed->island.code, n) ? -EFAULT : 0;
}

static int hook_image(struct launch *l, const struct mail *m, const struct process *p, struct hooked_image *im, u64 segment) {
	struct placed_island *placed;
	u64 at, patched = 0, skipped = 0;
	if (!im || (!im->sites.n && !im->sites.skipped))
		return 0;
	for (u32 k = 0;; k++) {
		int err = image_island(im, &l->session, segment, k, &placed, &at);
		if (err)
			return err;
		if (placed->island.patches) {
			err = placed->distance ? map_island(l, m, p, placed, at) : 0;
			if (err == -EEXIST)
				continue; /* something stands there: the next distance */
			if (!err)
				err = image_patch(im, placed, p, segment, &patched, &skipped);
		}
		pthread_mutex_lock(&l->lock);
		l->report.images += !err && placed->island.patches;
		l->report.sites += patched;
		l->report.sites_skipped += skipped + im->sites.skipped + placed->island.skipped;
		pthread_mutex_unlock(&l->lock);
		return err;
	}
}

int arrival_file(struct launch *l, const struct mail *m, const struct process *p, int fd, u64 off, u64 mapped_at) {
	struct hooked_image *im;
	int err = images_of_file(&l->images, fd, off, &im);
	if (err == -ENOEXEC)
		return 0; /* not an image: nothing to find */
	return err ? err : hook_image(l, m, p, im, mapped_at + (im->sites.address & (PAGE - 1)) + im->file_off - off);
}

/* ---- boot -------------------------------------------------------------------------------------------------------- */

int arrival_open(pid_t pid, const char *what, const char *path) {
	char full[PATH_MAX + 64];
	snprintf(full, sizeof full, "/proc/%d/%s%s", pid, what, path);
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int hook_elf(struct launch *l, const struct mail *m, const struct process *p, int fd, u64 bias) {
	struct elf e;
	int err = elf_open_fd(&e, fd);
	for (u32 i = 0; !err && i < e.segments; i++) {
		const Elf64_Phdr *s = &e.segment[i];
		if (s->p_type == PT_LOAD && s->p_flags & PF_X)
			err = arrival_file(l, m, p, fd, page_of(s->p_offset), bias + page_of(s->p_vaddr));
	}
	elf_close(&e);
	return err;
}

struct program {
	u64 bias;
	char interpreter[PATH_MAX]; /* "" = none */
};
static int inspect_program(int fd, const struct auxv *v, struct program *out) {
	struct elf e;
	int err = elf_open_fd(&e, fd);
	out->interpreter[0] = 0;
	out->bias = err ? 0 : v->entry - e.head.e_entry;
	for (u32 i = 0; !err && i < e.segments; i++) {
		u64 n = e.segment[i].p_filesz;
		if (e.segment[i].p_type != PT_INTERP || !n || n >= sizeof out->interpreter)
			continue;
		err = elf_read(&e, e.segment[i].p_offset, n, out->interpreter);
		out->interpreter[n] = 0;
	}
	elf_close(&e);
	return err;
}

static u64 read_vdso(const struct process *p, u64 at, u8 *bytes) {
	u64 n = 0;
	while (at && n < VDSO_MAX && !process_read(p, at + n, bytes + n, PAGE))
		n += PAGE;
	return n;
}

static int hook_vdso(struct launch *l, const struct mail *m, const struct process *p, u64 vdso) {
	u8 bytes[VDSO_MAX];
	struct hooked_image *im = images_vdso(&l->images);
	if (!im) {
		u64 n = read_vdso(p, vdso, bytes);
		int err = n ? images_add_vdso(&l->images, bytes, n, &im) : 0;
		if (err || !n)
			return err;
	}
	return vdso ? hook_image(l, m, p, im, vdso + im->sites.address) : 0;
}

/* The vDSO is one image for all processes of a machine: where its clock is need be found only once. */
static u64 vdso_clock(struct launch *l, const struct process *p, u64 vdso) {
	u8 bytes[VDSO_MAX];
	struct elf e;
	if (!l->vdso_known && vdso) {
		u64 n = read_vdso(p, vdso, bytes);
		if (n && !elf_open_memory(&e, bytes, n)) {
			l->vdso_clock_offset = elf_symbol(&e, "__vdso_clock_gettime");
			elf_close(&e);
		}
		l->vdso_known = true;
	}
	return vdso && l->vdso_clock_offset ? vdso + l->vdso_clock_offset : 0;
}

/* The services of a process; the cookie marks it as one of ours. */
static int fill_env(struct launch *l, const struct process *p, const struct auxv *v) {
	const struct session_state *s = &l->session;
	u8 page[ENV_SIZE] = {0};
	struct env env = {.run = {
	    .clock_gettime = (void *)vdso_clock(l, p, v->vdso),
	    .counters = (void *)(s->base + AT_SHARED + offsetof(struct shared, counters)),
	    .nr_cpus = s->nr_cpus,
	    .trace = (const void *)s->trace_at,
	    .participant = l->next_participant,
	    .own = (const void *)(s->base + s->block + offsetof(struct session, own)),
	    .own_n = ARRAY_SIZE(((struct session *)0)->own),
	}};
	l->next_participant = l->next_participant % PARTICIPANT_MAX + 1;
	memcpy(page, &env, sizeof env);
	memcpy(page + AT_COOKIE, &l->cookie, sizeof l->cookie);
	STATIC_ASSERT(sizeof env <= AT_COOKIE, "the cookie lies behind");
	return process_write(p, s->base + AT_ENV, page, sizeof page);
}

int arrival_boot(struct launch *l, const struct mail *m, const struct process *p) {
	struct auxv v;
	struct program program;
	int err = process_auxv(p->pid, &v), exe = err ? err : arrival_open(p->pid, "exe", "");
	if (exe < 0)
		return exe;
	err = fill_env(l, p, &v);
	if (!err)
		err = inspect_program(exe, &v, &program);
	if (!err)
		err = hook_elf(l, m, p, exe, program.bias);
	close(exe);
	if (!err && program.interpreter[0] && v.base) {
		int fd = arrival_open(p->pid, "root/", program.interpreter);
		if (fd >= 0) {
			err = hook_elf(l, m, p, fd, v.base);
			close(fd);
		}
	}
	return err ? err : hook_vdso(l, m, p, v.vdso);
}

/* ---- room for the loader ----------------------------------------------------------------------------------------- */

/* What lies behind the text in its last page: never executed, never read through this mapping. */
static u64 room_behind(const struct elf *e, u64 bias, u32 need) {
	for (u32 i = 0; i < e->segments; i++) {
		const Elf64_Phdr *s = &e->segment[i];
		u64 end = bias + s->p_vaddr + s->p_filesz, at = round_up(end, 16);
		if (s->p_type == PT_LOAD && s->p_flags & PF_X && !(s->p_flags & PF_W) && s->p_filesz &&
		    s->p_filesz == s->p_memsz && at < round_up(end, PAGE) && round_up(end, PAGE) - at >= need)
			return at;
	}
	return 0;
}

static u64 room_in(int fd, u64 bias, u32 need) {
	struct elf e;
	u64 at = fd >= 0 && !elf_open_fd(&e, fd) ? room_behind(&e, bias, need) : 0;
	if (fd >= 0)
		elf_close(&e);
	return at;
}

u64 arrival_room(pid_t pid, const struct auxv *v, u32 need) {
	struct elf e;
	struct process p;
	struct program program;
	u8 bytes[VDSO_MAX];
	u64 at = 0;
	if (!process_open(&p, pid)) {
		u64 n = read_vdso(&p, v->vdso, bytes);
		if (n && !elf_open_memory(&e, bytes, n)) {
			at = room_behind(&e, v->vdso, need);
			elf_close(&e);
		}
		process_close(&p);
	}
	int exe = at ? -1 : arrival_open(pid, "exe", "");
	if (exe < 0)
		return at;
	if (!inspect_program(exe, v, &program)) {
		at = room_in(exe, program.bias, need);
		int ld = at || !program.interpreter[0] ? -1 : arrival_open(pid, "root/", program.interpreter);
		if (ld >= 0) {
			at = room_in(ld, v->base, need);
			close(ld);
		}
	}
	close(exe);
	return at;
}
