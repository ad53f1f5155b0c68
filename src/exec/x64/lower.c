/* x86-64: operations to instructions.
 *
 * Operations have three operands, most instructions two: d = a op b becomes mov d,a; op d,b unless d is a or b, or one
 * instruction can say it (lea, imul with immediate, shlx, rorx). No operation expects flags of an earlier one, so every
 * case is free to clobber them; compares and their jumps are one operation.
 *
 * Cases to keep in mind when changing this file
 *   - d may be a, b, the base or the index, in any combination
 *   - narrow (not op->wide) results must be zero-extended: any 32-bit instruction that writes d does it, also a shift by 0
 *   - the frame pointer is no register: reg() gives it in a scratch register
 *   - r4 is rcx: shifts by register without BMI2 must work when d, a or b is rcx
 *   - immediates of 64-bit operations are sign-extended 32 bits in the machine; others go through a scratch register */
#include "exec/x64/x64.h"
#include "abi/run.h"

static const u8 cc_of_pred[] = {
	[P_EQ] = CC_E, [P_NE] = CC_NE, [P_GT] = CC_A, [P_GE] = CC_AE, [P_LT] = CC_B, [P_LE] = CC_BE,
	[P_SGT] = CC_G, [P_SGE] = CC_GE, [P_SLT] = CC_L, [P_SLE] = CC_LE, [P_SET] = CC_NE, [P_CLEAR] = CC_E,
};
static const u8 alu_of[J_ROL + 1] = {[J_ADD] = X64_ADD, [J_SUB] = X64_SUB, [J_OR] = X64_OR, [J_AND] = X64_AND,
                                     [J_XOR] = X64_XOR};
static const u8 shift_of[J_ROL + 1] = {[J_LSH] = X64_SHL, [J_RSH] = X64_SHR, [J_ARSH] = X64_SAR, [J_ROL] = X64_ROL};

/* The machine register of r for reading; the frame pointer is computed into scratch. */
static u8 *reg(const struct jit *j, u8 *p, u8 r, u8 scratch, u8 *out) {
	ASSERT(r < JREGS);
	*out = j->home[r];
	if (r == JREG_FP) {
		E(lea, true, scratch, x64_frame(j, 0));
		*out = scratch;
	}
	ASSERT(*out != X64_NOREG);
	return p;
}

struct x64_mem x64_mem_of(const struct jit *j, const struct jop *op) {
	ASSERT(op->b < JREGS && op->x != JREG_FP);
	struct x64_mem m = {.base = j->home[op->b], .index = op->x == JREG_NONE ? (u8)X64_NOREG : j->home[op->x],
	                    .scale = op->scale, .disp = op->disp};
	if (op->b == JREG_FP)
		m.disp += (s32)j->frame;
	return m;
}

static u8 *mov(u8 *p, bool wide, u8 d, u8 s) {
	return d == s && wide ? p : E(mov_rr, wide, d, s);
}

/* d = a + imm */
static u8 *add_imm(u8 *p, bool w, u8 d, u8 a, s32 imm) {
	if (d != a)
		return E(lea, w, d, X64_MEM(a, imm));
	if (imm == 128)
		return E(alu_ri, w, X64_SUB, d, -128);
	return E(alu_ri, w, X64_ADD, d, imm);
}

static u8 *and_imm(u8 *p, bool w, u8 d, u8 a, s32 imm) {
	if (imm == 0xff || imm == 0xffff)
		return E(movzx_rr, d, a, imm == 0xff ? 1 : 2);
	if (imm >= 0)
		w = false;
	p = mov(p, true, d, a);
	return E(alu_ri, w, X64_AND, d, imm);
}

static u8 *mul_imm(u8 *p, bool w, u8 d, u8 a, s32 imm) {
	if (imm == 3 || imm == 5 || imm == 9)
		return E(lea, w, d, ((struct x64_mem){a, a, (u8)(imm == 3 ? 1 : imm == 5 ? 2 : 3), 0}));
	if (imm > 0 && is_power_of_two((u32)imm)) {
		p = mov(p, true, d, a);
		return E(shift_ri, w, X64_SHL, d, (u8)__builtin_ctz((u32)imm));
	}
	return E(imul_rri, w, d, a, imm);
}

/* d = a op imm, the immediate fitting the instruction. */
static u8 *binary_imm(u8 *p, const struct jop *op, u8 d, u8 a, s32 imm) {
	bool w = op->wide;
	switch (op->code) {
	case J_ADD:
		return add_imm(p, w, d, a, imm);
	case J_SUB:
		if (imm != INT32_MIN)
			return add_imm(p, w, d, a, -imm);
		break;
	case J_AND:
		return and_imm(p, w, d, a, imm);
	case J_MUL:
		return mul_imm(p, w, d, a, imm);
	}
	p = mov(p, true, d, a);
	return E(alu_ri, w, alu_of[op->code], d, imm);
}

/* d = a op b */
static u8 *binary_reg(u8 *p, const struct jop *op, u8 d, u8 a, u8 b) {
	bool w = op->wide, commutes = op->code != J_SUB;
	if (op->code == J_ADD && d != a && d != b) {
		bool swap = (b & 7) != RBP && (a & 7) == RBP; /* a base of rbp or r13 costs a byte */
		return E(lea, w, d, ((struct x64_mem){swap ? b : a, swap ? a : b, 0, 0}));
	}
	if (d == b && d != a && commutes)
		b = a, a = d;
	if (d == b && d != a) { /* d = a - d */
		E(unary, w, X64_NEG, d);
		return E(alu_rr, w, X64_ADD, d, a);
	}
	p = mov(p, true, d, a);
	return op->code == J_MUL ? E(imul_rr, w, d, b) : E(alu_rr, w, alu_of[op->code], d, b);
}

/* d = a op memory */
static u8 *binary_mem(u8 *p, const struct jop *op, u8 d, u8 a, struct x64_mem m) {
	ASSERT(m.base != X64_NOREG && m.scale <= 3);
	u8 to = d != a && (d == m.base || d == m.index) ? X64_SCRATCH : d;
	p = mov(p, true, to, a);
	if (op->code == J_MUL)
		E(imul_rm, op->wide, to, m);
	else
		E(alu_rm, op->wide, alu_of[op->code], to, m);
	return mov(p, true, d, to);
}

static u8 *lower_binary(struct jit *j, u8 *p, const struct jop *op) {
	u8 d = j->home[op->d], a, b;
	ASSERT(d != RSP && d != X64_NOREG);
	p = reg(j, p, op->a, X64_SCRATCH, &a);
	if (op->flags & JF_MEM)
		return binary_mem(p, op, d, a, x64_mem_of(j, op));
	s64 imm = op->wide ? (s64)op->imm : (s32)op->imm;
	if (op->flags & JF_IMM && fits_s32(imm))
		return binary_imm(p, op, d, a, (s32)imm);
	if (op->flags & JF_IMM)
		p = x64_mov_ri(p, b = X64_SCRATCH2, (u64)imm);
	else
		p = reg(j, p, op->b, X64_SCRATCH2, &b);
	return binary_reg(p, op, d, a, b);
}

static u8 *lower_shift(struct jit *j, u8 *p, const struct jop *op) {
	bool w = op->wide;
	u8 d = j->home[op->d], a, b, kind = shift_of[op->code];
	p = reg(j, p, op->a, X64_SCRATCH, &a);
	if (op->flags & JF_IMM) {
		u8 n = op->imm & (w ? 63 : 31);
		if (op->code == J_ROL && d != a && j->features & X64_BMI2)
			return E(rorx, w, d, a, (u8)((w ? 64 : 32) - n) & (w ? 63 : 31));
		if (op->code == J_LSH && n == 1 && d != a)
			return E(lea, w, d, ((struct x64_mem){a, a, 0, 0}));
		ASSERT(n); /* fold.c makes a shift by 0 a move */
		p = mov(p, true, d, a);
		return E(shift_ri, w, kind, d, n);
	}
	if (j->features & X64_BMI2) {
		p = reg(j, p, op->b, X64_SCRATCH2, &b);
		return E(shiftx, w, kind, d, a, b);
	}
	b = j->home[op->b];
	if (b == RCX && d != RCX) {
		p = mov(p, true, d, a);
		return E(shift_cl, w, kind, d);
	}
	E(mov_rr, true, X64_SCRATCH2, RCX);
	p = mov(p, true, X64_SCRATCH, a);
	if (op->b == JREG_FP)
		E(lea, true, RCX, x64_frame(j, 0));
	else
		E(mov_rr, true, RCX, b);
	E(shift_cl, w, kind, X64_SCRATCH);
	E(mov_rr, true, RCX, X64_SCRATCH2);
	return E(mov_rr, true, d, X64_SCRATCH);
}

static u8 *lower_unary(struct jit *j, u8 *p, const struct jop *op) {
	u8 d = j->home[op->d], a;
	p = reg(j, p, op->a, d == X64_NOREG ? X64_SCRATCH : d, &a);
	switch (op->code) {
	case J_MOV:
		return mov(p, op->wide, d, a);
	case J_MOVSX:
		return E(movsx_rr, op->wide, d, a, op->size);
	case J_MOVZX:
		return E(movzx_rr, d, a, 2);
	case J_NEG:
		p = mov(p, true, d, a);
		return E(unary, op->wide, X64_NEG, d);
	default:
		ASSERT(op->code == J_BSWAP);
		p = mov(p, true, d, a);
		if (op->size != 2)
			return E(bswap, op->size == 8, d);
		E(swap16, d);
		return E(movzx_rr, d, d, 2);
	}
}

static u8 *mov_imm(u8 *p, u8 d, u64 imm) {
	return imm ? E(mov_ri, d, imm) : E(zero, d);
}

/* Flags of a compare with b: a register, an immediate or memory. */
static u8 *compare(struct jit *j, u8 *p, const struct jop *op) {
	bool test = op->pred == P_SET || op->pred == P_CLEAR, w = op->wide;
	u8 a, b;
	s64 imm = w ? (s64)op->imm : (s32)op->imm;
	if (op->flags & JF_MEM && op->flags & JF_IMM) {
		struct x64_mem m = x64_mem_of(j, op);
		return test ? E(test_mi, op->size, m, (s32)imm) : E(alu_mi, op->size, X64_CMP, m, (s32)imm);
	}
	p = reg(j, p, op->a, X64_SCRATCH, &a);
	if (op->flags & JF_MEM)
		return E(alu_rm, w, X64_CMP, a, x64_mem_of(j, op));
	if (op->flags & JF_IMM && fits_s32(imm)) {
		if (test)
			return E(test_ri, w, a, (s32)imm);
		return imm ? E(alu_ri, w, X64_CMP, a, (s32)imm) : E(test_rr, w, a, a);
	}
	if (op->flags & JF_IMM)
		p = x64_mov_ri(p, b = X64_SCRATCH2, (u64)imm);
	else
		p = reg(j, p, op->b, X64_SCRATCH2, &b);
	return test ? E(test_rr, w, a, b) : E(alu_rr, w, X64_CMP, a, b);
}

static u8 *lower_jump(struct jit *j, u8 *p, const struct jop *op) {
	u32 label = j->f.first_label + op->target;
	if (op->code == J_JMP) {
		FIX(FIX_JMP, 0, label);
		return p;
	}
	p = compare(j, p, op);
	if (!(op->flags & JF_ABORT)) {
		FIX(FIX_JCC, cc_of_pred[op->pred], label);
		return p;
	}
	u32 skip = code_labels(&j->code, 1);
	FIX(FIX_JCC, cc_of_pred[pred_invert(op->pred)], skip);
	E(alu_mi, 8, X64_SUB, X64_MEM(X64_RUN, offsetof(struct skep_run, budget)), (s32)op->meter);
	FIX(FIX_JCC, CC_NS, label);
	FIX(FIX_JMP, 0, x64_budget_label(j));
	BIND(skip);
	return p;
}

static u8 *lower_store(struct jit *j, u8 *p, const struct jop *op) {
	struct x64_mem m = x64_mem_of(j, op);
	u8 a;
	if (op->flags & JF_IMM)
		return E(store_imm, m, (s32)op->imm, op->size);
	p = reg(j, p, op->a, X64_SCRATCH, &a);
	return E(store, m, a, op->size);
}

static u8 *lower_rmw(struct jit *j, u8 *p, const struct jop *op) {
	struct x64_mem m = x64_mem_of(j, op);
	u8 a;
	if (op->flags & JF_IMM)
		return E(alu_mi, op->size, alu_of[op->pred], m, (s32)op->imm);
	p = reg(j, p, op->a, X64_SCRATCH, &a);
	return E(alu_mr, op->size, alu_of[op->pred], m, a);
}

static u8 *lower_memory(struct jit *j, u8 *p, const struct jop *op) {
	u8 d = op->d == JREG_NONE ? (u8)X64_NOREG : j->home[op->d];
	switch (op->code) {
	case J_LEA:
		return E(lea, true, d, x64_mem_of(j, op));
	case J_LOAD:
		return E(load, d, x64_mem_of(j, op), op->size);
	case J_LOADSX:
		return E(load_sx, d, x64_mem_of(j, op), op->size);
	case J_LOADBE:
		if (j->features & X64_MOVBE)
			return E(movbe, op->size == 8, d, x64_mem_of(j, op));
		E(load, d, x64_mem_of(j, op), op->size);
		return E(bswap, op->size == 8, d);
	case J_STORE:
		return lower_store(j, p, op);
	default:
		ASSERT(op->code == J_RMW);
		return lower_rmw(j, p, op);
	}
}

static u8 *lower_address(struct jit *j, u8 *p, const struct jop *op) {
	E(mov_ri64, j->home[op->d], 0);
	code_reloc(&j->code, p, op->scale, (u16)op->disp, op->imm);
	return p;
}

static u8 *lower_select(struct jit *j, u8 *p, const struct jop *op) {
	u8 d = j->home[op->d], x = X64_SCRATCH;
	p = compare(j, p, op);
	if (op->x == JREG_NONE)
		E(mov_ri, x, (u64)(s64)op->disp); /* leaves the flags alone */
	else
		x = j->home[op->x];
	return E(cmov, true, cc_of_pred[op->pred], d, x);
}

static u8 *lower_setcc(struct jit *j, u8 *p, const struct jop *op) {
	u8 d = j->home[op->d];
	bool apart = op->d != op->a && op->d != op->b;
	if (apart)
		E(zero, d);
	p = compare(j, p, op);
	if (apart)
		return E(setcc, cc_of_pred[op->pred], d);
	E(setcc, cc_of_pred[op->pred], X64_SCRATCH);
	return E(movzx_rr, d, X64_SCRATCH, 1);
}

/* rax = the value's address: the geometry of the map is constant. r1 … r5 are lost in a call, so they are free here. */
static u8 *lower_array(struct jit *j, u8 *p, const struct jop *op) {
	u32 miss = code_labels(&j->code, 1), entries = op->target, stride = op->meter;
	ASSERT(op->d == 0 && stride && op->imm <= INT32_MAX);
	E(load, RCX, x64_mem_of(j, op), 4);
	E(zero, RAX);
	if (entries <= INT32_MAX) {
		E(alu_ri, false, X64_CMP, RCX, (s32)entries);
	} else {
		E(mov_ri, RDX, entries);
		E(alu_rr, false, X64_CMP, RCX, RDX);
	}
	FIX(FIX_JCC, CC_AE, miss);
	E(mov_ri64, RAX, 0);
	code_reloc(&j->code, p, RELOC_MAP_VALUE, op->array, 0);
	if (stride == 8) {
		E(lea, true, RAX, ((struct x64_mem){RAX, RCX, 3, 0}));
	} else {
		if (is_power_of_two(stride))
			E(shift_ri, true, X64_SHL, RCX, (u8)__builtin_ctz(stride));
		else
			E(imul_rri, true, RCX, RCX, (s32)stride);
		E(alu_rr, true, X64_ADD, RAX, RCX);
	}
	if (op->imm) {
		E(load, RDX, X64_MEM(X64_RUN, offsetof(struct skep_run, cpu)), 4);
		E(imul_rri, true, RDX, RDX, (s32)op->imm);
		E(alu_rr, true, X64_ADD, RAX, RDX);
	}
	BIND(miss);
	return p;
}

void x64_lower(struct jit *j, const struct jop *op) {
	u8 *p = code_begin(&j->code);
	switch ((enum jop_code)op->code) {
	case J_NOP:
	case JOP_CODES:
		break;
	case J_ADD:
	case J_SUB:
	case J_MUL:
	case J_OR:
	case J_AND:
	case J_XOR:
		p = lower_binary(j, p, op);
		break;
	case J_LSH:
	case J_RSH:
	case J_ARSH:
	case J_ROL:
		p = lower_shift(j, p, op);
		break;
	case J_MOV:
	case J_MOVSX:
	case J_MOVZX:
	case J_NEG:
	case J_BSWAP:
		p = lower_unary(j, p, op);
		break;
	case J_IMM:
		p = mov_imm(p, j->home[op->d], op->imm);
		break;
	case J_ADDRESS:
		p = lower_address(j, p, op);
		break;
	case J_FUNC:
		FIX(FIX_ADDRESS, j->home[op->d], j->sub_labels + 2 * (u32)op->imm + 1);
		break;
	case J_SELECT:
		p = lower_select(j, p, op);
		break;
	case J_SETCC:
		p = lower_setcc(j, p, op);
		break;
	case J_LEA:
	case J_LOAD:
	case J_LOADSX:
	case J_LOADBE:
	case J_STORE:
	case J_RMW:
		p = lower_memory(j, p, op);
		break;
	case J_JCC:
	case J_JMP:
		p = lower_jump(j, p, op);
		break;
	case J_ARRAY:
		p = lower_array(j, p, op);
		break;
	case J_DIV:
	case J_MOD:
	case J_SDIV:
	case J_SMOD:
		x64_lower_div(j, op);
		return;
	case J_ATOMIC:
		x64_lower_atomic(j, op);
		return;
	case J_PROBE:
		x64_lower_probe(j, op);
		return;
	case J_BARRIER:
	case J_METER:
	case J_MAY_GOTO:
	case J_CALL:
	case J_LOCAL:
	case J_TAIL:
	case J_CPU:
		x64_lower_call(j, op);
		return;
	case J_EXIT:
		x64_epilogue(j);
		return;
	}
	code_end(&j->code, p);
}
