/* Iterators: objects on the stack that kernel functions make, step and end.
 *
 *      bpf_iter_num_new(&it, 0, 10);                     slots of `it`: STACK_ITER, active, depth 0; a reference
 *      while ((p = bpf_iter_num_next(&it)))              two ways: drained and NULL; active, one deeper, and not NULL
 *              …
 *      bpf_iter_num_destroy(&it);                        slots of nothing; the reference ends
 *
 * The object takes whole slots. The one at the lowest address holds the reference; each slot's register says which type,
 * and whether it is active or drained. The type flag MEM_RCU says that it walks over what only the RCU section keeps
 * alive, PTR_UNTRUSTED that this section has ended.
 *
 * next() is sure to come to an end: it will return NULL, and NULL for ever after. So a loop over it need not be followed
 * to its end, only until nothing new comes: the call is a checkpoint, and an active iterator that comes by in a state
 * that lies inside an earlier one ends the path (states.c). For this to happen, numbers that nobody has relied on and
 * that differ from the last time round are forgotten. depth counts the rounds, so that between two next() a prune point
 * that is met again is not taken for an endless loop; it is no part of the state otherwise. */
#include "verify/kfunc.h"
#include <string.h>

static const char prefix[] = "bpf_iter_";

static const char *type_text(const struct verifier *v, u32 id) {
	const char *name = btf_name_of(v->in->kernel_btf, id);
	ASSERT(!strncmp(name, prefix, sizeof prefix - 1));
	return name + sizeof prefix - 1;
}

struct reg *iter_of(struct state *s, const struct kfunc_call *call) {
	ASSERT(call->iter_frame <= s->curframe && call->iter_slot < s->frames[call->iter_frame]->slots_n);
	return &s->frames[call->iter_frame]->slots[call->iter_slot].reg;
}

/* The iterator's type by the parameter, and how many slots it takes. */
static int find_type(struct verifier *v, u32 arg, const struct kfunc *f, u32 *id, u32 *slots) {
	const struct btf *btf = v->in->kernel_btf;
	const struct btf_type *t = btf_skip_type(btf, f->params[arg].type);
	ASSERT(btf_kind(t) == BTF_KIND_PTR);
	*id = btf_skip_modifiers(btf, t->type);
	t = btf_type(btf, *id);
	*slots = btf_kind(t) == BTF_KIND_STRUCT ? t->size / 8 : 0;
	if (*slots && *slots <= STACK_SLOTS && !(t->size % 8) && !strncmp(btf_name(btf, t), prefix, sizeof prefix - 1))
		return 0;
	return refuse_text(v, KFUNC_ARG, -EINVAL, "expected valid iter pointer as arg #%d", arg);
}

/* == Making == */

/* Slots from `slot` on towards the frame's top, with no part of an iterator in them. */
static bool is_free(const struct frame *f, s32 slot, u32 n) {
	for (u32 i = 0; i < n; i++)
		for (u32 b = 0; b < 8; b++)
			if (f->slots[slot - (s32)i].kind[b] == STACK_ITER)
				return false;
	return true;
}

static void make_slot(struct verifier *v, struct frame *f, u32 at, u32 type, u32 id, u32 ref) {
	struct slot *slot = &f->slots[at];
	reg_set_pointer(&slot->reg, type);
	slot->reg.iter_btf = v->in->kernel_btf;
	slot->reg.iter_id = id;
	slot->reg.iter_state = ITER_ACTIVE;
	slot->reg.ref = ref;
	memset(slot->kind, STACK_ITER, sizeof slot->kind);
	scratch_slot(v, at);
	stack_mark_write(v, f->frameno, (u64)1 << at);
}

static int make(struct verifier *v, u32 regno, u32 id, u32 n, const struct kfunc *f) {
	const struct reg *r = &cur_regs(v)[regno];
	struct frame *frame = frame_of(v, r);
	s32 slot = stack_object_slot(v, r, "iter", n);
	u32 type = PTR_TO_STACK, ref;
	int err = 0;
	if (slot == -EINVAL || (slot >= 0 && !is_free(frame, slot, n))) {
		say(v, "arg", "%u", regno);
		return refuse(v, ITER_INIT, -EINVAL, type_text(v, id), regno - 1);
	}
	for (u32 i = 0; i < n && !err; i++)
		err = check_mem(v, regno, (s32)i * 8, 8, true, -1, false, false);
	if (err)
		return err;
	ref = acquire_reference(v, v->at);
	if (!ref)
		return -ENOMEM;
	if (f->flags & KFUNC_RCU_PROTECTED)
		type |= in_rcu_section(v) ? MEM_RCU : PTR_UNTRUSTED;
	slot = stack_object_slot(v, r, "iter", n);
	ASSERT(slot >= 0 && (u32)slot < frame->slots_n && (u32)slot + 1 >= n); /* the frame reaches there now */
	for (u32 i = 0; i < n; i++)
		make_slot(v, frame, (u32)slot - i, type, id, i ? 0 : ref);
	return 0;
}

/* == Using == */

/* 0; -EINVAL: no such iterator; -EPROTO: what it walks over may be gone. */
static int check_live(const struct verifier *v, const struct frame *f, u32 slot, u32 n, u32 id) {
	ASSERT(slot < f->slots_n && slot + 1 >= n);
	for (u32 i = 0; i < n; i++) {
		const struct slot *s = &f->slots[slot - i];
		for (u32 b = 0; b < 8; b++)
			if (s->kind[b] != STACK_ITER)
				return -EINVAL;
		if (s->reg.type & PTR_UNTRUSTED)
			return -EPROTO;
		if (!i != !!s->reg.ref || s->reg.iter_btf != v->in->kernel_btf || s->reg.iter_id != id)
			return -EINVAL;
	}
	return 0;
}

static int destroy(struct verifier *v, struct frame *f, u32 slot, u32 n) {
	int err = release_reference(v, f->slots[slot].reg.ref);
	ASSERT(!err);
	for (u32 i = 0; i < n; i++) {
		memset(&f->slots[slot - i], 0, sizeof f->slots[slot - i]);
		scratch_slot(v, slot - i);
		stack_mark_write(v, f->frameno, (u64)1 << (slot - i));
	}
	return err;
}

static int use(struct verifier *v, u32 regno, u32 id, u32 n, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[regno];
	struct frame *frame = frame_of(v, r);
	s32 at = stack_object_slot(v, r, "iter", n);
	u32 slot = (u32)at;
	u64 slots;
	int err = at < 0 ? -EINVAL : check_live(v, frame, slot, n, id);
	say(v, "arg", "%u", regno);
	say(v, "name", "%s", call->f->name);
	if (err == -EPROTO)
		return refuse(v, ITER_RCU, err, call->f->name);
	if (err)
		return refuse(v, ITER_UNINIT, -EINVAL, type_text(v, id), regno - 1);
	v->values_n = 0;
	slots = (n == 64 ? ~(u64)0 : ((u64)1 << n) - 1) << (slot + 1 - n);
	err = stack_mark_read(v, frame->frameno, slots);
	v->log.scratched_slots |= slots;
	call->iter_frame = frame->frameno;
	call->iter_slot = slot;
	call->ref = frame->slots[slot].reg.ref;
	return !err && call->f->flags & KFUNC_ITER_DESTROY ? destroy(v, frame, slot, n) : err;
}

/* Iterators of a control group's tasks take a lock that others may hold. */
static int check_css_task(struct verifier *v) {
	if (v->in->prog_type == BPF_PROG_TYPE_LSM || v->cur->in_sleepable ||
	    (v->in->prog_type == BPF_PROG_TYPE_TRACING && v->in->expected_attach_type == BPF_TRACE_ITER))
		return 0;
	say(v, "name", "bpf_iter_css_task_new");
	say(v, "prog", "%s", v->type->name);
	return refuse_text(v, KFUNC_NOT_ALLOWED, -EINVAL,
	                   "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs");
}

int check_iter_arg(struct verifier *v, u32 regno, struct kfunc_call *call) {
	u32 id, n;
	int err = call->f->special == KF_CSS_TASK_NEW ? check_css_task(v) : 0;
	if (err)
		return err;
	if (cur_regs(v)[regno].type != PTR_TO_STACK) {
		say_reg(v, regno);
		say(v, "arg", "%u", regno);
		say(v, "name", "%s", call->f->name);
		say(v, "why", "an iterator lies on the stack");
		return refuse_text(v, KFUNC_ARG, -EINVAL, "arg#%d expected pointer to an iterator on stack", regno - 1);
	}
	err = find_type(v, regno - 1, call->f, &id, &n);
	if (err)
		return err;
	return call->f->flags & KFUNC_ITER_NEW ? make(v, regno, id, n, call->f) : use(v, regno, id, n, call);
}

/* == Stepping == */

/* The result is in r0. Going on is looked at later, one round deeper; here the iterator has come to its end. */
int step_iter_next(struct verifier *v, const struct kfunc_call *call) {
	struct reg *it = iter_of(v->cur, call);
	struct state *on;
	int err;
	if (it->iter_state == ITER_ACTIVE) {
		ASSERT(v->cur->parent && v->cur->parent->insn == v->at); /* the call is a checkpoint */
		err = push_pending(v, v->at + 1, (s32)v->at, &on);
		if (err)
			return err;
		iter_of(on, call)->iter_depth++;
		widen_from_loop(v, v->at, v->cur->parent->depth, on);
		mark_known_not_null(v, &state_regs(on)[BPF_REG_0]);
	}
	ASSERT(it->iter_state == ITER_ACTIVE || it->iter_state == ITER_DRAINED);
	it->iter_state = ITER_DRAINED;
	reg_set_const(&cur_regs(v)[BPF_REG_0], 0);
	return 0;
}

/* == In states == */

/* Is the iterator that the call at hand will step, in r1, active? The state was found to lie inside one that passed. */
bool iter_is_active(const struct verifier *v) {
	const struct reg *r = &cur_regs(v)[BPF_REG_1];
	s64 off = (s64)r->s.var.value + r->off;
	const struct frame *f;
	u32 slot;
	if (r->type != PTR_TO_STACK || !scalar_is_const(&r->s) || off >= 0 || off % 8)
		return false;
	f = frame_of(v, r);
	slot = (u32)(-off / 8 - 1);
	return slot < f->slots_n && f->slots[slot].kind[7] == STACK_ITER && f->slots[slot].reg.iter_state == ITER_ACTIVE;
}

/* The same iterator, at the same end of its life. Rounds do not count. */
bool iter_slots_equal(const struct reg *old, const struct reg *cur) {
	return old->type == cur->type && old->iter_btf == cur->iter_btf && old->iter_id == cur->iter_id &&
	       old->iter_state == cur->iter_state;
}

/* Has some active iterator gone round since? */
bool iter_depths_differ(const struct state *old, const struct state *cur) {
	for (u32 f = 0; f <= old->curframe; f++) {
		const struct frame *a = old->frames[f], *b = cur->frames[f];
		for (u32 i = 0; i < a->slots_n; i++) {
			const struct slot *slot = &a->slots[i];
			if (slot->kind[0] != STACK_ITER || slot->reg.iter_state != ITER_ACTIVE)
				continue;
			if (i >= b->slots_n || b->slots[i].reg.iter_depth != slot->reg.iter_depth)
				return true;
		}
	}
	return false;
}

/* " fp-8=iter_num(…)"; the other slots of an iterator say nothing. */
void log_iter(struct verifier *v, const struct reg *r, s32 off) {
	if (r->ref)
		vlog(v, " fp%d=iter_%s(ref_id=%d,state=%s,depth=%u)", off, type_text(v, r->iter_id), r->ref,
		     r->iter_state == ITER_ACTIVE ? "active" : "drained", r->iter_depth);
}
