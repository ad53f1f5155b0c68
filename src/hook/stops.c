/* The ptrace part: the command's start, threads seized for their exec, and their stops. Only the server thread comes here.
 *
 *   fork ─► child waits on a pipe ─► seized ─► pipe closed ─► execve ─► exec event ─► boot_image ─► detached
 *   ASK_EXEC of any thread          ─► seized ─────────────► execve ─► exec event ─► boot_image ─► detached
 *                                                         └► fails ─► ASK_EXEC_FAILED ─► released
 *
 * A thread is seized between its request and its exec, hardly a millisecond. Meanwhile its signals and stops are passed
 * on as they come. If skep dies, the kernel lets go of it.
 *
 * Files reach a new image by path where it is the same user in the same namespaces (same_world), else by socket. If one
 * that should have been able to open them does not come, all later ones take the socket.
 *
 * Invariants: tracees lists all that is seized and not yet let go; only these and the command are waited for, never
 * somebody else's children. */
#include "hook/dataplane_image.h"
#include "hook/launch_state.h"
#include "hook/privilege.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SCRIPT_ARGS_MAX = 16384,
	SEIZE_OPTIONS = PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD,
	EXEC_NS_MAX = 5000000, /* longer ones are exceptions */
	CONFINED_BELOW = 64 << 20, /* what a small program needs beside our mappings */
};

/* ---- exec -------------------------------------------------------------------------------------------------------- */

static struct tracee *find_tracee(struct launch *l, pid_t tid) {
	for (u32 i = 0; i < l->tracees.n; i++)
		if (l->tracees.at[i].tid == tid)
			return &l->tracees.at[i];
	return NULL;
}
static void forget(struct launch *l, pid_t tid) {
	struct tracee *t = find_tracee(l, tid);
	if (t)
		*t = l->tracees.at[--l->tracees.n];
}

/* What was just seen may have been there for a while: expectations fall fast and rise slowly. */
static void exec_took(struct launch *l, const struct tracee *t) {
	u64 took = t ? MIN(launch_now_ns() - t->since_ns, (u64)EXEC_NS_MAX) : l->exec_ns;
	l->exec_ns = took <= l->exec_ns * 5 / 4 ? took * 3 / 4 : l->exec_ns + (took - l->exec_ns) / 8;
}

static void at_end(struct launch *l, pid_t pid, int status) {
	forget(l, pid);
	if (pid != l->child)
		return;
	pthread_mutex_lock(&l->lock);
	l->child_ended = true, l->child_status = status;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

/* It was killed in our hands. Whoever traces a process must take its end, or its parent would wait for it for ever: with
 * status -1 that is still to be done, as soon as it can be. */
static void died(struct launch *l, pid_t pid, int status) {
	struct tracee *t = status >= 0 ? NULL : vec_push(&l->tracees);
	ASSERT(status < 0 || WIFEXITED(status) || WIFSIGNALED(status));
	if (t)
		*t = (struct tracee){pid, pid, launch_now_ns(), 0};
	else
		at_end(l, pid, status);
}
static void detach(struct launch *l, pid_t pid) {
	if (ptrace(PTRACE_DETACH, pid, 0, 0) && errno == ESRCH)
		died(l, pid, -1);
}

/* Filters in force in a process: the Seccomp_filters line of its status, "" when the kernel does not tell. */
static void filters_of(pid_t pid, char *to, u32 room) {
	char status[4096];
	const char *at = process_proc(pid, "status", status, sizeof status) > 0 ? strstr(status, "\nSeccomp_filters:") : NULL;
	to[0] = 0;
	if (at)
		snprintf(to, room, "%.*s", (int)MIN(strcspn(at + 17, "\n"), (size_t)20), at + 17);
}

/* A filter of the program's own may kill on the calls of the loader. */
static bool has_own_filter(struct launch *l, pid_t pid) {
	char here[24];
	if (!l->filters_known)
		filters_of(getpid(), l->skep_filters, sizeof l->skep_filters);
	l->filters_known = true;
	filters_of(pid, here, sizeof here);
	return strcmp(here, l->skep_filters) != 0;
}

static bool same_link(pid_t pid, const char *name) {
	char path[64], here[128] = "", there[128] = "";
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	ssize_t n = readlink(path, there, sizeof there - 1);
	snprintf(path, sizeof path, "/proc/self/%s", name);
	return n > 0 && readlink(path, here, sizeof here - 1) == n && !memcmp(here, there, (size_t)n);
}

/* Could the target open our descriptors under /proc? It must be the same user in the same namespaces with the same root. */
static bool same_world(pid_t pid) {
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/mem", pid); /* belongs to the effective user, or to root when that is protected */
	return !stat(path, &st) && st.st_uid == geteuid() && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 &&
		   same_link(pid, "root") && same_link(pid, "ns/mnt") && same_link(pid, "ns/pid") && same_link(pid, "ns/user");
}

/* A program whose address space is limited may need what our mappings would take. */
static bool is_confined(const struct launch *l, pid_t pid) {
	struct rlimit limit;
	u64 ours = WINDOW_SIZE + (l->session.next_area - l->session.areas);
	return !prlimit(pid, RLIMIT_AS, NULL, &limit) && limit.rlim_cur != RLIM_INFINITY &&
	       limit.rlim_cur < ours + CONFINED_BELOW;
}

static enum start_result start_image(struct launch *l, struct booting *b, char *why, u32 why_size) {
	u32 start = (u32)dataplane_offset("loader_start"), size = (u32)dataplane_offset("loader_end") - start, unused;
	struct handover h = {.fds = l->session.fds, .fds_n = l->session.fds_n, .window = l->session.base,
	                     .code_size = CODE_SIZE, .boot = l->session.base + l->session.boot,
	                     .leave = b->nr ? l->session.exec_exit[b->nr == SYS_execveat] : 0, .nr = b->nr,
	                     .loader = dataplane_bytes(&unused) + start, .loader_size = size,
	                     .loader_by_path = (u32)dataplane_offset("loader_path_start") - start,
	                     .by_path = l->by_path_only || (!l->by_path_failed && same_world(b->pid))};
	int err = is_confined(l, b->pid) ? -ENOMEM : arrival_plan(l, b);
	if (err || !b->room) {
		snprintf(why, why_size, "%s",
		         err == -ENOMEM  ? "its address space is limited"
		         : err == -EXDEV ? "it is a Go program, whose small stacks have no room for hooks yet"
		         : err           ? strerror(-err)
		                         : "there is no room for the loader");
		detach(l, b->pid);
		return err == -ENOEXEC ? START_32BIT : START_FAILED;
	}
	arrival_islands(l, b, h.island);
	bool by_path = h.by_path;
	ASSERT(h.fds_n >= SESSION_FDS_OWN && h.loader_by_path < h.loader_size);
	enum start_result got = process_start_loader(b->pid, &h, b->room, &b->place, why, why_size);
	l->by_path_only |= h.by_path && !by_path;
	b->by_path = h.by_path;
	if (got == START_GONE)
		died(l, b->pid, h.ended);
	return got;
}

static void boot_image(struct launch *l, pid_t pid, u32 nr) {
	char why[200] = "";
	struct booting *b = vec_push(&l->booting);
	if (!b) {
		detach(l, pid);
		return;
	}
	b->pid = pid, b->nr = nr, b->since_ms = launch_now_ms();
	launch_path_of(pid, b->path, sizeof b->path);
	enum start_result got = start_image(l, b, why, sizeof why);
	if (got == START_OK)
		return;
	if (got == START_32BIT)
		launch_unhooked(l, &l->report.unhooked_32bit, b->path, "it is no 64-bit program");
	else if (got == START_FAILED)
		launch_unhooked(l, &l->report.unhooked_other, b->path, why);
	l->booting.n--;
}

static void at_exec(struct launch *l, pid_t pid, u32 nr) {
	char path[160];
	pthread_mutex_lock(&l->lock);
	l->report.execs++;
	l->started |= pid == l->child;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	if (!has_own_filter(l, pid)) {
		boot_image(l, pid, nr);
		return;
	}
	launch_path_of(pid, path, sizeof path);
	detach(l, pid);
	launch_unhooked(l, &l->report.unhooked_other, path, "it runs under a seccomp filter of its own");
}

void stops_seize(struct launch *l, pid_t tid, pid_t pid, u32 nr) {
	ASSERT(tid > 0 && pid > 0);
	struct tracee *t = vec_push(&l->tracees);
	if (!t)
		return;
	*t = (struct tracee){tid, pid, launch_now_ns(), nr};
	if (ptrace(PTRACE_SEIZE, tid, 0, SEIZE_OPTIONS)) {
		char path[160];
		int err = errno;
		l->tracees.n--;
		launch_path_of(pid, path, sizeof path);
		launch_unhooked(l, &l->report.unhooked_traced, path,
		                err == EPERM ? "what it executes has another tracer or is protected" : strerror(err));
	}
}

void stops_release(struct launch *l, pid_t tid) {
	int status;
	if (!find_tracee(l, tid))
		return;
	forget(l, tid);
	if (process_release(tid, &status) == -ESRCH)
		died(l, tid, status);
}

/* ---- stops ------------------------------------------------------------------------------------------------------- */

static void at_stop(struct launch *l, pid_t pid, int status) {
	if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
		unsigned long former = (unsigned long)pid; /* a thread that executes takes the number of its process */
		ptrace(PTRACE_GETEVENTMSG, pid, 0, &former);
		const struct tracee *t = find_tracee(l, (pid_t)former);
		u32 nr = t ? t->nr : 0;
		exec_took(l, t);
		forget(l, (pid_t)former), forget(l, pid);
		at_exec(l, pid, nr);
	} else if (status >> 16 == PTRACE_EVENT_STOP) /* a group stop, or the end of one */
		ptrace(WSTOPSIG(status) == SIGTRAP ? PTRACE_CONT : PTRACE_LISTEN, pid, 0, 0);
	else
		ptrace(PTRACE_CONT, pid, 0, status >> 16 ? 0 : WSTOPSIG(status));
}

static void take_status(struct launch *l, pid_t pid, int status) {
	if (WIFSTOPPED(status))
		at_stop(l, pid, status);
	else
		at_end(l, pid, status);
}

/* One event of one process, if there is any; -ECHILD: there will never be. */
static int take_event(struct launch *l, pid_t pid) {
	int status;
	pid_t got = waitpid(pid, &status, WNOHANG | __WALL);
	if (got > 0)
		take_status(l, got, status);
	return got < 0 ? -errno : got > 0;
}

/* Waits for those that are ours to wait for, and for nobody else's children. */
void stops_reap(struct launch *l) {
	for (u32 i = 0; i < l->tracees.n;) {
		struct tracee t = l->tracees.at[i];
		int got = take_event(l, t.tid), of_process = got <= 0 && t.pid != t.tid ? take_event(l, t.pid) : got;
		if (got == -ECHILD && of_process == -ECHILD)
			forget(l, t.tid); /* it is nobody we could wait for: it went without us, and its number may be another's */
		else
			i = MAX(got, of_process) > 0 ? 0 : i + 1; /* the list may have changed: from the start */
	}
	while (!l->child_ended && l->child > 0 && take_event(l, l->child) > 0)
		;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

NORETURN static void run_child(const struct launch *l, const char *path, int go, int failed) {
	char byte;
	char *const *env = l->opts->envp ? l->opts->envp : environ;
	sigprocmask(SIG_SETMASK, &l->caller_mask, NULL);
	while (read(go, &byte, 1) < 0 && errno == EINTR)
		;
	execve(path, l->opts->argv, env);
	int err = errno;
	u32 n = 0;
	while (l->opts->argv[n])
		n++;
	if (err == ENOEXEC && n < SCRIPT_ARGS_MAX) { /* as shells do: a script without its first line */
		char *sh[SCRIPT_ARGS_MAX + 1] = {"/bin/sh", (char *)path};
		for (u32 i = 1; i < n; i++)
			sh[i + 1] = l->opts->argv[i];
		execve(sh[0], sh, env);
		err = errno;
	}
	(void)!write(failed, &err, sizeof err);
	_exit(127); /* tidy: exit of a forked child */
}

/* As execvp looks for it. 0, -ENOENT, -EACCES. */
static int find_command(const struct launch_opts *o, char *path, u32 room) {
	const char *name = o->argv[0], *list = NULL;
	for (char *const *env = o->envp ? o->envp : environ; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			list = *env + 5;
	if (strchr(name, '/') || !*name)
		return (u32)snprintf(path, room, "%s", name) < room ? 0 : -ENAMETOOLONG;
	int err = -ENOENT;
	for (const char *at = list ? list : "/bin:/usr/bin"; at;) {
		const char *end = strchr(at, ':');
		int n = end ? (int)(end - at) : (int)strlen(at);
		at = end ? end + 1 : NULL;
		if ((u32)snprintf(path, room, "%.*s%s%s", n, end ? end - n : list + strlen(list) - n, n ? "/" : "", name) >= room)
			continue;
		struct stat st;
		if (!access(path, X_OK))
			return 0;
		if (errno == EACCES && !stat(path, &st))
			err = -EACCES; /* it is there, but may not be executed */
	}
	return err;
}

/* The pipe ends with the child's exec, or says why there was none. A seized child stops at its exec, or ends. */
static int await_exec(struct launch *l, int failed) {
	int why = 0, status;
	while (l->tracees.n && !l->child_ended) {
		pid_t got = waitpid(l->child, &status, __WALL);
		if (got == l->child)
			take_status(l, got, status);
		else if (errno != EINTR)
			break;
	}
	for (;;) {
		ssize_t n = read(failed, &why, sizeof why);
		if (n == sizeof why)
			return -why;
		if (n >= 0 || errno != EINTR)
			return 0;
	}
}

static int fork_child(struct launch *l, const char *path, bool seize) {
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
		run_child(l, path, go[0], failed[1]);
	}
	close(go[0]), close(failed[1]);
	err = l->child < 0 ? -errno : 0;
	struct tracee *t = !err && seize ? vec_push(&l->tracees) : NULL;
	if (t) {
		*t = (struct tracee){l->child, l->child, launch_now_ns(), 0};
		int refused = ptrace(PTRACE_SEIZE, l->child, 0, SEIZE_OPTIONS) ? errno : 0;
		if (refused && take_event(l, l->child) <= 0) { /* else somebody has killed it already: as at any other moment */
			err = -refused;
			l->tracees.n--;
			kill(l->child, SIGKILL);
			waitpid(l->child, NULL, __WALL);
			snprintf(l->start_problem, sizeof l->start_problem, "this system does not let skep trace its own child: %s",
			         strerror(-err));
		}
	}
	close(go[1]);
	if (!err && (err = await_exec(l, failed[0]))) {
		if (!l->child_ended)
			waitpid(l->child, NULL, __WALL);
		snprintf(l->start_problem, sizeof l->start_problem, "%.150s cannot be executed: %s", path, strerror(-err));
	}
	close(failed[0]);
	return err;
}

int stops_start_child(struct launch *l) {
	char path[PATH_MAX];
	int err = find_command(l->opts, path, sizeof path);
	if (err) {
		snprintf(l->start_problem, sizeof l->start_problem, "%.150s: %s", l->opts->argv[0],
		         err == -ENOENT ? "command not found" : strerror(-err));
		return err;
	}
	int root = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY), cwd = open(".", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	bool gains = exec_gains_privilege(root, cwd, path);
	close(root), close(cwd);
	if (gains)
		launch_unhooked(l, &l->report.unhooked_setuid, path, "programs that gain privilege are not traced");
	return fork_child(l, path, !gains);
}
