/* Interrupts: disabled and enabled again by kernel functions that keep what was in a word on the stack.
 *
 *      unsigned long a, b;
 *      bpf_local_irq_save(&a);            slot of a: STACK_IRQ, its reference 1; the state's active_irq is 1
 *      bpf_local_irq_save(&b);            slot of b: STACK_IRQ, its reference 2; active_irq is 2
 *      bpf_local_irq_restore(&b);         the last one first: active_irq is 1 again
 *      bpf_local_irq_restore(&a);
 *
 * A slot holds one such word, whole, and says which functions made it: those of its own kind must take it back. If it is
 * overwritten, nobody can, and the program cannot end. While active_irq is not 0 nothing may sleep (section.c). */
#include "verify/kfunc.h"

static s32 slot_of(struct verifier *v, const struct reg *r) {
	return stack_object_slot(v, r, "irq_flag", 1);
}

static bool is_flag(const struct slot *slot) {
	for (u32 b = 0; b < 8; b++)
		if (slot->kind[b] != STACK_IRQ)
			return false;
	return slot->reg.ref;
}

static bool has_flag(const struct slot *slot) {
	for (u32 b = 0; b < 8; b++)
		if (slot->kind[b] == STACK_IRQ)
			return true;
	return false;
}

/* == Saving == */

static int save(struct verifier *v, u32 regno, bool by_lock) {
	struct reg *r = &cur_regs(v)[regno];
	struct frame *f = frame_of(v, r);
	s32 at = slot_of(v, r);
	u32 id = ++v->id_gen;
	struct slot *slot;
	int err;
	say(v, "arg", "%u", regno);
	if (at == -EINVAL || (at >= 0 && has_flag(&f->slots[at])))
		return refuse(v, IRQ_FLAG_INIT, -EINVAL, regno - 1);
	v->values_n = 0;
	err = check_mem(v, regno, 0, 8, true, -1, false, false);
	if (err)
		return err;
	if (!state_add_ref(&v->pool, v->cur, (struct ref){.kind = REF_IRQ, .id = id, .insn = v->at}))
		return -ENOMEM;
	v->cur->active_irq = id;
	at = slot_of(v, r);
	ASSERT(at >= 0 && (u32)at < f->slots_n); /* the frame reaches there now */
	slot = &f->slots[at];
	reg_set_pointer(&slot->reg, PTR_TO_STACK);
	slot->reg.ref = id;
	slot->reg.irq_by_lock = by_lock;
	__builtin_memset(slot->kind, STACK_IRQ, sizeof slot->kind);
	scratch_slot(v, (u32)at);
	stack_mark_write(v, f->frameno, (u64)1 << at);
	return 0;
}

/* == Restoring == */

static int refuse_order(struct verifier *v) {
	u32 insn = 0;
	for (u32 i = 0; i < v->cur->refs_n; i++)
		if (v->cur->refs[i].id == v->cur->active_irq)
			insn = v->cur->refs[i].insn;
	say_insn(v, insn);
	return refuse(v, IRQ_ORDER, -EACCES, v->cur->active_irq, insn);
}

/* The state before the newest one of which the flag speaks is the active one again. */
static void release(struct state *s, u32 id) {
	u32 before = 0, i = 0;
	ASSERT(id == s->active_irq);
	for (; s->refs[i].kind != REF_IRQ || s->refs[i].id != id; i++) {
		ASSERT(i < s->refs_n);
		if (s->refs[i].kind == REF_IRQ)
			before = s->refs[i].id;
	}
	state_remove_ref(s, i);
	s->active_irq = before;
}

static int restore(struct verifier *v, u32 regno, bool by_lock) {
	const struct reg *r = &cur_regs(v)[regno];
	struct frame *f = frame_of(v, r);
	s32 at = slot_of(v, r);
	struct slot *slot = at >= 0 ? &f->slots[at] : NULL;
	int err;
	say(v, "arg", "%u", regno);
	if (!slot || !is_flag(slot))
		return refuse(v, IRQ_FLAG_UNINIT, -EINVAL, regno - 1);
	v->values_n = 0;
	scratch_slot(v, (u32)at);
	err = stack_mark_read(v, f->frameno, (u64)1 << at);
	if (err)
		return err;
	if (slot->reg.irq_by_lock != by_lock)
		return refuse(v, IRQ_CLASS, -EINVAL, slot->reg.irq_by_lock ? "lock" : "native", by_lock ? "lock" : "native");
	if (slot->reg.ref != v->cur->active_irq)
		return refuse_order(v);
	release(v->cur, slot->reg.ref);
	__builtin_memset(slot, 0, sizeof *slot);
	stack_mark_write(v, f->frameno, (u64)1 << at);
	return 0;
}

int check_irq_arg(struct verifier *v, u32 regno, const struct kfunc_call *call) {
	bool by_lock = call->f->special == KF_RES_LOCK_IRQ || call->f->special == KF_RES_UNLOCK_IRQ;
	if (cur_regs(v)[regno].type != PTR_TO_STACK) {
		say_reg(v, regno);
		say(v, "arg", "%u", regno);
		say(v, "name", "%s", call->f->name);
		say(v, "why", "what was before is kept on the stack");
		return refuse_text(v, KFUNC_ARG, -EINVAL, "arg#%d doesn't point to an irq flag on stack", regno - 1);
	}
	switch (call->f->special) {
	case KF_IRQ_SAVE:
	case KF_RES_LOCK_IRQ:
		return save(v, regno, by_lock);
	case KF_IRQ_RESTORE:
	case KF_RES_UNLOCK_IRQ:
		return restore(v, regno, by_lock);
	default:
		return refuse_not_yet(v, call->f->name);
	}
}
