/* A program that is in the middle of something at every moment: forks, execs, failing execs, threads, libraries opened
 * late, signals. What it prints is always the same, and it returns 7 when all went as it should. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static volatile sig_atomic_t alarms;
static int bad;

static void on_signal(int sig) {
	alarms++;
}
static void expect(int yes, const char *what, int i) {
	if (!yes)
		bad++, printf("%s %d failed: %s\n", what, i, strerror(errno));
}
static int status_of(pid_t pid) {
	int status = -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}
static void *opens_library(void *name) {
	void *lib = dlopen(name, RTLD_NOW);
	void *found = lib ? dlsym(lib, "inflate") ? dlsym(lib, "inflate") : dlsym(lib, "cos") : NULL;
	if (lib)
		dlclose(lib);
	return found;
}

int main(int argc, char **argv) {
	if (argc == 3 && !strcmp(argv[1], "leaf")) {
		printf("leaf %s\n", argv[2]);
		return (int)(strtol(argv[2], NULL, 10) % 5);
	}
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 8;
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &act, NULL);
	for (int i = 0; i < rounds; i++) {
		char number[16], *leaf[] = {argv[0], "leaf", number, NULL};
		snprintf(number, sizeof number, "%d", i);
		pid_t pid = fork();
		if (!pid) {
			execve("/does/not/exist", leaf, environ);
			execve(argv[0], leaf, environ);
			_exit(99);
		}
		raise(SIGUSR1);
		int status = status_of(pid);
		expect(WIFEXITED(status) && WEXITSTATUS(status) == i % 5, "fork and exec", i);
		expect(!posix_spawn(&pid, argv[0], NULL, NULL, leaf, environ), "spawn", i);
		status = status_of(pid);
		expect(WIFEXITED(status) && WEXITSTATUS(status) == i % 5, "spawned", i);
		pthread_t thread;
		void *found = NULL;
		expect(!pthread_create(&thread, NULL, opens_library, i & 1 ? "libz.so.1" : "libm.so.6"), "thread", i);
		for (int k = 0; k < 2000; k++)
			getppid();
		pthread_join(thread, &found);
		expect(found != NULL, "library", i);
		printf("round %d\n", i);
		fflush(stdout);
	}
	expect(alarms == rounds, "signals", (int)alarms);
	printf("end\n");
	return bad ? 9 : 7;
}
