/* What a program is attached to by its BTF id: a function, an LSM hook, a tracepoint, an iterator.
 *
 *   attach type            the id names                          arguments
 *   TRACE_RAW_TP           a typedef btf_trace_NAME              those of its prototype, but the first
 *   TRACE_FENTRY           a function                            the function's
 *   TRACE_FEXIT            a function                            … and behind them what it returned
 *   MODIFY_RETURN          a function whose result may be        … and behind them what it would return
 *                          replaced
 *   LSM_MAC, LSM_CGROUP    a function bpf_lsm_NAME               … and behind them what hooks before it returned
 *   TRACE_ITER             a function bpf_iter_NAME              the members of struct bpf_iter__NAME
 *
 * Here the id is resolved and it is decided whether the program may be attached to it at all, sleeping included. What BTF
 * does not say is a row of abi/targets.def. Two things the kernel knows beyond that, and we do not: whether the symbol is
 * there (functions in BTF are taken to be), and error injection's list (what has no row there is refused). */
#include "verify/env.h"
#include <string.h>

enum { MOST_ARGUMENTS = 12 };

#define refuse_target(v, why, text, ...) \
	(say(v, "why", "%s", why), refuse_text(v, ATTACH_TARGET, -EINVAL, text, (v)->in->attach_btf_id, ##__VA_ARGS__))

/* The kernel says nothing. */
static int refuse_without_word(struct verifier *v, const char *why) {
	say(v, "why", "%s", why);
	return refuse_text(v, ATTACH_TARGET, -EINVAL, "%s", "");
}

static bool begins(const char *text, const char *with, const char **rest) {
	u32 n = (u32)strlen(with);
	if (strncmp(text, with, n))
		return false;
	*rest = text + n;
	return true;
}

/* == Functions that the kernel's trampolines can call through == */

static s64 value_size(const struct btf *btf, u32 id, const struct btf_type **t) {
	*t = btf_skip_type(btf, id);
	switch (btf_kind(*t)) {
	case BTF_KIND_UNKN:
		return 0;
	case BTF_KIND_PTR:
		return 8;
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_STRUCT:
		return (*t)->size;
	}
	return -EINVAL;
}

static int check_prototype(struct verifier *v, const struct btf *btf, const struct btf_type *proto, const char *name) {
	const struct btf_type *t;
	u32 n = btf_vlen(proto);
	s64 size = value_size(btf, proto->type, &t);
	say(v, "why", "%s: a prototype that trampolines cannot call through", name);
	if (n > MOST_ARGUMENTS)
		return refuse_text(v, ATTACH_TARGET, -EINVAL, "The function %s has %d arguments. Too many.", name, n);
	if (size < 0 || btf_kind(t) == BTF_KIND_STRUCT)
		return refuse_text(v, ATTACH_TARGET, -EINVAL, "The function %s return type %s is unsupported.", name,
		                   btf_kind_name(btf_kind(t)));
	for (u32 i = 0; i < n; i++) {
		u32 id = btf_params(proto)[i].type;
		size = value_size(btf, id, &t);
		if (i == n - 1 && !id)
			return refuse_text(v, ATTACH_TARGET, -EINVAL, "The function %s with variable args is unsupported.", name);
		if (size < 0 || size > 16)
			return refuse_text(v, ATTACH_TARGET, -EINVAL, "The function %s arg%d type %s is unsupported.", name, i,
			                   btf_kind_name(btf_kind(t)));
		if (!size)
			return refuse_text(v, ATTACH_TARGET, -EINVAL, "The function %s has malformed void argument.", name);
	}
	v->values_n = 0;
	return 0;
}

/* Functions in which error injection may return early: of system calls all. */
static bool may_be_replaced(const char *name, const struct abi_target *row) {
	const char *rest;
	if (row && row->flags & TARGET_MODIFIABLE)
		return true;
	return begins(name, "__x64_sys_", &rest) || begins(name, "__ia32_sys_", &rest);
}

static bool may_sleep_in(const struct verifier *v, const char *name, const struct abi_target *row) {
	const char *rest;
	if (row && row->flags & TARGET_SLEEPABLE)
		return true;
	return v->in->prog_type == BPF_PROG_TYPE_TRACING &&
	       (begins(name, "__x64_sys_", &rest) || begins(name, "__ia32_sys_", &rest));
}

/* == By what the program wants == */

static int resolve_function(struct verifier *v, struct attach_target *to, const struct btf *btf, const struct btf_type *t) {
	const char *rest;
	int err;
	if (btf_kind(t) != BTF_KIND_FUNC)
		return refuse_target(v, "not a function", "attach_btf_id %u is not a function");
	to->proto = btf_type(btf, t->type);
	err = check_prototype(v, btf, to->proto, to->name);
	if (err)
		return err;
	if (v->in->prog_type == BPF_PROG_TYPE_LSM && begins(to->name, "bpf_lsm_", &rest))
		to->row = abi_target(TARGET_HOOK, rest);
	else if (v->in->prog_type == BPF_PROG_TYPE_TRACING)
		to->row = abi_target(TARGET_FUNCTION, to->name);
	say(v, "why", "%s does not allow it", to->name);
	if (v->sleepable && !may_sleep_in(v, to->name, to->row))
		return refuse_text(v, ATTACH_TARGET, -EINVAL, "%s is not sleepable", to->name);
	if (!v->sleepable && v->in->expected_attach_type == BPF_MODIFY_RETURN && !may_be_replaced(to->name, to->row) &&
	    !begins(to->name, "security_", &rest))
		return refuse_text(v, ATTACH_TARGET, -EINVAL, "%s() is not modifiable", to->name);
	v->values_n = 0;
	return 0;
}

/* Is there a hook of that name? The kernel's type of a hook is a union of all. */
static bool hook_exists(const struct btf *btf, const char *name) {
	const char *hook;
	u32 all = btf_find(btf, "security_list_options", BTF_KIND_UNION);
	return begins(name, "bpf_lsm_", &hook) && (!all || btf_member_index(btf, btf_type(btf, all), hook) >= 0);
}

static int check_hook(struct verifier *v, const struct attach_target *to, const struct btf *btf) {
	say(v, "license", "%s", v->in->license ? v->in->license : "nothing");
	say(v, "name", "%s", to->name);
	if (!v->in->gpl_compatible)
		return refuse_text(v, GPL_HELPER, -EINVAL, "LSM programs must have a GPL compatible license");
	v->values_n = 0;
	if (to->row && to->row->flags & TARGET_DENIED)
		return refuse_target(v, "programs cannot be attached to this hook",
		                     "attach_btf_id %u points to disabled hook %s", to->name);
	if (!hook_exists(btf, to->name))
		return refuse_target(v, "not an LSM hook", "attach_btf_id %u points to wrong type name %s", to->name);
	return 0;
}

static int check_function(struct verifier *v, const struct attach_target *to) {
	u32 flags = to->row ? to->row->flags : 0, attach = v->in->expected_attach_type;
	say(v, "why", "nothing of this kind may be attached to %s", to->name);
	if (flags & TARGET_DENIED)
		return refuse_text(v, ATTACH_TARGET, -EINVAL, "Attaching tracing programs to function '%s' is rejected.", to->name);
	if (flags & TARGET_NORETURN && (attach == BPF_TRACE_FEXIT || attach == BPF_MODIFY_RETURN))
		return refuse_text(v, ATTACH_TARGET, -EINVAL, "Attaching fexit/fmod_ret to __noreturn function '%s' is rejected.",
		                   to->name);
	v->values_n = 0;
	return 0;
}

static int resolve_tracepoint(struct verifier *v, struct attach_target *to, const struct btf *btf,
                              const struct btf_type *t) {
	const char *name = to->name;
	if (btf_kind(t) != BTF_KIND_TYPEDEF)
		return refuse_target(v, "not a tracepoint", "attach_btf_id %u is not a typedef");
	if (!begins(name, "btf_trace_", &to->name))
		return refuse_target(v, "not a tracepoint", "attach_btf_id %u points to wrong type name %s", name);
	t = btf_skip_type(btf, t->type);
	t = btf_kind(t) == BTF_KIND_PTR ? btf_skip_type(btf, t->type) : &btf_void;
	if (btf_kind(t) != BTF_KIND_FUNC_PROTO || !btf_vlen(t))
		return refuse_without_word(v, "the tracepoint has no prototype");
	to->proto = t;
	to->first = 1;
	to->row = abi_target(TARGET_TRACEPOINT, to->name);
	return 0;
}

static int resolve_iterator(struct verifier *v, struct attach_target *to, const struct btf *btf, const struct btf_type *t) {
	const char *name = to->name;
	int err;
	if (btf_kind(t) != BTF_KIND_FUNC)
		return refuse_target(v, "not a function", "attach_btf_id %u is not a function");
	to->proto = btf_type(btf, t->type);
	err = check_prototype(v, btf, to->proto, to->name);
	if (err)
		return err;
	to->row = begins(name, "bpf_iter_", &name) ? abi_target(TARGET_ITERATOR, name) : NULL;
	return to->row ? 0 : refuse_without_word(v, "there is no such iterator");
}

static int resolve(struct verifier *v, struct attach_target *to) {
	const struct btf *btf = v->in->kernel_btf;
	const struct btf_type *t;
	int err;
	ASSERT(v->in->attach_btf_id);
	if (!btf)
		return refuse_not_yet(v, "a target, where the kernel's types are not at hand");
	t = btf_type(btf, v->in->attach_btf_id);
	if (!t)
		return refuse_target(v, "no such type", "attach_btf_id %u is invalid");
	to->name = btf_name(btf, t);
	if (!*to->name)
		return refuse_target(v, "a type without a name", "attach_btf_id %u doesn't have a name");
	switch (v->in->expected_attach_type) {
	case BPF_TRACE_RAW_TP:
		return resolve_tracepoint(v, to, btf, t);
	case BPF_TRACE_ITER:
		return resolve_iterator(v, to, btf, t);
	case BPF_MODIFY_RETURN:
	case BPF_LSM_MAC:
	case BPF_LSM_CGROUP:
	case BPF_TRACE_FENTRY:
	case BPF_TRACE_FEXIT:
		err = resolve_function(v, to, btf, t);
		if (err)
			return err;
		return v->in->prog_type == BPF_PROG_TYPE_LSM ? check_hook(v, to, btf) : check_function(v, to);
	}
	return refuse_without_word(v, "this attach type does not go with a BTF id");
}

/* Does the program's type fit what it is to be attached to? */
int check_attach(struct verifier *v) {
	const struct abi_prog_type *t = v->type;
	u32 attach = v->in->expected_attach_type;
	bool in_attach = !t->sleepable_attach || (attach < 64 && t->sleepable_attach >> attach & 1);
	bool may_sleep = t->flags & PROG_SLEEPABLE && in_attach;
	if (v->sleepable ? !may_sleep : t->flags & PROG_SLEEPABLE_ALWAYS) {
		say(v, "prog", "%s", t->name);
		return v->sleepable ? refuse(v, NOT_SLEEPABLE_TYPE, -EINVAL) : refuse(v, SYSCALL_SLEEPABLE, -EINVAL);
	}
	if (v->in->prog_type == BPF_PROG_TYPE_STRUCT_OPS)
		return check_struct_ops(v);
	if (t->flags & PROG_NEEDS_BTF && !v->in->attach_btf_id) {
		say(v, "prog", "%s", t->name);
		say(v, "why", "no target was given");
		return refuse_text(v, ATTACH_TARGET, -EINVAL, "Tracing programs must provide btf_id");
	}
	switch (v->in->prog_type) {
	case BPF_PROG_TYPE_TRACING:
	case BPF_PROG_TYPE_LSM:
		return resolve(v, &v->target);
	case BPF_PROG_TYPE_EXT:
		return refuse_not_yet(v, "programs that replace a function of another program");
	}
	return 0;
}

/* == What depends on the target, later == */

/* The values that an LSM hook returns; false: there is no rule. */
bool hook_return_range(const struct verifier *v, struct return_range *range) {
	if (v->in->prog_type != BPF_PROG_TYPE_LSM || !v->target.proto->type)
		return false;
	*range = v->target.row && v->target.row->flags & TARGET_BOOL ? (struct return_range){0, 1, true}
	                                                             : (struct return_range){-4095, 0, true};
	return true;
}

/* Helpers that programs of the type have in some hooks only … */
bool target_offers(const struct verifier *v, u32 helper) {
	if (v->in->prog_type == BPF_PROG_TYPE_STRUCT_OPS)
		return ops_offer(v, helper);
	if (v->in->prog_type != BPF_PROG_TYPE_LSM || (helper != BPF_FUNC_setsockopt && helper != BPF_FUNC_getsockopt))
		return true;
	return v->target.row && v->target.row->flags & TARGET_SOCKOPT;
}

/* … and those that they have, but may not call everywhere. */
bool target_allows(const struct verifier *v, u32 helper) {
	u32 attach = v->in->expected_attach_type, flags = v->target.row ? v->target.row->flags : 0;
	const char *rest;
	bool lsm = v->in->prog_type == BPF_PROG_TYPE_LSM;
	if (!lsm && v->in->prog_type != BPF_PROG_TYPE_TRACING)
		return true;
	switch (helper) {
	case BPF_FUNC_d_path:
		return attach == BPF_TRACE_ITER || flags & (lsm ? TARGET_SLEEPABLE : TARGET_D_PATH);
	case BPF_FUNC_ima_inode_hash:
	case BPF_FUNC_ima_file_hash:
		return flags & TARGET_SLEEPABLE;
	case BPF_FUNC_sk_storage_get:
	case BPF_FUNC_sk_storage_delete:
		if (lsm || attach == BPF_TRACE_RAW_TP || attach == BPF_TRACE_ITER)
			return true;
		if (attach != BPF_TRACE_FENTRY && attach != BPF_TRACE_FEXIT)
			return false;
		return !begins(v->target.name, "bpf_sk_storage", &rest); /* it would meet itself */
	}
	return true;
}
