/* What the two halves of the x86-64 backend share: target.c (registers, frames, calls) and lower.c (operations). */
#ifndef SKEP_X64_H
#define SKEP_X64_H
#include "exec/jit/jit.h"
#include "exec/x64/enc.h"

/* Features beyond the base architecture. */
enum { X64_BMI2 = 1 /* shlx, rorx, mulx */, X64_MOVBE = 2 };

/* Registers with a fixed use. Scratch registers live within one operation only. */
enum { X64_RUN = R12, X64_SCRATCH = R10, X64_SCRATCH2 = R11, X64_SCRATCH3 = R9 /* unless it is a slot's home */ };

/* Emits one instruction: E(mov_rr, true, RAX, RCX). Needs u8 *p. */
#define E(name, ...) (p = x64_##name(p, ##__VA_ARGS__))
/* Emits a fixup. Needs j and p. */
#define FIX(kind, arg, target)                                                                                         \
	(code_end(&j->code, p), code_fix(&j->code, kind, arg, target), p = code_begin(&j->code))
#define BIND(label) (code_end(&j->code, p), code_bind(&j->code, label), p = code_begin(&j->code))

/* Labels of a function after those of its blocks. */
static inline u32 x64_abort_label(struct jit *j) {
	j->aborts = true;
	return j->f.first_label + j->f.blocks_n;
}
static inline u32 x64_budget_label(struct jit *j) {
	j->exhausts = true;
	return j->f.first_label + j->f.blocks_n + 1;
}
/* A memory operand relative to the BPF frame pointer, which is not a register of its own. */
static inline struct x64_mem x64_frame(const struct jit *j, s32 off) {
	return X64_MEM(RSP, (s32)j->frame + off);
}
/* Is this machine register the home of a BPF register or slot in the set? */
static inline bool x64_home_in(const struct jit *j, u16 set, u8 host) {
	for (u32 r = 0; r < JREGS; r++)
		if (set & 1 << r && j->home[r] == host)
			return true;
	return false;
}

void x64_lower(struct jit *j, const struct jop *op);
/* target.c */
void x64_epilogue(struct jit *j);
void x64_leave_frame(struct jit *j);
void x64_lower_call(struct jit *j, const struct jop *op);
/* lower_div.c */
void x64_lower_div(struct jit *j, const struct jop *op);
/* lower_mem.c */
void x64_lower_atomic(struct jit *j, const struct jop *op);
void x64_lower_probe(struct jit *j, const struct jop *op);
struct x64_mem x64_mem_of(const struct jit *j, const struct jop *op);
#endif
