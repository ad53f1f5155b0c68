/* The contract of a global function: its BTF prototype says what its caller promises and it may rely on.
 *
 *   int, enum                          any number
 *   pointer to the program's context   it; so is any pointer tagged ctx, if the type may stand for the context
 *   pointer tagged trusted             a kernel object of that type, flavour ___x apart; tagged nullable, too, maybe NULL
 *   pointer tagged untrusted           any address, read as the kernel's type of that name, or as memory
 *   pointer to struct bpf_dynptr       an initialized dynptr
 *   pointer tagged arena               any number, to be cast
 *   any other pointer                  memory of the type's size, or NULL unless tagged nonnull
 *
 * Tags are declaration tags «arg:…» on parameters (__arg_ctx and the like in bpf_helpers.h). A call only checks the
 * registers; the function is verified once with what is promised. */
#include "verify/env.h"
#include <string.h>

enum {
	TAG_CTX = 1 << 0, TAG_NONNULL = 1 << 1, TAG_TRUSTED = 1 << 2, TAG_NULLABLE = 1 << 3, TAG_ARENA = 1 << 4,
	TAG_UNTRUSTED = 1 << 5, TAG_UNKNOWN = 1 << 6,
};

static u32 tag_named(const char *name) {
	static const struct {
		const char *name;
		u32 tag;
	} tags[] = {{"ctx", TAG_CTX},           {"nonnull", TAG_NONNULL}, {"trusted", TAG_TRUSTED},
	            {"nullable", TAG_NULLABLE}, {"arena", TAG_ARENA},     {"untrusted", TAG_UNTRUSTED}};
	for (u32 i = 0; i < ARRAY_SIZE(tags); i++)
		if (!strcmp(name, tags[i].name))
			return tags[i].tag;
	return TAG_UNKNOWN;
}

static u32 argument_tags(const struct btf *btf, u32 func, u32 arg) {
	const char *tag;
	u32 tags = 0;
	for (u32 id = 0; (id = btf_decl_tag_next(btf, func, (s32)arg, "arg:", id, &tag));)
		tags |= tag_named(tag);
	return tags;
}

static int refuse_combination(struct verifier *v, u32 i) {
	return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d has invalid combination of tags", i);
}

/* == Contexts == */

/* The structure that stands for the context in programs of the type, or NULL: it has no name there. */
static const char *context_struct(const struct verifier *v) {
	switch (v->in->prog_type) {
	case BPF_PROG_TYPE_TRACEPOINT:
	case BPF_PROG_TYPE_TRACING:
	case BPF_PROG_TYPE_LSM:
	case BPF_PROG_TYPE_STRUCT_OPS:
	case BPF_PROG_TYPE_SYSCALL:
	case BPF_PROG_TYPE_EXT:
	case BPF_PROG_TYPE_LIRC_MODE2:
		return NULL;
	}
	return v->ctx ? v->ctx->name : NULL;
}

/* typedef … bpf_user_pt_regs_t, on the way to what the pointer points to. */
static bool is_user_regs(const struct btf *btf, u32 pointee) {
	const struct btf_type *t = btf_type(btf, pointee);
	while (btf_is_modifier(t) && btf_kind(t) != BTF_KIND_TYPEDEF)
		t = btf_type(btf, t->type);
	return btf_kind(t) == BTF_KIND_TYPEDEF && !strcmp(btf_name(btf, t), "bpf_user_pt_regs_t");
}

/* Is it, without a tag, a pointer to this program type's context? */
static bool is_context(const struct verifier *v, const struct btf *btf, u32 pointee) {
	const struct btf_type *t = btf_skip_type(btf, pointee);
	const char *want = context_struct(v), *have = btf_name(btf, t);
	bool kprobe = v->in->prog_type == BPF_PROG_TYPE_KPROBE;
	if (kprobe && is_user_regs(btf, pointee))
		return true;
	if (!want || !btf_is_composite(t))
		return false;
	if (!strcmp(want, have) || (kprobe && !strcmp(have, "bpf_user_pt_regs_t")))
		return true;
	if (!strcmp(want, "__sk_buff"))
		return !strcmp(have, "sk_buff");
	return !strcmp(want, "xdp_md") && !strcmp(have, "xdp_buff");
}

/* Types other than the usual structure that may be tagged ctx. */
static bool is_other_context(const struct verifier *v, const struct btf *btf, const struct btf_type *t) {
	bool words = btf_kind(t) == BTF_KIND_INT && t->size == 8, structure = btf_kind(t) == BTF_KIND_STRUCT;
	const char *name = btf_name(btf, t);
	switch (v->in->prog_type) {
	case BPF_PROG_TYPE_PERF_EVENT:
		return structure && !strcmp(name, "pt_regs");
	case BPF_PROG_TYPE_RAW_TRACEPOINT:
	case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
	case BPF_PROG_TYPE_LSM:
	case BPF_PROG_TYPE_STRUCT_OPS:
		return words;
	case BPF_PROG_TYPE_TRACEPOINT:
	case BPF_PROG_TYPE_SYSCALL:
	case BPF_PROG_TYPE_EXT:
		return true;
	case BPF_PROG_TYPE_TRACING:
		if (v->in->expected_attach_type == BPF_TRACE_ITER)
			return structure && !strncmp(name, "bpf_iter__", 10);
		if (v->in->expected_attach_type == BPF_TRACE_RAW_TP && structure)
			return !strcmp(name, "bpf_raw_tracepoint_args");
		return words;
	}
	return false;
}

static int check_context_type(struct verifier *v, const struct btf *btf, u32 i, u32 pointee) {
	const struct btf_type *t = btf_skip_type(btf, pointee);
	const char *want = context_struct(v), *have = btf_name(btf, t);
	u32 type = v->in->prog_type;
	if ((type == BPF_PROG_TYPE_KPROBE || type == BPF_PROG_TYPE_PERF_EVENT) && is_user_regs(btf, pointee))
		return 0;
	if (btf_kind(t) == BTF_KIND_UNKN) /* void */
		return 0;
	if (!*have)
		return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d type doesn't have a name", i);
	if (is_other_context(v, btf, t))
		return 0;
	if (!want)
		return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d should be void pointer", i);
	if (btf_kind(t) != BTF_KIND_STRUCT || strcmp(want, have))
		return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d should be `struct %s *`", i, want);
	return 0;
}

/* == Prototypes == */

/* A pointer among the parameters. */
struct pointer {
	const struct btf *btf;
	const struct subprog *sub;
	u32 i, pointee, tags;
};

static bool is_global(const struct verifier *v, const struct subprog *sub) {
	return btf_vlen(btf_type(v->in->btf, sub->type_id)) == BTF_FUNC_GLOBAL;
}

/* Of static functions nothing is said: their arguments are what they are called with. */
#define refuse_global(v, sub, ...) (is_global(v, sub) ? refuse_text(v, GLOBAL_ARGS, -EINVAL, __VA_ARGS__) : -EINVAL)

/* The kernel's type of the same name, flavour apart: the only one. Negative: refused. */
static s64 kernel_type(struct verifier *v, const struct btf *btf, u32 i, u32 pointee) {
	const struct btf_type *t = btf_skip_type(btf, pointee);
	const char *name = btf_shown_name(btf, btf_skip_modifiers(btf, pointee)), *kind = btf_kind_name(btf_kind(t));
	u32 id, found = 0, n = 0;
	u64 cursor = 0;
	if (!v->in->kernel_btf)
		return refuse_not_yet(v, "a kernel object as argument, where the kernel's types are not at hand");
	if (!*btf_name(btf, t))
		return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d reference type('%s %s') candidate matching error: %d", i, kind,
		                   name, -EINVAL);
	while ((id = btf_next_named(v->in->kernel_btf, name, btf_essential_len(name), &cursor)))
		if (btf_kind(btf_type(v->in->kernel_btf, id)) == btf_kind(t))
			found = id, n++;
	if (n == 1)
		return found;
	return refuse_text(v, GLOBAL_ARGS, n ? -ESRCH : -ENOENT, "arg#%d reference type('%s %s') %s", i, kind, name,
	                   n ? "is ambiguous" : "has no matches");
}

static int prepare_trusted(struct verifier *v, const struct pointer *p, struct subprog_arg *arg) {
	s64 id;
	if (p->tags & TAG_NONNULL)
		return refuse_combination(v, p->i);
	id = kernel_type(v, p->btf, p->i, p->pointee);
	if (id < 0)
		return (int)id;
	arg->type = ARG_PTR_TO_BTF_ID | PTR_TRUSTED | (p->tags & TAG_NULLABLE ? PTR_MAYBE_NULL : 0);
	arg->btf_id = (u32)id;
	return 0;
}

static int prepare_untrusted(struct verifier *v, const struct pointer *p, struct subprog_arg *arg) {
	const struct btf_type *t = btf_skip_type(p->btf, p->pointee);
	s64 id;
	if (p->tags & ~(u32)TAG_UNTRUSTED)
		return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d untrusted cannot be combined with any other tags", p->i);
	if (btf_kind(t) == BTF_KIND_UNKN || btf_kind(t) == BTF_KIND_INT || btf_is_any_enum(t)) {
		arg->type = ARG_PTR_TO_MEM | MEM_RDONLY | PTR_UNTRUSTED;
		return 0;
	}
	id = kernel_type(v, p->btf, p->i, p->pointee);
	if (id < 0)
		return (int)id;
	if (!btf_is_composite(t))
		return refuse_text(v, GLOBAL_ARGS, -EINVAL,
		                   "arg#%d has type %s '%s', but only struct or primitive types are allowed", p->i,
		                   btf_kind_name(btf_kind(t)), btf_name(p->btf, t));
	arg->type = ARG_PTR_TO_BTF_ID | PTR_UNTRUSTED;
	arg->btf_id = (u32)id;
	return 0;
}

static int prepare_memory(struct verifier *v, const struct pointer *p, struct subprog_arg *arg) {
	const struct btf_type *t = btf_skip_type(p->btf, p->pointee);
	s64 size = btf_size(p->btf, btf_skip_modifiers(p->btf, p->pointee));
	if (!is_global(v, p->sub))
		return -EINVAL;
	if (p->tags & TAG_NULLABLE)
		return refuse_combination(v, p->i);
	if (size < 0 || size > INT32_MAX)
		return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d reference type('%s %s') size cannot be determined: %ld", p->i,
		                   btf_kind_name(btf_kind(t)), btf_name(p->btf, t), (long)size);
	arg->type = ARG_PTR_TO_MEM | (p->tags & TAG_NONNULL ? 0 : PTR_MAYBE_NULL);
	arg->mem_size = (u32)size;
	return 0;
}

static bool is_dynptr(const struct btf *btf, const struct btf_type *t) {
	bool forward = btf_kind(t) == BTF_KIND_FWD && !btf_kflag(t);
	return (btf_is_composite(t) || forward) && !strcmp(btf_name(btf, t), "bpf_dynptr");
}

static int prepare_pointer(struct verifier *v, const struct pointer *p, struct subprog_arg *arg) {
	const struct btf_type *t = btf_skip_type(p->btf, p->pointee);
	int err;
	if (p->tags & TAG_CTX || is_context(v, p->btf, p->pointee)) {
		if (p->tags & ~(u32)TAG_CTX)
			return refuse_combination(v, p->i);
		err = p->tags & TAG_CTX ? check_context_type(v, p->btf, p->i, p->pointee) : 0;
		arg->type = ARG_PTR_TO_CTX;
		return err;
	}
	if (is_dynptr(p->btf, t)) {
		arg->type = ARG_PTR_TO_DYNPTR | MEM_RDONLY;
		return p->tags ? refuse_combination(v, p->i) : 0;
	}
	if (p->tags & TAG_TRUSTED)
		return prepare_trusted(v, p, arg);
	if (p->tags & TAG_UNTRUSTED)
		return prepare_untrusted(v, p, arg);
	if (p->tags & TAG_ARENA && p->tags & ~(u32)TAG_ARENA)
		return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d arena cannot be combined with any other tags", p->i);
	if (p->tags & TAG_ARENA) {
		arg->type = ARG_PTR_TO_ARENA;
		return 0;
	}
	return prepare_memory(v, p, arg);
}

static int prepare_arg(struct verifier *v, const struct btf *btf, struct subprog *sub, u32 i, u32 type) {
	const struct btf_type *t = btf_skip_type(btf, type);
	u32 tags = argument_tags(btf, sub->type_id, i);
	if (tags && !is_global(v, sub))
		return refuse_text(v, GLOBAL_ARGS, -EOPNOTSUPP, "arg#%d type tag is not supported in static functions", i);
	if (tags & TAG_UNKNOWN)
		return refuse_text(v, GLOBAL_ARGS, -EOPNOTSUPP, "arg#%d has unsupported set of tags", i);
	if (btf_kind(t) == BTF_KIND_PTR)
		return prepare_pointer(v, &(struct pointer){btf, sub, i, t->type, tags}, &sub->args[i]);
	if (tags)
		return refuse_text(v, GLOBAL_ARGS, -EINVAL, "arg#%d has pointer tag, but is not a pointer type", i);
	if (btf_kind(t) != BTF_KIND_INT && !btf_is_any_enum(t))
		return refuse_global(v, sub, "Arg#%d type %s in %s() is not supported yet.", i, btf_kind_name(btf_kind(t)),
		                     sub->name);
	sub->args[i].type = ARG_ANYTHING;
	return 0;
}

int prepare_subprog_args(struct verifier *v, u32 subprog) {
	struct subprog *sub = &v->subprogs[subprog];
	const struct btf *btf = v->in->btf;
	const struct btf_type *func, *proto;
	if (sub->args_known)
		return 0;
	say(v, "name", "%s", sub->name);
	if (!sub->type_id)
		return refuse_text(v, GLOBAL_ARGS, -EFAULT, "Global functions need valid BTF");
	func = btf_type(btf, sub->type_id);
	proto = btf_type(btf, func->type);
	sub->args_n = btf_vlen(proto);
	if (sub->args_n > ARRAY_SIZE(sub->args))
		return refuse_global(v, sub, "Global function %s() with %d > %d args. Buggy compiler.", sub->name, sub->args_n,
		                     (int)ARRAY_SIZE(sub->args));
	if (!returns_int(btf, func))
		return refuse_global(v, sub, "Global function %s() doesn't return scalar. Only those are supported.", sub->name);
	for (u32 i = 0; i < sub->args_n; i++) {
		int err = prepare_arg(v, btf, sub, i, btf_params(proto)[i].type);
		if (err)
			return err;
	}
	sub->args_known = true;
	v->values_n = 0;
	return 0;
}

/* == The caller's side == */

int check_mem_arg(struct verifier *v, u32 regno, u32 size) {
	struct reg *r = &cur_regs(v)[regno], was = *r;
	int err;
	if (reg_is_zero(r)) /* no other number will do */
		return mark_precise(v, (s32)regno);
	if (r->type & PTR_MAYBE_NULL) /* if there is memory, is it enough? */
		mark_known_not_null(v, r);
	err = check_helper_mem(v, regno, (s32)size, false, true, NULL);
	if (!err)
		err = check_helper_mem(v, regno, (s32)size, true, true, NULL);
	if (was.type & PTR_MAYBE_NULL)
		*r = was;
	return err;
}

static int check_object_arg(struct verifier *v, const struct subprog_arg *arg, u32 regno) {
	struct helper_call none = {.callback = -1};
	int err;
	if (reg_is_zero(&cur_regs(v)[regno]) && arg->type & PTR_MAYBE_NULL)
		return mark_precise(v, (s32)regno);
	err = check_arg_type(v, regno, arg->type, btf_name_of(v->in->kernel_btf, arg->btf_id), &none);
	return err ? err : check_arg_offset(v, regno, arg->type);
}

static int check_global_arg(struct verifier *v, const struct subprog_arg *arg, u32 i) {
	u32 regno = i + 1;
	struct reg *r = &cur_regs(v)[regno];
	int err;
	say_reg(v, regno);
	if (arg->type == ARG_ANYTHING)
		return r->type == SCALAR_VALUE ? 0 : refuse(v, NOT_A_SCALAR, -EINVAL, regno);
	if (arg->type == ARG_PTR_TO_ARENA) /* anything would do, but makes no sense */
		return r->type == PTR_TO_ARENA || r->type == SCALAR_VALUE
		           ? 0
		           : refuse_text(v, ARG_TYPE, -EINVAL, "R%d is not a pointer to arena or scalar.", regno);
	if (arg->type & PTR_UNTRUSTED) /* it is only read, as if it might not be there */
		return 0;
	if (arg->type == ARG_PTR_TO_CTX) {
		err = check_arg_offset(v, regno, ARG_DONTCARE);
		if (err)
			return err;
		return r->type == PTR_TO_CTX ? 0 : refuse_text(v, ARG_TYPE, -EINVAL, "arg#%d expects pointer to ctx", i);
	}
	v->values_n = 0;
	if (base_type(arg->type) == ARG_PTR_TO_BTF_ID)
		return check_object_arg(v, arg, regno);
	if (base_type(arg->type) == ARG_PTR_TO_DYNPTR) {
		err = check_arg_offset(v, regno, ARG_PTR_TO_DYNPTR);
		return err ? err : check_dynptr_arg(v, regno, arg->type, 0);
	}
	ASSERT(base_type(arg->type) == ARG_PTR_TO_MEM);
	err = check_arg_offset(v, regno, ARG_DONTCARE);
	if (err || check_mem_arg(v, regno, arg->mem_size))
		return err ? err : -EINVAL;
	if (!(arg->type & PTR_MAYBE_NULL) && (r->type & PTR_MAYBE_NULL || reg_is_zero(r)))
		return refuse_text(v, ARG_MAYBE_NULL, -EINVAL, "arg#%d is expected to be non-NULL", i);
	return 0;
}

int check_global_args(struct verifier *v, u32 subprog) {
	struct subprog *sub = &v->subprogs[subprog];
	int err = prepare_subprog_args(v, subprog);
	for (u32 i = 0; !err && i < sub->args_n; i++) {
		err = check_reg_read(v, i + 1);
		if (!err)
			err = check_global_arg(v, &sub->args[i], i);
	}
	return err;
}

/* A static function is verified with what it is called with. The log tells when that is not what its prototype says. */
void log_static_args(struct verifier *v, u32 subprog) {
	struct subprog *sub = &v->subprogs[subprog];
	int err;
	if (!logging(v) || !v->in->func_info_n || sub->args_unreliable)
		return;
	v->tolerant = true;
	err = prepare_subprog_args(v, subprog);
	for (u32 i = 0; !err && i < sub->args_n; i++)
		err = check_global_arg(v, &sub->args[i], i);
	v->tolerant = false;
	v->values_n = 0;
	sub->args_unreliable = err;
}

/* == The function's side == */

/* The registers with which the function is verified. */
int set_global_args(struct verifier *v, u32 subprog) {
	const u32 kept = PTR_MAYBE_NULL | PTR_UNTRUSTED | PTR_TRUSTED | MEM_RDONLY;
	struct subprog *sub = &v->subprogs[subprog];
	int err = prepare_subprog_args(v, subprog);
	if (!err && v->exception_callback && subprog == v->exception_callback &&
	    (sub->args_n != 1 || sub->args[0].type != ARG_ANYTHING)) {
		say(v, "name", "%s", sub->name);
		return refuse_text(v, EXCEPTION_CALLBACK, -EINVAL, "exception cb only supports single integer argument");
	}
	for (u32 i = 0; i < sub->args_n && !err; i++) {
		const struct subprog_arg *arg = &sub->args[i];
		struct reg *r = &cur_regs(v)[i + 1];
		switch (base_type(arg->type)) {
		case ARG_PTR_TO_CTX:
			reg_set_pointer(r, PTR_TO_CTX);
			break;
		case ARG_ANYTHING:
		case ARG_PTR_TO_ARENA:
			reg_set_unknown(r);
			break;
		case ARG_PTR_TO_DYNPTR:
			dynptr_set_const(v, r, BPF_DYNPTR_TYPE_LOCAL);
			break;
		case ARG_PTR_TO_MEM:
			reg_set_pointer(r, PTR_TO_MEM | (arg->type & kept));
			r->mem_size = arg->mem_size;
			r->id = arg->type & PTR_MAYBE_NULL ? ++v->id_gen : 0;
			break;
		case ARG_PTR_TO_BTF_ID:
			reg_set_pointer(r, PTR_TO_BTF_ID | (arg->type & kept));
			r->btf = v->in->kernel_btf;
			r->btf_id = arg->btf_id;
			r->id = ++v->id_gen;
			break;
		default:
			err = refuse_not_yet(v, "an argument of a global function of this kind");
		}
	}
	return err;
}
