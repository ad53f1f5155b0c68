/* The scan before a function is compiled: blocks, edges, stack slots that can be registers, liveness.
 *
 *   1  marks        who is jumped to; what the function needs (calls, the run record); how the stack is used
 *   2  slots        [r10+off] accessed always with one offset and size, in a function that never takes an address of its
 *                   stack, is a private variable: the hottest ones get the spare machine registers
 *   3  blocks       with successors; a block that is only a jump is followed through and disappears
 *   4  liveness     backward over the blocks until nothing changes. Programs that need more than LIVE_ROUNDS sweeps
 *                   (adversarial nests of backward jumps) get «everything is live», which is always right.
 *
 * All passes are linear in the number of instructions and touch each a few times: about 10 ns together. */
#include "exec/jit/jit.h"
#include "isa/decode.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE_ROUNDS = 12, STACK_UNITS = 128 /* of 4 bytes */, THREAD_HOPS = 8 };
enum { R1_R5 = 0x3e, ALL_REGS = 0xffff };

/* Accesses to one 4-byte unit of the stack: weight of those that start here, by size, and of everything irregular. */
struct stack_use {
	u32 weight4[STACK_UNITS], weight8[STACK_UNITS];
	bool irregular[STACK_UNITS];
};

static bool is_jump(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}
static s64 jump_target(const struct bpf_insn *insn, u32 i) {
	return (s64)i + 1 + (insn->code == (BPF_JMP32 | BPF_JA) ? insn->imm : insn->off);
}
static bool is_mem(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code);
	return class == BPF_LDX || class == BPF_ST || class == BPF_STX;
}
static u8 mem_base(const struct bpf_insn *insn) {
	return BPF_CLASS(insn->code) == BPF_LDX ? insn->src_reg : insn->dst_reg;
}

/* What the rows of ops.def say of an opcode; a few opcodes (calls, atomics) need a look at the instruction. */
static const u16 uses_of_code[256] = {
#define ROW_ALU(name, code, sel, group, cpu, operands, text)                                                           \
	[code] = USE_##operands & ~READS_SRC, [(code) | BPF_X] = USE_##operands,
#define ROW_JCC ROW_ALU
#define ROW_UNARY(name, code, sel, group, cpu, operands, text) [code] = USE_##operands,
#define ROW_LOAD ROW_UNARY
#define ROW_STORE ROW_UNARY
#define ROW_EXIT ROW_UNARY
#define ROW_LDDW ROW_UNARY
#include "isa/ops.def"
};

static u16 regs_of_atomic(const struct bpf_insn *insn, u16 *writes) {
	u16 d = 1 << insn->dst_reg, s = 1 << insn->src_reg;
	if (insn->imm == BPF_LOAD_ACQ) {
		*writes = d;
		return s;
	}
	*writes = insn->imm == BPF_CMPXCHG ? 1 : insn->imm != BPF_STORE_REL && insn->imm & BPF_FETCH ? s : 0;
	return d | s | (insn->imm == BPF_CMPXCHG ? 1 : 0);
}

static inline void regs_of(const struct bpf_insn *insn, u16 *reads, u16 *writes) {
	u32 uses = uses_of_code[insn->code], d = insn->dst_reg, s = insn->src_reg;
	STATIC_ASSERT(READS_DST == 1 << 6 && READS_SRC == 1 << 7 && READS_R0 == 1 << 8 && WRITES_DST == 1 << 9, "shifts");
	*reads = (u16)((uses >> 6 & 1) << d | (uses >> 7 & 1) << s | (uses >> 8 & 1));
	*writes = (u16)((uses >> 9 & 1) << d);
	if (unlikely((insn->code & ~BPF_DW) == (BPF_STX | BPF_ATOMIC)))
		*reads = regs_of_atomic(insn, writes);
	else if (unlikely(insn->code == (BPF_JMP | BPF_CALL)))
		*reads = R1_R5, *writes = R1_R5 | 1;
}

void insn_regs(const struct bpf_insn *insn, u16 *reads, u16 *writes) {
	regs_of(insn, reads, writes);
}

u32 meter_cost(const struct xlated *x, u32 i) {
	const struct bpf_insn *insn = &x->insns[i];
	if (insn_is_pseudo_call(insn)) {
		s64 t = (s64)i + 1 + insn->imm;
		for (u32 s = 0; s < x->subprogs_n; s++)
			if (x->subprogs[s].start == t)
				return x->subprogs[s].end - x->subprogs[s].start;
		return 1;
	}
	if (!is_jump(insn))
		return 1;
	s64 t = jump_target(insn, i);
	return t <= i ? (u32)(i - t + 1) : 1;
}

/* ---- 1: marks ---- */

static void note_stack(struct jit *j, struct stack_use *use, const struct bpf_insn *insn, u32 weight) {
	u32 size = insn_size_bytes(insn->code);
	s32 unit = (insn->off + 512) / 4;
	bool plain = BPF_MODE(insn->code) == BPF_MEM || BPF_MODE(insn->code) == BPF_MEMSX;
	if (insn->off < -512 || insn->off + (s32)size > 0) {
		j->f.frame_escapes = true; /* cannot be; then nothing is promoted */
		return;
	}
	if (size >= 4 && insn->off % 4 == 0 && plain) {
		*(size == 4 ? &use->weight4[unit] : &use->weight8[unit]) += weight;
		return;
	}
	for (s32 u = unit; u <= (insn->off + (s32)size - 1 + 512) / 4; u++)
		use->irregular[u] = true;
}

static void note_needs(struct jit *j, const struct bpf_insn *insn, u32 i) {
	struct jfunc *f = &j->f;
	u16 reads, writes;
	regs_of(insn, &reads, &writes);
	j->regs[i] = (struct insn_use){reads, writes};
	f->regs |= reads | writes;
	if (reads & 1 << JREG_FP && is_mem(insn) && mem_base(insn) == JREG_FP)
		j->mark[i] |= MARK_STACK;
	if (j->x->facts[i].probe)
		f->probes = f->calls_helper = f->uses_run = true;
	if (reads & 1 << JREG_FP && !(j->mark[i] & MARK_STACK))
		f->frame_escapes = true;
	u8 class = BPF_CLASS(insn->code);
	if (class == BPF_ALU || class == BPF_ALU64 || class == BPF_LDX)
		return;
	if (BPF_CLASS(insn->code) == BPF_STX && BPF_MODE(insn->code) == BPF_ATOMIC) {
		u32 op = insn->imm;
		f->fetch_loops |= op == (BPF_AND | BPF_FETCH) || op == (BPF_OR | BPF_FETCH) || op == (BPF_XOR | BPF_FETCH);
	}
	if (BPF_CLASS(insn->code) == BPF_STX && insn->src_reg == JREG_FP)
		f->frame_escapes = true;
	if (insn->code == (BPF_JMP | BPF_CALL)) {
		enum call_needs needs = insn->src_reg == 0 ? call_needs(j->x, i) : CALL_NEEDS_CALL;
		if (insn->src_reg == BPF_PSEUDO_CALL)
			f->calls_local = true;
		else
			f->calls_helper |= needs == CALL_NEEDS_CALL;
		f->tail_calls |= insn->src_reg == 0 && insn->imm == BPF_FUNC_tail_call;
		f->uses_run |= needs != CALL_NEEDS_NOTHING;
	}
	f->may_goto |= insn->code == (BPF_JMP | BPF_JCOND);
}

static int mark_targets(struct jit *j) {
	struct jfunc *f = &j->f;
	j->mark[f->start] |= MARK_LEADER;
	for (u32 i = f->start; i < f->end; i++) {
		const struct bpf_insn *insn = &j->x->insns[i];
		if (insn_is_ldimm64(insn)) {
			if (i + 1 >= f->end)
				return -EINVAL;
			note_needs(j, insn, i);
			j->mark[++i] |= MARK_SECOND_SLOT;
			continue;
		}
		note_needs(j, insn, i);
		bool exit = insn->code == (BPF_JMP | BPF_EXIT);
		if (!is_jump(insn) && !exit)
			continue;
		if (i + 1 < f->end)
			j->mark[i + 1] |= MARK_LEADER;
		if (exit)
			continue;
		s64 t = jump_target(insn, i);
		if (t < f->start || t >= f->end)
			return -EINVAL;
		j->mark[t] |= MARK_LEADER | (t <= i ? MARK_BACK_TARGET : 0);
		j->mark[i] |= t <= i ? MARK_BACK_JUMP : 0;
	}
	return 0;
}

/* ---- 2: slots ---- */

static bool unit_free(const struct stack_use *use, s32 u) {
	return u < 0 || u >= STACK_UNITS || (!use->weight4[u] && !use->weight8[u] && !use->irregular[u]);
}
/* No other access overlaps this variable. */
static bool is_private(const struct stack_use *use, s32 u, u32 size) {
	if (use->irregular[u] || (u > 0 && use->weight8[u - 1]))
		return false;
	if (size == 4)
		return !use->weight8[u];
	return !use->weight4[u] && unit_free(use, u + 1);
}

/* Bytes of the frame that are still memory. */
static u32 frame_left(const struct stack_use *use) {
	u32 low = STACK_UNITS;
	for (u32 u = STACK_UNITS; u-- > 0;)
		if (use->weight4[u] || use->weight8[u] || use->irregular[u])
			low = u;
	return (u32)round_up(4 * (STACK_UNITS - low), 8);
}

static void choose_slots(struct jit *j) {
	struct jfunc *f = &j->f;
	if (!(f->regs & 1 << JREG_FP))
		f->stack = 0;
	if (f->frame_escapes || !(f->regs & 1 << JREG_FP))
		return;
	u32 room = j->m->slots(j);
	struct stack_use use = {0};
	u32 depth = 0;
	for (u32 i = f->start; i < f->end; i++) {
		if (likely(!(j->mark[i] & (MARK_BACK_TARGET | MARK_STACK | MARK_BACK_JUMP))))
			continue;
		if (j->mark[i] & MARK_BACK_TARGET)
			depth = MIN(depth + 1, 4u);
		if (j->mark[i] & MARK_STACK)
			note_stack(j, &use, &j->x->insns[i], 1u << 3 * depth);
		if (j->mark[i] & MARK_BACK_JUMP && depth)
			depth--;
	}
	if (f->frame_escapes)
		return;
	for (f->slots = 0; f->slots < room; f->slots++) {
		u32 best = 0, weight = 1;
		for (s32 u = 0; u < STACK_UNITS; u++) {
			u32 w = use.weight8[u] + use.weight4[u];
			if (w > weight && is_private(&use, u, use.weight8[u] ? 8 : 4))
				best = (u32)u, weight = w;
		}
		if (weight == 1)
			break;
		f->slot_off[f->slots] = (s16)(best * 4 - 512);
		f->slot_size[f->slots] = use.weight8[best] ? 8 : 4;
		ASSERT(!use.weight4[best] != !use.weight8[best]);
		use.weight4[best] = use.weight8[best] = 0;
		f->regs |= 1 << (JREG_SLOT + f->slots);
	}
	f->stack = MIN(f->stack, frame_left(&use));
}

/* ---- 3: blocks ---- */

static u32 add_block(struct jit *j, u32 start) {
	struct jfunc *f = &j->f;
	if (f->blocks_n == f->blocks_room &&
	    !vec_grow((void **)&f->blocks, &f->blocks_room, f->blocks_n + 1, sizeof *f->blocks))
		return NO_BLOCK;
	f->blocks[f->blocks_n] = (struct jblock){.start = start, .taken = NO_BLOCK, .fall = NO_BLOCK};
	return f->blocks_n++;
}

/* Registers of the instruction, promoted slots included. */
static inline struct insn_use use_of(const struct jit *j, u32 i) {
	const struct bpf_insn *insn = &j->x->insns[i];
	struct insn_use use = j->regs[i];
	if (likely(!(j->mark[i] & MARK_STACK)))
		return use;
	u8 slot = slot_of(j, insn);
	if (slot == JREG_NONE)
		return use;
	use.reads &= ~(1 << JREG_FP);
	if (BPF_CLASS(insn->code) == BPF_LDX)
		use.reads = 1 << slot;
	else
		use.writes = 1 << slot;
	return use;
}

static int make_blocks(struct jit *j) {
	struct jfunc *f = &j->f;
	u32 b = NO_BLOCK;
	for (u32 i = f->start; i < f->end; i++) {
		if (j->mark[i] & MARK_SECOND_SLOT) {
			if (j->mark[i] & MARK_LEADER)
				return -EINVAL;
			continue;
		}
		if (j->mark[i] & MARK_LEADER) {
			if (b != NO_BLOCK)
				f->blocks[b].end = i;
			b = add_block(j, i);
			if (b == NO_BLOCK)
				return -ENOMEM;
			j->block_of[i] = b;
		}
		struct insn_use use = use_of(j, i);
		f->blocks[b].uses |= use.reads & ~f->blocks[b].defs;
		f->blocks[b].defs |= use.writes;
	}
	ASSERT(b == f->blocks_n - 1 && f->blocks[0].start == f->start);
	f->blocks[b].end = f->end;
	return 0;
}

/* The block where control really goes that goes to instruction t. */
static u32 follow(const struct jit *j, u32 t) {
	for (u32 hops = 0; hops < THREAD_HOPS && insn_is_goto(&j->x->insns[t]); hops++) {
		if (j->flags & IMAGE_METERED && j->x->facts[t].back_edge)
			break;
		u32 next = (u32)jump_target(&j->x->insns[t], t);
		if (next == t)
			break;
		t = next;
	}
	ASSERT(j->mark[t] & MARK_LEADER);
	return j->block_of[t];
}

u32 block_last(const struct jit *j, const struct jblock *b) {
	u32 last = b->end - 1;
	ASSERT(b->start < b->end);
	return j->mark[last] & MARK_SECOND_SLOT ? last - 1 : last;
}

static int make_edges(struct jit *j) {
	struct jfunc *f = &j->f;
	f->blocks[0].preds = 1;
	for (u32 i = 0; i < f->blocks_n; i++) {
		struct jblock *b = &f->blocks[i];
		u32 last = block_last(j, b);
		const struct bpf_insn *insn = &j->x->insns[last];
		bool exit = insn->code == (BPF_JMP | BPF_EXIT);
		if (is_jump(insn))
			b->taken = follow(j, (u32)jump_target(insn, last));
		if (!exit && !insn_is_goto(insn)) {
			if (b->end >= f->end)
				return -EINVAL;
			b->fall = follow(j, b->end);
		}
	}
	return 0;
}

/* Counts edges from blocks that can be reached, and finds the heads of loops: depth first, an edge to a block whose
 * successors are still being visited goes back. */
static int count_preds(struct jit *j) {
	struct jfunc *f = &j->f;
	u32 *stack = malloc((u64)f->blocks_n * sizeof *stack), n = 0;
	u8 *state = calloc(f->blocks_n, 1); /* successors visited; OPEN while on the stack */
	enum { OPEN = 4 };
	if (stack && state) {
		stack[n++] = 0;
		state[0] = OPEN;
	}
	while (n) {
		u32 i = stack[n - 1], k = state[i]++ & 3;
		if (k == 2) {
			state[i] = 3; /* visited, closed */
			n--;
			continue;
		}
		u32 to = k ? f->blocks[i].taken : f->blocks[i].fall;
		if (to == NO_BLOCK)
			continue;
		ASSERT(to < f->blocks_n);
		f->blocks[to].preds++;
		f->blocks[to].loop_head |= (state[to] & OPEN) != 0;
		if (!state[to]) {
			ASSERT(n < f->blocks_n);
			state[to] = OPEN, stack[n++] = to;
		}
	}
	int r = stack && state ? 0 : -ENOMEM;
	free(stack);
	free(state);
	return r;
}

/* ---- 4: liveness ---- */

static u16 live_out(const struct jfunc *f, const struct jblock *b) {
	u16 out = 0;
	if (b->taken != NO_BLOCK)
		out |= f->blocks[b->taken].live_in;
	if (b->fall != NO_BLOCK)
		out |= f->blocks[b->fall].live_in;
	return out;
}

static void block_liveness(struct jit *j) {
	struct jfunc *f = &j->f;
	bool changed = true;
	for (u32 round = 0; changed && round < LIVE_ROUNDS; round++) {
		changed = false;
		for (u32 i = f->blocks_n; i-- > 0;) {
			struct jblock *b = &f->blocks[i];
			u16 in = b->uses | (live_out(f, b) & ~b->defs);
			changed |= in != b->live_in;
			b->live_in = in;
		}
	}
	for (u32 i = 0; changed && i < f->blocks_n; i++)
		f->blocks[i].live_in = ALL_REGS;
}

void scan_live(struct jit *j, u32 block) {
	const struct jblock *b = &j->f.blocks[block];
	u16 live = live_out(&j->f, b);
	for (u32 i = b->end; i-- > b->start;) {
		j->live[i] = live;
		if (j->mark[i] & MARK_SECOND_SLOT)
			continue;
		struct insn_use use = use_of(j, i);
		live = (live & ~use.writes) | use.reads;
	}
	ASSERT((live & ~b->live_in) == 0); /* as block_liveness found it */
}

int scan_function(struct jit *j, u32 subprog) {
	struct jfunc *f = &j->f;
	struct jblock *blocks = f->blocks;
	u32 room = f->blocks_room;
	const struct xlated_subprog *s = &j->x->subprogs[subprog];
	if (s->start >= s->end || s->end > j->x->n || s->stack > 512)
		return -EINVAL;
	*f = (struct jfunc){.start = s->start, .end = s->end, .index = subprog, .stack = s->stack, .is_entry = subprog == 0};
	f->blocks = blocks, f->blocks_room = room;
	f->uses_run = j->flags & IMAGE_METERED;
	int r = mark_targets(j);
	if (r)
		return r;
	choose_slots(j);
	r = make_blocks(j);
	if (!r)
		r = make_edges(j);
	if (!r)
		r = count_preds(j);
	if (!r)
		block_liveness(j);
	return r;
}
