/* insn_valid against the running kernel: many thousands of single instructions, each a row with a few of its bits
 * changed, loaded inside a program in which every register is readable and every tail reachable. Where the kernel's
 * first complaint is about the instruction's own bits, ours must be the same line; where it accepts, so must we; what
 * we refuse it must refuse. Usage: valid [how many [seed]] */
#include "kernel.h"
#include "../unit/test.h"
#include "isa/decode.h"
#include "isa/valid.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static u64 seed = 0x9e3779b97f4a7c15;
static u64 next(void) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}
#define PICK(list) (list)[next() % ARRAY_SIZE(list)]

static s16 some_off(void) {
	static const s16 offs[] = {0, 0, 0, 1, 2, 3, 8, 16, 32, -8, -1, 7, 0x100, -0x8000};
	return PICK(offs);
}
static s32 some_imm(void) {
	static const s32 imms[] = {0,    0,     1,     2,     5,     8,     16,      31,      32,   33,   63,
				   64,   65,    24,    0x40,  0x41,  0x50,  0x51,    0xa0,    0xa1, 0xe0, 0xe1,
				   0xf1, 0x100, 0x101, 0x110, 0x111, 0x120, 1 << 16, 1 << 17, -1,   -5,   4711};
	return PICK(imms);
}
/* A row's instruction with likely operands. r7 points to the stack and r6 to the context, the others are numbers. */
static struct bpf_insn some_row(void) {
	enum bpf_op op = 1 + next() % (OP_COUNT - 1);
	const struct op_row *row = &op_rows[op];
	static const u8 numbers[] = {0, 1, 2, 3, 4, 5, 8, 9};
	bool memory = row->shape == SHAPE_LOAD || row->shape == SHAPE_STORE || row->shape == SHAPE_ATOMIC;
	u8 dst = memory && !(row->uses & WRITES_DST) ? 7 : PICK(numbers);
	u8 src = memory && row->uses & WRITES_DST ? 7 : PICK(numbers);
	s16 off = memory ? -8 : next() % 4;
	s32 imm = row->shape == SHAPE_CALL ? 7 : 1 + next() % 31;
	return insn_encode(op, next() & 1, dst, src, off, imm);
}
static void change(struct bpf_insn *insn) {
	switch (next() % 8) {
	case 0:
		insn->dst_reg = next() % 16;
		break;
	case 1:
		insn->src_reg = next() % 16;
		break;
	case 2:
	case 3:
		insn->off = some_off();
		break;
	case 4:
	case 5:
		insn->imm = some_imm();
		break;
	case 6:
		insn->code ^= 1 << next() % 8;
		break;
	default:
		break;
	}
}

enum { BEFORE = 16, TAIL = 40, PROGRAM = BEFORE + 2 + TAIL };

static u32 build(struct bpf_insn *p, struct bpf_insn insn, struct bpf_insn second, u32 *at) {
	u32 n = 0;
	p[n++] = insn_encode(OP_MOV64, true, 6, 1, 0, 0);
	p[n++] = insn_encode(OP_MOV64, true, 7, 10, 0, 0);
	p[n++] = insn_encode(OP_ST64, false, 10, 0, -8, 1);
	p[n++] = insn_encode(OP_LDX32, false, 9, 1, 0, 0);
	for (int r = 0; r < 6; r++)
		p[n++] = insn_encode(OP_MOV64, false, r, 0, 0, 1 + r);
	p[n++] = insn_encode(OP_MOV64, false, 8, 0, 0, 3);
	u32 slots = insn_slots(&insn);
	p[n++] = insn_encode(OP_JEQ64, false, 9, 0, slots, 0);
	*at = n;
	p[n++] = insn;
	if (slots == 2)
		p[n++] = second;
	for (int i = 0; i < TAIL; i++)
		p[n++] = insn_encode(OP_MOV64, false, 0, 0, 0, 0);
	p[n++] = insn_encode(OP_EXIT, false, 0, 0, 0, 0);
	ASSERT(n <= PROGRAM);
	return n;
}
/* The line before the statistics; cut out of the log. */
static const char *last_message(char *log) {
	char *end = strstr(log, "processed ");
	if (!end)
		end = log + strlen(log);
	while (end > log && end[-1] == '\n')
		*--end = 0;
	char *line = strrchr(log, '\n');
	return line ? line + 1 : log;
}
static bool about_the_bits(const char *m) {
	static const char *const texts[] = {"uses reserved fields", "unknown opcode",       "bpf_ld_imm64 insn",
					    "invalid atomic",       "div by zero",          "invalid shift",
					    "invalid may_goto",     "address space 1 and 0"};
	for (u32 i = 0; i < ARRAY_SIZE(texts); i++)
		if (strstr(m, texts[i]))
			return true;
	u32 reg;
	char rest[16];
	return sscanf(m, "R%u is %15s", &reg, rest) == 2 && !strcmp(rest, "invalid");
}

static u32 count_accepted, count_refused, count_other, count_shadowed;
static char log_text[KERNEL_LOG];

static bool agrees(struct bpf_insn insn, struct bpf_insn second) {
	struct bpf_insn p[PROGRAM];
	u32 at, n = build(p, insn, second, &at);
	char ours[VALID_MESSAGE] = "";
	int we = insn_valid(VALID_ALL, p, at, n, ours);
	int fd = kernel_load(&(struct kernel_prog){.insns = p, .n = n, .log_level = 1}, log_text);
	const char *kernels = fd < 0 ? last_message(log_text) : "";
	bool same;
	if (fd >= 0) {
		close(fd);
		count_accepted++;
		same = !we;
	} else if (about_the_bits(kernels)) {
		count_refused++;
		same = we == -EINVAL && !strcmp(ours, kernels);
	} else {
		count_other++;
		count_shadowed += we != 0;
		same = true;
	}
	if (!same)
		printf("# code %02x dst %u src %u off %d imm %d (0x%x) next %02x %u %u %d\n#   kernel %d %s\n#   skep "
		       "%d %s\n",
		       insn.code, insn.dst_reg, insn.src_reg, insn.off, insn.imm, insn.imm, second.code, second.dst_reg,
		       second.src_reg, second.off, fd, kernels, we, ours);
	return same;
}
static u32 how_many = 30000;

static void changed_rows(void) {
	u32 bad = 0;
	for (u32 i = 0; i < how_many && bad < 20; i++) {
		struct bpf_insn insn = some_row(), second = {.imm = next() % 3};
		for (u32 k = next() % 3; k; k--)
			change(&insn);
		if (next() % 16 == 0)
			change(&second);
		if (next() % 4 == 0)
			second.imm = 0;
		bad += !agrees(insn, second);
	}
	EXPECT_EQ(bad, 0);
	printf("# accepted %u, refused for their bits %u, refused otherwise %u (we refuse %u of these)\n",
	       count_accepted, count_refused, count_other, count_shadowed);
	EXPECT(count_accepted > how_many / 10 && count_refused > how_many / 5);
}
/* Each opcode byte with each single field set and none: nothing left to chance. */
static void every_field_alone(void) {
	u32 bad = 0;
	for (u32 code = 0; code < 256; code++)
		for (u32 k = 0; k < 12; k++) {
			struct bpf_insn insn = {.code = code,
						.dst_reg = k == 1   ? 8
							   : k == 2 ? 11
								    : 0,
						.src_reg = k == 3   ? 8
							   : k == 4 ? 15
								    : 0,
						.off = k == 5   ? 1
						       : k == 6 ? 8
								: 0,
						.imm = k == 7    ? 1
						       : k == 8  ? 16
						       : k == 9  ? -1
						       : k == 10 ? 64
						       : k == 11 ? 0x100
								 : 0};
			bad += !agrees(insn, (struct bpf_insn){.imm = 0});
		}
	EXPECT_EQ(bad, 0);
}
int main(int argc, char **argv) {
	const char *missing = kernel_missing();
	if (missing) {
		SKIP("valid", missing);
		return test_end();
	}
	if (argc > 1)
		how_many = strtoul(argv[1], NULL, 0);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0) | 1;
	RUN(every_field_alone);
	RUN(changed_rows);
	return test_end();
}
