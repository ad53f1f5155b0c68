/* A grammar for programs on the edge of what a verifier accepts.
 *
 * Random bytes are refused at the first instruction and teach nothing. So the generator keeps a rough notion of what each
 * register holds, and emits idioms: load the packet's bounds and compare, look a value up and test it, mask or compare a
 * scalar and add it to a pointer, store and load at the edge of what is proven, spill and fill in different widths,
 * branch on everything, loop a known number of times, call a function, reserve and submit a record. Now and then it
 * leaves one step out, or is off by one: the verifier has to notice. Mutations then break what is left.
 *
 * The notion may be wrong after a branch (both ways go on with the same): that is wanted, since it yields programs in which
 * the verifier must know better than we do. Nothing here decides what is right: the verifier, the interpreter's oracle and
 * the kernel do.
 *
 * Sources: the idioms are those of the twelve most frequent refusals, of the published holes of verifiers (32-bit bounds, precision marks, linked registers), and of clang's output. */
#include "fuzz/generate.h"
#include <string.h>

enum kind { NOTHING, SCALAR, CTX, PACKET, PACKET_END, VALUE, VALUE_OR_NULL, STACK, RECORD, RECORD_OR_NULL };

enum { XDP_DATA = 0, XDP_DATA_END = 4, XDP_RX_QUEUE = 16 };
enum { FUNC_LOOKUP = 1, FUNC_UPDATE = 2, FUNC_DELETE = 3, FUNC_KTIME = 5, FUNC_PRANDOM = 7, FUNC_CPU = 8, FUNC_ADJUST_HEAD = 44,
       FUNC_ADJUST_TAIL = 65, FUNC_RESERVE = 131, FUNC_SUBMIT = 132, FUNC_DISCARD = 133, FUNC_CSUM_DIFF = 28 };

enum { FUNCTIONS = 3, TAIL = 100 }; /* slots kept for the functions */

struct state {
	struct random *r;
	const struct generate_maps *maps;
	struct bpf_insn *out;
	u32 n;
	u8 kind[11];
	u16 range[11];       /* PACKET, VALUE, RECORD: bytes believed accessible */
	bool stack[64];      /* eight-byte slots believed written */
	u32 fixups[8], fixups_n; /* forward jumps that end here or there */
	u32 depth;
	u32 calls_n; /* local calls, each of a function of its own that comes behind the program */
	struct call {
		u32 at; /* of the call instruction */
		u8 kind[6];
		u16 range[6];
	} calls[FUNCTIONS];
	u32 room; /* slots that may be used so far */
};

static void emit(struct state *s, u8 code, u8 dst, u8 src, s16 off, s32 imm) {
	if (s->n < s->room)
		s->out[s->n++] = (struct bpf_insn){.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}

static u32 below(struct state *s, u32 n) {
	return random_below(s->r, n);
}
static bool chance(struct state *s, u32 percent) {
	return random_chance(s->r, percent);
}

static s32 edge(struct state *s) {
	static const s32 edges[] = {0,    1,     2,      3,          4,         7,  8,  15, 16, 31, 32, 47, 48, 63, 64, 255, 256, 512,
	                            1000, 4095,  65535,  0x7fffffff, -1,        -2, -8, -16, -64, -512, INT32_MIN, INT32_MIN + 1};
	s32 v = edges[below(s, ARRAY_SIZE(edges))];
	return chance(s, 20) ? (s32)((u32)v + below(s, 3) - 1) : v;
}

/* Any of r0-r9 of this kind, or -1. */
static int find(struct state *s, u32 kind) {
	u32 from = below(s, 10);
	for (u32 i = 0; i < 10; i++)
		if (s->kind[(from + i) % 10] == kind)
			return (int)((from + i) % 10);
	return -1;
}

static void set(struct state *s, u32 reg, u32 kind, u32 range) {
	s->kind[reg] = (u8)kind, s->range[reg] = (u16)range;
}

/* A register for a new value: mostly callee-saved ones, so that values live over calls. Never r6, the context. */
static u32 fresh(struct state *s) {
	static const u8 pick[] = {7, 8, 9, 7, 8, 9, 0, 2, 3, 4, 5};
	return pick[below(s, ARRAY_SIZE(pick))];
}

static void call(struct state *s, s32 helper) {
	emit(s, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
	for (u32 reg = 1; reg <= 5; reg++)
		set(s, reg, NOTHING, 0);
	set(s, 0, SCALAR, 0);
}

static void load_map(struct state *s, u32 reg, s32 fd) {
	emit(s, BPF_LD_IMM64, (u8)reg, BPF_PSEUDO_MAP_FD, 0, fd);
	emit(s, 0, 0, 0, 0, 0);
}

/* ---- scalars ------------------------------------------------------------------------------------------------------ */

static void make_scalar(struct state *s) {
	u32 reg = fresh(s);
	int p = find(s, PACKET), v = find(s, VALUE);
	static const u8 sizes[] = {BPF_B, BPF_H, BPF_W, BPF_DW};
	u8 size = sizes[below(s, 4)];
	switch (below(s, 6)) {
	case 0:
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)reg, 0, 0, edge(s));
		break;
	case 1:
		emit(s, BPF_LDX | BPF_MEM | BPF_W, (u8)reg, 6, XDP_RX_QUEUE, 0);
		break;
	case 2:
		call(s, chance(s, 50) ? FUNC_PRANDOM : FUNC_KTIME);
		reg = 0;
		break;
	default:
		if (p >= 0 && s->range[p] >= 8)
			emit(s, BPF_LDX | (chance(s, 15) && size != BPF_DW ? BPF_MEMSX : BPF_MEM) | size, (u8)reg, (u8)p,
			     (s16)below(s, s->range[p] - 7u), 0);
		else if (v >= 0 && s->range[v] >= 8)
			emit(s, BPF_LDX | (chance(s, 15) && size != BPF_DW ? BPF_MEMSX : BPF_MEM) | size, (u8)reg, (u8)v,
			     (s16)(below(s, s->range[v] / 8u) * 8), 0);
		else
			emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)reg, 0, 0, edge(s));
	}
	set(s, reg, SCALAR, 0);
}

static void alu(struct state *s) {
	static const u8 ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_ARSH, BPF_MOV,
	                         BPF_ADD, BPF_AND, BPF_RSH, BPF_NEG, BPF_END};
	int dst = find(s, SCALAR), src = find(s, SCALAR);
	u8 op = ops[below(s, ARRAY_SIZE(ops))], class = chance(s, 50) ? BPF_ALU64 : BPF_ALU;
	if (dst < 0 || src < 0)
		return;
	s16 off = (op == BPF_DIV || op == BPF_MOD) && chance(s, 30) ? 1 : 0;
	if (op == BPF_END) {
		static const s32 widths[] = {16, 32, 64};
		u8 kind = (u8)below(s, 3); /* le, be, bswap */
		emit(s, (kind == 2 ? BPF_ALU64 : BPF_ALU) | BPF_END | (kind == 1 ? BPF_TO_BE : BPF_TO_LE), (u8)dst, 0, 0, widths[below(s, 3)]);
	} else if (op == BPF_NEG) {
		emit(s, class | op, (u8)dst, 0, 0, 0);
	} else if (op == BPF_MOV && chance(s, 40)) {
		static const s16 widths[] = {8, 16, 32};
		emit(s, class | op | BPF_X, (u8)dst, (u8)src, widths[below(s, class == BPF_ALU ? 2 : 3)], 0);
	} else if (chance(s, 50)) {
		emit(s, class | op | BPF_X, (u8)dst, (u8)src, off, 0);
	} else {
		s32 imm = edge(s);
		if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
			imm = (s32)below(s, class == BPF_ALU ? 32 : 64);
		else if ((op == BPF_DIV || op == BPF_MOD) && !imm)
			imm = 1;
		emit(s, class | op | BPF_K, (u8)dst, 0, off, imm);
	}
}

/* Bounds a scalar, in one of the ways that compilers and people use; sometimes wrongly. */
static void bound(struct state *s, u32 reg, u32 limit) {
	s32 wrong = chance(s, 12) ? 1 : 0;
	bool wide = chance(s, 60);
	switch (below(s, 5)) {
	case 0:
	case 1: {
		u32 mask = 1;
		while (mask * 2 <= limit)
			mask *= 2;
		emit(s, (wide ? BPF_ALU64 : BPF_ALU) | BPF_AND | BPF_K, (u8)reg, 0, 0, (s32)mask - 1 + wrong);
		break;
	}
	case 2: /* if (x > limit - 1) goto out; out is the end: patched to skip a move that makes it fit */
		emit(s, (wide ? BPF_JMP : BPF_JMP32) | (chance(s, 80) ? BPF_JLT : BPF_JSLT) | BPF_K, (u8)reg, 0, 1, (s32)limit + wrong);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)reg, 0, 0, 0);
		break;
	case 3:
		emit(s, (wide ? BPF_JMP : BPF_JMP32) | BPF_JLE | BPF_K, (u8)reg, 0, 1, (s32)limit - 1 + wrong);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)reg, 0, 0, (s32)below(s, limit ? limit : 1));
		break;
	default:
		emit(s, (wide ? BPF_ALU64 : BPF_ALU) | BPF_MOD | BPF_K, (u8)reg, 0, 0, (s32)(limit ? limit : 1) + wrong);
	}
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static void packet(struct state *s) {
	u32 reg = fresh(s), end = reg == 9 ? 8 : 9, tmp = 5, bytes = below(s, 3) ? 8 + below(s, 56) : 1 + below(s, 20);
	emit(s, BPF_LDX | BPF_MEM | BPF_W, (u8)reg, 6, XDP_DATA, 0);
	emit(s, BPF_LDX | BPF_MEM | BPF_W, (u8)end, 6, XDP_DATA_END, 0);
	emit(s, BPF_ALU64 | BPF_MOV | BPF_X, (u8)tmp, (u8)reg, 0, 0);
	emit(s, BPF_ALU64 | BPF_ADD | BPF_K, (u8)tmp, 0, 0, (s32)bytes);
	/* if (tmp > end) exit */
	emit(s, BPF_JMP | (chance(s, 90) ? BPF_JLE : BPF_JLT) | BPF_X, (u8)tmp, (u8)end, 2, 0);
	emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
	emit(s, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	set(s, reg, PACKET, bytes + (chance(s, 8) ? 1 : 0));
	set(s, end, PACKET_END, 0);
	set(s, tmp, NOTHING, 0);
}

static void lookup(struct state *s) {
	bool array = chance(s, 50);
	s32 fd = array ? s->maps->array : s->maps->hash;
	s16 at = (s16)(-8 * (s16)(1 + below(s, 8)) + (chance(s, 20) ? 4 : 0));
	int key = find(s, SCALAR);
	if (key >= 0 && chance(s, 60))
		emit(s, BPF_STX | BPF_MEM | BPF_W, 10, (u8)key, at, 0);
	else
		emit(s, BPF_ST | BPF_MEM | BPF_W, 10, 0, at, (s32)below(s, 5));
	load_map(s, 1, fd);
	emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
	emit(s, BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, at);
	call(s, FUNC_LOOKUP);
	set(s, 0, VALUE_OR_NULL, GENERATE_VALUE);
	if (chance(s, 92)) {
		emit(s, BPF_JMP | BPF_JNE | BPF_K, 0, 0, chance(s, 95) ? 2 : 1, 0);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 2);
		emit(s, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}
	u32 keep = 7 + below(s, 3);
	emit(s, BPF_ALU64 | BPF_MOV | BPF_X, (u8)keep, 0, 0, 0);
	set(s, keep, VALUE, GENERATE_VALUE);
	set(s, 0, VALUE, GENERATE_VALUE);
}

static void access_at(struct state *s, u32 reg, u32 range) {
	static const u8 sizes[] = {BPF_B, BPF_H, BPF_W, BPF_DW};
	u8 size = sizes[below(s, 4)];
	u32 bytes = insn_size_bytes(size);
	s32 off = range >= bytes ? (s32)(below(s, range - bytes + 1) & ~(bytes - 1)) : 0;
	if (chance(s, 6))
		off = chance(s, 50) ? (s32)range - (s32)bytes + 1 : -1;
	else if (chance(s, 10))
		off = (s32)range - (s32)bytes;
	int value = find(s, SCALAR);
	if (chance(s, 55)) {
		u32 to = fresh(s);
		emit(s, BPF_LDX | BPF_MEM | size, (u8)to, (u8)reg, (s16)off, 0);
		set(s, to, SCALAR, 0);
	} else if (value >= 0 && chance(s, 20) && bytes >= 4) {
		static const s32 ops[] = {BPF_ADD, BPF_ADD | BPF_FETCH, BPF_OR | BPF_FETCH, BPF_AND, BPF_XOR, BPF_XCHG, BPF_CMPXCHG};
		emit(s, BPF_STX | BPF_ATOMIC | size, (u8)reg, (u8)value, (s16)off, ops[below(s, ARRAY_SIZE(ops))]);
	} else if (value >= 0 && chance(s, 60)) {
		emit(s, BPF_STX | BPF_MEM | size, (u8)reg, (u8)value, (s16)off, 0);
	} else {
		emit(s, BPF_ST | BPF_MEM | size, (u8)reg, 0, (s16)off, edge(s));
	}
}

/* pointer + bounded scalar, then an access at the edge. */
static void variable_access(struct state *s) {
	int p = find(s, chance(s, 50) ? VALUE : PACKET), x;
	if (p < 0 || find(s, SCALAR) < 0)
		make_scalar(s); /* which may overwrite the pointer */
	if (p < 0 || s->range[p] < 9 || (x = find(s, SCALAR)) < 0)
		return;
	u32 room = 1 + below(s, s->range[p] - 1u), left = s->range[p] - room + 1u;
	bound(s, (u32)x, room);
	u32 to = fresh(s);
	if ((int)to == x)
		to = to == 7 ? 8 : 7;
	emit(s, BPF_ALU64 | BPF_MOV | BPF_X, (u8)to, (u8)p, 0, 0);
	if (chance(s, 15)) { /* scalar first: the other order of the same sum */
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 5, (u8)x, 0, 0);
		emit(s, BPF_ALU64 | BPF_ADD | BPF_X, 5, (u8)to, 0, 0);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, (u8)to, 5, 0, 0);
	} else {
		emit(s, BPF_ALU64 | (chance(s, 95) ? BPF_ADD : BPF_SUB) | BPF_X, (u8)to, (u8)x, 0, 0);
	}
	u32 kind = s->kind[p];
	set(s, to, kind, left);
	if (kind == PACKET && chance(s, 85)) { /* a variable packet pointer needs a new comparison */
		int end = find(s, PACKET_END);
		u32 bytes = 1 + below(s, 8);
		if (end < 0 || (u32)end == to)
			return;
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 5, (u8)to, 0, 0);
		emit(s, BPF_ALU64 | BPF_ADD | BPF_K, 5, 0, 0, (s32)bytes);
		emit(s, BPF_JMP | BPF_JLE | BPF_X, 5, (u8)end, 2, 0);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
		emit(s, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		set(s, to, PACKET, bytes);
	}
	access_at(s, to, s->range[to]);
}

static void stack_access(struct state *s) {
	static const u8 sizes[] = {BPF_B, BPF_H, BPF_W, BPF_DW};
	u8 size = sizes[below(s, 4)];
	u32 bytes = insn_size_bytes(size), slot = below(s, 8);
	s16 off = (s16)(-8 * (s16)(slot + 1) + (s16)(below(s, 8 / bytes) * bytes));
	if (chance(s, 3))
		off = (s16)(chance(s, 50) ? 0 : -520);
	u32 any = below(s, 10);
	if (chance(s, 50) && s->kind[any] != NOTHING) {
		if (s->kind[any] != SCALAR && chance(s, 90)) /* a spill */
			size = BPF_DW, off = (s16)(-8 * (s16)(slot + 1));
		emit(s, BPF_STX | BPF_MEM | size, 10, (u8)any, off, 0);
		s->stack[slot] = size == BPF_DW;
	} else if (chance(s, 30)) {
		emit(s, BPF_ST | BPF_MEM | size, 10, 0, off, edge(s));
	} else if (s->stack[slot] || chance(s, 10)) {
		u32 to = fresh(s);
		emit(s, BPF_LDX | BPF_MEM | size, (u8)to, 10, off, 0);
		set(s, to, SCALAR, 0);
	}
}

/* ---- what planted defects of verifiers are about ---------------------------------------------------------------------- */

/* Is the scalar what the verifier says? A branch on it, or an offset made of it, so that somebody relies on it. */
static void rely(struct state *s, u32 x) {
	int p = find(s, VALUE);
	if (p < 0 || (u32)p == x || s->range[p] < 9 || chance(s, 30)) {
		emit(s, (chance(s, 50) ? BPF_JMP : BPF_JMP32) | BPF_JGT | BPF_K, (u8)x, 0, 1, edge(s));
		emit(s, BPF_ALU64 | BPF_ADD | BPF_K, (u8)x, 0, 0, 1);
		return;
	}
	u32 to = x == 4 ? 3 : 4;
	emit(s, BPF_ALU64 | BPF_MOV | BPF_X, (u8)to, (u8)p, 0, 0);
	emit(s, BPF_ALU64 | BPF_ADD | BPF_X, (u8)to, (u8)x, 0, 0);
	emit(s, BPF_LDX | BPF_MEM | BPF_B, (u8)to, (u8)to, chance(s, 30) ? GENERATE_VALUE - 1 : 0, 0);
	set(s, to, SCALAR, 0);
}

/* A number whose bits are anybody's. */
static u32 wild(struct state *s) {
	int p = find(s, VALUE);
	static const u8 sizes[] = {BPF_B, BPF_H, BPF_W, BPF_DW, BPF_DW, BPF_DW};
	u32 x = p == 7 ? 8 : 7;
	if (p >= 0 && s->range[p] >= 8) {
		emit(s, BPF_LDX | BPF_MEM | sizes[below(s, ARRAY_SIZE(sizes))], (u8)x, (u8)p, (s16)(8 * below(s, s->range[p] / 8u)), 0);
	} else {
		call(s, FUNC_KTIME);
		x = 0;
	}
	set(s, x, SCALAR, 0);
	return x;
}

/* Spill in one width, overwrite in another, fill in a third. */
static void spills(struct state *s) {
	static const u8 sizes[] = {BPF_B, BPF_H, BPF_W, BPF_DW};
	s16 slot = (s16)(-8 * (s16)(1 + below(s, 8)));
	u8 first = sizes[1 + below(s, 3)], second = sizes[below(s, 4)], third = sizes[below(s, 4)];
	s16 part = (s16)(below(s, 8 / insn_size_bytes(second)) * insn_size_bytes(second));
	u32 x = wild(s), y = fresh(s);
	if (chance(s, 50))
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)x, 0, 0, edge(s));
	else if (chance(s, 50))
		bound(s, x, 1 + below(s, 0x1000));
	emit(s, BPF_STX | BPF_MEM | first, 10, (u8)x, slot, 0);
	if (chance(s, 60)) {
		u32 other = chance(s, 50) ? x : wild(s);
		if (chance(s, 50))
			emit(s, BPF_ST | BPF_MEM | second, 10, 0, (s16)(slot + part), edge(s));
		else
			emit(s, BPF_STX | BPF_MEM | second, 10, (u8)other, (s16)(slot + part), 0);
	}
	part = (s16)(chance(s, 70) ? 0 : below(s, 8 / insn_size_bytes(third)) * insn_size_bytes(third));
	emit(s, BPF_LDX | (chance(s, 15) && third != BPF_DW ? BPF_MEMSX : BPF_MEM) | third, (u8)y, 10, (s16)(slot + part), 0);
	set(s, y, SCALAR, 0);
	if (chance(s, 60))
		bound(s, y, 1 + below(s, GENERATE_VALUE));
	rely(s, y);
}

/* A copy is compared, the original used; now and then one of them changed in between. */
static void linked(struct state *s) {
	static const u8 ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_OR, BPF_XOR, BPF_LSH, BPF_RSH, BPF_ARSH, BPF_AND, BPF_NEG};
	u32 x = wild(s), y = x == 8 ? 9 : 8;
	u8 op = ops[chance(s, 50) ? below(s, 2) : below(s, ARRAY_SIZE(ops))], class = chance(s, 70) ? BPF_ALU64 : BPF_ALU;
	if (chance(s, 30))
		bound(s, x, 1 + below(s, 0x1000));
	emit(s, chance(s, 75) ? BPF_ALU64 | BPF_MOV | BPF_X : BPF_ALU | BPF_MOV | BPF_X, (u8)y, (u8)x, 0, 0);
	set(s, y, SCALAR, 0);
	if (chance(s, 70))
		emit(s, class | op | BPF_K, (u8)(chance(s, 50) ? x : y), 0, 0, op == BPF_NEG ? 0 : (s32)below(s, 24));
	emit(s, (chance(s, 60) ? BPF_JMP : BPF_JMP32) | (chance(s, 70) ? BPF_JLT : BPF_JSLT) | BPF_K, (u8)(chance(s, 50) ? x : y), 0, 2,
	     (s32)(1 + below(s, GENERATE_VALUE)));
	emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)x, 0, 0, 0);
	emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)y, 0, 0, 0);
	rely(s, chance(s, 50) ? x : y);
}

/* Signs and halves: shifts that bring them in, extensions, comparisons of the lower half. */
static void signs(struct state *s) {
	static const s16 widths[] = {8, 16, 32};
	u32 x = wild(s);
	bool wide = chance(s, 60);
	switch (below(s, 4)) {
	case 0: {
		s32 by = (s32)(1 + below(s, wide ? 63 : 31));
		emit(s, (wide ? BPF_ALU64 : BPF_ALU) | BPF_LSH | BPF_K, (u8)x, 0, 0, by);
		emit(s, (wide ? BPF_ALU64 : BPF_ALU) | BPF_ARSH | BPF_K, (u8)x, 0, 0, chance(s, 70) ? by : (s32)below(s, wide ? 64 : 32));
		break;
	}
	case 1:
		emit(s, (wide ? BPF_ALU64 : BPF_ALU) | BPF_MOV | BPF_X, (u8)x, (u8)x, widths[below(s, wide ? 3 : 2)], 0);
		break;
	case 2:
		emit(s, BPF_JMP32 | (chance(s, 50) ? BPF_JLT : BPF_JGT) | BPF_K, (u8)x, 0, 1, edge(s));
		emit(s, BPF_ALU | BPF_MOV | BPF_K, (u8)x, 0, 0, (s32)below(s, 8));
		break;
	default:
		emit(s, (wide ? BPF_ALU64 : BPF_ALU) | BPF_SUB | BPF_K, (u8)x, 0, 0, edge(s));
		emit(s, (wide ? BPF_ALU : BPF_ALU64) | BPF_ADD | BPF_K, (u8)x, 0, 0, edge(s));
	}
	if (chance(s, 60))
		bound(s, x, 1 + below(s, GENERATE_VALUE));
	rely(s, x);
}

/* The stack at an offset that is a variable. */
static void variable_stack(struct state *s) {
	u32 x = wild(s), room = 1 + below(s, 32);
	for (s16 at = -64; at < 0 && chance(s, 95); at += 8)
		emit(s, BPF_ST | BPF_MEM | BPF_DW, 10, 0, at, edge(s));
	bound(s, x, room);
	emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 5, 10, 0, 0);
	emit(s, BPF_ALU64 | BPF_ADD | BPF_X, 5, (u8)x, 0, 0);
	s16 at = (s16)-(s16)(chance(s, 80) ? MIN(room + below(s, 24), 64u) : room - (room > 1));
	if (chance(s, 50)) {
		emit(s, BPF_LDX | BPF_MEM | BPF_B, 4, 5, at, 0);
		set(s, 4, SCALAR, 0);
		rely(s, 4);
	} else {
		emit(s, BPF_STX | BPF_MEM | BPF_B, 5, (u8)x, at, 0);
		emit(s, BPF_LDX | BPF_MEM | BPF_DW, 4, 10, (s16)(-8 * (s16)(1 + below(s, 8))), 0);
		set(s, 4, SCALAR, 0);
		rely(s, 4);
	}
	set(s, 5, NOTHING, 0);
}

/* One of two numbers, by a coin; the paths join, and then the number is an offset. */
static void joined(struct state *s) {
	u32 coin = wild(s), x = coin == 8 ? 9 : 8;
	bool spilled = chance(s, 40);
	emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)x, 0, 0, (s32)below(s, GENERATE_VALUE + 8));
	emit(s, BPF_JMP | (chance(s, 50) ? BPF_JSET : BPF_JGT) | BPF_K, (u8)coin, 0, 1, 1 + (s32)below(s, 3));
	emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)x, 0, 0, (s32)below(s, GENERATE_VALUE + 8));
	set(s, x, SCALAR, 0);
	if (spilled)
		emit(s, BPF_STX | BPF_MEM | BPF_DW, 10, (u8)x, -72, 0);
	for (u32 i = below(s, 6); i; i--) { /* prune points come at jumps and calls */
		emit(s, BPF_JMP | BPF_JSET | BPF_K, (u8)coin, 0, 1, 1 << below(s, 8));
		emit(s, BPF_ALU64 | BPF_ADD | BPF_K, (u8)coin, 0, 0, (s32)below(s, 3));
	}
	if (spilled)
		emit(s, BPF_LDX | BPF_MEM | BPF_DW, (u8)x, 10, -72, 0);
	rely(s, x);
}

/* An atomic that brings back what was there. */
static void fetches(struct state *s) {
	static const s32 ops[] = {BPF_ADD | BPF_FETCH, BPF_OR | BPF_FETCH, BPF_AND | BPF_FETCH, BPF_XOR | BPF_FETCH, BPF_XCHG, BPF_CMPXCHG};
	int p = find(s, VALUE);
	u32 x = p == 7 ? 8 : 7;
	u8 size = chance(s, 50) ? BPF_DW : BPF_W;
	emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)x, 0, 0, (s32)below(s, 16));
	set(s, x, SCALAR, 0);
	if (p >= 0 && p != 0 && chance(s, 70)) {
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, (s32)below(s, 3));
		set(s, 0, SCALAR, 0);
		emit(s, BPF_STX | BPF_ATOMIC | size, (u8)p, (u8)x, (s16)(8 * below(s, 5)), ops[below(s, ARRAY_SIZE(ops))]);
	} else {
		emit(s, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -80, edge(s));
		emit(s, BPF_STX | BPF_ATOMIC | size, 10, (u8)x, -80, ops[below(s, ARRAY_SIZE(ops) - 1)]);
	}
	if (chance(s, 50))
		bound(s, x, 1 + below(s, GENERATE_VALUE));
	rely(s, x);
}

static void edges(struct state *s) {
	static void (*const idioms[])(struct state *) = {spills, linked, signs, variable_stack, joined, fetches};
	idioms[below(s, ARRAY_SIZE(idioms))](s);
}

/* ---- control flow, calls ------------------------------------------------------------------------------------------- */

static void branch(struct state *s) {
	static const u8 ops[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE};
	int dst = find(s, SCALAR), src = find(s, SCALAR);
	if (dst < 0 || s->fixups_n == ARRAY_SIZE(s->fixups))
		return;
	u8 class = chance(s, 60) ? BPF_JMP : BPF_JMP32, op = ops[below(s, ARRAY_SIZE(ops))];
	s->fixups[s->fixups_n++] = s->n;
	if (chance(s, 45))
		emit(s, class | op | BPF_X, (u8)dst, (u8)src, 0, 0);
	else
		emit(s, class | op | BPF_K, (u8)dst, 0, 0, edge(s));
}

static void land(struct state *s) {
	if (!s->fixups_n)
		return;
	u32 i = below(s, s->fixups_n), at = s->fixups[i];
	s->fixups[i] = s->fixups[--s->fixups_n];
	if (at < s->n)
		s->out[at].off = (s16)(s->n - at - 1);
}

static void statement(struct state *s);

/* for (i = 0; i < n; i++) { … }, the counter in r9 or on the stack. */
static void loop(struct state *s) {
	if (s->depth >= 1)
		return;
	s->depth++;
	u32 times = 1 + below(s, 6);
	emit(s, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -128, 0);
	u32 top = s->n;
	for (u32 i = below(s, 3) + 1; i; i--)
		statement(s);
	emit(s, BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -128, 0);
	emit(s, BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 1);
	emit(s, BPF_STX | BPF_MEM | BPF_DW, 10, 1, -128, 0);
	emit(s, (chance(s, 80) ? BPF_JMP : BPF_JMP32) | (chance(s, 80) ? BPF_JLT : BPF_JNE) | BPF_K, 1, 0, (s16)((s32)top - (s32)s->n - 1),
	     (s32)times);
	set(s, 1, SCALAR, 0);
	s->depth--;
}

static void helper(struct state *s) {
	s16 at = (s16)(-8 * (s16)(2 + below(s, 5)));
	switch (below(s, 5)) {
	case 0: /* update the hash from the stack */
		emit(s, BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, (s32)below(s, 8));
		for (s16 o = -64; o < -64 + GENERATE_VALUE - (chance(s, 4) ? 8 : 0); o += 8)
			emit(s, BPF_ST | BPF_MEM | BPF_DW, 10, 0, o, edge(s));
		load_map(s, 1, s->maps->hash);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
		emit(s, BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 3, 10, 0, 0);
		emit(s, BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, chance(s, 95) ? -64 : -40);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, 0);
		call(s, FUNC_UPDATE);
		break;
	case 1:
		emit(s, BPF_ST | BPF_MEM | BPF_W, 10, 0, at, (s32)below(s, 8));
		load_map(s, 1, s->maps->hash);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
		emit(s, BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, at);
		call(s, FUNC_DELETE);
		break;
	case 2: /* a helper with a size argument */
	{
		int v = find(s, chance(s, 60) ? VALUE : PACKET), x = find(s, SCALAR);
		if (v < 0 || x < 0 || v == 2 || x == 2 || s->range[v] < 8)
			break;
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 4, (u8)x, 0, 0);
		if (chance(s, 85))
			bound(s, 4, s->range[v] + (chance(s, 15) ? 4u : 0u));
		if (chance(s, 80))
			emit(s, BPF_ALU64 | BPF_AND | BPF_K, 4, 0, 0, chance(s, 85) ? 0x3c : 0x7c);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 3, (u8)v, 0, 0);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 0);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 0);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 5, 0, 0, 0);
		call(s, FUNC_CSUM_DIFF);
		break;
	}
	case 3: /* the packet moves: pointers into it are gone, unless we forget */
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, chance(s, 50) ? -8 : 4);
		call(s, chance(s, 50) ? FUNC_ADJUST_HEAD : FUNC_ADJUST_TAIL);
		for (u32 i = 0; i < 10; i++)
			if ((s->kind[i] == PACKET || s->kind[i] == PACKET_END) && chance(s, 85))
				set(s, i, NOTHING, 0);
		break;
	default: /* a ring buffer record */
		if (s->maps->ringbuf < 0)
			break;
		load_map(s, 1, s->maps->ringbuf);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 24);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0);
		call(s, FUNC_RESERVE);
		emit(s, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 4, 0);
		emit(s, BPF_ST | BPF_MEM | BPF_DW, 0, 0, chance(s, 94) ? 16 : 20, edge(s));
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 1, 0, 0, 0);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 0);
		emit(s, BPF_JMP | BPF_CALL, 0, 0, 0, chance(s, 80) ? FUNC_SUBMIT : FUNC_DISCARD);
		for (u32 reg = 0; reg <= 5; reg++)
			set(s, reg, NOTHING, 0);
		break;
	}
}

/* f(ctx, something, something, our stack, something): the function is written when the program is. */
static void local_call(struct state *s) {
	if (s->calls_n == FUNCTIONS || s->n + 20 >= s->room)
		return;
	struct call *c = &s->calls[s->calls_n];
	memset(c, 0, sizeof *c);
	for (u32 reg = 2; reg <= 5; reg++) {
		u32 from = 7 + below(s, 3);
		if (reg == 4 && chance(s, 60)) {
			emit(s, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -96, edge(s));
			emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 4, 10, 0, 0);
			emit(s, BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, -96);
			c->kind[4] = STACK, c->range[4] = 8;
		} else if (s->kind[from] != NOTHING) {
			emit(s, BPF_ALU64 | BPF_MOV | BPF_X, (u8)reg, (u8)from, 0, 0);
			c->kind[reg] = s->kind[from], c->range[reg] = s->range[from];
		} else {
			emit(s, BPF_ALU64 | BPF_MOV | BPF_K, (u8)reg, 0, 0, edge(s));
			c->kind[reg] = SCALAR;
		}
	}
	emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0);
	c->at = s->n;
	s->calls_n++;
	emit(s, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, -1);
	for (u32 reg = 1; reg <= 5; reg++)
		if (chance(s, 96))
			set(s, reg, NOTHING, 0);
	set(s, 0, SCALAR, 0);
	if (chance(s, 50)) {
		if (chance(s, 60))
			bound(s, 0, 1 + below(s, GENERATE_VALUE));
		rely(s, 0);
	}
}

/* The functions behind the program, and what they call. */
static void functions(struct state *s, u32 limit) {
	for (u32 i = 0; i < s->calls_n; i++) {
		const struct call *c = &s->calls[i];
		s->room = MIN(s->n + (limit - s->n) / (s->calls_n - i), limit) - 4;
		s->out[c->at].imm = (s32)(s->n - c->at - 1);
		memset(s->kind, 0, sizeof s->kind);
		memset(s->stack, 0, sizeof s->stack);
		emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
		set(s, 6, CTX, 0);
		for (u32 reg = 2; reg <= 5; reg++)
			set(s, reg, c->kind[reg], c->range[reg]);
		for (u32 reg = 7; reg <= 9; reg++) { /* what arguments hold is kept over calls */
			emit(s, BPF_ALU64 | BPF_MOV | BPF_X, (u8)reg, (u8)(reg - 5), 0, 0);
			set(s, reg, s->kind[reg - 5], s->range[reg - 5]);
		}
		if (s->kind[4] == STACK && chance(s, 70))
			access_at(s, 4, 8);
		u32 calls = s->calls_n;
		for (u32 n = 1 + below(s, 4); n; n--)
			statement(s);
		ASSERT(s->calls_n >= calls);
		while (s->fixups_n)
			land(s);
		int x = find(s, SCALAR);
		s->room += 4;
		if (x > 0)
			emit(s, BPF_ALU64 | BPF_MOV | BPF_X, 0, (u8)x, 0, 0);
		else
			emit(s, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, edge(s));
		emit(s, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}
}

static void statement(struct state *s) {
	int p;
	switch (below(s, 19)) {
	case 0:
		packet(s);
		break;
	case 1:
		lookup(s);
		break;
	case 2:
	case 3:
		make_scalar(s);
		break;
	case 4:
	case 5:
	case 6:
		alu(s);
		break;
	case 7:
	case 8:
		if ((p = find(s, chance(s, 50) ? VALUE : PACKET)) >= 0)
			access_at(s, (u32)p, s->range[p]);
		break;
	case 9:
	case 10:
		variable_access(s);
		break;
	case 11:
		stack_access(s);
		break;
	case 12:
		branch(s);
		break;
	case 13:
		land(s);
		break;
	case 14:
		helper(s);
		break;
	case 15:
	case 16:
		edges(s);
		break;
	case 17:
		if (chance(s, 40))
			local_call(s);
		break;
	default: {
		u32 to = fresh(s), from = below(s, 10); /* a copy: both are linked from now on */
		if (chance(s, 30))
			loop(s);
		else if (s->kind[from] != NOTHING && to != from) {
			bool wide = s->kind[from] != SCALAR || chance(s, 60);
			emit(s, (wide ? BPF_ALU64 : BPF_ALU) | BPF_MOV | BPF_X, (u8)to, (u8)from, 0, 0);
			set(s, to, s->kind[from], s->range[from]);
		}
	}
	}
}

u32 generate_program(struct random *r, const struct generate_maps *maps, struct bpf_insn *out) {
	struct state s = {.r = r, .maps = maps, .out = out, .room = GENERATED_MAX - TAIL - 40};
	emit(&s, BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
	set(&s, 6, CTX, 0);
	if (chance(&s, 70))
		packet(&s);
	if (chance(&s, 70))
		lookup(&s);
	for (u32 i = 3 + below(&s, chance(&s, 80) ? 20 : 60); i; i--)
		statement(&s);
	while (s.fixups_n)
		land(&s);
	out[s.n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K};
	out[s.n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	functions(&s, GENERATED_MAX - 8);
	return s.n;
}

u32 generate_mutate(struct random *r, struct bpf_insn *insns, u32 n) {
	struct state s = {.r = r};
	for (u32 times = 1 + random_below(r, 3); times; times--) {
		u32 i = random_below(r, n);
		struct bpf_insn *insn = &insns[i];
		if (insn_is_ldimm64(insn) || (i && insn_is_ldimm64(insn - 1)))
			continue;
		switch (random_below(r, 8)) {
		case 0:
			insn->imm = edge(&s);
			break;
		case 1:
			insn->imm = (s32)((u32)insn->imm + random_below(r, 3) - 1);
			break;
		case 2:
			insn->off = (s16)(insn->off + (s32)random_below(r, 3) - 1);
			break;
		case 3:
			insn->dst_reg = random_below(r, 11) & 0xf;
			break;
		case 4:
			insn->src_reg = random_below(r, 11) & 0xf;
			break;
		case 5:
			insn->code ^= (u8)(1u << random_below(r, 8));
			break;
		case 6: /* leave it out */
			*insn = (struct bpf_insn){.code = BPF_JMP | BPF_JA};
			break;
		default:
			if (i + 1 < n && !insn_is_ldimm64(insn + 1)) {
				struct bpf_insn other = insn[1];
				insn[1] = *insn, *insn = other;
			}
		}
	}
	return n;
}
