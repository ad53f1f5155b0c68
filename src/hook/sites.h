/* System call sites of an image: every `syscall` instruction that can be hooked, and what must be known to do it. */
#ifndef SKEP_HOOK_SITES_H
#define SKEP_HOOK_SITES_H
#include "hook/elf.h"

enum site_flags {
	SITE_TARGET = 1,       /* a branch goes to the syscall instruction itself */
	SITE_AFTER_TARGET = 2, /* a branch goes to the instruction behind it */
	SITE_CANCEL = 4,       /* the library compares interrupted program counters with this place: the syscall must stay */
	SITE_ALONE = 8,        /* no hook may run here: the stack may be gone (see sites.c) */
};
struct site {
	u32 off;           /* of the syscall instruction, from the start of the segment */
	s16 nr;            /* system call number where it is always the same, else -1 */
	u8 before, after;  /* bytes of movable whole instructions before and behind it, where no branch goes inside: at least
	                      JUMP_BYTES when there are so many */
	u8 flags;
	u8 bytes[2 * 20 + 2 - 1]; /* the original bytes of [off - before, off + 2 + after) */
};
enum { JUMP_BYTES = 5, SYSCALL_BYTES = 2, SITE_SIDE_MAX = 19 };

/* The sites of one executable segment, by ascending offset; windows do not overlap. */
struct sites {
	u64 address, size; /* of the segment, as in the file */
	struct site *at;
	u32 n, room;
	u32 skipped;       /* instructions that look like a site but are not hooked: no window or no known function */
	bool is_go;
};

/* Finds the sites of executable segment `segment` of e. 0 or negative errno. Free with sites_free. */
int sites_find(const struct elf *e, u32 segment, struct sites *out);
void sites_free(struct sites *s);
/* Whether everything in s is in range, ordered and not overlapping: for content from outside. */
bool sites_valid(const struct sites *s);
#endif
