/* Execs from several processes at once. */
#include "target.h"
#include <sys/wait.h>

enum { PROCESSES = 4, EXECS = 10, N = 50 };
int main(int argc, char **argv) {
	if (argc > 1) {
		int left = atoi(argv[1]);
		char next[16], *again[] = {argv[0], next, NULL};
		for (int i = 0; i < N; i++)
			raw(SYS_getppid, 0, 0, 0);
		if (!left) {
			report_count(SYS_getppid, (EXECS + 1) * N);
			return 0;
		}
		snprintf(next, sizeof next, "%d", left - 1);
		execv(argv[0], again);
		return 127;
	}
	char first[16], *again[] = {argv[0], first, NULL};
	snprintf(first, sizeof first, "%d", EXECS);
	for (int i = 0; i < PROCESSES; i++)
		if (!fork()) {
			execv(argv[0], again);
			_exit(127);
		}
	int status, bad = 0;
	for (int i = 0; i < PROCESSES; i++) {
		wait(&status);
		bad += status != 0;
	}
	CHECK(bad == 0);
	return 0;
}
