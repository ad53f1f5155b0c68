/* Reserved fields follow from ops.def: an instruction whose bits name no row uses something reserved. What is left here
 * is which sentence the kernel says about it, and when. Facts probed on Linux 6.18 (test/kernel/valid.c repeats it). */
#include "isa/valid.h"
#include "isa/decode.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static PRINTF(2, 3) int refuse(char *message, const char *format, ...) {
	if (message) {
		va_list args;
		va_start(args, format);
		vsnprintf(message, VALID_MESSAGE, format, args);
		va_end(args);
	}
	return -EINVAL;
}

/* Second slot and meaning of an lddw. Which map, variable or subprogram it names is not looked at. */
static int lddw(const struct bpf_insn *insn, u32 left, char *message) {
	if (left < 2 || insn[1].code || insn[1].dst_reg || insn[1].src_reg || insn[1].off)
		return refuse(message, "invalid bpf_ld_imm64 insn");
	bool map = insn->src_reg == BPF_PSEUDO_MAP_FD || insn->src_reg == BPF_PSEUDO_MAP_IDX;
	if (insn->src_reg > BPF_PSEUDO_MAP_IDX_VALUE || (map && insn[1].imm))
		return refuse(message, "unrecognized bpf_ld_imm64 insn");
	return 0;
}
static int opcodes(const struct bpf_insn *insn, u32 left, char *message) {
	u8 mode = BPF_MODE(insn->code);
	if (BPF_CLASS(insn->code) == BPF_LDX && ((mode != BPF_MEM && mode != BPF_MEMSX) || insn->imm))
		return refuse(message, "BPF_LDX uses reserved fields");
	if (insn_is_ldimm64(insn))
		return lddw(insn, left, message);
	if (!opcode_is_known(insn->code))
		return refuse(message, "unknown opcode %02x", insn->code);
	return 0;
}
static int atomic(const struct bpf_insn *insn, char *message) {
	struct bpf_insn widest = {.code = BPF_STX | BPF_ATOMIC | BPF_DW, .imm = insn->imm};
	if (!insn_decode_fields(&widest)) /* 64 bits have all operations */
		return refuse(message, "BPF_ATOMIC uses invalid atomic opcode %02x", (u32)insn->imm);
	if (!insn_decode_fields(insn))
		return refuse(message, "invalid atomic operand size");
	return 0;
}
static const char *reserved_message(const struct bpf_insn *insn) {
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		switch (BPF_OP(insn->code)) {
		case BPF_NEG:
			return "BPF_NEG uses reserved fields";
		case BPF_END:
			return "BPF_END uses reserved fields";
		case BPF_MOV:
			if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn->off == BPF_ADDR_SPACE_CAST)
				return "addr_space_cast insn can only convert between address space 1 and 0";
			return "BPF_MOV uses reserved fields";
		}
		return "BPF_ALU uses reserved fields";
	case BPF_LD:
		return insn_is_ldimm64(insn) ? "BPF_LD_IMM64 uses reserved fields"
		                             : "BPF_LD_[ABS|IND] uses reserved fields";
	case BPF_ST:
		return "BPF_ST uses reserved fields";
	case BPF_STX:
		return "BPF_STX uses reserved fields";
	case BPF_LDX:
		return "BPF_LDX uses reserved fields";
	}
	switch (BPF_OP(insn->code)) {
	case BPF_JA:
		return "BPF_JA uses reserved fields";
	case BPF_CALL:
		return "BPF_CALL uses reserved fields";
	case BPF_EXIT:
		return "BPF_EXIT uses reserved fields";
	}
	return "BPF_JMP/JMP32 uses reserved fields";
}
static bool is_conditional_jump(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_JA && op != BPF_CALL && op != BPF_EXIT &&
	       op != BPF_JCOND;
}
static int fields(const struct bpf_insn *insn, char *message) {
	if (BPF_CLASS(insn->code) == BPF_STX && BPF_MODE(insn->code) == BPF_ATOMIC)
		return atomic(insn, message);
	if (insn_decode_fields(insn) || is_conditional_jump(insn))
		return 0;
	if (insn->code == (BPF_JMP | BPF_JCOND))
		return refuse(message, "invalid may_goto imm %d", insn->imm);
	return refuse(message, "%s", reserved_message(insn));
}
static int after_dst(const struct bpf_insn *insn, char *message) {
	if (is_conditional_jump(insn) && !insn_decode_fields(insn))
		return refuse(message, "%s", reserved_message(insn));
	return 0;
}
static int operands(const struct bpf_insn *insn, char *message) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	if ((class != BPF_ALU && class != BPF_ALU64) || insn_reg_form(insn))
		return 0;
	if ((op == BPF_DIV || op == BPF_MOD) && !insn->imm)
		return refuse(message, "div by zero");
	if ((op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) && (u32)insn->imm >= (class == BPF_ALU ? 32 : 64))
		return refuse(message, "invalid shift %d", insn->imm);
	return 0;
}

/* VALID_ALL: the register numbers that the row uses, in the order in which the kernel looks at them. */
static int reg_valid(u32 reg, bool used, char *message) {
	return used && reg >= MAX_BPF_REG ? refuse(message, "R%u is invalid", reg) : 0;
}
static int all(const struct bpf_insn *insn, u32 left, char *message) {
	int r = opcodes(insn, left, message);
	if (r || (r = fields(insn, message)))
		return r;
	u32 uses = 0;
	enum bpf_op op = insn_decode_fields(insn);
	if (op)
		uses = op_rows[op].uses;
	if (uses & FIELD_OPERAND && insn_reg_form(insn))
		uses |= FIELD_SRC;
	if (is_conditional_jump(insn)) {
		if ((r = reg_valid(insn->dst_reg, true, message)) || (r = after_dst(insn, message)))
			return r;
	}
	if ((r = reg_valid(insn->src_reg, uses & FIELD_SRC, message)) ||
	    (r = reg_valid(insn->dst_reg, uses & FIELD_DST, message)))
		return r;
	return operands(insn, message);
}

int insn_valid(enum valid_phase phase, const struct bpf_insn *insns, u32 i, u32 n, char *message) {
	ASSERT(i < n);
	const struct bpf_insn *insn = &insns[i];
	switch (phase) {
	case VALID_OPCODES:
		return opcodes(insn, n - i, message);
	case VALID_FIELDS:
		return fields(insn, message);
	case VALID_AFTER_DST:
		return after_dst(insn, message);
	case VALID_OPERANDS:
		return operands(insn, message);
	case VALID_ALL:
		return all(insn, n - i, message);
	}
	ASSERT(!"a phase");
	return -EINVAL;
}
