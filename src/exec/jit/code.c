/* The code buffer; the picture is in code.h.
 *
 * Sizes. fixup.saved is the number of bytes that fixups before this one do not need; a place moves to the left by the
 * bytes that the fixups before it save. Longest sizes are an upper bound for every distance, and alignment counts with
 * its maximum until the very end: a jump found short under these assumptions stays short under the final ones, because
 * both only shrink the distances. While a round is under way the sums before the fixup that is looked at are new and
 * those behind it are old: so a distance backward is taken between new places, one forward between old ones. */
#include "exec/jit/code.h"
#include "base/large.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 4 /* of shortening jumps; more find hardly any */ };

bool scratch_init(struct scratch *s, u64 size) {
	s->at = s->next = large_alloc(size);
	s->end = s->at ? s->at + size : NULL;
	return s->at;
}
void *scratch_take(struct scratch *s, u64 n, u64 size) {
	u64 bytes = round_up(n * size, 64);
	if (bytes > (u64)(s->end - s->next))
		return NULL;
	s->next += bytes;
	return s->next - bytes;
}
void scratch_give(const struct scratch *s, void *at) {
	if ((u8 *)at < s->at || (u8 *)at >= s->end)
		free(at);
}
bool scratch_grow(const struct scratch *s, void **at, u32 *room, u32 n, u64 size) {
	void *old = *at, *grown = NULL;
	u32 had = *room;
	if (!vec_grow(&grown, room, MAX(n, had * 2), size)) {
		*room = had;
		return false;
	}
	if (had)
		memcpy(grown, old, had * size);
	scratch_give(s, old);
	*at = grown;
	return true;
}

bool code_init(struct code *c, const struct code_machine *m, struct scratch *scratch, u32 bytes, u32 fixups) {
	*c = (struct code){.m = m, .scratch = scratch, .room = MAX(bytes, (u32)2 * CODE_ROOM), .line = NO_LABEL};
	c->at = large_alloc(c->room);
	c->fixups.at = scratch_take(scratch, fixups, sizeof *c->fixups.at);
	c->fixups.room = c->fixups.at ? fixups : 0;
	c->labels.at = scratch_take(scratch, fixups, sizeof *c->labels.at);
	c->labels.room = c->labels.at ? fixups : 0;
	c->failed = !c->at;
	return !c->failed;
}

void code_free(struct code *c) {
	free(c->at);
	scratch_give(c->scratch, c->fixups.at);
	scratch_give(c->scratch, c->labels.at);
	vec_free(&c->relocs);
	vec_free(&c->lines);
	vec_free(&c->literals);
	*c = (struct code){0};
}

bool code_grow(struct code *c) {
	u64 want = (u64)c->room * 2;
	u8 *p = c->failed || want > INT32_MAX ? NULL : realloc(c->at, want);
	if (!p) {
		c->failed = true; /* emitting goes on at the start of the old memory */
		return false;
	}
	c->at = p, c->room = (u32)want;
	return true;
}

u32 code_labels(struct code *c, u32 count) {
	u32 first = c->labels.n;
	if (count > c->labels.room - first &&
	    !scratch_grow(c->scratch, (void **)&c->labels.at, &c->labels.room, first + count, sizeof *c->labels.at)) {
		c->failed = true;
		return 0;
	}
	for (u32 i = 0; i < count; i++)
		c->labels.at[first + i] = (struct label){NO_LABEL, 0};
	c->labels.n += count;
	return first;
}

void code_bind(struct code *c, u32 label) {
	if (c->failed)
		return;
	ASSERT(label < c->labels.n && c->labels.at[label].pos == NO_LABEL);
	c->labels.at[label] = (struct label){c->n, c->fixups.n};
}

void code_fix(struct code *c, enum fixup_kind kind, u8 arg, u32 target) {
	u8 *p = code_begin(c), room = kind == FIX_ALIGN ? arg - 1 : c->m->long_size[kind];
	if (unlikely(c->fixups.n == c->fixups.room) && !scratch_grow(c->scratch, (void **)&c->fixups.at, &c->fixups.room,
	                                                             c->fixups.n + 1, sizeof *c->fixups.at)) {
		c->failed = true;
		return;
	}
	ASSERT(room <= FIX_MAX_SIZE && c->fixups.n < c->fixups.room);
	struct fixup *f = &c->fixups.at[c->fixups.n++];
	*f = (struct fixup){.pos = c->n, .target = target, .kind = kind, .arg = arg, .size = room, .room = room};
	code_end(c, p + room);
}

void code_reloc(struct code *c, const u8 *end, u16 kind, u16 index, u64 addend) {
	struct reloc *r = vec_push(&c->relocs);
	if (!r) {
		c->failed = true;
		return;
	}
	ASSERT(end >= c->at + 8);
	*r = (struct reloc){(u32)(end - 8 - c->at), kind, index, addend};
}

u32 code_literal(struct code *c, u16 kind, u16 index) {
	for (u32 i = 0; i < c->literals.n; i++)
		if (c->literals.at[i].kind == kind && c->literals.at[i].index == index)
			return i;
	struct literal *l = vec_push(&c->literals);
	if (!l) {
		c->failed = true;
		return 0;
	}
	*l = (struct literal){kind, index};
	return c->literals.n - 1;
}

struct assembly {
	struct code *c;
	u32 saved;        /* by all fixups that were looked at */
	u32 literals_off; /* where the literal words start */
};

/* Where a label is. */
static u32 final_of(const struct assembly *a, u32 label) {
	const struct code *c = a->c;
	ASSERT(label < c->labels.n && c->labels.at[label].pos != NO_LABEL);
	struct label l = c->labels.at[label];
	return l.pos - (l.fixups < c->fixups.n ? c->fixups.at[l.fixups].saved : a->saved);
}

/* Distance from the end of a fixup to its target. */
static s32 distance(const struct assembly *a, const struct fixup *f) {
	u32 to = f->kind == FIX_CALL_FAR ? a->literals_off + 8 * f->target : final_of(a, f->target);
	return (s32)(to - (f->pos - f->saved + f->size));
}

static void shorten_jumps(struct assembly *a) {
	struct code *c = a->c;
	const struct code_machine *m = c->m;
	bool changed = true;
	for (u32 round = 0; changed && round < ROUNDS; round++) {
		u32 saved = 0;
		changed = false;
		for (u32 i = 0; i < c->fixups.n; i++) {
			struct fixup *f = &c->fixups.at[i];
			u8 small = m->short_size[f->kind];
			u32 was = f->saved;
			f->saved = saved;
			if (small && f->size != small) {
				bool ahead = c->labels.at[f->target].fixups > i;
				s32 d = (s32)(final_of(a, f->target) - (f->pos - (ahead ? was : saved) + f->size));
				/* a short form that ends earlier lengthens a backward distance measured from its end: never more
				 * than the difference of the sizes, and never for a forward one */
				if (d >= m->short_min && d <= m->short_max)
					f->size = small, changed = true;
			}
			saved += f->room - f->size;
		}
		a->saved = saved;
	}
}

/* The alignments, exactly, and with them where everything is. */
static void place(struct assembly *a) {
	struct code *c = a->c;
	u32 saved = 0;
	for (u32 i = 0; i < c->fixups.n; i++) {
		struct fixup *f = &c->fixups.at[i];
		f->saved = saved;
		if (f->kind == FIX_ALIGN)
			f->size = (u8)(round_up(f->pos - saved, f->arg) - (f->pos - saved));
		ASSERT(f->size <= f->room);
		saved += f->room - f->size;
	}
	a->saved = saved;
	a->literals_off = (u32)round_up(c->n - saved, 8);
}

/* Moves everything to its place, from the start to the end: nothing moves to the right. */
static void write_code(const struct assembly *a) {
	const struct code *c = a->c;
	u32 from = 0, saved = 0;
	for (u32 i = 0; i < c->fixups.n; i++) {
		const struct fixup *f = &c->fixups.at[i];
		ASSERT(f->pos >= from && f->saved >= saved);
		saved = f->saved;
		memmove(c->at + from - saved, c->at + from, f->pos - from);
		from = f->pos + f->room;
		s32 d = f->kind == FIX_ALIGN ? 0 : distance(a, f);
		ASSERT(f->kind == FIX_ALIGN || f->size == f->room || (d >= c->m->short_min && d <= c->m->short_max));
		c->m->write(c->at + f->pos - saved, f, d);
	}
	memmove(c->at + from - a->saved, c->at + from, c->n - from);
	u32 end = c->n - a->saved;
	memset(c->at + end, 0xcc, a->literals_off - end);
	memset(c->at + a->literals_off, 0, 8 * (u64)c->literals.n);
}

/* Relocations and lines stand in the order of the code: one walk along the fixups places them. */
static bool place_tables(const struct assembly *a) {
	struct code *c = a->c;
	const struct fixup *fixups = c->fixups.at;
	for (u32 i = 0, k = 0; i < c->lines.n; i++) {
		while (k < c->fixups.n && fixups[k].pos < c->lines.at[i].code_off)
			k++;
		c->lines.at[i].code_off -= k < c->fixups.n ? fixups[k].saved : a->saved;
	}
	for (u32 i = 0, k = 0; i < c->relocs.n; i++) {
		while (k < c->fixups.n && fixups[k].pos < c->relocs.at[i].off)
			k++;
		c->relocs.at[i].off -= k < c->fixups.n ? fixups[k].saved : a->saved;
	}
	for (u32 i = 0; i < c->literals.n; i++) {
		struct reloc *r = vec_push(&c->relocs);
		if (!r)
			return false;
		*r = (struct reloc){a->literals_off + 8 * i, c->literals.at[i].kind, c->literals.at[i].index, 0};
	}
	return true;
}

/* Gives memory away in its final size; what is too large stays so if it must. */
static void *give(void *at, u64 size) {
	void *p = realloc(at, MAX(size, (u64)1));
	return p ? p : at;
}

int code_assemble(struct code *c, struct image *image, u32 *label_off, u32 n) {
	struct assembly a = {.c = c};
	ASSERT(n <= c->labels.n || c->failed);
	if (c->failed)
		return -ENOMEM;
	shorten_jumps(&a);
	place(&a);
	u64 size = a.literals_off + 8 * (u64)c->literals.n;
	if (size >= INT32_MAX)
		return -E2BIG;
	while (c->room < size)
		if (!code_grow(c))
			return -ENOMEM;
	write_code(&a);
	if (!place_tables(&a))
		return -ENOMEM;
	for (u32 i = 0; i < n; i++)
		label_off[i] = final_of(&a, i);
	image->code = give(c->at, size), image->code_size = (u32)size;
	image->relocs = give(c->relocs.at, c->relocs.n * sizeof *image->relocs), image->relocs_n = c->relocs.n;
	image->lines = c->lines.n ? give(c->lines.at, c->lines.n * sizeof *image->lines) : NULL;
	image->lines_n = c->lines.n;
	c->at = NULL, c->relocs.at = NULL, c->lines.at = NULL;
	return 0;
}
