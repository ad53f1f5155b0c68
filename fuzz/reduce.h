/* Makes a program smaller as long as it stays interesting. */
#ifndef SKEP_FUZZ_REDUCE_H
#define SKEP_FUZZ_REDUCE_H
#include "isa/insn.h"

typedef bool reduce_keeps_fn(void *owner, const struct bpf_insn *insns, u32 n);

/* Shrinks insns in place and returns how many are left. keeps must hold for the program given. */
u32 reduce_program(struct bpf_insn *insns, u32 n, reduce_keeps_fn *keeps, void *owner);
#endif
