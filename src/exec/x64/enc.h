/* Pure encoders of x86-64 instructions: bytes in, bytes out, no state.
 *
 * Every function writes one instruction at p and returns the first byte after it (at most X64_MAX_INSN). Operand sizes
 * are a bool `w`: true = 64 bits, false = 32. Operand order is Intel's: destination first. Nothing here knows BPF.
 *
 *     [lock][66] [REX 0100WRXB] opcode [modrm mod:2 reg:3 rm:3] [sib scale:2 index:3 base:3] [disp] [imm]
 *
 * The traps of the format, handled in one place each: a base of rsp or r12 needs a SIB byte, a base of rbp or r13 needs
 * a displacement (x64_modrm_mem); byte registers spl, bpl, sil, dil need an empty REX prefix (x64_rex_byte).
 * Source: Intel SDM volume 2. Test: test/unit/exec_enc.c decodes everything with Zydis. */
#ifndef SKEP_X64_ENC_H
#define SKEP_X64_ENC_H
#include "base/base.h"

enum x64_reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, X64_NOREG = 0xff };
enum { X64_MAX_INSN = 16 };

/* Group 1 arithmetic: also the /digit of the immediate forms. */
enum x64_alu { X64_ADD, X64_OR, X64_ADC, X64_SBB, X64_AND, X64_SUB, X64_XOR, X64_CMP };
/* Group 2 shifts. */
enum x64_shift { X64_ROL, X64_ROR, X64_SHL = 4, X64_SHR = 5, X64_SAR = 7 };
/* Group 3 unary. */
enum x64_unary { X64_NOT = 2, X64_NEG, X64_MUL, X64_IMUL, X64_DIV, X64_IDIV };
enum x64_cc { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

/* [base + index << scale + disp]; index X64_NOREG: none. */
struct x64_mem {
	u8 base, index, scale;
	s32 disp;
};
#define X64_MEM(b, d) ((struct x64_mem){.base = (b), .index = X64_NOREG, .disp = (d)})

static inline u8 *x64_u8(u8 *p, u8 v) {
	*p = v;
	return p + 1;
}
static inline u8 *x64_u32(u8 *p, u32 v) {
	__builtin_memcpy(p, &v, 4);
	return p + 4;
}
static inline u8 *x64_u64(u8 *p, u64 v) {
	__builtin_memcpy(p, &v, 8);
	return p + 8;
}
static inline bool x64_fits8(s64 v) {
	return v == (s8)v;
}
static inline bool x64_fits32(s64 v) {
	return v == (s32)v;
}

static inline u8 *x64_rex(u8 *p, bool w, u32 reg, u32 index, u32 base) {
	u8 rex = (u8)(w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1));
	if (rex)
		*p++ = 0x40 | rex;
	return p;
}
/* For an instruction that names byte register `byte` (in reg or rm). */
static inline u8 *x64_rex_byte(u8 *p, bool w, u32 reg, u32 index, u32 base, u32 byte) {
	if (byte >= RSP && byte <= RDI && !((reg | index | base) & 8) && !w)
		return x64_u8(p, 0x40);
	return x64_rex(p, w, reg, index, base);
}
static inline u8 *x64_modrm_reg(u8 *p, u32 reg, u32 rm) {
	return x64_u8(p, (u8)(0xc0 | (reg & 7) << 3 | (rm & 7)));
}
static inline u32 x64_index_of(struct x64_mem m) {
	return m.index == X64_NOREG ? 0 : m.index;
}
static inline u8 *x64_modrm_mem(u8 *p, u32 reg, struct x64_mem m) {
	bool sib = m.index != X64_NOREG || (m.base & 7) == RSP;
	u32 mod = m.disp == 0 && (m.base & 7) != RBP ? 0 : x64_fits8(m.disp) ? 1 : 2;
	ASSERT_DEBUG(m.index != RSP);
	p = x64_u8(p, (u8)(mod << 6 | (reg & 7) << 3 | (sib ? RSP : m.base & 7)));
	if (sib)
		p = x64_u8(p, (u8)((m.index == X64_NOREG ? 0 : m.scale) << 6 |
		                   (m.index == X64_NOREG ? RSP : m.index & 7) << 3 | (m.base & 7)));
	if (mod == 1)
		p = x64_u8(p, (u8)m.disp);
	if (mod == 2)
		p = x64_u32(p, (u32)m.disp);
	return p;
}

/* One-byte and 0f opcodes with a register or memory operand. An opcode over 0xff means 0f xx. */
static inline u8 *x64_opcode(u8 *p, u32 op) {
	if (op > 0xff)
		*p++ = 0x0f;
	return x64_u8(p, (u8)op);
}
static inline u8 *x64_op_rr(u8 *p, bool w, u32 op, u32 reg, u32 rm) {
	return x64_modrm_reg(x64_opcode(x64_rex(p, w, reg, 0, rm), op), reg, rm);
}
static inline u8 *x64_op_rm(u8 *p, bool w, u32 op, u32 reg, struct x64_mem m) {
	return x64_modrm_mem(x64_opcode(x64_rex(p, w, reg, x64_index_of(m), m.base), op), reg, m);
}

static inline u8 *x64_alu_rr(u8 *p, bool w, enum x64_alu op, u32 d, u32 s) {
	return x64_op_rr(p, w, op << 3 | 1, s, d);
}
static inline u8 *x64_alu_rm(u8 *p, bool w, enum x64_alu op, u32 d, struct x64_mem m) {
	return x64_op_rm(p, w, op << 3 | 3, d, m);
}
static inline u8 *x64_alu_ri(u8 *p, bool w, enum x64_alu op, u32 d, s32 imm) {
	if (x64_fits8(imm))
		return x64_u8(x64_op_rr(p, w, 0x83, op, d), (u8)imm);
	if (d == RAX)
		return x64_u32(x64_u8(x64_rex(p, w, 0, 0, 0), (u8)(op << 3 | 5)), (u32)imm);
	return x64_u32(x64_op_rr(p, w, 0x81, op, d), (u32)imm);
}
/* Arithmetic on memory: size 1, 2, 4 or 8 bytes. */
static inline u8 *x64_alu_mr(u8 *p, u32 size, enum x64_alu op, struct x64_mem m, u32 s) {
	if (size == 2)
		*p++ = 0x66;
	if (size > 1)
		return x64_op_rm(p, size == 8, op << 3 | 1, s, m);
	p = x64_rex_byte(p, false, s, x64_index_of(m), m.base, s);
	return x64_modrm_mem(x64_u8(p, (u8)(op << 3)), s, m);
}
static inline u8 *x64_alu_mi(u8 *p, u32 size, enum x64_alu op, struct x64_mem m, s32 imm) {
	if (size == 2)
		*p++ = 0x66;
	if (size == 1)
		return x64_u8(x64_op_rm(p, false, 0x80, op, m), (u8)imm);
	if (x64_fits8(imm))
		return x64_u8(x64_op_rm(p, size == 8, 0x83, op, m), (u8)imm);
	p = x64_op_rm(p, size == 8, 0x81, op, m);
	if (size > 2)
		return x64_u32(p, (u32)imm);
	return x64_u8(x64_u8(p, (u8)imm), (u8)(imm >> 8));
}
/* lock add|or|and|xor [m], s comes after this prefix. */
static inline u8 *x64_lock(u8 *p) {
	return x64_u8(p, 0xf0);
}
static inline u8 *x64_test_rr(u8 *p, bool w, u32 a, u32 b) {
	return x64_op_rr(p, w, 0x85, b, a);
}
static inline u8 *x64_test_ri(u8 *p, bool w, u32 a, s32 imm) {
	if (w && imm >= 0)
		w = false; /* the upper half of the mask is zero: the sign of a 32-bit result is not looked at */
	if (a < 4 && imm >= 0 && imm < 128) {
		p = a == RAX ? x64_u8(p, 0xa8) : x64_modrm_reg(x64_u8(p, 0xf6), 0, a);
		return x64_u8(p, (u8)imm);
	}
	return x64_u32(x64_op_rr(p, w, 0xf7, 0, a), (u32)imm);
}
static inline u8 *x64_test_mi(u8 *p, u32 size, struct x64_mem m, s32 imm) {
	ASSERT_DEBUG(size == 1 || size == 4 || size == 8);
	p = x64_op_rm(p, size == 8, size == 1 ? 0xf6 : 0xf7, 0, m);
	return size == 1 ? x64_u8(p, (u8)imm) : x64_u32(p, (u32)imm);
}

static inline u8 *x64_mov_rr(u8 *p, bool w, u32 d, u32 s) {
	return x64_op_rr(p, w, 0x89, s, d);
}
/* The shortest form that leaves the 64-bit value v in d. Never touches flags. */
static inline u8 *x64_mov_ri(u8 *p, u32 d, u64 v) {
	if (v == (u32)v)
		return x64_u32(x64_u8(x64_rex(p, false, 0, 0, d), (u8)(0xb8 | (d & 7))), (u32)v);
	if (x64_fits32((s64)v))
		return x64_u32(x64_op_rr(p, true, 0xc7, 0, d), (u32)v);
	return x64_u64(x64_u8(x64_rex(p, true, 0, 0, d), (u8)(0xb8 | (d & 7))), v);
}
/* mov d, imm64 whose last 8 bytes are the field of a relocation. */
static inline u8 *x64_mov_ri64(u8 *p, u32 d, u64 v) {
	return x64_u64(x64_u8(x64_rex(p, true, 0, 0, d), (u8)(0xb8 | (d & 7))), v);
}
static inline u8 *x64_zero(u8 *p, u32 d) {
	return x64_alu_rr(p, false, X64_XOR, d, d);
}
static inline u8 *x64_movzx_rr(u8 *p, u32 d, u32 s, u32 size) {
	ASSERT_DEBUG(size == 1 || size == 2);
	if (size == 2)
		return x64_op_rr(p, false, 0x1b7, d, s);
	p = x64_rex_byte(p, false, d, 0, s, s);
	return x64_modrm_reg(x64_opcode(p, 0x1b6), d, s);
}
static inline u8 *x64_movsx_rr(u8 *p, bool w, u32 d, u32 s, u32 size) {
	if (size == 4)
		return x64_op_rr(p, w, 0x63, d, s);
	if (size == 2)
		return x64_op_rr(p, w, 0x1bf, d, s);
	p = x64_rex_byte(p, w, d, 0, s, s);
	return x64_modrm_reg(x64_opcode(p, 0x1be), d, s);
}
/* Loads zero-extend to 64 bits, or sign-extend to 64 bits. */
static inline u8 *x64_load(u8 *p, u32 d, struct x64_mem m, u32 size) {
	return size >= 4 ? x64_op_rm(p, size == 8, 0x8b, d, m) : x64_op_rm(p, false, size == 2 ? 0x1b7 : 0x1b6, d, m);
}
static inline u8 *x64_load_sx(u8 *p, u32 d, struct x64_mem m, u32 size) {
	return x64_op_rm(p, true, size == 8 ? 0x8b : size == 4 ? 0x63 : size == 2 ? 0x1bf : 0x1be, d, m);
}
static inline u8 *x64_store(u8 *p, struct x64_mem m, u32 s, u32 size) {
	if (size == 2)
		*p++ = 0x66;
	if (size > 1)
		return x64_op_rm(p, size == 8, 0x89, s, m);
	p = x64_rex_byte(p, false, s, x64_index_of(m), m.base, s);
	return x64_modrm_mem(x64_u8(p, 0x88), s, m);
}
static inline u8 *x64_store_imm(u8 *p, struct x64_mem m, s32 imm, u32 size) {
	if (size == 2)
		*p++ = 0x66;
	p = x64_op_rm(p, size == 8, size == 1 ? 0xc6 : 0xc7, 0, m);
	if (size >= 4)
		return x64_u32(p, (u32)imm);
	p = x64_u8(p, (u8)imm);
	return size == 2 ? x64_u8(p, (u8)(imm >> 8)) : p;
}
static inline u8 *x64_lea(u8 *p, bool w, u32 d, struct x64_mem m) {
	return x64_op_rm(p, w, 0x8d, d, m);
}

static inline u8 *x64_imul_rr(u8 *p, bool w, u32 d, u32 s) {
	return x64_op_rr(p, w, 0x1af, d, s);
}
static inline u8 *x64_imul_rm(u8 *p, bool w, u32 d, struct x64_mem m) {
	return x64_op_rm(p, w, 0x1af, d, m);
}
static inline u8 *x64_imul_rri(u8 *p, bool w, u32 d, u32 s, s32 imm) {
	if (x64_fits8(imm))
		return x64_u8(x64_op_rr(p, w, 0x6b, d, s), (u8)imm);
	return x64_u32(x64_op_rr(p, w, 0x69, d, s), (u32)imm);
}
static inline u8 *x64_unary(u8 *p, bool w, enum x64_unary op, u32 d) {
	return x64_op_rr(p, w, 0xf7, op, d);
}
static inline u8 *x64_shift_ri(u8 *p, bool w, enum x64_shift op, u32 d, u8 n) {
	if (n == 1)
		return x64_op_rr(p, w, 0xd1, op, d);
	return x64_u8(x64_op_rr(p, w, 0xc1, op, d), n);
}
static inline u8 *x64_shift_cl(u8 *p, bool w, enum x64_shift op, u32 d) {
	return x64_op_rr(p, w, 0xd3, op, d);
}
/* rol d16, 8: swaps the two low bytes. */
static inline u8 *x64_swap16(u8 *p, u32 d) {
	*p++ = 0x66;
	return x64_u8(x64_op_rr(p, false, 0xc1, X64_ROL, d), 8);
}
static inline u8 *x64_lfence(u8 *p) {
	return x64_u8(x64_u8(x64_u8(p, 0x0f), 0xae), 0xe8);
}
static inline u8 *x64_bswap(u8 *p, bool w, u32 d) {
	p = x64_rex(p, w, 0, 0, d);
	return x64_u8(x64_u8(p, 0x0f), (u8)(0xc8 | (d & 7)));
}
/* movbe d, [m]: a byte-swapped load of 4 or 8 bytes. */
static inline u8 *x64_movbe(u8 *p, bool w, u32 d, struct x64_mem m) {
	p = x64_rex(p, w, d, x64_index_of(m), m.base);
	return x64_modrm_mem(x64_u8(x64_u8(x64_u8(p, 0x0f), 0x38), 0xf0), d, m);
}
static inline u8 *x64_cqo(u8 *p, bool w) {
	return x64_u8(x64_rex(p, w, 0, 0, 0), 0x99);
}
static inline u8 *x64_cmov(u8 *p, bool w, enum x64_cc cc, u32 d, u32 s) {
	return x64_op_rr(p, w, 0x140 | cc, d, s);
}
static inline u8 *x64_setcc(u8 *p, enum x64_cc cc, u32 d) {
	p = x64_rex_byte(p, false, 0, 0, d, d);
	return x64_modrm_reg(x64_opcode(p, 0x190 | cc), 0, d);
}
static inline u8 *x64_xchg_mr(u8 *p, bool w, struct x64_mem m, u32 s) {
	return x64_op_rm(p, w, 0x87, s, m);
}
static inline u8 *x64_xadd_mr(u8 *p, bool w, struct x64_mem m, u32 s) {
	return x64_op_rm(p, w, 0x1c1, s, m);
}
static inline u8 *x64_cmpxchg_mr(u8 *p, bool w, struct x64_mem m, u32 s) {
	return x64_op_rm(p, w, 0x1b1, s, m);
}

/* VEX three-byte prefix of the BMI2 instructions: map 2 = 0f38, 3 = 0f3a; pp 1 = 66, 2 = f3, 3 = f2. */
static inline u8 *x64_vex(u8 *p, u32 map, bool w, u32 pp, u32 reg, u32 v, u32 rm) {
	p = x64_u8(p, 0xc4);
	p = x64_u8(p, (u8)((~reg >> 3 & 1) << 7 | 1 << 6 | (~rm >> 3 & 1) << 5 | map));
	return x64_u8(p, (u8)(w << 7 | (~v & 15) << 3 | pp));
}
/* shlx, shrx, sarx d, s, count. */
static inline u8 *x64_shiftx(u8 *p, bool w, enum x64_shift op, u32 d, u32 s, u32 count) {
	ASSERT_DEBUG(op == X64_SHL || op == X64_SHR || op == X64_SAR);
	p = x64_vex(p, 2, w, op == X64_SHL ? 1 : op == X64_SAR ? 2 : 3, d, count, s);
	return x64_modrm_reg(x64_u8(p, 0xf7), d, s);
}
static inline u8 *x64_rorx(u8 *p, bool w, u32 d, u32 s, u8 n) {
	p = x64_vex(p, 3, w, 3, d, 0, s);
	return x64_u8(x64_modrm_reg(x64_u8(p, 0xf0), d, s), n);
}
/* hi:lo = rdx * s */
static inline u8 *x64_mulx(u8 *p, bool w, u32 hi, u32 lo, u32 s) {
	return x64_modrm_reg(x64_u8(x64_vex(p, 2, w, 3, hi, lo, s), 0xf6), hi, s);
}

static inline u8 *x64_push(u8 *p, u32 r) {
	return x64_u8(x64_rex(p, false, 0, 0, r), (u8)(0x50 | (r & 7)));
}
static inline u8 *x64_pop(u8 *p, u32 r) {
	return x64_u8(x64_rex(p, false, 0, 0, r), (u8)(0x58 | (r & 7)));
}
static inline u8 *x64_ret(u8 *p) {
	return x64_u8(p, 0xc3);
}
static inline u8 *x64_jmp_r(u8 *p, u32 r) {
	return x64_op_rr(p, false, 0xff, 4, r);
}
static inline u8 *x64_call_r(u8 *p, u32 r) {
	return x64_op_rr(p, false, 0xff, 2, r);
}
/* Jumps by displacement from the end of the instruction. */
static inline u8 *x64_jmp8(u8 *p, s32 rel) {
	return x64_u8(x64_u8(p, 0xeb), (u8)rel);
}
static inline u8 *x64_jmp32(u8 *p, s32 rel) {
	return x64_u32(x64_u8(p, 0xe9), (u32)rel);
}
static inline u8 *x64_jcc8(u8 *p, enum x64_cc cc, s32 rel) {
	return x64_u8(x64_u8(p, (u8)(0x70 | cc)), (u8)rel);
}
static inline u8 *x64_jcc32(u8 *p, enum x64_cc cc, s32 rel) {
	return x64_u32(x64_u8(x64_u8(p, 0x0f), (u8)(0x80 | cc)), (u32)rel);
}
static inline u8 *x64_call32(u8 *p, s32 rel) {
	return x64_u32(x64_u8(p, 0xe8), (u32)rel);
}
/* Operands at a displacement from the end of the instruction. */
static inline u8 *x64_call_rip(u8 *p, s32 rel) {
	return x64_u32(x64_u8(x64_u8(p, 0xff), 0x15), (u32)rel);
}
static inline u8 *x64_lea_rip(u8 *p, u32 d, s32 rel) {
	p = x64_u8(x64_rex(p, true, d, 0, 0), 0x8d);
	return x64_u32(x64_u8(p, (u8)((d & 7) << 3 | 5)), (u32)rel);
}
/* n bytes of nothing, in few instructions. */
static inline u8 *x64_nops(u8 *p, u32 n) {
	static const u8 nops[9][9] = {{0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0}, {0x0f, 0x1f, 0x40, 0},
	                              {0x0f, 0x1f, 0x44, 0, 0}, {0x66, 0x0f, 0x1f, 0x44, 0, 0},
	                              {0x0f, 0x1f, 0x80, 0, 0, 0, 0}, {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
	                              {0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}};
	for (; n; n -= MIN(n, 9u)) {
		__builtin_memcpy(p, nops[MIN(n, 9u) - 1], MIN(n, 9u));
		p += MIN(n, 9u);
	}
	return p;
}
#endif
