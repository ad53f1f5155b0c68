/* skep or a target is killed at a random moment, again and again. Every process of the command must end by itself and with
 * the status that it has without skep, unless it was the one that was killed; nobody may stay behind.
 *
 * This process adopts what skep leaves. Usage: kills [rounds] */
#include "common.h"
#include "test.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_MS = 15000 };
static u32 random_state = 1;
static u32 next_random(void) {
	random_state = random_state * 1664525u + 1013904223u;
	return random_state >> 8;
}
static u64 now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}
static void pause_us(u32 us) {
	struct timespec t = {us / 1000000, us % 1000000 * 1000};
	nanosleep(&t, NULL);
}

/* A descendant of ours other than skep: a random child of it, or that one's. */
static pid_t child_of(pid_t pid) {
	char path[64];
	pid_t list[16];
	int n = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
	FILE *f = fopen(path, "r");
	while (f && n < 16 && fscanf(f, "%d", &list[n]) == 1)
		n++;
	if (f)
		fclose(f);
	return n ? list[next_random() % (u32)n] : 0;
}
/* Children of any thread: the server forks. */
static pid_t random_target(pid_t skep) {
	char path[64];
	pid_t found = 0;
	snprintf(path, sizeof path, "/proc/%d/task", skep);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		pid_t list;
		char children[128];
		snprintf(children, sizeof children, "/proc/%d/task/%.20s/children", skep, e->d_name);
		FILE *f = fopen(children, "r");
		if (f && fscanf(f, "%d", &list) == 1)
			found = list;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	pid_t below = found ? child_of(found) : 0;
	return below && next_random() % 2 ? below : found;
}

static void one_round(int i) {
	static char *const commands[][4] = {
	    {"sh", "-c", "for i in 1 2 3 4 5 6; do /bin/true || exit 9; done; exit 0", NULL},
	    {"sh", "-c", "for i in 1 2 3; do ls / | cat >/dev/null || exit 9; done; exit 0", NULL},
	    {"sh", "-c", "(/bin/true; /bin/true) & /bin/true & /bin/true; wait; exit 0", NULL},
	};
	char *const *argv = commands[next_random() % ARRAY_SIZE(commands)];
	bool kill_skep = i % 2 == 0;
	pid_t skep = fork(), victim = 0;
	if (!skep) {
		setpgid(0, 0);
		int status = common_run((char *const *)argv, (struct setup){LAUNCH_ENTER, LAUNCH_CTX_TRACEPOINT, -1});
		_exit(status < 0 ? 99 : status);
	}
	if (skep < 0) { /* kill(-1) would be everybody */
		test_bad++, printf("# round %d: no process\n", i);
		return;
	}
	pause_us(next_random() % 40000);
	if (kill_skep)
		kill(victim = skep, SIGKILL);
	else if ((victim = random_target(skep)))
		kill(victim, SIGKILL);
	u64 until = now_ms() + LIMIT_MS;
	for (;;) {
		int status;
		pid_t got = waitpid(-1, &status, WNOHANG | __WALL);
		if (got < 0 && errno == ECHILD)
			return;
		if (got > 0 && WIFSIGNALED(status) && got != victim)
			test_bad++, printf("# round %d: process %d died of signal %d\n", i, got, WTERMSIG(status));
		if (got > 0 && got != skep && kill_skep && WIFEXITED(status) && WEXITSTATUS(status))
			test_bad++, printf("# round %d: process %d ended with %d\n", i, got, WEXITSTATUS(status));
		if (now_ms() > until) {
			test_bad++, printf("# round %d: still there after %d ms\n", i, LIMIT_MS);
			kill(-skep, SIGKILL);
			until = now_ms() + LIMIT_MS;
		}
		if (!got)
			pause_us(2000);
	}
}

int main(int argc, char **argv) {
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 30;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	common_make_map();
	random_state = argc > 2 ? (u32)strtoul(argv[2], NULL, 10) : (u32)getpid();
	printf("# seed %u\n", random_state);
	fflush(stdout);
	for (int i = 0; i < rounds; i++)
		one_round(i);
	test_report("kills");
	return test_end();
}
