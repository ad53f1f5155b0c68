/* Locks in the values of maps and in objects that the program allocates.
 *
 *   bpf_spin_lock       one at a time, and nothing but its unlocking may be called meanwhile
 *   bpf_res_spin_lock   several, unlocked in reverse order; locking may fail, so the walk goes on both ways: with the lock
 *                       and 0, without it and an error. …_irqsave disables interrupts, too (irq.c)
 *
 *      refs   { REF_RES_LOCK, place: map, id of the value }, …        the last lock among them is the one to be unlocked
 *
 * Which lock it is say the map (for an object, the types it is of) and the id of the pointer to it: two lookups may find
 * two values, so their ids differ, and are kept when NULL has been ruled out. The value of a map of one value (a section)
 * has the id 0. With a lock goes what was borrowed under it (object.c). */
#include "verify/kfunc.h"

enum { MAX_ERRNO = 4095 };

static const char *const names[] = {
    [REF_LOCK] = "bpf_spin", [REF_RES_LOCK] = "bpf_res_spin", [REF_RES_LOCK_IRQ] = "bpf_res_spin"};

static bool is_lock(const struct ref *ref) {
	return ref->kind == REF_LOCK || ref->kind == REF_RES_LOCK || ref->kind == REF_RES_LOCK_IRQ;
}

static bool is_same_place(const struct ref *a, const struct ref *b) {
	return a->place == b->place && a->id == b->id && a->map_uid == b->map_uid;
}

/* The lock of what the register points to, a value or an object. */
static struct ref lock_of(const struct verifier *v, const struct reg *r, u32 kind) {
	bool value = base_type(r->type) == PTR_TO_MAP_VALUE;
	return (struct ref){.kind = kind, .id = r->id, .insn = v->at, .map_uid = value ? r->map_uid : 0,
	                    .place = value ? (const void *)r->map->facts : (const void *)r->btf};
}

static int find_place(struct verifier *v, u32 regno, u32 kind, struct ref *lock) {
	const struct reg *r = &cur_regs(v)[regno];
	const struct map_facts *map = r->type == PTR_TO_MAP_VALUE ? r->map->facts : NULL;
	const struct btf_fields *fields = fields_of(v, r);
	const char *name = names[kind];
	char field[32];
	s64 at = (s64)r->s.var.value + r->off;
	s32 want;
	ASSERT(fields);
	snprintf(field, sizeof field, "%s_lock", name);
	want = btf_field_off(fields, field);
	say_reg(v, regno);
	say(v, "name", "%.16s", map ? map->name : "kptr");
	if (!scalar_is_const(&r->s))
		return refuse_text(v, LOCK_OFFSET, -EINVAL,
		                   "R%d doesn't have constant offset. %s_lock has to be at the constant offset", regno, name);
	if (map && !map->btf)
		return refuse_text(v, LOCK_NO_BTF, -EINVAL, "map '%s' has to have BTF in order to use %s_lock", map->name, name);
	if (want < 0)
		return refuse_text(v, LOCK_NONE, -EINVAL, "%s '%.16s' has no valid %s_lock", map ? "map" : "local",
		                   map ? map->name : "kptr", name);
	say(v, "expected", "%d", want);
	if (at != want)
		return refuse_text(v, LOCK_WRONG_PLACE, -EINVAL, "off %lld doesn't point to 'struct %s_lock' that is at %d",
		                   (long long)at, name, want);
	*lock = lock_of(v, r, kind);
	return 0;
}

/* Does it matter which of many values or objects this is? */
bool may_hold_lock(struct verifier *v, const struct reg *r) {
	const struct btf_fields *fields = fields_of(v, r);
	return fields && fields_have_lock(fields);
}

/* The lock beside what the register points to, of whatever kind. */
bool is_lock_held(struct verifier *v, const struct reg *r) {
	const struct ref lock = lock_of(v, r, REF_LOCK);
	for (u32 i = 0; i < v->cur->refs_n; i++)
		if (is_lock(&v->cur->refs[i]) && is_same_place(&v->cur->refs[i], &lock))
			return true;
	return false;
}

static int take(struct verifier *v, const struct ref *lock) {
	struct state *s = v->cur;
	for (u32 i = 0; i < s->refs_n; i++) {
		if (!is_lock(&s->refs[i]))
			continue;
		if (lock->kind == REF_LOCK && s->refs[i].kind == REF_LOCK)
			return refuse(v, LOCK_TWICE, -EINVAL);
		if (lock->kind != REF_LOCK && s->refs[i].kind != REF_LOCK && is_same_place(&s->refs[i], lock))
			return refuse_text(v, LOCK_TWICE, -EINVAL, "Acquiring the same lock again, AA deadlock detected");
	}
	v->values_n = 0;
	s->active_locks++;
	return state_add_ref(&v->pool, s, *lock) ? 0 : -ENOMEM;
}

static int give_back(struct verifier *v, const struct ref *lock) {
	const char *name = names[lock->kind];
	struct state *s = v->cur;
	u32 last = s->refs_n;
	bool held = false;
	if (!s->active_locks)
		return refuse_text(v, UNLOCK_WITHOUT_LOCK, -EINVAL, "%s_unlock without taking a lock", name);
	for (u32 i = 0; i < s->refs_n; i++) {
		if (is_lock(&s->refs[i]))
			last = i;
		held |= s->refs[i].kind == lock->kind && is_same_place(&s->refs[i], lock);
	}
	ASSERT(last < s->refs_n);
	if (!held)
		return refuse_text(v, UNLOCK_OTHER, -EINVAL, "%s_unlock of different lock", name);
	if (!is_same_place(&s->refs[last], lock))
		return refuse_text(v, UNLOCK_OTHER, -EINVAL, "%s_unlock cannot be out of order", name);
	ASSERT(s->refs[last].kind == lock->kind); /* no lock is held twice */
	state_remove_ref(s, last);
	s->active_locks--;
	forget_borrowed(v);
	v->values_n = 0;
	return 0;
}

/* kind: of the reference for such locks. */
int check_lock(struct verifier *v, u32 regno, u32 kind, bool lock) {
	struct ref place;
	int err = find_place(v, regno, kind, &place);
	if (err)
		return err;
	return lock ? take(v, &place) : give_back(v, &place);
}

/* == Kernel functions == */

int check_res_lock_arg(struct verifier *v, u32 regno, const struct kfunc_call *call) {
	enum kfunc_special f = call->f->special;
	bool irq = f == KF_RES_LOCK_IRQ || f == KF_RES_UNLOCK_IRQ, lock = f == KF_RES_LOCK || f == KF_RES_LOCK_IRQ;
	if (!lock && f != KF_RES_UNLOCK && f != KF_RES_UNLOCK_IRQ)
		return refuse_not_yet(v, call->f->name);
	if (cur_regs(v)[regno].type != PTR_TO_MAP_VALUE && cur_regs(v)[regno].type != (PTR_TO_BTF_ID | MEM_ALLOC)) {
		say_reg(v, regno);
		say(v, "arg", "%u", regno);
		say(v, "name", "%s", call->f->name);
		say(v, "why", "locks lie in the values of maps");
		return refuse_text(v, KFUNC_ARG, -EINVAL, "arg#%d doesn't point to map value or allocated object", regno - 1);
	}
	return check_lock(v, regno, irq ? REF_RES_LOCK_IRQ : REF_RES_LOCK, lock);
}

/* Before the call: the other way, on which nothing was locked. */
int push_failed_lock(struct verifier *v) {
	struct state *failed;
	struct reg *r;
	int err = push_pending(v, v->at + 1, (s32)v->at, &failed);
	if (err)
		return err;
	clear_caller_saved(v, state_frame(failed));
	r = &state_regs(failed)[BPF_REG_0];
	reg_set_unknown(r);
	r->s.r.smin = r->s.r32.smin = -MAX_ERRNO;
	r->s.r.smax = r->s.r32.smax = -1;
	scalar_sync(&r->s);
	return check_sane_number(v, r, "s32_range");
}
