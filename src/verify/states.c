/* The search: which paths are left, which states were seen, and when a path need not be followed again.
 *
 *   pending[]      states at the other way of jumps, last in first out
 *   explored[]     checkpoints, in lists by instruction and call site
 *   state.parent   checkpoints form a tree; branches counts the unfinished paths below each
 *
 * At a prune point the current state is compared with the checkpoints there. If an old one, all of whose paths ended
 * well (branches 0), allows everything that the current state can be, the current path ends here («safe»). What the old
 * one's paths relied on (precision) is then marked in the current state's ancestors as well. If nothing matches, the
 * current state may become a checkpoint itself: not too often, or comparing would cost more than it saves.
 *
 * Loops. A checkpoint that is still being explored (branches > 0) and is met again means that the path came round.
 *   - ordinary loop: an identical state is an endless loop and refused; a different one just goes on (bounded loops end
 *     by their conditions, or by the instruction limit).
 *   - callbacks and may_goto are made to end by the engine: there a state that lies inside the old one ends the path. As
 *     the old one is unfinished, what it will rely on is not known yet: the current state is kept as a «back edge» of the
 *     strongly connected component, and when its entry state is finished, precision is carried over all its back edges
 *     until nothing changes. Until then no state of the component counts as final: it is compared in full (WITHIN).
 *
 * Dead registers and slots (liveness.c) are wiped from finished checkpoints, so that they match more states.
 *
 * The thresholds (2 jumps and 8 instructions; 20 and 100 inside loops; misses against hits) are the reference's: verdicts
 * at the instruction limit depend on them. */
#include "verify/env.h"

enum { UNPRIV_STATES = 64 }; /* checkpoints at one place, without CAP_BPF */
enum exactness { NOT_EXACT, EXACT, WITHIN };

struct backedge {
	struct backedge *next;
	struct state *state;
};
struct scc_visit { /* one strongly connected component under one chain of calls */
	struct scc_visit *next;
	u32 scc;
	u32 depth, callsites[MAX_FRAMES];
	struct state *entry; /* checkpoint by which the walk came in, until it is finished */
	struct backedge *backedges;
};

/* == Pending paths == */

/* A copy of the current state that will go on at insn; prev is the instruction that leads there. */
int push_pending(struct verifier *v, u32 insn, s32 prev, struct state **out) {
	struct pending *p;
	struct state *s = state_new(&v->pool);
	ASSERT(insn < v->n && prev < (s32)v->n);
	if (!s || !state_copy(&v->pool, s, v->cur, true))
		return -ENOMEM;
	p = vec_push(&v->pending);
	if (!p)
		return -ENOMEM;
	*p = (struct pending){.state = s, .insn = insn, .prev = (u32)prev, .log_end = v->log.end};
	s->branches = 1;
	if (s->parent)
		s->parent->branches++;
	*out = s;
	if (unlikely(v->pending.n > MAX_PENDING)) {
		say(v, "count", "%d", MAX_PENDING);
		return refuse(v, TOO_COMPLEX, -EFAULT, v->pending.n);
	}
	return 0;
}

int push_speculative(struct verifier *v, u32 insn, s32 prev, struct state **out) {
	int err;
	ASSERT(!v->bypass_spec);
	err = push_pending(v, insn, prev, out);
	if (!err)
		(*out)->speculative = true;
	return err;
}

/* A state of its own, with one empty frame, that will go on at insn. */
int push_pending_fresh(struct verifier *v, u32 insn, s32 prev, struct state **out) {
	struct pending *p;
	struct state *s = state_new(&v->pool);
	if (!s || !(s->frames[0] = frame_new(&v->pool)) || !(p = vec_push(&v->pending)))
		return -ENOMEM;
	*p = (struct pending){.state = s, .insn = insn, .prev = (u32)prev, .log_end = v->log.end};
	s->branches = 1;
	s->first_insn = insn;
	*out = s;
	if (v->pending.n > MAX_PENDING)
		return refuse_text(v, TOO_COMPLEX, -EFAULT, "The sequence of %d jumps is too complex for async cb.",
		                   (int)v->pending.n);
	return 0;
}

/* -ENOENT when nothing is left. */
int pop_pending(struct verifier *v) {
	struct pending *p;
	if (!v->pending.n)
		return -ENOENT;
	p = &v->pending.at[--v->pending.n];
	ASSERT(p->state != v->cur && p->state->branches == 1);
	state_free(&v->pool, v->cur);
	v->cur = p->state;
	v->at = p->insn;
	v->prev = (s32)p->prev;
	v->cur_step = NULL;
	if (!logging2(v))
		log_reset_to(v, p->log_end);
	return 0;
}

/* == Strongly connected components == */

static bool scc_of(struct verifier *v, const struct state *s, struct scc_visit *key, u32 *scc) {
	key->depth = 0;
	for (u32 i = 0; i <= s->curframe; i++) {
		u32 insn = state_frame_insn(s, i);
		*scc = v->aux[insn].scc;
		if (*scc)
			return true;
		key->callsites[key->depth++] = insn;
	}
	return false;
}

static struct scc_visit *scc_find(struct verifier *v, const struct state *s, bool make) {
	struct scc_visit key, *visit;
	u32 scc;
	if (!v->sccs_n || !scc_of(v, s, &key, &scc))
		return NULL;
	for (visit = v->sccs[scc]; visit; visit = visit->next)
		if (visit->depth == key.depth &&
		    !__builtin_memcmp(visit->callsites, key.callsites, key.depth * sizeof key.callsites[0]))
			return visit;
	if (!make)
		return NULL;
	visit = arena_new(&v->scratch, struct scc_visit);
	if (!visit)
		return NULL;
	visit->depth = key.depth;
	visit->scc = scc;
	__builtin_memcpy(visit->callsites, key.callsites, sizeof key.callsites);
	visit->next = v->sccs[scc];
	v->sccs[scc] = visit;
	return visit;
}

static void log_scc(struct verifier *v, const char *what, const struct scc_visit *visit) {
	if (!logging2(v))
		return;
	vlog(v, "SCC %s (", what);
	for (u32 i = 0; i < visit->depth && visit->callsites[i]; i++) /* a call by instruction 0 ends the reference's list */
		vlog(v, "%d,", visit->callsites[i]);
	vlog(v, "%d)\n", visit->scc);
}

static int propagate_precision(struct verifier *v, const struct state *old, struct state *cur, bool *changed);

static int scc_finished(struct verifier *v, struct state *s) {
	struct scc_visit *visit = scc_find(v, s, false);
	bool changed;
	u32 rounds = 0;
	if (!visit || visit->entry != s)
		return 0;
	visit->entry = NULL;
	log_scc(v, "exit", visit);
	do {
		changed = false;
		for (struct backedge *b = visit->backedges; b; b = b->next) {
			int err;
			if (++rounds > 64 * 64) { /* far beyond what any program needs: give up exactness, not soundness */
				all_precise(v, b->state);
				continue;
			}
			err = propagate_precision(v, b->state->equal, b->state, &changed);
			if (err)
				return err;
		}
	} while (changed && rounds <= 64 * 64);
	while (visit->backedges) {
		struct backedge *b = visit->backedges;
		visit->backedges = b->next;
		state_free(&v->pool, b->state);
		v->backedges_n--;
	}
	return 0;
}

static void count_states(struct verifier *v, s32 change) {
	ASSERT(change >= 0 || v->states > 0);
	v->states += change;
	v->peak_states = MAX(v->peak_states, v->states + v->backedges_n);
}

static int scc_add_backedge(struct verifier *v, struct state *old) {
	struct scc_visit *visit = scc_find(v, old, false);
	struct backedge *b;
	if (!visit) /* not part of a loop: a callback call that stands in no cycle */
		return 0;
	b = arena_new(&v->scratch, struct backedge);
	if (!b)
		return -ENOMEM;
	b->state = state_new(&v->pool);
	if (!b->state || !state_copy(&v->pool, b->state, v->cur, true))
		return -ENOMEM;
	b->state->equal = old;
	b->state->insn = v->at;
	log_scc(v, "backedge", visit);
	b->next = visit->backedges;
	visit->backedges = b;
	v->backedges_n++;
	count_states(v, 0);
	return 0;
}

static bool scc_incomplete(struct verifier *v, const struct state *s) {
	const struct scc_visit *visit = scc_find(v, s, false);
	return visit && visit->backedges;
}

/* A checkpoint that is in no list and has no unfinished paths is nobody's parent any more. While there are back edges one
 * of them may point to it; then it stays until the end. */
static void free_dropped(struct verifier *v, struct explored *e) {
	if (!e || !e->dropped || e->state->branches)
		return;
	count_states(v, -1);
	if (v->backedges_n)
		return;
	state_free(&v->pool, e->state);
	pool_free(&v->pool, e, sizeof *e);
}

/* A path that belonged to s ended. */
int state_finished(struct verifier *v, struct state *s) {
	while (s) {
		struct state *parent = s->parent;
		int err;
		ASSERT(s->branches > 0);
		if (--s->branches)
			break;
		err = scc_finished(v, s);
		if (err)
			return err;
		free_dropped(v, s->checkpoint);
		s = parent;
	}
	return 0;
}

/* == Comparing == */

/* Equal ids in the old state must be equal ids in the new one, and different ones different. */
static bool ids_match(struct verifier *v, u32 old, u32 cur) {
	if (!old != !cur)
		return false;
	if (!old)
		return true;
	for (u32 i = 0; i < v->ids_n; i++) {
		if (v->ids[i].old == old)
			return v->ids[i].cur == cur;
		if (v->ids[i].cur == cur)
			return false;
	}
	if (v->ids_n == ID_PAIRS)
		return false;
	v->ids[v->ids_n++] = (struct id_pair){old, cur};
	return true;
}

/* Links of scalars: one that the old state did not have cannot hurt; one that it had must be there. */
static bool links_match(struct verifier *v, u32 old, u32 cur) {
	if (!old)
		return true;
	if (!cur)
		cur = ++v->ids_tmp;
	if (!ids_match(v, old, cur))
		return false;
	return !(old & ID_ADD_CONST) || ids_match(v, old & ~ID_ADD_CONST, cur & ~ID_ADD_CONST);
}

static bool regs_exact(struct verifier *v, const struct reg *old, const struct reg *cur) {
	ASSERT_DEBUG(base_type(old->type) < __BPF_REG_TYPE_MAX);
	return !__builtin_memcmp(old, cur, offsetof(struct reg, id)) && ids_match(v, old->id, cur->id) &&
	       ids_match(v, old->ref, cur->ref) && old->frameno == cur->frameno;
}

static bool scalars_safe(struct verifier *v, const struct reg *old, const struct reg *cur, enum exactness exact) {
	if (unlikely(v->strict_scalars))
		return !__builtin_memcmp(old, cur, offsetof(struct reg, id)) && links_match(v, old->id, cur->id);
	if ((!old->precise && v->bpf_capable && exact == NOT_EXACT) || HOLE(PRUNE_IMPRECISE))
		return true;
	if (old->id && (old->id & ID_ADD_CONST) != (cur->id & ID_ADD_CONST))
		return false;
	if (old->id & ID_ADD_CONST && old->off != cur->off)
		return false;
	return links_match(v, old->id, cur->id) && scalar_includes(&old->s, &cur->s);
}

static bool packets_safe(struct verifier *v, const struct reg *old, const struct reg *cur) {
	ASSERT(reg_is_packet(old) && old->type == cur->type);
	if (old->range < 0 || cur->range < 0) {
		if (old->range != cur->range)
			return false;
	} else if (old->range > cur->range) {
		return false;
	}
	return old->off == cur->off && ids_match(v, old->id, cur->id) && scalar_includes(&old->s, &cur->s);
}

/* Does everything that is safe with old stay safe with cur? */
static bool reg_safe(struct verifier *v, const struct reg *old, const struct reg *cur, enum exactness exact) {
	if (exact == EXACT)
		return regs_exact(v, old, cur);
	if (old->type == NOT_INIT && (exact == NOT_EXACT || cur->type == NOT_INIT))
		return true;
	if (old->type != cur->type)
		return false;
	switch (base_type(old->type)) {
	case SCALAR_VALUE:
		return scalars_safe(v, old, cur, exact);
	case PTR_TO_MAP_KEY:
	case PTR_TO_MAP_VALUE:
	case PTR_TO_MEM:
	case PTR_TO_BUF:
	case PTR_TO_TP_BUFFER:
		return !__builtin_memcmp(old, cur, offsetof(struct reg, s)) && scalar_includes(&old->s, &cur->s) &&
		       old->frameno == cur->frameno && ids_match(v, old->id, cur->id) && ids_match(v, old->ref, cur->ref);
	case PTR_TO_PACKET_META:
	case PTR_TO_PACKET:
		return packets_safe(v, old, cur);
	case PTR_TO_ARENA: /* any offset is as good as another */
		return true;
	default:
		return regs_exact(v, old, cur);
	}
}

/* Bytes that give anything. What was never written does where reading it is allowed. */
static bool all_misc(const struct verifier *v, const struct slot *slot) {
	for (u32 i = 0; i < 8; i++)
		if (slot->kind[i] != STACK_MISC && (slot->kind[i] != STACK_INVALID || !v->allow_uninit_stack))
			return false;
	return true;
}

/* Nobody can have relied on it. */
static bool slot_is_nothing(const struct verifier *v, const struct slot *slot) {
	u8 any = 0;
	if (v->allow_uninit_stack)
		return all_misc(v, slot);
	for (u32 i = 0; i < 8; i++)
		any |= slot->kind[i];
	return any == STACK_INVALID;
}

/* What an 8-byte load of the slot would give, if that is a scalar. */
static const struct reg *slot_scalar(const struct verifier *v, const struct slot *slot, const struct reg *unknown) {
	if (slot_is_full_scalar(slot))
		return &slot->reg;
	return all_misc(v, slot) ? unknown : NULL;
}

static bool slot_safe(struct verifier *v, const struct slot *old, const struct slot *cur, const struct reg *unknown,
                      enum exactness exact) {
	const struct reg *old_scalar, *cur_scalar;
	if (exact != NOT_EXACT && __builtin_memcmp(old->kind, cur->kind, sizeof old->kind))
		return false;
	if (exact == NOT_EXACT && slot_is_nothing(v, old)) /* reading it gives an unknown number, as reading anything does */
		return true;
	old_scalar = slot_scalar(v, old, unknown);
	cur_scalar = slot_scalar(v, cur, unknown);
	if (old_scalar && cur_scalar)
		return reg_safe(v, old_scalar, cur_scalar, exact);
	for (u32 i = 0; i < 8; i++) {
		u8 was = old->kind[i], is = cur->kind[i];
		if (was == STACK_INVALID || (was == STACK_MISC && (v->allow_uninit_stack || is == STACK_ZERO)))
			continue;
		if (was != is)
			return false;
	}
	switch (old->kind[7]) {
	case STACK_SPILL:
		return reg_safe(v, &old->reg, &cur->reg, exact);
	case STACK_DYNPTR: /* its id only names slices of memory that outlives it, or ends by the reference */
		return old->reg.dynptr_type == cur->reg.dynptr_type && old->reg.dynptr_first == cur->reg.dynptr_first &&
		       ids_match(v, old->reg.ref, cur->reg.ref);
	case STACK_ITER:
		return iter_slots_equal(&old->reg, &cur->reg) && ids_match(v, old->reg.ref, cur->reg.ref);
	case STACK_IRQ:
		return old->reg.irq_by_lock == cur->reg.irq_by_lock && ids_match(v, old->reg.ref, cur->reg.ref);
	}
	return true;
}

static bool stacks_safe(struct verifier *v, const struct frame *old, const struct frame *cur, enum exactness exact) {
	struct reg unknown;
	reg_set_unknown(&unknown);
	if (HOLE(PRUNE_STACK))
		return true;
	/* The reference calls a loop endless when only its stack has grown; the oracle must not: such a loop may end. */
	if (v->recording && exact == EXACT && old->slots_n != cur->slots_n)
		return false;
	for (u32 i = 0; i < old->slots_n; i++) {
		bool there = i < cur->slots_n;
		if (!there && (exact != NOT_EXACT || !slot_is_nothing(v, &old->slots[i])))
			return false;
		if (there && !slot_safe(v, &old->slots[i], &cur->slots[i], &unknown, exact))
			return false;
	}
	return true;
}

static bool frames_equal(struct verifier *v, const struct frame *old, const struct frame *cur, u32 insn,
                         enum exactness exact) {
	u32 live = v->aux[insn].live;
	if (old->callback_depth > cur->callback_depth || old->callsite != cur->callsite)
		return false;
	for (u32 i = 0; i < BPF_REG_FP; i++)
		if (live >> i & 1 && !reg_safe(v, &old->regs[i], &cur->regs[i], exact))
			return false;
	return stacks_safe(v, old, cur, exact);
}

static bool refs_equal(struct verifier *v, const struct state *old, const struct state *cur) {
	if (old->refs_n != cur->refs_n || old->active_locks != cur->active_locks ||
	    old->active_preempt != cur->active_preempt || old->active_rcu != cur->active_rcu ||
	    !ids_match(v, old->active_irq, cur->active_irq))
		return false;
	for (u32 i = 0; i < old->refs_n; i++) {
		const struct ref *a = &old->refs[i], *b = &cur->refs[i];
		if (a->kind != b->kind || a->place != b->place || a->map_uid != b->map_uid || !ids_match(v, a->id, b->id))
			return false;
	}
	return true;
}

static bool states_equal(struct verifier *v, const struct state *old, const struct state *cur, enum exactness exact) {
	if (old->curframe != cur->curframe || old->in_sleepable != cur->in_sleepable || (old->speculative && !cur->speculative))
		return false;
	v->ids_n = 0;
	v->ids_tmp = v->id_gen;
	if (!refs_equal(v, old, cur))
		return false;
	for (u32 i = 0; i <= old->curframe; i++)
		if (!frames_equal(v, old->frames[i], cur->frames[i], state_frame_insn(old, i), exact))
			return false;
	return true;
}

/* A cheap look before the exact one. */
static bool may_be_same(const struct state *old, const struct state *cur) {
	if (old->curframe != cur->curframe)
		return false;
	for (u32 i = 0; i < MAX_BPF_REG; i++)
		if (__builtin_memcmp(&state_regs(old)[i], &state_regs(cur)[i], offsetof(struct reg, precise)))
			return false;
	return true;
}

/* == Precision of a state that was found safe == */

static int propagate_precision(struct verifier *v, const struct state *old, struct state *cur, bool *changed) {
	bool ignored;
	ASSERT(old->curframe == cur->curframe && old->checkpoint);
	if (!v->bpf_capable && !logging2(v)) /* all scalars are precise */
		return 0;
	__builtin_memset(&v->bt, 0, sizeof v->bt);
	for (s32 i = (s32)old->curframe; i >= 0; i--) {
		const struct frame *f = old->frames[i];
		bool first = true;
		for (u32 r = 0; r < BPF_REG_FP; r++) {
			if (f->regs[r].type != SCALAR_VALUE || (v->bpf_capable && !f->regs[r].precise))
				continue;
			if (logging2(v))
				first ? vlog(v, "frame %d: propagating r%d", i, r) : vlog(v, ",r%d", r);
			v->bt.regs[i] |= 1u << r;
			first = false;
		}
		for (u32 n = 0; n < f->slots_n; n++) {
			if (!slot_is_spilled_scalar(&f->slots[n]) || (v->bpf_capable && !f->slots[n].reg.precise))
				continue;
			if (logging2(v))
				first ? vlog(v, "frame %d: propagating fp%d", i, -(s32)(n + 1) * 8)
				      : vlog(v, ",fp%d", -(s32)(n + 1) * 8);
			v->bt.slots[i] |= (u64)1 << n;
			first = false;
		}
		if (!first && logging2(v))
			vlog(v, "\n");
	}
	return mark_precise_batch(v, cur, changed ? changed : &ignored);
}

/* == Widening == */

static struct explored **explored_head(struct verifier *v, u32 insn) {
	return &v->explored[(insn ^ (u32)cur_frame(v)->callsite) % v->n];
}

static void widen_reg(struct verifier *v, const struct reg *old, struct reg *cur) {
	ASSERT(old != cur);
	if (old->type != SCALAR_VALUE || cur->type != SCALAR_VALUE || old->precise || cur->precise || regs_exact(v, old, cur))
		return;
	reg_set_unknown(cur);
}

/* At a loop that the engine ends: scalars that nobody relied on and that differ from the last time round are forgotten,
 * so that the loop comes to a fixed point. The last time round is the newest checkpoint at insn above depth. */
void widen_from_loop(struct verifier *v, u32 insn, u32 depth, struct state *s) {
	const struct explored *e;
	for (e = *explored_head(v, insn); e; e = e->next)
		if (e->state->insn == insn && e->state->branches && e->state->depth < depth && state_same_callsites(e->state, s))
			break;
	if (!e)
		return;
	v->ids_n = 0;
	v->ids_tmp = v->id_gen;
	for (s32 i = (s32)s->curframe; i >= 0; i--) {
		const struct frame *old = e->state->frames[i];
		struct frame *cur = s->frames[i];
		for (u32 r = 0; r < BPF_REG_FP; r++)
			widen_reg(v, &old->regs[r], &cur->regs[r]);
		for (u32 n = 0; n < MIN(old->slots_n, cur->slots_n); n++)
			if (slot_is_spill(&old->slots[n]) && slot_is_spill(&cur->slots[n]))
				widen_reg(v, &old->slots[n].reg, &cur->slots[n].reg);
	}
}

/* == Prune points == */

/* Wipes what is dead from finished states here, which makes them match more. */
static int clean_states(struct verifier *v, struct explored *list) {
	for (struct explored *e = list; e; e = e->next) {
		struct state *s = e->state;
		u64 live[MAX_FRAMES];
		int err;
		if (s->branches || s->cleaned || s->insn != v->at || !state_same_callsites(s, v->cur) || scc_incomplete(v, s))
			continue;
		err = stack_live_query(v, s, live);
		if (err)
			return err;
		s->cleaned = true;
		for (u32 i = 0; i <= s->curframe; i++) {
			struct frame *f = s->frames[i];
			u32 regs = v->aux[state_frame_insn(s, i)].live;
			for (u32 r = 0; r < BPF_REG_FP; r++)
				if (!(regs >> r & 1))
					reg_clear(&f->regs[r]);
			for (u32 n = 0; n < f->slots_n; n++)
				if (!(live[i] >> n & 1))
					__builtin_memset(&f->slots[n], 0, sizeof f->slots[n]);
		}
	}
	return 0;
}

static int refuse_endless(struct verifier *v, const struct state *old) {
	int err;
	log_line(v, v->at, "; ");
	say_insn(v, v->at);
	err = refuse(v, INFINITE_LOOP, -EINVAL, v->at);
	vlog(v, "cur state:");
	log_state(v, v->cur, v->cur->curframe, true);
	vlog(v, "old state:");
	log_state(v, old, v->cur->curframe, true);
	return err;
}

/* Compares with one checkpoint. 1: the path ends here. *loop: the checkpoint is not final. *going_on: it is being
 * explored, so this is a loop. */
static int compare(struct verifier *v, const struct state *old, bool *loop, bool *going_on) {
	const struct state *cur = v->cur;
	u32 flags = v->aux[v->at].flags;
	*loop = *going_on = false;
	if (!old->branches) {
		*loop = scc_incomplete(v, old);
		return states_equal(v, old, cur, *loop || v->recording ? WITHIN : NOT_EXACT);
	}
	*going_on = true;
	if (state_frame(old)->in_async_callback && state_frame(old)->async_entry != cur_frame(v)->async_entry)
		return 0;
	if (kfunc_flags_at(v, v->at) & KFUNC_ITER_NEXT) { /* it will end, so the same again is as good as over */
		*loop = true;
		return states_equal(v, old, cur, WITHIN) && iter_is_active(v);
	}
	if (v->insns[v->at].code == (BPF_JMP | BPF_JCOND)) {
		*loop = true;
		if (old->may_goto_depth != cur->may_goto_depth && states_equal(v, old, cur, WITHIN))
			return 1;
	}
	if (flags & AUX_CALLBACK) {
		*loop = true;
		return states_equal(v, old, cur, WITHIN);
	}
	if (may_be_same(old, cur) && states_equal(v, old, cur, EXACT) && !iter_depths_differ(old, cur) &&
	    old->may_goto_depth == cur->may_goto_depth &&
	    old->callback_unroll_depth == cur->callback_unroll_depth)
		return refuse_endless(v, old);
	return 0;
}

static int path_is_safe(struct verifier *v, struct explored *e, bool loop) {
	int err = 0;
	ASSERT(e->state->insn == v->at && !e->dropped);
	e->hits++;
	if (v->aux[v->at].flags & AUX_HISTORY)
		err = record_step(v, 0, 0);
	if (!err)
		err = propagate_precision(v, e->state, v->cur, NULL);
	if (!err && loop)
		err = scc_add_backedge(v, e->state);
	return err ? err : 1;
}

/* Takes a useless checkpoint out of its list. */
static void drop_explored(struct verifier *v, struct explored **at) {
	struct explored *e = *at;
	ASSERT(!e->dropped && e->state->checkpoint == e);
	*at = e->next;
	e->dropped = true;
	free_dropped(v, e);
}

static int add_checkpoint(struct verifier *v) {
	struct state *cur = v->cur, *s = state_new(&v->pool);
	struct explored *e = pool_alloc(&v->pool, sizeof *e), **head = explored_head(v, v->at);
	struct scc_visit *visit;
	struct step *history;
	u32 room;
	ASSERT(cur->branches == 1 && !cur->checkpoint);
	if (!s || !e)
		return -ENOMEM;
	forget_precision(cur);
	if (!state_copy(&v->pool, s, cur, false))
		return -ENOMEM;
	/* the way so far is the checkpoint's; the current state begins a new one */
	history = s->history;
	room = s->history_room;
	s->history = cur->history;
	s->history_n = cur->history_n;
	s->history_room = cur->history_room;
	cur->history = history;
	cur->history_n = 0;
	cur->history_room = room;
	ASSERT(s->branches == 1);
	s->insn = v->at;
	s->cleaned = false;
	cur->parent = s;
	cur->first_insn = v->at;
	cur->depth = s->depth + 1;
	*e = (struct explored){.next = *head, .state = s};
	*head = e;
	s->checkpoint = e;
	v->total_states++;
	count_states(v, 1);
	v->prev_jumps = v->jumps;
	v->prev_processed = v->processed;
	if (v->aux[v->at].scc || s->curframe) {
		struct scc_visit key;
		u32 scc;
		visit = scc_find(v, s, true);
		if (!visit && v->sccs_n && scc_of(v, s, &key, &scc))
			return -ENOMEM;
		if (visit && !visit->entry) {
			visit->entry = s;
			log_scc(v, "enter", visit);
		}
	}
	return 0;
}

/* 1: this path was seen to be safe; 0: go on; or negative errno. */
int state_visited(struct verifier *v) {
	struct explored **at = explored_head(v, v->at);
	bool force = v->test_state_freq || v->aux[v->at].flags & AUX_CHECKPOINT || v->cur->history_n > 40;
	bool add = force || (v->jumps - v->prev_jumps >= 2 && v->processed - v->prev_processed >= 8);
	u32 count = 0;
	int err = v->recording ? 0 : clean_states(v, *at);
	if (err)
		return err;
	while (*at) {
		struct explored *e = *at;
		bool loop, going_on;
		u32 patience;
		count++;
		if (e->state->insn == v->at) {
			int found = compare(v, e->state, &loop, &going_on);
			if (found < 0)
				return found;
			if (found)
				return path_is_safe(v, e, loop);
			if (going_on && !force && v->jumps - v->prev_jumps < 20 && v->processed - v->prev_processed < 100)
				add = false;
			if (add)
				e->misses++;
			patience = v->aux[v->at].flags & AUX_CHECKPOINT && e->state->branches ? 64 : 3;
			if (e->misses > e->hits * patience + patience) {
				drop_explored(v, at);
				continue;
			}
		}
		at = &e->next;
	}
	v->max_states_per_insn = MAX(v->max_states_per_insn, count);
	if (!v->bpf_capable && count > UNPRIV_STATES)
		return 0;
	return add ? add_checkpoint(v) : 0;
}

/* Everything that belongs to one walk. */
void forget_states(struct verifier *v) {
	if (v->total_states)
		__builtin_memset(v->explored, 0, v->n * sizeof *v->explored);
	for (u32 i = 0; i < v->sccs_n; i++)
		v->sccs[i] = NULL;
	v->pending.n = 0;
	v->backedges_n = 0;
	v->cur = NULL;
}
