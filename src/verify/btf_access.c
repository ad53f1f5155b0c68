/* Pointers to kernel objects of known types, and where a load through one leads.
 *
 *      trusted_ptr_task_struct
 *           │ ->real_parent      in the type's list of fields that are safe under RCU, or tagged rcu
 *           ▼
 *      rcu_ptr_task_struct       alive until the RCU section ends; outside of one untrusted_ptr_task_struct
 *           │ ->mm               no word about it
 *           ▼
 *      ptr_mm_struct             as old programs know it: may be walked, and passed to helpers that take any
 *           │ ->pgd              not a struct
 *           ▼
 *      rdonly_untrusted_mem      any address: loads only, of any size
 *
 * Where a load leads is told by the member's type, by its tags (user, percpu, rcu), by the trust in the pointer that was
 * followed, and by lists of safe fields. The lists are the kernel's own: its BTF has, beside struct T, a struct
 * T__safe_trusted, T__safe_trusted_or_null, T__safe_rcu, T__safe_rcu_or_null with the members that are on that list. Types
 * without lists (of a kernel that has none, of skep's own) have no safe fields.
 *
 * Every load through such a pointer may fault and is a probe, so trust is not about reading: it decides what may be
 * passed on. Kernel objects are read only. The fields of a map are those of the kernel's structure for its type. */
#include "abi/sets.h"
#include "verify/env.h"
#include <stdio.h>
#include <string.h>

/* == Trust == */

static bool in_rcu_section(const struct verifier *v) {
	return v->cur->active_rcu || v->cur->active_locks || !v->cur->in_sleepable;
}

static bool is_listed(const struct reg *base, const struct btf_access *hit, const char *list) {
	const struct btf *btf = base->btf;
	const struct btf_type *t = btf_type(btf, base->btf_id);
	char name[64];
	u32 id;
	ASSERT(hit->kind == BTF_WALK_PTR && hit->name);
	if (snprintf(name, sizeof name, "%s__safe_%s", btf_name(btf, t), list) >= (int)sizeof name)
		return false;
	id = btf_find(btf, name, btf_kind(t));
	t = btf_type(btf, id);
	for (u32 i = 0; id && i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const struct btf_type *to = btf_type(btf, m->type);
		if (btf_kind(to) == BTF_KIND_PTR && btf_skip_modifiers(btf, to->type) == hit->pointee_id &&
		    !strcmp(btf_string(btf, m->name_off), hit->name))
			return true;
	}
	return false;
}

static u32 tag_flag(const char *tag) {
	if (!tag)
		return 0;
	return !strcmp(tag, "user") ? MEM_USER : !strcmp(tag, "percpu") ? MEM_PERCPU : !strcmp(tag, "rcu") ? MEM_RCU : 0;
}

/* Flags of the member by itself: a pointer from a union may be another member's. */
static u32 member_flags(const struct btf_access *hit) {
	return tag_flag(hit->tag) | (hit->in_union ? PTR_UNTRUSTED : 0);
}

static u32 loaded_flags(const struct verifier *v, const struct reg *base, const struct btf_access *hit) {
	u32 flags = member_flags(hit);
	bool or_null;
	if (base->type & PTR_UNTRUSTED)
		return PTR_UNTRUSTED;
	if (!reg_is_trusted(base) && !(base->type & MEM_RCU))
		return flags & ~(u32)MEM_RCU;
	if (is_listed(base, hit, "trusted"))
		return flags | PTR_TRUSTED;
	if (is_listed(base, hit, "trusted_or_null"))
		return flags | PTR_TRUSTED | PTR_MAYBE_NULL;
	if (!in_rcu_section(v))
		return PTR_UNTRUSTED;
	if (is_listed(base, hit, "rcu"))
		return flags | MEM_RCU;
	or_null = is_listed(base, hit, "rcu_or_null");
	if (or_null || flags & MEM_RCU)
		return (or_null ? flags & ~(u32)PTR_UNTRUSTED : flags) | MEM_RCU | PTR_MAYBE_NULL;
	return flags;
}

/* == Refusals == */

enum { MEMBER_TEXT = 400 };

/* Why btf_walk found nothing, in the kernel's words; the row of diag.def. */
static u32 member_error(const struct btf *btf, const struct btf_access *hit, u32 size, char text[MEMBER_TEXT]) {
	const char *name = btf_shown_name(btf, hit->struct_id);
	ASSERT(hit->struct_id);
	if (hit->beyond) {
		snprintf(text, MEMBER_TEXT, DIAG_WORDING_BTF_ACCESS, name, hit->off, size);
		return DIAG_BTF_ACCESS;
	}
	if (!hit->name) {
		snprintf(text, MEMBER_TEXT, DIAG_WORDING_BTF_NO_FIELD, name, (s32)hit->off);
		return DIAG_BTF_NO_FIELD;
	}
	if (btf_kind(btf_type(btf, hit->type_id)) == BTF_KIND_PTR) {
		snprintf(text, MEMBER_TEXT, DIAG_WORDING_BTF_HALF_POINTER, hit->name, hit->member_off, name, hit->off, size);
		return DIAG_BTF_HALF_POINTER;
	}
	snprintf(text, MEMBER_TEXT, DIAG_WORDING_BTF_MEMBER_END, hit->name, hit->member_end, name, hit->off, size);
	return DIAG_BTF_MEMBER_END;
}

static int refuse_member(struct verifier *v, const struct btf *btf, const struct btf_access *hit, u32 size) {
	char text[MEMBER_TEXT];
	u32 diag = member_error(btf, hit, size, text);
	say(v, "name", "%s", btf_shown_name(btf, hit->struct_id));
	say(v, "off", "%u", hit->off);
	say(v, "size", "%u", size);
	say(v, "limit", "%lld", (long long)btf_size(btf, hit->struct_id));
	if (hit->name)
		say(v, "field", "%s", hit->name);
	return refuse_as(v, diag, diag == DIAG_BTF_NO_FIELD ? -EINVAL : -EACCES, "%s", text);
}

/* Why a BTF pointer cannot be followed at all. */
static int refuse_pointer(struct verifier *v, u32 regno, s32 off) {
	const struct reg *r = &cur_regs(v)[regno];
	const char *name = btf_name_of(r->btf, r->btf_id);
	char text[48];
	say(v, "name", "%s", name);
	say(v, "license", "%s", v->in->license ? v->in->license : "nothing");
	say_reg(v, regno);
	if (!v->in->gpl_compatible && r->btf == v->in->kernel_btf)
		return refuse_text(v, GPL_HELPER, -EINVAL, "Cannot access kernel 'struct %s' from non-GPL compatible program",
		                   name);
	if (off < 0)
		return refuse_text(v, BTF_ACCESS, -EACCES, "R%d is ptr_%s invalid negative access: off=%d", regno, name, off);
	if (!scalar_equals(&r->s, 0))
		return refuse_text(v, BTF_ACCESS, -EACCES, "R%d is ptr_%s invalid variable offset: off=%d, var_off=%s", regno, name,
		                   off, tnum_text(r->s.var, text));
	if (r->type & MEM_USER)
		return refuse(v, PTR_USER_ACCESS, -EACCES, regno, name, off);
	if (r->type & MEM_PERCPU)
		return refuse_text(v, PTR_USER_ACCESS, -EACCES, "R%d is ptr_%s access percpu memory: off=%d", regno, name, off);
	return refuse(v, BTF_WRITE, -EACCES);
}

/* == Accesses == */

static void set_loaded(struct verifier *v, struct reg *to, const struct btf *btf, const struct btf_access *hit, u32 flags) {
	ASSERT(hit->kind != BTF_WALK_STRUCT);
	switch (hit->kind) {
	case BTF_WALK_PTR:
		reg_set_pointer(to, PTR_TO_BTF_ID | flags);
		to->btf = btf;
		to->btf_id = hit->pointee_id;
		to->id = flags & PTR_MAYBE_NULL ? ++v->id_gen : 0;
		return;
	case BTF_WALK_MEM:
		reg_set_pointer(to, PTR_TO_MEM | MEM_RDONLY | PTR_UNTRUSTED);
		return;
	default:
		reg_set_unknown(to);
	}
}

/* What is read out of an object of the program's is a number, or an address of bytes; nothing lies behind its end. */
static int access_object(struct verifier *v, const struct reg *r, s32 off, u32 size, bool write, s32 value) {
	struct btf_access hit = {.struct_id = r->btf_id, .off = (u32)off};
	s64 room = btf_size(r->btf, r->btf_id);
	int err;
	if (!r->ref && !(r->type & (NON_OWN_REF | MEM_RCU))) /* the RCU section is over that kept it */
		return refuse_text(v, INTERNAL, -EFAULT, "verifier bug: ref_obj_id for allocated object must be non-zero");
	err = check_object_fields(v, r, off, size);
	if (err)
		return err;
	hit.beyond = off + (s64)size > room;
	if (hit.beyond || btf_walk_through(r->btf, r->btf_id, (u32)off, size, &hit))
		return refuse_member(v, r->btf, &hit, size);
	if (r->type & PTR_UNTRUSTED)
		v->aux[v->at].flags |= AUX_PROBE;
	if (write || value < 0)
		return 0;
	if (hit.kind == BTF_WALK_PTR)
		hit.kind = BTF_WALK_SCALAR;
	set_loaded(v, &cur_regs(v)[value], r->btf, &hit, 0);
	return 0;
}

/* Kernel objects are read only but for these members, in programs of these types. */
static const struct writable {
	const char *type, *member;
	u64 prog_types;
} writable[] = {{"nf_conn", "mark", P(XDP) | P(SCHED_CLS) | P(SCHED_ACT)},
                {"nf_conn___init", "mark", P(XDP) | P(SCHED_CLS) | P(SCHED_ACT)}};

static int check_btf_write(struct verifier *v, u32 regno, s32 off, u32 size) {
	const struct reg *r = &cur_regs(v)[regno];
	const char *name = btf_name_of(r->btf, r->btf_id);
	const struct writable *w = writable;
	struct btf_access hit = {0};
	ASSERT(off >= 0);
	while (w < writable + ARRAY_SIZE(writable) && (strcmp(w->type, name) || !(w->prog_types >> v->in->prog_type & 1)))
		w++;
	if (w == writable + ARRAY_SIZE(writable))
		return refuse_pointer(v, regno, off);
	say(v, "name", "%s", name);
	if (btf_walk(r->btf, r->btf_id, (u32)off, 1, &hit) || hit.member_off != off || strcmp(hit.name, w->member))
		return refuse_text(v, BTF_WRITE, -EACCES, "no write support to nf_conn at off %d", off);
	if ((u32)off + size > hit.member_end)
		return refuse_text(v, BTF_WRITE, -EACCES,
		                   "write access at off %d with size %u beyond the member of nf_conn ended at %u", off, size,
		                   hit.member_end);
	v->values_n = 0;
	return 0;
}

/* value: the register that is loaded; -1: none. */
int check_btf_pointer(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value) {
	struct reg base = cur_regs(v)[regno];
	struct btf_access hit = {0};
	bool object = base.type & MEM_ALLOC;
	ASSERT(base_type(base.type) == PTR_TO_BTF_ID && base.btf && base.btf_id);
	if (!v->allow_ptr_leaks) {
		say(v, "name", "%s", btf_name_of(base.btf, base.btf_id));
		return refuse(v, BTF_ACCESS_RIGHT, -EPERM, btf_name_of(base.btf, base.btf_id));
	}
	if ((!v->in->gpl_compatible && base.btf == v->in->kernel_btf) || off < 0 || !scalar_equals(&base.s, 0) ||
	    base.type & (MEM_USER | MEM_PERCPU) || (write && base.type & PTR_UNTRUSTED))
		return refuse_pointer(v, regno, off);
	if (write && !object)
		return v->target.ops ? check_ops_write(v, &base, off, size) : check_btf_write(v, regno, off, size);
	if (object)
		return access_object(v, &base, off, size, write, value);
	if (btf_walk_through(base.btf, base.btf_id, (u32)off, size, &hit))
		return refuse_member(v, base.btf, &hit, size);
	v->aux[v->at].flags |= AUX_PROBE;
	if (value >= 0)
		set_loaded(v, &cur_regs(v)[value], base.btf, &hit, hit.kind == BTF_WALK_PTR ? loaded_flags(v, &base, &hit) : 0);
	return 0;
}

int check_map_pointer(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value) {
	const struct map_facts *map = cur_regs(v)[regno].map->facts;
	const struct abi_map_type *type = abi_map_type(v->abi, map->type);
	const struct btf *btf = v->in->kernel_btf;
	const char *name = type && type->btf ? type->btf : NULL;
	struct btf_access hit = {0};
	u32 id;
	ASSERT(cur_regs(v)[regno].type == CONST_PTR_TO_MAP);
	say_reg(v, regno);
	say(v, "name", "%s", name ? name : "map");
	if (!name) {
		say(v, "why", "maps of this type have no structure that programs may read");
		return refuse(v, MAP_FIELDS, -ENOTSUPP, map->type);
	}
	if (!v->allow_ptr_leaks)
		return refuse(v, BTF_ACCESS_RIGHT, -EPERM, name);
	id = btf ? btf_find(btf, name, BTF_KIND_STRUCT) : 0;
	if (!id)
		return refuse_not_yet(v, "the fields of a map, where the kernel's types are not at hand");
	if (off < 0)
		return refuse_text(v, BTF_ACCESS, -EACCES, "R%d is %s invalid negative access: off=%d", regno, name, off);
	if (write)
		return refuse_text(v, BTF_WRITE, -EACCES, "only read from %s is supported", name);
	v->values_n = 0;
	if (btf_walk_through(btf, id, (u32)off, size, &hit))
		return refuse_member(v, btf, &hit, size);
	v->aux[v->at].flags |= AUX_PROBE;
	v->reads_map_fields = true;
	if (value >= 0)
		set_loaded(v, &cur_regs(v)[value], btf, &hit, member_flags(&hit));
	return 0;
}

/* Is there an object of that type at off inside this one? struct tcp_sock begins with a struct sock_common. */
bool btf_object_at(struct verifier *v, const struct btf *btf, u32 id, s32 off, const char *want, bool itself) {
	struct btf_access hit;
	char text[MEMBER_TEXT];
	u32 at = (u32)off;
	int err = 0;
	const struct btf_type *t = btf_type(btf, btf_skip_modifiers(btf, id));
	ASSERT(t);
	if (off < 0)
		return false;
	if (!off && btf_kind(t) == BTF_KIND_STRUCT && !strcmp(btf_name(btf, t), want))
		return true;
	while (!itself && !(err = btf_walk(btf, id, at, 1, &hit)) && hit.kind == BTF_WALK_STRUCT) {
		t = btf_type(btf, hit.type_id);
		if (btf_kind(t) == BTF_KIND_STRUCT && !strcmp(btf_name(btf, t), want))
			return true;
		id = hit.type_id, at = 0;
	}
	if (err && logging(v)) {
		member_error(btf, &hit, 1, text);
		vlog(v, "%s\n", text);
	}
	return false;
}

/* == Buffers: memory that the kernel lends to tracepoints and iterators, whose size is known when they are attached == */

int check_buffer(struct verifier *v, u32 regno, s32 off, s32 size, bool write) {
	const struct reg *r = &cur_regs(v)[regno];
	const char *kind = base_type(r->type) == PTR_TO_TP_BUFFER ? "tracepoint" : r->type & MEM_RDONLY ? "rdonly" : "rdwr";
	char text[TYPE_NAME_MAX];
	ASSERT(base_type(r->type) == PTR_TO_BUF || base_type(r->type) == PTR_TO_TP_BUFFER);
	say_reg(v, regno);
	say(v, "name", "%s", kind);
	if (write && r->type & MEM_RDONLY)
		return refuse(v, CANNOT_WRITE_INTO, -EACCES, regno, reg_type_name(r->type, text));
	if (off < 0)
		return refuse(v, BUFFER_ACCESS, -EACCES, regno, kind, off, size);
	if (!scalar_equals(&r->s, 0))
		return refuse(v, BUFFER_VARIABLE, -EACCES, regno, off, tnum_text(r->s.var, text));
	v->values_n = 0;
	return 0;
}
