/* One eBPF instruction as it lies in memory, and the names of its fields (RFC 9669; names as in Linux's uapi). */
#ifndef SKEP_ISA_INSN_H
#define SKEP_ISA_INSN_H
#include "base/base.h"

struct bpf_insn {
	u8 code;        /* class, and operation and source, or mode and size */
	u8 dst_reg : 4; /* little-endian hosts; big-endian ones are not supported */
	u8 src_reg : 4;
	s16 off;
	s32 imm;
};
STATIC_ASSERT(sizeof(struct bpf_insn) == 8, "the instruction format is fixed");

enum { BPF_REG_0, BPF_REG_1, BPF_REG_2, BPF_REG_3, BPF_REG_4, BPF_REG_5, BPF_REG_6, BPF_REG_7, BPF_REG_8, BPF_REG_9,
       BPF_REG_10, MAX_BPF_REG, BPF_REG_FP = BPF_REG_10 };

#define BPF_CLASS(code) ((code) & 0x07)
enum { BPF_LD = 0x00, BPF_LDX = 0x01, BPF_ST = 0x02, BPF_STX = 0x03, BPF_ALU = 0x04, BPF_JMP = 0x05, BPF_JMP32 = 0x06,
       BPF_ALU64 = 0x07 };

#define BPF_SIZE(code) ((code) & 0x18)
enum { BPF_W = 0x00, BPF_H = 0x08, BPF_B = 0x10, BPF_DW = 0x18 };
#define BPF_MODE(code) ((code) & 0xe0)
enum { BPF_IMM = 0x00, BPF_ABS = 0x20, BPF_IND = 0x40, BPF_MEM = 0x60, BPF_MEMSX = 0x80, BPF_ATOMIC = 0xc0 };

#define BPF_OP(code) ((code) & 0xf0)
enum { BPF_ADD = 0x00, BPF_SUB = 0x10, BPF_MUL = 0x20, BPF_DIV = 0x30, BPF_OR = 0x40, BPF_AND = 0x50, BPF_LSH = 0x60,
       BPF_RSH = 0x70, BPF_NEG = 0x80, BPF_MOD = 0x90, BPF_XOR = 0xa0, BPF_MOV = 0xb0, BPF_ARSH = 0xc0, BPF_END = 0xd0 };
enum { BPF_JA = 0x00, BPF_JEQ = 0x10, BPF_JGT = 0x20, BPF_JGE = 0x30, BPF_JSET = 0x40, BPF_JNE = 0x50, BPF_JSGT = 0x60,
       BPF_JSGE = 0x70, BPF_CALL = 0x80, BPF_EXIT = 0x90, BPF_JLT = 0xa0, BPF_JLE = 0xb0, BPF_JSLT = 0xc0,
       BPF_JSLE = 0xd0, BPF_JCOND = 0xe0 };
#define BPF_SRC(code) ((code) & 0x08)
enum { BPF_K = 0x00, BPF_X = 0x08 };
enum { BPF_TO_LE = 0x00, BPF_TO_BE = 0x08 };

/* Atomic operations (imm). */
enum { BPF_FETCH = 0x01, BPF_XCHG = 0xe0 | BPF_FETCH, BPF_CMPXCHG = 0xf0 | BPF_FETCH, BPF_LOAD_ACQ = 0x100,
       BPF_STORE_REL = 0x110 };

/* What src_reg says in a call, in a 64-bit immediate load, and in a conditional pseudo jump. */
enum { BPF_PSEUDO_CALL = 1, BPF_PSEUDO_KFUNC_CALL = 2 };
enum { BPF_PSEUDO_MAP_FD = 1, BPF_PSEUDO_MAP_VALUE = 2, BPF_PSEUDO_BTF_ID = 3, BPF_PSEUDO_FUNC = 4,
       BPF_PSEUDO_MAP_IDX = 5, BPF_PSEUDO_MAP_IDX_VALUE = 6 };
enum { BPF_MAY_GOTO = 0 };
enum { BPF_ADDR_SPACE_CAST = 1 }; /* mov64 with this offset */

#define BPF_LD_IMM64 (BPF_LD | BPF_IMM | BPF_DW)

static inline bool insn_is_ldimm64(const struct bpf_insn *insn) {
	return insn->code == BPF_LD_IMM64;
}
static inline bool insn_is_pseudo_call(const struct bpf_insn *insn) {
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}
static inline bool insn_is_helper_call(const struct bpf_insn *insn) {
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == 0;
}
static inline bool insn_is_kfunc_call(const struct bpf_insn *insn) {
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_KFUNC_CALL;
}
static inline bool insn_is_pseudo_func(const struct bpf_insn *insn) {
	return insn->code == BPF_LD_IMM64 && insn->src_reg == BPF_PSEUDO_FUNC;
}
/* Bytes of a memory access: 1, 2, 4 or 8. */
static inline u32 insn_size_bytes(u8 code) {
	static const u8 bytes[4] = {4, 2, 1, 8};
	return bytes[BPF_SIZE(code) >> 3];
}
#endif
