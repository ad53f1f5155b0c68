/* Eight threads, in three generations: thread slots are used again, and several threads count at once. */
#include "target.h"
#include <pthread.h>

enum { THREADS = 8, ROUNDS = 3, N = 3000 };
static void *work(void *arg) {
	(void)arg;
	for (int i = 0; i < N; i++)
		raw(SYS_getppid, 0, 0, 0);
	/* the thread's own idea of itself, through libc and through the kernel */
	if (syscall(SYS_gettid) != gettid())
		report("bad tid\n");
	return NULL;
}
int main(void) {
	for (int r = 0; r < ROUNDS; r++) {
		pthread_t t[THREADS];
		for (int i = 0; i < THREADS; i++)
			if (pthread_create(&t[i], NULL, work, NULL))
				return 2;
		for (int i = 0; i < THREADS; i++)
			pthread_join(t[i], NULL);
	}
	/* detached ones end by themselves; musl's unmap their own stack */
	static volatile int ended;
	(void)ended;
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < THREADS; i++) {
		pthread_t t;
		if (pthread_create(&t, &a, work, NULL))
			return 2;
		usleep(20000);
	}
	usleep(200000);
	report_count(SYS_getppid, (long)(ROUNDS + 1) * THREADS * N);
	return 0;
}
