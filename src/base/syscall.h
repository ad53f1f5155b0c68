/* Raw system calls: for code that has no libc. The result is the kernel's: value, or negative errno. */
#ifndef SKEP_SYSCALL_H
#define SKEP_SYSCALL_H
#include "base/base.h"
#include <asm/unistd.h>

#if defined(__x86_64__)
static inline s64 raw_syscall(s64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
	s64 result;
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	register u64 r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
static inline s64 raw_syscall(s64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
	register u64 x8 __asm__("x8") = nr;
	register u64 x0 __asm__("x0") = a;
	register u64 x1 __asm__("x1") = b;
	register u64 x2 __asm__("x2") = c;
	register u64 x3 __asm__("x3") = d;
	register u64 x4 __asm__("x4") = e;
	register u64 x5 __asm__("x5") = f;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}
#else
#error "skep knows the system calls of x86-64 and arm64"
#endif
#endif
