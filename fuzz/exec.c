/* Random programs in the interpreter and as machine code: registers, memory and stack must end alike.
 *
 *   build/fuzz/exec [COUNT [SEED]]      prints a reduced program and its seed when they differ, exit 1
 *   build/fuzz/exec --canary            the machine code is made from a spoiled program: must exit 1
 *
 * r8 points to the context and r9 counts loop iterations; r0 … r7 are anybody's. A program is a few segments, each perhaps
 * a loop; a segment is a list of items, which favour what the JIT has rules for: moves before operations, shift pairs,
 * address sums, loads used once, tests, selects, read-modify-writes, constants, slots. Jumps go forward inside a segment,
 * never into the middle of an item that computes an address. Some items call a helper or a local function. */
#include "../test/unit/exec_test.h"

enum { MAX = 400, CTX = 1024 };
static bool canary;
static struct bpf_insn code[MAX];
static bool closed[MAX + 1]; /* nobody may jump here */
static u32 n;

static u32 pick(u32 k) {
	return (u32)(test_random() % k);
}
static u8 reg(void) {
	return (u8)pick(8);
}
static s32 imm(void) {
	static const s32 edge[] = {0, 1, -1, 2, 3, 7, 8, 10, 16, 31, 32, 33, 63, 255, 0xffff, 1000, INT32_MAX, INT32_MIN, 0x10000};
	return pick(3) ? edge[pick(ARRAY_SIZE(edge))] : (s32)test_random() >> pick(32);
}
static void put(struct bpf_insn insn) {
	ASSERT(n < MAX);
	code[n++] = insn;
}
static void put_closed(struct bpf_insn insn) {
	put(insn);
	closed[n - 1] = true;
}

static enum bpf_op any(u8 shape, bool narrow) {
	for (;;) {
		enum bpf_op op = 1 + pick(OP_COUNT - 1);
		u8 class = BPF_CLASS(op_rows[op].code);
		bool is_narrow = class == BPF_ALU || class == BPF_JMP32;
		if (op_rows[op].shape == shape && is_narrow == narrow && op != OP_ADDR_SPACE_CAST)
			return op;
	}
}
static void item_alu(void) {
	u8 d = reg(), s = reg();
	enum bpf_op op = any(SHAPE_ALU, pick(2));
	if (pick(2))
		put(X(MOV64, d, reg()));
	else if (pick(3) == 0)
		put(X(MOV32, d, reg()));
	put(pick(2) ? insn_encode(op, true, d, s, 0, 0) : insn_encode(op, false, d, 0, 0, imm()));
}
static void item_unary(void) {
	u8 d = reg();
	enum bpf_op op = any(SHAPE_UNARY, pick(2));
	put(insn_encode(op, true, d, op_rows[op].uses & FIELD_SRC ? reg() : 0, 0, 0));
}
static void item_simple(void) {
	static const enum bpf_op ops[] = {OP_ADD64, OP_SUB64, OP_XOR64, OP_OR64, OP_AND64, OP_ADD32, OP_XOR32, OP_MUL32, OP_MOV64,
	                                  OP_MOV32, OP_LSH64, OP_RSH64, OP_LSH32, OP_RSH32};
	put(insn_encode(ops[pick(ARRAY_SIZE(ops))], true, reg(), reg(), 0, 0));
}
static void item_rotate(void) {
	u8 a = reg(), b = reg(), s = reg();
	bool narrow = pick(2), exact = pick(5) != 0;
	s32 bits = narrow ? 32 : 64, k = 1 + (s32)pick((u32)bits - 1), r = exact ? bits - k : (s32)pick((u32)bits);
	struct bpf_insn copy = pick(4) ? X(MOV64, a, s) : X(MOV32, a, s);
	put(copy);
	put(narrow ? K(RSH32, a, r) : K(RSH64, a, r));
	if (pick(2))
		put(X(MOV64, b, s));
	else
		b = s;
	put(narrow ? K(LSH32, b, k) : K(LSH64, b, k));
	if (pick(4) == 0)
		item_simple();
	static const enum bpf_op joins[] = {OP_OR64, OP_OR32, OP_ADD64, OP_XOR32, OP_SUB64};
	put(insn_encode(joins[pick(5)], true, pick(2) ? a : b, pick(2) ? b : a, 0, 0));
}
static void item_extend(void) {
	static const s32 ks[] = {32, 48, 56, 32, 16, 33};
	u8 d = reg();
	s32 k = ks[pick(6)];
	put(X(MOV64, d, reg()));
	put(K(LSH64, d, k));
	if (pick(5) == 0)
		item_simple();
	put(pick(2) ? K(RSH64, d, k) : K(ARSH64, d, pick(4) ? k : 7));
}
/* Leaves an address inside the context in register t; addresses up to t + 255 are inside too. */
static u8 address(void) {
	u8 t = reg(), i = (u8)((t + 1 + pick(7)) % 8);
	switch (pick(3)) {
	case 0:
		put(X(MOV64, t, 8));
		put_closed(K(ADD64, t, (s32)pick(64)));
		break;
	case 1:
		put(pick(2) ? K(AND64, i, 31) : K(AND32, i, 31));
		if (pick(2))
			put_closed(K(LSH64, i, (s32)pick(4)));
		put_closed(X(MOV64, t, 8));
		put_closed(X(ADD64, t, i));
		break;
	default:
		put(K(AND64, i, 63));
		put_closed(X(MOV64, t, i));
		if (pick(2))
			put_closed(K(LSH64, t, (s32)pick(3)));
		put_closed(X(ADD64, t, 8));
		if (pick(2))
			put_closed(K(ADD64, t, 8 * (s32)pick(4)));
	}
	closed[n] = true;
	return t;
}
static const enum bpf_op loads[] = {OP_LDX8, OP_LDX16, OP_LDX32, OP_LDX64, OP_LDX64, OP_LDX32, OP_LDXS8, OP_LDXS16, OP_LDXS32};
static const enum bpf_op stores[] = {OP_STX8, OP_STX16, OP_STX32, OP_STX64, OP_STX64};
static void item_load(void) {
	u8 t = pick(2) ? address() : 8, d = reg();
	put(insn_encode(loads[pick(9)], false, d, t, (s16)pick(200), 0));
	if (pick(3) == 0)
		put(K(BE32, d, 0)), code[n - 1].imm = pick(2) ? 32 : 64;
	if (pick(2))
		put(insn_encode(any(SHAPE_ALU, pick(2)), true, reg(), d, 0, 0));
	if (pick(4) == 0)
		put(insn_encode(OP_MOV64, false, d, 0, 0, imm()));
}
static void item_store(void) {
	u8 t = pick(2) ? address() : 8;
	if (pick(3))
		put(insn_encode(stores[pick(5)], false, t, reg(), (s16)pick(200), 0));
	else
		put(insn_encode(OP_ST8 + pick(4), false, t, 0, (s16)pick(200), imm()));
}
static void item_rmw(void) {
	u8 t = pick(2) ? address() : 8, d = (u8)((t + 1 + pick(7)) % 8);
	u32 size = pick(4);
	s16 off = (s16)pick(200);
	put_closed(insn_encode(loads[size], false, d, t, off, 0));
	if (pick(6) == 0)
		put_closed(insn_encode(stores[pick(5)], false, 8, reg(), (s16)pick(200), 0));
	static const enum bpf_op ops[] = {OP_ADD64, OP_SUB64, OP_XOR64, OP_OR64, OP_AND64, OP_ADD32, OP_SUB32, OP_MUL32};
	u8 s = (u8)((t + 1 + pick(7)) % 8);
	put_closed(pick(2) ? insn_encode(ops[pick(8)], true, d, s, 0, 0) : insn_encode(ops[pick(8)], false, d, 0, 0, imm()));
	put_closed(insn_encode(stores[pick(5) ? size : pick(4)], false, t, d, pick(8) ? off : (s16)(off + 1), 0));
	if (pick(2))
		put(insn_encode(OP_MOV64, true, d, reg(), 0, 0));
}
static bool escapes, calls;
static void item_stack(void) {
	static const enum bpf_op sized[][3] = {{OP_STX64, OP_LDX64, OP_ST64}, {OP_STX32, OP_LDX32, OP_ST32}};
	u32 size = pick(4) == 0;
	s16 off = (s16)(-8 * (s32)(1 + pick(6)) + (size && pick(2) ? 4 : 0));
	switch (pick(escapes ? 5 : 3)) {
	case 0:
		put(insn_encode(sized[size][0], false, 10, reg(), off, 0));
		break;
	case 1:
		put(insn_encode(pick(5) ? sized[size][1] : OP_LDXS32, false, reg(), 10, off, 0));
		break;
	case 2:
		put(insn_encode(sized[size][2], false, 10, 0, off, imm()));
		break;
	default: {
		u8 t = reg(), v = (u8)((t + 1 + pick(7)) % 8);
		put(X(MOV64, t, 10));
		put_closed(K(ADD64, t, off & ~7));
		put_closed(insn_encode(pick(2) ? OP_STX64 : OP_STX32, false, t, v, 0, 0));
		put(insn_encode(OP_LDX64, false, t, t, 0, 0));
		closed[n - 1] = true;
	}
	}
}
static void item_atomic(void) {
	u8 t = reg(), s = (u8)((t + 1 + pick(7)) % 8);
	enum bpf_op op = OP_ATOMIC_ADD32 + pick(20);
	put(X(MOV64, t, 8));
	put_closed(K(ADD64, t, 8 * (s32)pick(8)));
	put_closed(insn_encode(op, false, t, s, 8 * (s16)pick(8), 0));
	put(X(MOV64, t, s));
	closed[n - 1] = true;
}
/* Calls lose r1 … r5: they are loaded anew. The target of a local one is set when the program is complete. */
static u64 mix(DP_ARGS) {
	return r1 * 3 ^ r2 * 5 ^ r3 * 7 ^ r4 * 11 ^ r5 * 13 ^ run->cpu;
}
static void item_call(void) {
	put(pick(2) ? CALL(2) : pick(4) ? I(CALL_LOCAL, false, 0, 0, 0, 0) : CALL(8));
	for (u32 r = 1; r <= 5; r++)
		put_closed(LDX(LDX64, r, 8, (s16)(8 * pick(40))));
}
/* The local function: its own r6 … r9 and stack. */
static void function(void) {
	u32 start = n;
	for (u32 i = 0; i < start; i++)
		if (insn_is_pseudo_call(&code[i]))
			code[i].imm = (s32)(start - i - 1);
	put(X(MOV64, 6, 1));
	put(STX(STX64, 10, -8, 2));
	put(X(MOV64, 9, 3));
	put(X(MOV64, 0, 4));
	if (pick(2))
		put(JK(JSGT64, 5, imm(), 1)), put(X(XOR64, 0, 5));
	if (pick(3) == 0)
		put(CALL(2));
	put(X(ADD64, 0, 6));
	put(LDX(LDX64, 1, 10, -8));
	put(X(SUB64, 0, 1));
	put(X(XOR64, 0, 9));
	put(EXIT());
}
static void item_const(void) {
	if (pick(3)) {
		put(pick(2) ? K(MOV64, reg(), imm()) : K(MOV32, reg(), imm()));
	} else {
		code[n++] = insn_encode(OP_LDDW, false, reg(), 0, 0, imm());
		code[n++] = insn_encode_next(imm());
		closed[n - 1] = true;
	}
}
static struct bpf_insn compare(s16 off) {
	enum bpf_op op = any(SHAPE_JCC, pick(2));
	return pick(2) ? insn_encode(op, true, reg(), reg(), off, 0) : insn_encode(op, false, reg(), 0, off, imm());
}
static void item_select(void) {
	if (pick(2))
		put(K(MOV64, reg(), (s32)pick(2)));
	put(compare(1));
	put(pick(2) ? insn_encode(pick(2) ? OP_MOV64 : OP_MOV32, true, reg(), reg(), 0, 0)
	            : insn_encode(pick(2) ? OP_MOV64 : OP_MOV32, false, reg(), 0, 0, pick(2) ? (s32)pick(2) : imm()));
}
static void item_test(void) {
	u8 d = reg();
	if (pick(2))
		put(X(MOV64, d, reg()));
	put(insn_encode(pick(2) ? OP_AND64 : OP_AND32, pick(2), d, reg(), 0, 0));
	if (!insn_reg_form(&code[n - 1]))
		code[n - 1].src_reg = 0, code[n - 1].imm = imm();
	put(insn_encode(pick(2) ? (pick(2) ? OP_JEQ64 : OP_JNE64) : (pick(2) ? OP_JEQ32 : OP_JNE32), false, d, 0, 1, 0));
	item_simple();
}

static void segment(void) {
	static void (*const items[])(void) = {item_alu, item_alu, item_unary, item_simple, item_simple, item_rotate, item_extend,
		item_load, item_load, item_store, item_rmw, item_stack, item_stack, item_const, item_select, item_test, item_atomic, item_alu};
	bool loop = pick(3) == 0;
	if (loop)
		put(K(MOV64, 9, 1 + (s32)pick(4)));
	u32 start = n, count = 1 + pick(12);
	for (u32 i = 0; i < count && n < MAX - 60; i++) {
		if (pick(6) == 0)
			put(compare(0x7000)); /* resolved below */
		else if (pick(30) == 0)
			put(GOTO(0x7000));
		if (calls && pick(10) == 0)
			item_call();
		else
			items[pick(ARRAY_SIZE(items))]();
	}
	closed[n] = false;
	for (u32 i = start; i < n; i++) {
		if (code[i].off != 0x7000)
			continue;
		u32 t = i + 1 + pick(n - i);
		while (t < n && closed[t])
			t++;
		code[i].off = (s16)(t - i - 1);
	}
	if (loop) {
		put(K(ADD64, 9, -1));
		s32 back = (s32)start - (s32)n - 1;
		if (pick(2)) {
			put(JK(JNE64, 9, 0, (s16)back));
		} else {
			put(JK(JEQ64, 9, 0, 1));
			put(GOTO((s16)(back - 1)));
		}
	}
}

static void generate(void) {
	n = 0;
	memset(closed, 0, sizeof closed);
	escapes = pick(3) == 0, calls = pick(3) == 0;
	put(X(MOV64, 8, 1));
	for (u32 i = 1; i <= 8; i++)
		put(I(ST64, false, 10, 0, (s16)(-8 * (s32)i), imm()));
	for (u32 i = 0; i < 8; i++)
		put(LDX(LDX64, i, 8, (s16)(8 * i)));
	put(K(MOV64, 9, 1));
	for (u32 i = 0, k = 1 + pick(6); i < k && n < MAX - 80; i++)
		segment();
	for (u32 i = 0; i < 8; i++)
		code[n++] = STX(STX64, 8, (s16)(768 + 8 * i), i);
	for (u32 i = 1; i <= 6; i++) {
		code[n++] = LDX(LDX64, 0, 10, (s16)(-8 * (s32)i));
		code[n++] = STX(STX64, 8, (s16)(896 + 8 * i), 0);
	}
	code[n++] = EXIT();
	if (calls)
		function();
	ASSERT(n <= MAX);
}

static void show(void) {
	for (u32 i = 0; i < n; i++)
		if (code[i].code != 0x05 || code[i].off)
			printf("%3u: %02x %x %x %5d %11d   %s\n", i, code[i].code, code[i].dst_reg, code[i].src_reg, code[i].off, code[i].imm,
		       op_rows[insn_decode(&code[i])].name ? op_rows[insn_decode(&code[i])].name : "");
}

static u64 data_seed;

/* Builds and runs code[] in both engines. Quiet unless told. */
static bool agree(bool tell) {
	struct test_prog p;
	struct image *image;
	u64 in[CTX / 8], a[CTX / 8], b[CTX / 8]; /* addresses get into the data: both run in b */
	test_seed = data_seed;
	for (u32 i = 0; i < CTX / 8; i++)
		in[i] = pick(3) ? test_random() : pick(2) ? (u64)(s64)imm() : test_random() >> pick(64);
	test_prog(&p, code, n);
	p.subs[0].stack = 64, p.subs[1].stack = 8;
	bool good = !image_build(&p.x, pick(4) ? 0 : IMAGE_METERED, true, &image);
	if (good) {
		if (canary)
			image->xlated->insns[9].off += 8;
		if (pick(2) || canary)
			test_recompile(image, 0);
		struct skep_run run = test_run(), run2 = test_run();
		test_bad = 0;
		memcpy(b, in, sizeof in);
		image->xlated->insns[9].off -= canary ? 8 : 0;
		u64 r0 = test_interp(image, b, &run);
		memcpy(a, b, sizeof a);
		memcpy(b, in, sizeof in);
		u64 r1 = test_jit(image, b, &run2);
		good = !test_bad && r0 == r1 && !memcmp(a, b, sizeof a) && run.budget == run2.budget;
		for (u32 i = 0; i < CTX / 8 && !good && tell; i++)
			if (a[i] != b[i])
				printf("  context[%u]: interpreter 0x%llx, machine code 0x%llx\n", i * 8, (long long)a[i], (long long)b[i]);
		if (tell) {
			FILE *f = fopen("/tmp/fuzz-exec.bin", "w");
			if (f)
				fwrite(image->code, image->code_size, 1, f), fclose(f);
		}
		image_free(image);
	}
	test_prog_free(&p);
	return good;
}

/* Takes out what the difference does not need: instructions that no address depends on. */
static void reduce(void) {
	for (u32 i = 17; i < n; i++) {
		struct bpf_insn keep = code[i];
		bool part = closed[i] || closed[i + 1] || BPF_CLASS(keep.code) == BPF_LD || keep.dst_reg == 9 || keep.dst_reg == 8;
		u8 op = BPF_OP(keep.code), class = BPF_CLASS(keep.code);
		if (part || ((class == BPF_JMP || class == BPF_JMP32) && (op == BPF_EXIT || keep.off < 0)))
			continue;
		code[i] = GOTO(0);
		if (agree(false))
			code[i] = keep;
	}
}

static bool one(u64 seed) {
	test_seed = seed;
	generate();
	data_seed = test_random() | 1;
	if (agree(false))
		return true;
	reduce();
	printf("fuzz-exec: interpreter and machine code differ (machine code in /tmp/fuzz-exec.bin)\n");
	show();
	agree(true);
	return false;
}

int main(int argc, char **argv) {
	canary = argc > 1 && !strcmp(argv[1], "--canary");
	argc -= canary, argv += canary;
	u64 count = argc > 1 ? strtoull(argv[1], NULL, 0) : 20000, seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	test_dp[DP_helper_map_update_elem] = mix;
	for (u64 i = 0; i < count; i++)
		if (!one((seed + i) * 0x9e3779b97f4a7c15 | 1) && argc < 4) {
			printf("again: %s 1 %llu\n", argv[0], (long long)(seed + i));
			return 1;
		}
	printf("fuzz-exec: %llu programs, no difference\n", (long long)count);
	return 0;
}
