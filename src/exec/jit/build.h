/* Bytecode to machine operations, and the rules that make them fewer. */
#ifndef SKEP_JIT_BUILD_H
#define SKEP_JIT_BUILD_H
#include "exec/jit/jit.h"

enum { PINNED = 1 << 15 }; /* bit of uses: somebody outside the window reads it. A window has fewer uses than that */

/* A new operation at instruction i, in the place behind the window where it is committed: registers JREG_NONE. */
static inline struct jop *jop_new(struct jit *j, u8 code, u32 i) {
	struct jop *op = &j->ops[j->n];
	ASSERT_DEBUG(j->n <= WINDOW);
	*op = (struct jop){.code = code, .insn = i, .d = JREG_NONE, .a = JREG_NONE, .b = JREG_NONE, .x = JREG_NONE,
	                   .live = live_after(j, i), .wide = true};
	return op;
}

/* ---- window.c ---- */

/* The definition of r that holds now; the entry op when it is older than the window. */
static inline struct jop *def_of(struct jit *j, u8 r) {
	ASSERT_DEBUG(r < JREGS);
	return &j->ops[j->def[r]];
}
/* Does register r still hold the value of definition v? */
static inline bool holds(const struct jit *j, u8 r, u16 v) {
	return j->def[r] == v;
}
/* Nobody reads r after op (or op overwrites it). */
static inline bool dead_after(const struct jop *op, u8 r) {
	return op->d == r || !(op->live >> r & 1);
}
/* r is defined in the window, nobody has used it yet, and op is its last reader: op can take the definition over. */
static inline bool only_reader(const struct jit *j, const struct jop *op, u8 r) {
	return j->def[r] && !j->ops[j->def[r]].uses && dead_after(op, r);
}
/* Appends; counts uses; removes the definition that it makes superfluous. */
void window_commit(struct jit *j, struct jop *op);
/* Takes out a definition that has no use. */
void window_remove(struct jit *j, u16 v);
/* Makes r hold definition v again by dropping the one that replaced it. */
void window_bring_back(struct jit *j, u8 r, u16 v);
/* mov is d = a and the last reader of a: the operation that defines a can write d itself. True: done, no move needed. */
bool window_retarget(struct jit *j, const struct jop *mov);
/* The jump that is the last operation goes to block `target` if its condition does not hold. */
void window_invert(struct jit *j, u32 target);

/* ---- fold.c ---- */

/* Simplifies the operation with what the window knows, then appends it (or not). */
void fold_emit(struct jit *j, struct jop *op);
/* Register that holds the same value as r (its low half at least, when not wide). */
u8 fold_copy(struct jit *j, u8 r, bool wide);
/* The value of r when it is a constant. */
bool fold_const(struct jit *j, u8 r, u64 *value);

/* ---- fold_mem.c ---- */

void fold_address(struct jit *j, struct jop *op);
void fold_load(struct jit *j, struct jop *op);
void fold_store(struct jit *j, struct jop *op);
/* Makes the load that defines r the memory operand of op. False: cannot be. */
bool fold_memory_operand(struct jit *j, struct jop *op, u8 r, u8 size);
void fold_compare(struct jit *j, struct jop *op);
#endif
