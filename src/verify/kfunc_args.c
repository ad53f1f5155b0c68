/* Arguments of kernel functions: does each register hold what the BTF type and the parameter's name want?
 *
 *   number                        any; name__k: a constant; rdonly_buf_size, rdwr_buf_size: of the memory that comes back
 *   name__ign, name__prog         not looked at
 *   pointer to the context        of this program type
 *   pointer to struct bpf_iter_x  the first argument of an iterator's functions, or name__iter (iter.c)
 *   pointer to struct bpf_dynptr  one in use; name__uninit: it is made there (dynptr.c)
 *   name__str                     constant text
 *   name__map                     a map, or the kernel's object for one
 *   objects of the program's, roots and nodes of lists and trees (graph.c)
 *   name__irq_flag                a word on the stack (irq.c)
 *   pointer to struct bpf_wq, bpf_task_work   the field of that name in a map's value
 *   pointer to struct bpf_res_spin_lock       the lock in a map's value (lock.c)
 *   pointer to a function         a callback
 *   pointer to a struct, and the register points to a kernel object: of the same type, or of one that begins with it
 *   other pointers                memory of the type's size, or of the size in the next argument (name__sz, name__szk)
 *
 * A pointer may be NULL only where the name says so (name__nullable; name__opt: memory, of any size then). Objects must be
 * alive: trusted, referenced, or, for functions flagged RCU, protected by RCU. Kinds of arguments that are not in this list
 * are refused. */
#include "verify/kfunc.h"
#include <string.h>

enum { NESTED_MAX = 3 };

bool kfunc_is_number(const struct btf_type *t) {
	u32 kind = btf_kind(t);
	return kind == BTF_KIND_INT || kind == BTF_KIND_ENUM || kind == BTF_KIND_ENUM64;
}

static const struct btf *kernel(const struct verifier *v) {
	return v->in->kernel_btf;
}
static const char *param_name(const struct verifier *v, const struct kfunc *f, u32 i) {
	return btf_string(kernel(v), f->params[i].name_off);
}
static bool has_suffix(const struct verifier *v, const struct kfunc *f, u32 i, const char *suffix) {
	const char *name = param_name(v, f, i);
	u64 n = strlen(name), m = strlen(suffix);
	return n >= m && !strcmp(name + n - m, suffix);
}
static const char *kind_text(const struct btf_type *t) {
	return btf_kind_name(btf_kind(t));
}
static void say_kfunc(struct verifier *v, const struct kfunc *f, u32 i, const char *why) {
	say_reg(v, i + 1);
	say(v, "arg", "%u", i + 1);
	say(v, "name", "%s", f->name);
	say(v, "why", "%s", why);
}

/* == Numbers == */

static int known_constant(struct verifier *v, u32 regno, u64 *value, const char *fmt) {
	const struct reg *r = &cur_regs(v)[regno];
	ASSERT(r->type == SCALAR_VALUE);
	*value = r->s.var.value;
	if (scalar_is_const(&r->s))
		return 0;
	say_reg(v, regno);
	return refuse_text(v, NOT_A_CONSTANT, -EINVAL, "R%d %s", regno, fmt);
}

static int take_constant(struct verifier *v, u32 regno, u64 *value, const char *fmt) {
	int err = known_constant(v, regno, value, fmt);
	return err ? err : mark_precise(v, (s32)regno);
}

static int check_number(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct kfunc *f = call->f;
	u32 regno = i + 1;
	const char *name = param_name(v, f, i);
	bool rdonly = !strcmp(name, "rdonly_buf_size"), rdwr = !strcmp(name, "rdwr_buf_size");
	u64 size;
	int err;
	if (cur_regs(v)[regno].type != SCALAR_VALUE) {
		say_kfunc(v, f, i, "it must be a number");
		return refuse(v, NOT_A_SCALAR, -EINVAL, regno);
	}
	if (has_suffix(v, f, i, "__k")) {
		ASSERT(!call->has_constant);
		call->has_constant = true;
		return take_constant(v, regno, &call->constant, "must be a known constant");
	}
	if (!rdonly && !rdwr)
		return 0;
	err = take_constant(v, regno, &size, "is not a const");
	if (err)
		return err;
	if (size > UINT32_MAX)
		return refuse_text(v, KFUNC_ARG, -EINVAL, "R%d rdonly/rdwr_buf_size exceeds u32 max", regno);
	call->mem_size = (u32)size;
	call->mem_rdonly = rdonly;
	return 0;
}

/* == What kind of pointer is wanted? == */

enum arg_kind {
	KIND_CTX, KIND_NULL, KIND_DYNPTR, KIND_MAP, KIND_ITER, KIND_STR, KIND_IRQ, KIND_OBJECT, KIND_MEM, KIND_MEM_SIZE,
	KIND_GRAPH, KIND_WORK, KIND_LOCK, KIND_CALLBACK, KIND_OTHER
};

static bool is_struct(const struct verifier *v, const struct btf_type *t, const char *name) {
	return btf_is_composite(t) && !strcmp(btf_name(kernel(v), t), name);
}

/* Work that a field of a map's value stands for. */
static const char *work_field(const struct verifier *v, const struct btf_type *pointee) {
	if (is_struct(v, pointee, "bpf_wq"))
		return "bpf_wq";
	return is_struct(v, pointee, "bpf_task_work") ? "bpf_task_work" : NULL;
}

static bool same_context(const char *wanted, const char *name) {
	return !strcmp(wanted, name) || (!strcmp(wanted, "__sk_buff") && !strcmp(name, "sk_buff")) ||
	       (!strcmp(wanted, "xdp_md") && !strcmp(name, "xdp_buff"));
}

static bool is_context(const struct verifier *v, const struct kfunc *f, const struct btf_type *pointee) {
	if (f->special == KF_CAST_TO_KERN_CTX)
		return true;
	return v->ctx && v->ctx->name && btf_is_composite(pointee) && same_context(v->ctx->name, btf_name(kernel(v), pointee));
}

bool kfunc_is_number_struct(struct verifier *v, const struct btf *btf, const struct btf_type *t, u32 depth) {
	const struct btf_member *members = btf_members(t);
	if (!btf_is_composite(t))
		return false;
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const struct btf_type *m = btf_skip_type(btf, members[i].type);
		if (btf_is_composite(m)) {
			if (depth == NESTED_MAX) {
				vlog(v, "max struct nesting depth exceeded\n");
				return false;
			}
			if (!kfunc_is_number_struct(v, btf, m, depth + 1))
				return false;
			continue;
		}
		if (btf_kind(m) == BTF_KIND_ARRAY) {
			if (!btf_array(m)->nelems)
				return false;
			m = btf_skip_type(btf, btf_array(m)->type);
		}
		if (!kfunc_is_number(m))
			return false;
	}
	return true;
}

/* The struct by whose name BTF knows what the other kinds of pointers point to. */
static const char *struct_name(u32 type) {
	switch (base_type(type)) {
	case PTR_TO_SOCKET: return "sock";
	case PTR_TO_SOCK_COMMON: return "sock_common";
	case PTR_TO_TCP_SOCK: return "tcp_sock";
	case CONST_PTR_TO_MAP: return "bpf_map";
	}
	return NULL;
}

static bool is_object(const struct reg *r) {
	return base_type(r->type) == PTR_TO_BTF_ID || struct_name(r->type);
}

/* Does the next argument say how long the memory is? */
static bool size_follows(struct verifier *v, const struct kfunc *f, u32 i) {
	if (i + 1 >= f->params_n || !kfunc_is_number(btf_skip_type(kernel(v), f->params[i + 1].type)) ||
	    cur_regs(v)[i + 2].type != SCALAR_VALUE)
		return false;
	return has_suffix(v, f, i + 1, "__sz") || has_suffix(v, f, i + 1, "__szk");
}

static int memory_kind(struct verifier *v, const struct kfunc *f, u32 i, const struct btf_type *pointee,
                       enum arg_kind *kind) {
	bool sized = size_follows(v, f, i);
	*kind = sized ? KIND_MEM_SIZE : KIND_MEM;
	if (kfunc_is_number(pointee) || kfunc_is_number_struct(v, kernel(v), pointee, 0) ||
	    (sized && btf_kind(pointee) == BTF_KIND_UNKN))
		return 0;
	say_kfunc(v, f, i, "the function wants a pointer to something that has no plain bytes");
	return refuse_text(v, KFUNC_ARG, -EINVAL, "arg#%d pointer type %s %s must point to %sscalar, or struct with scalar", i,
	                   kind_text(pointee), btf_name(kernel(v), pointee), sized ? "void, " : "");
}

static enum graph_arg graph_kind(const struct verifier *v, const struct kfunc *f, u32 i,
                                 const struct btf_type *pointee) {
	return graph_arg_kind(param_name(v, f, i), kernel(v), pointee);
}

static int kind_of(struct verifier *v, const struct kfunc *f, u32 i, const struct btf_type *pointee, enum arg_kind *kind) {
	const struct reg *r = &cur_regs(v)[i + 1];
	*kind = KIND_OTHER;
	if (is_context(v, f, pointee)) {
		*kind = KIND_CTX;
	} else if (has_suffix(v, f, i, "__nullable") && reg_is_zero(r)) {
		*kind = KIND_NULL;
	} else if (is_struct(v, pointee, "bpf_dynptr")) {
		*kind = KIND_DYNPTR;
	} else if (graph_kind(v, f, i, pointee) != GRAPH_NONE) {
		*kind = KIND_GRAPH;
	} else if (is_struct(v, pointee, "bpf_timer")) {
		return refuse_not_yet(v, f->name);
	} else if (f->flags & KFUNC_ITER ? !i : has_suffix(v, f, i, "__iter")) {
		*kind = KIND_ITER;
	} else if (has_suffix(v, f, i, "__str")) {
		*kind = KIND_STR;
	} else if (has_suffix(v, f, i, "__map")) {
		*kind = KIND_MAP;
	} else if (has_suffix(v, f, i, "__irq_flag")) {
		*kind = KIND_IRQ;
	} else if (work_field(v, pointee)) {
		*kind = KIND_WORK;
	} else if (is_struct(v, pointee, "bpf_res_spin_lock")) {
		*kind = KIND_LOCK;
	} else if (!is_object(r) && btf_kind(pointee) == BTF_KIND_FUNC_PROTO) {
		*kind = KIND_CALLBACK;
	} else if (!is_object(r)) {
		return memory_kind(v, f, i, pointee, kind);
	} else if (!btf_is_composite(pointee)) {
		say_kfunc(v, f, i, "a kernel object is passed where the function wants plain memory");
		return refuse_text(v, KFUNC_ARG, -EINVAL, "kernel function %s args#%d pointer type %s %s is not supported", f->name,
		                   i, kind_text(pointee), btf_name(kernel(v), pointee));
	} else {
		*kind = KIND_OBJECT;
	}
	return 0;
}

/* == Kernel objects == */

static int check_alive(struct verifier *v, const struct kfunc *f, u32 i) {
	const struct reg *r = &cur_regs(v)[i + 1];
	if (reg_is_trusted(r) || (f->flags & KFUNC_RCU && r->type & MEM_RCU))
		return 0;
	say_kfunc(v, f, i, "nothing keeps the object alive");
	if (f->flags & KFUNC_RCU)
		return refuse_text(v, UNTRUSTED_ARG, -EINVAL, "R%d must be a rcu pointer", i + 1);
	return refuse(v, UNTRUSTED_ARG, -EINVAL, i + 1);
}

/* Types whose names differ by the suffix ___init only are not each other's beginning: one is not ready yet. */
static bool is_unready_alias(const char *a, const char *b) {
	static const char suffix[] = "___init";
	u64 n = strlen(a), m = strlen(b), more = sizeof suffix - 1;
	if (n > m) {
		const char *t = a;
		u64 k = n;
		a = b, b = t;
		n = m, m = k;
	}
	return m == n + more && !strncmp(a, b, n) && !strcmp(b + n, suffix);
}

/* Is the wanted struct the one at off of this one, itself or nested at its beginning? */
static bool contains(const struct btf *btf, u32 id, u32 off, u32 wanted, bool strict) {
	struct btf_access hit;
	if (!off && id == wanted)
		return true;
	for (u32 depth = 0; !strict && depth < 64; depth++) {
		if (btf_walk(btf, id, off, 1, &hit) || hit.kind != BTF_WALK_STRUCT)
			return false;
		id = hit.type_id;
		off = 0;
		if (id == wanted)
			return true;
	}
	return false;
}

static int check_object(struct verifier *v, const struct kfunc *f, u32 i, u32 wanted) {
	const struct reg *r = &cur_regs(v)[i + 1];
	const struct btf *btf = kernel(v);
	const char *have_name, *want_name = btf_name_of(btf, wanted), *name = struct_name(r->type);
	const struct btf *have_btf = name ? btf : r->btf;
	u32 have = name ? btf_find(btf, name, BTF_KIND_STRUCT) : btf_skip_modifiers(r->btf, r->btf_id);
	bool strict;
	have_name = btf_name_of(have_btf, have);
	strict = (f->flags & KFUNC_RELEASE && r->ref) || is_unready_alias(have_name, want_name);
	if ((have_btf == btf && have && r->off >= 0 && contains(btf, have, (u32)r->off, wanted, strict)) ||
	    (strcmp(want_name, have_name) && same_context(want_name, have_name)))
		return 0;
	say_kfunc(v, f, i, "it points to another type");
	return refuse_text(v, KFUNC_ARG, -EINVAL,
	                   "kernel function %s args#%d expected pointer to %s %s but R%d has a pointer to %s %s", f->name, i,
	                   kind_text(btf_type(btf, wanted)), want_name, i + 1, kind_text(btf_type(have_btf, have)), have_name);
}

/* == Contexts, memory == */

/* The kernel's own struct behind the context that programs see. */
static int find_kernel_context(struct verifier *v, u32 *id) {
	const struct btf *btf = kernel(v);
	u32 all = btf_find(btf, "bpf_ctx_convert", BTF_KIND_STRUCT), types = btf_find(btf, "bpf_prog_type", BTF_KIND_ENUM);
	const char *type = types ? btf_enum_name(btf, btf_type(btf, types), v->in->prog_type) : NULL;
	char name[80];
	s32 member = -1;
	if (all && type) {
		snprintf(name, sizeof name, "%s_kern", type);
		member = btf_member_index(btf, btf_type(btf, all), name);
	}
	if (member < 0)
		return refuse_not_yet(v, "the kernel's own context of this program type");
	*id = btf_members(btf_type(btf, all))[member].type;
	if (btf_is_composite(btf_type(btf, *id)))
		return 0;
	return refuse_text(v, KFUNC_ARG, -EINVAL, "kern ctx type id %u is not a struct", *id);
}

static int check_context(struct verifier *v, u32 i, struct kfunc_call *call) {
	char name[TYPE_NAME_MAX];
	u32 type = cur_regs(v)[i + 1].type;
	if (type != PTR_TO_CTX) {
		say_kfunc(v, call->f, i, "it must be the context");
		return refuse_text(v, KFUNC_ARG, -EINVAL, "arg#%d expected pointer to ctx, but got %s", i,
		                   reg_type_name(type, name));
	}
	return call->f->special == KF_CAST_TO_KERN_CTX ? find_kernel_context(v, &call->ctx_id) : 0;
}

static int check_memory(struct verifier *v, u32 i, u32 pointee_id, const struct kfunc *f) {
	const struct btf_type *pointee = btf_type(kernel(v), pointee_id);
	s64 size = btf_size(kernel(v), pointee_id);
	if (size >= 0 && size <= INT32_MAX)
		return check_mem_arg(v, i + 1, (u32)size);
	say_kfunc(v, f, i, "its size is not known");
	return refuse_text(v, KFUNC_ARG, -EINVAL, "arg#%d reference type('%s %s') size cannot be determined: %ld", i,
	                   kind_text(pointee), btf_name(kernel(v), pointee), (long)size);
}

/* Memory in argument i, its size in the next. Memory that need not be there is NULL of any size. */
static int check_sized_memory(struct verifier *v, u32 i, struct kfunc_call *call) {
	struct reg *mem = &cur_regs(v)[i + 1], was = *mem;
	struct helper_call none = {.callback = -1};
	bool absent = reg_is_zero(mem) && has_suffix(v, call->f, i, "__opt");
	int err;
	if (mem->type == PTR_TO_STACK)
		call->buffer_frame = mem->frameno + 1;
	if (mem->type & PTR_MAYBE_NULL)
		mark_known_not_null(v, mem);
	err = absent ? mark_precise(v, (s32)i + 1) : check_mem_size_pair(v, i + 2, false, true, &none);
	if (!err)
		err = absent ? mark_precise(v, (s32)i + 2) : check_mem_size_pair(v, i + 2, true, true, &none);
	if (was.type & PTR_MAYBE_NULL)
		*mem = was;
	if (err) {
		say_kfunc(v, call->f, i, "memory and length do not fit each other");
		return refuse(v, MEM_LEN_PAIR, err, i, i + 1);
	}
	if (!has_suffix(v, call->f, i + 1, "__szk"))
		return 0;
	ASSERT(!call->has_constant);
	call->has_constant = true;
	return known_constant(v, i + 2, &call->constant, "must be a known constant"); /* it is precise already */
}

/* == Dynptrs == */

static u32 made_type(const struct kfunc_call *call) {
	switch (call->f->special) {
	case KF_DYNPTR_FROM_SKB: return DYNPTR_TYPE_SKB;
	case KF_DYNPTR_FROM_XDP: return DYNPTR_TYPE_XDP;
	case KF_DYNPTR_FROM_SKB_META: return DYNPTR_TYPE_SKB_META;
	case KF_DYNPTR_CLONE: return dynptr_type_flag(call->dynptr.type);
	default: return 0;
	}
}

/* One in use, or (name__uninit) a place for one that the function makes. */
static int check_dynptr(struct verifier *v, u32 i, struct kfunc_call *call) {
	bool uninit = has_suffix(v, call->f, i, "__uninit"), fixed = cur_regs(v)[i + 1].type == CONST_PTR_TO_DYNPTR;
	u32 arg = ARG_PTR_TO_DYNPTR | (fixed ? MEM_RDONLY : 0), type = made_type(call);
	const struct reg *d;
	int err;
	if (!uninit) {
		err = check_dynptr_arg(v, i + 1, arg, 0);
		if (err)
			return err;
		d = dynptr_of(v, &cur_regs(v)[i + 1]);
		call->dynptr.type = d->dynptr_type;
		call->dynptr.id = d->id;
		call->dynptr.ref = d->ref;
		call->packet_dynptr |= d->dynptr_type == BPF_DYNPTR_TYPE_SKB || d->dynptr_type == BPF_DYNPTR_TYPE_SKB_META;
		return 0;
	}
	if (fixed)
		return refuse_text(v, INTERNAL, -EFAULT, "verifier bug: misconfigured dynptr helper type flags");
	if (!type)
		return refuse_not_yet(v, call->f->name);
	return check_dynptr_arg(v, i + 1, arg | MEM_UNINIT | type, call->dynptr.ref);
}

/* == Maps == */

/* The work's own map, and the one that is passed, must be the same one. */
static int refuse_other_map(struct verifier *v, u32 i, const struct kfunc_call *call) {
	u32 uid = cur_regs(v)[i + 1].map_uid;
	bool task = call->f->special == KF_TASK_WORK;
	return refuse_text(v, TIMER_MAP, -EINVAL, "%s pointer in R%d map_uid=%d doesn't match map pointer in R%d map_uid=%d",
	                   task ? "bpf_task_work" : "workqueue", task ? 2 : 1, call->map_uid, task ? 3 : 2, uid);
}

/* A map that the program knows, or (of map iterators) the kernel's object. What belongs to a map is told apart later. */
static int check_map(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	switch (base_type(r->type)) {
	case CONST_PTR_TO_MAP:
	case PTR_TO_MAP_VALUE:
	case PTR_TO_MAP_KEY:
		if (call->map && (call->map != r->map || call->map_uid != r->map_uid))
			return refuse_other_map(v, i, call);
		return 0;
	case PTR_TO_BTF_ID:
		return call->map ? refuse_other_map(v, i, call) : 0;
	}
	say_kfunc(v, call->f, i, "it must be a map");
	return refuse_text(v, KFUNC_ARG, -EINVAL, "pointer in R%d isn't map pointer", i + 1);
}

static int check_work(struct verifier *v, u32 i, const char *field, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	if (r->type != PTR_TO_MAP_VALUE) {
		say_kfunc(v, call->f, i, "it must lie in a map's value");
		return refuse_text(v, KFUNC_ARG, -EINVAL, "arg#%d doesn't point to a map value", i);
	}
	ASSERT(!call->map);
	call->map = r->map;
	call->map_uid = r->map_uid;
	return check_map_field(v, i + 1, field);
}

static int check_callback(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	if (r->type != PTR_TO_FUNC) {
		say_kfunc(v, call->f, i, "it must be a function of the program");
		return refuse_text(v, KFUNC_ARG, -EINVAL, "arg%d expected pointer to func", i);
	}
	call->callback = (s32)r->subprog;
	return 0;
}

/* == One argument == */

static int check_reference(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	bool release = call->f->flags & KFUNC_RELEASE;
	if (!r->ref)
		return 0;
	if (release && call->ref)
		return refuse_text(v, INTERNAL, -EFAULT, "more than one arg with ref_obj_id");
	call->ref = r->ref;
	if (release)
		call->release_reg = i + 1;
	return 0;
}

static int check_kind(struct verifier *v, u32 *i, enum arg_kind kind, u32 pointee_id, struct kfunc_call *call) {
	struct helper_call none = {.callback = -1};
	u32 regno = *i + 1;
	switch (kind) {
	case KIND_CTX:
		return check_context(v, *i, call);
	case KIND_DYNPTR:
		return check_dynptr(v, *i, call);
	case KIND_ITER:
		return check_iter_arg(v, regno, call);
	case KIND_STR:
		if (cur_regs(v)[regno].type == PTR_TO_MAP_VALUE)
			return check_const_str(v, regno, &none);
		say_kfunc(v, call->f, *i, "it must be constant text");
		return refuse_text(v, KFUNC_ARG, -EINVAL, "arg#%d doesn't point to a const string", *i);
	case KIND_WORK:
		return check_work(v, *i, work_field(v, btf_type(kernel(v), pointee_id)), call);
	case KIND_LOCK:
		return check_res_lock_arg(v, regno, call);
	case KIND_CALLBACK:
		return check_callback(v, *i, call);
	case KIND_IRQ:
		return check_irq_arg(v, regno, call);
	case KIND_MAP:
		return check_object(v, call->f, *i, btf_find(kernel(v), "bpf_map", BTF_KIND_STRUCT));
	case KIND_OBJECT:
		return check_object(v, call->f, *i, pointee_id);
	case KIND_GRAPH:
		return check_graph_arg(v, *i, graph_kind(v, call->f, *i, btf_type(kernel(v), pointee_id)), call);
	case KIND_MEM:
		return check_memory(v, *i, pointee_id, call->f);
	case KIND_MEM_SIZE:
		return check_sized_memory(v, (*i)++, call);
	default:
		return refuse_not_yet(v, call->f->name);
	}
}

static int check_pointer(struct verifier *v, u32 *i, const struct btf_type *ptr, struct kfunc_call *call) {
	const struct kfunc *f = call->f;
	const struct reg *r = &cur_regs(v)[*i + 1];
	u32 pointee_id = btf_skip_modifiers(kernel(v), ptr->type);
	enum arg_kind kind;
	bool nullable = has_suffix(v, f, *i, "__nullable") || has_suffix(v, f, *i, "__opt");
	int err;
	if (!nullable && (reg_is_zero(r) || r->type & PTR_MAYBE_NULL)) {
		say_kfunc(v, f, *i, "it may be NULL");
		return refuse(v, TRUSTED_NULL, -EACCES, *i);
	}
	err = check_reference(v, *i, call);
	if (!err)
		err = kind_of(v, f, *i, btf_type(kernel(v), pointee_id), &kind);
	if (!err && kind == KIND_MAP)
		err = check_map(v, *i, call);
	if (!err && (kind == KIND_OBJECT || kind == KIND_MAP || (kind == KIND_GRAPH && has_suffix(v, f, *i, "__alloc"))))
		err = check_alive(v, f, *i);
	if (err)
		return err;
	if (kind == KIND_NULL) /* no other number will do */
		return mark_precise(v, (s32)*i + 1);
	if (r->type == NOT_INIT) { /* the reference takes it for a pointer that was moved */
		say_kfunc(v, f, *i, "nothing was written to it on this path");
		return refuse_text(v, KFUNC_ARG, -EACCES, "variable ? access var_off=(0x0; 0xffffffffffffffff) disallowed");
	}
	err = check_arg_offset(v, *i + 1, f->flags & KFUNC_RELEASE && r->ref ? OBJ_RELEASE : 0);
	return err ? err : check_kind(v, i, kind, pointee_id, call);
}

static int check_arg(struct verifier *v, u32 *i, struct kfunc_call *call) {
	const struct kfunc *f = call->f;
	const struct btf_type *t = btf_skip_type(kernel(v), f->params[*i].type);
	if (has_suffix(v, f, *i, "__ign") || has_suffix(v, f, *i, "__prog"))
		return 0;
	if (kfunc_is_number(t))
		return check_number(v, *i, call);
	if (btf_kind(t) == BTF_KIND_PTR)
		return check_pointer(v, i, t, call);
	say_kfunc(v, f, *i, "its type is not understood");
	return refuse_text(v, KFUNC_ARG, -EINVAL, "Unrecognized arg#%d type %s", *i, kind_text(t));
}

int check_kfunc_args(struct verifier *v, struct kfunc_call *call) {
	const struct kfunc *f = call->f;
	if (f->params_n > 5) {
		say(v, "name", "%s", f->name);
		return refuse_text(v, KFUNC_ARG, -EINVAL, "Function %s has %d > %d args", f->name, f->params_n, 5);
	}
	for (u32 i = 0; i < f->params_n; i++) {
		int err = check_arg(v, &i, call);
		if (err)
			return err;
	}
	if (!(f->flags & KFUNC_RELEASE) || call->release_reg)
		return 0;
	say(v, "name", "%s", f->name);
	return refuse(v, KFUNC_RELEASE, -EINVAL, f->name);
}
