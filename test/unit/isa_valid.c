/* insn_valid by hand: the sentence, and the phase that says it. test/kernel/valid.c compares many more with the kernel. */
#include "test.h"
#include "isa/decode.h"
#include "isa/valid.h"
#include <errno.h>

static const char *const phase_names[] = {"opcodes", "fields", "after dst", "operands"};

/* The phase given is the first that refuses, with this sentence; NULL: none does. */
static void expect(struct bpf_insn first, struct bpf_insn second, enum valid_phase phase, const char *sentence) {
	struct bpf_insn p[2] = {first, second};
	char message[VALID_MESSAGE];
	for (enum valid_phase at = VALID_OPCODES; at <= VALID_OPERANDS; at++) {
		int r = insn_valid(at, p, 0, 2, message);
		bool should = sentence && at == phase;
		if (r != (should ? -EINVAL : 0) || (should && strcmp(message, sentence))) {
			printf("# code %02x, phase %s: %d %s\n", first.code, phase_names[at], r, r ? message : "");
			EXPECT(!"as expected");
		}
		if (r)
			break;
	}
	if (!sentence)
		EXPECT_EQ(insn_valid(VALID_ALL, p, 0, 2, NULL), 0);
	else
		EXPECT_EQ(insn_valid(VALID_ALL, p, 0, 2, message), -EINVAL);
	if (sentence)
		EXPECT_STR(message, sentence);
}
static void one(struct bpf_insn insn, enum valid_phase phase, const char *sentence) {
	expect(insn, (struct bpf_insn){0}, phase, sentence);
}
#define INSN(...) ((struct bpf_insn){__VA_ARGS__})

static void opcode_phase(void) {
	one(INSN(.code = 0xff), VALID_OPCODES, "unknown opcode ff");
	one(INSN(.code = 0x0d), VALID_OPCODES, "unknown opcode 0d");
	one(INSN(.code = 0x8d), VALID_OPCODES, "unknown opcode 8d");
	one(INSN(.code = 0x61, .imm = 1), VALID_OPCODES, "BPF_LDX uses reserved fields");
	one(INSN(.code = 0xc1), VALID_OPCODES, "BPF_LDX uses reserved fields");
	one(INSN(.code = 0x99), VALID_OPCODES, "unknown opcode 99");
	expect(INSN(.code = 0x18), INSN(.code = 0xb7), VALID_OPCODES, "invalid bpf_ld_imm64 insn");
	expect(INSN(.code = 0x18), INSN(.off = 1), VALID_OPCODES, "invalid bpf_ld_imm64 insn");
	expect(INSN(.code = 0x18, .src_reg = 7), INSN(0), VALID_OPCODES, "unrecognized bpf_ld_imm64 insn");
	expect(INSN(.code = 0x18, .src_reg = 1), INSN(.imm = 1), VALID_OPCODES, "unrecognized bpf_ld_imm64 insn");
	expect(INSN(.code = 0x18, .src_reg = 2), INSN(.imm = 8), VALID_OPCODES, NULL);
	expect(INSN(.code = 0x18, .imm = 1), INSN(.imm = 1), VALID_OPCODES, NULL);
	struct bpf_insn last = {.code = 0x18};
	char message[VALID_MESSAGE];
	EXPECT_EQ(insn_valid(VALID_OPCODES, &last, 0, 1, message), -EINVAL);
	EXPECT_STR(message, "invalid bpf_ld_imm64 insn");
}
static void fields_phase(void) {
	one(INSN(.code = 0x07, .off = 1), VALID_FIELDS, "BPF_ALU uses reserved fields");
	one(INSN(.code = 0x3f, .off = 2), VALID_FIELDS, "BPF_ALU uses reserved fields");
	one(INSN(.code = 0x87, .imm = 1), VALID_FIELDS, "BPF_NEG uses reserved fields");
	one(INSN(.code = 0xd7, .imm = 8), VALID_FIELDS, "BPF_END uses reserved fields");
	one(INSN(.code = 0xb7, .off = 8), VALID_FIELDS, "BPF_MOV uses reserved fields");
	one(INSN(.code = 0xbf, .off = 1, .imm = 3), VALID_FIELDS,
	    "addr_space_cast insn can only convert between address space 1 and 0");
	one(INSN(.code = 0x62, .src_reg = 1), VALID_FIELDS, "BPF_ST uses reserved fields");
	one(INSN(.code = 0x63, .imm = 1), VALID_FIELDS, "BPF_STX uses reserved fields");
	one(INSN(.code = 0xdb, .imm = 0x10), VALID_FIELDS, "BPF_ATOMIC uses invalid atomic opcode 10");
	one(INSN(.code = 0xdb, .imm = -1), VALID_FIELDS, "BPF_ATOMIC uses invalid atomic opcode ffffffff");
	one(INSN(.code = 0xd3, .imm = 1), VALID_FIELDS, "invalid atomic operand size");
	one(INSN(.code = 0xd3, .imm = 0x100), VALID_FIELDS, NULL);
	one(INSN(.code = 0x05, .dst_reg = 1), VALID_FIELDS, "BPF_JA uses reserved fields");
	one(INSN(.code = 0x06, .off = 1), VALID_FIELDS, "BPF_JA uses reserved fields");
	one(INSN(.code = 0xe5, .imm = -7), VALID_FIELDS, "invalid may_goto imm -7");
	one(INSN(.code = 0x85, .src_reg = 3), VALID_FIELDS, "BPF_CALL uses reserved fields");
	one(INSN(.code = 0x85, .src_reg = 2, .off = 3), VALID_FIELDS, NULL);
	one(INSN(.code = 0x95, .imm = 1), VALID_FIELDS, "BPF_EXIT uses reserved fields");
	one(INSN(.code = 0x95, .off = 1), VALID_FIELDS, NULL);
	one(INSN(.code = 0x20, .src_reg = 1), VALID_FIELDS, "BPF_LD_[ABS|IND] uses reserved fields");
	expect(INSN(.code = 0x18, .off = 1), INSN(0), VALID_FIELDS, "BPF_LD_IMM64 uses reserved fields");
}
static void later_phases(void) {
	one(INSN(.code = 0x15, .src_reg = 1), VALID_AFTER_DST, "BPF_JMP/JMP32 uses reserved fields");
	one(INSN(.code = 0x1e, .imm = 1), VALID_AFTER_DST, "BPF_JMP/JMP32 uses reserved fields");
	one(INSN(.code = 0x37), VALID_OPERANDS, "div by zero");
	one(INSN(.code = 0x94, .off = 1), VALID_OPERANDS, "div by zero");
	one(INSN(.code = 0x3f), VALID_OPERANDS, NULL);
	one(INSN(.code = 0x64, .imm = 32), VALID_OPERANDS, "invalid shift 32");
	one(INSN(.code = 0xc7, .imm = -1), VALID_OPERANDS, "invalid shift -1");
	one(INSN(.code = 0x67, .imm = 63), VALID_OPERANDS, NULL);
}
/* Register numbers belong to the verifier's own checks, so only VALID_ALL names them, in the kernel's order. */
static void registers(void) {
	static const struct {
		struct bpf_insn insn;
		const char *sentence;
	} t[] = {
	    {{.code = 0xb7, .dst_reg = 11}, "R11 is invalid"},
	    {{.code = 0x0f, .dst_reg = 11, .src_reg = 12}, "R12 is invalid"},
	    {{.code = 0x1d, .dst_reg = 11, .src_reg = 12}, "R11 is invalid"},
	    {{.code = 0x1d, .dst_reg = 11, .src_reg = 12, .imm = 1}, "R11 is invalid"},
	    {{.code = 0x37, .dst_reg = 15}, "R15 is invalid"},
	};
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		char message[VALID_MESSAGE];
		EXPECT_EQ(insn_valid(VALID_ALL, &t[i].insn, 0, 1, message), -EINVAL);
		EXPECT_STR(message, t[i].sentence);
	}
}
/* Every row is valid with plain operands, but for the one that no kernel has. */
static void rows_are_valid(void) {
	for (int op = OP_BAD + 1; op < OP_COUNT; op++)
		for (int form = 0; form < 2; form++) {
			struct bpf_insn p[2] = {insn_encode(op, form, 1, 2, 0, 1)};
			EXPECT_EQ(insn_valid(VALID_ALL, p, 0, 2, NULL), op == OP_CALLX ? -EINVAL : 0);
		}
}
/* A plain instruction is one that the phases that look at all of them let through, and most rows without selector are. */
static void plain(void) {
	u32 found = 0;
	for (u32 code = 0; code < 256; code++) {
		for (u32 k = 0; k < 256; k++) {
			struct bpf_insn p = {.code = (u8)code,
			                     .dst_reg = k & 1 ? 3 : 0,
			                     .src_reg = k & 2 ? 1 + (k >> 6) : 0,
			                     .off = (s16)(k & 4 ? 1 + (k >> 6) : k & 8 ? 16 : 0),
			                     .imm = k & 16 ? 1 : k & 32 ? 0x100 : 0};
			if (!insn_is_plain(&p) || insn_is_ldimm64(&p))
				continue;
			found++;
			EXPECT_EQ(insn_valid(VALID_OPCODES, &p, 0, 1, NULL), 0);
			EXPECT_EQ(insn_valid(VALID_FIELDS, &p, 0, 1, NULL), 0);
		}
	}
	EXPECT(found > 5000);
}
int main(void) {
	RUN(opcode_phase);
	RUN(fields_phase);
	RUN(later_phases);
	RUN(registers);
	RUN(rows_are_valid);
	RUN(plain);
	return test_end();
}
