#include "target.h"
long library_calls(long n);
__attribute__((visibility("default"))) long library_calls(long n) {
	for (long i = 0; i < n; i++)
		n == 1000 ? raw(SYS_getppid, 0, 0, 0) : raw(SYS_getsid, 0, 0, 0);
	return n;
}
