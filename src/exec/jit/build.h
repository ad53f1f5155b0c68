/* Bytecode to machine operations, and the rules that make them fewer. */
#ifndef SKEP_JIT_BUILD_H
#define SKEP_JIT_BUILD_H
#include "exec/jit/jit.h"

/* A new operation at instruction i, not yet in the window: registers and index JREG_NONE. */
static inline struct jop jop_at(const struct jit *j, u8 code, u32 i) {
	return (struct jop){.code = code, .insn = i, .d = JREG_NONE, .a = JREG_NONE, .b = JREG_NONE, .x = JREG_NONE,
	                    .live = j->live[i], .wide = true};
}
/* fold.c: simplifies the operation with what the window knows, then appends it (or not). */
void fold_emit(struct jit *j, struct jop *op);
#endif
