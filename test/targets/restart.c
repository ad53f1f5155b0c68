/* Interrupted and restarted calls: results are those of an unhooked process. */
#include "target.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static volatile int hits;
static void handler(int sig) {
	(void)sig;
	hits++;
}
int main(void) {
	int p[2];
	char c;
	struct sigaction restart = {.sa_handler = handler, .sa_flags = SA_RESTART}, plain = {.sa_handler = handler};
	struct itimerval soon = {{0, 0}, {0, 20000}};
	if (pipe(p))
		return 2;
	sigaction(SIGALRM, &plain, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	CHECK(read(p[0], &c, 1) == -1 && errno == EINTR);
	setitimer(ITIMER_REAL, &soon, NULL);
	struct timespec want = {5, 0}, left = {0, 0};
	CHECK(nanosleep(&want, &left) == -1 && errno == EINTR && left.tv_sec == 4);
	sigaction(SIGALRM, &restart, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	if (!fork()) {
		usleep(100000);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	int before = hits;
	CHECK(read(p[0], &c, 1) == 1 && c == 'x' && hits == before + 1); /* restarted by the kernel */
	/* restart_syscall: a stop and continue in the middle of a sleep */
	pid_t me = getpid();
	if (!fork()) {
		usleep(30000);
		kill(me, SIGSTOP);
		usleep(30000);
		kill(me, SIGCONT);
		_exit(0);
	}
	want = (struct timespec){0, 200000000};
	CHECK(nanosleep(&want, NULL) == 0);
	struct pollfd f = {.fd = p[0], .events = POLLIN};
	if (!fork()) {
		usleep(30000);
		kill(me, SIGSTOP);
		usleep(30000);
		kill(me, SIGCONT);
		_exit(0);
	}
	CHECK(poll(&f, 1, 200) == 0);
	return 0;
}
