/* Kernel functions on objects that programs allocate: making and dropping them, counting references, lists and trees.
 *
 *   argument                       what it must be
 *   p__alloc                       an owned object, of one or of each processor
 *   p__refcounted_kptr             an object with a bpf_refcount, owned or borrowed
 *   pointer to bpf_list_head,      a root in a map value or an owned object, whose lock is held
 *              bpf_rb_root
 *   pointer to bpf_list_node,      the node of an object of the type that the root holds: an owned one that is added, or
 *              bpf_rb_node         one that is in the tree
 *
 * The function less(a, b) of bpf_rbtree_add is a callback like others; it runs while the lock is held, with two borrowed
 * objects.
 *
 * What comes back: bpf_obj_new, pop and remove give an owned object, front, back, first, root, left and right a borrowed
 * one. Adding makes an owned object a borrowed one: the tree owns it now. */
#include "verify/kfunc.h"
#include <string.h>

enum { PERCPU_OBJECT_MAX = 512 };

static bool is_list(enum kfunc_special s) {
	return s == KF_LIST_PUSH || s == KF_LIST_POP || s == KF_LIST_PEEK;
}
static bool adds(enum kfunc_special s) {
	return s == KF_LIST_PUSH || s == KF_RB_ADD;
}

static bool ends_with(const char *name, const char *suffix) {
	u64 n = strlen(name), m = strlen(suffix);
	return n >= m && !strcmp(name + n - m, suffix);
}

static bool is_struct(const struct btf *btf, const struct btf_type *t, const char *a, const char *b) {
	const char *name = btf_kind(t) == BTF_KIND_STRUCT ? btf_name(btf, t) : "";
	return !strcmp(name, a) || !strcmp(name, b);
}

enum graph_arg graph_arg_kind(const char *param, const struct btf *btf, const struct btf_type *t) {
	if (ends_with(param, "__alloc"))
		return GRAPH_OBJECT;
	if (ends_with(param, "__refcounted_kptr"))
		return GRAPH_COUNTED;
	if (is_struct(btf, t, "bpf_list_head", "bpf_rb_root"))
		return GRAPH_ROOT;
	if (is_struct(btf, t, "bpf_list_node", "bpf_rb_node"))
		return GRAPH_NODE;
	return GRAPH_NONE;
}

/* == Arguments == */

static int refuse_arg(struct verifier *v, const struct kfunc *f, u32 i, const char *why, const char *fmt) {
	say_reg(v, i + 1);
	say(v, "arg", "%u", i + 1);
	say(v, "name", "%s", f->name);
	say(v, "why", "%s", why);
	return refuse_text(v, KFUNC_ARG, -EINVAL, fmt, i);
}

static int refuse_unowned(struct verifier *v, const struct kfunc *f, u32 i) {
	say_reg(v, i + 1);
	say(v, "arg", "%u", i + 1);
	say(v, "name", "%s", f->name);
	return refuse(v, OBJECT_UNOWNED, -EINVAL);
}

/* What is dropped. */
static int check_owned(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	const struct kfunc *f = call->f;
	if (r->type == (PTR_TO_BTF_ID | MEM_ALLOC)) {
		if (f->special != KF_OBJ_DROP)
			return refuse_arg(v, f, i, "it is no object of each processor", "arg#%d expected for bpf_obj_drop_impl()");
	} else if (r->type == (PTR_TO_BTF_ID | MEM_ALLOC | MEM_PERCPU)) {
		if (f->special != KF_PERCPU_OBJ_DROP)
			return refuse_arg(v, f, i, "it is one of each processor", "arg#%d expected for bpf_percpu_obj_drop_impl()");
	} else {
		return refuse_arg(v, f, i, "the program did not allocate it", "arg#%d expected pointer to allocated object");
	}
	return r->ref ? 0 : refuse_unowned(v, f, i);
}

static int check_counted(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	if (base_type(r->type) != PTR_TO_BTF_ID || !(r->type & MEM_ALLOC))
		return refuse_arg(v, call->f, i, "it is no object that the program allocated",
		                  "arg#%d is neither owning or non-owning ref");
	call->owned = !(r->type & NON_OWN_REF);
	if (!btf_field_at(object_fields(v, r->btf, r->btf_id), BTF_FIELD_REFCOUNT, -1))
		return refuse_arg(v, call->f, i, "its type has no bpf_refcount",
		                  "arg#%d doesn't point to a type with bpf_refcount field");
	call->object_btf = r->btf;
	call->object_id = r->btf_id;
	return 0;
}

static int refuse_place(struct verifier *v, u32 regno, const char *what, const char *fmt) {
	say_reg(v, regno);
	say(v, "name", "%s", what);
	say(v, "off", "%lld", (long long)cur_regs(v)[regno].s.var.value + cur_regs(v)[regno].off);
	return refuse_text(v, GRAPH_PLACE, -EINVAL, fmt, regno, what, what);
}

static const char variable_place[] = "R%d doesn't have constant offset. %s has to be at the constant offset";

static int check_root_lock(struct verifier *v, const struct reg *r, const char *what) {
	const struct btf_fields *fields = fields_of(v, r);
	if (is_lock_held(v, r))
		return 0;
	say(v, "name", "%s", what);
	say(v, "off", "%d", fields->spin_lock);
	if (v->cur->active_locks)
		refuse_text(v, GRAPH_LOCK, -EINVAL, "held lock and object are not in the same allocation");
	return refuse(v, GRAPH_LOCK, -EINVAL, fields->spin_lock, what);
}

static int check_root(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	bool list = is_list(call->f->special), value = r->type == PTR_TO_MAP_VALUE;
	const char *what = list ? "bpf_list_head" : "bpf_rb_root";
	const struct btf_field *f;
	int err;
	if (!value && r->type != (PTR_TO_BTF_ID | MEM_ALLOC))
		return refuse_arg(v, call->f, i, "roots lie in map values and in objects",
		                  "arg#%d expected pointer to map value or allocated object");
	if (!value && !r->ref)
		return refuse_unowned(v, call->f, i);
	if (!scalar_is_const(&r->s))
		return refuse_place(v, i + 1, what, variable_place);
	f = btf_field_at(fields_of(v, r), list ? BTF_FIELD_LIST_HEAD : BTF_FIELD_RB_ROOT, (u32)(r->off + (s32)r->s.var.value));
	if (!f) {
		say_reg(v, i + 1);
		say(v, "name", "%s", what);
		say(v, "off", "%d", r->off + (s32)r->s.var.value);
		return refuse(v, GRAPH_PLACE, -EINVAL, what, (u32)(r->off + (s32)r->s.var.value));
	}
	err = check_root_lock(v, r, what);
	if (err)
		return err;
	ASSERT(!call->root_btf);
	call->root = *f;
	call->root_btf = value ? r->map->facts->btf : r->btf;
	return 0;
}

static int check_node_state(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	const struct kfunc *f = call->f;
	bool borrowed = r->type & NON_OWN_REF && base_type(r->type) == PTR_TO_BTF_ID && r->type & MEM_ALLOC;
	if (adds(f->special)) {
		if (r->type != (PTR_TO_BTF_ID | MEM_ALLOC))
			return refuse_arg(v, f, i, "the program does not own it", "arg#%d expected pointer to allocated object");
		return r->ref ? 0 : refuse_unowned(v, f, i);
	}
	say(v, "name", "%s", f->name);
	if (!borrowed && !r->ref)
		return refuse_text(v, KFUNC_ARG, -EINVAL, "%s can only take non-owning or refcounted bpf_rb_node pointer", f->name);
	if (in_tree_callback(v))
		return refuse_text(v, KFUNC_ARG, -EINVAL, "%s not allowed in rbtree cb", f->name);
	v->values_n = 0;
	return 0;
}

static int check_node(struct verifier *v, u32 i, struct kfunc_call *call) {
	const struct reg *r = &cur_regs(v)[i + 1];
	bool list = is_list(call->f->special);
	const char *what = list ? "bpf_list_node" : "bpf_rb_node", *root = list ? "bpf_list_head" : "bpf_rb_root";
	const char *want;
	u32 off;
	int err = check_node_state(v, i, call);
	if (err)
		return err;
	if (!scalar_is_const(&r->s))
		return refuse_place(v, i + 1, what, variable_place);
	off = (u32)(r->off + (s32)r->s.var.value);
	say_reg(v, i + 1);
	say(v, "name", "%s", what);
	say(v, "off", "%u", off);
	if (base_type(r->type) != PTR_TO_BTF_ID || !(r->type & MEM_ALLOC) ||
	    !btf_field_at(fields_of(v, r), list ? BTF_FIELD_LIST_NODE : BTF_FIELD_RB_NODE, off))
		return refuse(v, GRAPH_PLACE, -EINVAL, what, off);
	ASSERT(call->root_btf);
	want = btf_name_of(call->root_btf, call->root.type_id);
	say(v, "expected", "%s", want);
	if (r->btf != call->root_btf || r->btf_id != call->root.type_id)
		return refuse(v, GRAPH_TYPE, -EINVAL, root, what, call->root.node_off, want, off, btf_name_of(r->btf, r->btf_id));
	if (off != call->root.node_off)
		return refuse_text(v, GRAPH_TYPE, -EINVAL, "arg#1 offset=%d, but expected %s at offset=%d in struct %s", off, what,
		                   call->root.node_off, want);
	v->values_n = 0;
	return 0;
}

int check_graph_arg(struct verifier *v, u32 i, enum graph_arg kind, struct kfunc_call *call) {
	switch (kind) {
	case GRAPH_OBJECT: return check_owned(v, i, call);
	case GRAPH_COUNTED: return check_counted(v, i, call);
	case GRAPH_ROOT: return check_root(v, i, call);
	case GRAPH_NODE: return check_node(v, i, call);
	default: return refuse_not_yet(v, call->f->name);
	}
}

/* == Effects == */

/* What was owned is the list's or tree's now, and borrowed as long as the lock is held. */
int step_graph(struct verifier *v, const struct kfunc_call *call) {
	u32 id = cur_regs(v)[BPF_REG_2].ref;
	if (!adds(call->f->special))
		return 0;
	ASSERT(id && state_find_ref(v->cur, REF_PTR, id));
	for (struct reg_walk w = {.state = v->cur}; reg_next(&w);) {
		int err = 0;
		if (w.reg->ref != id)
			continue;
		w.reg->ref = 0;
		err = set_borrowed(v, w.reg);
		if (err)
			return err;
	}
	return release_reference(v, id);
}

/* == Results == */

static int refuse_new(struct verifier *v, const char *why, const char *line) {
	say(v, "why", "%s", why);
	return refuse_text(v, OBJECT_NEW, -EINVAL, "%s", line);
}

static int set_new(struct verifier *v, const struct kfunc_call *call, struct reg *r) {
	bool percpu = call->f->special == KF_PERCPU_OBJ_NEW;
	const struct btf *btf = v->in->btf;
	const struct btf_type *t;
	u32 id = (u32)call->constant;
	ASSERT(call->has_constant);
	if (id != call->constant)
		return refuse_new(v, "the number of its type is too large", "local type ID argument must be in range [0, U32_MAX]");
	if (!btf)
		return refuse_new(v, "the program has no types", "bpf_obj_new/bpf_percpu_obj_new requires prog BTF");
	t = btf_type(btf, id);
	if (!t || btf_kind(t) != BTF_KIND_STRUCT)
		return refuse_new(v, "only structures can be allocated",
		                  "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct");
	if (percpu && t->size > PERCPU_OBJECT_MAX) {
		say(v, "why", "an object of each processor has at most %d bytes", PERCPU_OBJECT_MAX);
		return refuse_text(v, OBJECT_NEW, -EINVAL, "bpf_percpu_obj_new type size (%d) is greater than %d", t->size,
		                   PERCPU_OBJECT_MAX);
	}
	if (percpu && !kfunc_is_number_struct(v, btf, t, 0))
		return refuse_new(v, "an object of each processor holds numbers only",
		                  "bpf_percpu_obj_new type ID argument must be of a struct of scalars");
	if (percpu && object_fields(v, btf, id)->n)
		return refuse_new(v, "an object of each processor has no special fields",
		                  "bpf_percpu_obj_new type ID argument must not contain special fields");
	reg_set_pointer(r, PTR_TO_BTF_ID | MEM_ALLOC | (percpu ? MEM_PERCPU : 0));
	r->btf = btf;
	r->btf_id = id;
	return 0;
}

int set_graph_result(struct verifier *v, const struct kfunc_call *call, struct reg *r, bool *done) {
	*done = true;
	switch (call->f->special) {
	case KF_OBJ_NEW:
	case KF_PERCPU_OBJ_NEW:
		return set_new(v, call, r);
	case KF_REFCOUNT_ACQUIRE:
		reg_set_pointer(r, PTR_TO_BTF_ID | MEM_ALLOC);
		r->btf = call->object_btf;
		r->btf_id = call->object_id;
		return 0;
	case KF_LIST_POP:
	case KF_RB_REMOVE:
		set_node(r, call->root_btf, &call->root);
		return 0;
	case KF_LIST_PEEK:
	case KF_RB_PEEK:
		set_node(r, call->root_btf, &call->root);
		return set_borrowed(v, r);
	default:
		*done = false;
		return 0;
	}
}
