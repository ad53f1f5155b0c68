/* Bytecode to machine operations, one block at a time.
 *
 *   instruction ──build_insn──► operation in the place behind the window ──fold_emit──► simplified, committed
 *
 * Nothing clever happens to single instructions: each becomes one operation (a metered call two), and fold.c does the
 * rest. Two things are done here because they need blocks: a branch around a move becomes a select, and the order in
 * which blocks are emitted is chosen, a block at a time, when the previous one is done (choose_next).
 *
 * Invariants. Blocks change only in ways that keep their meaning: an edge is dropped when its branch is decided, a
 * conditional jump is turned round together with its edges. live_now is what is live after the last instruction built;
 * whoever flushes the window passes it on. An instruction adds at most MAX_OPS operations, so a window that has room for
 * them before an instruction needs no look afterwards. */
#include "exec/jit/build.h"
#include "exec/exec.h"
#include <errno.h>

enum { MAX_OPS = 8 /* that one instruction becomes */ };

static const u8 alu_code[16] = {
	[BPF_ADD >> 4] = J_ADD, [BPF_SUB >> 4] = J_SUB, [BPF_MUL >> 4] = J_MUL, [BPF_DIV >> 4] = J_DIV,
	[BPF_OR >> 4] = J_OR, [BPF_AND >> 4] = J_AND, [BPF_LSH >> 4] = J_LSH, [BPF_RSH >> 4] = J_RSH,
	[BPF_MOD >> 4] = J_MOD, [BPF_XOR >> 4] = J_XOR, [BPF_ARSH >> 4] = J_ARSH,
};
static const u8 jump_pred[16] = {
	[BPF_JEQ >> 4] = P_EQ, [BPF_JGT >> 4] = P_GT, [BPF_JGE >> 4] = P_GE, [BPF_JSET >> 4] = P_SET,
	[BPF_JNE >> 4] = P_NE, [BPF_JSGT >> 4] = P_SGT, [BPF_JSGE >> 4] = P_SGE, [BPF_JLT >> 4] = P_LT,
	[BPF_JLE >> 4] = P_LE, [BPF_JSLT >> 4] = P_SLT, [BPF_JSLE >> 4] = P_SLE,
};

static void build_end(struct jit *j, const struct bpf_insn *insn, u32 i) {
	bool swap = BPF_CLASS(insn->code) == BPF_ALU64 || BPF_SRC(insn->code) == BPF_TO_BE;
	struct jop *op = jop_new(j, swap ? J_BSWAP : insn->imm == 16 ? J_MOVZX : J_MOV, i);
	op->d = op->a = insn->dst_reg;
	op->size = (u8)(insn->imm / 8);
	op->wide = insn->imm == 64;
	fold_emit(j, op);
}

static void build_mov(struct jit *j, const struct bpf_insn *insn, u32 i) {
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64, reg = BPF_SRC(insn->code) == BPF_X;
	struct jop *op = jop_new(j, !reg ? J_IMM : insn->off ? J_MOVSX : J_MOV, i);
	op->d = insn->dst_reg, op->wide = wide;
	if (insn->off == BPF_ADDR_SPACE_CAST && reg)
		j->error = -EOPNOTSUPP; /* no arenas in this engine */
	if (!reg)
		op->imm = wide ? (u64)(s64)insn->imm : (u32)insn->imm;
	else
		op->a = insn->src_reg, op->size = (u8)(insn->off / 8);
	fold_emit(j, op);
}

static void build_alu(struct jit *j, const struct bpf_insn *insn, u32 i) {
	u8 kind = BPF_OP(insn->code);
	if (kind == BPF_END) {
		build_end(j, insn, i);
		return;
	}
	if (kind == BPF_MOV) {
		build_mov(j, insn, i);
		return;
	}
	struct jop *op = jop_new(j, kind == BPF_NEG ? J_NEG : alu_code[kind >> 4], i);
	op->wide = BPF_CLASS(insn->code) == BPF_ALU64;
	op->d = op->a = insn->dst_reg;
	if (insn->off == 1 && kind != BPF_NEG)
		op->code = kind == BPF_DIV ? J_SDIV : J_SMOD;
	if (kind != BPF_NEG && BPF_SRC(insn->code) == BPF_X)
		op->b = insn->src_reg;
	else if (kind != BPF_NEG)
		op->flags = JF_IMM, op->imm = op->wide ? (u64)(s64)insn->imm : (u32)insn->imm;
	fold_emit(j, op);
}

static void build_ldimm64(struct jit *j, const struct bpf_insn *insn, u32 i) {
	struct jop *op = jop_new(j, J_IMM, i);
	op->d = insn->dst_reg;
	op->imm = (u64)(u32)insn[1].imm << 32 | (u32)insn->imm;
	switch (insn->src_reg) {
	case 0:
		break;
	case BPF_PSEUDO_MAP_FD:
	case BPF_PSEUDO_MAP_IDX:
		op->code = J_ADDRESS, op->scale = RELOC_MAP, op->disp = insn->imm, op->imm = 0;
		break;
	case BPF_PSEUDO_MAP_VALUE:
	case BPF_PSEUDO_MAP_IDX_VALUE:
		op->code = J_ADDRESS, op->scale = RELOC_MAP_VALUE, op->disp = insn->imm, op->imm = (u32)insn[1].imm;
		break;
	case BPF_PSEUDO_FUNC: {
		s32 sub = sub_at(j, (s64)i + 1 + insn->imm);
		if (sub < 0)
			j->error = -EINVAL;
		else
			op->code = J_FUNC, op->imm = (u32)sub;
		break;
	}
	default:
		j->error = -EOPNOTSUPP; /* kernel objects by BTF id have no address here */
	}
	if ((op->code == J_ADDRESS) && (u32)op->disp >= j->x->maps_n)
		j->error = -EINVAL;
	fold_emit(j, op);
}

static void build_load(struct jit *j, const struct bpf_insn *insn, u32 i) {
	bool sx = BPF_MODE(insn->code) == BPF_MEMSX;
	u8 slot = slot_of(j, insn), size = (u8)insn_size_bytes(insn->code);
	struct jop *op = jop_new(j, sx ? J_LOADSX : J_LOAD, i);
	op->d = insn->dst_reg, op->b = insn->src_reg, op->disp = insn->off, op->size = size;
	if (slot != JREG_NONE)
		op->code = sx ? J_MOVSX : J_MOV, op->a = slot, op->b = JREG_NONE, op->disp = 0, op->wide = sx || size == 8;
	else if (j->f.probes && j->x->facts[i].probe)
		op->code = J_PROBE, op->flags = sx ? JF_SIGNED : 0;
	fold_emit(j, op);
}

static void build_store(struct jit *j, const struct bpf_insn *insn, u32 i) {
	bool imm = BPF_CLASS(insn->code) == BPF_ST;
	u8 slot = slot_of(j, insn), size = (u8)insn_size_bytes(insn->code);
	struct jop *op = jop_new(j, J_STORE, i);
	op->b = insn->dst_reg, op->disp = insn->off, op->size = size;
	if (imm)
		op->flags = JF_IMM, op->imm = (u64)(s64)insn->imm;
	else
		op->a = insn->src_reg;
	if (slot != JREG_NONE) {
		op->code = imm ? J_IMM : J_MOV, op->d = slot, op->b = JREG_NONE, op->disp = 0, op->flags = 0;
		op->wide = size == 8;
		if (imm && size == 4)
			op->imm = (u32)op->imm;
	}
	fold_emit(j, op);
}

static void build_atomic(struct jit *j, const struct bpf_insn *insn, u32 i) {
	struct jop *op = jop_new(j, J_ATOMIC, i);
	op->size = (u8)insn_size_bytes(insn->code), op->wide = op->size == 8;
	op->b = insn->dst_reg, op->disp = insn->off, op->imm = (u32)insn->imm, op->a = insn->src_reg;
	if (insn->imm == BPF_LOAD_ACQ)
		op->code = J_LOAD, op->d = insn->dst_reg, op->b = insn->src_reg, op->a = JREG_NONE;
	else if (insn->imm == BPF_STORE_REL)
		op->code = J_STORE;
	else if (insn->imm == BPF_CMPXCHG)
		op->d = 0;
	else if (insn->imm & BPF_FETCH)
		op->d = insn->src_reg;
	/* load-acquire and store-release are plain moves on x86-64; a machine where they are not needs a flag here */
	fold_emit(j, op);
}

static void build_meter(struct jit *j, u32 i) {
	if (!(j->flags & IMAGE_METERED))
		return;
	struct jop *op = jop_new(j, J_METER, i);
	op->imm = meter_cost(j->x, i);
	fold_emit(j, op);
}

/* Speculation ends here. No rule may look across: the window is empty on both sides. */
static void build_barrier(struct jit *j, u32 i) {
	build_flush(j, j->live_now);
	fold_emit(j, jop_new(j, J_BARRIER, i));
	build_flush(j, j->live_now);
}

/* «if a pred b goto T; d = x; T:» is how clang writes d = a pred b ? d : x for BPF: a select. */
static bool build_select(struct jit *j, const struct bpf_insn *insn, struct jblock *b, u32 i, struct jop *op) {
	if (b->fall == NO_BLOCK || i + 2 >= j->f.end)
		return false;
	struct jblock *other = &j->f.blocks[b->fall];
	const struct bpf_insn *mov = insn + 1;
	bool reg = BPF_SRC(mov->code) == BPF_X, wide = BPF_CLASS(mov->code) == BPF_ALU64;
	if (other->start != i + 1 || other->end != i + 2 || other->preds != 1 || other->fall != b->taken)
		return false;
	if ((BPF_CLASS(mov->code) != BPF_ALU && !wide) || BPF_OP(mov->code) != BPF_MOV || mov->off || j->x->facts[i + 1].nospec)
		return false;
	if (reg ? mov->src_reg == JREG_FP || (!wide && !(def_of(j, mov->src_reg)->flags & JF_ZEXT)) : !wide && mov->imm < 0)
		return false;
	op->code = J_SELECT, op->pred = pred_invert(op->pred);
	op->d = mov->dst_reg, op->x = reg ? mov->src_reg : (u8)JREG_NONE, op->disp = mov->imm;
	op->live = j->f.blocks[b->taken].live_in;
	ASSERT(!other->done && j->f.blocks[b->taken].preds >= 2);
	other->done = true;
	b->fall = b->taken, b->taken = NO_BLOCK;
	j->f.blocks[b->fall].preds--;
	if (op->live >> op->d & 1)
		fold_emit(j, op);
	j->live_now = op->live;
	return true;
}

static void build_jump(struct jit *j, const struct bpf_insn *insn, struct jblock *b, u32 i) {
	bool metered = j->flags & IMAGE_METERED && j->x->facts[i].back_edge;
	if (insn_is_goto(insn)) {
		if (metered)
			build_meter(j, i);
		return; /* the end of the block says where it goes */
	}
	struct jop *op = jop_new(j, J_JCC, i);
	if (BPF_OP(insn->code) == BPF_JCOND) {
		op->code = J_MAY_GOTO;
	} else {
		op->pred = jump_pred[BPF_OP(insn->code) >> 4];
		op->wide = BPF_CLASS(insn->code) == BPF_JMP;
		op->a = insn->dst_reg;
		if (BPF_SRC(insn->code) == BPF_X)
			op->b = insn->src_reg;
		else
			op->flags = JF_IMM, op->imm = op->wide ? (u64)(s64)insn->imm : (u32)insn->imm;
	}
	op->target = b->taken;
	ASSERT(b->taken < j->f.blocks_n);
	if (!metered && op->code == J_JCC && build_select(j, insn, b, i, op))
		return;
	if (metered && op->code == J_JCC)
		op->flags |= JF_ABORT, op->meter = MIN(meter_cost(j->x, i), (u32)INT32_MAX);
	fold_emit(j, op);
	if (op->code == J_JMP || op->code == J_NOP) { /* decided: one way is never gone */
		u32 dead = op->code == J_JMP ? b->fall : b->taken;
		ASSERT(dead == NO_BLOCK || j->f.blocks[dead].preds);
		b->fall = op->code == J_JMP ? b->taken : b->fall, b->taken = NO_BLOCK;
		if (dead != NO_BLOCK)
			j->f.blocks[dead].preds--;
	}
}

static void build_call(struct jit *j, const struct bpf_insn *insn, u32 i) {
	if (insn->src_reg == 0) {
		build_helper(j, i);
	} else if (insn->src_reg == BPF_PSEUDO_CALL) {
		s32 sub = sub_at(j, (s64)i + 1 + insn->imm);
		if (sub < 0) {
			j->error = -EINVAL;
			return;
		}
		build_meter(j, i);
		struct jop *op = jop_new(j, J_LOCAL, i);
		op->d = 0, op->imm = (u32)sub;
		op->flags = j->may_abort[op->imm] ? JF_ABORT : 0;
		fold_emit(j, op);
	} else {
		j->error = -EOPNOTSUPP; /* kernel functions have no implementation here */
	}
}

static void build_insn(struct jit *j, struct jblock *b, u32 i) {
	const struct bpf_insn *insn = &j->x->insns[i];
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		build_alu(j, insn, i);
		break;
	case BPF_LDX:
		build_load(j, insn, i);
		break;
	case BPF_ST:
		build_store(j, insn, i);
		break;
	case BPF_STX:
		if (BPF_MODE(insn->code) == BPF_ATOMIC)
			build_atomic(j, insn, i);
		else
			build_store(j, insn, i);
		break;
	case BPF_LD:
		if (insn_is_ldimm64(insn))
			build_ldimm64(j, insn, i);
		else
			j->error = -EOPNOTSUPP; /* packet loads are rewritten before they come here */
		break;
	default:
		if (insn->code == (BPF_JMP | BPF_EXIT)) {
			struct jop *op = jop_new(j, J_EXIT, i);
			fold_emit(j, op);
		} else if (insn->code == (BPF_JMP | BPF_CALL)) {
			build_call(j, insn, i);
		} else if (BPF_OP(insn->code) == BPF_CALL || BPF_OP(insn->code) == BPF_EXIT) {
			j->error = -EOPNOTSUPP; /* callx */
		} else {
			build_jump(j, insn, b, i);
		}
	}
}

/* ---- order of the blocks ----
 *
 * Greedy traces: after a block comes, if it has not been emitted yet, the block it goes to, so that most jumps disappear;
 * of the two ways of a conditional jump that which goes backwards in the bytecode (a loop goes on more often than it
 * ends), else the one that falls through. Loops get their test at the bottom that way. */

static bool is_free(const struct jit *j, u32 block) {
	return block != NO_BLOCK && !j->f.blocks[block].done;
}

static u32 choose_next(struct jit *j, u32 block) {
	struct jfunc *f = &j->f;
	const struct jblock *b = &f->blocks[block];
	if (is_free(j, b->taken) && (b->taken <= block || !is_free(j, b->fall)))
		return b->taken;
	if (is_free(j, b->fall))
		return b->fall;
	while (f->scan_next < f->blocks_n && (f->blocks[f->scan_next].done || !f->blocks[f->scan_next].preds))
		f->scan_next++;
	return f->scan_next < f->blocks_n ? f->scan_next : NO_BLOCK;
}

/* The way from the end of a block: nothing, a jump, or the conditional jump turned round. */
static void build_exit(struct jit *j, struct jblock *b, u32 next) {
	if (b->fall == NO_BLOCK && b->taken == NO_BLOCK)
		return;
	if (b->fall == NO_BLOCK)
		b->fall = b->taken, b->taken = NO_BLOCK;
	if (b->fall == next)
		return;
	const struct jop *last = &j->ops[j->n - 1];
	bool turns = j->n > 1 && last->code == J_JCC && last->insn == block_last(j, b) && !(last->flags & JF_ABORT);
	if (turns) {
		window_invert(j, b->fall);
		u32 other = b->taken;
		b->taken = b->fall, b->fall = other;
	}
	if (b->fall != next) {
		struct jop *op = jop_new(j, J_JMP, block_last(j, b));
		op->target = b->fall, op->live = j->live_now;
		fold_emit(j, op);
	}
}

u32 build_block(struct jit *j, u32 block, bool follows) {
	struct jblock *b = &j->f.blocks[block];
	ASSERT(!b->done);
	b->done = true;
	if (!follows) {
		build_flush(j, j->live_now);
		if (b->loop_head)
			code_fix(&j->code, FIX_ALIGN, 16, 0);
		code_bind(&j->code, j->f.first_label + block);
	}
	scan_live(j, block);
	for (u32 i = b->start; i < b->end && !j->error; i++) {
		if (insn_is_second(&j->x->insns[i]))
			continue;
		if (unlikely(j->x->facts[i].nospec))
			build_barrier(j, i);
		if (j->n > WINDOW - MAX_OPS)
			build_flush(j, j->live_now);
		j->live_now = live_after(j, i);
		build_insn(j, b, i);
		if (unlikely(j->x->facts[i].nospec_result) && !j->error)
			build_barrier(j, i);
	}
	u32 next = choose_next(j, block);
	ASSERT(next == NO_BLOCK || (next < j->f.blocks_n && !j->f.blocks[next].done));
	build_exit(j, b, next);
	return next;
}
