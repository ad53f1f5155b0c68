/* Where a failed assertion of the library ends. */
#include "base/base.h"
#include <stdio.h>
#include <stdlib.h>

NORETURN void assert_failed(const char *what, const char *file, int line) {
	fprintf(stderr, "skep: internal error: %s does not hold at %s:%d\n", what, file, line);
	abort();
}
