/* A timer at 20 kHz interrupts a loop of calls; its handler makes calls too. A second run leaves handlers by longjmp, on an
 * alternate stack. */
#include "target.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static volatile long handled, jumps;
static sigjmp_buf back;
static volatile int jump;

static void handler(int sig) {
	(void)sig;
	if (jump) {
		raw(SYS_getuid, 0, 0, 0);
		jumps++;
		siglongjmp(back, 1);
	}
	raw(SYS_getpgrp, 0, 0, 0);
	handled++;
}
int main(void) {
	static char stack[65536];
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
	sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval t = {{0, 50}, {0, 50}};
	setitimer(ITIMER_REAL, &t, NULL);
	long n = 0;
	for (; n < 100000; n++)
		raw(SYS_getppid, 0, 0, 0);
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
	report_count(SYS_getppid, n);
	CHECK(handled > 10);
	report_count(SYS_getpgrp, handled);
	/* Calls that a jump interrupts may have been made or not: only liveness is checked. The place to come back to is there
	 * before the first signal; and signals are let in again on this stack, not by siglongjmp on the handler's, where each
	 * would interrupt the one before until there is no room left. */
	volatile long more = 0;
	sigset_t alarm;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	jump = 1;
	if (!sigsetjmp(back, 0))
		setitimer(ITIMER_REAL, &t, NULL);
	sigprocmask(SIG_UNBLOCK, &alarm, NULL);
	while (more < 30000) {
		more++;
		raw(SYS_getsid, 0, 0, 0);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
	CHECK(jumps > 10);
	report_count(SYS_getuid, jumps);
	return 0;
}
