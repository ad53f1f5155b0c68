/* x86-64: atomic operations, loads that may fault, lookups in arrays. */
#include "exec/x64/x64.h"
#include <errno.h>

/* and, or, xor that return the old value have no instruction: a compare-and-exchange loop.
 *     r11 = address   r9 = operand, or rax's value while rax is busy   r10 = new value   rax = old value */
static u8 *fetch_loop(struct jit *j, u8 *p, const struct jop *op, struct x64_mem m, u8 s) {
	bool w = op->wide;
	u8 kind = (op->imm & 0xf0) == BPF_AND ? X64_AND : (op->imm & 0xf0) == BPF_OR ? X64_OR : X64_XOR;
	u32 again = code_labels(&j->code, 1);
	ASSERT(!x64_home_in(j, j->f.regs, X64_SCRATCH3));
	E(lea, true, X64_SCRATCH2, m);
	E(mov_rr, true, X64_SCRATCH3, RAX);
	m = X64_MEM(X64_SCRATCH2, 0);
	E(load, RAX, m, op->size);
	BIND(again);
	E(mov_rr, true, X64_SCRATCH, RAX);
	E(alu_rr, w, kind, X64_SCRATCH, s == RAX ? X64_SCRATCH3 : s);
	E(lock);
	E(cmpxchg_mr, w, m, X64_SCRATCH);
	FIX(FIX_JCC, CC_NE, again);
	if (s == RAX)
		return w ? p : E(mov_rr, false, RAX, RAX);
	E(mov_rr, w, s, RAX);
	return E(mov_rr, true, RAX, X64_SCRATCH3);
}

void x64_lower_atomic(struct jit *j, const struct jop *op) {
	u8 *p = code_begin(&j->code);
	struct x64_mem m = x64_mem_of(j, op);
	bool w = op->wide;
	u8 s = j->home[op->a];
	if (op->a == JREG_FP) {
		E(lea, true, X64_SCRATCH, x64_frame(j, 0));
		s = X64_SCRATCH;
	}
	ASSERT(op->size == 4 || op->size == 8);
	switch ((u32)op->imm) {
	case BPF_ADD:
		E(lock);
		E(alu_mr, op->size, X64_ADD, m, s);
		break;
	case BPF_OR:
		E(lock);
		E(alu_mr, op->size, X64_OR, m, s);
		break;
	case BPF_AND:
		E(lock);
		E(alu_mr, op->size, X64_AND, m, s);
		break;
	case BPF_XOR:
		E(lock);
		E(alu_mr, op->size, X64_XOR, m, s);
		break;
	case BPF_ADD | BPF_FETCH:
		E(lock);
		E(xadd_mr, w, m, s);
		break;
	case BPF_XCHG:
		E(xchg_mr, w, m, s);
		break;
	case BPF_CMPXCHG:
		E(lock);
		E(cmpxchg_mr, w, m, s);
		if (!w) /* a comparison that succeeds leaves the upper half */
			E(mov_rr, false, RAX, RAX);
		break;
	case BPF_AND | BPF_FETCH:
	case BPF_OR | BPF_FETCH:
	case BPF_XOR | BPF_FETCH:
		p = fetch_loop(j, p, op, m, s);
		break;
	default:
		j->error = -EINVAL;
	}
	code_end(&j->code, p);
}

/* d = memory that may be absent: read by the helper into a word of the frame that is zero otherwise. The registers that a
 * C call may change and somebody still needs wait in the frame. */
void x64_lower_probe(struct jit *j, const struct jop *op) {
	static const u8 caller_saved[] = {RAX, RDI, RSI, RDX, RCX, R8};
	u32 base = j->f.tail_calls ? 8 : 0;
	u8 *p = code_begin(&j->code), d = j->home[op->d];
	E(lea, true, X64_SCRATCH, x64_mem_of(j, op));
	for (u32 i = 0; i < ARRAY_SIZE(caller_saved); i++)
		if (d != caller_saved[i] && x64_home_in(j, op->live, caller_saved[i]))
			E(store, X64_MEM(RSP, (s32)(base + 8 * (i + 1))), caller_saved[i], 8);
	E(mov_rr, true, RDX, X64_SCRATCH);
	E(lea, true, RDI, X64_MEM(RSP, (s32)base));
	E(store_imm, X64_MEM(RSP, (s32)base), 0, 8);
	E(mov_ri, RSI, op->size);
	E(mov_rr, true, R9, X64_RUN);
	FIX(FIX_CALL_FAR, 0, code_literal(&j->code, RELOC_DP, DP_helper_probe_read_kernel));
	if (op->flags & JF_SIGNED)
		E(load_sx, d, X64_MEM(RSP, (s32)base), op->size);
	else
		E(load, d, X64_MEM(RSP, (s32)base), op->size);
	for (u32 i = 0; i < ARRAY_SIZE(caller_saved); i++)
		if (d != caller_saved[i] && x64_home_in(j, op->live, caller_saved[i]))
			E(load, caller_saved[i], X64_MEM(RSP, (s32)(base + 8 * (i + 1))), 8);
	code_end(&j->code, p);
}
