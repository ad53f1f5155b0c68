/* The code buffer; the picture is in code.h.
 *
 * Sizes. shift[i] is the number of bytes that fixups before i take. A place (pos, k) ends up at pos + shift[k]. Long
 * sizes are an upper bound for every distance, and alignment counts with its maximum until the very end: a jump found
 * short under these assumptions stays short under the final ones, because both only shrink the distances. */
#include "exec/jit/code.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool code_init(struct code *c, u32 bytes) {
	*c = (struct code){.room = MAX(bytes, (u32)2 * CODE_ROOM)};
	c->at = malloc(c->room);
	c->failed = !c->at;
	return c->at;
}

void code_free(struct code *c) {
	free(c->at);
	vec_free(&c->fixups);
	vec_free(&c->labels);
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

static struct place here(const struct code *c) {
	return (struct place){c->n, c->fixups.n};
}

u32 code_labels(struct code *c, u32 count) {
	u32 first = c->labels.n;
	if (!vec_reserve(&c->labels, count)) {
		c->failed = true;
		return 0;
	}
	for (u32 i = 0; i < count; i++)
		c->labels.at[first + i] = (struct place){NO_LABEL, 0};
	c->labels.n += count;
	return first;
}

void code_bind(struct code *c, u32 label) {
	if (c->failed)
		return;
	ASSERT(label < c->labels.n && c->labels.at[label].pos == NO_LABEL);
	c->labels.at[label] = here(c);
}

void code_fix(struct code *c, enum fixup_kind kind, u8 arg, u32 target) {
	struct fixup *f = vec_push(&c->fixups);
	if (!f) {
		c->failed = true;
		return;
	}
	*f = (struct fixup){.pos = c->n, .target = target, .kind = kind, .arg = arg};
}

void code_reloc(struct code *c, const u8 *end, u16 kind, u16 index, u64 addend) {
	struct reloc_at *r = vec_push(&c->relocs);
	if (!r) {
		c->failed = true;
		return;
	}
	ASSERT(end >= c->at + 8);
	*r = (struct reloc_at){{(u32)(end - 8 - c->at), c->fixups.n}, kind, index, addend};
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

void code_line_new(struct code *c, u32 insn) {
	if (c->lines.n) {
		struct line_place *last = &c->lines.at[c->lines.n - 1];
		if (last->place.pos == c->n && last->place.fixups == c->fixups.n) {
			last->insn = insn;
			return;
		}
	}
	struct line_place *l = vec_push(&c->lines);
	if (!l) {
		c->failed = true;
		return;
	}
	*l = (struct line_place){here(c), insn};
}

struct assembly {
	struct code *c;
	const struct code_machine *m;
	u32 *shift;       /* [fixups.n + 1] */
	u64 literals_off; /* where the literal words start */
};

static u64 final_of(const struct assembly *a, struct place p) {
	ASSERT(p.fixups <= a->c->fixups.n);
	return (u64)p.pos + a->shift[p.fixups];
}

/* Distance from the end of fixup i to its target. */
static s64 distance(const struct assembly *a, u32 i) {
	const struct fixup *f = &a->c->fixups.at[i];
	u64 end = (u64)f->pos + a->shift[i] + f->size, to;
	if (f->kind == FIX_CALL_FAR) {
		to = a->literals_off + 8 * (u64)f->target;
	} else {
		ASSERT(f->target < a->c->labels.n && a->c->labels.at[f->target].pos != NO_LABEL);
		to = final_of(a, a->c->labels.at[f->target]);
	}
	return (s64)(to - end);
}

/* Prefix sums of the sizes. False: over 2 GiB. */
static bool sum_sizes(struct assembly *a) {
	u64 sum = 0;
	for (u32 i = 0; i < a->c->fixups.n; i++) {
		a->shift[i] = (u32)sum;
		sum += a->c->fixups.at[i].size;
	}
	a->shift[a->c->fixups.n] = (u32)sum;
	return sum + a->c->n < INT32_MAX;
}

static bool choose_sizes(struct assembly *a) {
	struct code *c = a->c;
	for (u32 i = 0; i < c->fixups.n; i++) {
		struct fixup *f = &c->fixups.at[i];
		f->size = f->kind == FIX_ALIGN ? f->arg - 1 : a->m->long_size[f->kind];
		ASSERT(f->size <= FIX_MAX_SIZE * 4);
	}
	if (!sum_sizes(a))
		return false;
	for (u32 round = 0, changed = 1; changed && round < 4; round++) {
		changed = 0;
		for (u32 i = 0; i < c->fixups.n; i++) {
			struct fixup *f = &c->fixups.at[i];
			u8 small = f->kind == FIX_ALIGN ? 0 : a->m->short_size[f->kind];
			if (!small || f->size == small)
				continue;
			s64 d = distance(a, i);
			/* a short form that ends earlier lengthens a backward distance measured from its end: never more
			 * than the difference of the sizes, and never for a forward one */
			if (d >= a->m->short_min && d <= a->m->short_max)
				f->size = small, changed = 1;
		}
		if (changed)
			sum_sizes(a);
	}
	u64 sum = 0; /* now the alignments, exactly */
	for (u32 i = 0; i < c->fixups.n; i++) {
		struct fixup *f = &c->fixups.at[i];
		if (f->kind == FIX_ALIGN)
			f->size = (u8)(round_up(f->pos + sum, f->arg) - (f->pos + sum));
		a->shift[i] = (u32)sum;
		sum += f->size;
	}
	a->shift[c->fixups.n] = (u32)sum;
	a->literals_off = round_up(c->n + sum, 8);
	return a->literals_off + 8 * (u64)c->literals.n < INT32_MAX;
}

static void write_code(const struct assembly *a, u8 *to) {
	const struct code *c = a->c;
	u32 from = 0;
	for (u32 i = 0; i < c->fixups.n; i++) {
		const struct fixup *f = &c->fixups.at[i];
		ASSERT(f->pos >= from);
		memcpy(to + from + a->shift[i], c->at + from, f->pos - from);
		from = f->pos;
		s64 d = f->kind == FIX_ALIGN ? 0 : distance(a, i);
		ASSERT(f->kind == FIX_ALIGN || f->size != a->m->short_size[f->kind] ||
		       (d >= a->m->short_min && d <= a->m->short_max) || f->size == a->m->long_size[f->kind]);
		a->m->write(to + f->pos + a->shift[i], f, d);
	}
	memcpy(to + from + a->shift[c->fixups.n], c->at + from, c->n - from);
	u64 end = (u64)c->n + a->shift[c->fixups.n];
	memset(to + end, 0xcc, a->literals_off - end);
	memset(to + a->literals_off, 0, 8 * (u64)c->literals.n);
}

static int write_tables(const struct assembly *a, struct image *image) {
	const struct code *c = a->c;
	image->relocs_n = c->relocs.n + c->literals.n;
	image->relocs = malloc(MAX(image->relocs_n, 1u) * sizeof *image->relocs);
	image->lines_n = c->lines.n;
	image->lines = malloc(MAX(image->lines_n, 1u) * sizeof *image->lines);
	if (!image->relocs || !image->lines)
		return -ENOMEM;
	for (u32 i = 0; i < c->relocs.n; i++) {
		const struct reloc_at *r = &c->relocs.at[i];
		image->relocs[i] = (struct reloc){(u32)final_of(a, r->place), r->kind, r->index, r->addend};
	}
	for (u32 i = 0; i < c->literals.n; i++)
		image->relocs[c->relocs.n + i] = (struct reloc){(u32)a->literals_off + 8 * i, c->literals.at[i].kind,
		                                                c->literals.at[i].index, 0};
	for (u32 i = 0; i < c->lines.n; i++)
		image->lines[i] = (struct line_at){(u32)final_of(a, c->lines.at[i].place), c->lines.at[i].insn};
	return 0;
}

int code_assemble(struct code *c, const struct code_machine *m, struct image *image, u32 *label_off, u32 n) {
	struct assembly a = {c, m, NULL, 0};
	ASSERT(n <= c->labels.n || c->failed);
	if (c->failed)
		return -ENOMEM;
	a.shift = malloc(((u64)c->fixups.n + 1) * sizeof *a.shift);
	if (!a.shift)
		return -ENOMEM;
	int r = choose_sizes(&a) ? 0 : -E2BIG;
	if (!r) {
		image->code_size = (u32)(a.literals_off + 8 * (u64)c->literals.n);
		image->code = malloc(image->code_size);
		r = image->code ? write_tables(&a, image) : -ENOMEM;
	}
	if (!r) {
		write_code(&a, image->code);
		for (u32 i = 0; i < n; i++)
			label_off[i] = (u32)final_of(&a, c->labels.at[i]);
	}
	free(a.shift);
	return r;
}
