/* Programs that are functions of one of the kernel's structures, such as a congestion control.
 *
 *      attach_btf_id ──► struct tcp_congestion_ops        the structure: there is a struct bpf_struct_ops_… of that name
 *      expected_attach_type = 1 ──► cong_avoid            the member, by its index: a pointer to a function
 *      void (*cong_avoid)(struct sock *, u32, u32)        its prototype: the context's arguments, and the result
 *      FUNC bpf_dummy_ops__test_1(… cb__nullable)         a function of the kernel's by both names, if there is one: its
 *                                                         parameters' names say which arguments may be NULL
 *
 * Arguments are trusted. What the kernel keeps in code is the structure's row (abi/struct_ops.def). */
#include "verify/env.h"
#include <string.h>

enum { NAME_ROOM = 160 };

static bool has_word(const char *words, const char *word) {
	u64 n = strlen(word);
	if (!words)
		return false;
	if (!strcmp(words, "*"))
		return true;
	for (const char *at = words; (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

#define refuse_ops(v, err, why, text, ...) \
	(say(v, "why", "%s", why), refuse_text(v, ATTACH_TARGET, err, text, ##__VA_ARGS__))

/* == What the program is == */

static bool is_ops(const struct btf *btf, const struct btf_type *t) {
	char name[NAME_ROOM];
	if (!t || btf_kind(t) != BTF_KIND_STRUCT || !*btf_name(btf, t))
		return false;
	return snprintf(name, sizeof name, "bpf_struct_ops_%s", btf_name(btf, t)) < (int)sizeof name &&
	       btf_find(btf, name, BTF_KIND_STRUCT);
}

static const struct btf_type *prototype_of(const struct btf *btf, const struct btf_member *m) {
	const struct btf_type *t = btf_skip_type(btf, m->type);
	t = btf_kind(t) == BTF_KIND_PTR ? btf_skip_type(btf, t->type) : &btf_void;
	return btf_kind(t) == BTF_KIND_FUNC_PROTO ? t : NULL;
}

static const struct btf_type *stub_of(const struct btf *btf, const char *ops, const char *member,
                                      const struct btf_type *proto) {
	char name[NAME_ROOM];
	const struct btf_type *t;
	u32 id = 0;
	if (snprintf(name, sizeof name, "%s__%s", ops, member) < (int)sizeof name)
		id = btf_find(btf, name, BTF_KIND_FUNC);
	t = id ? btf_type(btf, btf_type(btf, id)->type) : NULL;
	return t && btf_vlen(t) == btf_vlen(proto) ? t : NULL;
}

static int check_member(struct verifier *v, const struct btf_type *t, const char *ops) {
	const struct btf *btf = v->in->kernel_btf;
	struct attach_target *to = &v->target;
	u32 index = v->in->expected_attach_type;
	const struct btf_member *m = &btf_members(t)[index];
	if (index >= btf_vlen(t))
		return refuse_ops(v, -EINVAL, "the structure has no such member", "attach to invalid member idx %u of struct %s",
		                  index, ops);
	to->name = btf_string(btf, m->name_off);
	to->proto = prototype_of(btf, m);
	if (!to->proto)
		return refuse_ops(v, -EINVAL, "the member is no function", "attach to invalid member %s(@idx %u) of struct %s",
		                  to->name, index, ops);
	if (!to->ops)
		return refuse_not_yet(v, "programs of this struct_ops");
	if (has_word(to->ops->unsupported, to->name))
		return refuse_ops(v, -ENOTSUPP, "the kernel does not call programs there",
		                  "attach to unsupported member %s of struct %s", to->name, ops);
	if (v->sleepable && !has_word(to->ops->sleepable, to->name))
		return refuse_ops(v, -EINVAL, "programs that may sleep cannot be this member",
		                  "attach to unsupported member %s of struct %s", to->name, ops);
	to->stub = stub_of(btf, ops, to->name, to->proto);
	return 0;
}

int check_struct_ops(struct verifier *v) {
	const struct btf *btf = v->in->kernel_btf;
	u32 id = v->in->attach_btf_id;
	const struct btf_type *t;
	say(v, "license", "%s", v->in->license ? v->in->license : "nothing");
	say(v, "name", "struct_ops");
	if (!v->in->gpl_compatible)
		return refuse_text(v, GPL_HELPER, -EINVAL, "struct ops programs must have a GPL compatible license");
	v->values_n = 0;
	if (!id)
		return refuse_ops(v, -ENOTSUPP, "no structure was given", "%s", "");
	if (!btf)
		return refuse_not_yet(v, "a struct_ops, where the kernel's types are not at hand");
	t = btf_type(btf, id);
	if (!is_ops(btf, t))
		return refuse_ops(v, -ENOTSUPP, "programs cannot be functions of this type",
		                  "attach_btf_id %u is not a supported struct", id);
	v->target.ops = abi_struct_ops(btf_name(btf, t));
	return check_member(v, t, btf_name(btf, t));
}

/* == Arguments == */

bool ops_arg_has_suffix(const struct verifier *v, u32 arg, const char *suffix) {
	const struct btf_type *stub = v->target.stub;
	const char *name;
	u64 n, m = strlen(suffix);
	if (!stub || arg >= btf_vlen(stub))
		return false;
	name = btf_string(v->in->kernel_btf, btf_params(stub)[arg].name_off);
	n = strlen(name);
	return n >= m && !strcmp(name + n - m, suffix);
}

/* The type that an argument of the prototype's type really has. */
u32 ops_arg_type(const struct verifier *v, u32 id) {
	const struct btf *btf = v->in->kernel_btf;
	const struct abi_struct_ops *ops = v->target.ops;
	u32 taken;
	ASSERT(ops);
	if (!ops->given || strcmp(btf_name_of(btf, id), ops->given))
		return id;
	taken = btf_find(btf, ops->taken, BTF_KIND_STRUCT);
	return taken ? taken : id;
}

/* == Helpers == */

bool ops_offer(const struct verifier *v, u32 helper) {
	const struct abi_struct_ops *ops = v->target.ops;
	if (!ops || !ops->helpers)
		return false;
	if (helper != BPF_FUNC_setsockopt && helper != BPF_FUNC_getsockopt)
		return true;
	return !has_word(ops->no_sockopt, v->target.name);
}

/* == Writes == */

/* Where the member lies that is called by a path of names, a «*» behind it taken off. */
static bool find_place(const struct btf *btf, const char *type, const char *path, u32 *off, u32 *end, bool *in_parts) {
	u32 id = btf_find(btf, type, BTF_KIND_STRUCT);
	char name[64];
	*off = 0;
	*in_parts = false;
	while (id && *path) {
		const struct btf_type *t = btf_skip_type(btf, id);
		u64 n = strcspn(path, ".*");
		s32 i;
		if (n >= sizeof name || !btf_is_composite(t))
			return false;
		__builtin_memcpy(name, path, n);
		name[n] = 0;
		i = btf_member_index(btf, t, name);
		if (i < 0)
			return false;
		*off += btf_member_bit_offset(t, (u32)i) / 8;
		id = btf_members(t)[i].type;
		path += n;
		*in_parts = *path == '*';
		path += *path != 0;
	}
	if (!id || btf_size(btf, id) <= 0)
		return false;
	*end = *off + (u32)btf_size(btf, id);
	return true;
}

/* A store into a kernel object. */
int check_ops_write(struct verifier *v, const struct reg *r, s32 off, u32 size) {
	const struct btf *btf = v->in->kernel_btf;
	const struct abi_struct_ops *ops = v->target.ops;
	u32 at, end, writable;
	bool in_parts;
	ASSERT(ops && ops->writable && ops->refusal && off >= 0);
	writable = btf_find(btf, ops->writable, BTF_KIND_STRUCT);
	if (r->btf != btf || !writable || r->btf_id != writable)
		return refuse_text(v, BTF_WRITE, -EACCES, "%s", ops->refusal);
	if (!ops->written[0].type) {
		if ((u32)off + size <= btf_type(btf, writable)->size)
			return 0;
		return refuse_text(v, BTF_WRITE, -EACCES, "write access at off %d with size %d", off, size);
	}
	for (u32 i = 0; i < ARRAY_SIZE(ops->written) && ops->written[i].type; i++) {
		if (!find_place(btf, ops->written[i].type, ops->written[i].member, &at, &end, &in_parts))
			continue;
		if ((u32)off != at && !(in_parts && (u32)off > at && (u32)off < end))
			continue;
		if ((u32)off + size <= end)
			return 0;
		return refuse_text(v, BTF_WRITE, -EACCES,
		                   "write access at off %d with size %d beyond the member of %s ended at %u", off, size,
		                   ops->writable, end);
	}
	return refuse_text(v, BTF_WRITE, -EACCES, "no write support to %s at off %d", ops->writable, off);
}
