/* The program around the program of a case, for engines that have a verifier.
 *
 *     with mem                     with mem and whole_r0
 *     r1 = map[idx:m][0]+0         r1 = map[idx:m][0]+0
 *     r2 = LENGTH                  r2 = LENGTH
 *     the case's program           call body
 *                                  r6 = map[idx:m+1][0]+0
 *                                  *(u64 *)(r6 +0) = r0
 *                                  r0 = 0
 *                                  exit
 *                           body:  the case's program */
#include "case.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool case_is_callable(const struct case_file *c) {
	if (c->packet.given)
		return false;
	const struct bpf_insn *insns = c->program.insns.at;
	for (u32 i = 0; i < c->program.insns.n; i += insn_slots(&insns[i])) {
		enum bpf_op op = insn_decode(&insns[i]);
		if (op_rows[op].shape == SHAPE_PACKET) /* not in functions without BTF */
			return false;
		if (op == OP_CALL_HELPER && insns[i].imm == 12) /* bpf_tail_call: ends the function, not the program */
			return false;
	}
	return true;
}
static u32 put_map_value(struct bpf_insn *to, u8 reg, u32 map) {
	to[0] = insn_encode(OP_LDDW_MAP_IDX_VALUE, false, reg, 0, 0, map);
	to[1] = insn_encode_next(0);
	return 2;
}
static int compare_starts(const void *a, const void *b) {
	u32 x = *(const u32 *)a, y = *(const u32 *)b;
	return (x > y) - (x < y);
}
static void add_function(struct case_whole *w, s64 start) {
	for (u32 i = 0; i < w->funcs_n; i++)
		if (w->funcs[i] == start)
			return;
	if (start >= 0 && start < w->n && w->funcs_n < CASE_FUNCS)
		w->funcs[w->funcs_n++] = (u32)start;
}
static void find_functions(struct case_whole *w) {
	add_function(w, 0);
	for (u32 i = 0; i < w->n; i += insn_slots(&w->insns[i])) {
		enum bpf_op op = insn_decode(&w->insns[i]);
		if (op == OP_CALL_LOCAL || op == OP_LDDW_FUNC)
			add_function(w, (s64)i + w->insns[i].imm + 1);
		w->needs_btf |= op == OP_LDDW_FUNC;
	}
	qsort(w->funcs, w->funcs_n, sizeof *w->funcs, compare_starts);
}
u32 case_btf(u8 *to) {
	static const char names[] = "\0int\0f";
	static const u32 types[] = {
	    1, 1 << 24, 4, 1 << 24 | 32,          /* 1: int, signed, 32 bits */
	    0, 13 << 24, 1,                       /* 2: int () */
	    5, 12 << 24, 2,                       /* 3: static int f () */
	};
	const u32 header[] = {0x1eb9f, 24, 0, sizeof types, sizeof types, sizeof names};
	memcpy(to, header, sizeof header);
	memcpy(to + sizeof header, types, sizeof types);
	memcpy(to + sizeof header + sizeof types, names, sizeof names);
	return sizeof header + sizeof types + sizeof names;
}
int case_whole(const struct case_file *c, bool whole_r0, struct case_whole *w) {
	enum { ROOM = 16 };
	*w = (struct case_whole){.mem_map = -1, .result_map = -1, .maps_n = c->maps_n};
	w->insns = calloc(c->program.insns.n + ROOM, sizeof *w->insns);
	if (!w->insns)
		return -ENOMEM;
	if (c->mem.given) {
		w->mem_map = w->maps_n++;
		w->n += put_map_value(w->insns + w->n, 1, w->mem_map);
		w->insns[w->n++] = insn_encode(OP_MOV64, false, 2, 0, 0, c->mem.n);
	}
	if (whole_r0) {
		w->result_map = w->maps_n++;
		w->insns[w->n++] = insn_encode(OP_CALL_LOCAL, false, 0, 0, 0, 5);
		w->n += put_map_value(w->insns + w->n, 6, w->result_map);
		w->insns[w->n++] = insn_encode(OP_STX64, false, 6, 0, 0, 0);
		w->insns[w->n++] = insn_encode(OP_MOV64, false, 0, 0, 0, 0);
		w->insns[w->n++] = insn_encode(OP_EXIT, false, 0, 0, 0, 0);
	}
	ASSERT(w->n <= ROOM);
	memcpy(w->insns + w->n, c->program.insns.at, c->program.insns.n * sizeof *w->insns);
	w->n += c->program.insns.n;
	find_functions(w);
	return 0;
}
