/* Sections that kernel functions open and close: RCU, and code that is not preempted or not interrupted.
 *
 *   bpf_rcu_read_lock … unlock          one at a time; pointers that only the section keeps alive are untrusted after it
 *   bpf_preempt_disable … enable        counted
 *   bpf_local_irq_save … restore        nested; each word restores what it saved (irq.c)
 *
 * In none may anything sleep, and a program that ends, or leaves by a tail call, must have closed all. A program that
 * cannot sleep, or that holds a lock, counts as being inside RCU all the time. */
#include "verify/kfunc.h"

/* No longer kept alive by the section. Iterators in spite of themselves: what they walk over may go as well. */
static void forget_rcu(struct verifier *v) {
	struct state *s = v->cur;
	for (struct reg_walk w = {.state = s}; reg_next(&w);)
		if (w.reg->type & MEM_RCU)
			w.reg->type = (w.reg->type & ~(u32)(MEM_RCU | PTR_MAYBE_NULL)) | PTR_UNTRUSTED;
	for (u32 f = 0; f <= s->curframe; f++)
		for (u32 i = 0; i < s->frames[f]->slots_n; i++) {
			struct slot *slot = &s->frames[f]->slots[i];
			if (slot->kind[7] == STACK_ITER && slot->reg.type & MEM_RCU)
				slot->reg.type = (slot->reg.type & ~(u32)MEM_RCU) | PTR_UNTRUSTED;
		}
}

static int step_rcu(struct verifier *v, const struct kfunc *f) {
	bool lock = f->special == KF_RCU_READ_LOCK, unlock = f->special == KF_RCU_READ_UNLOCK;
	struct state *s = v->cur;
	ASSERT(s->active_rcu <= 1);
	if (s->active_rcu && (lock || unlock) && in_tree_callback(v))
		return refuse_text(v, RCU_NESTED, -EACCES,
		                   "Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback");
	if (s->active_rcu && lock)
		return refuse(v, RCU_NESTED, -EINVAL, f->name);
	if (!s->active_rcu && unlock)
		return refuse(v, RCU_UNMATCHED, -EINVAL, f->name);
	if (s->active_rcu && f->flags & KFUNC_SLEEPABLE)
		return refuse_text(v, SLEEP_RCU, -EACCES, "kernel func %s is sleepable within rcu_read_lock region", f->name);
	if (unlock)
		forget_rcu(v);
	s->active_rcu += lock;
	s->active_rcu -= unlock;
	return 0;
}

static int step_preempt(struct verifier *v, const struct kfunc *f) {
	struct state *s = v->cur;
	if (f->special == KF_PREEMPT_ENABLE && !s->active_preempt)
		return refuse(v, PREEMPT_UNMATCHED, -EINVAL, f->name);
	if (s->active_preempt && f->flags & KFUNC_SLEEPABLE)
		return refuse_text(v, SLEEP_PREEMPT, -EACCES, "kernel func %s is sleepable within non-preemptible region", f->name);
	s->active_preempt += f->special == KF_PREEMPT_DISABLE;
	s->active_preempt -= f->special == KF_PREEMPT_ENABLE;
	return 0;
}

static int check_irq(struct verifier *v, const struct kfunc *f) {
	if (!v->cur->active_irq || !(f->flags & KFUNC_SLEEPABLE))
		return 0;
	return refuse_text(v, SLEEP_IRQ, -EACCES, "kernel func %s is sleepable within IRQ-disabled region", f->name);
}

/* What the call does to sections, and what they forbid. */
int step_section(struct verifier *v, const struct kfunc *f) {
	int err;
	say(v, "name", "%s", f->name);
	err = step_rcu(v, f);
	if (!err)
		err = step_preempt(v, f);
	if (!err)
		err = check_irq(v, f);
	if (!err && f->flags & KFUNC_RCU_PROTECTED && !in_rcu_section(v))
		err = refuse(v, RCU_NEEDED, -EACCES, f->name);
	if (!err)
		v->values_n = 0;
	return err;
}

/* A helper that may sleep. */
int check_helper_section(struct verifier *v, const char *name, u32 id) {
	const struct state *s = v->cur;
	if (likely(!s->active_rcu && !s->active_preempt && !s->active_irq))
		return 0;
	say(v, "name", "%s", name);
	if (s->active_rcu)
		return refuse(v, SLEEP_RCU, -EINVAL, name, id);
	if (s->active_preempt)
		return refuse(v, SLEEP_PREEMPT, -EINVAL, name, id);
	return refuse(v, SLEEP_IRQ, -EINVAL, name, id);
}

/* At what does not come back. */
int check_sections_closed(struct verifier *v, const char *what) {
	const struct state *s = v->cur;
	if (likely(!s->active_rcu && !s->active_preempt && !s->active_irq))
		return 0;
	say(v, "name", "%s", what);
	if (s->active_irq)
		return refuse(v, IRQ_OPEN, -EINVAL, what);
	if (s->active_rcu)
		return refuse(v, RCU_OPEN, -EINVAL, what);
	return refuse(v, PREEMPT_OPEN, -EINVAL, what);
}
