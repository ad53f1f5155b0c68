/* pthread_cancel of threads that are blocked, and its clean-up handlers. */
#include "target.h"
#include <pthread.h>
#include <time.h>

static volatile int cleaned;
static int p[2];
static void clean(void *arg) {
	(void)arg;
	cleaned++;
}
static void *blocked(void *arg) {
	char c;
	pthread_cleanup_push(clean, arg);
	while (read(p[0], &c, 1) < 0)
		;
	pthread_cleanup_pop(0);
	return NULL;
}
static void *sleeping(void *arg) {
	pthread_cleanup_push(clean, arg);
	for (;;)
		sleep(100);
	pthread_cleanup_pop(0);
	return NULL;
}
static int joined(pthread_t t, void **result) {
	struct timespec limit;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 3;
	return pthread_timedjoin_np(t, result, &limit);
}
int main(void) {
	if (pipe(p))
		return 2;
	for (int i = 0; i < 20; i++) {
		pthread_t t;
		void *result = NULL;
		pthread_create(&t, NULL, i % 2 ? blocked : sleeping, NULL);
		if (i % 4 < 2)
			usleep(10000); /* else: anywhere between its start and its sleep */
		pthread_cancel(t);
		if (joined(t, &result) || result != PTHREAD_CANCELED) {
			report("bad cancellation %d\n", i);
			return 1;
		}
	}
	CHECK(cleaned <= 20 && cleaned >= 10);
	return 0;
}
