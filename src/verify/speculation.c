/* Speculation: what a program could learn through ways that only the processor takes.
 *
 * A processor runs ahead: past a conditional jump that it predicts wrongly, past a load that an older store should have
 * fed. What it does there leaves traces that can be measured. So the loader that may not see addresses (no CAP_PERFMON)
 * may not have them speculated about either. As in the reference:
 *
 *   a jump that the values decide      the other way is walked too, as a speculative path: there the operands can be
 *                                      anything, since the jump was not obeyed
 *   pointer ± register                 what a wrong register could do is bounded by a window (state and limit, in the
 *                                      instruction's aux); it must be the same on all paths. The pointer without the
 *                                      addition is walked as a speculative path.
 *   a refusal on a speculative path    no refusal: a barrier is put before the instruction, and the path ends there
 *   a store that could be bypassed     (a pointer saved, anything stored over what was no number) gets a barrier behind it
 *
 * A speculative path never makes an instruction reachable, never decides a jump for fixup.c, and never prunes a real one
 * (states.c).
 *
 * The reference masks the register of an addition to its window. Here a barrier stands before the addition: its operands
 * are the real ones then, and a real pointer in bounds is what the walk has proven. Verdicts are the same; the code is
 * slower where it adds a variable to a pointer, and needs no scratch register. */
#include "verify/env.h"

enum window_state { WINDOW_NEGATIVE = 1, WINDOW_CONSTANT = 2, WINDOW_SRC = 4, WINDOW_DST = 8, WINDOW_NUMBER = 16 };
enum reason { REASON_NONE, REASON_BOUNDS, REASON_TYPE, REASON_PATHS, REASON_LIMIT };

static bool needs_no_window(const struct verifier *v, const struct bpf_insn *insn) {
	return v->bypass_spec || BPF_SRC(insn->code) == BPF_K || v->aux[v->at].nospec;
}

/* from_dst: the pointer was in the destination. */
static int refuse_window(struct verifier *v, enum reason reason, const struct bpf_insn *insn, bool from_dst) {
	static const char prohibited[] = "pointer arithmetic with it prohibited for !root";
	const char *name = BPF_OP(insn->code) == BPF_ADD ? "add" : "sub";
	u32 dst = insn->dst_reg, number = from_dst ? insn->src_reg : dst, pointer = from_dst ? dst : insn->src_reg;
	switch (reason) {
	case REASON_BOUNDS:
		say(v, "why", "the number in R%u may be negative or not", number);
		return refuse_text(v, SPECULATION, -EACCES, "R%d has unknown scalar with mixed signed bounds, %s", number,
		                   prohibited);
	case REASON_PATHS:
		say(v, "why", "other paths add to another pointer, or another kind of number, here");
		return refuse_text(v, SPECULATION, -EACCES, "R%d tried to %s from different maps, paths or scalars, %s", dst, name,
		                   prohibited);
	case REASON_LIMIT:
		say(v, "why", "the pointer is outside its object already");
		return refuse_text(v, SPECULATION, -EACCES, "R%d tried to %s beyond pointer bounds, %s", dst, name, prohibited);
	default:
		say(v, "why", "only pointers to the stack and to map values can be moved by a variable");
		return refuse(v, SPECULATION, -EACCES, pointer, prohibited);
	}
}

/* How far a pointer may be moved to one side. */
static enum reason room_of(const struct reg *ptr, bool to_left, u32 *room) {
	u32 max, at;
	switch (ptr->type) {
	case PTR_TO_STACK:
		max = STACK_BYTES + to_left;
		at = (u32)-((s64)ptr->s.var.value + ptr->off);
		break;
	case PTR_TO_MAP_VALUE:
		max = ptr->map->facts->value_size;
		at = (u32)((to_left ? (u64)ptr->s.r.smin : ptr->s.r.umax) + (u64)(s64)ptr->off);
		break;
	default:
		return REASON_TYPE;
	}
	*room = at;
	return at >= max ? REASON_LIMIT : REASON_NONE;
}

static enum reason set_window(struct insn_aux *aux, u32 state, u32 limit) {
	if (aux->window_state && (aux->window_state != state || aux->window_limit != limit))
		return REASON_PATHS;
	aux->window_state = state;
	aux->window_limit = limit;
	return REASON_NONE;
}

/* number ± register: never where another path adds to a pointer. */
int speculate_number(struct verifier *v, const struct bpf_insn *insn) {
	enum reason reason;
	if (needs_no_window(v, insn))
		return 0;
	reason = set_window(&v->aux[v->at], WINDOW_NUMBER, 0);
	return reason ? refuse_window(v, reason, insn, true) : 0;
}

/* Before pointer ± num: the window so far, and the path on which nothing is added. */
int speculate_pointer(struct verifier *v, const struct bpf_insn *insn, const struct reg *ptr, const struct reg *num,
                      bool from_dst, struct window *w) {
	bool constant = tnum_is_const(num->s.var), negative = num->s.r.smin < 0;
	u8 op = BPF_OP(insn->code);
	enum reason reason = REASON_NONE;
	struct state *s;
	ASSERT(op == BPF_ADD || op == BPF_SUB);
	if (needs_no_window(v, insn))
		return 0;
	if (!v->cur->speculative) {
		if (!constant && negative != (num->s.r.smax < 0))
			reason = REASON_BOUNDS;
		w->to_left = negative == (op == BPF_ADD);
		if (!reason)
			reason = room_of(ptr, w->to_left, &w->limit);
		if (reason)
			return refuse_window(v, reason, insn, from_dst);
		w->state = from_dst ? WINDOW_SRC : WINDOW_DST;
		w->state |= (negative ? WINDOW_NEGATIVE : 0u) | (constant ? WINDOW_CONSTANT : 0u);
		v->strict_scalars |= !constant;
	}
	return constant ? 0 : push_speculative(v, v->at + 1, (s32)v->at, &s);
}

/* After it: the window is how far the pointer can have moved. */
int speculate_moved(struct verifier *v, const struct bpf_insn *insn, const struct reg *ptr, bool from_dst,
                    const struct window *w) {
	enum reason reason;
	u32 room;
	if (needs_no_window(v, insn) || v->cur->speculative)
		return 0;
	ASSERT(w->state);
	reason = room_of(ptr, w->to_left, &room);
	if (!reason)
		reason = set_window(&v->aux[v->at], w->state, w->limit > room ? w->limit - room : room - w->limit);
	return reason ? refuse_window(v, reason, insn, from_dst) : 0;
}

/* A pointer to the stack or to a map value stays inside its object at all times. */
int check_pointer_inside(struct verifier *v, u32 regno) {
	const struct reg *r = &cur_regs(v)[regno];
	s64 off = (s64)r->off + (s64)r->s.var.value;
	char text[48];
	int err;
	if (v->bypass_spec)
		return 0;
	if (r->type == PTR_TO_MAP_VALUE) {
		err = check_map_value(v, regno, r->off, 1, false, true);
		return err ? refuse_text(v, SPECULATION, -EACCES,
		                         "R%d pointer arithmetic of map value goes out of range, prohibited for !root", regno)
		           : 0;
	}
	if (r->type != PTR_TO_STACK)
		return 0;
	say(v, "why", "a pointer to the stack stays inside the frame, at a known place");
	if (!scalar_is_const(&r->s))
		return refuse_text(v, SPECULATION, -EACCES, "R%d variable stack access prohibited for !root, var_off=%s off=%d",
		                   regno, tnum_text(r->s.var, text), (int)off);
	if (off >= 0 || off < -STACK_BYTES)
		return refuse_text(v, SPECULATION, -EACCES,
		                   "R%d stack pointer arithmetic goes out of range, prohibited for !root; off=%d", regno, (int)off);
	v->values_n = 0;
	return 0;
}

/* The way that the values exclude, as the processor could take it: what was compared may be anything there. */
int speculate_branch(struct verifier *v, const struct bpf_insn *insn, u32 to) {
	struct state *s;
	int err;
	if (v->bypass_spec)
		return 0;
	err = push_speculative(v, to, (s32)v->at, &s);
	if (err)
		return err;
	reg_set_unknown(&state_regs(s)[insn->dst_reg]);
	if (BPF_SRC(insn->code) == BPF_X)
		reg_set_unknown(&state_regs(s)[insn->src_reg]);
	return 0;
}

/* Does the instruction move a pointer by a register that could be a wrong one? */
bool has_window(const struct verifier *v, u32 at) {
	u8 class = BPF_CLASS(v->insns[at].code), op = BPF_OP(v->insns[at].code);
	if (v->bypass_spec || class != BPF_ALU64 || (op != BPF_ADD && op != BPF_SUB))
		return false;
	ASSERT(at < v->n);
	return v->aux[at].window_state & ~(u32)WINDOW_NUMBER;
}

/* A refusal that concerns a speculative path alone: nothing gets past the barrier, and the path ends. */
bool stopped_by_barrier(struct verifier *v, u32 at, int err) {
	struct insn_aux *aux = &v->aux[at];
	u8 class = BPF_CLASS(v->insns[at].code);
	if (!v->cur->speculative || (err != -EPERM && err != -EACCES && err != -EINVAL))
		return false;
	ASSERT(!v->bypass_spec);
	aux->nospec = true;
	if (class == BPF_ALU || class == BPF_ALU64)
		aux->window_state = aux->window_limit = 0;
	v->out->diag = (struct verify_diag){.insn = -1};
	v->values_n = 0;
	return true;
}
