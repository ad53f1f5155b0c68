/* Kernel pointers in map values and in objects that the program allocates: fields that their BTF tags.
 *
 *      kptr_untrusted   loads, and stores of pointers of its type; what is loaded may dangle
 *      kptr             holds a reference: loads, and bpf_kptr_xchg to put one in and take the old one out
 *      percpu_kptr      the same, of an object for each processor
 *      uptr             memory of the task's own; loads only
 *
 * A type that the kernel has by that name is the kernel's, else the program's own (object.c). The pointers in an object
 * are exchanged, and neither loaded nor stored.
 * What is loaded from a field that holds a reference may be gone as soon as somebody exchanges it: it is untrusted, unless
 * the object is freed by RCU and the program runs in an RCU section.
 *
 * Invariant: the 8 bytes of a pointer are loaded or stored whole, by plain instructions at a constant offset, or not at
 * all; all other fields are touched by helpers and kernel functions only. */
#include "verify/env.h"
#include <string.h>

/* == Accesses == */

static int refuse_field(struct verifier *v, const struct btf_field *f, const char *why, const char *line) {
	say(v, "name", "%s", f->name);
	say(v, "off", "%u", f->off);
	say(v, "why", "%s", why);
	return refuse_text(v, KPTR_ACCESS, -EACCES, "%s%s", f->name, line);
}

/* [from, to) of the value lies over the field. */
static int check_field(struct verifier *v, const struct btf_field *f, const struct reg *r, s32 off, s32 size,
                       bool helper) {
	char line[96];
	if (!btf_field_is_pointer(f)) {
		say(v, "name", "%s", f->name);
		return refuse(v, SPECIAL_FIELD, -EACCES, f->name);
	}
	if (helper)
		return refuse_field(v, f, "helpers must not see it", " cannot be accessed indirectly by helper");
	if (!scalar_is_const(&r->s))
		return refuse_field(v, f, "the offset is variable", " access cannot have variable offset");
	if (f->off != (u64)(s64)off + r->s.var.value) {
		snprintf(line, sizeof line, " access misaligned expected=%u off=%llu", f->off,
		         (unsigned long long)((u64)(s64)off + r->s.var.value));
		return refuse_field(v, f, "the access begins somewhere else", line);
	}
	if (size != 8)
		return refuse_field(v, f, "only all its 8 bytes can be accessed", " access size must be BPF_DW");
	return 0;
}

int check_map_fields(struct verifier *v, const struct reg *r, s32 off, s32 size, bool helper) {
	const struct btf_fields *fields = &r->map->facts->fields;
	s64 from = r->s.r.smin + off, to = (s64)r->s.r.umax + off + size;
	ASSERT(fields->n <= BTF_FIELDS_MAX);
	for (u32 i = 0; i < fields->n; i++) {
		const struct btf_field *f = &fields->list[i];
		int err = from < (s64)f->off + f->size && f->off < to ? check_field(v, f, r, off, size, helper) : 0;
		if (err)
			return err;
	}
	return 0;
}

/* The pointer field at that offset of the value, or NULL. */
const struct btf_field *kptr_at(const struct btf_fields *fields, s64 off) {
	for (u32 i = 0; i < fields->n; i++)
		if (fields->list[i].off == off && btf_field_is_pointer(&fields->list[i]))
			return &fields->list[i];
	return NULL;
}

/* == Types == */

struct pointee {
	const struct btf *btf;
	u32 id;
	bool kernel;
	const char *name;
};

static struct pointee pointee_of(const struct verifier *v, const struct btf *btf, const struct btf_field *f) {
	struct pointee p = {.btf = btf, .id = btf_skip_modifiers(btf, f->type_id)};
	u32 kind = BTF_INFO_KIND(btf_type(btf, p.id)->info);
	u32 id = v->in->kernel_btf ? btf_find(v->in->kernel_btf, btf_name_of(btf, p.id), kind) : 0;
	p.name = btf_name_of(btf, p.id);
	if (!id || f->kind == BTF_FIELD_UPTR)
		return p;
	p.btf = v->in->kernel_btf;
	p.id = id;
	p.kernel = true;
	return p;
}

/* Does an object of type `want` lie at that offset of one of type id? */
static bool lies_at(const struct btf *btf, u32 id, u32 off, u32 want) {
	for (u32 depth = 0; depth < 32; depth++) {
		const struct btf_type *t = btf_type(btf, id = btf_skip_modifiers(btf, id));
		const struct btf_member *m = btf_members(t), *inside = NULL;
		u32 kind = BTF_INFO_KIND(t->info);
		if (!off && id == want)
			return true;
		if (kind == BTF_KIND_ARRAY) {
			s64 size = btf_size(btf, btf_array(t)->type);
			if (size <= 0)
				return false;
			off %= (u32)size;
			id = btf_array(t)->type;
			continue;
		}
		for (u32 i = 0; kind == BTF_KIND_STRUCT && i < btf_vlen(t); i++) {
			u32 bits = btf_member_bit_offset(t, i);
			s64 size = btf_size(btf, m[i].type);
			if (!(bits % 8) && size > 0 && bits / 8 <= off && off < bits / 8 + (u64)size)
				inside = &m[i], off -= bits / 8, i = btf_vlen(t);
		}
		if (!inside)
			return false;
		id = inside->type;
	}
	return false;
}

static int refuse_pointer(struct verifier *v, u32 regno, const struct btf_field *f, const struct pointee *p, bool named) {
	const struct reg *r = &cur_regs(v)[regno];
	const char *own = named ? btf_name_of(r->btf, r->btf_id) : "";
	char have[TYPE_NAME_MAX], want[TYPE_NAME_MAX], other[TYPE_NAME_MAX];
	reg_type_name(r->type, have);
	reg_type_name(PTR_TO_BTF_ID, want);
	say_reg(v, regno);
	say(v, "expected", "%s", p->name);
	if (f->kind != BTF_FIELD_KPTR_UNTRUSTED)
		return refuse(v, KPTR_TYPE, -EACCES, regno, have, own, want, p->name);
	return refuse_text(v, KPTR_TYPE, -EACCES, "invalid kptr access, R%d type=%s%s expected=%s%s or %s%s", regno, have, own,
	                   want, p->name, reg_type_name(PTR_TO_BTF_ID | PTR_UNTRUSTED, other), p->name);
}

/* May the pointer in the register be put into the field? */
int check_kptr_value(struct verifier *v, const struct btf *btf, const struct btf_field *f, u32 regno) {
	const struct reg *r = &cur_regs(v)[regno];
	struct pointee p = pointee_of(v, btf, f);
	u32 may = PTR_MAYBE_NULL | PTR_TRUSTED | MEM_RCU;
	int err;
	if (base_type(r->type) != PTR_TO_BTF_ID)
		return refuse_pointer(v, regno, f, &p, false);
	if (r->btf != v->in->kernel_btf)
		may = PTR_MAYBE_NULL | MEM_ALLOC | (f->kind == BTF_FIELD_KPTR_PERCPU ? MEM_PERCPU : 0);
	else if (f->kind == BTF_FIELD_KPTR_UNTRUSTED)
		may |= PTR_UNTRUSTED;
	if (type_flag(r->type) & ~may || (f->kind == BTF_FIELD_KPTR_PERCPU) != !!(r->type & MEM_PERCPU))
		return refuse_pointer(v, regno, f, &p, false);
	err = check_fixed_offset(v, r, regno, true);
	if (err)
		return err;
	if (r->btf == p.btf && r->btf_id == p.id && !r->off)
		return 0;
	if (r->btf == p.btf && f->kind == BTF_FIELD_KPTR_UNTRUSTED && lies_at(p.btf, r->btf_id, (u32)r->off, p.id))
		return 0;
	return refuse_pointer(v, regno, f, &p, true);
}

/* == Loads and stores == */

static bool freed_by_rcu(const struct pointee *p) {
	return !p->kernel || abi_has_destructor(p->name);
}

static bool in_rcu_section(const struct verifier *v) {
	return v->cur->active_rcu || v->cur->active_locks || !v->cur->in_sleepable;
}

/* What keeps the object alive that is loaded. */
static u32 loaded_flags(struct verifier *v, const struct btf_field *f, const struct pointee *p) {
	const struct btf_fields *fields;
	u32 flags = MEM_RCU;
	if (f->kind != BTF_FIELD_KPTR_PERCPU && (f->kind != BTF_FIELD_KPTR || !freed_by_rcu(p)))
		return PTR_UNTRUSTED;
	if (!in_rcu_section(v))
		return PTR_UNTRUSTED;
	if (f->kind == BTF_FIELD_KPTR_PERCPU)
		flags |= MEM_PERCPU;
	else if (!p->kernel)
		flags |= MEM_ALLOC;
	fields = p->kernel ? NULL : object_fields(v, p->btf, p->id);
	if (fields && fields->kinds & (1u << BTF_FIELD_LIST_NODE | 1u << BTF_FIELD_RB_NODE))
		flags |= NON_OWN_REF;
	return flags;
}

static int load_pointer(struct verifier *v, const struct btf *btf, const struct btf_field *f, struct reg *to) {
	struct pointee p = pointee_of(v, btf, f);
	if (f->kind == BTF_FIELD_UPTR) {
		s64 size = btf_size(p.btf, p.id);
		ASSERT(size >= 0);
		reg_set_pointer(to, PTR_TO_MEM | PTR_MAYBE_NULL);
		to->mem_size = (u32)size;
		to->id = ++v->id_gen;
		return 0;
	}
	reg_set_pointer(to, PTR_TO_BTF_ID | PTR_MAYBE_NULL | loaded_flags(v, f, &p));
	to->btf = p.btf;
	to->btf_id = p.id;
	to->id = ++v->id_gen;
	return 0;
}

static int store_pointer(struct verifier *v, const struct btf *btf, const struct btf_field *f, s32 value) {
	if (value < 0) {
		if (!v->insns[v->at].imm)
			return 0;
		say(v, "name", "%s", f->name);
		say(v, "off", "%u", f->off);
		say(v, "why", "the only number that can be stored is 0");
		return refuse_text(v, KPTR_ACCESS, -EACCES, "BPF_ST imm must be 0 when storing to kptr at off=%u", f->off);
	}
	if (reg_is_zero(&cur_regs(v)[value]))
		return mark_precise(v, value);
	return check_kptr_value(v, btf, f, (u32)value);
}

/* An access that check_map_fields has let through. */
int access_kptr(struct verifier *v, const struct btf *btf, const struct btf_field *f, s32 value) {
	const struct bpf_insn *insn = &v->insns[v->at];
	u8 class = BPF_CLASS(insn->code);
	struct reg loaded;
	int err;
	if (class != BPF_LDX && class != BPF_ST && class != BPF_STX)
		return refuse_text(v, INTERNAL, -EFAULT, "a call touches a kernel pointer");
	say(v, "name", "%s", f->name);
	say(v, "off", "%u", f->off);
	if (BPF_MODE(insn->code) != BPF_MEM) {
		say(v, "why", "atomic instructions cannot");
		return refuse_text(v, KPTR_ACCESS, -EACCES,
		                   "kptr in map can only be accessed using BPF_MEM instruction mode");
	}
	if (class != BPF_LDX && f->kind != BTF_FIELD_KPTR_UNTRUSTED) {
		say(v, "why", "stores cannot replace what it refers to");
		return refuse_text(v, KPTR_ACCESS, -EACCES, "store to %s disallowed",
		                   f->kind == BTF_FIELD_UPTR ? "uptr" : "referenced kptr");
	}
	v->values_n = 0;
	if (class != BPF_LDX)
		return store_pointer(v, btf, f, value);
	ASSERT(value >= 0);
	err = load_pointer(v, btf, f, &loaded);
	if (!err)
		cur_regs(v)[value] = loaded;
	return err;
}

/* == bpf_kptr_xchg == */

static bool has_kptr(const struct btf_fields *f) {
	return f->kinds & (1u << BTF_FIELD_KPTR_UNTRUSTED | 1u << BTF_FIELD_KPTR | 1u << BTF_FIELD_KPTR_PERCPU);
}

/* The first argument: the field whose pointer is exchanged. */
int check_kptr_field(struct verifier *v, u32 regno, struct helper_call *call) {
	const struct reg *r = &cur_regs(v)[regno];
	const struct map_facts *map = r->type == PTR_TO_MAP_VALUE ? r->map->facts : NULL;
	const struct btf_fields *fields = fields_of(v, r);
	s64 off;
	ASSERT(fields);
	say_reg(v, regno);
	say(v, "name", "%.16s", map ? map->name : "local");
	if (map && !map->btf)
		return refuse(v, FIELD_NO_BTF, -EINVAL, map->name, "bpf_kptr_xchg");
	if (!scalar_is_const(&r->s))
		return refuse_text(v, KPTR_OFFSET, -EINVAL,
		                   "R%d doesn't have constant offset. kptr has to be at the constant offset", regno);
	off = (s64)r->s.var.value + r->off;
	say(v, "off", "%lld", (long long)off);
	say(v, "type", "kernel pointer");
	call->kptr = kptr_at(fields, off);
	call->kptr_btf = map ? map->btf : r->btf;
	if (!has_kptr(fields))
		return refuse_text(v, FIELD_NONE, -EINVAL, "R%d has no valid kptr", regno);
	if (!call->kptr || call->kptr->kind == BTF_FIELD_UPTR)
		return refuse(v, KPTR_OFFSET, -EACCES, (int)off);
	if (call->kptr->kind == BTF_FIELD_KPTR_UNTRUSTED)
		return refuse_text(v, KPTR_OFFSET, -EACCES, "off=%d kptr isn't referenced kptr", (int)off);
	v->values_n = 0;
	if (map) {
		call->map = r->map;
		call->map_uid = r->map_uid;
	}
	return 0;
}

/* What the call gives: the pointer that was there. */
int set_kptr_result(struct verifier *v, const struct helper_call *call, struct reg *r) {
	struct pointee p = pointee_of(v, call->kptr_btf, call->kptr);
	u32 own = MEM_ALLOC | (call->kptr->kind == BTF_FIELD_KPTR_PERCPU ? MEM_PERCPU : 0);
	ASSERT(call->kptr && call->kptr_btf);
	reg_set_pointer(r, PTR_TO_BTF_ID | PTR_MAYBE_NULL | (p.kernel ? 0 : own));
	r->btf = p.btf;
	r->btf_id = p.id;
	return 0;
}
