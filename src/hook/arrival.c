/* Images that arrive: the program, ld.so and the vDSO when a process boots, libraries when they are mapped.
 *
 *   identity of the file ─► its sites (images.c) ─► an island for this distance ─► mapped into the process ─► jumps
 *
 * The island's pages are in the code segment already, which the process has mapped: the sleeping thread duplicates them
 * to their place with mremap. It reserves the place first (MAP_FIXED_NOREPLACE), and the second call is made only when
 * the first gave what it should.
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

/* Room for the loader: what lies behind the text in its last page is never executed, and never read through this
 * mapping. */
static u64 room_behind(const Elf64_Phdr *s, u64 bias) {
	ASSERT(s->p_type == PT_LOAD);
	u64 end = bias + s->p_vaddr + s->p_filesz, at = round_up(end, 16);
	bool fits = at < round_up(end, PAGE) && round_up(end, PAGE) - at >= LOADER_MAX;
	return fits && s->p_filesz && s->p_filesz == s->p_memsz && !(s->p_flags & PF_W) ? at : 0;
}

/* ---- one image --------------------------------------------------------------------------------------------------- */

static void count(struct launch *l, const struct hooked_image *im, const struct placed_island *placed, u64 patched,
				  u64 skipped) {
	pthread_mutex_lock(&l->lock);
	l->report.images += patched != 0;
	l->report.sites += patched;
	l->report.sites_enter_only += placed && l->session.wants_exits ? placed->island.enter_only : 0;
	l->report.sites_skipped += skipped + im->sites.skipped + (placed ? placed->island.skipped : 0);
	pthread_mutex_unlock(&l->lock);
}

static u64 island_size(const struct placed_island *placed) {
	return round_up(MAX(placed->island.size, 1u), PAGE);
}

/* The sleeping thread duplicates the island's pages to their place. -EEXIST: something stands there. */
static int map_island(const struct launch *l, const struct mail *m, const struct placed_island *placed, u64 at) {
	ASSERT(placed->distance && at % PAGE == 0);
	u64 size = island_size(placed), from = l->session.base + placed->code_off;
	s64 ret[2] = {0, 0};
	const struct remote_call call[] = {
	    {SYS_mmap, {at, size, 0 /* PROT_NONE */, RESERVE, (u64)-1, 0}, at},
	    {SYS_mremap, {from, 0, size, MOVE_FIXED, at, 0}, at},
	};
	int err = mail_call(m, call, ARRAY_SIZE(call), ret);
	return err ? err : ret[0] != (s64)at ? -EEXIST : 0;
}

/* From the k-th choice of place on. */
static int hook_image(struct launch *l, const struct mail *m, const struct process *p, struct hooked_image *im, u64 segment,
                      u32 k) {
	struct placed_island *placed;
	u64 at, patched = 0, skipped = 0;
	if (!im || (!im->sites.n && !im->sites.skipped))
		return 0;
	for (;; k++) {
		int err = image_island(im, &l->session, segment, k, &placed, &at);
		if (err)
			return err;
		if (placed->island.patches) {
			err = placed->distance ? map_island(l, m, placed, at) : 0;
			if (err == -EEXIST)
				continue; /* the next distance */
			if (!err)
				err = image_patch(im, placed, p, segment, at, &patched, &skipped);
		}
		count(l, im, placed, patched, skipped);
		return err;
	}
}

int arrival_file(struct launch *l, const struct mail *m, const struct process *p, int fd, u64 off, u64 mapped_at) {
	struct hooked_image *im;
	int err = images_of_file(&l->images, fd, off, &im);
	if (err == -ENOEXEC)
		return 0; /* not an image: nothing to find */
	return err ? err : hook_image(l, m, p, im, mapped_at + (im->sites.address & (PAGE - 1)) + im->file_off - off, 0);
}

/* ---- at the exec stop -------------------------------------------------------------------------------------------- */

static int open_of(pid_t pid, const char *what, const char *path, int flags) {
	char full[PATH_MAX + 64];
	snprintf(full, sizeof full, "/proc/%d/%s%s", pid, what, path);
	int fd = open(full, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
int arrival_open(pid_t pid, const char *what, const char *path) {
	return open_of(pid, what, path, O_RDONLY | O_NONBLOCK);
}
int arrival_open_path(pid_t pid, const char *what) {
	return open_of(pid, what, "", O_PATH);
}

static int plan_image(struct launch *l, struct booting *b, struct hooked_image *im, u64 segment) {
	if (!im || (!im->sites.n && !im->sites.skipped) || b->images == BOOT_ISLANDS_MAX)
		return 0;
	struct arriving *a = &b->image[b->images++];
	*a = (struct arriving){.image = im, .segment = segment};
	ASSERT(b->images <= BOOT_ISLANDS_MAX);
	return image_island(im, &l->session, segment, 0, &a->placed, &a->at);
}

struct program {
	u64 bias;
	char interpreter[PATH_MAX]; /* "" = none */
};

/* An ELF file whose addresses are known: the sites of its executable segments. bias NULL: it follows from the entry
 * point. -EXDEV stands for a Go program: its goroutines' small stacks have no room for a hook. */
static int plan_file(struct launch *l, struct booting *b, int fd, const u64 *bias, struct program *out) {
	struct elf e;
	int err = elf_open_fd(&e, fd);
	out->interpreter[0] = 0;
	out->bias = err ? 0 : bias ? *bias : b->auxv.entry - e.head.e_entry;
	for (u32 i = 0; !err && i < e.segments; i++) {
		const Elf64_Phdr *s = &e.segment[i];
		struct hooked_image *im;
		if (s->p_type == PT_LOAD && s->p_flags & PF_X) {
			err = e.is_go ? -EXDEV : images_of_file(&l->images, fd, page_of(s->p_offset), &im);
			if (!err)
				err = plan_image(l, b, im, out->bias + s->p_vaddr);
			if (!err && !b->room)
				b->room = room_behind(s, out->bias);
		} else if (s->p_type == PT_INTERP && s->p_filesz && s->p_filesz < sizeof out->interpreter) {
			err = elf_read(&e, s->p_offset, s->p_filesz, out->interpreter);
			out->interpreter[s->p_filesz] = 0;
		}
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

/* The vDSO is one image for all processes of a machine: what we need of it is found once. */
static int plan_vdso(struct launch *l, struct booting *b) {
	struct elf e;
	struct process p;
	u8 bytes[VDSO_MAX];
	struct hooked_image *im = images_vdso(&l->images);
	u64 vdso = b->auxv.vdso;
	int err = 0;
	if (!vdso)
		return 0;
	if (!l->vdso_known && !(err = process_open(&p, b->pid))) {
		u64 n = read_vdso(&p, vdso, bytes);
		process_close(&p);
		if (n && !elf_open_memory(&e, bytes, n)) {
			for (u32 i = 0; i < e.segments; i++)
				if (e.segment[i].p_type == PT_LOAD && e.segment[i].p_flags & PF_X)
					l->vdso_room = room_behind(&e.segment[i], 0);
			l->vdso_clock = elf_symbol(&e, "__vdso_clock_gettime");
			elf_close(&e);
			err = images_add_vdso(&l->images, bytes, n, &im);
		}
		l->vdso_known = true;
	}
	if (l->vdso_room)
		b->room = vdso + l->vdso_room;
	return err || !im ? err : plan_image(l, b, im, vdso + im->sites.address);
}

int arrival_plan(struct launch *l, struct booting *b) {
	struct program program, interpreter;
	int err = process_auxv(b->pid, &b->auxv), exe = err ? err : arrival_open(b->pid, "exe", "");
	if (exe < 0)
		return exe;
	err = plan_vdso(l, b);
	if (!err)
		err = plan_file(l, b, exe, NULL, &program);
	close(exe);
	int fd = err || !program.interpreter[0] || !b->auxv.base ? -1 : arrival_open(b->pid, "root/", program.interpreter);
	if (fd >= 0) {
		err = plan_file(l, b, fd, &b->auxv.base, &interpreter);
		close(fd);
	}
	return err;
}

u32 arrival_islands(const struct launch *l, const struct booting *b, struct boot_island *to) {
	u32 n = 0;
	for (u32 i = 0; i < b->images; i++) {
		const struct arriving *a = &b->image[i];
		if (a->placed && a->placed->distance && a->placed->island.patches)
			to[n++] = (struct boot_island){a->at, a->placed->code_off, island_size(a->placed)};
	}
	ASSERT(n <= BOOT_ISLANDS_MAX);
	return n;
}

/* ---- boot -------------------------------------------------------------------------------------------------------- */

/* The number under which a process stands in words of maps; its forks take their own (target/hooks.c). 0 where processes
 * have numbers of their own: nobody could tell whether they live. */
static u32 participant_for(const struct launch *l, pid_t pid, pid_t inner) {
	struct shared *sh = l->session.shared;
	if (pid != inner)
		return 0;
	u32 n = __atomic_fetch_add(&sh->participants, 1, __ATOMIC_RELAXED) % PARTICIPANT_MAX + 1;
	store_release(&sh->participant[n % PARTICIPANT_CELLS], (u64)n << 32 | (u32)pid);
	return n;
}

/* The services of a process; the cookie marks it as one of ours. */
static int fill_env(struct launch *l, const struct mail *m, const struct process *p, const struct booting *b) {
	const struct session_state *s = &l->session;
	const struct auxv *v = &b->auxv;
	u8 page[ENV_SIZE] = {0};
	struct env env = {.run = {
	    .clock_gettime = (void *)(v->vdso && l->vdso_clock ? v->vdso + l->vdso_clock : 0),
	    .counters = (void *)(s->base + AT_SHARED + offsetof(struct shared, counters)),
	    .nr_cpus = s->nr_cpus,
	    .trace = (const void *)s->trace_at,
	    .participant = participant_for(l, b->pid, m->pid),
	    .own = (const void *)(s->base + s->block + offsetof(struct session, own)),
	    .own_n = ARRAY_SIZE(((struct session *)0)->own),
	}};
	env.nameless = !env.run.participant;
	memcpy(page, &env, sizeof env);
	memcpy(page + AT_COOKIE, &l->cookie, sizeof l->cookie);
	STATIC_ASSERT(sizeof env <= AT_COOKIE, "the cookie lies behind");
	return process_write(p, s->base + AT_ENV, page, sizeof page);
}

int arrival_boot(struct launch *l, const struct mail *m, const struct process *p, const struct booting *b) {
	ASSERT(m->kind == ASK_BOOT && p->pid == b->pid && b->images <= BOOT_ISLANDS_MAX);
	int err = fill_env(l, m, p, b);
	for (u32 i = 0; !err && i < b->images; i++) {
		const struct arriving *a = &b->image[i];
		u64 patched = 0, skipped = 0;
		if (a->placed && !a->placed->island.patches)
			continue;
		err = a->placed ? image_patch(a->image, a->placed, p, a->segment, a->at, &patched, &skipped) : -EFAULT;
		if (err == -EFAULT) /* boot could not map the island there */
			err = hook_image(l, m, p, a->image, a->segment, 1);
		else
			count(l, a->image, a->placed, patched, skipped);
	}
	return err;
}
