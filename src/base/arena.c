#include "base/arena.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 * 1024 };

struct arena_chunk {
	struct arena_chunk *older;
	u64 size; /* bytes of data that follow */
	_Alignas(16) u8 data[];
};

void arena_init(struct arena *a, u64 limit) {
	*a = (struct arena){.limit = limit};
}

static bool arena_grow(struct arena *a, u64 size) {
	u64 want = MAX(size, (u64)CHUNK), doubled = MIN(a->used, (u64)1 << 22);
	want = MAX(want, doubled);
	if (a->limit && a->used + want > a->limit)
		want = size;
	if (a->limit && a->used + want > a->limit)
		return false;
	struct arena_chunk *c = malloc(sizeof *c + want);
	if (!c)
		return false;
	c->older = a->chunks, c->size = want;
	a->chunks = c, a->next = c->data, a->end = c->data + want, a->used += want;
	return true;
}

void *arena_alloc(struct arena *a, u64 size) {
	if (size > (u64)1 << 40)
		return NULL;
	size = round_up(MAX(size, (u64)1), 16);
	if ((u64)(a->end - a->next) < size && !arena_grow(a, size))
		return NULL;
	void *p = a->next;
	a->next += size;
	ASSERT(a->next <= a->end);
	return memset(p, 0, size);
}

void *arena_copy(struct arena *a, const void *data, u64 size) {
	void *p = arena_alloc(a, size);
	return p && size ? memcpy(p, data, size) : p;
}

char *arena_printf(struct arena *a, const char *fmt, ...) {
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *s = n < 0 ? NULL : arena_alloc(a, (u64)n + 1);
	if (s)
		vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return s;
}

void arena_reset(struct arena *a) {
	struct arena_chunk *keep = a->chunks;
	if (!keep)
		return;
	for (struct arena_chunk *c = keep->older, *older; c; c = older) {
		older = c->older;
		free(c);
	}
	keep->older = NULL;
	a->used = keep->size, a->next = keep->data, a->end = keep->data + keep->size;
}

void arena_free(struct arena *a) {
	for (struct arena_chunk *c = a->chunks, *older; c; c = older) {
		older = c->older;
		free(c);
	}
	arena_init(a, a->limit);
}
