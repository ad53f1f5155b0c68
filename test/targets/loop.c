/* Calls through three kinds of sites: a constant number in line, libc's wrapper, libc's syscall(). */
#include "target.h"

int main(void) {
	enum { N = 20000 };
	for (int i = 0; i < N; i++) {
		long ret;
		__asm__ volatile("mov $110, %%eax\n syscall" : "=a"(ret) : : "rcx", "r11", "memory");
	}
	for (int i = 0; i < N; i++)
		getpgid(0);
	for (int i = 0; i < N; i++)
		syscall(SYS_getsid, 0);
	for (volatile long i = 0, nr = SYS_getegid; i < N; i++)
		raw(nr, 0, 0, 0);
	report_count(SYS_getppid, N);
	report_count(SYS_getpgid, N);
	report_count(SYS_getsid, N);
	report_count(SYS_getegid, N);
	return 0;
}
