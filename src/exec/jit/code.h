/* The code buffer of a compilation: bytes, and everything whose size or value is known only at the end.
 *
 *      ┌── bytes ──┬── fix0 ──┬─ bytes ─┬─ fix1 ─┬──── bytes ────┐        while emitting: each fixup has its longest form
 *      └───────────┴──────────┴─────────┴────────┴───────────────┘
 *                    ^ jcc L1             ^ align 16
 *      ┌── bytes ──┬f0┬─ bytes ─┬┬──── bytes ────┬─ literals ─┐           assembled, in the same memory
 *      └───────────┴──┴─────────┴┴───────────────┴────────────┘
 *
 * A jump, a call, an address in the code and an alignment are fixups: they own as many bytes as they can ever need.
 * code_assemble chooses their sizes (all jumps start long; a jump that reaches its label with one byte becomes short,
 * which only brings others nearer), then moves the code together in one linear pass. So the emitters never guess a
 * branch size, forward jumps cost nothing extra, and a million instructions are as easy as ten.
 *
 * Since fixups own bytes, a position says by itself which fixups lie before it. Relocations and lines are recorded in
 * the order of the code, in their final form but for the position, and are handed to the image: nothing is copied,
 * and memory is touched once. That matters: a fresh page costs as much as compiling twenty instructions.
 *
 * Failure of memory is sticky: `failed` is set, emitting goes on into a small pad, code_assemble reports it. */
#ifndef SKEP_JIT_CODE_H
#define SKEP_JIT_CODE_H
#include "abi/image.h"
#include "base/vec.h"

enum fixup_kind {
	FIX_JMP,     /* to label `target` */
	FIX_JCC,     /* to label `target` on condition `arg`, as the machine encodes conditions */
	FIX_CALL,    /* of label `target` */
	FIX_ADDRESS, /* register `arg` = address of label `target` */
	FIX_CALL_FAR, /* of the address in literal `target` */
	FIX_ALIGN,   /* to `arg` bytes, a power of two */
};
enum { CODE_ROOM = 160, NO_LABEL = 0xffffffff, FIX_MAX_SIZE = 16 };

struct label {
	u32 pos, fixups; /* fixups: how many are before it */
};
struct fixup {
	u32 pos, target;
	u32 saved; /* bytes that the fixups before this one do not need */
	u8 kind, arg;
	u8 size, room; /* as chosen; of its longest form */
};
struct literal {
	u16 kind, index;
};

/* Memory that a compilation takes in one piece. Its vectors start there; what outgrows it is malloc'ed. */
struct scratch {
	u8 *at, *next, *end;
};
bool scratch_init(struct scratch *s, u64 size);
/* Room for n elements of size bytes, or NULL. */
void *scratch_take(struct scratch *s, u64 n, u64 size);
/* As vec_grow and vec_free_memory, for vectors that may lie in the scratch. */
bool scratch_grow(const struct scratch *s, void **at, u32 *room, u32 n, u64 size);
void scratch_give(const struct scratch *s, void *at);

/* What a machine says about its fixups. */
struct code_machine {
	u8 long_size[6];  /* by kind; FIX_ALIGN: unused */
	u8 short_size[6]; /* 0: there is no short form */
	s32 short_min, short_max; /* reach, from the end of the instruction */
	/* rel counts from the end of the instruction. Writes size bytes. */
	void (*write)(u8 *p, const struct fixup *f, s64 rel);
};

struct code {
	const struct code_machine *m;
	u8 *at;
	u32 n, room;
	u32 line; /* the instruction that what is emitted belongs to */
	bool with_lines;
	bool failed;
	VEC(struct fixup) fixups;
	VEC(struct label) labels;
	struct scratch *scratch; /* where these two begin */
	VEC(struct reloc) relocs;  /* off: position until assembled */
	VEC(struct line_at) lines; /* code_off likewise */
	VEC(struct literal) literals;
};

/* Room for CODE_ROOM bytes; the caller writes and then sets n with code_end. */
static inline u8 *code_begin(struct code *c);
bool code_grow(struct code *c);
static inline u8 *code_begin(struct code *c) {
	if (unlikely(c->room - c->n < CODE_ROOM) && !code_grow(c))
		c->n = 0;
	return c->at + c->n;
}
static inline void code_end(struct code *c, const u8 *p) {
	c->n = (u32)(p - c->at);
	ASSERT(c->n <= c->room);
}

/* bytes, fixups: how many of them to expect; of labels about as many as of fixups. */
bool code_init(struct code *c, const struct code_machine *m, struct scratch *scratch, u32 bytes, u32 fixups);
void code_free(struct code *c);
/* Makes `count` labels, not yet bound; returns the first. */
u32 code_labels(struct code *c, u32 count);
void code_bind(struct code *c, u32 label);
void code_fix(struct code *c, enum fixup_kind kind, u8 arg, u32 target);
/* The 8 bytes that end at p (in the current insn) are a relocated field. */
void code_reloc(struct code *c, const u8 *end, u16 kind, u16 index, u64 addend);
/* Index of a literal: one 8-byte relocated word behind the code, shared by all who ask for the same. */
u32 code_literal(struct code *c, u16 kind, u16 index);
/* What is emitted from here on belongs to the instruction. */
static inline void code_line(struct code *c, u32 insn) {
	if (c->line == insn || !c->with_lines)
		return;
	c->line = insn;
	struct line_at *l = c->lines.n && c->lines.at[c->lines.n - 1].code_off == c->n ? &c->lines.at[c->lines.n - 1]
	                                                                               : vec_push(&c->lines);
	if (l)
		*l = (struct line_at){c->n, insn};
	c->failed |= !l;
}

/* Final code into image->code, relocs, lines. label_off receives the offsets of labels [0, n). 0, -ENOMEM, -E2BIG. */
int code_assemble(struct code *c, struct image *image, u32 *label_off, u32 n);
#endif
