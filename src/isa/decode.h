/* The rows of ops.def as an enumeration and a table, and the way from an instruction to its row and back.
 *
 *   struct bpf_insn ──insn_decode──► enum bpf_op ──op_row──► shape, operands, group, text
 *
 * insn_decode is total: every bit pattern gives a row or OP_BAD. It gives a row only when each field means something:
 * the opcode and the selecting field name the row, registers exist, and all reserved fields are zero. It looks at one
 * slot only; the second slot of an lddw has opcode 0 and decodes as OP_BAD, so walk a program with insn_slots. What the
 * kernel refuses for other reasons (division by an immediate zero, frame pointer written, targets) is valid.h's. */
#ifndef SKEP_ISA_DECODE_H
#define SKEP_ISA_DECODE_H
#include "isa/insn.h"

enum bpf_op {
	OP_BAD,
#define ROW(name, ...) OP_##name,
#include "isa/ops.def"
	OP_COUNT
};

enum op_shape { SHAPE_NONE, SHAPE_ALU, SHAPE_UNARY, SHAPE_JCC, SHAPE_JUMP, SHAPE_CALL, SHAPE_EXIT, SHAPE_LOAD,
                SHAPE_STORE, SHAPE_ATOMIC, SHAPE_LDDW, SHAPE_PACKET };
enum op_group { GROUP_BASE32, GROUP_BASE64, GROUP_DIVMUL32, GROUP_DIVMUL64, GROUP_ATOMIC32, GROUP_ATOMIC64,
                GROUP_PACKET, GROUP_LINUX, GROUP_CALLX };

/* Fields that carry operands, and registers read and written. Calls also write r1 to r5 (their values are lost) and
 * read those that the prototype names; packet loads read r6 and lose r1 to r5. */
enum {
	FIELD_DST = 1, FIELD_SRC = 2, FIELD_OFF = 4, FIELD_IMM = 8,
	FIELD_OPERAND = 16,  /* src when code has BPF_X, else imm */
	FIELD_NEXT_IMM = 32, /* imm of the second slot */
	READS_DST = 64, READS_SRC = 128, /* with FIELD_OPERAND: if it is a register */
	READS_R0 = 256, WRITES_DST = 512, WRITES_SRC = 1024, WRITES_R0 = 2048, LOSES_R1_R5 = 4096,
	IGNORES_OFF = 8192,  /* off means nothing, and yet Linux accepts any */
};
/* The sets that the rows use, by what they do. */
enum {
	USE_MODIFY = FIELD_DST | FIELD_OPERAND | READS_DST | READS_SRC | WRITES_DST,
	USE_SET = FIELD_DST | FIELD_OPERAND | READS_SRC | WRITES_DST,
	USE_SET_FROM = FIELD_DST | FIELD_SRC | READS_SRC | WRITES_DST,
	USE_CAST = USE_SET_FROM | FIELD_IMM,
	USE_SELF = FIELD_DST | READS_DST | WRITES_DST,
	USE_COMPARE = FIELD_DST | FIELD_OPERAND | FIELD_OFF | READS_DST | READS_SRC,
	USE_FIELD_OFF = FIELD_OFF,
	USE_FIELD_IMM = FIELD_IMM,
	USE_CALL = FIELD_IMM | WRITES_R0 | LOSES_R1_R5,
	USE_CALL_KFUNC = USE_CALL | FIELD_OFF,
	USE_CALL_REG = FIELD_DST | READS_DST | WRITES_R0 | LOSES_R1_R5,
	USE_EXIT = READS_R0 | IGNORES_OFF,
	USE_LOAD = FIELD_DST | FIELD_SRC | FIELD_OFF | READS_SRC | WRITES_DST,
	USE_STORE = FIELD_DST | FIELD_SRC | FIELD_OFF | READS_DST | READS_SRC,
	USE_STORE_IMM = FIELD_DST | FIELD_IMM | FIELD_OFF | READS_DST,
	USE_FETCH = USE_STORE | WRITES_SRC,
	USE_FETCH0 = USE_STORE | READS_R0 | WRITES_R0,
	USE_WIDE = FIELD_DST | FIELD_IMM | WRITES_DST,
	USE_WIDE_2 = USE_WIDE | FIELD_NEXT_IMM,
	USE_PACKET = FIELD_IMM | WRITES_R0 | LOSES_R1_R5,
	USE_PACKET_SRC = USE_PACKET | FIELD_SRC | READS_SRC,
};

struct op_row {
	const char *name, *text;
	u16 uses; /* FIELD_…, READS_…, WRITES_… */
	u16 sel;
	u8 code, shape, group, cpu;
};
extern const struct op_row op_rows[OP_COUNT];
const char *op_group_name(enum op_group group);

enum bpf_op insn_decode(const struct bpf_insn *insn);
/* The same without the check of register numbers, which the kernel makes later. */
enum bpf_op insn_decode_fields(const struct bpf_insn *insn);
/* Most instructions at a glance: a row that kernels have, with selector 0, and nothing in reserved fields. What is not
 * plain may be valid all the same. */
extern const u64 insn_reserved[257];
static inline bool insn_is_plain(const struct bpf_insn *insn) {
	u64 bits;
	__builtin_memcpy(&bits, insn, sizeof bits);
	return insn->code && !(bits & insn_reserved[insn->code]);
}
/* Is there a row, among those that kernels have, with this opcode byte? */
bool opcode_is_known(u8 code);

/* The row's instruction with these operands; fields that are not operands of the row are filled from the row (selector)
 * or zero. reg_form chooses the register operand in ALU and JCC rows. An lddw needs insn_encode_next for its second
 * slot. */
struct bpf_insn insn_encode(enum bpf_op op, bool reg_form, u8 dst, u8 src, s16 off, s32 imm);

/* What the selecting field of this instruction holds; 0 where the opcode has none. */
static inline u32 insn_selector(const struct bpf_insn *insn) {
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return BPF_OP(insn->code) == BPF_END ? (u32)insn->imm : (u16)insn->off;
	case BPF_JMP:
		return BPF_OP(insn->code) == BPF_CALL || BPF_OP(insn->code) == BPF_JCOND ? insn->src_reg : 0;
	case BPF_LD:
		return insn->code == BPF_LD_IMM64 ? insn->src_reg : 0;
	case BPF_STX:
		return BPF_MODE(insn->code) == BPF_ATOMIC ? (u32)insn->imm : 0;
	}
	return 0;
}
/* 2 for an lddw, else 1. */
static inline u32 insn_slots(const struct bpf_insn *insn) {
	return 1 + (insn->code == BPF_LD_IMM64);
}
/* ALU and JCC rows: is the operand a register? */
static inline bool insn_reg_form(const struct bpf_insn *insn) {
	return BPF_SRC(insn->code) == BPF_X;
}
static inline struct bpf_insn insn_encode_next(s32 imm) {
	return (struct bpf_insn){.imm = imm};
}
/* The 64-bit immediate of an lddw. */
static inline u64 insn_imm64(const struct bpf_insn *insn) {
	return (u64)(u32)insn[1].imm << 32 | (u32)insn[0].imm;
}
#endif
