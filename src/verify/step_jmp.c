/* Conditional jumps: which way can go on, and what each way knows.
 *
 *                    state before
 *                 ┌──────┴───────┐
 *      falls through          jumps (pushed, looked at later)
 *      not (dst op src)       dst op src
 *
 * 1. If the values decide the comparison only one way exists, and that was a use of their exact values (precision).
 * 2. Else both ways learn: ranges of both operands; all registers linked with them by id; pointers that were tested
 *    against NULL, by id; packet pointers compared with the end, by id.
 *
 * Two registers with one id are known to differ by a constant at all times, so what bounds one bounds the other. Ids of
 * packet pointers stand for the variable part of the offset: all pointers with it share the proven range.
 *
 * may_goto is a jump that the engine takes when its budget is spent: both ways exist always. */
#include "isa/valid.h"
#include "verify/env.h"

/* Registers and slots that share an id with an operand, at most as many as a step can record. */
enum { LINKED_MAX = 6 };
struct linked {
	u32 n;
	struct {
		u8 frame, place;
		bool is_reg;
	} at[LINKED_MAX];
};

static void linked_add(struct linked *l, struct reg *r, u32 id, u32 frame, u32 place, bool is_reg) {
	if (r->type != SCALAR_VALUE || (r->id & ~ID_ADD_CONST) != id)
		return;
	if (l->n == LINKED_MAX) { /* too many: this one is on its own from now on */
		r->id = 0;
		r->off = 0;
		return;
	}
	l->at[l->n].frame = (u8)frame;
	l->at[l->n].place = (u8)place;
	l->at[l->n++].is_reg = is_reg;
}

/* Dead registers learn nothing: nobody will ask, and there is room for six. */
static void linked_collect(struct verifier *v, u32 id, struct linked *l) {
	struct state *s = v->cur;
	id &= ~ID_ADD_CONST;
	for (s32 i = (s32)s->curframe; i >= 0; i--) {
		struct frame *f = s->frames[i];
		u32 live = v->aux[i == s->curframe ? v->at : state_frame_insn(s, (u32)i)].live;
		for (u32 j = 0; j < BPF_REG_FP; j++)
			if (live >> j & 1)
				linked_add(l, &f->regs[j], id, (u32)i, j, true);
		for (u32 j = 0; j < f->slots_n; j++)
			if (slot_is_spill(&f->slots[j]))
				linked_add(l, &f->slots[j].reg, id, (u32)i, j, false);
	}
}

/* As a step records it: 10 bits each, the number of them in the lowest four. backtrack.c reads it. */
static u64 linked_pack(const struct linked *l) {
	u64 packed = 0;
	for (u32 i = 0; i < l->n; i++)
		packed = packed << 10 | (u64)l->at[i].is_reg << 9 | (u64)l->at[i].place << 3 | l->at[i].frame;
	return packed << 4 | l->n;
}

/* What is known of `known` now holds for all that are linked with it, at their distance. */
static void linked_sync(struct state *s, const struct reg *known, const struct linked *l) {
	ASSERT(l->n <= LINKED_MAX && known->type == SCALAR_VALUE);
	for (u32 i = 0; i < l->n; i++) {
		struct frame *f = s->frames[l->at[i].frame];
		struct reg *r = l->at[i].is_reg ? &f->regs[l->at[i].place] : &f->slots[l->at[i].place].reg;
		struct scalar distance;
		struct reg was = *r;
		if (r->type != SCALAR_VALUE || r == known || (r->id & ~ID_ADD_CONST) != (known->id & ~ID_ADD_CONST))
			continue;
		if (((r->id ^ known->id) & ID_ADD_CONST) == ID_ADD_CONST)
			continue; /* distances of different widths do not add up */
		*r = *known;
		if ((!(was.id & ID_ADD_CONST) && !(known->id & ID_ADD_CONST)) || was.off == known->off)
			continue;
		distance = scalar_const((u64)((s64)was.off - known->off));
		r->id = was.id;
		r->off = was.off;
		range32_add(&r->s.r32, &distance.r32);
		range64_add(&r->s.r, &distance.r);
		r->s.var = tnum_add(r->s.var, distance.var);
		if ((r->id | known->id) & ID_ADD_CONST32)
			scalar_zext32(&r->s);
		else
			scalar_sync(&r->s);
	}
}

/* == Packet pointers against the end == */

/* Is it `pkt op end` (flip false) or `end op pkt` (flip true)? The beginning of the packet is the end of its metadata. */
static bool is_start(const struct reg *r) {
	return r->type == PTR_TO_PACKET && !r->id && !r->off && scalar_equals(&r->s, 0);
}
static bool packet_and_end(const struct reg *pkt, const struct reg *end) {
	return (pkt->type == PTR_TO_PACKET && end->type == PTR_TO_PACKET_END) ||
	       (pkt->type == PTR_TO_PACKET_META && is_start(end));
}

/* Everything with the same id is proven up to the fixed offset of pkt; one more when it is strictly below the end. */
static void packet_learn(struct state *s, const struct reg *pkt, bool strict) {
	s32 range = pkt->off + strict + HOLE(PACKET_RANGE_PLUS_ONE);
	u32 type = pkt->type, id = pkt->id;
	ASSERT(reg_is_packet(pkt));
	if (pkt->off < 0 || (pkt->off == 0 && strict))
		return;
	if (pkt->s.r.umax > MAX_PACKET_OFF || pkt->s.r.umax + (u64)pkt->off > MAX_PACKET_OFF)
		return; /* data + huge may wrap around */
	for (struct reg_walk w = {.state = s}; reg_next(&w);)
		if (w.reg->type == type && w.reg->id == id)
			w.reg->range = MAX(w.reg->range, range);
}

static void packet_outside(struct state *s, u32 regno, bool beyond) {
	struct reg *r = &state_regs(s)[regno];
	if (r->type == PTR_TO_PACKET)
		r->range = beyond ? BEYOND_PKT_END : AT_PKT_END;
}

static bool packet_branches(struct verifier *v, const struct bpf_insn *insn, struct state *falls, struct state *jumps) {
	const struct reg *regs = state_regs(falls), *d = &regs[insn->dst_reg], *s = &regs[insn->src_reg];
	bool flip = false, strict, beyond, inside_jumps;
	u8 op = BPF_OP(insn->code);
	struct reg pkt;
	u32 regno;
	if (BPF_SRC(insn->code) != BPF_X || BPF_CLASS(insn->code) == BPF_JMP32)
		return false;
	if (op != BPF_JGT && op != BPF_JGE && op != BPF_JLT && op != BPF_JLE)
		return false;
	if (!packet_and_end(d, s)) {
		if (!packet_and_end(s, d))
			return false;
		flip = true;
		op = branch_flip(op);
	}
	regno = flip ? insn->src_reg : insn->dst_reg;
	pkt = regs[regno];
	inside_jumps = op == BPF_JLT || op == BPF_JLE;
	strict = op == BPF_JLT || op == BPF_JGE;
	beyond = op == BPF_JGT || op == BPF_JLE;
	packet_learn(inside_jumps ? jumps : falls, &pkt, strict);
	packet_outside(inside_jumps ? falls : jumps, regno, beyond);
	return true;
}

static int packet_taken(const struct reg *d, const struct reg *s, u8 op) {
	const struct reg *pkt = d;
	if (d->type == PTR_TO_PACKET_END) {
		pkt = s;
		op = branch_flip(op);
	} else if (s->type != PTR_TO_PACKET_END) {
		return -1;
	}
	if (pkt->range >= 0)
		return -1;
	switch (op) {
	case BPF_JLE:
	case BPF_JGT:
		return pkt->range == BEYOND_PKT_END ? op == BPF_JGT : -1;
	case BPF_JLT:
	case BPF_JGE:
		return op == BPF_JGE;
	}
	return -1;
}

/* == NULL == */

/* The pointer is not NULL: its type says so from now on. */
void mark_known_not_null(struct verifier *v, struct reg *r) {
	const struct map_ref *map = r->map;
	if (base_type(r->type) != PTR_TO_MAP_VALUE) {
		r->type &= ~(u32)PTR_MAYBE_NULL;
		return;
	}
	if (map->inner) {
		u32 id = r->id;
		r->type = CONST_PTR_TO_MAP;
		r->map = map->inner;
		r->map_uid = id;
	} else if (map->facts->type == BPF_MAP_TYPE_XSKMAP) {
		r->type = PTR_TO_XDP_SOCK;
	} else if (map->facts->type == BPF_MAP_TYPE_SOCKMAP || map->facts->type == BPF_MAP_TYPE_SOCKHASH) {
		r->type = PTR_TO_SOCKET;
	} else {
		r->type = PTR_TO_MAP_VALUE;
	}
}

static void decide_null(struct verifier *v, struct reg *r, u32 id, bool is_null) {
	bool lock;
	if (!(r->type & PTR_MAYBE_NULL) || r->id != id)
		return;
	ASSERT(scalar_equals(&r->s, 0));
	if (is_null) {
		reg_set_const(r, 0);
		return;
	}
	lock = may_hold_lock(v, r);
	mark_known_not_null(v, r);
	if (!lock) /* the id tells which value a lock belongs to */
		r->id = 0;
}

static void decide_nulls(struct verifier *v, struct state *s, u32 regno, bool is_null) {
	struct reg r = state_regs(s)[regno];
	ASSERT(r.type & PTR_MAYBE_NULL && r.id);
	if (r.ref && r.ref == r.id && is_null) /* nothing was acquired */
		state_drop_ref(s, r.id);
	for (struct reg_walk w = {.state = s}; reg_next(&w);)
		decide_null(v, w.reg, r.id, is_null);
}

/* Two pointers are equal and one is not NULL. */
static void equal_pointers(struct verifier *v, const struct bpf_insn *insn, struct state *falls, struct state *jumps) {
	struct reg *d = &state_regs(falls)[insn->dst_reg], *s = &state_regs(falls)[insn->src_reg], *equal;
	bool d_valid = reg_not_null(d), s_valid = reg_not_null(s);
	u8 op = BPF_OP(insn->code);
	if (BPF_CLASS(insn->code) == BPF_JMP32 || BPF_SRC(insn->code) != BPF_X || (op != BPF_JEQ && op != BPF_JNE))
		return;
	if (d->type == SCALAR_VALUE || s->type == SCALAR_VALUE || base_type(d->type) == PTR_TO_BTF_ID ||
	    base_type(s->type) == PTR_TO_BTF_ID)
		return;
	equal = state_regs(op == BPF_JEQ ? jumps : falls);
	if (d_valid && s->type & PTR_MAYBE_NULL)
		mark_known_not_null(v, &equal[insn->src_reg]);
	if (s_valid && d->type & PTR_MAYBE_NULL)
		mark_known_not_null(v, &equal[insn->dst_reg]);
}

/* == The jump == */

static int branch_taken(const struct reg *d, const struct reg *s, u8 op, bool is32) {
	if (reg_is_packet_or_end(d) && reg_is_packet_or_end(s) && !is32)
		return packet_taken(d, s, op);
	if (d->type != SCALAR_VALUE || s->type != SCALAR_VALUE) {
		const struct reg *ptr = d, *num = s;
		if (is32)
			return -1;
		if (!reg_is_const(num)) {
			ptr = s;
			num = d;
		}
		if (!reg_is_zero(num) || !reg_not_null(ptr) || ptr->s.r.smin <= -MAX_VAR_OFF || ptr->s.r.smax >= MAX_VAR_OFF)
			return -1;
		return op == BPF_JEQ ? 0 : op == BPF_JNE ? 1 : -1;
	}
	return scalar_branch_taken(&d->s, &s->s, op, is32);
}

static void learn(struct verifier *v, struct reg *td, struct reg *ts, struct reg *fd, struct reg *fs, u8 op, bool is32) {
	bool as32 = is32 && !HOLE(BRANCH32_AS_64);
	if (fd->type != SCALAR_VALUE || fs->type != SCALAR_VALUE)
		return;
	if (HOLE(BRANCH_SWAPPED))
		op = branch_reverse(op);
	scalar_learn(&fd->s, &fs->s, branch_reverse(op), as32);
	scalar_learn(&td->s, &ts->s, op, as32);
	scalar_sync(&fd->s);
	scalar_sync(&fs->s);
	scalar_sync(&td->s);
	scalar_sync(&ts->s);
	check_sane_number(v, td, "true_reg1");
	check_sane_number(v, ts, "true_reg2");
	check_sane_number(v, fd, "false_reg1");
	check_sane_number(v, fs, "false_reg2");
}

/* The way that both operands' values decide. */
static int one_way(struct verifier *v, const struct bpf_insn *insn, const struct reg *d, const struct reg *s, bool jumps) {
	int err = 0;
	ASSERT(d->type != NOT_INIT && s->type != NOT_INIT);
	if (d->type == SCALAR_VALUE)
		err = mark_precise(v, insn->dst_reg);
	if (!err && BPF_SRC(insn->code) == BPF_X && s->type == SCALAR_VALUE)
		err = mark_precise(v, insn->src_reg);
	if (err)
		return err;
	err = speculate_branch(v, insn, jumps ? v->at + 1 : v->at + 1 + (u32)insn->off);
	if (err)
		return err;
	note_taken(v, jumps ? 2 : 1);
	if (logging(v))
		log_insn_state(v);
	v->at += jumps ? (u32)insn->off + 1 : 1;
	return 0;
}

static int both_ways(struct verifier *v, const struct bpf_insn *insn, struct reg *d, struct reg *s) {
	struct state *falls = v->cur, *jumps;
	bool is32 = BPF_CLASS(insn->code) == BPF_JMP32, reg_form = BPF_SRC(insn->code) == BPF_X;
	struct linked linked = {.n = 0};
	u8 op = BPF_OP(insn->code);
	struct reg *jregs;
	int err;
	if (reg_form && s->type == SCALAR_VALUE && s->id)
		linked_collect(v, s->id, &linked);
	if (d->type == SCALAR_VALUE && d->id)
		linked_collect(v, d->id, &linked);
	if (linked.n > 1) {
		err = record_step(v, 0, linked_pack(&linked));
		if (err)
			return err;
	}
	err = push_pending(v, v->at + 1 + (u32)insn->off, (s32)v->at, &jumps);
	if (err)
		return err;
	note_taken(v, 3);
	jregs = state_regs(jumps);
	if (reg_form) {
		learn(v, &jregs[insn->dst_reg], &jregs[insn->src_reg], d, s, op, is32);
	} else {
		v->fake[1] = v->fake[0];
		learn(v, &jregs[insn->dst_reg], &v->fake[0], d, &v->fake[1], op, is32);
	}
	if (reg_form && s->type == SCALAR_VALUE && s->id) {
		linked_sync(falls, s, &linked);
		linked_sync(jumps, &jregs[insn->src_reg], &linked);
	}
	if (d->type == SCALAR_VALUE && d->id) {
		linked_sync(falls, d, &linked);
		linked_sync(jumps, &jregs[insn->dst_reg], &linked);
	}
	equal_pointers(v, insn, falls, jumps);
	if (!is32 && !reg_form && !insn->imm && (op == BPF_JEQ || op == BPF_JNE) && d->type & PTR_MAYBE_NULL) {
		decide_nulls(v, falls, insn->dst_reg, op == BPF_JNE);
		decide_nulls(v, jumps, insn->dst_reg, op == BPF_JEQ);
	} else if (!packet_branches(v, insn, falls, jumps) && is_secret(v, d)) {
		say_reg(v, insn->dst_reg);
		return refuse(v, POINTER_COMPARISON, -EACCES, insn->dst_reg);
	}
	if (logging(v))
		log_insn_state(v);
	v->at++;
	return 0;
}

/* The loop ends when the budget says so: going on is looked at later, one deeper. */
static int step_may_goto(struct verifier *v, const struct bpf_insn *insn) {
	struct state *on;
	int err = push_pending(v, v->at + 1, (s32)v->at, &on);
	if (err)
		return err;
	on->may_goto_depth++;
	if (v->cur->parent)
		widen_from_loop(v, v->at, v->cur->parent->depth, on);
	note_taken(v, 3);
	v->at += (u32)insn->off + 1;
	return 0;
}

int step_jmp(struct verifier *v, const struct bpf_insn *insn) {
	struct reg *regs = cur_regs(v), *d = &regs[insn->dst_reg], *s = &v->fake[0];
	char message[VALID_MESSAGE];
	u8 op = BPF_OP(insn->code);
	u32 flags = 0;
	int err, taken;
	if (op == BPF_JCOND)
		return step_may_goto(v, insn);
	err = check_reg_read(v, insn->dst_reg);
	if (err)
		return err;
	if (!(v->aux[v->at].flags & AUX_SEEN) && insn_valid(VALID_AFTER_DST, v->insns, v->at, v->n, message))
		return refuse_insn(v, message);
	if (BPF_SRC(insn->code) == BPF_X) {
		err = check_reg_read(v, insn->src_reg);
		if (err)
			return err;
		s = &regs[insn->src_reg];
		if (is_secret(v, s) && !(reg_is_packet_or_end(d) && reg_is_packet_or_end(s))) {
			say_reg(v, insn->src_reg);
			return refuse(v, POINTER_COMPARISON, -EACCES, insn->src_reg);
		}
		flags |= s->type == PTR_TO_STACK ? STEP_SRC_POINTER : 0;
	} else {
		reg_set_const(s, (u64)(s64)insn->imm);
	}
	flags |= d->type == PTR_TO_STACK ? STEP_DST_POINTER : 0;
	if (flags) {
		err = record_step(v, flags, 0);
		if (err)
			return err;
	}
	taken = branch_taken(d, s, op, BPF_CLASS(insn->code) == BPF_JMP32);
	return taken >= 0 ? one_way(v, insn, d, s, taken) : both_ways(v, insn, d, s);
}
