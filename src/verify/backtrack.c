/* Precision: which scalars had to have just the value they had.
 *
 * Pruning may treat two states as equal although a scalar differs, if nobody relied on it. Whenever the walk relies on a
 * scalar's value (an offset, a size, a decided branch), mark_precise goes back over the recorded way and marks, in every
 * checkpoint that it passes, the registers and slots from which the value came:
 *
 *      checkpoint A ──► r6 = r7 ──► checkpoint B ──► *(fp-8) = r6 ──► r1 = *(fp-8) ──► [here: r1 is relied on]
 *      r7 is precise                r6 is precise    {fp-8} → {r6}     {r1} → {fp-8}     {r1}
 *
 * The set in braces (struct backtrack) holds what is still looked for before an instruction, per frame: going back over
 * `a = b` replaces a by b, over `a += b` adds b, over a constant drops a. It ends when the set is empty or at the first
 * state. Marks in the current state do not matter: it is either dropped or becomes a checkpoint, whose marks start empty.
 * The way is the list of steps of each state: instructions that were reached by a jump, that touched the stack, or whose
 * comparison bound linked registers; between two steps the way is straight.
 *
 * Where the search meets something it cannot follow (a pointer difference), everything is marked: sound, and rare.
 * Invariant: whoever adds an instruction that moves values must teach it to step_back(). */
#include "verify/env.h"
#include <stdio.h>

enum { ARG_REGS = 0x3e }; /* r1 … r5 */

static const char *regs_text(u32 regs, char to[64]) {
	u32 n = 0;
	to[0] = 0;
	for (u32 i = 0; i < MAX_BPF_REG; i++)
		if (regs >> i & 1)
			n += (u32)snprintf(to + n, 64 - n, "%sr%d", n ? "," : "", i);
	return to;
}
static const char *slots_text(u64 slots, char to[400]) {
	u32 n = 0;
	to[0] = 0;
	for (u32 i = 0; i < STACK_SLOTS; i++)
		if (slots >> i & 1)
			n += (u32)snprintf(to + n, 400 - n, "%s%d", n ? "," : "", -(s32)(i + 1) * 8);
	return to;
}

/* Adds a step for the instruction at hand, or completes the one it has. */
int record_step(struct verifier *v, u32 flags, u64 linked) {
	struct state *s = v->cur;
	ASSERT(flags < STEP_DST_POINTER * 2 && (linked & 0xf) <= 6);
	if (v->cur_step) {
		v->cur_step->flags |= flags & 0xfff;
		if (linked)
			v->cur_step->linked = linked;
		return 0;
	}
	if (!state_push_step(&v->pool, s, (struct step){.insn = v->at, .prev = (u32)v->prev, .flags = flags, .linked = linked}))
		return -ENOMEM;
	v->cur_step = &s->history[s->history_n - 1];
	return 0;
}

void forget_precision(struct state *s) {
	for (struct reg_walk w = {.state = s}; reg_next(&w);)
		if (w.reg->type == SCALAR_VALUE)
			w.reg->precise = false;
}

/* Gives up: every scalar of the state's ancestors is precise. */
void all_precise(struct verifier *v, struct state *s) {
	if (logging2(v))
		vlog(v, "mark_precise: frame%d: falling back to forcing all scalars precise\n", s->curframe);
	for (struct state *up = s->parent; up; up = up->parent) {
		for (struct reg_walk w = {.state = up}; reg_next(&w);) {
			if (w.reg->type != SCALAR_VALUE || w.reg->precise)
				continue;
			if (!w.slot && w.reg == &w.frame->regs[BPF_REG_FP])
				continue;
			w.reg->precise = true;
			if (!logging2(v))
				continue;
			if (w.slot)
				vlog(v, "force_precise: frame%d: forcing fp%d to be precise\n", w.frame_i,
				     -(s32)(w.slot - w.frame->slots + 1) * 8);
			else
				vlog(v, "force_precise: frame%d: forcing r%d to be precise\n", w.frame_i,
				     (s32)(w.reg - w.frame->regs));
		}
	}
}

/* == The set == */

static inline u32 *bt_regs(struct backtrack *bt) {
	ASSERT_DEBUG(bt->frame < MAX_FRAMES);
	return &bt->regs[bt->frame];
}
static bool bt_empty(const struct backtrack *bt) {
	u64 any = 0;
	for (u32 i = 0; i <= bt->frame; i++)
		any |= bt->regs[i] | bt->slots[i];
	return !any;
}
static void bt_clear(struct backtrack *bt, u32 frame) {
	ASSERT(frame < MAX_FRAMES);
	__builtin_memset(bt, 0, sizeof *bt);
	bt->frame = frame;
}
/* The search went wrong: a defect of ours. */
static int lost(struct verifier *v) {
	vlog(v, "BUG regs %x\n", *bt_regs(&v->bt));
	return refuse(v, INTERNAL, -EFAULT, "precision tracking lost its way");
}

/* If one of the registers that a comparison bound through their id is looked for, all are. */
static void sync_linked(struct backtrack *bt, const struct step *step) {
	u64 packed;
	bool wanted = false;
	if (!step || !step->linked)
		return;
	for (int pass = 0; pass < 2; pass++) {
		packed = step->linked >> 4;
		ASSERT((step->linked & 0xf) <= 6);
		for (u32 n = step->linked & 0xf; n; n--, packed >>= 10) {
			u32 frame = packed & 7, place = packed >> 3 & 0x3f;
			bool is_reg = packed >> 9 & 1;
			if (!pass)
				wanted |= is_reg ? bt->regs[frame] >> place & 1 : bt->slots[frame] >> place & 1;
			else if (is_reg)
				bt->regs[frame] |= 1u << place;
			else
				bt->slots[frame] |= (u64)1 << place;
		}
		if (!wanted)
			return;
	}
}

/* == Going back over one instruction == */

static int back_alu(struct backtrack *bt, const struct bpf_insn *insn) {
	u32 *regs = bt_regs(bt), d = 1u << insn->dst_reg, s = 1u << insn->src_reg;
	u8 op = BPF_OP(insn->code);
	if (!(*regs & d) || op == BPF_NEG || op == BPF_END)
		return 0;
	if (op == BPF_MOV)
		*regs &= ~d;
	if (BPF_SRC(insn->code) == BPF_X && insn->src_reg != BPF_REG_FP)
		*regs |= s;
	return 0;
}

static int back_load(struct backtrack *bt, const struct bpf_insn *insn, const struct step *step) {
	u32 to = insn->dst_reg;
	ASSERT(bt->frame < MAX_FRAMES);
	if (BPF_CLASS(insn->code) == BPF_STX && insn->imm != BPF_LOAD_ACQ)
		to = insn->imm == BPF_CMPXCHG ? BPF_REG_0 : insn->src_reg;
	if (!(*bt_regs(bt) >> to & 1))
		return 0;
	*bt_regs(bt) &= ~(1u << to);
	if (step && step->flags & STEP_STACK) /* a fill; what comes from elsewhere is unknown anyway */
		bt->slots[step->flags >> STEP_FRAME_SHIFT & 7] |= (u64)1 << (step->flags & STEP_SLOT_MASK);
	return 0;
}

static int back_store(struct backtrack *bt, const struct bpf_insn *insn, const struct step *step) {
	u64 slot;
	u32 frame;
	if (*bt_regs(bt) >> insn->dst_reg & 1)
		return -ENOTSUPP; /* a pointer is looked for: a difference of pointers */
	if (!step || !(step->flags & STEP_STACK))
		return 0;
	frame = step->flags >> STEP_FRAME_SHIFT & 7;
	ASSERT(frame <= bt->frame); /* callees write into callers' frames, never the other way */
	slot = (u64)1 << (step->flags & STEP_SLOT_MASK);
	if (!(bt->slots[frame] & slot))
		return 0;
	bt->slots[frame] &= ~slot;
	if (BPF_CLASS(insn->code) == BPF_STX)
		*bt_regs(bt) |= 1u << insn->src_reg;
	return 0;
}

/* Leaves the function backwards: over its call into the caller. */
static int back_into_caller(struct verifier *v, struct backtrack *bt, bool arguments) {
	u32 args = *bt_regs(bt) & ARG_REGS;
	if (*bt_regs(bt) & ~ARG_REGS || bt->slots[bt->frame] || !bt->frame)
		return lost(v);
	*bt_regs(bt) = 0;
	bt->frame--;
	if (arguments)
		*bt_regs(bt) |= args;
	return 0;
}

static int back_call(struct verifier *v, struct backtrack *bt, u32 insn, u32 after) {
	const struct bpf_insn *call = &v->insns[insn];
	if (insn_is_pseudo_call(call)) {
		s32 sub = subprog_at(v, insn + 1 + (u32)call->imm);
		ASSERT(sub >= 0);
		if (!v->subprogs[sub].global)
			return back_into_caller(v, bt, true);
	} else if (is_callback_call(v, insn) && after != insn + 1) {
		return back_into_caller(v, bt, false); /* its arguments come from the helper */
	} else if (insn_is_kfunc_call(call) && !call->imm) {
		return -ENOTSUPP;
	}
	*bt_regs(bt) &= ~1u;
	if (after != insn + 1 && !is_callback_call(v, insn)) /* a tail call that ended the function */
		bt->frame++;
	return *bt_regs(bt) & ARG_REGS || bt->frame >= MAX_FRAMES ? lost(v) : 0;
}

/* Enters a function backwards, at its exit. */
static int back_exit(struct verifier *v, struct backtrack *bt, u32 after) {
	bool from_call = after > 0 && insn_is_pseudo_call(&v->insns[after - 1]);
	u32 r0 = from_call ? *bt_regs(bt) & 1 : 0;
	if ((from_call && *bt_regs(bt) & ARG_REGS) || bt->frame + 1 >= MAX_FRAMES)
		return lost(v);
	if (!from_call) /* back from a callback: the call that comes again was traced from its first visit */
		*bt_regs(bt) &= ~(u32)ARG_REGS;
	*bt_regs(bt) &= ~1u;
	bt->frame++;
	*bt_regs(bt) |= r0;
	return 0;
}

static int back_jump(struct verifier *v, struct backtrack *bt, u32 at, u32 after, const struct step *step) {
	const struct bpf_insn *insn = &v->insns[at];
	u8 op = BPF_OP(insn->code);
	u32 *regs = bt_regs(bt), d = 1u << insn->dst_reg, s = 1u << insn->src_reg;
	if (op == BPF_CALL)
		return back_call(v, bt, at, after);
	if (op == BPF_EXIT)
		return back_exit(v, bt, after);
	if (op == BPF_JA || op == BPF_JCOND || BPF_SRC(insn->code) != BPF_X || !(*regs & (d | s)))
		return 0;
	if (!step || !(step->flags & STEP_SRC_POINTER)) /* compared with what is looked for: it matters as much */
		*regs |= s;
	if (!step || !(step->flags & STEP_DST_POINTER))
		*regs |= d;
	return 0;
}

static bool is_load(const struct bpf_insn *insn) {
	if (BPF_CLASS(insn->code) == BPF_LDX)
		return true;
	if (BPF_CLASS(insn->code) != BPF_STX || BPF_MODE(insn->code) != BPF_ATOMIC)
		return false;
	return insn->imm == BPF_LOAD_ACQ || (insn->imm & BPF_FETCH && insn->imm != BPF_STORE_REL);
}

/* Arithmetic and loads into a register that nobody looks for: most of the way. */
static inline bool passes_by(const struct verifier *v, const struct bpf_insn *insn, const struct step *step) {
	u8 class = BPF_CLASS(insn->code);
	return (class == BPF_ALU || class == BPF_ALU64 || class == BPF_LDX) && !(step && step->linked) &&
	       !(v->bt.regs[v->bt.frame] >> insn->dst_reg & 1) && !logging2(v);
}

/* From after the instruction `at` to before it; `after` is the one that ran next. -ENOTSUPP: cannot follow. */
static int step_back(struct verifier *v, u32 at, u32 after, const struct step *step) {
	const struct bpf_insn *insn = &v->insns[at];
	struct backtrack *bt = &v->bt;
	int err = 0;
	if (!insn->code)
		return 0;
	if (logging2(v)) {
		char regs[64], slots[400], text[160];
		log_insn_text(v, insn, text, sizeof text);
		vlog(v, "mark_precise: frame%d: regs=%s stack=%s before %d: %s\n", bt->frame, regs_text(*bt_regs(bt), regs),
		     slots_text(bt->slots[bt->frame], slots), at, text);
	}
	sync_linked(bt, step);
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		err = back_alu(bt, insn);
		break;
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		err = is_load(insn) ? back_load(bt, insn, step) : back_store(bt, insn, step);
		break;
	case BPF_JMP:
	case BPF_JMP32:
		err = back_jump(v, bt, at, after, step);
		break;
	case BPF_LD:
		if (insn_is_ldimm64(insn))
			*bt_regs(bt) &= ~(1u << insn->dst_reg);
		else if (*bt_regs(bt) & 1)
			err = -ENOTSUPP; /* a packet load sets r0, or ends the function with it */
		else if (after != at + 1)
			bt->frame++;
		break;
	}
	ASSERT(bt->frame < MAX_FRAMES);
	if (!err)
		sync_linked(bt, step);
	return err;
}

/* == Going back over states == */

/* The instruction before `at` within a state, or -1 when the state began there; *n steps of its history are left. */
s64 insn_before(const struct state *s, u32 at, u32 *n) {
	ASSERT(*n <= s->history_n);
	if (at == s->first_insn && (!*n || (*n == 1 && s->history[0].insn == at)))
		return -1;
	if (*n && s->history[*n - 1].insn == at)
		return s->history[--*n].prev;
	return (s64)at - 1;
}

/* Does nothing come before the state: is it at the start of a callback that runs by itself? */
static bool is_async_root(const struct state *s) {
	return !s->parent && s->frames[0]->in_async_callback;
}
static bool begins_here(const struct state *s) {
	u32 n = s->history_n;
	return is_async_root(s) && insn_before(s, s->insn, &n) < 0;
}

/* What is looked for and stands in a checkpoint is marked there; what was marked already need not be followed. */
static void mark_in(struct verifier *v, struct state *s, bool *changed) {
	struct backtrack *bt = &v->bt;
	ASSERT(s->checkpoint); /* marks belong into checkpoints */
	for (s32 i = (s32)bt->frame; i >= 0; i--) {
		struct frame *f = s->frames[i];
		for (u32 rest = bt->regs[i]; rest; rest &= rest - 1) {
			u32 r = (u32)__builtin_ctz(rest);
			if (f->regs[r].type != SCALAR_VALUE || f->regs[r].precise)
				bt->regs[i] &= ~(1u << r);
			else
				f->regs[r].precise = *changed = true;
		}
		for (u64 rest = bt->slots[i]; rest; rest &= rest - 1) {
			u32 slot = (u32)__builtin_ctzll(rest);
			if (slot >= f->slots_n || !slot_is_spilled_scalar(&f->slots[slot]) || f->slots[slot].reg.precise)
				bt->slots[i] &= ~((u64)1 << slot);
			else
				f->slots[slot].reg.precise = *changed = true;
		}
		if (logging2(v)) {
			char regs[64], slots[400];
			vlog(v, "mark_precise: frame%d: parent state regs=%s stack=%s: ", i, regs_text(bt->regs[i], regs),
			     slots_text(bt->slots[i], slots));
			log_state(v, s, (u32)i, true);
		}
	}
}

/* The search came to the first instruction of a global function: only its arguments may be left. */
static int at_function_start(struct verifier *v, struct state *s) {
	struct backtrack *bt = &v->bt;
	if (s->curframe || !s->frames[0]->subprog || bt->slots[0] || bt->regs[0] & ~ARG_REGS)
		return lost(v);
	for (u32 r = 1; r <= 5; r++)
		if (bt->regs[0] >> r & 1 && s->frames[0]->regs[r].type == SCALAR_VALUE)
			s->frames[0]->regs[r].precise = true;
	bt_clear(bt, 0);
	return 0;
}

/* Goes back from state `from`, standing before from->insn, with the set in v->bt. */
static int trace(struct verifier *v, struct state *from, bool *changed) {
	struct state *s = from;
	s64 at = from->insn, first = s->first_insn, after = -1;
	bool skip = true;
	ASSERT(v->bt.frame == from->curframe && from->insn < v->n);
	for (;;) {
		u32 left = s->history_n;
		if (logging2(v))
			vlog(v, "mark_precise: frame%d: last_idx %d first_idx %d subseq_idx %d \n", v->bt.frame, (int)at,
			     is_async_root(s) ? 0 : (int)first, (int)after);
		if (at < 0)
			return at_function_start(v, s);
		for (;;) {
			int err = 0;
			if (!skip) {
				const struct step *step =
				    left && s->history[left - 1].insn == at ? &s->history[left - 1] : NULL;
				if (!passes_by(v, &v->insns[at], step))
					err = step_back(v, (u32)at, (u32)after, step);
			}
			skip = false;
			if (err == -ENOTSUPP) {
				all_precise(v, from);
				bt_clear(&v->bt, 0);
				return 0;
			}
			if (err)
				return err;
			if (bt_empty(&v->bt))
				return 0;
			after = at;
			at = insn_before(s, (u32)at, &left);
			if (at < 0)
				break;
			if (at >= v->n)
				return lost(v);
		}
		s = s->parent;
		if (!s)
			break;
		ASSERT(v->bt.frame <= s->curframe);
		mark_in(v, s, changed);
		if (bt_empty(&v->bt))
			return 0;
		after = first;
		at = begins_here(s) ? -1 : (s32)s->last_insn; /* of the parent: the one before its child's first */
		first = s->first_insn;
	}
	all_precise(v, from);
	bt_clear(&v->bt, 0);
	return 0;
}

int mark_precise(struct verifier *v, s32 reg) {
	bool changed = false;
	if (!v->bpf_capable || HOLE(PRECISION_NOT_MARKED))
		return 0;
	bt_clear(&v->bt, v->cur->curframe);
	if (reg < 0)
		return 0;
	ASSERT(cur_regs(v)[reg].type == SCALAR_VALUE);
	v->bt.regs[v->bt.frame] = 1u << reg;
	return trace(v, v->cur, &changed);
}

/* The set is in v->bt. */
int mark_precise_batch(struct verifier *v, struct state *from, bool *changed) {
	v->bt.frame = from->curframe;
	return !v->bpf_capable || bt_empty(&v->bt) ? 0 : trace(v, from, changed);
}
