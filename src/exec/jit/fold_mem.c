/* Rules about memory: addressing modes, memory operands, compares, read-modify-write.
 *
 * An address is [b + x << scale + disp]. The definition of b is folded in while its own operands still hold: additions of
 * constants and of registers, and shifts by 1 to 3 of what becomes the index. Nothing is removed by that; the sums fall
 * away when nobody else reads them.
 *
 * A load may move down into the operation that uses it when it is the only reader, the address registers still hold, and
 * nothing in between may have written memory. */
#include "exec/jit/build.h"
#include "isa/sem.h"
#include <string.h>

static bool sum_fits(s32 a, s64 b, s32 *out) {
	s64 sum = a + b;
	*out = (s32)sum;
	return fits_s32(sum);
}

/* One step: replaces b by what defines it. */
static bool fold_base(struct jit *j, struct jop *op) {
	const struct jop *def = def_of(j, op->b);
	s32 disp;
	if (op->b == JREG_FP)
		return false;
	if (def->code == J_MOV && def->wide && holds(j, def->a, def->va)) {
		op->b = def->a;
		return true;
	}
	if (def->code == J_ADD && def->wide && def->flags & JF_IMM && !(def->flags & JF_MEM)) {
		if (!fits_s32((s64)def->imm) || !holds(j, def->a, def->va) || !sum_fits(op->disp, (s64)def->imm, &disp))
			return false;
		op->b = def->a, op->disp = disp;
		return true;
	}
	if (def->code == J_ADD && def->wide && !(def->flags & (JF_IMM | JF_MEM)) && op->x == JREG_NONE) {
		if (!holds(j, def->a, def->va) || !holds(j, def->b, def->vb) || def->a == JREG_FP || def->b == JREG_FP)
			return false;
		op->b = def->a, op->x = def->b, op->scale = 0;
		return true;
	}
	if (def->code != J_LEA || !holds(j, def->b, def->vb) || !sum_fits(op->disp, def->disp, &disp))
		return false;
	if (def->x != JREG_NONE && (op->x != JREG_NONE || !holds(j, def->x, def->vx)))
		return false;
	op->b = def->b, op->disp = disp;
	if (def->x != JREG_NONE)
		op->x = def->x, op->scale = def->scale;
	return true;
}

/* The index: a copy, or a shift that the scale can do. */
static void fold_index(struct jit *j, struct jop *op) {
	op->x = fold_copy(j, op->x, true);
	const struct jop *def = def_of(j, op->x);
	if (def->code == J_LSH && def->wide && def->flags & JF_IMM && (def->imm & 63) + op->scale <= 3 &&
	    holds(j, def->a, def->va) && def->a != JREG_FP)
		op->scale = (u8)(op->scale + (def->imm & 63)), op->x = def->a;
}

void fold_address(struct jit *j, struct jop *op) {
	for (u32 steps = 0; steps < 4 && fold_base(j, op); steps++)
		;
	if (op->x == JREG_NONE)
		return;
	if (op->scale == 0) { /* either of the two may be the shifted one */
		u8 b = op->b;
		const struct jop *def = def_of(j, b);
		if (b != JREG_FP && def->code == J_LSH && def->wide)
			op->b = op->x, op->x = b;
	}
	fold_index(j, op);
	ASSERT(op->x != JREG_FP && op->scale <= 3);
}

void fold_load(struct jit *j, struct jop *op) {
	fold_address(j, op);
}

bool fold_memory_operand(struct jit *j, struct jop *op, u8 r, u8 size) {
	const struct jop *load = def_of(j, r);
	if (load->code != J_LOAD || load->size != size || !only_reader(j, op, r) || j->def[r] < j->memory)
		return false;
	u16 v = j->def[r];
	bool in_place = load->b == r && load->prev == load->vb && op->d != r;
	if (!(in_place || holds(j, load->b, load->vb)) || (load->x != JREG_NONE && !holds(j, load->x, load->vx)))
		return false;
	if (op->a == r)
		return false;
	op->flags |= JF_MEM, op->b = load->b, op->x = load->x, op->scale = load->scale, op->disp = load->disp;
	op->size = size;
	ASSERT(op->b < JREGS && (op->x == JREG_NONE || op->x < JREGS));
	if (in_place)
		window_bring_back(j, r, load->prev);
	else
		window_remove(j, v);
	return true;
}

/* ---- stores ---- */

static bool same_address(const struct jit *j, const struct jop *load, const struct jop *op) {
	return load->b == op->b && load->x == op->x && load->disp == op->disp && holds(j, op->b, load->vb) &&
	       (load->x == JREG_NONE || (load->scale == op->scale && holds(j, op->x, load->vx)));
}

/* r = [m]; r op= a; [m] = r, with r dead: one read-modify-write */
static bool fold_rmw(struct jit *j, struct jop *op) {
	u16 v = j->def[op->a];
	const struct jop *def = &j->ops[v];
	bool alu = def->code == J_ADD || def->code == J_SUB || def->code == J_AND || def->code == J_OR || def->code == J_XOR;
	if (!alu || (op->size == 8 && !def->wide) || !only_reader(j, op, op->a) || op->b == op->a || op->x == op->a)
		return false;
	struct jop rmw = *op;
	rmw.code = J_RMW, rmw.pred = def->code, rmw.flags = def->flags & JF_IMM, rmw.imm = def->imm;
	if (def->flags & JF_MEM) { /* the load has become the operation's operand: [m] + a */
		if (def->code == J_SUB || def->size != op->size || !same_address(j, def, op) || v < j->memory ||
		    !holds(j, def->a, def->va) || def->flags & JF_IMM)
			return false;
		rmw.a = def->a;
	} else {
		u16 lv = def->va;
		const struct jop *load = &j->ops[lv];
		if (load->code != J_LOAD || load->size != op->size || lv < j->memory || load->uses != 1 ||
		    (load->d != op->a && !dead_after(op, load->d)) || !same_address(j, load, op))
			return false;
		if (!(def->flags & JF_IMM) && !holds(j, def->b, def->vb))
			return false;
		if (load->d != op->a && !holds(j, load->d, lv))
			return false;
		if (def->flags & JF_IMM && !fits_s32(op->size == 8 ? (s64)def->imm : (s32)def->imm))
			return false;
		rmw.a = def->flags & JF_IMM ? (u8)JREG_NONE : def->b;
	}
	if (rmw.flags & JF_IMM && op->size < 4 && rmw.pred == J_SUB)
		return false;
	ASSERT(op->size == 8 || op->size == 4 || op->size == 2 || op->size == 1);
	window_remove(j, v);
	*op = rmw;
	return true;
}

void fold_store(struct jit *j, struct jop *op) {
	u64 value;
	fold_address(j, op);
	if (op->flags & JF_IMM)
		return;
	op->a = fold_copy(j, op->a, op->size == 8);
	if (fold_const(j, op->a, &value) && (op->size < 8 || fits_s32((s64)value))) {
		op->flags |= JF_IMM, op->imm = value, op->a = JREG_NONE;
		return;
	}
	fold_rmw(j, op);
}

/* ---- compares: of jumps and selects ---- */

static bool decide(const struct jop *op, u64 a, u64 b) {
	static const u8 rows[][2] = {
		[P_EQ] = {OP_JEQ32, OP_JEQ64}, [P_NE] = {OP_JNE32, OP_JNE64}, [P_GT] = {OP_JGT32, OP_JGT64},
		[P_GE] = {OP_JGE32, OP_JGE64}, [P_LT] = {OP_JLT32, OP_JLT64}, [P_LE] = {OP_JLE32, OP_JLE64},
		[P_SGT] = {OP_JSGT32, OP_JSGT64}, [P_SGE] = {OP_JSGE32, OP_JSGE64}, [P_SLT] = {OP_JSLT32, OP_JSLT64},
		[P_SLE] = {OP_JSLE32, OP_JSLE64}, [P_SET] = {OP_JSET32, OP_JSET64}, [P_CLEAR] = {OP_JSET32, OP_JSET64}};
	return sem_jump(rows[op->pred][op->wide], a, b) != (op->pred == P_CLEAR);
}

/* if (a & b) == 0, a dead otherwise: a test */
static void fold_test(struct jit *j, struct jop *op) {
	const struct jop *and = def_of(j, op->a);
	bool zero = op->flags & JF_IMM && !op->imm && (op->pred == P_EQ || op->pred == P_NE);
	if (op->code == J_SELECT && (op->a == op->d || op->a == op->x))
		return; /* the select reads it again */
	if (!zero || and->code != J_AND || and->flags & JF_MEM || !only_reader(j, op, op->a) || (op->wide && !and->wide))
		return;
	if (!holds(j, and->a, and->va) || (!(and->flags & JF_IMM) && !holds(j, and->b, and->vb)))
		return;
	u16 v = j->def[op->a];
	op->pred = op->pred == P_EQ ? P_CLEAR : P_SET;
	op->flags = (u8)((op->flags & ~JF_IMM) | (and->flags & JF_IMM));
	op->imm = op->wide ? and->imm : (u32)and->imm;
	op->a = and->a, op->b = and->flags & JF_IMM ? (u8)JREG_NONE : and->b;
	window_remove(j, v);
}

static u8 unsigned_pred(u8 pred) {
	static const u8 map[] = {P_EQ, P_NE, P_GT, P_GE, P_LT, P_LE, P_GT, P_GE, P_LT, P_LE, P_SET, P_CLEAR};
	return map[pred];
}

/* Compares memory with a constant, in the size of the load: the value is zero-extended, so the compare is unsigned. */
static void fold_compare_memory(struct jit *j, struct jop *op) {
	const struct jop *load = def_of(j, op->a);
	u8 full = op->wide ? 8 : 4, size = load->size;
	if (load->code != J_LOAD || op->b == op->a)
		return;
	if (!(op->flags & JF_IMM)) {
		if (size == full && op->pred != P_SET && op->pred != P_CLEAR) {
			/* the machine compares a register with memory: the other way round */
			struct jop swapped = *op;
			swapped.pred = pred_swap(op->pred), swapped.a = op->b;
			if (fold_memory_operand(j, &swapped, op->a, size))
				*op = swapped;
		}
		return;
	}
	bool narrower = size < full;
	u64 max = size == 8 ? ~0ull : (1ull << 8 * size) - 1;
	if (size > full || size == 2 || (narrower && op->imm > max) || (narrower && size == 4 && op->imm > INT32_MAX))
		return;
	if (op->wide && !fits_s32((s64)op->imm))
		return;
	struct jop memory = *op;
	memory.a = JREG_NONE;
	if (narrower)
		memory.pred = unsigned_pred(op->pred);
	if (!fold_memory_operand(j, &memory, op->a, size))
		return;
	if (narrower)
		memory.wide = false;
	*op = memory;
}

/* Compares with NULL of what is no NULL. */
static bool never_null(const struct jop *def) {
	return def->code == J_ADDRESS || def->code == J_FUNC || (def->code == J_LEA && def->b == JREG_FP);
}

/* A jump may come out decided: code J_JMP, always, or J_NOP, never. */
void fold_compare(struct jit *j, struct jop *op) {
	u64 a, b;
	op->a = fold_copy(j, op->a, op->wide);
	if (!(op->flags & JF_IMM)) {
		op->b = fold_copy(j, op->b, op->wide);
		if (fold_const(j, op->a, &a) && op->pred < P_SET) {
			u8 swap = op->a;
			op->a = op->b, op->b = swap, op->pred = pred_swap(op->pred);
		}
		if (fold_const(j, op->b, &b) && (!op->wide || fits_s32((s64)b)))
			op->flags |= JF_IMM, op->imm = op->wide ? b : (u32)b, op->b = JREG_NONE;
	}
	if (op->flags & JF_IMM && fold_const(j, op->a, &a) && !(op->flags & JF_ABORT)) {
		bool taken = decide(op, a, op->imm);
		op->code = taken ? J_JMP : J_NOP, op->a = JREG_NONE, op->flags = 0;
		return;
	}
	bool null = op->flags & JF_IMM && !op->imm && op->wide && (op->pred == P_EQ || op->pred == P_NE);
	if (null && never_null(def_of(j, op->a)) && !(op->flags & JF_ABORT)) {
		op->code = op->pred == P_NE ? J_JMP : J_NOP, op->a = JREG_NONE, op->flags = 0;
		return;
	}
	fold_test(j, op);
	if (op->pred < P_SET && op->code == J_JCC)
		fold_compare_memory(j, op);
}
