/* insn_text against the running kernel. At log level 2 Linux 6.18 lists all instructions with the registers live before
 * them, before it judges any: so bits that it will refuse are printed too, hundreds in one program. Each line must be
 * ours. Usage: disasm [programs [seed]] */
#include "kernel.h"
#include "../unit/test.h"
#include "isa/decode.h"
#include "isa/disasm.h"
#include "isa/valid.h"
#include <stdlib.h>
#include <unistd.h>

static u64 seed = 0x9e3779b97f4a7c15;
static u64 next(void) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}
enum { PROGRAM = 200 };
static char log_text[KERNEL_LOG];

static bool jumps(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}
/* Any bits that get past the kernel's first passes: opcode known, targets in range, no call of another function. */
static u32 some(struct bpf_insn *to) {
	for (;;) {
		u64 r = next();
		struct bpf_insn insn[2];
		memcpy(insn, &r, sizeof insn[0]);
		memset(&insn[1], 0, sizeof insn[1]);
		r = next();
		static const s16 offs[] = {0, 1, 8, 16, 32, -1};
		static const s32 imms[] = {0, 1, 16, 24, 32, 64, 0x41, 0xf1, 0x100, 0x110, 0x10000, -1, 9999};
		if (r & 1)
			insn->off = offs[(r >> 8) % ARRAY_SIZE(offs)];
		if (r & 2)
			insn->imm = imms[(r >> 16) % ARRAY_SIZE(imms)];
		if (BPF_CLASS(insn->code) == BPF_LDX)
			insn->imm = 0;
		if (insn_is_ldimm64(insn))
			insn->src_reg = 0, insn[1].imm = (s32)next();
		if (insn->code == (BPF_JMP | BPF_CALL)) {
			insn->src_reg = r & 4 ? 0 : insn->src_reg;
			insn->imm = insn->src_reg ? 5 : insn->imm | 1 << 20; /* a number without a name */
			if (insn->src_reg == BPF_PSEUDO_CALL || insn->src_reg == BPF_PSEUDO_KFUNC_CALL ||
			    insn->src_reg > 2)
				continue;
		}
		if (jumps(insn)) {
			if (BPF_OP(insn->code) == BPF_JA && BPF_CLASS(insn->code) == BPF_JMP32)
				insn->imm = 0;
			insn->off = 0;
		}
		if (insn->code == (BPF_JMP | BPF_EXIT) || insn_valid(VALID_OPCODES, insn, 0, 2, NULL))
			continue;
		memcpy(to, insn, sizeof insn);
		return insn_slots(insn);
	}
}
/* "     12: 0..3...... (b7) r0 = 0" → the text, NULL for another line */
static const char *listed(const char *line, u32 *index) {
	char live[16], rest[2];
	u32 at = 0;
	if (sscanf(line, " %u: %10[0-9.]%n %1s", index, live, (int *)&at, rest) != 3 || strlen(live) != 10)
		return NULL;
	return line + at + 1;
}
static u32 compare(const struct bpf_insn *p, u32 n, u32 *lines) {
	u32 bad = 0;
	char *line = strstr(log_text, "Live regs before insn:");
	if (!line)
		return 1;
	for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n")) {
		u32 index;
		const char *theirs = listed(line, &index);
		if (!theirs || index >= n)
			continue;
		char ours[160];
		insn_text(&p[index], n - index, DISASM_OPCODE | DISASM_KERNEL, NULL, ours, sizeof ours);
		++*lines;
		if (strcmp(ours, theirs)) {
			bad++;
			printf("# kernel «%s» skep «%s»\n", theirs, ours);
		}
	}
	return bad;
}
static u32 how_many = 100;

static void random_bits(void) {
	u32 bad = 0, lines = 0, refused_early = 0;
	for (u32 k = 0; k < how_many && bad < 10; k++) {
		struct bpf_insn p[PROGRAM + 4];
		u32 n = 0;
		while (n < PROGRAM)
			n += some(p + n);
		p[n++] = insn_encode(OP_MOV64, false, 0, 0, 0, 0);
		p[n++] = insn_encode(OP_EXIT, false, 0, 0, 0, 0);
		int fd = kernel_load(&(struct kernel_prog){.insns = p, .n = n, .log_level = 2}, log_text);
		if (fd >= 0)
			close(fd);
		if (!strstr(log_text, "Live regs")) {
			if (!refused_early++)
				printf("# no listing: %.200s\n", log_text);
			continue;
		}
		bad += compare(p, n, &lines);
	}
	printf("# %u lines compared\n", lines);
	EXPECT_EQ(bad, 0);
	EXPECT_EQ(refused_early, 0);
	EXPECT(lines > how_many * 100);
}
/* Every row in both forms. */
static void rows(void) {
	for (int op = OP_BAD + 1; op < OP_COUNT; op++) {
		const struct op_row *row = &op_rows[op];
		if (row->group == GROUP_CALLX || row->shape == SHAPE_CALL || op == OP_EXIT)
			continue;
		if (row->shape == SHAPE_LDDW && op != OP_LDDW)
			continue;
		for (int form = 0; form < 2; form++) {
			struct bpf_insn p[8];
			u32 n = 0, lines = 0;
			s32 imm = op == OP_JA32 ? 0 : op == OP_ADDR_SPACE_CAST ? 1 : -3;
			p[n++] =
			    insn_encode(op, form, 3, 4, jumps(&(struct bpf_insn){.code = row->code}) ? 0 : -16, imm);
			if (row->shape == SHAPE_LDDW)
				p[n++] = insn_encode_next(0x1234);
			p[n++] = insn_encode(OP_MOV64, false, 0, 0, 0, 0);
			p[n++] = insn_encode(OP_EXIT, false, 0, 0, 0, 0);
			int fd = kernel_load(&(struct kernel_prog){.insns = p, .n = n, .log_level = 2}, log_text);
			if (fd >= 0)
				close(fd);
			EXPECT_EQ(compare(p, n, &lines), 0);
			EXPECT(lines >= 3);
		}
	}
}
int main(int argc, char **argv) {
	const char *missing = kernel_missing();
	if (missing) {
		SKIP("disasm", missing);
		return test_end();
	}
	struct bpf_insn p[] = {insn_encode(OP_MOV64, false, 0, 0, 0, 0), insn_encode(OP_EXIT, false, 0, 0, 0, 0)};
	int fd = kernel_load(&(struct kernel_prog){.insns = p, .n = 2, .log_level = 2}, log_text);
	if (fd >= 0)
		close(fd);
	if (!strstr(log_text, "Live regs before insn:")) {
		SKIP("disasm", "this kernel's log does not list instructions before it judges them");
		return test_end();
	}
	if (argc > 1)
		how_many = strtoul(argv[1], NULL, 0);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0) | 1;
	RUN(rows);
	RUN(random_bits);
	return test_end();
}
