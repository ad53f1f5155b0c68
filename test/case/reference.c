/* The reference engine: the plainest evaluation of a program that can be written from ops.def and sem.h, one switch over
 * the rows. It knows no verifier; instead every memory access is checked against the regions that the program may touch
 * (its memory, its frames, values of its array maps), so a wrong access ends it with a sentence instead of a crash.
 *
 * Registers hold host addresses. Code addresses (subprog[…]) are CODE_BASE + slot: no region is there. Contexts of
 * program types are not built; a case that reads one is skipped. */
#include "case.h"
#include "isa/sem.h"
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 8, FRAME_BYTES = 512, STEPS = 20000000, MAY_GOTO_STEPS = 1 << 20, MAP_BYTES = 1 << 16 };
#define CODE_BASE 0xc0de000000000000ull
#define CTX_BASE 0xc0ffee0000000000ull /* what r1 is when it is a context */

struct frame {
	u64 saved[4]; /* r6 to r9 of the caller */
	u32 back;     /* slot to return to */
};
struct machine {
	const struct case_file *c;
	struct case_outcome *o;
	u64 r[MAX_BPF_REG];
	u32 pc, depth;
	u64 steps, may_goto;
	bool done;
	struct frame frames[FRAMES];
	u8 stack[FRAMES][FRAME_BYTES] __attribute__((aligned(16)));
	u8 *mem;
	u8 *values[CASE_MAPS];
	u64 handles[CASE_MAPS]; /* their addresses stand for maps */
	/* bpf_loop: the one callback that may be under way */
	u64 loop_fn, loop_arg, loop_n, loop_i;
	u32 loop_depth, loop_back;
};

static u64 map_bytes(const struct case_map *map) {
	return map->type == 2 ? round_up(map->value_size, 8) * map->entries : 0;
}
static bool inside(u64 at, u32 size, const void *base, u64 n) {
	u64 b = (uintptr_t)base;
	return base && at >= b && at - b <= n && size <= n - (at - b);
}
/* The memory at an address, or NULL with the run ended. Atomic and ordered accesses must be aligned. */
static void *memory(struct machine *m, u64 at, u32 size, bool aligned) {
	bool ok = m->mem && inside(at, size, m->mem, m->c->mem.n);
	for (u32 i = 0; i <= m->depth && !ok; i++)
		ok = inside(at, size, m->stack[i], FRAME_BYTES);
	for (u32 i = 0; i < m->c->maps_n && !ok; i++)
		ok = inside(at, size, m->values[i], map_bytes(&m->c->maps[i]));
	if (ok && !(aligned && at % size))
		return (void *)(uintptr_t)at;
	m->done = true;
	if (at - CTX_BASE < CASE_BYTES)
		return case_end(m->o, CASE_SKIPPED, "the reference has no contexts"), NULL;
	case_end(m->o, CASE_BROKEN, "slot %u: %s of %u bytes", m->pc, ok ? "misaligned access" : "access outside memory",
	         size);
	return NULL;
}
static void stop(struct machine *m, enum case_end end, const char *why) {
	case_end(m->o, end, "slot %u: %s", m->pc, why);
	m->done = true;
}

static void enter(struct machine *m, u32 target) {
	if (m->depth + 1 == FRAMES)
		return stop(m, CASE_BROKEN, "more than 8 frames");
	struct frame *f = &m->frames[++m->depth];
	memcpy(f->saved, m->r + 6, sizeof f->saved);
	f->back = m->pc + 1;
	memset(m->stack[m->depth], 0, FRAME_BYTES);
	m->r[10] = (uintptr_t)m->stack[m->depth] + FRAME_BYTES;
	m->pc = target;
}
static void next_iteration(struct machine *m) {
	m->r[1] = m->loop_i++;
	m->r[2] = m->loop_arg;
	m->pc = m->loop_back - 1;
	enter(m, (u32)(m->loop_fn - CODE_BASE));
}
static void leave(struct machine *m) {
	if (!m->depth) {
		m->o->end = CASE_RAN;
		m->o->r0 = m->r[0];
		m->done = true;
		return;
	}
	const struct frame *f = &m->frames[m->depth--];
	memcpy(m->r + 6, f->saved, sizeof f->saved);
	m->r[10] = (uintptr_t)m->stack[m->depth] + FRAME_BYTES;
	m->pc = f->back;
	if (m->loop_fn && m->depth == m->loop_depth) {
		if (!m->r[0] && m->loop_i < m->loop_n)
			return next_iteration(m);
		m->r[0] = m->loop_i;
		m->loop_fn = 0;
	}
}
static u64 map_lookup(struct machine *m) {
	for (u32 i = 0; i < m->c->maps_n; i++) {
		if (m->r[1] != (uintptr_t)&m->handles[i] || m->c->maps[i].type != 2)
			continue;
		const u32 *key = memory(m, m->r[2], 4, false);
		if (!key || *key >= m->c->maps[i].entries)
			return 0;
		return (uintptr_t)m->values[i] + *key * round_up(m->c->maps[i].value_size, 8);
	}
	stop(m, CASE_SKIPPED, "a map that the reference does not have");
	return 0;
}
static void call_helper(struct machine *m, s32 id) {
	u64 *r = m->r;
	m->pc++;
	switch (id) {
	case 1: /* bpf_map_lookup_elem */
		r[0] = map_lookup(m);
		break;
	case 5: /* bpf_ktime_get_ns */
		r[0] = ++m->steps;
		break;
	case 7: /* bpf_get_prandom_u32 */
		r[0] = 4; /* chosen by fair dice roll; guaranteed to be random */
		break;
	case 8: /* bpf_get_smp_processor_id: some CPU */
		r[0] = 0;
		break;
	case 181: /* bpf_loop */
		if (m->loop_fn || r[4])
			return stop(m, CASE_SKIPPED, "nested bpf_loop");
		m->loop_fn = r[2], m->loop_arg = r[3], m->loop_n = (u32)r[1], m->loop_i = 0;
		m->loop_depth = m->depth, m->loop_back = m->pc;
		if (m->loop_n)
			return next_iteration(m);
		m->loop_fn = 0;
		r[0] = 0;
		break;
	default:
		m->pc--;
		return stop(m, CASE_SKIPPED, "a helper that the reference does not have");
	}
	for (u32 i = 1; i <= 5; i++)
		r[i] = 0x5c5c5c5c5c5c5c00 + i; /* lost */
}
static void load_wide(struct machine *m, enum bpf_op op, const struct bpf_insn *insn) {
	u64 *dst = &m->r[insn->dst_reg];
	u32 map = insn->imm;
	bool has_map = map < m->c->maps_n;
	switch (op) {
	case OP_LDDW:
		*dst = insn_imm64(insn);
		break;
	case OP_LDDW_FUNC:
		*dst = CODE_BASE + m->pc + 1 + insn->imm;
		break;
	case OP_LDDW_MAP_FD:
	case OP_LDDW_MAP_IDX:
		if (!has_map)
			return stop(m, CASE_BROKEN, "no such map");
		*dst = (uintptr_t)&m->handles[map];
		break;
	case OP_LDDW_MAP_VALUE:
	case OP_LDDW_MAP_IDX_VALUE:
		if (!has_map || !m->values[map])
			return stop(m, CASE_BROKEN, "no such map value");
		*dst = (uintptr_t)m->values[map] + (u32)insn[1].imm;
		break;
	default:
		return stop(m, CASE_SKIPPED, "kernel variables are not for the reference");
	}
	m->pc += 2;
}
/* Bytes of the packet; out of its bounds the program ends with 0. */
static const void *packet(struct machine *m, u64 at, u32 size) {
	if (inside((uintptr_t)m->c->packet.at + (s64)(s32)at, size, m->c->packet.at, m->c->packet.n))
		return m->c->packet.at + (s32)at;
	m->r[0] = 0;
	m->depth = 0;
	leave(m);
	return NULL;
}

/* One instruction of each shape. The source operand of ALU and JCC rows is src or the sign-extended immediate. */
static u64 operand(const struct machine *m, const struct bpf_insn *insn) {
	return insn_reg_form(insn) ? m->r[insn->src_reg] : (u64)(s64)insn->imm;
}
static u64 arena_start(const struct case_file *c) {
	for (u32 i = 0; i < c->maps_n; i++)
		if (c->maps[i].extra)
			return c->maps[i].extra;
	return 0;
}
static void alu(struct machine *m, enum bpf_op op, const struct bpf_insn *insn) {
	u64 *dst = &m->r[insn->dst_reg];
	bool unary = op_rows[op].shape == SHAPE_UNARY;
	if (op == OP_ADDR_SPACE_CAST)
		*dst = sem_cast(m->r[insn->src_reg], insn->imm, arena_start(m->c));
	else
		*dst = sem_alu(op, *dst, unary ? m->r[insn->src_reg] : operand(m, insn));
	m->pc++;
}
static void load(struct machine *m, enum bpf_op op, const struct bpf_insn *insn) {
	bool ordered = BPF_CLASS(insn->code) == BPF_STX;
	const void *at = memory(m, m->r[insn->src_reg] + (s64)insn->off, insn_size_bytes(insn->code), ordered);
	if (!at)
		return;
	switch (op) {
#define ROW_LOAD(name, ...)                                                                                            \
	case OP_##name:                                                                                                \
		m->r[insn->dst_reg] = sem_##name(at);                                                                  \
		break;
#include "isa/ops.def"
	default:
		ASSERT(!"a load");
	}
	m->pc++;
}
static void store(struct machine *m, enum bpf_op op, const struct bpf_insn *insn) {
	bool ordered = BPF_MODE(insn->code) == BPF_ATOMIC;
	void *at = memory(m, m->r[insn->dst_reg] + (s64)insn->off, insn_size_bytes(insn->code), ordered);
	u64 value = op_rows[op].uses & FIELD_IMM ? (u64)(s64)insn->imm : m->r[insn->src_reg];
	if (!at)
		return;
	switch (op) {
#define ROW_STORE(name, ...)                                                                                           \
	case OP_##name:                                                                                                \
		sem_##name(at, value);                                                                                 \
		break;
#include "isa/ops.def"
	default:
		ASSERT(!"a store");
	}
	m->pc++;
}
static void atomic(struct machine *m, enum bpf_op op, const struct bpf_insn *insn) {
	void *at = memory(m, m->r[insn->dst_reg] + (s64)insn->off, insn_size_bytes(insn->code), true);
	u64 old = 0;
	if (!at)
		return;
	switch (op) {
#define ROW_ATOMIC(name, ...)                                                                                          \
	case OP_##name:                                                                                                \
		old = sem_##name(at, m->r[insn->src_reg], m->r[0]);                                                    \
		break;
#include "isa/ops.def"
	default:
		ASSERT(!"an atomic");
	}
	if (op_rows[op].uses & WRITES_SRC)
		m->r[insn->src_reg] = old;
	if (op_rows[op].uses & WRITES_R0)
		m->r[0] = old;
	m->pc++;
}
static void packet_load(struct machine *m, enum bpf_op op, const struct bpf_insn *insn) {
	u64 where = op_rows[op].uses & FIELD_SRC ? (u32)(m->r[insn->src_reg] + insn->imm) : (u32)insn->imm;
	if (!m->c->packet.given)
		return stop(m, CASE_SKIPPED, "no packet");
	const void *at = packet(m, where, insn_size_bytes(insn->code));
	if (!at)
		return;
	switch (op) {
#define ROW_PACKET(name, ...)                                                                                          \
	case OP_##name:                                                                                                \
		m->r[0] = sem_##name(at);                                                                              \
		break;
#include "isa/ops.def"
	default:
		ASSERT(!"a packet load");
	}
	m->pc++;
}
static void flow(struct machine *m, enum bpf_op op, const struct bpf_insn *insn) {
	switch (op) {
	case OP_JA:
		m->pc += 1 + insn->off;
		break;
	case OP_JA32:
		m->pc += 1 + insn->imm;
		break;
	case OP_MAY_GOTO:
		m->pc += ++m->may_goto > MAY_GOTO_STEPS ? 1 + insn->off : 1;
		break;
	case OP_CALL_LOCAL:
		enter(m, m->pc + 1 + insn->imm);
		break;
	case OP_CALL_HELPER:
		call_helper(m, insn->imm);
		break;
	case OP_EXIT:
		leave(m);
		break;
	default:
		stop(m, CASE_SKIPPED, "a call that the reference does not make");
	}
}
static void step(struct machine *m) {
	const struct bpf_insn *insn = &m->c->program.insns.at[m->pc];
	enum bpf_op op = insn_decode(insn);
	switch (op_rows[op].shape) {
	case SHAPE_ALU:
	case SHAPE_UNARY:
		return alu(m, op, insn);
	case SHAPE_JCC:
		m->pc += sem_jump(op, m->r[insn->dst_reg], operand(m, insn)) ? 1 + insn->off : 1;
		return;
	case SHAPE_LOAD:
		return load(m, op, insn);
	case SHAPE_STORE:
		return store(m, op, insn);
	case SHAPE_ATOMIC:
		return atomic(m, op, insn);
	case SHAPE_LDDW:
		if (m->pc + 1 < m->c->program.insns.n)
			return load_wide(m, op, insn);
		break;
	case SHAPE_PACKET:
		return packet_load(m, op, insn);
	case SHAPE_JUMP:
	case SHAPE_CALL:
	case SHAPE_EXIT:
		return flow(m, op, insn);
	}
	stop(m, CASE_BROKEN, "not an instruction");
}
static void run(const struct case_file *c, struct case_outcome *o) {
	if (c->has_error && !c->has_bare)
		return case_end(o, CASE_SKIPPED, "only a verifier can judge this");
	struct machine *m = calloc(1, sizeof *m);
	m->c = c;
	m->o = o;
	m->r[10] = (uintptr_t)m->stack[0] + FRAME_BYTES;
	m->r[1] = CTX_BASE;
	if (c->mem.given) {
		m->mem = malloc(c->mem.n); /* exactly: the sanitizer sees what inside() would miss */
		memcpy(m->mem, c->mem.at, c->mem.n);
		m->r[1] = (uintptr_t)m->mem;
		m->r[2] = c->mem.n;
	}
	for (u32 i = 0; i < c->maps_n; i++)
		if (map_bytes(&c->maps[i]) && map_bytes(&c->maps[i]) <= MAP_BYTES)
			m->values[i] = calloc(1, map_bytes(&c->maps[i]));
	while (!m->done) {
		if (m->pc >= c->program.insns.n)
			stop(m, CASE_BROKEN, "left the program");
		else if (++m->steps > STEPS)
			stop(m, CASE_BROKEN, "does not end");
		else
			step(m);
	}
	if (o->end == CASE_RAN && c->mem.given)
		memcpy(o->mem, m->mem, c->mem.n);
	for (u32 i = 0; i < c->maps_n; i++)
		free(m->values[i]);
	free(m->mem);
	free(m);
}
static const char *here(void) {
	return NULL;
}
const struct case_engine engine_reference = {.name = "reference", .missing = here, .run = run};
