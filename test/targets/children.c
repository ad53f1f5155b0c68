/* Children by fork, vfork, posix_spawn and clone in its forms; each counts for itself. */
#include "target.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

extern char **environ;
enum { N = 500 };
static void calls(int n) {
	for (int i = 0; i < n; i++)
		raw(SYS_getppid, 0, 0, 0);
}
static int in_clone(void *arg) {
	calls(N);
	if (arg)
		report_count(SYS_getppid, N);
	return 7;
}
static void reap(pid_t pid, int expected) {
	int status;
	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
		report("bad status %x\n", status);
}

int main(int argc, char **argv) {
	if (argc > 1) {
		calls(N);
		report_count(SYS_getppid, N);
		return 5;
	}
	char *again[] = {argv[0], "child", NULL};
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();
		if (!pid) {
			calls(N);
			report_count(SYS_getppid, N);
			_exit(3);
		}
		reap(pid, 3);
	}
	for (int i = 0; i < 5; i++) {
		pid_t pid = vfork();
		if (!pid) {
			execv(argv[0], again);
			_exit(127);
		}
		reap(pid, 5);
	}
	for (int i = 0; i < 3; i++) { /* an exec that fails leaves the child, then the parent, as they were */
		pid_t pid = vfork();
		if (!pid) {
			execv("/nonexistent", again);
			_exit(4);
		}
		reap(pid, 4);
	}
	for (int i = 0; i < 3; i++) {
		pid_t pid;
		if (posix_spawn(&pid, argv[0], NULL, NULL, again, environ))
			report("bad spawn\n");
		reap(pid, 5);
	}
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reap(clone(in_clone, stack + 65536, SIGCHLD, (void *)1), 7);                       /* own memory, given stack */
	reap(clone(in_clone, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)1), 7); /* shared memory */
	calls(N);
	report_count(SYS_getppid, N);
	report_count(SYS_vfork, 5 + 3); /* theirs are the children's: who returns is known by then */
	execv("/nonexistent", again);
	CHECK(errno == ENOENT);
	return 0;
}
