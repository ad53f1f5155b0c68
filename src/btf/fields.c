/* Special fields of a map value: types that the kernel manages (a spin lock, a timer) and typed kernel pointers. They
 * are recognised by the name of the struct, at any depth of structs and arrays, as in the kernel. */
#include "btf/btf.h"
#include <errno.h>
#include <string.h>

enum { DEPTH_MAX = 32, STEPS_MAX = 1 << 16 };

enum field_kind { FIELD_NONE, FIELD_SPIN_LOCK, FIELD_TIMER, FIELD_WORKQUEUE, FIELD_OTHER, FIELD_KPTR };
static const struct special {
	const char *name;
	u32 kind, size, align;
	bool once; /* one per value, and not in an array */
} specials[] = {
    {"bpf_spin_lock", FIELD_SPIN_LOCK, 4, 4, true}, {"bpf_timer", FIELD_TIMER, 16, 8, true},
    {"bpf_wq", FIELD_WORKQUEUE, 16, 8, true},       {"bpf_res_spin_lock", FIELD_OTHER, 4, 4, true},
    {"bpf_refcount", FIELD_OTHER, 4, 4, true},      {"bpf_task_work", FIELD_OTHER, 8, 8, true},
    {"bpf_list_head", FIELD_OTHER, 16, 8, false},   {"bpf_list_node", FIELD_OTHER, 24, 8, false},
    {"bpf_rb_root", FIELD_OTHER, 16, 8, false},     {"bpf_rb_node", FIELD_OTHER, 32, 8, false},
};
static const struct pointer_tag {
	const char *tag;
	struct special field;
} pointer_tags[] = {
    [BTF_FIELD_KPTR_UNTRUSTED] = {"kptr_untrusted", {"kptr", FIELD_KPTR, 8, 8, false}},
    [BTF_FIELD_KPTR] = {"kptr", {"kptr", FIELD_KPTR, 8, 8, false}},
    [BTF_FIELD_KPTR_PERCPU] = {"percpu_kptr", {"percpu_kptr", FIELD_KPTR, 8, 8, false}},
    [BTF_FIELD_UPTR] = {"uptr", {"uptr", FIELD_KPTR, 8, 8, false}},
};

struct search {
	const struct btf *btf;
	u32 seen; /* specials[] that may be there once */
	u32 steps;
	u32 kind, type_id; /* of the pointer that is_kptr found */
	struct btf_fields *out;
	const char *why;
};

static int refuse(struct search *s, int err, const char *why) {
	s->why = why;
	return err;
}

/* 1: a pointer with a kptr tag to a struct, in kind and type_id; 0: an ordinary one. */
static int is_kptr(struct search *s, const struct btf_type *t) {
	if (btf_kind(t) == BTF_KIND_VOLATILE)
		t = btf_type(s->btf, t->type);
	if (btf_kind(t) != BTF_KIND_PTR)
		return 0;
	t = btf_type(s->btf, t->type);
	if (btf_kind(t) != BTF_KIND_TYPE_TAG)
		return 0;
	const char *tag = btf_name(s->btf, t);
	if (btf_kind(btf_type(s->btf, t->type)) == BTF_KIND_TYPE_TAG)
		return refuse(s, -EINVAL, "a pointer in the value has more than one type tag");
	u32 kind = BTF_FIELD_KPTR_UNTRUSTED;
	while (kind < ARRAY_SIZE(pointer_tags) && strcmp(tag, pointer_tags[kind].tag))
		kind++;
	if (kind == ARRAY_SIZE(pointer_tags))
		return refuse(s, -EINVAL,
			      "a pointer in the value has an unknown type tag (kptr, kptr_untrusted, percpu_kptr and "
			      "uptr exist)");
	if (!btf_is_composite(btf_skip_type(s->btf, t->type)))
		return refuse(s, -EINVAL, "a kptr in the value does not point to a struct");
	s->kind = kind;
	s->type_id = t->type;
	return 1;
}

static int add(struct search *s, const struct special *sp, u64 off, u64 count) {
	if (count > 1 && sp->once)
		return refuse(s, -EINVAL, "an array in the value holds a field that may be there only once");
	struct btf_fields *out = s->out;
	if (out->n + count > BTF_FIELDS_MAX)
		return refuse(s, -E2BIG, "the value has too many special fields");
	for (u64 i = 0; i < count; i++)
		out->list[out->n++] = (struct btf_field){.off = (u32)(off + i * sp->size), .size = sp->size, .name = sp->name};
	for (u64 i = 0; sp->kind == FIELD_KPTR && i < count; i++) {
		out->list[out->n - 1 - i].kind = s->kind;
		out->list[out->n - 1 - i].type_id = s->type_id;
	}
	switch (sp->kind) {
	case FIELD_SPIN_LOCK:
		s->out->spin_lock = (s32)off;
		break;
	case FIELD_TIMER:
		s->out->timer = (s32)off;
		break;
	case FIELD_WORKQUEUE:
		s->out->workqueue = (s32)off;
		break;
	default:
		s->out->kptrs += (u32)count;
	}
	return 0;
}

static int find_in_struct(struct search *s, const struct btf_type *t, u64 off, u32 depth);

/* One member, array element or variable. expected: bytes of a DATASEC entry, 0 for members. */
static int find_one(struct search *s, const struct btf_type *t, u64 off, u32 expected, u32 depth) {
	u64 count = 1;
	if (++s->steps > STEPS_MAX)
		return refuse(s, -E2BIG, "the value's type has too many members");
	for (; btf_kind(t) == BTF_KIND_ARRAY; t = btf_type(s->btf, btf_array(t)->type))
		count = MIN(count * btf_array(t)->nelems, (u64)UINT32_MAX);
	if (!count)
		return 0;
	const struct special *sp = NULL;
	const char *name = btf_name(s->btf, t);
	for (u32 i = 0; i < ARRAY_SIZE(specials) && !sp && btf_kind(t) == BTF_KIND_STRUCT; i++)
		if (!strcmp(name, specials[i].name))
			sp = &specials[i];
	if (!sp && btf_is_composite(t)) {
		if (expected && expected != t->size * count)
			return 0;
		u32 before = s->out->n;
		int err = find_in_struct(s, t, off, depth + 1);
		if (!err && s->out->n > before && count > 1)
			return refuse(s, -EINVAL, "an array of structs in the value holds special fields");
		return err;
	}
	if (sp && sp->once) {
		u32 bit = 1u << (sp - specials);
		if (s->seen & bit)
			return refuse(s, -E2BIG, "the value has a field twice that may be there only once");
		s->seen |= bit;
	}
	if (!sp) {
		int is = is_kptr(s, t);
		if (is <= 0)
			return is;
		sp = &pointer_tags[s->kind].field;
	} else if (t->size != sp->size) {
		return 0;
	}
	if ((expected && expected != sp->size * count) || off % sp->align)
		return 0;
	return add(s, sp, off, count);
}

static int find_in_struct(struct search *s, const struct btf_type *t, u64 off, u32 depth) {
	if (depth >= DEPTH_MAX)
		return refuse(s, -E2BIG, "the value's type is nested too deeply");
	for (u32 i = 0; i < btf_vlen(t); i++) {
		u32 bits = btf_member_bit_offset(t, i);
		const struct btf_type *m = btf_type(s->btf, btf_members(t)[i].type);
		if (bits % 8)
			continue; /* a bit field: never special */
		int err = find_one(s, m, off + bits / 8, 0, depth);
		if (err)
			return err;
	}
	return 0;
}

int btf_find_fields(const struct btf *btf, u32 value_id, struct btf_fields *out, const char **why) {
	struct search s = {.btf = btf, .out = out};
	*out = (struct btf_fields){.spin_lock = -1, .timer = -1, .workqueue = -1};
	if (why)
		*why = NULL;
	const struct btf_type *t = value_id < btf->end ? btf_skip_type(btf, value_id) : &btf_void;
	int err = 0;
	if (btf_is_composite(t)) {
		err = find_in_struct(&s, t, 0, 0);
	} else if (btf_kind(t) == BTF_KIND_DATASEC) {
		for (u32 i = 0; i < btf_vlen(t) && !err; i++) {
			const struct btf_var_secinfo *v = &btf_var_secinfos(t)[i];
			const struct btf_type *var = btf_type(btf, v->type);
			if (btf_kind(var) == BTF_KIND_VAR)
				err = find_one(&s, btf_type(btf, var->type), v->offset, v->size, 0);
		}
	}
	for (u32 i = 1; i < out->n && !err; i++)
		if (out->list[i].off < (u64)out->list[i - 1].off + out->list[i - 1].size)
			err = refuse(&s, -EEXIST, "special fields of the value overlap");
	if (err)
		*out = (struct btf_fields){.spin_lock = -1, .timer = -1, .workqueue = -1};
	if (why)
		*why = s.why;
	return err;
}
