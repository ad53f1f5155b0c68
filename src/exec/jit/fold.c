#include "exec/jit/build.h"

void fold_emit(struct jit *j, struct jop *op) {
	if (j->n > WINDOW)
		build_flush(j);
	j->ops[j->n++] = *op;
}

void build_flush(struct jit *j) {
	for (u32 i = 1; i < j->n; i++) {
		if (j->ops[i].code == J_NOP)
			continue;
		code_line(&j->code, j->ops[i].insn);
		j->m->lower(j, &j->ops[i]);
	}
	j->n = 1;
}
