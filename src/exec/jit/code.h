/* The code buffer of a compilation: bytes, and everything whose size or value is known only at the end.
 *
 *      at   ┌── bytes ──┐      ┌─ bytes ─┐  ┌──── bytes ────┐
 *           │           │      │         │  │               │          labels, relocations and lines name a place:
 *           └───────────┘ fix0 └─────────┘  └───────────────┘          (offset in at, fixups before it)
 *                              ^ jcc L1     ^ align 16
 *
 * A jump, a call, an address in the code and an alignment are fixups: they own no bytes of `at`. code_assemble chooses
 * their sizes (all jumps start long; a jump that reaches its label with one byte becomes short, which only brings
 * others nearer), then writes the final code in one linear copy. So the emitters never guess a branch size, forward
 * jumps cost nothing extra, and a million instructions are as easy as ten.
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

struct place {
	u32 pos, fixups;
};
struct fixup {
	u32 pos, target;
	u8 kind, arg, size;
};
struct reloc_at {
	struct place place;
	u16 kind, index;
	u64 addend;
};
struct line_place {
	struct place place;
	u32 insn;
};
struct literal {
	u16 kind, index;
};

/* What a machine says about its fixups. */
struct code_machine {
	u8 long_size[6];  /* by kind; FIX_ALIGN: unused */
	u8 short_size[6]; /* 0: there is no short form */
	s32 short_min, short_max; /* reach, from the end of the instruction */
	/* rel counts from the end of the instruction. Writes size bytes. */
	void (*write)(u8 *p, const struct fixup *f, s64 rel);
};

struct code {
	u8 *at;
	u32 n, room;
	bool failed;
	VEC(struct fixup) fixups;
	VEC(struct place) labels;
	VEC(struct reloc_at) relocs;
	VEC(struct line_place) lines;
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

bool code_init(struct code *c, u32 bytes);
void code_free(struct code *c);
/* Makes `count` labels, not yet bound; returns the first. */
u32 code_labels(struct code *c, u32 count);
void code_bind(struct code *c, u32 label);
void code_fix(struct code *c, enum fixup_kind kind, u8 arg, u32 target);
/* The 8 bytes that end at p (in the current insn) are a relocated field. */
void code_reloc(struct code *c, const u8 *end, u16 kind, u16 index, u64 addend);
/* Index of a literal: one 8-byte relocated word behind the code, shared by all who ask for the same. */
u32 code_literal(struct code *c, u16 kind, u16 index);
void code_line_new(struct code *c, u32 insn);
/* What is emitted from here on belongs to the instruction. */
static inline void code_line(struct code *c, u32 insn) {
	if (!c->lines.n || c->lines.at[c->lines.n - 1].insn != insn)
		code_line_new(c, insn);
}

/* Final code into image->code, relocs, lines. label_off receives the offsets of labels [0, n). 0, -ENOMEM, -E2BIG. */
int code_assemble(struct code *c, const struct code_machine *m, struct image *image, u32 *label_off, u32 n);
#endif
