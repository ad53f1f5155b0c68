/* Dynptrs: handles of memory whose size only the run knows.
 *
 *      slot k     [ dynptr, first ]   lower address     reg: CONST_PTR_TO_DYNPTR, dynptr_type, id, ref
 *      slot k-1   [ dynptr        ]   higher address    the same, not first
 *
 * A program holds one in two stack slots that only helpers and kernel functions fill, or is handed a pointer to one that
 * it cannot change (callbacks, arguments of global functions: a register CONST_PTR_TO_DYNPTR with the same members). What
 * is read through a dynptr is checked when the program runs; only a slice is an address that the program itself uses:
 *
 *      dynptr  id 5, ref 6   ──bpf_dynptr_data──►   mem, dynptr 5, ref 6
 *
 * Invariants. The two slots are made and destroyed together, and all 8 bytes of each are of kind DYNPTR. A dynptr of a
 * ring buffer record holds the reference that its submission ends: it cannot be overwritten, and when it ends so do all
 * its clones and slices. Others may be overwritten, even by a store to one byte: then both slots are empty, and slices
 * of it are numbers.
 *
 * For kernel functions: check_dynptr_arg() with the argument's flags (MEM_UNINIT: it is made here; clone_ref: it shares
 * that reference), dynptr_of() for what an initialised one is, slices with reg.dynptr = its id and reg.ref = its ref. */
#include "verify/env.h"

enum { DYNPTR_BYTES = 16 };

static const struct {
	u32 flag, type;
	const char *name;
} kinds[] = {{DYNPTR_TYPE_LOCAL, BPF_DYNPTR_TYPE_LOCAL, "local"},
             {DYNPTR_TYPE_RINGBUF, BPF_DYNPTR_TYPE_RINGBUF, "ringbuf"},
             {DYNPTR_TYPE_SKB, BPF_DYNPTR_TYPE_SKB, "skb"},
             {DYNPTR_TYPE_XDP, BPF_DYNPTR_TYPE_XDP, "xdp"},
             {DYNPTR_TYPE_SKB_META, BPF_DYNPTR_TYPE_SKB_META, "skb_meta"}};

const char *dynptr_type_name(u32 type) {
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == type)
			return kinds[i].name;
	return "<invalid>";
}

u32 dynptr_type_flag(u32 type) {
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == type)
			return kinds[i].flag;
	return 0;
}

static u32 type_of_flags(u32 arg) {
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		if (arg & kinds[i].flag)
			return kinds[i].type;
	return BPF_DYNPTR_TYPE_INVALID;
}

static bool holds_reference(u32 type) {
	return type == BPF_DYNPTR_TYPE_RINGBUF;
}

static void set_dynptr(struct reg *r, u32 type, bool first, u32 id) {
	ASSERT(type != BPF_DYNPTR_TYPE_INVALID && id);
	reg_set_pointer(r, CONST_PTR_TO_DYNPTR);
	r->dynptr_type = type;
	r->dynptr_first = first;
	r->id = id;
}

void dynptr_set_const(struct verifier *v, struct reg *r, u32 type) {
	set_dynptr(r, type, true, ++v->id_gen);
}

static s32 first_slot(struct verifier *v, const struct reg *r) {
	return stack_object_slot(v, r, "dynptr", DYNPTR_BYTES / 8);
}

/* == The end of one == */

static void empty_slots(struct verifier *v, struct frame *f, u32 first) {
	ASSERT(first > 0 && first < f->slots_n && f->slots[first].reg.dynptr_first);
	for (u32 at = first - 1; at <= first; at++) {
		ASSERT(f->slots[at].kind[0] == STACK_DYNPTR && f->slots[at].kind[7] == STACK_DYNPTR);
		__builtin_memset(&f->slots[at], 0, sizeof f->slots[at]);
		scratch_slot(v, at);
	}
	stack_mark_write(v, f->frameno, (u64)3 << (first - 1));
}

/* The slot is about to be written: a dynptr of which it is a part ends, or the write is refused. */
int dynptr_destroy(struct verifier *v, struct frame *f, u32 at) {
	u32 id;
	if (at >= f->slots_n || f->slots[at].kind[7] != STACK_DYNPTR)
		return 0;
	at += !f->slots[at].reg.dynptr_first;
	if (holds_reference(f->slots[at].reg.dynptr_type))
		return refuse(v, DYNPTR_OVERWRITE, -EINVAL);
	id = f->slots[at].reg.id;
	empty_slots(v, f, at);
	for (struct reg_walk w = {.state = v->cur}; reg_next(&w);)
		if ((w.reg->type & ~(u32)PTR_MAYBE_NULL) == PTR_TO_MEM && w.reg->dynptr == id)
			reg_lose(v, w.reg);
	return 0;
}

/* The call gives the dynptr in the register back: its clones and slices end with it. */
int dynptr_release(struct verifier *v, u32 regno) {
	const struct reg *r = &cur_regs(v)[regno];
	s32 at = first_slot(v, r);
	u32 ref;
	int err;
	if (at < 0)
		return at;
	ref = frame_of(v, r)->slots[at].reg.ref;
	ASSERT(ref && r->type == PTR_TO_STACK);
	err = release_reference(v, ref);
	for (u32 i = 0; i <= v->cur->curframe && !err; i++) {
		struct frame *f = v->cur->frames[i];
		for (u32 n = 1; n < f->slots_n; n++)
			if (f->slots[n].kind[7] == STACK_DYNPTR && f->slots[n].reg.dynptr_first && f->slots[n].reg.ref == ref)
				empty_slots(v, f, n);
	}
	return err;
}

/* == As argument == */

/* The two slots at the register hold a new dynptr. clone_ref: the reference that it shares, 0 for one of its own. */
static int make(struct verifier *v, const struct reg *r, u32 arg, u32 clone_ref) {
	u32 type = type_of_flags(arg), id, ref = 0;
	struct frame *f = frame_of(v, r);
	s32 at = first_slot(v, r);
	int err;
	ASSERT(type != BPF_DYNPTR_TYPE_INVALID);
	if (at < 0)
		return at;
	err = dynptr_destroy(v, f, (u32)at);
	if (!err)
		err = dynptr_destroy(v, f, (u32)at - 1); /* of another one, if there are two side by side */
	if (err)
		return err;
	id = ++v->id_gen;
	if (holds_reference(type)) {
		ref = clone_ref ? clone_ref : acquire_reference(v, v->at);
		if (!ref)
			return -ENOMEM;
	}
	for (s32 i = at; i >= at - 1; i--) {
		__builtin_memset(f->slots[i].kind, STACK_DYNPTR, sizeof f->slots[i].kind);
		set_dynptr(&f->slots[i].reg, type, i == at, id);
		f->slots[i].reg.ref = ref;
		scratch_slot(v, (u32)i);
	}
	stack_mark_write(v, f->frameno, (u64)3 << (at - 1));
	return 0;
}

static int check_uninit(struct verifier *v, u32 regno, u32 arg, u32 clone_ref) {
	struct reg *r = &cur_regs(v)[regno];
	s32 at = r->type == PTR_TO_STACK ? first_slot(v, r) : -EINVAL;
	if (at < 0 && at != -ERANGE) /* slots that nobody has touched are made by the stores below */
		return refuse(v, DYNPTR_INIT, -EINVAL);
	for (s32 i = 0; i < DYNPTR_BYTES; i += 8) {
		int err = check_mem(v, regno, i, 8, true, -1, false, false);
		if (err)
			return err;
	}
	return make(v, r, arg, clone_ref);
}

static bool is_initialised(struct verifier *v, const struct reg *r) {
	const struct frame *f;
	s32 at;
	if (r->type == CONST_PTR_TO_DYNPTR)
		return true;
	at = first_slot(v, r);
	if (at < 0)
		return false;
	f = frame_of(v, r);
	return f->slots[at].kind[7] == STACK_DYNPTR && f->slots[at].reg.dynptr_first;
}

/* What is known of the initialised dynptr to which a register points. */
const struct reg *dynptr_of(struct verifier *v, const struct reg *r) {
	s32 at;
	if (r->type == CONST_PTR_TO_DYNPTR)
		return r;
	at = first_slot(v, r);
	ASSERT(at > 0);
	return &frame_of(v, r)->slots[at].reg;
}

/* May the dynptr be given back by the call? */
int check_dynptr_release(struct verifier *v, u32 regno) {
	const struct reg *r = &cur_regs(v)[regno];
	const struct frame *f;
	s32 at;
	say(v, "arg", "%u", regno);
	if (r->type != PTR_TO_STACK)
		return refuse_text(v, UNACQUIRED_ARG, -EINVAL, "cannot release unowned const bpf_dynptr");
	f = frame_of(v, r);
	at = first_slot(v, r);
	if (at >= 0 && f->slots[at].kind[7] == STACK_DYNPTR && f->slots[at].reg.ref) {
		v->values_n = 0;
		return 0;
	}
	return refuse(v, UNACQUIRED_ARG, -EINVAL, regno);
}

static int mark_read(struct verifier *v, const struct reg *r) {
	u32 at = (u32)first_slot(v, r);
	scratch_slot(v, at);
	scratch_slot(v, at - 1);
	return stack_mark_read(v, r->frameno, (u64)3 << (at - 1));
}

int check_dynptr_arg(struct verifier *v, u32 regno, u32 arg, u32 clone_ref) {
	const struct reg *r = &cur_regs(v)[regno];
	u32 want = type_of_flags(arg);
	ASSERT((arg & (MEM_UNINIT | MEM_RDONLY)) != (MEM_UNINIT | MEM_RDONLY));
	say(v, "arg", "%u", regno);
	say_reg(v, regno);
	if (r->type != PTR_TO_STACK && r->type != CONST_PTR_TO_DYNPTR)
		return refuse_text(v, DYNPTR_UNINIT, -EINVAL, "arg#%d expected pointer to stack or const struct bpf_dynptr",
		                   regno - 1);
	if (arg & MEM_UNINIT) {
		int err = check_uninit(v, regno, arg, clone_ref);
		v->values_n = err ? v->values_n : 0;
		return err;
	}
	if (r->type == CONST_PTR_TO_DYNPTR && !(arg & MEM_RDONLY))
		return refuse_text(v, DYNPTR_UNINIT, -EINVAL,
		                   "cannot pass pointer to const bpf_dynptr, the helper mutates it");
	if (!is_initialised(v, r))
		return refuse(v, DYNPTR_UNINIT, -EINVAL, regno - 1);
	if (want && dynptr_of(v, r)->dynptr_type != want) {
		say(v, "expected", "%s", dynptr_type_name(want));
		return refuse(v, DYNPTR_TYPE, -EINVAL, dynptr_type_name(want), regno - 1);
	}
	v->values_n = 0;
	return r->type == CONST_PTR_TO_DYNPTR ? 0 : mark_read(v, r);
}
