/* Rules that make operations fewer: each looks at an operation that is about to enter the window and at the definitions of
 * its operands, and rewrites the operation. What becomes superfluous is dropped by the window.
 *
 * A rule may
 *   - replace an operand by another register or a constant, when the window shows that it holds the same value now;
 *   - take over the work of an operand's definition (only_reader: else the work would be done twice), provided that the
 *     definition's own operands still hold what they held then (holds);
 *   - do without the operation when its register already holds the result (return false).
 * A rule never makes an operation read memory later than a write that may have changed it (fold_mem.c).
 *
 * clang's BPF is two-address code: r1 = r2; r1 >>= 7 and a register that is dead a moment later are the rule. So most of
 * the work is done by the copies and constants that every operand goes through; the rest are the idioms that BPF has no
 * instruction for: rotates, zero extension by shifts, selects, base + index addressing, memory operands, tests.
 *
 * Each rule is one function with its pattern above it. Evidence for what is here and what is not: docs/ARCHITECTURE.md and
 * `make bench-jit`. Proof: exec_fold.c has a case for each rule and its near misses; `make fuzz-exec` has the rest. */
#include "exec/jit/build.h"
#include "isa/sem.h"

u8 fold_copy(struct jit *j, u8 r, bool wide) {
	const struct jop *def = def_of(j, r);
	if (def->code != J_MOV || !holds(j, def->a, def->va) || !(def->wide || !wide))
		return r;
	return def->a;
}

bool fold_const(struct jit *j, u8 r, u64 *value) {
	const struct jop *def = def_of(j, r);
	*value = def->imm;
	return def->code == J_IMM;
}

static bool commutes(u8 code) {
	return code == J_ADD || code == J_MUL || code == J_OR || code == J_AND || code == J_XOR;
}

static void to_imm(struct jop *op, u64 value) {
	op->code = J_IMM, op->flags = 0, op->imm = op->wide ? value : (u32)value;
	op->a = op->b = op->x = JREG_NONE;
}
static void to_mov(struct jop *op, u8 from, bool wide) {
	op->code = J_MOV, op->flags = 0, op->a = from, op->b = op->x = JREG_NONE, op->wide = wide;
}

/* ---- moves ---- */

/* d = imm, when d is imm */
static bool fold_imm(struct jit *j, struct jop *op) {
	u64 value;
	return !(fold_const(j, op->d, &value) && value == op->imm);
}

/* d = a */
static bool fold_mov(struct jit *j, struct jop *op) {
	u64 value;
	op->a = fold_copy(j, op->a, op->wide);
	if (op->a == JREG_FP) {
		op->code = J_LEA, op->a = JREG_NONE, op->b = JREG_FP, op->disp = 0;
		return true;
	}
	if (fold_const(j, op->a, &value)) {
		to_imm(op, value);
		return fold_imm(j, op);
	}
	if (!op->wide && def_of(j, op->a)->flags & JF_ZEXT)
		op->wide = true;
	if (op->wide && op->a == op->d)
		return false;
	if (window_retarget(j, op))
		return false;
	const struct jop *old = def_of(j, op->d);
	if (old->code == J_MOV && old->wide == op->wide && old->a == op->a && holds(j, op->a, old->va))
		return false;
	return true;
}

/* ---- shifts ---- */

/* Where the operand of the shift that defines r can be read by op: its register, or JREG_NONE. A shift in place has
 * overwritten it, but dropping the shift brings it back (bring_back), if nobody else wants the result. */
static u8 source_of(const struct jit *j, const struct jop *op, u8 r) {
	u16 v = j->def[r];
	const struct jop *def = &j->ops[v];
	if (holds(j, def->a, def->va))
		return def->a;
	if (def->a == r && def->prev == def->va && only_reader(j, op, r))
		return r;
	return JREG_NONE;
}

static bool is_shift(const struct jop *def, u8 code, bool wide) {
	return def->code == code && def->wide == wide && def->flags & JF_IMM;
}

/* a << k | a >> (width - k), also with + or ^: a rotate. One of the shifts may have been done in place. */
static bool fold_rotate(struct jit *j, struct jop *op) {
	if (op->flags & (JF_IMM | JF_MEM) || op->a == op->b)
		return false;
	ASSERT(op->a < JREGS && op->b < JREGS);
	for (u32 swap = 0; swap < 2; swap++) {
		u8 left = swap ? op->b : op->a, right = swap ? op->a : op->b;
		const struct jop *l = def_of(j, left), *r = def_of(j, right);
		bool wide = l->wide;
		if (!is_shift(l, J_LSH, wide) || !is_shift(r, J_RSH, wide) || (wide && !op->wide))
			continue;
		u32 bits = wide ? 64 : 32, k = l->imm & (bits - 1);
		if (!k || k + (r->imm & (bits - 1)) != bits || l->a != r->a || l->va != r->va)
			continue;
		u8 from = source_of(j, op, left);
		if (from == JREG_NONE)
			from = source_of(j, op, right);
		if (from == JREG_NONE)
			continue;
		window_bring_back(j, from, l->va);
		op->code = J_ROL, op->a = from, op->b = JREG_NONE, op->flags = JF_IMM, op->imm = k, op->wide = wide;
		return true;
	}
	return false;
}

/* a << k >> k: the low bits, zero- or sign-extended */
static void fold_extension(struct jit *j, struct jop *op) {
	const struct jop *l = def_of(j, op->a);
	if (!op->wide || !is_shift(l, J_LSH, true) || (l->imm & 63) != (op->imm & 63) || !only_reader(j, op, op->a))
		return;
	u32 k = op->imm & 63;
	if (k != 32 && k != 48 && k != 56)
		return;
	u8 from = source_of(j, op, op->a);
	if (from == JREG_NONE)
		return;
	window_bring_back(j, from, l->va);
	if (op->code == J_ARSH) {
		op->code = J_MOVSX, op->size = (u8)(8 - k / 8), op->flags = 0, op->a = from;
	} else if (k == 32) {
		to_mov(op, from, false);
	} else {
		op->code = J_AND, op->a = from, op->imm = k == 48 ? 0xffff : 0xff;
	}
}

static bool fold_shift(struct jit *j, struct jop *op) {
	u64 value;
	op->a = fold_copy(j, op->a, op->wide);
	if (!(op->flags & JF_IMM)) {
		op->b = fold_copy(j, op->b, false);
		if (fold_const(j, op->b, &value))
			op->flags |= JF_IMM, op->imm = value, op->b = JREG_NONE;
	}
	if (!(op->flags & JF_IMM))
		return true;
	op->imm &= op->wide ? 63 : 31;
	if (fold_const(j, op->a, &value)) {
		to_imm(op, op->code == J_LSH ? (op->wide ? sem_LSH64(value, op->imm) : sem_LSH32(value, op->imm))
		           : op->code == J_RSH ? (op->wide ? sem_RSH64(value, op->imm) : sem_RSH32(value, op->imm))
		                               : (op->wide ? sem_ARSH64(value, op->imm) : sem_ARSH32(value, op->imm)));
		return fold_imm(j, op);
	}
	if (!op->imm) {
		to_mov(op, op->a, op->wide);
		return fold_mov(j, op);
	}
	if (op->code != J_LSH)
		fold_extension(j, op);
	return op->code == J_MOV ? fold_mov(j, op) : true;
}

/* ---- arithmetic ---- */

static u64 evaluate(const struct jop *op, u64 a, u64 b) {
	switch (op->code) {
	case J_ADD:
		return op->wide ? sem_ADD64(a, b) : sem_ADD32(a, b);
	case J_SUB:
		return op->wide ? sem_SUB64(a, b) : sem_SUB32(a, b);
	case J_MUL:
		return op->wide ? sem_MUL64(a, b) : sem_MUL32(a, b);
	case J_OR:
		return op->wide ? sem_OR64(a, b) : sem_OR32(a, b);
	case J_AND:
		return op->wide ? sem_AND64(a, b) : sem_AND32(a, b);
	default:
		ASSERT(op->code == J_XOR);
		return op->wide ? sem_XOR64(a, b) : sem_XOR32(a, b);
	}
}

/* a + 0, a | 0, a ^ 0; a & 0xffffffff. False: op became a move. */
static bool identity(struct jop *op) {
	s64 imm = op->wide ? (s64)op->imm : (s32)op->imm;
	if (!imm && (op->code == J_ADD || op->code == J_OR || op->code == J_XOR)) {
		to_mov(op, op->a, op->wide);
		return false;
	}
	if (op->code == J_AND && op->wide && op->imm == 0xffffffff) {
		to_mov(op, op->a, false);
		return false;
	}
	return true;
}

/* d = a + imm where a = b + …: one address. d = a + b where b = c << 1, 2, 3. Only when the inner one is not needed. */
static void fold_lea(struct jit *j, struct jop *op) {
	if (!op->wide || op->code != J_ADD || op->flags & JF_MEM)
		return;
	if (op->flags & JF_IMM) {
		if (!fits_s32((s64)op->imm))
			return;
		const struct jop *def = def_of(j, op->a);
		bool sum = (def->code == J_LEA || (def->code == J_ADD && def->wide && !(def->flags & JF_MEM)));
		if (op->a != JREG_FP && !(sum && only_reader(j, op, op->a)))
			return;
		struct jop lea = *op;
		lea.code = J_LEA, lea.flags = 0, lea.a = JREG_NONE, lea.b = op->a, lea.disp = (s32)op->imm;
		fold_address(j, &lea);
		if (lea.x == JREG_NONE && lea.b != JREG_FP)
			op->a = lea.b, op->imm = (u64)(s64)lea.disp;
		else
			*op = lea;
		return;
	}
	for (u32 swap = 0; swap < 2; swap++) {
		u8 index = swap ? op->a : op->b, base = swap ? op->b : op->a;
		const struct jop *def = def_of(j, index);
		if (!is_shift(def, J_LSH, true) || (def->imm & 63) > 3 || !only_reader(j, op, index) || base == index ||
		    base == JREG_FP || def->a == JREG_FP)
			continue;
		u8 from = source_of(j, op, index), scale = def->imm & 63;
		if (from == JREG_NONE)
			continue;
		if (from == index)
			window_bring_back(j, index, def->va);
		op->code = J_LEA, op->b = base, op->x = from, op->scale = scale, op->a = JREG_NONE, op->disp = 0;
		return;
	}
}

static bool fold_binary(struct jit *j, struct jop *op) {
	u64 a, b;
	op->a = fold_copy(j, op->a, op->wide);
	if (!(op->flags & JF_IMM)) {
		op->b = fold_copy(j, op->b, op->wide);
		if (commutes(op->code) && (fold_const(j, op->a, &a) || op->a == JREG_FP)) {
			u8 swap = op->a;
			op->a = op->b, op->b = swap;
		}
		if (fold_const(j, op->b, &b) && (!op->wide || fits_s32((s64)b)))
			op->flags |= JF_IMM, op->imm = op->wide ? b : (u32)b, op->b = JREG_NONE;
	}
	if (op->flags & JF_IMM) {
		if (fold_const(j, op->a, &a)) {
			to_imm(op, evaluate(op, a, op->imm));
			return fold_imm(j, op);
		}
		s64 imm = op->wide ? (s64)op->imm : (s32)op->imm;
		if (op->code == J_SUB && imm != INT32_MIN)
			op->code = J_ADD, op->imm = op->wide ? (u64)-imm : (u32)-imm;
		fold_lea(j, op);
		return op->code == J_LEA || identity(op) ? true : fold_mov(j, op);
	}
	if ((op->code == J_OR || op->code == J_XOR || op->code == J_ADD) && fold_rotate(j, op))
		return true;
	if (op->code == J_SUB && op->a == op->b) {
		to_imm(op, 0);
		return true;
	}
	fold_lea(j, op);
	if (op->code == J_LEA)
		return true;
	u8 size = op->wide ? 8 : 4;
	if (!fold_memory_operand(j, op, op->b, size) && commutes(op->code)) {
		u8 swap = op->a;
		op->a = op->b, op->b = swap;
		if (!fold_memory_operand(j, op, op->b, size))
			op->b = op->a, op->a = swap;
	}
	return true;
}

/* ---- the rest ---- */

static bool fold_unary(struct jit *j, struct jop *op) {
	bool low = op->code != J_NEG && op->size < 8;
	op->a = fold_copy(j, op->a, op->wide && !low);
	if (op->code == J_BSWAP && op->size >= 4) {
		const struct jop *def = def_of(j, op->a);
		if (def->code == J_LOAD && def->size == op->size && only_reader(j, op, op->a)) {
			struct jop load = *op;
			load.code = J_LOADBE, load.a = JREG_NONE;
			if (fold_memory_operand(j, &load, op->a, op->size)) {
				load.flags = 0;
				*op = load;
			}
		}
	}
	return true;
}

/* By a constant: 0, 1 and powers of two. */
static bool fold_division(struct jit *j, struct jop *op) {
	u64 value;
	bool mod = op->code == J_MOD || op->code == J_SMOD, is_signed = op->code == J_SDIV || op->code == J_SMOD;
	op->a = fold_copy(j, op->a, op->wide);
	if (!(op->flags & JF_IMM)) {
		op->b = fold_copy(j, op->b, op->wide);
		if (!fold_const(j, op->b, &value))
			return true;
		op->flags |= JF_IMM, op->imm = op->wide ? value : (u32)value, op->b = JREG_NONE;
	}
	if (def_of(j, op->a)->flags & JF_ZEXT)
		op->flags |= JF_A_ZEXT;
	if ((op->imm == 0 && !mod) || (op->imm == 1 && mod)) {
		to_imm(op, 0);
		return fold_imm(j, op);
	}
	if (op->imm <= 1) {
		to_mov(op, op->a, op->wide);
		return fold_mov(j, op);
	}
	ASSERT(op->imm > 1);
	if (is_signed || !is_power_of_two(op->imm))
		return true;
	op->code = mod ? J_AND : J_RSH;
	op->imm = mod ? op->imm - 1 : (u64)__builtin_ctzll(op->imm);
	return true;
}

/* d = a pred b ? x : d, with constants for both outcomes when it is a truth value. */
static bool fold_select(struct jit *j, struct jop *op) {
	u64 x = 0, d;
	bool constant = op->x == JREG_NONE;
	fold_compare(j, op);
	if (op->code == J_NOP)
		return false;
	if (op->code == J_JMP) { /* decided: a move */
		op->wide = true;
		if (!constant) {
			to_mov(op, op->x, true);
			return fold_mov(j, op);
		}
		to_imm(op, (u64)(s64)op->disp);
		return fold_imm(j, op);
	}
	if (!constant)
		op->x = fold_copy(j, op->x, true);
	if (constant ? (x = (u64)(s64)op->disp, true) : fold_const(j, op->x, &x))
		if (fold_const(j, op->d, &d) && x + d == 1 && x <= 1 && !(op->flags & JF_MEM)) {
			op->code = J_SETCC, op->x = JREG_NONE;
			op->pred = x ? op->pred : pred_invert(op->pred);
		}
	return true;
}

static bool fold(struct jit *j, struct jop *op) {
	switch (op->code) {
	case J_MOV:
		return fold_mov(j, op);
	case J_IMM:
		return fold_imm(j, op);
	case J_LSH:
	case J_RSH:
	case J_ARSH:
		return fold_shift(j, op);
	case J_ADD:
	case J_SUB:
	case J_MUL:
	case J_OR:
	case J_AND:
	case J_XOR:
		return fold_binary(j, op);
	case J_MOVSX:
	case J_MOVZX:
	case J_NEG:
	case J_BSWAP:
		return fold_unary(j, op);
	case J_DIV:
	case J_MOD:
	case J_SDIV:
	case J_SMOD:
		return fold_division(j, op);
	case J_LOAD:
	case J_LOADSX:
	case J_PROBE:
		fold_load(j, op);
		return true;
	case J_STORE:
		fold_store(j, op);
		return true;
	case J_ATOMIC:
	case J_ARRAY:
		fold_address(j, op);
		return true;
	case J_JCC:
		fold_compare(j, op);
		return op->code == J_JCC; /* decided: the builder knows what to do */
	case J_SELECT:
		return fold_select(j, op);
	default:
		return true;
	}
}

void fold_emit(struct jit *j, struct jop *op) {
	ASSERT(op == &j->ops[j->n] && op->code < JOP_CODES);
	if (fold(j, op))
		window_commit(j, op);
}
