/* What threads of targets ask for.
 *
 *   ASK_BOOT          a process that we started the loader in has mapped the session
 *   ASK_MAPPED        a file was mapped executable: descriptor, offset and address are in the arguments
 *   ASK_EXEC          execve is about to be called: path and directory
 *   ASK_EXEC_FAILED   it came back
 *
 * Everything that targets say is checked: a request in the name of a process must come from a process whose private page
 * has this session's cookie, and the thread must sleep for just this request (/proc shows its system call and the futex);
 * else a process of low privilege could have us touch another of its choice. Process numbers are those of the target's
 * namespace; where they do not fit, all processes are looked at for one whose inner number does.
 *
 * Invariants: every request that was taken is answered, whatever went wrong, except a boot whose thread is not asleep yet:
 * it comes again. Errors are one process's. */
#include "hook/launch_state.h"
#include "hook/privilege.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { AT_COOKIE = ENV_SIZE - 8, BOOT_TIMEOUT_MS = 2000, WAIT_TRIES = 200 };

/* ---- who asks ---------------------------------------------------------------------------------------------------- */

/* The thread sleeps on the answer's word: /proc shows the system call and its first argument. It may be on its way. */
static bool sleeps_for(const struct launch *l, const struct mail *m, pid_t pid, pid_t tid) {
	char name[64], line[256], want[64];
	ASSERT(m->slot < REQUESTS);
	u64 word = l->session.base + AT_TABLES + offsetof(struct tables, reply) + m->slot * sizeof(struct reply) +
	           offsetof(struct reply, seq);
	snprintf(name, sizeof name, "task/%d/syscall", tid);
	snprintf(want, sizeof want, "202 0x%llx ", (unsigned long long)word);
	for (u32 i = 0; i < WAIT_TRIES; i++) {
		if (process_proc(pid, name, line, sizeof line) <= 0)
			return false;
		if (!strncmp(line, want, strlen(want)))
			return true;
		if (strncmp(line, "running", 7) && strncmp(line, "202 ", 4))
			return false; /* in another call */
		if (i < 20)
			sched_yield();
		else
			usleep(1000);
	}
	return false;
}

static bool has_cookie(const struct launch *l, const struct process *p) {
	u64 cookie = 0;
	return !process_read(p, l->session.base + AT_ENV + AT_COOKIE, &cookie, sizeof cookie) && cookie == l->cookie;
}

/* The number of a process or thread in its innermost namespace, from the NSpid line of its status; 0 = gone. */
static pid_t inner_id(pid_t pid, const char *name) {
	char status[4096];
	long id = 0;
	char *at = process_proc(pid, name, status, sizeof status) > 0 ? strstr(status, "\nNSpid:") : NULL;
	if (at)
		at += 7;
	for (char *end; at; at = end) {
		long v = strtol(at, &end, 10);
		if (end == at || memchr(at, '\n', (size_t)(end - at)))
			break; /* the next line's */
		id = v;
	}
	return (pid_t)id;
}

/* Our number of the thread whose number in its own namespace is tid; 0 = none. */
static pid_t outer_tid(pid_t pid, pid_t tid) {
	char path[64];
	pid_t found = 0;
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		snprintf(path, sizeof path, "task/%.20s/status", e->d_name);
		if (e->d_name[0] != '.' && inner_id(pid, path) == tid)
			found = (pid_t)strtol(e->d_name, NULL, 10);
	}
	if (d)
		closedir(d);
	return found;
}

/* The process that asks, in our numbers. It may have its own namespace of numbers: then all processes are looked at. */
static bool find_asker(const struct launch *l, struct mail *m, struct process *p) {
	if (!process_open(p, m->pid)) {
		if (has_cookie(l, p) && sleeps_for(l, m, m->pid, m->tid))
			return true;
		process_close(p);
	}
	DIR *d = opendir("/proc");
	bool found = false;
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid <= 0 || pid == m->pid || inner_id(pid, "status") != m->pid || process_open(p, pid))
			continue;
		pid_t tid = has_cookie(l, p) ? outer_tid(pid, m->tid) : 0;
		found = tid && sleeps_for(l, m, pid, tid);
		if (found)
			m->pid = pid, m->tid = tid;
		else
			process_close(p);
	}
	if (d)
		closedir(d);
	return found;
}

/* ---- boot -------------------------------------------------------------------------------------------------------- */

static void boot(struct launch *l, struct booting *b, const struct mail *m) {
	struct process p;
	int err = process_open(&p, b->pid);
	if (!err) {
		process_write(&p, b->place.at, b->place.bytes, b->place.n);
		err = arrival_boot(l, m, &p, b);
		process_close(&p);
	}
	if (err)
		launch_unhooked(l, &l->report.unhooked_other, b->path, strerror(-err));
}

/* An image that has no cookie yet: known by the number under which it was started, and by its sleep. */
static bool serve_boot(struct launch *l, const struct mail *m) {
	for (u32 i = 0; i < l->booting.n; i++) {
		struct booting b = l->booting.at[i];
		if ((b.pid != m->pid && inner_id(b.pid, "status") != m->pid) || !sleeps_for(l, m, b.pid, b.pid))
			continue;
		l->booting.at[i] = l->booting.at[--l->booting.n];
		boot(l, &b, m);
		return true;
	}
	return false;
}

/* Images whose loader never came to us: the program runs, or ran, without hooks. */
void requests_expire(struct launch *l) {
	for (u32 i = 0; i < l->booting.n; i++) {
		struct booting *b = &l->booting.at[i];
		char exe[16];
		launch_path_of(b->pid, exe, sizeof exe); /* empty: it has ended */
		if (exe[0] && launch_now_ms() - b->since_ms < BOOT_TIMEOUT_MS)
			continue;
		l->by_path_failed |= exe[0] && b->by_path;
		launch_unhooked(l, &l->report.unhooked_other, b->path,
		                b->by_path ? "it may not open skep's files, or has no room for them"
		                           : "it has no room for skep's files, or a filter forbids them");
		l->booting.at[i--] = l->booting.at[--l->booting.n];
	}
}

/* ---- mappings and exec ------------------------------------------------------------------------------------------- */

static void serve_mapped(struct launch *l, const struct mail *m, const struct process *p) {
	char what[48];
	ASSERT(m->kind == ASK_MAPPED && p->pid == m->pid);
	if ((m->arg[4] & MAP_TYPE) != MAP_PRIVATE)
		return; /* what is written there would go into the file */
	snprintf(what, sizeof what, "task/%d/fd/%d", m->tid, (int)m->arg[2]);
	int fd = arrival_open(m->pid, what, ""), err = fd < 0 ? fd : arrival_file(l, m, p, fd, m->arg[3], m->arg[0]);
	if (fd >= 0)
		close(fd);
	if (err)
		launch_note(l, "a library of process %d runs unhooked: %s", m->pid, strerror(-err));
}

/* A string of the target: up to its end, page by page, because what lies behind may not be mapped. */
static bool read_string(const struct process *p, u64 at, char *to, u32 room) {
	for (u32 n = 0; n < room;) {
		u32 piece = MIN(room - n, 4096 - (u32)((at + n) & 4095));
		ASSERT(piece > 0);
		if (process_read(p, at + n, to + n, piece))
			return false;
		if (memchr(to + n, 0, piece))
			return true;
		n += piece;
	}
	return false;
}

static void serve_exec(struct launch *l, const struct mail *m, const struct process *p) {
	char path[PATH_MAX], what[48];
	int at = (int)m->arg[1];
	ASSERT(m->kind == ASK_EXEC && p->pid == m->pid);
	if (!read_string(p, m->arg[0], path, sizeof path))
		return; /* execve will fail */
	int root = arrival_open(m->pid, "root", "/");
	snprintf(what, sizeof what, "task/%d/fd/%d", m->tid, at);
	bool by_number = !path[0] && m->arg[2] & AT_EMPTY_PATH; /* fexecve */
	int from = by_number       ? arrival_open_path(m->pid, what)
	           : at == AT_CWD ? arrival_open(m->pid, "cwd", "/")
	                          : arrival_open(m->pid, what, "");
	bool gains = exec_gains_privilege(root, from, by_number ? NULL : path);
	if (root >= 0)
		close(root);
	if (from >= 0)
		close(from);
	if (gains)
		launch_unhooked(l, &l->report.unhooked_setuid, path, "programs that gain privilege are not traced");
	else
		stops_seize(l, m->tid, m->pid, m->arg[3] == SYS_execveat ? SYS_execveat : SYS_execve);
}

void requests_serve(struct launch *l, const struct mail *asked) {
	struct mail m = *asked;
	struct process p;
	if (m.kind == ASK_BOOT) {
		if (!serve_boot(l, &m) && l->booting.n)
			return; /* not asleep yet: it stays, and comes again */
	} else if (!find_asker(l, &m, &p))
		launch_note(l, "a request in the name of process %d, which does not sleep for it", m.pid);
	else {
		if (m.kind == ASK_MAPPED)
			serve_mapped(l, &m, &p);
		else if (m.kind == ASK_EXEC)
			serve_exec(l, &m, &p);
		else if (m.kind == ASK_EXEC_FAILED)
			stops_release(l, m.tid);
		process_close(&p);
	}
	mail_done(&m);
}
