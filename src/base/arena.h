/* Phase memory: a pass allocates from an arena and drops all of it at once. Not thread safe: one arena, one owner.
 * arena_alloc returns zeroed memory aligned to 16 bytes, or NULL when the limit (0 = none) or the system refuses. */
#ifndef SKEP_ARENA_H
#define SKEP_ARENA_H
#include "base/base.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks; /* newest first */
	u8 *next, *end;             /* free part of the newest */
	u8 *clean;                  /* from here on the newest is zero already */
	u64 used, limit;            /* bytes handed out by the system; the most that may be */
};

void arena_init(struct arena *a, u64 limit);
/* About that much will be wanted: one chunk instead of many. A limit that forbids it is told by arena_alloc, later. */
void arena_expect(struct arena *a, u64 size);
void *arena_alloc(struct arena *a, u64 size);
void *arena_copy(struct arena *a, const void *data, u64 size);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
void arena_reset(struct arena *a); /* all free, the newest chunk kept */
void arena_free(struct arena *a);

#define arena_new(a, type) ((type *)arena_alloc(a, sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc(a, sizeof(type) * (u64)(n)))
#endif
