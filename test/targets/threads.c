/* Eight threads, in three generations: thread slots are used again, and several threads count at once. */
#include "target.h"
#include <pthread.h>

enum { THREADS = 8, ROUNDS = 3, N = 3000 };
static int done; /* threads that have made their calls */
static void *work(void *arg) {
	(void)arg;
	for (int i = 0; i < N; i++)
		raw(SYS_getppid, 0, 0, 0);
	/* the thread's own idea of itself, through libc and through the kernel */
	if (syscall(SYS_gettid) != gettid())
		report("bad tid\n");
	__atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
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
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < THREADS; i++) {
		pthread_t t;
		if (pthread_create(&t, &a, work, NULL))
			return 2;
		usleep(20000);
	}
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < (ROUNDS + 1) * THREADS)
		usleep(1000);
	usleep(20000); /* to let the last one go away, if it likes */
	report_count(SYS_getppid, (long)(ROUNDS + 1) * THREADS * N);
	return 0;
}
