/* The level-2 log has every abstract state that a verifier saw, in the order in which it walked. So the first line in
 * which two logs differ is the first instruction at which they disagree: where ours is wider we are less precise, where it
 * is narrower somebody is wrong.
 *
 *     kernel   25: (bf) r3 = r8     ; R3=map_value(ks=4,vs=48) R8=…          is compared, spaces apart
 *              18: (18) r1 = 0xffff88810c5b6400                              the address of a map is left out
 *              (0) frame 0 insn 6 +live -24                                  skipped: how liveness was found
 *              mark_precise: frame0: regs=r2 stack= before 28: …             skipped: the states show what came of it
 */
#include "fuzz/walk.h"
#include <stdio.h>
#include <string.h>

static bool is_skipped(const char *line) {
	const char *inside = line[0] == '(' ? strchr(line, ')') : NULL;
	return !line[0] || !strncmp(line, "mark_precise", 12) ||
	       (inside && (!strncmp(inside, ") frame ", 8) || !strncmp(inside, ") live stack", 12)));
}

static void leave_out_address(char *line) {
	char *at = strstr(line, "(18) r"), *end;
	if (!at || !(at = strstr(at, " = 0x")))
		return;
	end = at += 5;
	end += strspn(end, "0123456789abcdef");
	memmove(at, end, strlen(end) + 1);
}

static void squeeze(char *line) {
	char *to = line;
	for (const char *from = line; *from; from++)
		if (*from != ' ' || (to > line && to[-1] != ' '))
			*to++ = *from;
	while (to > line && to[-1] == ' ')
		to--;
	*to = 0;
}

/* False at the end, with an empty line. */
static bool next_line(const char **log, char line[WALK_LINE]) {
	while (**log) {
		size_t n = strcspn(*log, "\n");
		snprintf(line, WALK_LINE, "%.*s", (int)MIN(n, (size_t)WALK_LINE - 1), *log);
		*log += n + ((*log)[n] == '\n');
		if (is_skipped(line))
			continue;
		leave_out_address(line);
		squeeze(line);
		return true;
	}
	line[0] = 0;
	return false;
}

/* The rows of docs/verdicts.md: where the kernel is wrong and we do not follow it. */
static bool is_known(const char *whole, const struct walk_difference *d) {
	bool sign_extends = strstr(d->ours, "= *(s8 *)(r10") || strstr(d->ours, "= *(s16 *)(r10") || strstr(d->ours, "= *(s32 *)(r10");
	bool prunes = strstr(d->ours, "safe") || strstr(d->kernels, "safe") || strstr(d->kernels, "propagating") ||
	              strstr(d->ours, "propagating");
	return strstr(d->ours, "type=map_value_or_null expected=") /* memory that may be NULL */ ||
	       (sign_extends && strstr(d->kernels, "id=")) || (prunes && strstr(whole, "_fetch_")) ||
	       (prunes && strstr(whole, "_xchg"));
}

enum walk_result walk_compare(const char *ours, const char *kernels, struct walk_difference *d) {
	const char *a = ours, *b = kernels;
	d->before[0] = 0;
	for (;;) {
		bool more = next_line(&a, d->ours);
		more |= next_line(&b, d->kernels);
		if (!more)
			return WALK_SAME;
		if (strcmp(d->ours, d->kernels))
			return is_known(ours, d) ? WALK_KNOWN : WALK_DIFFERS;
		memcpy(d->before, d->ours, sizeof d->before);
	}
}
