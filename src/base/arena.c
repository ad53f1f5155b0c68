/* Chunks come from malloc; from BIG bytes on they are mapped in units of huge pages, and offered to the system as such.
 * Programs of a hundred thousand instructions take tens of megabytes to verify, and faulting them in page by page would
 * cost more than the verification (measured in a virtual machine: 13 us for 4 KiB, 0.24 us as part of a huge page). */
#include "base/arena.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CHUNK = 64 * 1024, BIG = 512 * 1024, HUGE = 2 << 20, LARGEST = 32 << 20 };

struct arena_chunk {
	struct arena_chunk *older;
	u64 size; /* bytes of data that follow */
	_Alignas(16) u8 data[];
};

static u64 mapped_size(u64 size) {
	return round_up(sizeof(struct arena_chunk) + size, HUGE);
}

static struct arena_chunk *chunk_new(u64 size) {
	u64 length = mapped_size(size), before;
	u8 *at;
	if (size < BIG)
		return malloc(sizeof(struct arena_chunk) + size);
	at = mmap(NULL, length + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	before = round_up((uintptr_t)at, HUGE) - (uintptr_t)at;
	if (before)
		munmap(at, before);
	if (before < HUGE)
		munmap(at + before + length, HUGE - before);
	madvise(at + before, length, MADV_HUGEPAGE); /* where the system has none it goes on with small ones */
	return (struct arena_chunk *)(at + before);
}

static void chunk_free(struct arena_chunk *c) {
	if (c->size >= BIG)
		munmap(c, mapped_size(c->size));
	else
		free(c);
}

void arena_init(struct arena *a, u64 limit) {
	*a = (struct arena){.limit = limit};
}

static bool arena_grow(struct arena *a, u64 size) {
	u64 want = MAX(size, (u64)CHUNK), doubled = MIN(a->used, (u64)LARGEST);
	want = MAX(want, doubled);
	if (want >= BIG)
		want = mapped_size(want) - sizeof(struct arena_chunk);
	if (a->limit && a->used + want > a->limit)
		want = size;
	if (a->limit && a->used + want > a->limit)
		return false;
	struct arena_chunk *c = chunk_new(want);
	if (!c)
		return false;
	a->clean = c->data + (want >= BIG ? 0 : want);
	c->older = a->chunks, c->size = want;
	a->chunks = c, a->next = c->data, a->end = c->data + want, a->used += want;
	return true;
}

void arena_expect(struct arena *a, u64 size) {
	if ((u64)(a->end - a->next) < size)
		arena_grow(a, size);
}

void *arena_alloc(struct arena *a, u64 size) {
	if (size > (u64)1 << 40)
		return NULL;
	size = round_up(MAX(size, (u64)1), 16);
	if ((u64)(a->end - a->next) < size && !arena_grow(a, size))
		return NULL;
	u8 *p = a->next;
	a->next += size;
	ASSERT(a->next <= a->end);
	return p < a->clean ? memset(p, 0, MIN(size, (u64)(a->clean - p))) : p;
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
		chunk_free(c);
	}
	keep->older = NULL;
	a->clean = MAX(a->clean, a->next);
	a->used = keep->size, a->next = keep->data, a->end = keep->data + keep->size;
}

void arena_free(struct arena *a) {
	for (struct arena_chunk *c = a->chunks, *older; c; c = older) {
		older = c->older;
		chunk_free(c);
	}
	arena_init(a, a->limit);
}
