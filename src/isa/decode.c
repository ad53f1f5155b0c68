/* From instruction to row and back. Rows whose selector is 0 lie in a table indexed by the opcode byte; the others
 * (about a third, and rare in programs) go through a switch over opcode and selector that the compiler makes of the
 * rows. Two rows with the same opcode and selector do not compile. */
#include "isa/decode.h"
#include <string.h>

const struct op_row op_rows[OP_COUNT] = {
    [OP_BAD] = {.name = "BAD"},
#define OP_ENTRY(name_, shape_, code_, sel_, group_, cpu_, operands_, text_)                                           \
	[OP_##name_] = {                                                                                               \
	    .name = #name_,                                                                                            \
	    .text = text_,                                                                                             \
	    .uses = USE_##operands_,                                                                                   \
	    .sel = sel_,                                                                                               \
	    .code = code_,                                                                                             \
	    .shape = shape_,                                                                                           \
	    .group = GROUP_##group_,                                                                                   \
	    .cpu = cpu_,                                                                                               \
	},
#define ROW_ALU(name, ...) OP_ENTRY(name, SHAPE_ALU, __VA_ARGS__)
#define ROW_UNARY(name, ...) OP_ENTRY(name, SHAPE_UNARY, __VA_ARGS__)
#define ROW_JCC(name, ...) OP_ENTRY(name, SHAPE_JCC, __VA_ARGS__)
#define ROW_JUMP(name, ...) OP_ENTRY(name, SHAPE_JUMP, __VA_ARGS__)
#define ROW_CALL(name, ...) OP_ENTRY(name, SHAPE_CALL, __VA_ARGS__)
#define ROW_EXIT(name, ...) OP_ENTRY(name, SHAPE_EXIT, __VA_ARGS__)
#define ROW_LOAD(name, ...) OP_ENTRY(name, SHAPE_LOAD, __VA_ARGS__)
#define ROW_STORE(name, ...) OP_ENTRY(name, SHAPE_STORE, __VA_ARGS__)
#define ROW_ATOMIC(name, ...) OP_ENTRY(name, SHAPE_ATOMIC, __VA_ARGS__)
#define ROW_LDDW(name, ...) OP_ENTRY(name, SHAPE_LDDW, __VA_ARGS__)
#define ROW_PACKET(name, ...) OP_ENTRY(name, SHAPE_PACKET, __VA_ARGS__)
#include "isa/ops.def"
};

const char *op_group_name(enum op_group group) {
	static const char *const names[] = {"base32",   "base64", "divmul32", "divmul64", "atomic32",
	                                    "atomic64", "packet", "linux",    "callx"};
	return group < ARRAY_SIZE(names) ? names[group] : "?";
}

/* Rows with selector 0. A row that has another one is written to the spare entry at the end. */
static const u8 unselected[257] = {
#define ROW(name, code, sel, ...) [(sel) ? 256 : (code)] = (sel) ? OP_BAD : OP_##name,
#define ROW_WITH_OPERAND(name, code, sel, ...)                                                                         \
	[(sel) ? 256 : (code)] = (sel) ? OP_BAD : OP_##name, [(sel) ? 256 : (code) | BPF_X] = (sel) ? OP_BAD : OP_##name,
#define ROW_ALU ROW_WITH_OPERAND
#define ROW_JCC ROW_WITH_OPERAND
#include "isa/ops.def"
#undef ROW_WITH_OPERAND
};
STATIC_ASSERT(OP_COUNT <= 256, "an operation fits a byte");

#define KEY(code, sel) ((u32)(code) << 16 | (u32)(sel))

static enum bpf_op find(u8 code, u32 sel) {
	if (!sel)
		return unselected[code];
	if (sel > 0xffff)
		return OP_BAD;
	switch (KEY(code, sel)) {
#define ROW(name, code, sel, ...)                                                                                      \
	case KEY(code, sel):                                                                                           \
		return OP_##name;
#define ROW_WITH_OPERAND(name, code, sel, ...)                                                                         \
	case KEY(code, sel):                                                                                           \
	case KEY((code) | BPF_X, sel):                                                                                 \
		return OP_##name;
#define ROW_ALU ROW_WITH_OPERAND
#define ROW_JCC ROW_WITH_OPERAND
#include "isa/ops.def"
#undef ROW_WITH_OPERAND
	}
	return OP_BAD;
}

/* Which of the four fields selects among the rows of an opcode: it is neither an operand nor reserved. */
#define SELECTING(code)                                                                                                \
	(BPF_CLASS(code) == BPF_ALU || BPF_CLASS(code) == BPF_ALU64 ? BPF_OP(code) == BPF_END ? FIELD_IMM : FIELD_OFF  \
	 : BPF_CLASS(code) == BPF_STX && BPF_MODE(code) == BPF_ATOMIC ? FIELD_IMM                                      \
	 : (code) == (BPF_JMP | BPF_CALL) || (code) == (BPF_JMP | BPF_JCOND) || (code) == BPF_LD_IMM64 ? FIELD_SRC     \
	                                                                                                : 0)
/* The fields in which a row may have something, in its immediate or register form. */
#define OPERANDS(uses, reg)                                                                                            \
	((uses) | ((uses) & FIELD_OPERAND ? (reg) ? FIELD_SRC : FIELD_IMM : 0) | ((uses) & IGNORES_OFF ? FIELD_OFF : 0))
/* The bits of an instruction, taken as one little-endian word, that must be zero. */
#define RESERVED_BITS(fields)                                                                                          \
	(((fields) & FIELD_DST ? 0 : 0xf00ull) | ((fields) & FIELD_SRC ? 0 : 0xf000ull) |                              \
	 ((fields) & FIELD_OFF ? 0 : 0xffffull << 16) | ((fields) & FIELD_IMM ? 0 : 0xffffffffull << 32))
#define RESERVED(code, uses, reg) RESERVED_BITS(OPERANDS(uses, reg) | SELECTING(code))

static const u64 reserved[OP_COUNT][2] = {
#define ROW(name, code, sel, group, cpu, operands, text)                                                               \
	[OP_##name] = {RESERVED(code, USE_##operands, false), RESERVED(code, USE_##operands, true)},
#include "isa/ops.def"
};

/* By opcode; all bits where no row has selector 0. Rows that have another one are written to the spare entry. */
#define PLAIN(code, uses, reg) RESERVED_BITS(OPERANDS(uses, reg) & ~(u32)SELECTING(code))
const u64 insn_reserved[257] = {
    [0 ... 255] = ~0ull,
#define ROW(name, code, sel, group, cpu, operands, text)                                                               \
	[(sel) ? 256 : (code)] = PLAIN(code, USE_##operands, BPF_SRC(code) == BPF_X),
#define ROW_ALU(name, code, sel, group, cpu, operands, text)                                                           \
	[(sel) ? 256 : (code)] = PLAIN(code, USE_##operands, false),                                                   \
	[(sel) ? 256 : (code) | BPF_X] = PLAIN(code, USE_##operands, true),
#define ROW_JCC ROW_ALU
#include "isa/ops.def"
    [BPF_JMP | BPF_CALL | BPF_X] = ~0ull, /* callx: in no kernel */
};

bool opcode_is_known(u8 code) {
	static const bool known[256] = {
#define ROW(name, code, ...) [code] = true,
#define ROW_ALU(name, code, ...) [code] = true, [(code) | BPF_X] = true,
#define ROW_JCC ROW_ALU
#include "isa/ops.def"
	    [BPF_JMP | BPF_CALL | BPF_X] = false, /* callx: in no kernel */
	};
	return known[code];
}

enum bpf_op insn_decode_fields(const struct bpf_insn *insn) {
	u64 bits;
	memcpy(&bits, insn, sizeof bits);
	enum bpf_op op = find(insn->code, insn_selector(insn));
	if (bits & reserved[op][insn_reg_form(insn)])
		return OP_BAD;
	if (op == OP_ADDR_SPACE_CAST && insn->imm != 1 && insn->imm != 1 << 16)
		return OP_BAD;
	return op;
}

enum bpf_op insn_decode(const struct bpf_insn *insn) {
	enum bpf_op op = insn_decode_fields(insn);
	bool src_is_reg = OPERANDS(op_rows[op].uses, insn_reg_form(insn)) & FIELD_SRC;
	if (insn->dst_reg >= MAX_BPF_REG || (src_is_reg && insn->src_reg >= MAX_BPF_REG))
		return OP_BAD;
	return op;
}

struct bpf_insn insn_encode(enum bpf_op op, bool reg_form, u8 dst, u8 src, s16 off, s32 imm) {
	ASSERT(op > OP_BAD && op < OP_COUNT);
	const struct op_row *row = &op_rows[op];
	struct bpf_insn insn = {.code = row->code};
	u32 fields = OPERANDS(row->uses & ~IGNORES_OFF, reg_form);
	if (fields & FIELD_OPERAND)
		insn.code |= reg_form ? BPF_X : BPF_K;
	switch (SELECTING(row->code)) {
	case FIELD_SRC:
		insn.src_reg = row->sel;
		break;
	case FIELD_OFF:
		insn.off = row->sel;
		break;
	case FIELD_IMM:
		insn.imm = row->sel;
		break;
	}
	if (fields & FIELD_DST)
		insn.dst_reg = dst;
	if (fields & FIELD_SRC)
		insn.src_reg = src;
	if (fields & FIELD_OFF)
		insn.off = off;
	if (fields & FIELD_IMM)
		insn.imm = imm;
	return insn;
}
