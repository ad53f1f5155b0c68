/* Odd but legal: pointers that the kernel forgives, threads that execute, files that are mapped shared and executable. Each
 * thing goes as it goes without skep. */
#include "target.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { N = 300 };

/* clone ignores that it cannot store a number: the child lives. */
static void forgiven_pointers(void) {
	int status = -1;
	long pid = syscall(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, 0, 0, 0x10, 0);
	if (!pid) {
		for (int i = 0; i < N; i++)
			raw(SYS_getppid, 0, 0, 0);
		report_count(SYS_getppid, N);
		_exit(6);
	}
	CHECK(waitpid((pid_t)pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 6);
	unsigned long a[8] = {CLONE_PARENT_SETTID, 0, 0, 0x10, SIGCHLD}; /* struct clone_args */
	pid = raw(435, (long)a, sizeof a, 0);
	if (!pid)
		_exit(raw(SYS_getppid, 0, 0, 0) > 0 ? 7 : 1);
	CHECK(pid == -38 || (waitpid((pid_t)pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7));
}

/* A thread whose number is stored where its parent uses the memory for something else at once. */
static volatile int thread_may_go, thread_number;
static int in_thread(void *arg) {
	(void)arg;
	while (!thread_may_go)
		;
	thread_number = (int)raw(SYS_gettid, 0, 0, 0);
	return 0;
}
static void reused_number(void) {
	enum { FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM };
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static long block[64]; /* of the thread: points to itself, as the ABI has it */
	block[32] = (long)&block[32];
	int *number = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int tid = clone(in_thread, stack + 65536, FLAGS | CLONE_SETTLS | CLONE_PARENT_SETTID, NULL, number, &block[32]);
	munmap(number, 4096);
	thread_may_go = 1;
	for (int i = 0; i < 2000 && thread_number != tid; i++)
		usleep(1000);
	CHECK(tid > 0 && thread_number == tid);
}

/* Another thread than the first executes: it takes over the number of the process. */
static void *execute(void *name) {
	char *again[] = {name, "again", NULL};
	execv(name, again);
	return NULL;
}
static void *wait_for_ever(void *arg) {
	for (;;)
		pause();
	return arg;
}
static void thread_executes(char *name) {
	int status = -1;
	pid_t pid = fork();
	if (!pid) {
		pthread_t t;
		pthread_create(&t, NULL, wait_for_ever, NULL);
		pthread_create(&t, NULL, execute, name);
		for (;;)
			pause();
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

/* A writable, executable, shared mapping of a program's file: what is in the file stays. */
static void shared_text(const char *name) {
	static char before[8 << 20], after[8 << 20];
	char path[] = "/tmp/skep-odd-XXXXXX";
	int from = open(name, O_RDONLY), to = mkstemp(path);
	ssize_t n = read(from, before, sizeof before);
	if (to < 0 || n <= 0 || write(to, before, (size_t)n) != n) {
		report("bad copy\n");
		return;
	}
	int kinds[] = {PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ | PROT_EXEC};
	for (int i = 0; i < 6; i++) { /* its code begins on one of the first pages */
		void *p = mmap(NULL, (size_t)n, kinds[i % 2], MAP_SHARED, to, i / 2 * 4096);
		if (p != MAP_FAILED)
			munmap(p, (size_t)n);
	}
	CHECK(pread(to, after, sizeof after, 0) == n && !memcmp(before, after, (size_t)n));
	unlink(path);
	close(from), close(to);
}

int main(int argc, char **argv) {
	if (argc > 1) {
		for (int i = 0; i < N; i++)
			raw(SYS_getppid, 0, 0, 0);
		report_count(SYS_getppid, N);
		return 5;
	}
	forgiven_pointers();
	reused_number();
	thread_executes(argv[0]);
	shared_text(argv[0]);
	return 0;
}
