/* Launch mode. Sources: the measurements and traps of research/launch-mode.md; ptrace(2), unix(7), futex(2).
 *
 * One process after another comes to us, and none stays attached:
 *
 *   skep ── fork ──► child waits ── seized for its exec ──► execve ──► exec event
 *                                                                          │ process.c: loader, files, detach
 *                                                                          ▼
 *   ASK_BOOT      new image, all mapped, sleeps: program, ld.so, vDSO get their jumps, then it starts
 *   ASK_MAPPED    a thread has mapped a file executable: its sites get their jumps before mmap returns
 *   ASK_EXEC      a thread is about to execve: look at the file, seize the thread for the exec event
 *   ASK_EXEC_FAILED   it did not happen: let go of the thread
 *
 * fork, vfork and clone need nothing: memory and jumps are inherited.
 *
 * Threads here: the caller's, which alone uses ptrace and serves; and a watcher that sleeps on the doorbell (a futex cannot
 * be polled), passes rings on to an eventfd and keeps the heartbeat going. SIGCHLD is blocked in the calling thread while
 * a launch exists, and read from a descriptor.
 *
 * Everything that a target says is checked: its pid must name a process whose private page carries this session's
 * cookie. Errors concern one target and never end the session. */
#include "hook/launch.h"
#include "hook/dataplane_image.h"
#include "hook/images.h"
#include "hook/mailbox.h"
#include "hook/privilege.h"
#include "hook/process.h"
#include "hook/session.h"
#include "map/ringbuf.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BEAT_NS = 100000000, BOOT_TIMEOUT_MS = 2000, PAGE = 4096, AT_COOKIE = ENV_SIZE - 8 };

struct tracee { /* a thread that we have seized */
	pid_t tid, pid;
	bool executing;  /* its exec event is due */
};
struct booting { /* an image that runs the loader */
	pid_t pid;
	u64 since_ms;
	struct loader_place place;
};
struct launch {
	struct session_state session;
	struct images images;
	struct launch_report report;
	pid_t child;
	int child_status;   /* of wait, valid when child_ended */
	bool child_ended, child_reported, detached;
	bool by_path;
	u64 cookie;
	VEC(struct tracee) tracees;
	VEC(struct booting) booting;
	int epoll, event, chld;
	sigset_t old_mask;
	pthread_t watcher;
	bool watching, stop_watching;
	u32 next_slot, next_participant;
	void (*log)(void *owner, const char *line);
	void *log_owner;
};

/* ---- words ------------------------------------------------------------------------------------------------------- */

PRINTF(2, 3) static void note(struct launch *l, const char *fmt, ...) {
	char line[512];
	va_list ap;
	if (!l->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	l->log(l->log_owner, line);
}

static u64 now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static void path_of(pid_t pid, char *path, size_t room) {
	char link[64];
	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	ssize_t n = readlink(link, path, room - 1);
	path[n < 0 ? 0 : n] = 0;
}

/* An image that runs without hooks: counted, and the first one remembered for the report. */
static void unhooked(struct launch *l, u64 *count, const char *path, const char *why) {
	++*count;
	if (!l->report.first_unhooked[0])
		snprintf(l->report.first_unhooked, sizeof l->report.first_unhooked, "%.160s: %s", path, why);
	note(l, "%s runs unhooked: %s", path, why);
}

/* ---- hooking an image that is mapped ----------------------------------------------------------------------------- */

/* Puts the island's mapping where it belongs: reserves the place, then duplicates the window's pages there. */
static int map_island(const struct launch *l, const struct mail *m, const struct process *p,
                      const struct placed_island *placed, u64 at) {
	u64 size = round_up(MAX(placed->island.size, 1u), PAGE), from = l->session.base + placed->code_off;
	u8 here[16] = {0};
	s64 ret[2];
	const struct remote_call call[] = {
	    {SYS_mmap, {at, size, 0 /* PROT_NONE */, 0x100022 /* PRIVATE | ANONYMOUS | FIXED_NOREPLACE */, (u64)-1, 0}},
	    {SYS_mremap, {from, 0, size, 3 /* MAYMOVE | FIXED */, at, 0}},
	};
	int err = mail_call(m, call, 1, ret);
	if (err || ret[0] != (s64)at)
		return err ? err : -EEXIST;
	err = mail_call(m, call + 1, 1, ret);
	/* What the target says is not believed: the stubs must be there. */
	u32 n = MIN(placed->island.size, (u32)sizeof here);
	if (!err)
		err = process_read(p, at, here, n);
	return err ? err : memcmp(here, placed->island.code, n) ? -EFAULT : 0;
}

static int hook_image(struct launch *l, const struct mail *m, const struct process *p, struct hooked_image *im, u64 segment) {
	struct placed_island *placed;
	u64 at;
	if (!im || !im->sites.n)
		return 0;
	for (u32 k = 0;; k++) {
		int err = image_island(im, &l->session, segment, k, &placed, &at);
		if (err)
			return err;
		if (!placed->island.patches)
			return 0;
		err = placed->distance ? map_island(l, m, p, placed, at) : 0;
		if (err == -EEXIST)
			continue;
		if (!err)
			err = image_patch(im, placed, p, segment, &l->report.sites, &l->report.sites_skipped);
		if (!err)
			l->report.images++;
		l->report.sites_skipped += im->sites.skipped + placed->island.skipped;
		return err;
	}
}

static int hook_file(struct launch *l, const struct mail *m, const struct process *p, int fd, u64 off, u64 mapped_at) {
	struct hooked_image *im;
	int err = images_of_file(&l->images, fd, off, &im);
	if (err == -ENOEXEC)
		return 0; /* not an image: nothing to find */
	return err ? err : hook_image(l, m, p, im, mapped_at + (im->sites.address & (PAGE - 1)) + im->file_off - off);
}

/* Program or interpreter at exec time: their addresses follow from the auxiliary vector. */
static int hook_elf(struct launch *l, const struct mail *m, const struct process *p, int fd, u64 bias) {
	struct elf e;
	int err = elf_open_fd(&e, fd);
	for (u32 i = 0; !err && i < e.segments; i++) {
		const Elf64_Phdr *s = &e.segment[i];
		if (s->p_type == PT_LOAD && s->p_flags & PF_X)
			err = hook_file(l, m, p, fd, s->p_offset & ~(PAGE - 1ull), bias + (s->p_vaddr & ~(PAGE - 1ull)));
	}
	elf_close(&e);
	return err;
}

static int open_in(pid_t pid, const char *what, const char *path) {
	char full[PATH_MAX + 64];
	snprintf(full, sizeof full, "/proc/%d/%s%s", pid, what, path);
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The program's load bias, and its interpreter's path ("" = none). */
static int program_bias(int fd, const struct auxv *v, u64 *bias, char *interpreter, u32 room) {
	struct elf e;
	int err = elf_open_fd(&e, fd);
	interpreter[0] = 0;
	*bias = err ? 0 : v->entry - e.head.e_entry;
	for (u32 i = 0; !err && i < e.segments; i++)
		if (e.segment[i].p_type == PT_INTERP && e.segment[i].p_filesz && e.segment[i].p_filesz < room) {
			err = elf_read(&e, e.segment[i].p_offset, e.segment[i].p_filesz, interpreter);
			interpreter[e.segment[i].p_filesz] = 0;
		}
	elf_close(&e);
	return err;
}

static u64 vdso_size(const struct process *p, u64 at, u8 *bytes, u64 room) {
	u64 n = 0;
	while (n < room && !process_read(p, at + n, bytes + n, PAGE))
		n += PAGE;
	return n;
}

static int hook_vdso(struct launch *l, const struct mail *m, const struct process *p, u64 vdso) {
	u8 bytes[4 * PAGE];
	struct hooked_image *im;
	u64 n = vdso ? vdso_size(p, vdso, bytes, sizeof bytes) : 0;
	if (!n)
		return 0;
	int err = images_of_vdso(&l->images, bytes, n, &im);
	return err ? err : hook_image(l, m, p, im, vdso + im->sites.address);
}

static u64 vdso_clock(const struct process *p, u64 vdso) {
	u8 bytes[4 * PAGE];
	struct elf e;
	u64 n = vdso ? vdso_size(p, vdso, bytes, sizeof bytes) : 0, at = 0;
	if (n && !elf_open_memory(&e, bytes, n)) {
		at = elf_symbol(&e, "__vdso_clock_gettime");
		elf_close(&e);
	}
	return at ? vdso + at : 0;
}

static int fill_env(struct launch *l, const struct process *p, const struct auxv *v) {
	struct env env = {.run = {
	    .clock_gettime = (void *)vdso_clock(p, v->vdso),
	    .counters = (void *)(l->session.base + AT_SHARED + offsetof(struct shared, counters)),
	    .nr_cpus = (u32)sysconf(_SC_NPROCESSORS_CONF),
	    .trace = (const void *)l->session.trace_at,
	    .participant = l->next_participant,
	    .own = (const void *)(l->session.base + l->session.block + offsetof(struct session, own)),
	    .own_n = ARRAY_SIZE(((struct session *)0)->own),
	}};
	l->next_participant = l->next_participant % PARTICIPANT_MAX + 1;
	int err = process_write(p, l->session.base + AT_ENV, &env, sizeof env);
	return err ? err : process_write(p, l->session.base + AT_ENV + AT_COOKIE, &l->cookie, sizeof l->cookie);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static int boot_image(struct launch *l, const struct mail *m, const struct process *p) {
	struct auxv v;
	char interpreter[PATH_MAX];
	u64 bias;
	int err = process_auxv(p->pid, &v), exe = err ? err : open_in(p->pid, "exe", "");
	if (exe < 0)
		return exe;
	err = fill_env(l, p, &v);
	if (!err)
		err = program_bias(exe, &v, &bias, interpreter, sizeof interpreter);
	if (!err)
		err = hook_elf(l, m, p, exe, bias);
	close(exe);
	if (!err && interpreter[0] && v.base) {
		int fd = open_in(p->pid, "root/", interpreter);
		if (fd >= 0) {
			err = hook_elf(l, m, p, fd, v.base);
			close(fd);
		}
	}
	return err ? err : hook_vdso(l, m, p, v.vdso);
}

static void serve_boot(struct launch *l, const struct mail *m) {
	struct process p;
	char path[160];
	for (u32 i = 0; i < l->booting.n; i++) {
		struct booting b = l->booting.at[i];
		if (b.pid != m->pid)
			continue;
		l->booting.at[i] = l->booting.at[--l->booting.n];
		path_of(b.pid, path, sizeof path);
		int err = process_open(&p, b.pid);
		if (!err) {
			process_write(&p, b.place.at, b.place.bytes, b.place.n);
			err = boot_image(l, m, &p);
			process_close(&p);
		}
		if (err)
			unhooked(l, &l->report.unhooked_other, path, strerror(-err));
		return;
	}
}

/* A process of this session, and no other that somebody wants us to touch. */
static bool is_ours(const struct launch *l, const struct process *p) {
	u64 cookie = 0;
	return !process_read(p, l->session.base + AT_ENV + AT_COOKIE, &cookie, sizeof cookie) && cookie == l->cookie;
}

static void serve_mapped(struct launch *l, const struct mail *m, const struct process *p) {
	char what[32];
	snprintf(what, sizeof what, "fd/%d", (int)m->arg[2]);
	int fd = open_in(m->pid, what, "");
	int err = fd < 0 ? fd : hook_file(l, m, p, fd, m->arg[3], m->arg[0]);
	if (fd >= 0)
		close(fd);
	if (err)
		note(l, "a library of process %d runs unhooked: %s", m->pid, strerror(-err));
}

static bool gains_privilege(const struct launch *l, const struct mail *m, const struct process *p) {
	char path[PATH_MAX], what[48];
	for (u64 n = 0; n < sizeof path; n++) { /* up to its end: what lies behind may not be readable */
		if (process_read(p, m->arg[0] + n, path + n, 1))
			return false; /* execve will fail */
		if (!path[n])
			break;
	}
	path[sizeof path - 1] = 0;
	int root = open_in(m->pid, "root", "/");
	snprintf(what, sizeof what, "fd/%d", (int)m->arg[1]);
	int cwd = (int)m->arg[1] == -100 ? open_in(m->pid, "cwd", "/") : open_in(m->pid, what, path[0] ? "/" : "");
	bool gains = path[0] ? exec_gains_privilege(root, cwd, path) : false;
	if (root >= 0)
		close(root);
	if (cwd >= 0)
		close(cwd);
	(void)l;
	return gains;
}

static void add_tracee(struct launch *l, pid_t tid, pid_t pid) {
	struct tracee *t = vec_push(&l->tracees);
	if (t)
		*t = (struct tracee){tid, pid, true};
}

static void serve_exec(struct launch *l, const struct mail *m, const struct process *p) {
	if (gains_privilege(l, m, p)) {
		char path[160] = "";
		for (u32 n = 0; n < sizeof path - 1 && !process_read(p, m->arg[0] + n, path + n, 1) && path[n]; n++)
			;
		unhooked(l, &l->report.unhooked_setuid, path, "set-uid programs and programs with capabilities are never traced");
		return;
	}
	if (ptrace(PTRACE_SEIZE, m->tid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD))
		unhooked(l, &l->report.unhooked_traced, "an executed program", "its process has another tracer or is protected");
	else
		add_tracee(l, m->tid, m->pid);
}

static void forget_tracee(struct launch *l, pid_t tid) {
	for (u32 i = 0; i < l->tracees.n; i++)
		if (l->tracees.at[i].tid == tid) {
			l->tracees.at[i] = l->tracees.at[--l->tracees.n];
			return;
		}
}

static void serve(struct launch *l, const struct mail *m) {
	struct process p;
	if (m->kind == ASK_BOOT)
		serve_boot(l, m);
	else if (!process_open(&p, m->pid)) {
		if (!is_ours(l, &p))
			note(l, "a request in the name of process %d, which is not of this session", m->pid);
		else if (m->kind == ASK_MAPPED)
			serve_mapped(l, m, &p);
		else if (m->kind == ASK_EXEC)
			serve_exec(l, m, &p);
		else if (m->kind == ASK_EXEC_FAILED) {
			for (u32 i = 0; i < l->tracees.n; i++)
				if (l->tracees.at[i].tid == m->tid)
					process_release(m->tid);
			forget_tracee(l, m->tid);
		}
		process_close(&p);
	}
	mail_done(m);
}

/* ---- stops ------------------------------------------------------------------------------------------------------- */

/* Dead room for the loader: what lies behind the text in its last page. */
static u64 room_behind(const struct elf *e, u64 bias, u32 need) {
	for (u32 i = 0; i < e->segments; i++) {
		const Elf64_Phdr *s = &e->segment[i];
		u64 end = bias + s->p_vaddr + s->p_filesz, at = round_up(end, 16);
		if (s->p_type == PT_LOAD && s->p_flags & PF_X && !(s->p_flags & PF_W) && s->p_filesz &&
		    round_up(end, PAGE) - at >= need && round_up(end, PAGE) > at)
			return at;
	}
	return 0;
}

static u64 find_room(pid_t pid, const struct auxv *v, u32 need) {
	struct elf e;
	struct process p;
	u8 bytes[4 * PAGE];
	char interpreter[PATH_MAX];
	u64 at = 0, bias;
	if (!process_open(&p, pid)) {
		u64 n = v->vdso ? vdso_size(&p, v->vdso, bytes, sizeof bytes) : 0;
		if (n && !elf_open_memory(&e, bytes, n)) {
			at = room_behind(&e, v->vdso, need);
			elf_close(&e);
		}
		process_close(&p);
	}
	int fd = at ? -1 : open_in(pid, "exe", "");
	if (fd < 0)
		return at;
	if (!program_bias(fd, v, &bias, interpreter, sizeof interpreter) && !elf_open_fd(&e, fd)) {
		at = room_behind(&e, bias, need);
		elf_close(&e);
		int ld = at || !interpreter[0] ? -1 : open_in(pid, "root/", interpreter);
		if (ld >= 0 && !elf_open_fd(&e, ld)) {
			at = room_behind(&e, v->base, need);
			elf_close(&e);
		}
		if (ld >= 0)
			close(ld);
	}
	close(fd);
	return at;
}

static void at_exec(struct launch *l, pid_t pid) {
	struct auxv v;
	char path[160], why[200] = "it cannot be inspected";
	struct booting *b = vec_push(&l->booting);
	u32 start = (u32)dataplane_offset("loader_start"), size = (u32)dataplane_offset("loader_end") - start, unused;
	struct handover h = {.fds = l->session.fds, .fds_n = l->session.fds_n, .window = l->session.base,
	                     .code_size = CODE_SIZE, .boot = l->session.base + l->session.boot,
	                     .loader = dataplane_bytes(&unused) + start, .loader_size = size,
	                     .loader_by_path = (u32)dataplane_offset("loader_path_start") - start, .by_path = l->by_path};
	path_of(pid, path, sizeof path);
	l->report.execs++;
	enum start_result got = START_FAILED;
	struct loader_place place = {0};
	u64 room = b && !process_auxv(pid, &v) ? find_room(pid, &v, size) : 0;
	if (room)
		got = process_start_loader(pid, &h, room, size, &place, why, sizeof why);
	else
		ptrace(PTRACE_DETACH, pid, 0, 0);
	l->by_path = h.by_path;
	if (b && got == START_OK)
		*b = (struct booting){pid, now_ms(), place};
	else if (b)
		l->booting.n--;
	if (got == START_32BIT)
		unhooked(l, &l->report.unhooked_32bit, path, "it is a 32-bit program");
	else if (got == START_FAILED)
		unhooked(l, &l->report.unhooked_other, path, why);
}

/* Stops of a seized thread that waits for its exec. */
static void at_stop(struct launch *l, pid_t pid, int status) {
	if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
		unsigned long former = (unsigned long)pid;
		ptrace(PTRACE_GETEVENTMSG, pid, 0, &former);
		forget_tracee(l, (pid_t)former), forget_tracee(l, pid);
		at_exec(l, pid);
	} else if (status >> 16 == PTRACE_EVENT_STOP) /* a group stop, or the end of one */
		ptrace(WSTOPSIG(status) == SIGTRAP ? PTRACE_CONT : PTRACE_LISTEN, pid, 0, 0);
	else
		ptrace(PTRACE_CONT, pid, 0, status >> 16 ? 0 : WSTOPSIG(status));
}

static void child_ended(struct launch *l, int status) {
	l->child_ended = true, l->child_status = status;
}

/* Waits for those that are ours to wait for, and nobody else's children. */
static void reap(struct launch *l) {
	int status;
	pid_t got;
	for (u32 i = 0; i < l->tracees.n; i++) {
		struct tracee t = l->tracees.at[i];
		pid_t ids[] = {t.tid, t.pid};
		for (u32 k = 0; k < (t.pid != t.tid ? 2u : 1u); k++) {
			got = waitpid(ids[k], &status, WNOHANG | __WALL);
			if (got <= 0)
				continue;
			if (WIFSTOPPED(status))
				at_stop(l, got, status);
			else {
				forget_tracee(l, t.tid);
				if (got == l->child)
					child_ended(l, status);
			}
			i = ~0u; /* the list has changed: from the start */
			break;
		}
	}
	if (!l->child_ended && l->child > 0 && (got = waitpid(l->child, &status, WNOHANG | __WALL)) == l->child) {
		if (WIFSTOPPED(status))
			at_stop(l, got, status);
		else
			child_ended(l, status);
	}
}

/* Images whose loader never came to us: the program runs, without hooks. */
static void expire_boots(struct launch *l) {
	char path[160];
	for (u32 i = 0; i < l->booting.n; i++)
		if (now_ms() - l->booting.at[i].since_ms > BOOT_TIMEOUT_MS || kill(l->booting.at[i].pid, 0)) {
			pid_t pid = l->booting.at[i].pid;
			path_of(pid, path, sizeof path);
			if (!kill(pid, 0))
				unhooked(l, &l->report.unhooked_other, path, "its memory or its filters leave no room for skep");
			l->booting.at[i--] = l->booting.at[--l->booting.n];
		}
}

/* ---- the caller's loop ------------------------------------------------------------------------------------------- */

static void *watch(void *arg) {
	struct launch *l = arg;
	struct tables *t = l->session.tables;
	struct shared *sh = l->session.shared;
	u32 seen = 0;
	while (!__atomic_load_n(&l->stop_watching, __ATOMIC_ACQUIRE)) {
		struct timespec beat = {0, BEAT_NS};
		u32 bell = load_acquire(&sh->doorbell);
		if (bell == seen)
			syscall(SYS_futex, &sh->doorbell, FUTEX_WAIT, bell, &beat, NULL, 0);
		store_release(&t->beat, t->beat + 1);
		bell = load_acquire(&sh->doorbell);
		if (bell != seen)
			eventfd_write(l->event, 1);
		seen = bell;
	}
	return NULL;
}

static void drain(int fd) {
	u8 buf[1024];
	while (read(fd, buf, sizeof buf) > 0)
		;
}

int launch_serve(struct launch *l, int timeout_ms) {
	struct epoll_event ev[2];
	struct mail m;
	int n = epoll_wait(l->epoll, ev, 2, timeout_ms < 0 ? (int)BEAT_NS / 1000000 * 5 : timeout_ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	drain(l->event), drain(l->chld);
	reap(l);
	if (!l->detached)
		store_release(&l->session.shared->orphaned, 0);
	for (u32 k = 0; k < 4 * REQUESTS && mail_take(&l->session, &l->next_slot, &m); k++) {
		serve(l, &m);
		reap(l);
	}
	mail_reap(&l->session);
	expire_boots(l);
	return !l->child_ended;
}

int launch_fd(const struct launch *l) {
	return l->epoll;
}
int launch_pid(const struct launch *l) {
	return l->child;
}
int launch_exit_status(const struct launch *l) {
	int s = l->child_status;
	return !l->child_ended ? -1 : WIFEXITED(s) ? WEXITSTATUS(s) : 128 + WTERMSIG(s);
}
void launch_report(const struct launch *l, struct launch_report *out) {
	*out = l->report;
	out->processes = 1 + (l->session.shared ? READ_ONCE(l->session.shared->forks) : 0);
}

struct line {
	char *to;
	u32 size, n;
};
static int take_line(void *owner, const void *data, u32 size) {
	struct line *line = owner;
	line->n = MIN(size, line->size - 1);
	memcpy(line->to, data, line->n);
	while (line->n && line->to[line->n - 1] == '\n')
		line->n--;
	line->to[line->n] = 0;
	return 1; /* one at a time */
}
int launch_trace_read(struct launch *l, char *line, u32 size) {
	struct line out = {line, size, 0};
	ASSERT(size > 0);
	while (!out.n && ringbuf_map_consume(&l->session.trace.map, take_line, &out) > 0)
		;
	return (int)out.n;
}

/* ---- start and end ----------------------------------------------------------------------------------------------- */

static int start_watching(struct launch *l) {
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &chld, &l->old_mask);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->chld = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->epoll < 0 || l->event < 0 || l->chld < 0)
		return -errno;
	struct epoll_event a = {.events = EPOLLIN, .data.fd = l->event}, b = {.events = EPOLLIN, .data.fd = l->chld};
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->event, &a) || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->chld, &b))
		return -errno;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = -pthread_create(&l->watcher, NULL, watch, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	l->watching = !err;
	return err;
}

NORETURN static void run_child(const struct launch *l, const struct launch_opts *o, int go, int failed) {
	char byte;
	sigprocmask(SIG_SETMASK, &l->old_mask, NULL);
	while (read(go, &byte, 1) < 0 && errno == EINTR)
		;
	execvpe(o->argv[0], o->argv, o->envp ? o->envp : environ);
	int err = errno;
	(void)!write(failed, &err, sizeof err);
	_exit(127);
}

static int start_child(struct launch *l, const struct launch_opts *o, char *error) {
	int go[2], failed[2], err = 0;
	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(failed, O_CLOEXEC)) {
		err = -errno;
		close(go[0]), close(go[1]);
		return err;
	}
	l->child = fork();
	if (!l->child) {
		close(go[1]); /* or its read would never end */
		run_child(l, o, go[0], failed[1]);
	}
	close(go[0]), close(failed[1]);
	if (l->child < 0)
		err = -errno;
	else if (ptrace(PTRACE_SEIZE, l->child, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD)) {
		err = -errno;
		kill(l->child, SIGKILL);
		snprintf(error, 256, "this system does not let skep trace its own child: %s", strerror(-err));
	} else
		add_tracee(l, l->child, l->child);
	close(go[1]);
	/* The pipe ends with the exec, or says why there was none. */
	int why = 0;
	ssize_t n = -1;
	while (!err && l->child > 0) {
		struct timespec ms = {0, 200000};
		fcntl(failed[0], F_SETFL, O_NONBLOCK);
		n = read(failed[0], &why, sizeof why);
		if (n >= 0)
			break;
		reap(l);
		nanosleep(&ms, NULL);
	}
	close(failed[0]);
	if (n == sizeof why) {
		err = -why;
		snprintf(error, 256, "%s cannot be executed: %s", o->argv[0], strerror(why));
	}
	return err;
}

int launch_start(struct skep_engine *e, const struct launch_opts *o, struct launch **out, char *error) {
	struct launch *l = calloc(1, sizeof *l);
	error[0] = 0;
	if (!l)
		return -ENOMEM;
	l->epoll = l->event = l->chld = -1;
	l->next_participant = 1;
	l->log = o->log, l->log_owner = o->log_owner;
	l->images.cache_dir = o->cache_dir;
	if (getrandom(&l->cookie, sizeof l->cookie, GRND_NONBLOCK) != sizeof l->cookie)
		l->cookie = (u64)(uintptr_t)l * 0x9e3779b97f4a7c15ull;
	int err = session_create(&l->session, e, o->progs, o->progs_n, error);
	if (!err)
		err = start_watching(l);
	if (!err)
		err = start_child(l, o, error);
	if (err && !error[0])
		snprintf(error, 256, "the command cannot be started: %s", strerror(-err));
	if (err) {
		launch_free(l);
		return err;
	}
	*out = l;
	return 0;
}

int launch_detach(struct launch *l) {
	l->detached = true;
	session_mute(&l->session);
	return 0;
}

void launch_free(struct launch *l) {
	if (!l)
		return;
	if (l->watching) {
		__atomic_store_n(&l->stop_watching, true, __ATOMIC_RELEASE);
		__atomic_fetch_add(&l->session.shared->doorbell, 1, __ATOMIC_ACQ_REL);
		syscall(SYS_futex, &l->session.shared->doorbell, FUTEX_WAKE, 1, NULL, NULL, 0);
		pthread_join(l->watcher, NULL);
	}
	if (l->session.shared) {
		session_mute(&l->session);
		store_release(&l->session.shared->orphaned, 1);
	}
	for (u32 i = 0; i < l->tracees.n; i++)
		process_release(l->tracees.at[i].tid);
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->event >= 0)
		close(l->event);
	if (l->chld >= 0) {
		close(l->chld);
		pthread_sigmask(SIG_SETMASK, &l->old_mask, NULL);
	}
	vec_free(&l->tracees), vec_free(&l->booting);
	images_free(&l->images);
	session_destroy(&l->session);
	free(l);
}
