/* Text: the kernel's forms by hand, every row there and back with random operands, any bits there and back in exact
 * form, labels and errors of the assembler. */
#include "test.h"
#include "isa/asm.h"
#include "isa/decode.h"
#include "isa/disasm.h"
#include <errno.h>

static u64 seed = 0x123456789abcdef1;
static u64 next(void) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

static void kernel_forms(void) {
	static const struct {
		struct bpf_insn insn;
		const char *text;
	} t[] = {
	    {{0xb7, 0, 0, 0, 0}, "r0 = 0"},
	    {{0xbf, 6, 1, 0, 0}, "r6 = r1"},
	    {{0xbc, 1, 2, 0, 0}, "w1 = w2"},
	    {{0x07, 1, 0, 0, -8}, "r1 += -8"},
	    {{0xc4, 3, 0, 0, 7}, "w3 s>>= 7"},
	    {{0x3f, 1, 2, 1, 0}, "r1 s/= r2"},
	    {{0x94, 1, 0, 1, 3}, "w1 s%= 3"},
	    {{0xbf, 1, 2, 32, 0}, "r1 = (s32)r2"},
	    {{0xbc, 1, 2, 8, 0}, "w1 = (s8)w2"},
	    {{0x87, 4, 0, 0, 0}, "r4 = -r4"},
	    {{0xd4, 2, 0, 0, 16}, "r2 = le16 r2"},
	    {{0xdc, 2, 0, 0, 64}, "r2 = be64 r2"},
	    {{0xd7, 0, 0, 0, 64}, "r0 = bswap64 r0"},
	    {{0xbf, 1, 2, 1, 1 << 16}, "r1 = addr_space_cast(r2, 1, 0)"},
	    {{0x61, 0, 1, 80, 0}, "r0 = *(u32 *)(r1 +80)"},
	    {{0x79, 1, 1, 8, 0}, "r1 = *(u64 *)(r1 +8)"},
	    {{0x91, 1, 10, -1, 0}, "r1 = *(s8 *)(r10 -1)"},
	    {{0x7b, 10, 1, -8, 0}, "*(u64 *)(r10 -8) = r1"},
	    {{0x72, 10, 0, 0, -1}, "*(u8 *)(r10 +0) = -1"},
	    {{0xdb, 1, 2, 0, 0}, "lock *(u64 *)(r1 +0) += r2"},
	    {{0xc3, 1, 2, -4, 0xa1}, "r2 = atomic_fetch_xor((u32 *)(r1 -4), r2)"},
	    {{0xdb, 1, 2, 0, 0xe1}, "r2 = atomic64_xchg((u64 *)(r1 +0), r2)"},
	    {{0xc3, 1, 2, 0, 0xf1}, "r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2)"},
	    {{0xd3, 1, 2, 3, 0x100}, "r1 = load_acquire((u8 *)(r2 +3))"},
	    {{0xdb, 1, 2, 8, 0x110}, "store_release((u64 *)(r1 +8), r2)"},
	    {{0x05, 0, 0, -2, 0}, "goto pc-2"},
	    {{0x06, 0, 0, 0, 70000}, "gotol pc+70000"},
	    {{0xe5, 0, 0, 1, 0}, "may_goto pc+1"},
	    {{0x25, 1, 0, 3, 5}, "if r1 > 0x5 goto pc+3"},
	    {{0x16, 1, 0, 3, -1}, "if w1 == 0xffffffff goto pc+3"},
	    {{0x4d, 1, 2, 0, 0}, "if r1 & r2 goto pc+0"},
	    {{0x85, 0, 0, 0, 1}, "call unknown#1"},
	    {{0x85, 0, 1, 0, 7}, "call pc+7"},
	    {{0x85, 0, 2, 0, 4711}, "call kernel-function#4711"},
	    {{0x95, 0, 0, 0, 0}, "exit"},
	    {{0x30, 0, 0, 0, 23}, "r0 = *(u8 *)skb[23]"},
	    {{0x40, 0, 3, 0, 14}, "r0 = *(u32 *)skb[r3 + 14]"},
	    /* bits that mean nothing */
	    {{0xbf, 1, 2, -1, 0}, "r1 = &(void __percpu *)(r2)"},
	    {{0xbc, 1, 2, 32, 0}, "w1 = (s32)w2"},
	    {{0xd4, 1, 0, 0, 24}, "r1 = le24 r1"},
	    {{0x07, 1, 0, 9, 5}, "r1 += 5"},
	    {{0xcb, 1, 2, 0, 0}, "lock *(u16 *)(r1 +0) += r2"},
	    {{0xe5, 1, 1, 2, 3}, "if r1 (null) 0x3 goto pc+2"},
	};
	char text[128];
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		u32 n = insn_text(&t[i].insn, 1, 0, NULL, text, sizeof text);
		EXPECT_STR(text, t[i].text);
		EXPECT_EQ(n, strlen(text));
		char prefixed[140];
		snprintf(prefixed, sizeof prefixed, "(%02x) %s", t[i].insn.code, t[i].text);
		insn_text(&t[i].insn, 1, DISASM_OPCODE, NULL, text, sizeof text);
		EXPECT_STR(text, prefixed);
	}
	struct bpf_insn wide[2] = {{0x18, 1, 1, 0, 3}, {.imm = 0}}, bug = {.code = 0xc3, .imm = 0x77};
	insn_text(wide, 2, DISASM_OPCODE, NULL, text, sizeof text);
	EXPECT_STR(text, "(18) r1 = map[fd:3]");
	insn_text(wide, 2, DISASM_KERNEL, NULL, text, sizeof text);
	EXPECT_STR(text, "r1 = 0x3");
	insn_text(&bug, 1, DISASM_OPCODE, NULL, text, sizeof text);
	EXPECT_STR(text, "BUG_c3");
	EXPECT_EQ(insn_text(wide, 2, 0, NULL, text, 4), 14);
	EXPECT_STR(text, "r1 ");
}
static const char *test_name(void *owner, const struct bpf_insn *insn, char *buffer, u32 size) {
	if (insn_is_helper_call(insn) && insn->imm == 5)
		return "bpf_ktime_get_ns";
	if (insn_is_ldimm64(insn)) {
		snprintf(buffer, size, "map[%s]", "counts");
		return buffer;
	}
	return NULL;
}
static void names_from_the_caller(void) {
	struct disasm_names names = {.name = test_name};
	struct bpf_insn call = {.code = 0x85, .imm = 5}, other = {.code = 0x85, .imm = 6};
	struct bpf_insn wide[2] = {{0x18, 1, 1, 0, 3}, {.imm = 0}};
	char text[128];
	insn_text(&call, 1, 0, &names, text, sizeof text);
	EXPECT_STR(text, "call bpf_ktime_get_ns#5");
	insn_text(&other, 1, 0, &names, text, sizeof text);
	EXPECT_STR(text, "call unknown#6");
	insn_text(wide, 2, 0, &names, text, sizeof text);
	EXPECT_STR(text, "r1 = map[counts]");
}

/* The text assembles to the same bytes. */
static bool comes_back(const struct bpf_insn *insn, u32 slots, u32 flags) {
	char text[160];
	insn_text(insn, slots, flags, NULL, text, sizeof text);
	struct asm_program p;
	struct asm_error e;
	int r = asm_text(text, strlen(text), NULL, &p, &e);
	bool same = !r && p.insns.n == slots && !memcmp(p.insns.at, insn, slots * sizeof *insn);
	if (!same)
		printf("# %s: %s\n", text, r ? e.message : "other bytes");
	asm_free(&p);
	return same;
}
static void every_row_comes_back(void) {
	static const s32 imms[] = {0, 1, -1, 5, 0x7fffffff, -0x7fffffff - 1, 255, -8};
	static const s16 offs[] = {0, 1, -1, 0x7fff, -0x8000, 8};
	for (int op = OP_BAD + 1; op < OP_COUNT; op++) {
		u32 bad = 0;
		for (int i = 0; i < 400 && !bad; i++) {
			u64 r = next();
			s32 imm = r & 1 ? (s32)next() : imms[(r >> 1) % ARRAY_SIZE(imms)];
			if (op == OP_ADDR_SPACE_CAST)
				imm = r & 1 ? 1 : 1 << 16;
			struct bpf_insn insn[2] = {insn_encode(op, r >> 4 & 1, (r >> 8) % 11, (r >> 16) % 11,
			                               r & 2 ? (s16)(r >> 24) : offs[(r >> 24) % ARRAY_SIZE(offs)], imm)};
			if (op == OP_CALL_KFUNC)
				insn[0].off = 0; /* the kernel does not print it; exact form below */
			if (op_rows[op].uses & FIELD_NEXT_IMM)
				insn[1].imm = r & 4 ? (s32)next() : imms[(r >> 40) % ARRAY_SIZE(imms)];
			bad += !comes_back(insn, insn_slots(insn), 0);
			bad += !comes_back(insn, insn_slots(insn), DISASM_OPCODE);
		}
		EXPECT_EQ(bad, 0);
	}
}
static void any_bits_come_back(void) {
	u32 bad = 0;
	for (int i = 0; i < 200000 && bad < 5; i++) {
		u64 r = next();
		struct bpf_insn insn;
		memcpy(&insn, &r, sizeof insn);
		if (r & 1 << 20) /* otherwise nearly nothing decodes */
			insn.imm = r >> 40 & 1 ? 0 : insn.imm & 0x1f1;
		if (r & 1 << 21)
			insn.off = 0;
		bad += !comes_back(&insn, 1, DISASM_EXACT);
	}
	EXPECT_EQ(bad, 0);
}

static void expect_assembly(const char *text, const struct bpf_insn *want, u32 n) {
	struct asm_program p;
	struct asm_error e;
	int r = asm_text(text, strlen(text), NULL, &p, &e);
	if (r)
		printf("# line %u column %u: %s\n", e.line, e.column, e.message);
	EXPECT_EQ(r, 0);
	EXPECT_EQ(p.insns.n, n);
	if (p.insns.n == n)
		EXPECT(!memcmp(p.insns.at, want, n * sizeof *want));
	asm_free(&p);
}
static void labels(void) {
	static const struct bpf_insn want[] = {
	    {0xb7, 1, 0, 0, 3}, {0x18, 2, 0, 0, -1}, {.imm = 0x7fff}, {0x07, 1, 0, 0, -1}, {0x55, 1, 0, -2, 0},
	    {0x85, 0, 1, 0, 3}, {0x05, 0, 0, 1, 0},  {0x06, 0, 0, 0, -8}, {0x95, 0, 0, 0, 0}, {0x18, 3, 4, 0, -1}, {.imm = 0},
	    {0x95, 0, 0, 0, 0}};
	expect_assembly("# three times\n"
	                "\n"
	                "start: r1 = 3 ; with a comment\n"
	                "\tr2=0x7fffffffffff // lddw\n"
	                "again:\n"
	                "  r1 += -1\n"
	                "  if r1 != 0 goto again\n"
	                "  call f\n"
	                "  goto out\n"
	                "  gotol start\r\n"
	                "out: exit\n"
	                "f: r3 = subprog[f]\n"
	                "11: (95) exit",
	                want, ARRAY_SIZE(want));
}
static void liberties(void) {
	static const struct bpf_insn want[] = {
	    {0xb4, 1, 0, 0, 16}, {0x18, 1, 0, 0, 16}, {.imm = 0}, {0x18, 1, 0, 0, -1}, {.imm = -1}, {0x61, 1, 2, 0, 0},
	    {0x63, 2, 1, 4, 0}, {0x85, 0, 0, 0, 5}, {0x85, 0, 0, 0, 5}, {0x15, 1, 0, 2, -1}, {.code = 0x07, .off = 1, .imm = -3},
	    {0x57, 3, 0, 0, 255}, {0x07, 0, 0, 0, 1}, {0x07, 0, 0, 0, 1}, {0x07, 0, 0, 0, 1}};
	expect_assembly("w1 = 0x10\n"
	                "r1 = 0x10\n"
	                "r1 = -1 ll\n"
	                "r1 = *(u32*)(r2)\n"
	                "*(u32 *)( r2 + 4 )=r1\n"
	                "call 5\n"
	                "call bpf_ktime_get_ns#5\n"
	                "if r1 == -1 goto +2\n"
	                ".insn 0x07 off=1 imm=-3\n"
	                "r3 &= 0xff\n"
	                ".repeat 3 r0 += 1\n",
	                want, ARRAY_SIZE(want));
}
static void errors(void) {
	static const struct {
		const char *text;
		u32 line;
		const char *part;
	} t[] = {
	    {"r0 = 0\nr11 = 0", 2, "not understood"},
	    {"r1 += 5000000000", 1, "not understood"},
	    {"goto nowhere", 1, "no label or function nowhere"},
	    {"a: exit\na: exit", 2, "in line 1 already"},
	    {"exit now", 1, "not understood from here: now"},
	    {"r1 = be16 r2", 1, "not understood"},
	    {"r1 =", 1, "too early"},
	    {"gotopc+1", 1, "not understood"},
	    {"call nobody", 1, "no label or function nobody"},
	    {"r1 = *(u32 *)(r2 +40000)", 1, "not understood"},
	    {".insn 0x107", 1, "opcode"},
	    {".insn 0x07 dst=16", 1, "4 bits"},
	    {".insn 0x07 foo=16", 1, "dst="},
	    {".repeat 0 exit", 1, "from 1 to"},
	    {"a: .repeat 3 goto a", 1, "cannot name a label"},
	    {".repeat 1048575 r1 = 5 ll", 1, "more than"},
	    {"w1 = r2", 1, "not understood"},
	    {"r1 = 0x10000000000000000", 1, "not understood"},
	};
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		struct asm_program p;
		struct asm_error e;
		EXPECT_EQ(asm_text(t[i].text, strlen(t[i].text), NULL, &p, &e), -EINVAL);
		EXPECT_EQ(e.line, t[i].line);
		if (!strstr(e.message, t[i].part))
			EXPECT_STR(e.message, t[i].part);
		asm_free(&p);
	}
}
static void far_label(void) {
	static char text[40000 * 5 + 100];
	u32 n = snprintf(text, sizeof text, "goto far\n");
	for (int i = 0; i < 33000; i++)
		memcpy(text + n, "exit\n", 5), n += 5;
	memcpy(text + n, "far: exit", 9);
	struct asm_program p;
	struct asm_error e;
	EXPECT_EQ(asm_text(text, n + 9, NULL, &p, &e), -EINVAL);
	EXPECT(strstr(e.message, "use gotol"));
	asm_free(&p);
	memcpy(text, "\n\n\n\n\n\n\n\n\n", 9); /* without the jump */
	EXPECT_EQ(asm_text(text, n + 9, NULL, &p, &e), 0);
	EXPECT_EQ(p.insns.n, 33001);
	EXPECT_EQ(p.lines.at[33000], 33010);
	asm_free(&p);
}
int main(void) {
	RUN(kernel_forms);
	RUN(names_from_the_caller);
	RUN(every_row_comes_back);
	RUN(any_bits_come_back);
	RUN(labels);
	RUN(liberties);
	RUN(errors);
	RUN(far_label);
	return test_end();
}
