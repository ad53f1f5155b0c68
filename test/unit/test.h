/* The unit tests' few words. A test program is a main that calls RUN(name) for each of its tests and ends with
 * return test_end(); it prints TAP: one line a test, the failed expectations below it, then the plan. */
#ifndef SKEP_TEST_H
#define SKEP_TEST_H
#include "base/base.h"
#include <stdio.h>
#include <string.h>

static int test_n, test_failed, test_bad;

#define EXPECT(x) ((x) ? (void)0 : (void)(test_bad++, printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #x)))
#define EXPECT_EQ(a, b)                                                                                                \
	do {                                                                                                           \
		long long a_ = (long long)(a), b_ = (long long)(b);                                                    \
		if (a_ != b_)                                                                                          \
			test_bad++, printf("# %s:%d: %s is %lld (0x%llx), expected %lld (0x%llx)\n", __FILE__,         \
			                   __LINE__, #a, a_, a_, b_, b_);                                              \
	} while (0)
#define EXPECT_STR(a, b)                                                                                               \
	do {                                                                                                           \
		const char *a_ = (a), *b_ = (b);                                                                       \
		if (!a_ || strcmp(a_, b_))                                                                             \
			test_bad++, printf("# %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #a,         \
			                   a_ ? a_ : "(null)", b_);                                                    \
	} while (0)
#define RUN(name) (test_bad = 0, name(), test_report(#name))
#define SKIP(name, why) printf("ok %d - %s # SKIP %s\n", ++test_n, name, why)

static inline void test_report(const char *name) {
	printf("%s %d - %s\n", test_bad ? "not ok" : "ok", ++test_n, name);
	test_failed += test_bad != 0;
	fflush(stdout);
}
static inline int test_end(void) {
	printf("1..%d\n", test_n);
	return test_failed != 0;
}
#endif
