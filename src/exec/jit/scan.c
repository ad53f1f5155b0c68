/* The scan before a function is compiled: blocks, edges, stack slots that can be registers, liveness.
 *
 *   1  marks        who is jumped to; what the function needs (calls, the run record); how the stack is used
 *   2  slots        [r10+off] accessed always with one offset and size, in a function that never takes an address of its
 *                   stack, is a private variable: the hottest ones get the spare machine registers
 *   3  blocks       with successors; a block that is only a jump is followed through and disappears
 *   4  liveness     backward over the blocks until nothing changes. Programs that need more than LIVE_ROUNDS sweeps
 *                   (adversarial nests of backward jumps) get «everything is live», which is always right.
 *
 * All passes are linear in the number of instructions and look at each three times. What is kept of an instruction is a
 * few bits (struct insn_bits): registers are looked up again instead, since that is cheaper than fresh memory. A long
 * block is cut at BLOCK_MAX instructions, so that liveness inside a block needs a small array; the cut costs nothing, as
 * a block that follows its only predecessor continues its window. */
#include "exec/jit/jit.h"
#include "isa/decode.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE_ROUNDS = 12, STACK_UNITS = 128 /* of 4 bytes */, THREAD_HOPS = 8, FACTS_AHEAD = 32 };
/* Registers that an instruction reads and writes. */
struct insn_use {
	u16 reads, writes;
};
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

/* What the rows of ops.def say of an opcode, as masks: all bits or none. A few opcodes need a look at the instruction. */
struct code_use {
	u16 reads_dst, reads_src, writes_dst, reads; /* reads: r0, or ODD */
};
enum { ODD = 1 << 15 };
#define MASK(uses, bit) ((uses) & (bit) ? 0xffff : 0)
#define USE(uses, no_src)                                                                                              \
	{MASK(uses, READS_DST), (no_src) ? 0 : MASK(uses, READS_SRC), MASK(uses, WRITES_DST), (uses) & READS_R0 ? 1 : 0}
static const struct code_use uses_of_code[256] = {
#define ROW_ALU(name, code, sel, group, cpu, operands, text)                                                           \
	[code] = USE(USE_##operands, true), [(code) | BPF_X] = USE(USE_##operands, false),
#define ROW_JCC ROW_ALU
#define ROW_UNARY(name, code, sel, group, cpu, operands, text) [code] = USE(USE_##operands, false),
#define ROW_LOAD ROW_UNARY
#define ROW_STORE ROW_UNARY
#define ROW_EXIT ROW_UNARY
#define ROW_LDDW ROW_UNARY
#include "isa/ops.def"
	[BPF_STX | BPF_ATOMIC | BPF_B] = {.reads = ODD}, [BPF_STX | BPF_ATOMIC | BPF_H] = {.reads = ODD},
	[BPF_STX | BPF_ATOMIC | BPF_W] = {.reads = ODD}, [BPF_STX | BPF_ATOMIC | BPF_DW] = {.reads = ODD},
	[BPF_JMP | BPF_CALL] = {.reads = ODD},
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
	struct code_use use = uses_of_code[insn->code];
	u32 d = 1u << insn->dst_reg, s = 1u << insn->src_reg;
	*reads = (u16)((d & use.reads_dst) | (s & use.reads_src) | use.reads);
	*writes = (u16)(d & use.writes_dst);
	if (likely(!(use.reads & ODD)))
		return;
	if (insn->code == (BPF_JMP | BPF_CALL))
		*reads = R1_R5, *writes = R1_R5 | 1;
	else
		*reads = regs_of_atomic(insn, writes);
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

static inline struct insn_bits *bits_of(const struct jit *j, u32 i, u64 *bit) {
	*bit = 1ull << (i & 63);
	return &j->bits[i >> 6];
}
static inline void mark_leader(struct jit *j, u32 i) {
	u64 bit;
	bits_of(j, i, &bit)->leaders |= bit;
}
static inline bool is_leader(const struct jit *j, u32 i) {
	return j->bits[i >> 6].leaders >> (i & 63) & 1;
}

/* Somebody uses r10: a load or store near it, or its value goes elsewhere. */
static void note_frame(struct jit *j, const struct bpf_insn *insn, u32 i) {
	u64 bit;
	struct insn_bits *bits = bits_of(j, i, &bit);
	if (is_mem(insn) && mem_base(insn) == JREG_FP)
		bits->frame |= bit;
	else
		j->f.frame_escapes = true;
}
static void note_store(struct jit *j, const struct bpf_insn *insn) {
	struct jfunc *f = &j->f;
	u32 op = insn->imm;
	if (BPF_MODE(insn->code) == BPF_ATOMIC)
		f->fetch_loops |= op == (BPF_AND | BPF_FETCH) || op == (BPF_OR | BPF_FETCH) || op == (BPF_XOR | BPF_FETCH);
	if (insn->src_reg == JREG_FP)
		f->frame_escapes = true;
}
static void note_call(struct jit *j, const struct bpf_insn *insn, u32 i) {
	struct jfunc *f = &j->f;
	enum call_needs needs = insn->src_reg == 0 ? call_needs(j->x, i) : CALL_NEEDS_CALL;
	if (insn->src_reg == BPF_PSEUDO_CALL)
		f->calls_local = true;
	else
		f->calls_helper |= needs == CALL_NEEDS_CALL;
	f->tail_calls |= insn->src_reg == 0 && insn->imm == BPF_FUNC_tail_call;
	f->uses_run |= needs != CALL_NEEDS_NOTHING;
}

static int mark_jump(struct jit *j, const struct bpf_insn *insn, u32 i) {
	struct jfunc *f = &j->f;
	u64 bit;
	if (insn->code == (BPF_JMP | BPF_CALL))
		note_call(j, insn, i);
	f->may_goto |= insn->code == (BPF_JMP | BPF_JCOND);
	bool exit = insn->code == (BPF_JMP | BPF_EXIT);
	if (!is_jump(insn) && !exit)
		return 0;
	if (i + 1 < f->end)
		mark_leader(j, i + 1);
	if (exit)
		return 0;
	s64 t = jump_target(insn, i);
	if (t < f->start || t >= f->end)
		return -EINVAL;
	mark_leader(j, (u32)t);
	if (t > i)
		return 0;
	struct insn_bits *bits = bits_of(j, i, &bit);
	bits->frame |= bit;
	bits = bits_of(j, (u32)t, &bit);
	bits->frame |= bit, bits->back_targets |= bit;
	return 0;
}

static int mark_targets(struct jit *j) {
	struct jfunc *f = &j->f;
	const struct bpf_insn *insns = j->x->insns;
	const struct insn_facts *facts = j->x->facts;
	u32 end = f->end;
	u16 all = 0;
	int r = 0;
	mark_leader(j, f->start);
	for (u32 i = f->start; i < end && !r; i++) {
		const struct bpf_insn *insn = &insns[i];
		u16 reads, writes;
		u8 class = BPF_CLASS(insn->code);
		__builtin_prefetch(&facts[i + FACTS_AHEAD]); /* only loads look at theirs: too few for the machine to guess */
		regs_of(insn, &reads, &writes);
		all |= reads | writes;
		if (unlikely(reads & 1 << JREG_FP))
			note_frame(j, insn, i);
		if (class == BPF_ALU64 || class == BPF_ALU || class == BPF_ST)
			continue;
		if (class == BPF_LDX) {
			if (unlikely(facts[i].probe))
				f->probes = f->calls_helper = f->uses_run = true;
		} else if (class == BPF_STX) {
			note_store(j, insn);
		} else if (class != BPF_LD) {
			r = mark_jump(j, insn, i);
		} else if (insn_is_second(insn) || (insn_is_ldimm64(insn) && ++i >= end) ||
		           (insn_is_ldimm64(insn) && !insn_is_second(insn + 1))) {
			return -EINVAL;
		}
	}
	f->regs = all;
	return r;
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

static bool insn_is_backward(const struct bpf_insn *insn) {
	return jump_target(insn, 0) <= 0;
}
/* Those of word w that are this function's. */
static u64 frame_bits(const struct jit *j, u32 w) {
	const struct jfunc *f = &j->f;
	u64 bits = j->bits[w].frame;
	if (w == f->start / 64)
		bits &= ~0ull << f->start % 64;
	if (w == f->end / 64)
		bits &= (1ull << f->end % 64) - 1;
	return bits;
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
	for (u32 w = f->start / 64; w <= (f->end - 1) / 64; w++)
		for (u64 left = frame_bits(j, w); left; left &= left - 1) {
			const struct bpf_insn *insn = &j->x->insns[w * 64 + (u32)__builtin_ctzll(left)];
			if (j->bits[w].back_targets & left & -left)
				depth = MIN(depth + 1, 4u);
			if (is_mem(insn) && mem_base(insn) == JREG_FP)
				note_stack(j, &use, insn, 1u << 3 * depth);
			else if (is_jump(insn) && insn_is_backward(insn) && depth)
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

static struct jblock *add_block(struct jit *j, u32 start) {
	struct jfunc *f = &j->f;
	u64 bit;
	struct insn_bits *bits = bits_of(j, start, &bit);
	if (f->blocks_n == f->blocks_room &&
	    !scratch_grow(&j->scratch, (void **)&f->blocks, &f->blocks_room, f->blocks_n + 1, sizeof *f->blocks))
		return NULL;
	bits->leaders |= bit; /* of a block that was cut */
	bits->blocks = f->blocks_n - (u32)__builtin_popcountll(bits->leaders & (bit - 1));
	struct jblock *b = &f->blocks[f->blocks_n++];
	*b = (struct jblock){.start = start, .taken = NO_BLOCK, .fall = NO_BLOCK};
	return b;
}
static u32 block_at(const struct jit *j, u32 i) {
	u64 bit;
	const struct insn_bits *bits = bits_of(j, i, &bit);
	ASSERT(bits->leaders & bit);
	return bits->blocks + (u32)__builtin_popcountll(bits->leaders & (bit - 1));
}

/* Registers of the instruction, promoted slots included. */
static NOINLINE void slot_use(const struct jit *j, const struct bpf_insn *insn, struct insn_use *use) {
	u8 slot = is_mem(insn) ? slot_of(j, insn) : (u8)JREG_NONE;
	if (slot == JREG_NONE)
		return;
	use->reads &= ~(1 << JREG_FP);
	if (BPF_CLASS(insn->code) == BPF_LDX)
		use->reads = 1 << slot;
	else
		use->writes = 1 << slot;
}
static ALWAYS_INLINE struct insn_use use_of(const struct jit *j, const struct bpf_insn *insn) {
	struct insn_use use;
	regs_of(insn, &use.reads, &use.writes);
	if (unlikely(use.reads & 1 << JREG_FP))
		slot_use(j, insn, &use);
	return use;
}

/* The first leader after i, or stop. */
static u32 next_leader(const struct jit *j, u32 i, u32 stop) {
	u64 left = j->bits[i >> 6].leaders & ~1ull << (i & 63);
	u32 word = i >> 6;
	while (!left && (word + 1) * 64 < stop)
		left = j->bits[++word].leaders;
	return left ? MIN(word * 64 + (u32)__builtin_ctzll(left), stop) : stop;
}

static int make_blocks(struct jit *j) {
	struct jfunc *f = &j->f;
	const struct bpf_insn *insns = j->x->insns;
	for (u32 i = f->start; i < f->end;) {
		struct jblock *b = add_block(j, i);
		u32 uses = 0, defs = 0, end = next_leader(j, i, MIN(f->end, i + BLOCK_MAX));
		if (!b)
			return -ENOMEM;
		if (end < f->end && insn_is_second(&insns[end])) {
			if (is_leader(j, end))
				return -EINVAL; /* a jump into an immediate */
			end--; /* the cut would go through one */
		}
		for (; i < end; i++) {
			struct insn_use use = use_of(j, &insns[i]);
			uses |= use.reads & ~defs;
			defs |= use.writes;
		}
		b->end = i, b->uses = (u16)uses, b->defs = (u16)defs;
	}
	ASSERT(f->blocks_n && f->blocks[0].start == f->start && f->blocks[f->blocks_n - 1].end == f->end);
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
	return block_at(j, t);
}

u32 block_last(const struct jit *j, const struct jblock *b) {
	u32 last = b->end - 1;
	ASSERT(b->start < b->end);
	return last - insn_is_second(&j->x->insns[last]);
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
	enum { OPEN = 4 }; /* visits: how many successors; OPEN while on the stack */
	if (!stack)
		return -ENOMEM;
	stack[n++] = 0;
	f->blocks[0].visits = OPEN;
	while (n) {
		struct jblock *b = &f->blocks[stack[n - 1]];
		u32 k = b->visits++ & 3;
		if (k == 2) {
			b->visits = 3; /* visited, closed */
			n--;
			continue;
		}
		u32 at = k ? b->taken : b->fall;
		if (at == NO_BLOCK)
			continue;
		ASSERT(at < f->blocks_n);
		struct jblock *to = &f->blocks[at];
		to->preds++;
		to->loop_head |= (to->visits & OPEN) != 0;
		if (!to->visits) {
			ASSERT(n < f->blocks_n);
			to->visits = OPEN, stack[n++] = at;
		}
	}
	free(stack);
	return 0;
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
	const struct bpf_insn *insns = j->x->insns + b->start;
	u16 live = live_out(&j->f, b), *to = j->live;
	ASSERT(b->end - b->start <= BLOCK_MAX);
	j->live_from = b->start;
	for (u32 i = b->end - b->start; i-- > 0;) {
		to[i] = live;
		struct insn_use use = use_of(j, &insns[i]); /* second slots read and write nothing */
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
