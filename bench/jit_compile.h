/* Part of bench/jit.c: what compiling costs. */
#ifndef BENCH_JIT_COMPILE_H
#define BENCH_JIT_COMPILE_H
#include "exec/exec.h"

struct bytecode {
	const struct bpf_insn *insns;
	u32 n;
};
/* Prints the table. models: programs to make the large ones of. */
void bench_compile(const struct bytecode *models, u32 models_n, u32 rounds);
#endif
