/* Reading memory that somebody else may cut off.
 *
 * A token is a file that its holder can truncate; touching a mapped page beyond the end is SIGBUS. In the anonymous
 * backing tokens are sealed against that. In the file backing the engine catches the signal: while a guarded function
 * runs, a thread-local jump buffer is set, and the handler jumps there. Everybody else's SIGBUS goes to whoever had the
 * handler before. Installed by the first file-backed engine, removed by the last: the only process-wide state of the
 * library, and only with that backing. What is guarded takes no lock outside the area it reads. */
#include "runtime/state.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>

static __thread sigjmp_buf *volatile guard;
static struct sigaction before;
static u32 users;
static pthread_mutex_t users_mutex = PTHREAD_MUTEX_INITIALIZER;

static void on_sigbus(int sig, siginfo_t *info, void *context) {
	if (guard)
		siglongjmp(*guard, 1);
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
	} else { /* as if there were no handler: the instruction faults again and ends the process */
		struct sigaction dfl = {.sa_handler = SIG_DFL};
		sigaction(SIGBUS, &dfl, NULL);
	}
}

int guard_install(void) {
	int err = 0;
	pthread_mutex_lock(&users_mutex);
	if (!users) {
		struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
		sigemptyset(&sa.sa_mask);
		if (sigaction(SIGBUS, &sa, &before))
			err = -errno;
	}
	users += !err;
	pthread_mutex_unlock(&users_mutex);
	return err;
}
void guard_remove(void) {
	pthread_mutex_lock(&users_mutex);
	ASSERT(users);
	if (!--users) {
		struct sigaction now;
		if (!sigaction(SIGBUS, NULL, &now) && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sigbus)
			sigaction(SIGBUS, &before, NULL);
	}
	pthread_mutex_unlock(&users_mutex);
}

int guarded(bool needed, int (*fn)(void *arg), void *arg) {
	if (!needed)
		return fn(arg);
	sigjmp_buf here, *outer = guard;
	int result;
	if (!sigsetjmp(here, 0)) {
		guard = &here;
		result = fn(arg);
	} else {
		result = -EFAULT;
	}
	guard = outer;
	return result;
}
