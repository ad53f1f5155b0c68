#include "base/vec.h"
#include <stdlib.h>

bool vec_grow(void **at, u32 *room, u32 n, u64 size) {
	u64 want = MAX((u64)n, (u64)*room * 2);
	want = MAX(want, (u64)8);
	if (want > UINT32_MAX)
		return false;
	void *p = realloc(*at, want * size);
	if (!p)
		return false;
	*at = p, *room = (u32)want;
	return true;
}

void vec_free_memory(void *at) {
	free(at);
}
