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
 * A thread of skep's own, the server, does all of this: it forks the command, is the only one to use ptrace, and sleeps on
 * the doorbell that requests ring. So targets are served whatever the caller does meanwhile, and a command that waits for
 * skep's terminal cannot stop itself. Stops of seized threads do not ring: while there are any, it looks for them, first
 * when an exec may be expected to be done, then at short intervals. The caller's descriptor becomes readable when the
 * command has ended.
 *
 * Errors concern one target and never end the session. */
#include "hook/launch_state.h"
#include "map/ringbuf.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BEAT_MS = 100, STOP_POLL_NS = 50000, STOP_POLL_MAX_NS = 5000000, TICK_MS = 200 };

/* ---- words ------------------------------------------------------------------------------------------------------- */

void launch_note(struct launch *l, const char *fmt, ...) {
	char line[512];
	va_list ap;
	if (!l->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	l->log(l->log_owner, line);
}

void launch_unhooked(struct launch *l, u64 *count, const char *path, const char *why) {
	pthread_mutex_lock(&l->lock);
	++*count;
	if (!l->report.first_unhooked[0])
		snprintf(l->report.first_unhooked, sizeof l->report.first_unhooked, "%.160s: %.90s", path, why);
	pthread_mutex_unlock(&l->lock);
	launch_note(l, "%s runs unhooked: %s", path, why);
}

u64 launch_now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}
u64 launch_now_ms(void) {
	return launch_now_ns() / 1000000;
}

void launch_path_of(pid_t pid, char *path, u32 room) {
	char link[64];
	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	ssize_t n = readlink(link, path, room - 1);
	path[n < 0 ? 0 : n] = 0;
}

/* ---- the server -------------------------------------------------------------------------------------------------- */

static void futex_wait(u32 *word, u32 value, u64 ns) {
	struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	syscall(SYS_futex, word, FUTEX_WAIT, value, &t, NULL, 0);
}
static void futex_wake(u32 *word) {
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* What need not be done at once. */
static void tick(struct launch *l) {
	u64 now = launch_now_ms();
	if (now - l->last_tick_ms < TICK_MS)
		return;
	l->last_tick_ms = now;
	mail_reap(&l->session, l->watch, now);
	requests_expire(l);
	participants_check(l, false);
	if (!l->detached)
		store_release(&l->session.shared->orphaned, 0); /* somebody gave us up while we were stopped */
}

static bool serve_all(struct launch *l) {
	struct mail m;
	bool any = false;
	for (u32 n = 0; n < 4 * REQUESTS && mail_take(&l->session, &l->next_slot, &m); n++) {
		any = true;
		requests_serve(l, &m);
		stops_reap(l);
	}
	return any;
}

/* How long to sleep before looking for stops again. An exec takes about as long as the last ones did: until shortly before
 * that there is nothing to see. From then on at growing intervals. */
static u64 next_look(const struct launch *l, u64 wait) {
	u64 now = launch_now_ns(), first = l->exec_ns, soonest = ~0ull;
	for (u32 i = 0; i < l->tracees.n; i++) {
		u64 since = now - l->tracees.at[i].since_ns;
		if (since < first)
			soonest = MIN(soonest, first - since);
	}
	return soonest == ~0ull ? wait : MAX(soonest, (u64)STOP_POLL_NS);
}

static void serve_until_stopped(struct launch *l) {
	struct tables *t = l->session.tables;
	struct shared *sh = l->session.shared;
	u64 wait = STOP_POLL_NS;
	bool told = false;
	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		u32 bell = load_acquire(&sh->doorbell);
		store_release(&t->beat, t->beat + 1);
		u32 before = l->tracees.n;
		stops_reap(l);
		bool any = serve_all(l) || before != l->tracees.n;
		tick(l);
		if (l->child_ended && !told) {
			requests_expire(l);
			participants_check(l, true);
			told = true, eventfd_write(l->event, 1);
		}
		wait = any ? STOP_POLL_NS : MIN(wait * 5 / 4, (u64)STOP_POLL_MAX_NS);
		bool poll = l->tracees.n || READ_ONCE(sh->silent) || (l->child_fd < 0 && !l->child_ended);
		futex_wait(&sh->doorbell, bell, poll ? next_look(l, wait) : BEAT_MS * 1000000ull);
	}
	for (u32 n = l->tracees.n; n; n--) /* those that are dying are the kernel's when this thread ends */
		stops_release(l, l->tracees.at[0].tid);
}

static void *server(void *arg) {
	struct launch *l = arg;
	prctl(PR_SET_NAME, "skep-server", 0, 0, 0);
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0); /* short sleeps are short */
	int err = stops_start_child(l);
	pthread_mutex_lock(&l->lock);
	l->opts = NULL;
	l->start_error = err, l->started = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	if (!err)
		serve_until_stopped(l);
	return NULL;
}

/* ---- the caller's side ------------------------------------------------------------------------------------------- */

int launch_serve(struct launch *l, int timeout_ms) {
	struct epoll_event ev[2];
	eventfd_t value;
	int n = epoll_wait(l->epoll, ev, 2, timeout_ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++)
		if (ev[i].data.fd == l->child_fd) { /* it has ended: the server reaps it, and says so */
			epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->child_fd, NULL);
			__atomic_fetch_add(&l->session.shared->doorbell, 1, __ATOMIC_ACQ_REL);
			futex_wake(&l->session.shared->doorbell);
		} else
			eventfd_read(l->event, &value);
	pthread_mutex_lock(&l->lock);
	bool ended = l->child_ended;
	pthread_mutex_unlock(&l->lock);
	return !ended;
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
	struct launch *open = (struct launch *)l;
	pthread_mutex_lock(&open->lock);
	*out = l->report;
	pthread_mutex_unlock(&open->lock);
	const struct shared *sh = l->session.shared;
	out->processes = 1 + (sh ? READ_ONCE(sh->forks) : 0);
	if (!sh)
		return;
	out->aborted = READ_ONCE(sh->counters[COUNT_ABORTED]);
	out->lost_records = READ_ONCE(sh->counters[COUNT_LOST_RINGBUF]);
	out->lost_lines = READ_ONCE(sh->counters[COUNT_LOST_TRACE]);
	out->unreachable = READ_ONCE(sh->counters[COUNT_UNREACHABLE]);
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

/* $XDG_CACHE_HOME/skep/sites, else ~/.cache/skep/sites; "" when there is no home. */
static char *default_cache(void) {
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char path[PATH_MAX];
	if (base && base[0] == '/')
		snprintf(path, sizeof path, "%s/skep/sites", base);
	else if (home && home[0] == '/')
		snprintf(path, sizeof path, "%s/.cache/skep/sites", home);
	else
		path[0] = 0;
	return strdup(path);
}

static int start_server(struct launch *l) {
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &l->caller_mask);
	int err = -pthread_create(&l->server, NULL, server, l);
	pthread_sigmask(SIG_SETMASK, &l->caller_mask, NULL);
	if (err)
		return err;
	l->serving = true;
	pthread_mutex_lock(&l->lock);
	while (!l->started || l->opts)
		pthread_cond_wait(&l->changed, &l->lock);
	err = l->start_error;
	pthread_mutex_unlock(&l->lock);
	return err;
}

static int watch(struct launch *l, int fd) {
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int prepare(struct launch *l, struct skep_engine *e, const struct launch_opts *o, char *error) {
	l->cache_dir = o->cache_dir ? strdup(o->cache_dir) : default_cache();
	l->images.cache_dir = l->cache_dir;
	if (getrandom(&l->cookie, sizeof l->cookie, GRND_NONBLOCK) != sizeof l->cookie)
		l->cookie = ((u64)(uintptr_t)l ^ (u64)getpid() << 32) * 0x9e3779b97f4a7c15ull;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!l->cache_dir || l->epoll < 0 || l->event < 0)
		return l->cache_dir ? -errno : -ENOMEM;
	int err = watch(l, l->event);
	return err ? err : session_create(&l->session, e, o->progs, o->progs_n, error);
}

int launch_start(struct skep_engine *e, const struct launch_opts *o, struct launch **out, char *error) {
	ASSERT(o->argv && o->argv[0] && (o->progs || !o->progs_n));
	struct launch *l = calloc(1, sizeof *l);
	error[0] = 0;
	if (!l)
		return -ENOMEM;
	l->epoll = l->event = l->child_fd = -1;
	l->opts = o, l->log = o->log, l->log_owner = o->log_owner;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	int err = prepare(l, e, o, error);
	if (!err) {
		err = start_server(l);
		snprintf(error, 256, "%s", l->start_problem);
	}
	if (!err && (l->child_fd = (int)syscall(SYS_pidfd_open, l->child, 0)) >= 0)
		err = watch(l, l->child_fd);
	if (err && !error[0])
		snprintf(error, 256, "the command cannot be started: %s", strerror(-err));
	if (err)
		launch_free(l);
	else
		*out = l;
	return err;
}

int launch_detach(struct launch *l) {
	l->detached = true;
	session_mute(&l->session);
	store_release(&l->session.shared->orphaned, 1);
	return 0;
}

void launch_free(struct launch *l) {
	if (!l)
		return;
	if (l->session.shared)
		launch_detach(l);
	if (l->serving) {
		__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
		__atomic_fetch_add(&l->session.shared->doorbell, 1, __ATOMIC_ACQ_REL);
		futex_wake(&l->session.shared->doorbell);
		pthread_join(l->server, NULL);
	}
	for (u32 i = 0; l->session.tables && i < REQUESTS; i++) /* whoever sleeps for us looks again, and goes on */
		if (READ_ONCE(l->session.shared->request[i].owner))
			futex_wake(&l->session.tables->reply[i].seq);
	if (l->child_fd >= 0)
		close(l->child_fd);
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->event >= 0)
		close(l->event);
	vec_free(&l->tracees), vec_free(&l->booting);
	images_free(&l->images);
	session_destroy(&l->session);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
	free(l->cache_dir);
	free(l);
}
