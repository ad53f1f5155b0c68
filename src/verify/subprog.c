/* The program's own functions: called, used as callbacks, left.
 *
 *   static     analysed anew at each call, in a frame of its own; r1 … r5 go in, r0 comes out, r6 … r9 are the caller's
 *   global     verified once by itself against its BTF prototype (global_args.c); a call only checks the arguments
 *   callback   entered from a helper: the walk goes both ways, into the callback and on behind the call. When it
 *              returns, the walk is at the call again, one iteration deeper, until a state repeats (states.c).
 *   exception  verified like a global one, once, but ends the program: it runs instead of all frames, when one throws
 *   async      a callback that runs later, by itself: walked from a fresh state, whatever the caller's was
 *
 * A frame may use its callers' stacks through pointers; nobody may keep a pointer into a frame that is gone. */
#include "verify/env.h"

void clear_caller_saved(struct verifier *v, struct frame *f) {
	if (HOLE(CALLER_SAVED_KEPT))
		return;
	for (u32 r = BPF_REG_0; r <= BPF_REG_5; r++)
		reg_clear(&f->regs[r]);
}

/* A fresh frame on top of s. */
static int push_frame(struct verifier *v, struct state *s, u32 subprog, s32 callsite, struct frame **out) {
	struct frame *f;
	if (s->curframe + 1 >= MAX_FRAMES) {
		say(v, "limit", "%d", MAX_FRAMES);
		return refuse(v, CALL_DEPTH, -E2BIG, s->curframe + 2);
	}
	ASSERT(!s->frames[s->curframe + 1]);
	f = frame_new(&v->pool);
	if (!f)
		return -ENOMEM;
	f->callsite = callsite;
	f->frameno = s->curframe + 1;
	f->subprog = subprog;
	reg_set_pointer(&f->regs[BPF_REG_FP], PTR_TO_STACK);
	f->regs[BPF_REG_FP].frameno = f->frameno;
	s->frames[++s->curframe] = f;
	v->log.scratched_regs = ~0u;
	v->log.scratched_slots = ~(u64)0;
	*out = f;
	return stack_instance_of(v, s, s->curframe);
}

/* == Calls == */

static int step_global_call(struct verifier *v, u32 subprog) {
	struct subprog *sub = &v->subprogs[subprog];
	int err;
	if (v->cur->active_locks)
		return refuse_text(v, LOCK_CALL, -EINVAL,
		                   "global function calls are not allowed while holding a lock,\nuse static function instead");
	if (sub->might_sleep && (v->cur->active_rcu || v->cur->active_preempt || v->cur->active_irq || !v->cur->in_sleepable))
		return refuse_text(v, MIGHT_SLEEP, -EINVAL,
		                   "global functions that may sleep are not allowed in non-sleepable context,\n"
		                   "i.e., in a RCU/IRQ/preempt-disabled section, or in\na non-sleepable BPF program context");
	err = check_global_args(v, subprog);
	if (err) {
		say(v, "name", "%s", sub->name);
		return refuse(v, GLOBAL_ARGS, err, subprog, sub->name);
	}
	v->values_n = 0;
	if (sub->might_throw) /* then what is held here is lost */
		err = check_references(v, "bpf_throw");
	if (err)
		return err;
	vlog(v, "Func#%d ('%s') is global and assumed valid.\n", subprog, sub->name);
	if (sub->changes_pkt_data)
		clear_packet_pointers(v);
	sub->called = true;
	clear_caller_saved(v, cur_frame(v));
	reg_set_unknown(&cur_regs(v)[BPF_REG_0]);
	scratch_reg(v, BPF_REG_0);
	v->at++;
	return 0;
}

int step_local_call(struct verifier *v, const struct bpf_insn *insn) {
	s32 subprog = subprog_at(v, v->at + 1 + (u32)insn->imm);
	struct frame *caller = cur_frame(v), *callee;
	int err;
	ASSERT(subprog >= 0);
	if (v->subprogs[subprog].global)
		return step_global_call(v, (u32)subprog);
	log_static_args(v, (u32)subprog);
	err = push_frame(v, v->cur, (u32)subprog, (s32)v->at, &callee);
	if (err)
		return err;
	for (u32 r = BPF_REG_1; r <= BPF_REG_5; r++)
		callee->regs[r] = caller->regs[r];
	clear_caller_saved(v, caller);
	v->at = v->subprogs[subprog].start;
	if (logging(v)) {
		vlog(v, "caller:\n");
		log_state(v, v->cur, v->cur->curframe - 1, true);
		vlog(v, "callee:\n");
		log_state(v, v->cur, v->cur->curframe, true);
	}
	scratch_reg(v, BPF_REG_0);
	return 0;
}

/* == Callbacks == */

static int set_map_callback_args(struct verifier *v, const struct frame *caller, struct frame *callee,
                                 const struct helper_call *call) {
	const struct abi_map_type *type = abi_map_type(v->abi, call->map->facts->type);
	if (!type || !(type->flags & MAP_ITER))
		return refuse(v, CALLBACK_MAP, -ENOTSUPP);
	callee->regs[BPF_REG_1] = caller->regs[BPF_REG_1];
	reg_set_pointer(&callee->regs[BPF_REG_2], PTR_TO_MAP_KEY);
	callee->regs[BPF_REG_2].map = call->map;
	callee->regs[BPF_REG_2].map_uid = call->map_uid;
	reg_set_pointer(&callee->regs[BPF_REG_3], PTR_TO_MAP_VALUE);
	callee->regs[BPF_REG_3].map = call->map;
	callee->regs[BPF_REG_3].map_uid = call->map_uid;
	if (map_has_lock(call->map->facts)) /* another value each time */
		callee->regs[BPF_REG_3].id = ++v->id_gen;
	callee->regs[BPF_REG_4] = caller->regs[BPF_REG_3];
	return 0;
}

static int set_vma_callback_args(struct verifier *v, const struct frame *caller, struct frame *callee) {
	const struct btf *btf = v->in->kernel_btf;
	u32 id = btf ? btf_find(btf, "vm_area_struct", BTF_KIND_STRUCT) : 0;
	if (!id)
		return refuse_not_yet(v, "an argument of a callback whose type is not known here");
	callee->regs[BPF_REG_1] = caller->regs[BPF_REG_1];
	reg_set_pointer(&callee->regs[BPF_REG_2], PTR_TO_BTF_ID);
	callee->regs[BPF_REG_2].btf = btf;
	callee->regs[BPF_REG_2].btf_id = id;
	callee->regs[BPF_REG_3] = caller->regs[BPF_REG_4];
	return 0;
}

/* less(a, b) of a tree: two objects that are in it, or about to be. */
static int set_node_callback_args(struct verifier *v, struct frame *callee, const struct helper_call *call) {
	int err = 0;
	for (u32 r = BPF_REG_1; r <= BPF_REG_2 && !err; r++) {
		set_node(&callee->regs[r], call->kptr_btf, call->kptr);
		err = set_borrowed(v, &callee->regs[r]);
	}
	return err;
}

static int set_callback_args(struct verifier *v, const struct frame *caller, struct frame *callee,
                             const struct helper_call *call) {
	callee->in_callback = true;
	callee->callback_return = (struct return_range){.min = 0, .max = 1};
	if (!call->helper)
		return set_node_callback_args(v, callee, call);
	switch (call->helper->id) {
	case BPF_FUNC_loop:
		reg_set_unknown(&callee->regs[BPF_REG_1]);
		callee->regs[BPF_REG_2] = caller->regs[BPF_REG_3];
		return 0;
	case BPF_FUNC_for_each_map_elem:
		return set_map_callback_args(v, caller, callee, call);
	case BPF_FUNC_find_vma:
		return set_vma_callback_args(v, caller, callee);
	case BPF_FUNC_user_ringbuf_drain:
		dynptr_set_const(v, &callee->regs[BPF_REG_1], BPF_DYNPTR_TYPE_LOCAL);
		callee->regs[BPF_REG_2] = caller->regs[BPF_REG_3];
		return 0;
	}
	return refuse_not_yet(v, "a callback of this helper");
}

/* Queues a run of the callback from here; the current state goes on as if there were no further run. */
int push_callback(struct verifier *v, const struct helper_call *call) {
	u32 subprog = (u32)call->callback;
	struct subprog *sub = &v->subprogs[subprog];
	struct frame *caller, *callee;
	struct state *s;
	int err;
	ASSERT(call->callback > 0 && is_callback_call(v, v->at));
	sub->is_callback = true;
	err = push_pending(v, sub->start, (s32)v->at, &s);
	if (err)
		return err;
	caller = state_frame(s);
	err = push_frame(v, s, subprog, (s32)v->at, &callee);
	if (!err)
		err = set_callback_args(v, caller, callee, call);
	if (err)
		return err;
	s->callback_unroll_depth++;
	caller->callback_depth++;
	cur_frame(v)->callback_depth = 0;
	return 0;
}

/* The map, and key and value of the element. */
static void set_async_callback_args(struct frame *callee, const struct async_callback *call) {
	static const u32 types[] = {CONST_PTR_TO_MAP, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE};
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		struct reg *r = &callee->regs[BPF_REG_1 + i];
		reg_set_pointer(r, types[i]);
		r->map = call->map;
		r->map_uid = call->map_uid;
	}
	callee->callback_return = call->range;
}

/* Queues a run of a callback that comes later: nothing of this state holds then. */
int push_async_callback(struct verifier *v, const struct async_callback *call) {
	struct subprog *sub = &v->subprogs[call->subprog];
	struct state *s;
	struct frame *f;
	int err;
	ASSERT(call->subprog && call->map);
	sub->is_callback = sub->is_async_callback = true;
	err = push_pending_fresh(v, sub->start, (s32)v->at, &s);
	if (err)
		return err;
	f = s->frames[0];
	s->in_sleepable = call->sleepable;
	f->callsite = -1;
	f->subprog = call->subprog;
	f->in_async_callback = true;
	f->async_entry = cur_frame(v)->async_entry + 1;
	reg_set_pointer(&f->regs[BPF_REG_FP], PTR_TO_STACK);
	set_async_callback_args(f, call);
	v->log.scratched_regs = ~0u;
	v->log.scratched_slots = ~(u64)0;
	return stack_instance_of(v, s, 0);
}

/* == Returning == */

static int refuse_return(struct verifier *v, u32 regno, struct return_range range, const char *when, bool callback) {
	const struct reg *r = &cur_regs(v)[regno];
	char have[96];
	u32 n = 0;
	bool low = r->s.r.smin > INT64_MIN, high = r->s.r.smax < INT64_MAX;
	if (low)
		n += (u32)snprintf(have + n, sizeof have - n, " smin=%lld", (long long)r->s.r.smin);
	if (high)
		n += (u32)snprintf(have + n, sizeof have - n, " smax=%lld", (long long)r->s.r.smax);
	if (!low && !high)
		snprintf(have, sizeof have, " unknown scalar value");
	say(v, "prog", "%s", v->type->name);
	say(v, "min", "%d", range.min);
	say(v, "max", "%d", range.max);
	say_reg(v, regno);
	if (callback)
		return refuse_text(v, CALLBACK_RETURN, -EINVAL, "%s the register R%d has%s should have been in [%d, %d]", when,
		                   regno, have, range.min, range.max);
	return refuse_text(v, RETURN_RANGE, -EINVAL, "%s the register R%d has%s should have been in [%d, %d]", when, regno,
	                   have, range.min, range.max);
}

static int check_callback_return(struct verifier *v, const struct frame *callee) {
	const struct reg *r = &callee->regs[BPF_REG_0];
	int err;
	if (r->type != SCALAR_VALUE)
		return refuse_text(v, CALLBACK_RETURN, -EACCES, "R0 not a scalar value");
	err = mark_precise(v, BPF_REG_0);
	if (err)
		return err;
	if (r->s.r.smin < callee->callback_return.min || r->s.r.smax > callee->callback_return.max)
		return refuse_return(v, BPF_REG_0, callee->callback_return, "At callback return", true);
	return 0;
}

/* Slices of dynptrs that may lie in the buffer, on the stack of the frame that ends, that was given for them. */
static void forget_slices(struct state *s, const struct frame *ends) {
	for (struct reg_walk w = {.state = s}; reg_next(&w);)
		if (base_type(w.reg->type) == PTR_TO_MEM && w.reg->frameno == ends->frameno + 1)
			reg_set_unknown(w.reg);
}

/* Pointers into the frame that ends must not be left in a frame that stays: such spills were refused (SPILL_CALLER). */
int leave_subprog(struct verifier *v) {
	struct state *s = v->cur;
	struct frame *callee = cur_frame(v), *caller = s->frames[s->curframe - 1];
	bool callback = callee->in_callback;
	int err;
	ASSERT(callee->callsite >= 0 && (u32)callee->callsite < v->n);
	if (callee->regs[BPF_REG_0].type == PTR_TO_STACK)
		return refuse(v, RETURN_STACK, -EINVAL);
	if (callback) {
		err = check_callback_return(v, callee);
		if (err)
			return err;
		ASSERT(is_callback_call(v, (u32)callee->callsite));
	} else {
		caller->regs[BPF_REG_0] = callee->regs[BPF_REG_0];
	}
	v->at = (u32)callee->callsite + !callback;
	if (logging(v)) {
		vlog(v, "returning from callee:\n");
		log_state(v, s, s->curframe, true);
		vlog(v, "to caller at %d:\n", v->at);
		log_state(v, s, s->curframe - 1, true);
	}
	if (v->buffered_slices)
		forget_slices(s, callee);
	frame_free(&v->pool, callee);
	s->frames[s->curframe--] = NULL;
	if (callback)
		widen_from_loop(v, v->at, s->depth, s);
	return 0;
}

/* An instruction that may end the function by itself: a tail call, whose target returns to our caller with anything, or
 * a packet load outside the packet, which returns 0. The other way, behind the instruction, is looked at later. */
int leave_early(struct verifier *v, bool zero) {
	struct state *on;
	int err = push_pending(v, v->at + 1, (s32)v->at, &on);
	if (err)
		return err;
	if (zero)
		reg_set_const(&cur_regs(v)[BPF_REG_0], 0);
	else
		reg_set_unknown(&cur_regs(v)[BPF_REG_0]);
	return leave_subprog(v);
}

/* == Exit == */

static int check_async_return(struct verifier *v, u32 regno) {
	const struct frame *f = v->cur->frames[0];
	const struct reg *r = &cur_regs(v)[regno];
	char name[TYPE_NAME_MAX];
	int err = check_reg_read(v, regno);
	if (err)
		return err;
	if (r->type != SCALAR_VALUE) {
		say(v, "type", "%s", reg_type_name(r->type, name));
		return refuse_text(v, RETURN_NOT_SCALAR, -EINVAL,
		                   "At async callback return the register R%d is not a known value (%s)", regno, name);
	}
	err = mark_precise(v, (s32)regno);
	if (err)
		return err;
	if (r->s.r.smin < f->callback_return.min || r->s.r.smax > f->callback_return.max)
		return refuse_return(v, regno, f->callback_return, "At async callback return", true);
	return 0;
}

static int enforce_return(struct verifier *v, u32 regno, struct return_range range) {
	const struct reg *r = &cur_regs(v)[regno];
	char name[TYPE_NAME_MAX];
	bool fits;
	int err;
	if (r->type != SCALAR_VALUE) {
		say(v, "type", "%s", reg_type_name(r->type, name));
		return refuse_text(v, RETURN_NOT_SCALAR, -EINVAL, "At program exit the register R%d is not a known value (%s)",
		                   regno, name);
	}
	err = mark_precise(v, (s32)regno);
	if (err)
		return err;
	fits = range.return32 ? r->s.r32.smin >= range.min && r->s.r32.smax <= range.max
	                      : r->s.r.smin >= range.min && r->s.r.smax <= range.max;
	return fits ? 0 : refuse_return(v, regno, range, "At program exit", false);
}

/* A void hook's program returns nothing, or, where it answers for a control group, 1. */
static int check_hook_return(struct verifier *v, u32 regno) {
	bool cgroup = v->in->expected_attach_type == BPF_LSM_CGROUP, is_void = !v->target.proto->type;
	struct return_range range = {.min = is_void, .max = 1};
	int err;
	if (!cgroup && !hook_return_range(v, &range))
		return 0;
	err = check_reg_read(v, regno);
	if (!err)
		err = enforce_return(v, regno, range);
	if (err && cgroup && is_void && cur_regs(v)[regno].type == SCALAR_VALUE)
		vlog(v, "Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n");
	return err;
}

/* Of such functions programs can return NULL only. */
static bool returns_pointer(const struct verifier *v) {
	return btf_kind(btf_skip_type(v->in->kernel_btf, v->target.proto->type)) == BTF_KIND_PTR;
}

/* What the program's end gives, in r0, or what it throws, in r1, which is the default callback's result. A callback for
 * exceptions ends the program, too. */
int check_program_return(struct verifier *v, u32 regno) {
	const struct reg *r = &cur_regs(v)[regno];
	const struct frame *first = v->cur->frames[0];
	const struct abi_return *want;
	char name[TYPE_NAME_MAX];
	bool subprog = first->subprog && !first->in_exception_callback;
	int err;
	if (first->in_async_callback)
		return check_async_return(v, regno);
	want = subprog ? NULL : abi_return(v->abi, v->in->prog_type, v->in->expected_attach_type);
	if (!subprog && v->in->prog_type == BPF_PROG_TYPE_LSM)
		return check_hook_return(v, regno);
	if (!subprog && v->in->prog_type == BPF_PROG_TYPE_STRUCT_OPS && !v->target.proto->type)
		return 0;
	err = check_reg_read(v, regno);
	if (err)
		return err;
	if (is_secret(v, r))
		return refuse(v, RETURN_LEAK, -EACCES, BPF_REG_0);
	if (subprog && r->type != SCALAR_VALUE)
		return refuse_text(v, RETURN_NOT_SCALAR, -EINVAL,
		                   "At subprogram exit the register R%d is not a scalar value (%s)", regno,
		                   reg_type_name(r->type, name));
	if (!subprog && v->in->prog_type == BPF_PROG_TYPE_STRUCT_OPS)
		return returns_pointer(v) ? enforce_return(v, regno, (struct return_range){0, 0, false}) : 0;
	if (!want || (want->min == INT32_MIN && want->max == INT32_MAX))
		return 0;
	return enforce_return(v, regno, (struct return_range){.min = (s32)want->min, .max = (s32)want->max});
}

/* bpf_throw: every frame ends, and the callback for exceptions gives the program's result. Returns 1: the path ends. */
int step_throw(struct verifier *v) {
	int err = v->exception_callback ? 0 : check_program_return(v, BPF_REG_1);
	clear_caller_saved(v, cur_frame(v));
	if (!err)
		err = check_references(v, "bpf_throw");
	if (err)
		return err;
	v->aux[v->at].flags |= AUX_SEEN;
	return 1;
}

int step_exit(struct verifier *v, bool *finished) {
	int err = 0;
	*finished = false;
	if (!v->cur->curframe)
		err = check_references(v, "BPF_EXIT instruction in main prog");
	if (err)
		return err;
	if (v->cur->curframe)
		return leave_subprog(v);
	*finished = true;
	return check_program_return(v, BPF_REG_0);
}
