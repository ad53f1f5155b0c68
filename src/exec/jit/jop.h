/* Machine operations: what stands between bytecode and machine code in tier 1.
 *
 *     bytecode ──build──► jops of one window (at most WINDOW, in an array) ──lower──► machine code
 *                fold.c simplifies while building
 *
 * A jop has up to three register operands, an addressing mode and an immediate, so that it can say what two or three
 * BPF instructions say and what one machine instruction can do: r = a + b, r = rotl(a, 13), load [a + x*8 + 16].
 * Registers are the BPF registers 0..10 and, from JREG_SLOT on, stack slots that live in spare machine registers. Every
 * register has one home in the machine for the whole function: there is no allocation, only fewer and better operations.
 *
 * Address: [b + x << scale + disp], x JREG_NONE: no index. JREG_FP as b is the frame pointer. */
#ifndef SKEP_JIT_JOP_H
#define SKEP_JIT_JOP_H
#include "base/base.h"

enum jop_code {
	J_NOP,
	/* d = a op (imm or b or memory): BINARY. Width by `wide`; a narrow result is zero-extended. */
	J_ADD, J_SUB, J_MUL, J_OR, J_AND, J_XOR, J_LSH, J_RSH, J_ARSH, J_ROL, J_DIV, J_MOD, J_SDIV, J_SMOD,
	/* d = op a: UNARY */
	J_MOV,   /* narrow: zero-extended */
	J_MOVSX, /* sign-extends the low `size` bytes to 64 (wide) or 32 bits */
	J_MOVZX, /* zero-extends the low 2 bytes */
	J_NEG,
	J_BSWAP, /* swaps the low `size` bytes, zero-extended */
	J_IMM,   /* d = imm */
	J_ADDRESS, /* d = relocated address: kind scale, index disp, addend imm */
	J_FUNC,  /* d = callback entry of subprogram imm */
	J_LEA,   /* d = address, 64 bits */
	J_SELECT, /* d = (a pred (b or imm)) ? x : d; x JREG_NONE: the constant disp */
	J_SETCC, /* d = a pred (b or imm) */
	J_LOAD,  /* d = memory of `size` bytes, zero-extended */
	J_LOADSX, /* d = memory, sign-extended to 64 bits */
	J_LOADBE, /* d = memory of 4 or 8 bytes, byte-swapped */
	J_STORE, /* memory = a, or imm with JF_IMM */
	J_RMW,   /* memory = memory op (a or imm): the operation in pred */
	J_ATOMIC, /* atomic operation imm (as in bytecode) on memory with a */
	J_PROBE, /* d = memory that may be absent (0 then), zero-extended; JF_SIGNED: sign-extended */
	J_JCC,   /* if (a pred (b, imm or memory)) goto block `target`, else on; JF_ABORT: metered */
	J_JMP,   /* goto block `target` */
	J_BARRIER, /* nothing behind it is executed, speculatively either, before all that is in front of it */
	J_METER, /* subtracts imm from the budget, ends the run when it is exhausted */
	J_MAY_GOTO,
	J_CALL,  /* helper imm through data plane symbol disp; JF_ABORT: test the status */
	J_LOCAL, /* subprogram imm */
	J_TAIL,  /* tail call */
	J_CPU,   /* r0 = run->cpu */
	J_ARRAY, /* d = address of the value of array maps[array] whose index is in memory, or 0; loses r1 … r5 */
	J_EXIT,
	JOP_CODES
};

/* Predicates, as BPF names them. */
enum jop_pred { P_EQ, P_NE, P_GT, P_GE, P_LT, P_LE, P_SGT, P_SGE, P_SLT, P_SLE, P_SET, P_CLEAR };
static inline u8 pred_invert(u8 p) {
	static const u8 inverse[] = {P_NE, P_EQ, P_LE, P_LT, P_GE, P_GT, P_SLE, P_SLT, P_SGE, P_SGT, P_CLEAR, P_SET};
	return inverse[p];
}
static inline u8 pred_swap(u8 p) {
	static const u8 swapped[] = {P_EQ, P_NE, P_LT, P_LE, P_GT, P_GE, P_SLT, P_SLE, P_SGT, P_SGE, P_SET, P_CLEAR};
	return swapped[p];
}

enum { JREG_FP = 10, JREG_SLOT = 11, JREGS = 16, JREG_NONE = 31 /* 1 << it is no register of a set */ };
enum { JF_IMM = 1, JF_MEM = 2, JF_ABORT = 4, JF_SIGNED = 8, JF_ZEXT = 16 /* the upper half of d is zero */,
       JF_A_ZEXT = 32 /* narrow division: that of a */ };

/* Immediates and displacements of machine operations are 32 bits, sign-extended. */
static inline bool fits_s32(s64 v) {
	return v == (s32)v;
}

struct jop {
	u8 code, flags, size, pred;
	bool wide;
	u8 d, a, b, x, scale;
	u16 live; /* registers read later: bit set, after this operation */
	s32 disp;
	u32 insn; /* xlated index */
	u64 imm;
	u32 target; /* block of a jump; J_ARRAY: entries */
	u32 meter;  /* metered JCC: cost of the jump taken; J_ARRAY: bytes from value to value (imm: from CPU to CPU) */
	u16 array;  /* J_ARRAY: map */
	/* Bookkeeping of fold.c: which definition each operand is, how often this one is used, what it replaced. */
	u16 va, vb, vx, vd, prev;
	u16 uses;
	u32 pad[1];
};
_Static_assert(sizeof(struct jop) == 64, "found by a shift");
#endif
