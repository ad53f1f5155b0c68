/* Calls of kernel functions.
 *
 *   before the walk   kfunc_find: each function that the program names, in the kernel's BTF and in kfuncs.def
 *   allowed?          by program type; sleeping; what only some attach types may
 *   arguments         kfunc_args.c
 *   effects           sections (section.c), references given back and taken, packet pointers that die
 *   result            by the BTF type: a number, memory of the size of what it points to, a kernel object
 *
 * The prototype is the kernel's BTF's; the flags are not in it, so they are a table's. A function of which one of both is
 * missing is refused. Programs that call kernel functions verify; outside the kernel they do not run.
 *
 * A call with the number 0 is a weak function that this kernel does not have. The program may hold it where no path leads,
 * and so it is refused only after the walk (check_kfuncs_left). */
#include "verify/kfunc.h"
#include <string.h>

enum { MAX_KFUNCS = 256 };

/* == Finding them == */

static enum kfunc_special special_of(const char *name) {
	static const struct {
		const char *name;
		enum kfunc_special special;
	} rows[] = {
	    {"bpf_rcu_read_lock", KF_RCU_READ_LOCK},       {"bpf_rcu_read_unlock", KF_RCU_READ_UNLOCK},
	    {"bpf_preempt_disable", KF_PREEMPT_DISABLE},   {"bpf_preempt_enable", KF_PREEMPT_ENABLE},
	    {"bpf_cast_to_kern_ctx", KF_CAST_TO_KERN_CTX}, {"bpf_rdonly_cast", KF_RDONLY_CAST},
	    {"bpf_iter_css_task_new", KF_CSS_TASK_NEW},    {"bpf_session_cookie", KF_SESSION_COOKIE},
	    {"bpf_get_kmem_cache", KF_GET_KMEM_CACHE},     {"__bpf_trap", KF_TRAP},
	    {"bpf_dynptr_from_skb", KF_DYNPTR_FROM_SKB},   {"bpf_dynptr_from_skb_meta", KF_DYNPTR_FROM_SKB_META},
	    {"bpf_dynptr_from_xdp", KF_DYNPTR_FROM_XDP},   {"bpf_dynptr_clone", KF_DYNPTR_CLONE},
	    {"bpf_dynptr_slice", KF_DYNPTR_SLICE},         {"bpf_dynptr_slice_rdwr", KF_DYNPTR_SLICE_RDWR},
	    {"bpf_throw", KF_THROW},                       {"bpf_local_irq_save", KF_IRQ_SAVE},
	    {"bpf_local_irq_restore", KF_IRQ_RESTORE},     {"bpf_wq_set_callback_impl", KF_WQ_SET_CALLBACK},
	    {"bpf_res_spin_lock", KF_RES_LOCK},            {"bpf_res_spin_lock_irqsave", KF_RES_LOCK_IRQ},
	    {"bpf_res_spin_unlock", KF_RES_UNLOCK},        {"bpf_res_spin_unlock_irqrestore", KF_RES_UNLOCK_IRQ},
	    {"bpf_task_work_schedule_signal_impl", KF_TASK_WORK},
	    {"bpf_task_work_schedule_resume_impl", KF_TASK_WORK},
	    {"bpf_obj_new_impl", KF_OBJ_NEW},              {"bpf_percpu_obj_new_impl", KF_PERCPU_OBJ_NEW},
	    {"bpf_obj_drop_impl", KF_OBJ_DROP},            {"bpf_percpu_obj_drop_impl", KF_PERCPU_OBJ_DROP},
	    {"bpf_list_push_front_impl", KF_LIST_PUSH},    {"bpf_list_push_back_impl", KF_LIST_PUSH},
	    {"bpf_list_pop_front", KF_LIST_POP},           {"bpf_list_pop_back", KF_LIST_POP},
	    {"bpf_list_front", KF_LIST_PEEK},              {"bpf_list_back", KF_LIST_PEEK},
	    {"bpf_rbtree_add_impl", KF_RB_ADD},            {"bpf_rbtree_remove", KF_RB_REMOVE},
	    {"bpf_rbtree_first", KF_RB_PEEK},              {"bpf_rbtree_root", KF_RB_PEEK},
	    {"bpf_rbtree_left", KF_RB_PEEK},               {"bpf_rbtree_right", KF_RB_PEEK},
	    {"bpf_refcount_acquire_impl", KF_REFCOUNT_ACQUIRE},
	};
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, name))
			return rows[i].special;
	return KF_PLAIN;
}

static bool may_call(const struct verifier *v, const struct abi_kfunc *row) {
	u32 attach = v->in->expected_attach_type;
	if (v->in->prog_type >= 64 || !(row->types >> v->in->prog_type & 1))
		return false;
	if (row->flags & KFUNC_SESSION && attach != BPF_TRACE_KPROBE_SESSION)
		return false;
	return !(row->flags & KFUNC_BPF_ITER) || attach == BPF_TRACE_ITER;
}

/* Does the kernel's BTF say of the function that programs can call it? */
static bool is_marked(const struct btf *btf, u32 id) {
	const char *tag;
	for (u32 at = 0; (at = btf_decl_tag_next(btf, id, -1, "bpf_kfunc", at, &tag));)
		if (!*tag)
			return true;
	return false;
}

/* Functions of kernel modules would come with a BTF of their own, in the array of descriptors. */
static int refuse_module(struct verifier *v, s16 off) {
	bool array = v->in->map_by_index;
	if (off >= 0 && array)
		return refuse_not_yet(v, "kernel functions of modules");
	refuse_text(v, KFUNC_UNKNOWN, -EINVAL, "%s",
	            off < 0 ? "negative offset disallowed for kernel module function call"
	                    : "kfunc offset > 0 without fd_array is invalid");
	return refuse(v, KFUNC_UNKNOWN, off < 0 ? -EINVAL : -EPROTO);
}

static int add_kfunc(struct verifier *v, u32 id, struct kfunc **out) {
	const struct btf *btf = v->in->kernel_btf;
	const struct btf_type *t = btf ? btf_type(btf, id) : NULL;
	const struct abi_kfunc *row;
	struct kfunc *f;
	if (v->kfuncs_n == MAX_KFUNCS)
		return refuse_text(v, KFUNC_UNKNOWN, -E2BIG, "too many different kernel function calls");
	if (!t || btf_kind(t) != BTF_KIND_FUNC)
		return refuse_text(v, KFUNC_UNKNOWN, -EINVAL, "kernel btf_id %u is not a function", id);
	f = arena_new(&v->scratch, struct kfunc);
	if (!f)
		return -ENOMEM;
	f->id = id;
	f->name = btf_name(btf, t);
	f->proto = btf_type(btf, t->type);
	f->params = (const struct btf_param *)(f->proto + 1);
	f->params_n = btf_vlen(f->proto);
	f->special = special_of(f->name);
	row = abi_kfunc(v->abi, f->name);
	f->known = row || !is_marked(btf, id);
	f->flags = row ? row->flags : 0;
	f->allowed = row && may_call(v, row);
	if (f->flags & KFUNC_DEVICE_BOUND) {
		say(v, "name", "%s", f->name);
		return refuse_text(v, KFUNC_NOT_ALLOWED, -EINVAL, "metadata kfuncs require device-bound program");
	}
	f->next = v->kfuncs;
	v->kfuncs = f;
	v->kfuncs_n++;
	*out = f;
	return 0;
}

/* The function that the call at `at` means, for the facts of the instruction; none for an absent one. */
int kfunc_find(struct verifier *v, u32 at) {
	const struct bpf_insn *insn = &v->insns[at];
	struct kfunc *f;
	int err = 0;
	ASSERT(insn_is_kfunc_call(insn));
	if (!v->in->gpl_compatible)
		return refuse(v, GPL_KFUNC, -EINVAL);
	if (!insn->imm && !insn->off)
		return 0;
	if (insn->off)
		return refuse_module(v, insn->off);
	for (f = v->kfuncs; f && f->id != (u32)insn->imm;)
		f = f->next;
	if (!f)
		err = add_kfunc(v, (u32)insn->imm, &f);
	if (!err)
		v->aux[at].kfunc = f;
	return err;
}

const struct kfunc *kfunc_at(const struct verifier *v, u32 at) {
	return insn_is_kfunc_call(&v->insns[at]) ? v->aux[at].kfunc : NULL;
}

u32 kfunc_flags_at(const struct verifier *v, u32 at) {
	const struct kfunc *f = kfunc_at(v, at);
	return f && f->allowed ? f->flags : 0;
}

/* Whoever may call it: that is looked at next. */
bool kfunc_under_lock_at(const struct verifier *v, u32 at) {
	const struct kfunc *f = kfunc_at(v, at);
	return f && f->flags & KFUNC_UNDER_LOCK;
}

bool kfunc_calls_later(const struct verifier *v, u32 at) {
	const struct kfunc *f = kfunc_at(v, at);
	return f && (f->special == KF_WQ_SET_CALLBACK || f->special == KF_TASK_WORK);
}

bool kfunc_throws_at(const struct verifier *v, u32 at) {
	const struct kfunc *f = kfunc_at(v, at);
	return f && f->allowed && f->special == KF_THROW;
}

bool kfunc_calls_back(const struct verifier *v, u32 at) {
	const struct kfunc *f = kfunc_at(v, at);
	return f && f->special == KF_RB_ADD;
}

/* Registers that a call reads: all that it could, for one that cannot be called. */
u32 kfunc_args_n(const struct verifier *v, u32 at) {
	const struct kfunc *f = kfunc_at(v, at);
	return f && f->allowed ? MIN(f->params_n, 5u) : 5;
}

const char *kfunc_name(const struct verifier *v, const struct bpf_insn *insn) {
	const struct btf *btf = v->in->kernel_btf;
	const struct btf_type *t = btf && !insn->off ? btf_type(btf, (u32)insn->imm) : NULL;
	return t ? btf_name(btf, t) : NULL; /* an absent one is called "" */
}

/* After the walk: an absent function that some path calls. */
int check_kfuncs_left(struct verifier *v) {
	for (u32 i = 0; i < v->n; i++) {
		if (!insn_is_kfunc_call(&v->insns[i]) || v->insns[i].imm || !(v->aux[i].flags & AUX_SEEN))
			continue;
		v->at = i;
		return refuse_text(v, KFUNC_UNKNOWN, -EINVAL, "invalid kernel function call not eliminated in verifier pass");
	}
	return 0;
}

/* == May it be called here? == */

static int check_allowed(struct verifier *v, const struct kfunc *f) {
	say(v, "name", "%s", f->name);
	say(v, "prog", "%s", v->type->name);
	if (!f->known)
		return refuse_not_yet(v, "this kernel function");
	if (!f->allowed)
		return refuse(v, KFUNC_NOT_ALLOWED, -EACCES, f->name);
	if (f->special == KF_TRAP)
		return refuse_text(v, KFUNC_NOT_ALLOWED, -EFAULT, "unexpected __bpf_trap() due to uninitialized variable?");
	if (f->flags & KFUNC_DESTRUCTIVE)
		return refuse_text(v, KFUNC_NOT_ALLOWED, -EACCES, "destructive kfunc calls require CAP_SYS_BOOT capability");
	if (f->flags & KFUNC_SLEEPABLE && !v->cur->in_sleepable)
		return refuse(v, KFUNC_SLEEPABLE, -EACCES, f->name);
	v->values_n = 0;
	return 0;
}

/* == The result == */

static int set_cast(struct verifier *v, const struct kfunc_call *call, struct reg *r) {
	const struct btf *btf = v->in->kernel_btf;
	const struct btf_type *t;
	if (call->f->special == KF_CAST_TO_KERN_CTX) {
		reg_set_pointer(r, PTR_TO_BTF_ID | PTR_TRUSTED);
		r->btf = btf;
		r->btf_id = call->ctx_id;
		return 0;
	}
	ASSERT(call->has_constant);
	t = call->constant <= UINT32_MAX ? btf_type(btf, (u32)call->constant) : NULL;
	if (t && btf_is_composite(t)) {
		reg_set_pointer(r, PTR_TO_BTF_ID | PTR_UNTRUSTED);
		r->btf = btf;
		r->btf_id = (u32)call->constant;
	} else if (t && btf_kind(t) == BTF_KIND_UNKN) { /* void: bytes of which nothing is known */
		reg_set_pointer(r, PTR_TO_MEM | MEM_RDONLY | PTR_UNTRUSTED);
	} else {
		return refuse_text(v, KFUNC_ARG, -EINVAL, "kfunc bpf_rdonly_cast type ID argument must be of a struct or void");
	}
	return 0;
}

/* Part of a dynptr's memory, or of the buffer that was given. The memory of a ring buffer record ends with the record. */
static int set_slice(struct verifier *v, const struct kfunc_call *call, struct reg *r) {
	bool write = call->f->special == KF_DYNPTR_SLICE_RDWR;
	ASSERT(call->has_constant && call->dynptr.id);
	if (write && !may_access_packet(v, true, NULL)) {
		say(v, "name", "%s", call->f->name);
		say(v, "prog", "%s", v->type->name);
		return refuse_text(v, PACKET_WRITE, -EINVAL, "the prog does not allow writes to packet data");
	}
	reg_set_pointer(r, PTR_TO_MEM | dynptr_type_flag(call->dynptr.type) | (write ? 0 : MEM_RDONLY));
	r->mem_size = (u32)call->constant; /* as much of it as the function sees */
	r->dynptr = call->dynptr.id;
	r->ref = call->dynptr.ref;
	r->frameno = call->buffer_frame;
	v->buffered_slices |= r->frameno;
	return 0;
}

static int set_memory(struct verifier *v, const struct kfunc_call *call, const struct btf_type *pointee, u32 id,
                      struct reg *r) {
	s64 size = btf_size(v->in->kernel_btf, id);
	bool by_type = !call->mem_size;
	if (by_type && (size <= 0 || size > UINT32_MAX)) {
		say(v, "name", "%s", call->f->name);
		return refuse_text(v, KFUNC_ARG, -EINVAL, "kernel function %s returns pointer type %s %s is not supported",
		                   call->f->name, btf_kind_name(btf_kind(pointee)), btf_name(v->in->kernel_btf, pointee));
	}
	reg_set_pointer(r, PTR_TO_MEM | (by_type || call->mem_rdonly ? MEM_RDONLY : 0));
	r->mem_size = by_type ? (u32)size : call->mem_size;
	r->ref = call->ref; /* it ends with what it was taken from */
	return 0;
}

static void set_object(struct verifier *v, const struct kfunc_call *call, u32 id, struct reg *r) {
	u32 flags = call->f->flags, trust = 0;
	if (call->f->special == KF_GET_KMEM_CACHE)
		trust = PTR_UNTRUSTED;
	else if (flags & KFUNC_RCU_PROTECTED)
		trust = MEM_RCU;
	if (flags & KFUNC_ITER_NEXT)
		trust |= iter_of(v->cur, call)->type & MEM_RCU ? MEM_RCU : PTR_TRUSTED;
	reg_set_pointer(r, PTR_TO_BTF_ID | trust);
	r->btf = v->in->kernel_btf;
	r->btf_id = id;
}

static int set_pointer(struct verifier *v, const struct kfunc_call *call, const struct btf_type *ptr, struct reg *r) {
	const struct btf *btf = v->in->kernel_btf;
	u32 id = btf_skip_modifiers(btf, ptr->type), flags = call->f->flags;
	const struct btf_type *pointee = btf_type(btf, id);
	bool done = false, may_be_null = flags & KFUNC_RET_NULL && !call->owned;
	int err = set_graph_result(v, call, r, &done);
	if (err || done)
		;
	else if (call->f->special == KF_CAST_TO_KERN_CTX || call->f->special == KF_RDONLY_CAST)
		err = set_cast(v, call, r);
	else if (call->f->special == KF_DYNPTR_SLICE || call->f->special == KF_DYNPTR_SLICE_RDWR)
		err = set_slice(v, call, r);
	else if (!id) /* an address and nothing more */
		reg_set_unknown(r);
	else if (!btf_is_composite(pointee))
		err = set_memory(v, call, pointee, id, r);
	else
		set_object(v, call, id, r);
	if (err)
		return err;
	if (flags & (KFUNC_RET_NULL | KFUNC_ACQUIRE) && r->type == SCALAR_VALUE)
		return refuse_not_yet(v, call->f->name);
	if (may_be_null) {
		r->type |= PTR_MAYBE_NULL;
		r->id = ++v->id_gen;
		note_origin(v, r->id);
	}
	if (flags & KFUNC_ACQUIRE) {
		u32 ref = acquire_reference(v, v->at);
		if (!ref)
			return -ENOMEM;
		if (may_be_null) {
			r->id = ref;
			note_origin(v, ref);
		}
		r->ref = ref;
	}
	if (!r->id && may_hold_lock(v, r))
		r->id = ++v->id_gen;
	return 0;
}

/* Functions whose prototype says void *, because the program says which type it is. */
static bool gives_object(const struct kfunc *f) {
	return f->special == KF_OBJ_NEW || f->special == KF_PERCPU_OBJ_NEW || f->special == KF_REFCOUNT_ACQUIRE;
}

static bool locks(const struct kfunc *f) {
	return f->special == KF_RES_LOCK || f->special == KF_RES_LOCK_IRQ;
}

static int set_result(struct verifier *v, const struct kfunc_call *call) {
	const struct btf *btf = v->in->kernel_btf;
	const struct btf_type *t = btf_skip_type(btf, call->f->proto->type);
	struct reg *r = &cur_regs(v)[BPF_REG_0];
	clear_caller_saved(v, cur_frame(v));
	if (call->f->flags & KFUNC_ACQUIRE &&
	    (btf_kind(t) != BTF_KIND_PTR || !btf_is_composite(btf_skip_type(btf, t->type))) && !gives_object(call->f)) {
		say(v, "name", "%s", call->f->name);
		return refuse_text(v, KFUNC_ARG, -EINVAL, "acquire kernel function does not return PTR_TO_BTF_ID");
	}
	scratch_reg(v, BPF_REG_0);
	if (kfunc_is_number(t)) {
		if (locks(call->f))
			reg_set_const(r, 0); /* it has been locked */
		else
			reg_set_unknown(r);
		return 0;
	}
	if (btf_kind(t) == BTF_KIND_PTR)
		return set_pointer(v, call, t, r);
	return btf_kind(t) == BTF_KIND_UNKN ? 0 : refuse_not_yet(v, "a kernel function that returns this type");
}

/* == The call == */

static int release_argument(struct verifier *v, const struct kfunc_call *call) {
	int err;
	if (!call->release_reg)
		return 0;
	err = release_reference(v, cur_regs(v)[call->release_reg].ref);
	if (!err)
		return 0;
	say(v, "name", "%s", call->f->name);
	return refuse_text(v, REFERENCE_NOT_ACQUIRED, err, "kfunc %s#%d reference has not been acquired before",
	                   call->f->name, call->f->id);
}

static int check_callback(struct verifier *v, const struct kfunc_call *call, int err) {
	if (!err)
		return 0;
	say(v, "name", "%s", call->f->name);
	return refuse_text(v, KFUNC_ARG, err, "kfunc %s#%d failed callback verification", call->f->name, call->f->id);
}

/* A run of less(a, b), as long as the tree's lock is held. */
static int push_node_callback(struct verifier *v, const struct kfunc_call *call) {
	const struct helper_call helper = {.callback = call->callback, .kptr_btf = call->root_btf, .kptr = &call->root};
	return check_callback(v, call, push_callback(v, &helper));
}

/* Work that is done later, by somebody who may sleep. What a workqueue's callback returns is looked at, as a timer's is. */
static int push_work(struct verifier *v, const struct kfunc_call *call) {
	struct async_callback work = {
	    .subprog = (u32)call->callback, .map = call->map, .map_uid = call->map_uid, .sleepable = true};
	if (!call->map || !call->callback)
		return refuse_not_yet(v, call->f->name);
	if (call->f->special == KF_TASK_WORK)
		work.range = (struct return_range){INT32_MIN, INT32_MAX, false};
	return check_callback(v, call, push_async_callback(v, &work));
}

int step_kfunc_call(struct verifier *v) {
	const struct kfunc *f = v->aux[v->at].kfunc;
	struct kfunc_call call = {.f = f};
	int err;
	if (!f) { /* refused later if it stays */
		v->at++;
		return 0;
	}
	err = check_allowed(v, f);
	if (!err && locks(f))
		err = push_failed_lock(v);
	if (!err)
		err = check_kfunc_args(v, &call);
	if (err)
		return err;
	if (f->special == KF_SESSION_COOKIE)
		call.mem_size = 8;
	if (f->special == KF_THROW)
		return step_throw(v);
	if (f->special == KF_RB_ADD)
		err = push_node_callback(v, &call);
	if (f->special == KF_WQ_SET_CALLBACK || f->special == KF_TASK_WORK)
		err = push_work(v, &call);
	if (!err)
		err = step_section(v, f);
	if (!err)
		err = release_argument(v, &call);
	if (!err)
		err = step_graph(v, &call);
	if (!err)
		err = set_result(v, &call);
	if (!err && f->flags & KFUNC_ITER_NEXT)
		err = step_iter_next(v, &call);
	if (err)
		return err;
	if (f->flags & KFUNC_CHANGES_PKT || (f->flags & KFUNC_FILLS_DYNPTR && call.packet_dynptr))
		clear_packet_pointers(v);
	v->at++;
	return 0;
}
