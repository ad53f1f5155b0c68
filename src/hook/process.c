/* Doing things to another process.
 *
 * A new image is met at its exec event. The loader (target/entry.S) is copied into dead room behind some text and the
 * registers are pointed at it. That stop is still inside execve, which will write its result into rax: the loader does
 * not look at rax. It gets our files in one of two ways:
 *
 *     by path      it opens our descriptors under /proc: we detach at once, one stop in all
 *     by socket    it makes a socket pair; at the exit of that call we take one end and send: three stops more. This
 * works after setuid, in other namespaces and after chroot, but pidfd_getfd may be denied (container engines)
 *
 * From then on nothing is traced, and the new image comes to us by mailbox. At every point of this the death of skep
 * leaves a target that goes on: the kernel detaches, the loader finds no message or no file and starts the program.
 * Nothing that the program executes has been overwritten. */
#include "hook/process.h"
#include "hook/target/shared.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USER_CS_64 = 0x33 };

int process_open(struct process *p, pid_t pid) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	*p = (struct process){.pid = pid, .mem = open(path, O_RDWR | O_CLOEXEC)};
	return p->mem < 0 ? -errno : 0;
}

void process_close(struct process *p) {
	if (p->mem >= 0)
		close(p->mem);
	p->mem = -1;
}

int process_read(const struct process *p, u64 at, void *to, u64 n) {
	ASSERT(p->mem >= 0);
	for (u64 done = 0; done < n;) {
		ssize_t got = pread(p->mem, (u8 *)to + done, n - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EFAULT;
		done += (u64)got;
	}
	return 0;
}

int process_write(const struct process *p, u64 at, const void *from, u64 n) {
	ASSERT(p->mem >= 0);
	for (u64 done = 0; done < n;) {
		ssize_t got = pwrite(p->mem, (const u8 *)from + done, n - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EFAULT;
		done += (u64)got;
	}
	return 0;
}

int process_proc(pid_t pid, const char *name, char *to, u32 room) {
	char path[128];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, to, room - 1);
	int err = n < 0 ? -errno : 0;
	close(fd);
	to[n < 0 ? 0 : n] = 0;
	return err ? err : (int)n;
}

int process_auxv(pid_t pid, struct auxv *out) {
	Elf64_auxv_t v[64];
	*out = (struct auxv){0};
	int n = process_proc(pid, "auxv", (char *)v, sizeof v);
	if (n < 0)
		return n;
	for (ssize_t i = 0; i < n / (ssize_t)sizeof v[0]; i++) /* the last is AT_NULL */
		switch (v[i].a_type) {
		case AT_PHDR:
			out->phdr = v[i].a_un.a_val;
			break;
		case AT_ENTRY:
			out->entry = v[i].a_un.a_val;
			break;
		case AT_BASE:
			out->base = v[i].a_un.a_val;
			break;
		case AT_SYSINFO_EHDR:
			out->vdso = v[i].a_un.a_val;
			break;
		case AT_SECURE:
			out->secure = v[i].a_un.a_val;
			break;
		}
	return n > 0 ? 0 : -EIO;
}

int process_wait(pid_t tid, int *status) {
	*status = W_STOPCODE(0); /* until we know */
	while (waitpid(tid, status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSTOPPED(*status) ? 0 : -ESRCH;
}

/* What happened on the way to a stop: a signal that stops the program, kept for later; its end, as wait gives it, or -1. */
struct meanwhile {
	int later, ended;
};

/* Goes on to the next stop at a system call. Signals that come first are the program's own: they are delivered, but for
 * those that stop it, which are kept for later. */
static int to_syscall_stop(pid_t pid, struct meanwhile *m) {
	int status, give = 0;
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, give))
			return -errno;
		int err = process_wait(pid, &status);
		if (err) {
			m->ended = WIFEXITED(status) || WIFSIGNALED(status) ? status : -1;
			return err;
		}
		int sig = WSTOPSIG(status);
		give = 0;
		if (status >> 16)
			continue; /* an event, or a group stop that we do not take part in */
		if (sig == (SIGTRAP | 0x80))
			return 0;
		if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
			m->later = sig;
		else
			give = sig;
	}
}

/* Takes the far end of the target's socket pair and sends our files through it. */
static int send_files(pid_t pid, int far, const struct handover *h) {
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	int s = (int)syscall(SYS_pidfd_getfd, pidfd, far, 0), err = s < 0 ? -errno : 0;
	close(pidfd);
	if (err)
		return err;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * BOOT_FDS_MAX)];
	} control;
	char byte = 'x';
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
	                   .msg_controllen = CMSG_SPACE(sizeof(int) * h->fds_n)};
	ASSERT(h->fds_n > 0 && h->fds_n <= BOOT_FDS_MAX);
	control.head = (struct cmsghdr){CMSG_LEN(sizeof(int) * h->fds_n), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.head), h->fds, sizeof(int) * h->fds_n);
	while (sendmsg(s, &m, MSG_NOSIGNAL) < 0 && !err)
		err = errno == EINTR ? 0 : -errno;
	close(s);
	return err;
}

static u64 frame_at(u64 sp) {
	return (sp - 8192) & ~63ull;
}

static void make_frame(struct boot_frame *f, const struct user_regs_struct *r, const struct handover *h) {
	u64 at = frame_at(r->rsp);
	ASSERT(at + sizeof *f <= r->rsp && h->fds_n <= BOOT_FDS_MAX);
	*f = (struct boot_frame){.pair = {-1, -1},
							 .entry = r->rip,
							 .sp = r->rsp,
							 .window = h->window,
							 .code_size = h->code_size,
							 .boot = h->boot,
							 .leave = h->leave,
							 .nr = h->nr};
	struct msghdr m = {.msg_iov = (void *)(at + offsetof(struct boot_frame, vector)), .msg_iovlen = 1,
	                   .msg_control = (void *)at, .msg_controllen = CMSG_LEN(sizeof(int) * h->fds_n)};
	STATIC_ASSERT(sizeof m == sizeof f->header, "the kernel's message header");
	memcpy(f->header, &m, sizeof m);
	memcpy(f->island, h->island, sizeof f->island);
	f->vector[0] = at + offsetof(struct boot_frame, byte), f->vector[1] = 1;
	for (u32 i = 0; i < ARRAY_SIZE(f->fd); i++)
		f->fd[i] = h->by_path && i < h->fds_n ? -1 - h->fds[i] : -1;
	f->by_path = h->by_path;
	f->path_n = (u64)snprintf(f->path, sizeof f->path, "/proc/%d/fd/", getpid());
	snprintf(f->path + f->path_n, sizeof f->path - f->path_n, "%d", h->fds[0]);
}

/* Writes loader and frame and points the stopped target, whose registers are r, at them. */
static int write_loader(pid_t pid, const struct handover *h, u64 room, struct loader_place *place,
                        struct user_regs_struct *r) {
	struct process p;
	struct boot_frame f;
	int err = process_open(&p, pid);
	if (err)
		return err;
	place->at = room;
	ASSERT(h->loader_size <= sizeof place->bytes);
	err = process_read(&p, room, place->bytes, h->loader_size);
	if (!err)
		err = process_write(&p, room, h->loader, h->loader_size);
	if (!err) {
		place->n = h->loader_size;
		make_frame(&f, r, h);
		err = process_write(&p, frame_at(r->rsp), &f, sizeof f);
	}
	process_close(&p);
	r->rbx = frame_at(r->rsp);
	r->rip = room + (h->by_path ? h->loader_by_path : 0);
	return err ? err : ptrace(PTRACE_SETREGS, pid, 0, r) ? -errno : 0;
}

static int hand_over(pid_t pid, const struct handover *h, struct meanwhile *m) {
	struct user_regs_struct r;
	struct process p;
	int pair[2], err = 0;
	for (int i = 0; !err && i < 3; i++) /* exit of execve, enter and exit of socketpair */
		err = to_syscall_stop(pid, m);
	if (!err && ptrace(PTRACE_GETREGS, pid, 0, &r))
		err = -errno;
	if (!err && r.rax)
		return (int)(s64)r.rax;
	if (!err && !(err = process_open(&p, pid))) {
		err = process_read(&p, r.rbx + offsetof(struct boot_frame, pair), pair, sizeof pair);
		process_close(&p);
	}
	return err ? err : send_files(pid, pair[0], h);
}

/* The socket pair is there but we may not take its end: go back to the start of the loader's other way. */
static int hand_over_by_path(pid_t pid, struct handover *h, u64 room) {
	struct user_regs_struct r;
	struct boot_frame f;
	struct process p;
	if (ptrace(PTRACE_GETREGS, pid, 0, &r))
		return -errno;
	int err = process_open(&p, pid);
	if (err)
		return err;
	u64 at = r.rbx;
	err = process_read(&p, at, &f, sizeof f);
	h->by_path = true;
	if (!err) {
		f.by_path = 1;
		for (u32 i = 0; i < h->fds_n; i++)
			f.fd[i] = -1 - h->fds[i];
		err = process_write(&p, at, &f, sizeof f);
	}
	process_close(&p);
	r.rip = room + h->loader_by_path;
	return err ? err : ptrace(PTRACE_SETREGS, pid, 0, &r) ? -errno : 0;
}

enum start_result process_start_loader(pid_t pid, struct handover *h, u64 room, struct loader_place *place,
                                       char *why, u32 why_size) {
	struct meanwhile m = {.ended = -1};
	struct user_regs_struct r;
	*place = (struct loader_place){0};
	int err = ptrace(PTRACE_GETREGS, pid, 0, &r) ? -errno : 0;
	bool narrow = !err && r.cs != USER_CS_64;
	if (!err && !narrow)
		err = write_loader(pid, h, room, place, &r);
	if (!err && !narrow && !h->by_path) {
		err = hand_over(pid, h, &m);
		if (err == -EPERM || err == -ENOSYS)
			err = hand_over_by_path(pid, h, room);
	}
	if (err && err != -ESRCH)
		snprintf(why, why_size, "skep's files could not be handed over (%s)", strerror(-err));
	h->ended = m.ended;
	if (err == -ESRCH || (ptrace(PTRACE_DETACH, pid, 0, 0) && errno == ESRCH))
		return START_GONE;
	if (m.later)
		kill(pid, m.later);
	return narrow ? START_32BIT : err ? START_FAILED : START_OK;
}

int process_release(pid_t tid, int *status) {
	*status = -1;
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0))
		return -errno;
	int got, err = process_wait(tid, &got);
	if (err) {
		*status = WIFEXITED(got) || WIFSIGNALED(got) ? got : -1;
		return err;
	}
	int sig = WSTOPSIG(got);
	return ptrace(PTRACE_DETACH, tid, 0, got >> 16 || sig == SIGTRAP ? 0 : sig) ? -errno : 0;
}
