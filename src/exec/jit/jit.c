/* Tier 1: the driver.
 *
 *   for each subprogram
 *       scan        blocks, edges, slots, liveness                                           scan.c
 *       begin       frame and prologue                                                       x64/target.c
 *       for each block, in layout order
 *           build   instructions become operations in the window, simplified on the way      build.c call.c fold.c
 *           flush   each operation that is left becomes machine code                         x64/lower.c
 *       end         cold paths                                                               x64/target.c
 *   callback entries
 *   assemble        sizes of jumps, final bytes, relocations, lines                          code.c
 *
 * One pass over the bytecode: no IR of the whole function, no allocation of registers, no iteration but liveness over the
 * blocks. The memory of a compilation is a few bytes for each instruction plus one window.
 *
 * Rules. Only the machine's files know machine registers. Only fold.c removes or changes operations. What an instruction
 * means is in isa/sem.h; test/unit/exec_*.c hold the two together. */
#include "exec/jit/build.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXTRA_LABELS = 2 }; /* of a function, after those of its blocks: exit with r0 = 0, out of budget */

static int by_start(const void *a, const void *b, void *x) {
	const struct xlated_subprog *subs = ((const struct xlated *)x)->subprogs;
	u32 first = subs[*(const u16 *)a].start, second = subs[*(const u16 *)b].start;
	return (first > second) - (first < second);
}
s32 sub_at(const struct jit *j, s64 t) {
	const struct xlated *x = j->x;
	u32 low = 0, high = x->subprogs_n;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (x->subprogs[j->subs[middle]].start < t)
			low = middle + 1;
		else
			high = middle;
	}
	return low < x->subprogs_n && x->subprogs[j->subs[low]].start == t ? j->subs[low] : -1;
}

static int jit_init(struct jit *j, const struct image *image, const struct jit_machine *m, u32 features) {
	const struct xlated *x = image->xlated;
	memset(j, 0, offsetof(struct jit, live));
	j->ops[0] = (struct jop){.uses = PINNED};
	j->x = x, j->m = m, j->flags = image->flags, j->features = features;
	j->n = 1;
	/* One instruction in five ends a block, one in four needs a fixup. What is not used is not touched. */
	u32 words = x->n / 64 + 1, blocks = x->n / 4 + 16, fixups = x->n / 3 + 32;
	u64 subs = MAX(x->subprogs_n, 1u);
	u64 size = words * sizeof *j->bits + blocks * sizeof *j->f.blocks + subs * sizeof *j->subs + subs +
	           fixups * (sizeof(struct fixup) + sizeof(struct label)) + 6 * 64;
	if (!scratch_init(&j->scratch, size))
		return -ENOMEM;
	j->bits = scratch_take(&j->scratch, words, sizeof *j->bits);
	j->subs = scratch_take(&j->scratch, subs, sizeof *j->subs);
	j->may_abort = scratch_take(&j->scratch, subs, 1);
	j->f.blocks = scratch_take(&j->scratch, blocks, sizeof *j->f.blocks);
	ASSERT(j->bits && j->subs && j->may_abort && j->f.blocks);
	j->f.blocks_room = blocks;
	memset(j->bits, 0, words * sizeof *j->bits);
	memset(j->may_abort, 0, subs);
	if (!code_init(&j->code, m->code, &j->scratch, (u32)MIN((u64)x->n * 6 + 1024, (u64)1 << 30), fixups))
		return -ENOMEM;
	j->code.with_lines = j->flags & IMAGE_LINES;
	for (u32 s = 0; s < x->subprogs_n; s++)
		j->subs[s] = (u16)s;
	if (x->subprogs_n > 1)
		qsort_r(j->subs, x->subprogs_n, sizeof *j->subs, by_start, (void *)x);
	return 0;
}

static void jit_free(struct jit *j) {
	if (j->f.blocks)
		scratch_give(&j->scratch, j->f.blocks);
	if (j->code.scratch)
		code_free(&j->code);
	free(j->scratch.at);
}

/* Which subprograms may come back with a status: they test it themselves, or call one that does. Calls go deeper by one
 * at a time and the depth is bounded (RUN_STACK_FRAMES_MAX), so that few rounds suffice; a round too few is found out. */
static void find_aborts(struct jit *j) {
	const struct xlated *x = j->x;
	bool changed = x->subprogs_n > 1; /* nobody calls the program itself */
	while (changed) {
		changed = false;
		for (u32 s = 0; s < x->subprogs_n; s++) {
			bool may = j->flags & IMAGE_METERED;
			for (u32 i = x->subprogs[s].start; i < x->subprogs[s].end && !may && !j->may_abort[s]; i++) {
				const struct bpf_insn *insn = &x->insns[i];
				s32 callee = insn_is_pseudo_call(insn) ? sub_at(j, (s64)i + 1 + insn->imm) : -1;
				may = x->facts[i].may_abort || x->facts[i].callback || (callee >= 0 && j->may_abort[callee]);
			}
			changed |= may && !j->may_abort[s];
			j->may_abort[s] |= may;
		}
	}
}

static int compile_function(struct jit *j, u32 subprog) {
	int r = scan_function(j, subprog);
	if (r)
		return r;
	struct jfunc *f = &j->f;
	f->first_label = code_labels(&j->code, f->blocks_n + EXTRA_LABELS);
	if (j->code.failed)
		return -ENOMEM;
	code_bind(&j->code, j->sub_labels + 2 * subprog);
	code_line(&j->code, f->start);
	j->m->begin(j);
	build_flush(j, 0); /* an empty window */
	for (u32 b = 0, before = NO_BLOCK, next; b != NO_BLOCK && !j->error; before = b, b = next) {
		bool follows = before != NO_BLOCK && f->blocks[b].preds == 1 && f->blocks[before].fall == b &&
		               f->blocks[before].taken != b;
		next = build_block(j, b, follows);
	}
	build_flush(j, j->live_now);
	for (u32 b = 0; b < f->blocks_n && !j->error; b++)
		ASSERT(f->blocks[b].done || !f->blocks[b].preds || b);
	j->m->end(j);
	return j->error;
}

int jit_compile(struct image *image, const struct jit_machine *m, u32 features) {
	struct jit *j = malloc(sizeof *j);
	u32 off[1] = {0};
	if (!j)
		return -ENOMEM;
	const struct xlated *x = image->xlated;
	int r = jit_init(j, image, m, features);
	for (u32 s = 0; s < x->subprogs_n && !r; s++)
		r = x->subprogs[s].start < x->n ? 0 : -EINVAL;
	if (!r) {
		find_aborts(j);
		j->sub_labels = code_labels(&j->code, 2 * x->subprogs_n);
	}
	for (u32 s = 0; s < x->subprogs_n && !r; s++)
		r = compile_function(j, s);
	for (u32 s = 0; s < x->subprogs_n && !r; s++)
		j->m->callback_entry(j, s);
	if (!r)
		r = code_assemble(&j->code, image, off, 1);
	if (!r) {
		ASSERT(j->sub_labels == 0);
		image->entry = image->tail_entry = off[0];
		ASSERT(image->entry < image->code_size);
	}
	jit_free(j);
	free(j);
	return r;
}
