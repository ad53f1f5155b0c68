/* x86-64: division. The machine divides rdx:rax and traps on what BPF defines: by zero, and the smallest by -1. Unsigned
 * division by a constant is a multiplication; powers of two and trivial divisors do not come here (fold.c). */
#include "exec/jit/magic.h"
#include "exec/x64/x64.h"

/* r11 = a / c for a 32-bit a. */
static u8 *quotient32(u8 *p, u8 a, u32 c, bool a_zext) {
	struct magic m = magic_divide32(c);
	ASSERT(a != X64_SCRATCH && a != X64_SCRATCH2);
	E(mov_ri, X64_SCRATCH2, m.m);
	if (!a_zext || m.add) {
		E(mov_rr, false, X64_SCRATCH, a);
		a = X64_SCRATCH;
	}
	E(imul_rr, true, X64_SCRATCH2, a);
	if (m.add) {
		E(shift_ri, true, X64_SHR, X64_SCRATCH2, 32);
		E(alu_rr, true, X64_ADD, X64_SCRATCH2, a);
	}
	u8 shift = m.add ? m.shift : m.shift + 32;
	return E(shift_ri, true, X64_SHR, X64_SCRATCH2, shift);
}

/* r10 = a / c. rdx is kept if somebody lives there; a keeps its value. */
static u8 *quotient64(u8 *p, u8 a, u64 c, bool keep_rdx) {
	struct magic m = magic_divide64(c);
	ASSERT(a != X64_SCRATCH && a != X64_SCRATCH2);
	if (a != RDX && keep_rdx)
		E(mov_rr, true, X64_SCRATCH2, RDX);
	if (a != RDX)
		E(mov_rr, true, RDX, a);
	E(mov_ri, X64_SCRATCH, m.m);
	E(mulx, true, X64_SCRATCH, X64_SCRATCH, X64_SCRATCH);
	if (m.add) { /* (a - t) / 2 + t does not overflow */
		if (a != RDX && keep_rdx) {
			E(alu_rr, true, X64_SUB, RDX, X64_SCRATCH);
			E(shift_ri, true, X64_SHR, RDX, 1);
			E(alu_rr, true, X64_ADD, X64_SCRATCH, RDX);
		} else {
			E(mov_rr, true, X64_SCRATCH2, RDX);
			E(alu_rr, true, X64_SUB, X64_SCRATCH2, X64_SCRATCH);
			E(shift_ri, true, X64_SHR, X64_SCRATCH2, 1);
			E(alu_rr, true, X64_ADD, X64_SCRATCH, X64_SCRATCH2);
		}
	}
	if (a != RDX && keep_rdx)
		E(mov_rr, true, RDX, X64_SCRATCH2);
	u8 shift = m.add ? m.shift - 1 : m.shift;
	return shift ? E(shift_ri, true, X64_SHR, X64_SCRATCH, shift) : p;
}

static bool by_constant(const struct jit *j, const struct jop *op) {
	bool is_unsigned = op->code == J_DIV || op->code == J_MOD;
	return is_unsigned && op->flags & JF_IMM && op->a != JREG_FP && op->imm > 1 && !is_power_of_two(op->imm) &&
	       (!op->wide || (j->features & X64_BMI2 && (s64)op->imm > 0));
}

static void lower_by_constant(struct jit *j, const struct jop *op) {
	u8 *p = code_begin(&j->code), d = j->home[op->d], a = j->home[op->a];
	u8 q = op->wide ? X64_SCRATCH : X64_SCRATCH2;
	if (op->wide)
		p = quotient64(p, a, op->imm, d != RDX && x64_home_in(j, op->live, RDX));
	else
		p = quotient32(p, a, (u32)op->imm, op->flags & JF_A_ZEXT);
	if (op->code == J_MOD) {
		if (op->imm <= INT32_MAX) {
			E(imul_rri, op->wide, q, q, (s32)op->imm);
		} else {
			u8 c = op->wide ? X64_SCRATCH2 : X64_SCRATCH;
			E(mov_ri, c, op->imm);
			E(imul_rr, op->wide, q, c);
		}
		if (d != a)
			E(mov_rr, true, d, a);
		E(alu_rr, op->wide, X64_SUB, d, q);
	} else {
		E(mov_rr, true, d, q);
	}
	code_end(&j->code, p);
}

/* Operands of a division in place: rax = dividend, div = divisor (not rax, not rdx); the result is in rax or rdx. Cold
 * cases (divisor 0, for signed ones -1 too) are tested first and computed without dividing. */
static u8 *divide(struct jit *j, u8 *p, const struct jop *op, u8 div) {
	bool w = op->wide, is_signed = op->code == J_SDIV || op->code == J_SMOD;
	bool mod = op->code == J_MOD || op->code == J_SMOD;
	if (op->flags & JF_IMM && op->imm && (op->wide ? (s64)op->imm : (s32)op->imm) != -1) {
		is_signed ? E(cqo, w) : E(zero, RDX);
		return E(unary, w, is_signed ? X64_IDIV : X64_DIV, div);
	}
	u32 hot = code_labels(&j->code, 2), done = hot + 1;
	if (is_signed) {
		E(lea, w, RDX, X64_MEM(div, 1));
		E(alu_ri, w, X64_CMP, RDX, 1);
		FIX(FIX_JCC, CC_A, hot);
		if (mod) { /* divisor ? 0 : dividend */
			E(mov_rr, w, RDX, div);
			E(unary, w, X64_NOT, RDX);
			E(alu_rr, w, X64_AND, RDX, RAX);
		} else { /* divisor ? -dividend : 0 */
			E(unary, w, X64_NEG, RAX);
			E(alu_rr, w, X64_AND, RAX, div);
		}
	} else {
		E(test_rr, w, div, div);
		FIX(FIX_JCC, CC_NE, hot);
		mod ? E(mov_rr, w, RDX, RAX) : E(zero, RAX);
	}
	FIX(FIX_JMP, 0, done);
	BIND(hot);
	if (is_signed)
		E(cqo, w);
	else
		E(zero, RDX);
	E(unary, w, is_signed ? X64_IDIV : X64_DIV, div);
	BIND(done);
	return p;
}

void x64_lower_div(struct jit *j, const struct jop *op) {
	if (by_constant(j, op)) {
		lower_by_constant(j, op);
		return;
	}
	u8 *p = code_begin(&j->code);
	bool mod = op->code == J_MOD || op->code == J_SMOD, w = op->wide;
	u8 d = j->home[op->d], a = j->home[op->a];
	bool keep_rdx = d != RDX && x64_home_in(j, op->live, RDX);
	bool keep_rax = d != RAX && x64_home_in(j, op->live, RAX);
	bool push_rax = keep_rax && x64_home_in(j, j->f.regs, X64_SCRATCH3);
	u8 div = X64_SCRATCH2, rdx_copy = X64_SCRATCH, b = op->b < JREG_FP || op->b >= JREG_SLOT ? op->b : (u8)JREG_NONE;
	ASSERT(op->d != JREG_FP);
	if (b != JREG_NONE && j->home[b] != RAX && j->home[b] != RDX)
		div = j->home[b];
	else if (op->flags & JF_IMM)
		E(mov_ri, X64_SCRATCH2, w ? op->imm : (u32)op->imm);
	else if (op->b == JREG_FP)
		E(lea, true, X64_SCRATCH2, x64_frame(j, 0));
	else
		E(mov_rr, true, X64_SCRATCH2, j->home[op->b]);
	if (b != JREG_NONE && j->home[b] == RDX)
		rdx_copy = X64_SCRATCH2; /* there it is already */
	if (op->a == JREG_FP) {
		E(lea, true, X64_SCRATCH, x64_frame(j, 0)); /* saved in rdx's place only afterwards */
		a = X64_SCRATCH;
	}
	if (push_rax)
		E(push, RAX);
	else if (keep_rax)
		E(mov_rr, true, X64_SCRATCH3, RAX);
	if (a != RAX || !w)
		E(mov_rr, w, RAX, a);
	if (keep_rdx && rdx_copy == X64_SCRATCH)
		E(mov_rr, true, X64_SCRATCH, RDX);
	p = divide(j, p, op, div);
	if (d != (mod ? RDX : RAX))
		E(mov_rr, true, d, mod ? RDX : RAX);
	if (keep_rdx)
		E(mov_rr, true, RDX, rdx_copy);
	if (push_rax)
		E(pop, RAX);
	else if (keep_rax)
		E(mov_rr, true, RAX, X64_SCRATCH3);
	code_end(&j->code, p);
}
