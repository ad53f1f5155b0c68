/* Contexts of programs that are attached by BTF: the arguments of what they are attached to, eight bytes each.
 *
 *      u64 ctx[]:   argument 0 │ argument 1 │ … │ result, behind the arguments, for those that see it
 *
 *   a number, a small struct     a number
 *   pointer to a struct          a BTF pointer: trusted in tracepoints, iterators and most LSM hooks, plain in functions,
 *                                user or percpu by its tag; maybe NULL where BTF (__nullable) or abi/targets.def say so
 *   other pointers               a number; of iterators' buffers memory whose size is known when it is attached
 *
 * What is said to the log on the way is the kernel's. */
#include "verify/env.h"
#include <string.h>

/* Which parameter lies at off: structs take as many words as they need. One past the last is the result. */
static u32 parameter_at(const struct btf *btf, const struct btf_type *proto, u32 off) {
	u32 n = btf_vlen(proto), end = 0;
	for (u32 i = 0; i <= n; i++) {
		const struct btf_type *t = btf_skip_type(btf, i < n ? btf_params(proto)[i].type : proto->type);
		u32 kind = btf_kind(t);
		end += kind == BTF_KIND_PTR ? 8 : kind == BTF_KIND_UNKN ? 0 : (u32)round_up(t->size, 8);
		if (off < end)
			return i;
	}
	return n + 1;
}

static bool is_ops(const struct verifier *v) { /* whose attach type is the index of a member */
	return v->in->prog_type == BPF_PROG_TYPE_STRUCT_OPS;
}

static bool args_are_trusted(const struct verifier *v) {
	u32 attach = v->in->expected_attach_type;
	if (is_ops(v))
		return true;
	if (v->in->prog_type == BPF_PROG_TYPE_LSM)
		return !(v->target.row && v->target.row->flags & TARGET_UNTRUSTED);
	return attach == BPF_TRACE_RAW_TP || attach == BPF_TRACE_ITER;
}

static bool is_nullable(const struct verifier *v, const struct btf_param *param, u32 arg) {
	const char *name = btf_string(v->in->kernel_btf, param->name_off), *suffix = strstr(name, "__nullable");
	if (suffix && !suffix[strlen("__nullable")])
		return true;
	return !is_ops(v) && v->in->expected_attach_type == BPF_TRACE_RAW_TP && v->target.row &&
	       v->target.row->args >> 4 * arg & 1;
}

static bool may_be_error(const struct verifier *v, u32 arg) {
	return !is_ops(v) && v->in->expected_attach_type == BPF_TRACE_RAW_TP && v->target.row &&
	       v->target.row->args >> 4 * arg & 2;
}

static int refuse_no_argument(struct verifier *v, u32 arg) {
	vlog(v, "func '%s' doesn't have %d-th argument\n", v->target.name, arg + 1);
	return -EACCES;
}

static bool is_small_int(const struct btf_type *t) {
	return btf_kind(t) == BTF_KIND_INT && t->size <= 8;
}

/* The result, behind the arguments: *t is its type. */
static int result_type(struct verifier *v, u32 arg, const struct btf_type **t) {
	const struct btf *btf = v->in->kernel_btf;
	if (is_ops(v))
		return refuse_no_argument(v, arg);
	switch (v->in->expected_attach_type) {
	case BPF_LSM_MAC:
	case BPF_LSM_CGROUP:
	case BPF_TRACE_FEXIT:
		*t = btf_skip_type(btf, v->target.proto->type);
		return 0;
	case BPF_MODIFY_RETURN:
		*t = btf_skip_type(btf, v->target.proto->type);
		if (is_small_int(*t))
			return 0;
		vlog(v, "ret type %s not allowed for fmod_ret\n", btf_kind_name(btf_kind(*t)));
		return -EACCES;
	}
	return refuse_no_argument(v, arg);
}

/* The result of an LSM hook is what hooks return. */
static int load_number(struct verifier *v, bool result, struct reg *to) {
	struct return_range range;
	reg_set_unknown(to);
	if (!result || v->in->expected_attach_type != BPF_LSM_MAC || !hook_return_range(v, &range))
		return 0;
	to->s.r.smin = to->s.r32.smin = range.min;
	to->s.r.smax = to->s.r32.smax = range.max;
	scalar_sync(&to->s);
	return check_sane_number(v, to, "s32_range");
}

static void set_pointer(struct verifier *v, struct reg *to, u32 type, u32 btf_id) {
	reg_set_pointer(to, type);
	if (base_type(type) == PTR_TO_BTF_ID) {
		to->btf = v->in->kernel_btf;
		to->btf_id = btf_id;
	}
	if (type & PTR_MAYBE_NULL)
		to->id = ++v->id_gen;
}

/* What the table of iterators says of the argument, if anything. */
static bool load_by_table(struct verifier *v, u32 arg, bool buffers, struct reg *to, int *err) {
	const struct abi_target *row = v->target.row;
	u32 type, id = 0;
	*err = 0;
	if (is_ops(v) || v->in->expected_attach_type != BPF_TRACE_ITER)
		return false;
	if (!arg || arg > ARRAY_SIZE(row->arg) || !row->arg[arg - 1].reg)
		return false;
	type = row->arg[arg - 1].reg;
	if (buffers != (base_type(type) == PTR_TO_BUF))
		return false;
	if (!buffers) {
		id = btf_find(v->in->kernel_btf, row->arg[arg - 1].btf, BTF_KIND_STRUCT);
		if (!id) {
			*err = refuse_not_yet(v, "an argument of an iterator whose type is not known here");
			return true;
		}
	}
	set_pointer(v, to, type, id);
	return true;
}

static int load_object(struct verifier *v, u32 arg, const struct btf_param *param, const struct btf_type *pointer,
                       struct reg *to) {
	const struct btf *btf = v->in->kernel_btf;
	u32 id = btf_skip_modifiers(btf, pointer->type), type = PTR_TO_BTF_ID;
	const struct btf_type *t = btf_type(btf, id), *tag = btf_type(btf, pointer->type);
	if (!btf_is_composite(t)) {
		vlog(v, "func '%s' arg%d type %s is not a struct\n", v->target.name, arg, btf_kind_name(btf_kind(t)));
		return -EACCES;
	}
	type |= args_are_trusted(v) ? PTR_TRUSTED : 0;
	type |= param && is_nullable(v, param, arg) ? PTR_MAYBE_NULL : 0;
	if (btf_kind(tag) == BTF_KIND_TYPE_TAG) {
		const char *name = btf_name(btf, tag);
		type |= !strcmp(name, "user") ? MEM_USER : !strcmp(name, "percpu") ? MEM_PERCPU : 0;
	}
	vlog(v, "func '%s' arg%d has btf_id %d type %s '%s'\n", v->target.name, arg, id, btf_kind_name(btf_kind(t)),
	     btf_shown_name(btf, id));
	if (param && may_be_error(v, arg)) {
		vlog(v, "marking pointer arg%d as scalar as it may encode error", arg);
		reg_set_unknown(to);
		return 0;
	}
	if (is_ops(v) && !(type & (PTR_MAYBE_NULL | MEM_USER | MEM_PERCPU)))
		id = ops_arg_type(v, id);
	set_pointer(v, to, type, id);
	return 0;
}

/* The load of size bytes at off of the context. -EACCES: the caller says which access it was. */
int load_argument(struct verifier *v, s32 off, u32 size, struct reg *to) {
	const struct btf *btf = v->in->kernel_btf;
	const struct attach_target *target = &v->target;
	const struct btf_type *t, *pointee;
	u32 n, arg;
	int err = 0;
	ASSERT(target->proto && off >= 0);
	n = btf_vlen(target->proto) - target->first;
	if (off % 8) {
		vlog(v, "func '%s' offset %d is not multiple of 8\n", target->name, off);
		return -EACCES;
	}
	arg = parameter_at(btf, target->proto, (u32)off);
	if (arg > n)
		return refuse_no_argument(v, arg);
	if (arg == n)
		err = result_type(v, arg, &t);
	else
		t = btf_skip_type(btf, btf_params(target->proto)[target->first + arg].type);
	if (err)
		return err;
	if (is_small_int(t) || btf_is_any_enum(t) || btf_is_composite(t))
		return load_number(v, arg == n, to);
	if (btf_kind(t) != BTF_KIND_PTR) {
		vlog(v, "func '%s' arg%d '%s' has type %s. Only pointer access is allowed\n", target->name, arg, btf_name(btf, t),
		     btf_kind_name(btf_kind(t)));
		return -EACCES;
	}
	if (size != 8) {
		vlog(v, "func '%s' size %d must be 8\n", target->name, size);
		return -EACCES;
	}
	if (load_by_table(v, arg, true, to, &err))
		return err;
	pointee = btf_skip_type(btf, t->type);
	if (btf_kind(pointee) == BTF_KIND_UNKN || btf_kind(pointee) == BTF_KIND_INT)
		return load_number(v, false, to);
	if (load_by_table(v, arg, false, to, &err))
		return err;
	if (is_ops(v) && ops_arg_has_suffix(v, arg, "__ref"))
		return refuse_not_yet(v, "an argument of a struct_ops that is a reference");
	if (is_ops(v) && ops_arg_has_suffix(v, arg, "__nullable") && btf_is_composite(pointee)) {
		set_pointer(v, to, PTR_TO_BTF_ID | PTR_TRUSTED | PTR_MAYBE_NULL, btf_skip_modifiers(btf, t->type));
		return 0;
	}
	return load_object(v, arg, arg < n ? &btf_params(target->proto)[target->first + arg] : NULL, t, to);
}
