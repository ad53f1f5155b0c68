/* Arena and vector: alignment, zeroing, limits, reset. */
#include "test.h"
#include "base/arena.h"
#include <string.h>
#include "base/vec.h"

static void arena_basics(void) {
	struct arena a;
	arena_init(&a, 0);
	u8 *last = NULL;
	for (u64 n = 0; n < 3000; n++) {
		u8 *p = arena_alloc(&a, n);
		EXPECT(p && (uintptr_t)p % 16 == 0 && p != last);
		for (u64 i = 0; i < n; i++)
			if (p[i])
				EXPECT(!"zeroed");
		memset(p, 0xff, n);
		last = p;
	}
	EXPECT_STR(arena_printf(&a, "%s-%d", "x", 7), "x-7");
	arena_reset(&a);
	u8 *p = arena_alloc(&a, 100);
	EXPECT(p && !p[0] && !p[99]);
	arena_free(&a);
}
/* Mapped chunks: zero at first and after a reset, whatever was written, to the last byte. */
static void arena_large(void) {
	struct arena a;
	arena_init(&a, 0);
	arena_expect(&a, 3 << 20);
	for (u32 round = 0; round < 3; round++) {
		u64 size = round ? 5 << 20 : 1 << 20;
		u8 *p = arena_alloc(&a, size);
		bool zero = p != NULL;
		for (u64 i = 0; p && i < size; i++)
			zero &= !p[i];
		EXPECT(zero);
		memset(p, 0xff, size);
		arena_reset(&a);
	}
	arena_free(&a);
}
static void arena_limit(void) {
	struct arena a;
	arena_init(&a, 200000);
	u64 got = 0;
	while (arena_alloc(&a, 1000))
		got += 1000;
	EXPECT(got > 100000 && got <= 200000);
	EXPECT(!arena_alloc(&a, ~0ull));
	arena_free(&a);
}
static void vectors(void) {
	VEC(int) v = {0};
	for (int i = 0; i < 1000; i++)
		*vec_push(&v) = i;
	EXPECT_EQ(v.n, 1000);
	EXPECT_EQ(v.at[999], 999);
	vec_free(&v);
	EXPECT(!v.at);
}
int main(void) {
	RUN(arena_basics);
	RUN(arena_large);
	RUN(arena_limit);
	RUN(vectors);
	return test_end();
}
