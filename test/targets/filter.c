/* A filter that kills the process for the calls that skep's code in the target likes to make: asking for names and numbers,
 * signals masks, reading memory. Calls, threads and their counts go on as before. */
#include "target.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

enum { N = 2000 };
static void *work(void *arg) {
	(void)arg;
	for (int i = 0; i < N; i++)
		raw(SYS_getppid, 0, 0, 0);
	return NULL;
}
int main(void) {
	static const int deadly[] = {SYS_getpid, SYS_gettid, SYS_getuid, SYS_getgid, SYS_prctl, SYS_process_vm_readv, SYS_nanosleep,
	                             SYS_socketpair, SYS_recvmsg, SYS_clock_gettime, SYS_getcpu, SYS_mremap};
	enum { DEADLY = sizeof deadly / sizeof deadly[0] };
	struct sock_filter f[2 * DEADLY + 2];
	int n = 0, pid = getpid();
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < DEADLY; i++) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)deadly[i], 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = {(unsigned short)n, f};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) {
		report("bad filter\n");
		return 1;
	}
	work(NULL);
	for (int i = 0; i < 5; i++) {
		pthread_t t;
		if (pthread_create(&t, NULL, work, NULL))
			report("bad thread\n");
		pthread_join(t, NULL);
	}
	report("count %d %d %ld\n", pid, SYS_getppid, 6L * N);
	int child = fork();
	if (!child) {
		for (int i = 0; i < N; i++)
			raw(SYS_getsid, 0, 0, 0);
		_exit(0);
	}
	raw(SYS_wait4, child, 0, 0);
	report("count %d %d %d\n", child, SYS_getsid, N);
	return 0;
}
