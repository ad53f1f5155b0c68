/* Words of the target programs: each makes system calls whose number it knows, and reports lines
 *
 *     count PID NR N      this process made exactly N calls of number NR
 *     ok TEXT, bad TEXT   something else that it checked
 *
 * The driver (test/launch/launch.c) compares the counts with what programs attached by skep saw. Reports go to standard
 * output with one write each. */
#ifndef SKEP_TARGET_H
#define SKEP_TARGET_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline long raw(long nr, long a, long b, long c) {
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}
__attribute__((format(printf, 1, 2))) static inline void report(const char *fmt, ...) {
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	while (raw(SYS_write, 1, (long)line, n) == -4)
		;
}
static inline void report_count(int nr, long n) {
	report("count %d %d %ld\n", (int)raw(SYS_getpid, 0, 0, 0), nr, n);
}
#define CHECK(x) report((x) ? "ok %s\n" : "bad %s\n", #x)
#endif
