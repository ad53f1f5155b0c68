/* x86-64: division. The machine divides rdx:rax and traps on what BPF defines: by zero, and the smallest by -1. */
#include "exec/x64/x64.h"

/* Operands of a division in place: rax = dividend, r11 = divisor; the result is in rax or rdx. Cold cases (divisor 0, for
 * signed ones -1 too) are tested first and computed without dividing. */
static u8 *divide(struct jit *j, u8 *p, const struct jop *op, u8 div) {
	bool w = op->wide, is_signed = op->code == J_SDIV || op->code == J_SMOD;
	bool mod = op->code == J_MOD || op->code == J_SMOD;
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
	u8 *p = code_begin(&j->code);
	bool mod = op->code == J_MOD || op->code == J_SMOD, w = op->wide;
	u8 d = j->home[op->d], a = j->home[op->a];
	bool keep_rdx = d != RDX && x64_home_in(j, op->live, RDX);
	bool keep_rax = d != RAX && x64_home_in(j, op->live, RAX);
	bool push_rax = keep_rax && x64_home_in(j, j->f.regs, X64_SCRATCH3);
	ASSERT(op->d != JREG_FP);
	if (op->flags & JF_IMM)
		E(mov_ri, X64_SCRATCH2, w ? op->imm : (u32)op->imm);
	else if (op->b == JREG_FP)
		E(lea, true, X64_SCRATCH2, x64_frame(j, 0));
	else
		E(mov_rr, w, X64_SCRATCH2, j->home[op->b]);
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
	if (keep_rdx)
		E(mov_rr, true, X64_SCRATCH, RDX);
	p = divide(j, p, op, X64_SCRATCH2);
	if (d != (mod ? RDX : RAX))
		E(mov_rr, true, d, mod ? RDX : RAX);
	if (keep_rdx)
		E(mov_rr, true, RDX, X64_SCRATCH);
	if (push_rax)
		E(pop, RAX);
	else if (keep_rax)
		E(mov_rr, true, RAX, X64_SCRATCH3);
	code_end(&j->code, p);
}
