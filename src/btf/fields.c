/* Special fields: types that the kernel manages (a spin lock, a timer, the root of a tree) and typed kernel pointers, in
 * map values and in objects that programs allocate. They are recognised by the name of the struct, at any depth of structs
 * and arrays, but not in unions, as in the kernel.
 *
 *      struct node  { struct bpf_rb_node n; int key; };                  an object
 *      struct value { struct bpf_spin_lock lock;                         a map value
 *                     struct bpf_rb_root tree __contains(node, n); }
 *                                         │
 *      type_id, node_off of the root  ◄───┘  a declaration tag «contains:node:n» on the member, or on a global variable
 *
 * In values nodes mean nothing; in objects timers, work queues and pointers to users' memory do not: they are ordinary
 * members there. Which structures count as objects with special fields is objects.c's.
 *
 * Invariants of what is found: fields do not overlap; roots lie beside a lock; a structure that can be in a list and in a
 * tree at once counts its references. */
#include "btf/btf.h"
#include "btf/objects.h"
#include <errno.h>
#include <string.h>

enum { DEPTH_MAX = 32, STEPS_MAX = 1 << 16, NAME_MAX_ = 128 };

enum special_kind { SPECIAL_LOCK = 1, SPECIAL_TIMER, SPECIAL_WORKQUEUE, SPECIAL_OTHER };
static const struct special {
	const char *name;
	u32 what, kind, size, align;
	u32 in;    /* FIELDS_OF_… */
	bool once; /* one of them, and not in an array */
	bool repeats; /* may be in an array */
} specials[] = {
    {"bpf_spin_lock", SPECIAL_LOCK, BTF_FIELD_STRUCT, 4, 4, FIELDS_OF_ALL, true, false},
    {"bpf_timer", SPECIAL_TIMER, BTF_FIELD_STRUCT, 16, 8, FIELDS_OF_VALUE, true, false},
    {"bpf_wq", SPECIAL_WORKQUEUE, BTF_FIELD_STRUCT, 16, 8, FIELDS_OF_VALUE, true, false},
    {"bpf_res_spin_lock", SPECIAL_OTHER, BTF_FIELD_STRUCT, 4, 4, FIELDS_OF_ALL, true, false},
    {"bpf_refcount", SPECIAL_OTHER, BTF_FIELD_REFCOUNT, 4, 4, FIELDS_OF_ALL, true, false},
    {"bpf_task_work", SPECIAL_OTHER, BTF_FIELD_STRUCT, 8, 8, FIELDS_OF_VALUE, true, false},
    {"bpf_list_head", SPECIAL_OTHER, BTF_FIELD_LIST_HEAD, 16, 8, FIELDS_OF_ALL, false, true},
    {"bpf_list_node", SPECIAL_OTHER, BTF_FIELD_LIST_NODE, 24, 8, FIELDS_OF_OBJECT, false, false},
    {"bpf_rb_root", SPECIAL_OTHER, BTF_FIELD_RB_ROOT, 16, 8, FIELDS_OF_ALL, false, true},
    {"bpf_rb_node", SPECIAL_OTHER, BTF_FIELD_RB_NODE, 32, 8, FIELDS_OF_OBJECT, false, false},
};
static const struct pointer_tag {
	const char *tag, *name;
	u32 in;
} pointer_tags[] = {
    [BTF_FIELD_KPTR_UNTRUSTED] = {"kptr_untrusted", "kptr", FIELDS_OF_ALL},
    [BTF_FIELD_KPTR] = {"kptr", "kptr", FIELDS_OF_ALL},
    [BTF_FIELD_KPTR_PERCPU] = {"percpu_kptr", "percpu_kptr", FIELDS_OF_ALL},
    [BTF_FIELD_UPTR] = {"uptr", "uptr", FIELDS_OF_VALUE},
};

struct search {
	const struct btf *btf;
	u32 in;
	u32 seen; /* specials[] that may be there once */
	u32 steps;
	bool other_lock;
	struct btf_fields *out;
	const char *node[BTF_FIELDS_MAX]; /* of roots: the name of the object's member, behind the tag's second colon */
	const char *why;
};

/* What may carry the declaration tag of a root. */
struct place {
	u32 id;        /* of the struct, or the variable */
	s32 component; /* of the member; -1: the variable itself */
};

static int refuse(struct search *s, int err, const char *why) {
	s->why = why;
	return err;
}

/* == One field == */

int btf_kptr_kind(const struct btf *btf, const struct btf_type *t, u32 in, u32 *kind, u32 *pointee, const char **why) {
	const char *tag;
	u32 k = BTF_FIELD_KPTR_UNTRUSTED;
	if (btf_kind(t) == BTF_KIND_VOLATILE)
		t = btf_type(btf, t->type);
	if (btf_kind(t) != BTF_KIND_PTR)
		return 0;
	t = btf_type(btf, t->type);
	if (btf_kind(t) != BTF_KIND_TYPE_TAG)
		return 0;
	tag = btf_name(btf, t);
	if (btf_kind(btf_type(btf, t->type)) == BTF_KIND_TYPE_TAG)
		return *why = "a pointer in the value has more than one type tag", -EINVAL;
	while (k < ARRAY_SIZE(pointer_tags) && (strcmp(tag, pointer_tags[k].tag) || !(pointer_tags[k].in & in)))
		k++;
	if (k == ARRAY_SIZE(pointer_tags))
		return *why = "a pointer in the value has an unknown type tag (kptr, kptr_untrusted, percpu_kptr and uptr exist)",
		       -EINVAL;
	if (btf_kind(btf_skip_type(btf, t->type)) != BTF_KIND_STRUCT)
		return *why = "a kptr in the value does not point to a struct", -EINVAL;
	*kind = k;
	*pointee = t->type;
	return 1;
}

/* The tag «contains:TYPE:MEMBER» of a root. */
static int find_contents(struct search *s, const struct place *at, u32 *type_id, const char **member) {
	const char *rest, *again, *colon;
	char name[NAME_MAX_];
	u32 tag = btf_decl_tag_next(s->btf, at->id, at->component, "contains:", 0, &rest);
	if (!tag || btf_decl_tag_next(s->btf, at->id, at->component, "contains:", tag, &again))
		return refuse(s, -EINVAL, "a list head or tree root needs one tag __contains(type, member)");
	colon = strchr(rest, ':');
	if (!colon || colon - rest >= NAME_MAX_ || !colon[1])
		return refuse(s, -EINVAL, "the tag __contains of a list head or tree root names no member");
	memcpy(name, rest, (u64)(colon - rest));
	name[colon - rest] = 0;
	*type_id = btf_find(s->btf, name, BTF_KIND_STRUCT);
	*member = colon + 1;
	return *type_id ? 0 : refuse(s, -ENOENT, "the tag __contains of a list head or tree root names an unknown type");
}

static int add(struct search *s, struct btf_field f, u64 count, u64 step, const char *node) {
	struct btf_fields *out = s->out;
	if (out->n + count > BTF_FIELDS_MAX)
		return refuse(s, -E2BIG, "the value has too many special fields");
	for (u64 i = 0; i < count; i++, f.off += (u32)step) {
		s->node[out->n] = node;
		out->list[out->n++] = f;
	}
	out->kinds |= 1u << f.kind;
	return 0;
}

static void note_special(struct search *s, const struct special *sp, u64 off, u64 count) {
	switch (sp->what) {
	case SPECIAL_LOCK: s->out->spin_lock = (s32)off; break;
	case SPECIAL_TIMER: s->out->timer = (s32)off; break;
	case SPECIAL_WORKQUEUE: s->out->workqueue = (s32)off; break;
	default: s->out->kptrs += (u32)count;
	}
	s->other_lock |= !strcmp(sp->name, "bpf_res_spin_lock");
}

static int find_special(struct search *s, const struct special *sp, const struct btf_type *t, const struct place *at,
                        u64 off, u32 expected, u64 count) {
	struct btf_field f = {.off = (u32)off, .size = sp->size, .kind = sp->kind, .name = sp->name};
	const char *node = NULL;
	u32 bit = 1u << (sp - specials);
	int err = 0;
	if (sp->once && s->seen & bit)
		return refuse(s, -E2BIG, "the value has a field twice that may be there only once");
	s->seen |= bit;
	if ((expected && expected != sp->size * count) || off % sp->align || t->size != sp->size)
		return 0;
	if (btf_field_is_root(&f))
		err = find_contents(s, at, &f.type_id, &node);
	if (!err && s->out->n == BTF_FIELDS_MAX)
		err = refuse(s, -E2BIG, "the value has too many special fields");
	if (!err && count > 1 && !sp->repeats)
		err = refuse(s, -EINVAL, "an array in the value holds a field that may be there only once");
	if (!err)
		err = add(s, f, count, sp->size, node);
	if (!err)
		note_special(s, sp, off, count);
	return err;
}

static int find_kptr(struct search *s, const struct btf_type *t, u64 off, u32 expected, u64 count) {
	struct btf_field f = {.off = (u32)off, .size = 8};
	int is;
	if ((expected && expected != 8 * count) || off % 8)
		return 0;
	is = btf_kptr_kind(s->btf, t, s->in, &f.kind, &f.type_id, &s->why);
	if (is <= 0)
		return is;
	f.name = pointer_tags[f.kind].name;
	is = add(s, f, count, 8, NULL);
	if (!is)
		s->out->kptrs += (u32)count;
	return is;
}

/* == The search == */

static int find_in_struct(struct search *s, u32 id, u64 off, u32 depth);

/* What was found from `first` on in the first element is in the others as well. */
static int repeat(struct search *s, u32 first, u64 count, u32 step) {
	struct btf_fields *out = s->out;
	u32 n = out->n - first;
	for (u32 i = first; i < out->n; i++)
		if (!btf_field_is_pointer(&out->list[i]) && !btf_field_is_root(&out->list[i]))
			return refuse(s, -EINVAL, "an array of structs in the value holds special fields");
	if (n * count > BTF_FIELDS_MAX - first)
		return refuse(s, -E2BIG, "the value has too many special fields");
	for (u64 k = 1; k < count; k++)
		for (u32 i = 0; i < n; i++) {
			struct btf_field f = out->list[first + i];
			f.off += (u32)(k * step);
			s->node[out->n] = s->node[first + i];
			out->list[out->n++] = f;
		}
	out->kptrs += n * (u32)(count - 1);
	return 0;
}

static const struct special *special_of(const struct search *s, const struct btf_type *t) {
	const char *name = btf_name(s->btf, t);
	for (u32 i = 0; i < ARRAY_SIZE(specials) && btf_kind(t) == BTF_KIND_STRUCT; i++)
		if (specials[i].in & s->in && !strcmp(name, specials[i].name))
			return &specials[i];
	return NULL;
}

/* One member, array element or variable of type id. expected: bytes of a DATASEC entry, 0 for members. */
static int find_one(struct search *s, u32 id, const struct place *at, u64 off, u32 expected, u32 depth) {
	const struct btf_type *t = btf_type(s->btf, id);
	const struct special *sp;
	u64 count = 1;
	u32 before = s->out->n;
	int err;
	if (++s->steps > STEPS_MAX)
		return refuse(s, -E2BIG, "the value's type has too many members");
	for (; btf_kind(t) == BTF_KIND_ARRAY; t = btf_type(s->btf, id)) {
		count = MIN(count * btf_array(t)->nelems, (u64)UINT32_MAX);
		id = btf_array(t)->type;
	}
	if (!count)
		return 0;
	sp = special_of(s, t);
	if (sp)
		return find_special(s, sp, t, at, off, expected, count);
	if (btf_kind(t) != BTF_KIND_STRUCT)
		return find_kptr(s, t, off, expected, count);
	if (expected && expected != t->size * count)
		return 0;
	err = find_in_struct(s, id, off, depth + 1);
	return err || count == 1 || s->out->n == before ? err : repeat(s, before, count, t->size);
}

static int find_in_struct(struct search *s, u32 id, u64 off, u32 depth) {
	const struct btf_type *t = btf_type(s->btf, id);
	if (depth >= DEPTH_MAX)
		return refuse(s, -E2BIG, "the value's type is nested too deeply");
	for (u32 i = 0; i < btf_vlen(t); i++) {
		u32 bits = btf_member_bit_offset(t, i);
		int err;
		if (bits % 8)
			return refuse(s, -EINVAL, "the value has a bit field that does not begin on a byte, beside special fields");
		err = find_one(s, btf_members(t)[i].type, &(struct place){id, (s32)i}, off + bits / 8, 0, depth);
		if (err)
			return err;
	}
	return 0;
}

s32 btf_field_off(const struct btf_fields *fields, const char *name) {
	for (u32 i = 0; i < fields->n; i++)
		if (!strcmp(fields->list[i].name, name))
			return (s32)fields->list[i].off;
	return -1;
}

static int find_in_section(struct search *s, const struct btf_type *t) {
	int err = 0;
	for (u32 i = 0; i < btf_vlen(t) && !err; i++) {
		const struct btf_var_secinfo *v = &btf_var_secinfos(t)[i];
		const struct btf_type *var = btf_type(s->btf, v->type);
		if (btf_kind(var) == BTF_KIND_VAR)
			err = find_one(s, var->type, &(struct place){v->type, -1}, v->offset, v->size, 0);
	}
	return err;
}

/* == All of them together == */

/* The node in the objects that a root holds. */
static int resolve_root(struct search *s, struct btf_field *f, const char *member) {
	const char *want = f->kind == BTF_FIELD_LIST_HEAD ? "bpf_list_node" : "bpf_rb_node";
	const struct btf_type *t = btf_type(s->btf, f->type_id), *node;
	bool found = false;
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		u32 bits = btf_member_bit_offset(t, i);
		if (strcmp(btf_string(s->btf, m->name_off), member))
			continue;
		node = btf_type(s->btf, m->type);
		if (found || btf_kind(node) != BTF_KIND_STRUCT || strcmp(btf_name(s->btf, node), want) || bits % 64)
			return refuse(s, -EINVAL, "the tag __contains of a list head or tree root names a member that is no node");
		found = true;
		f->node_off = bits / 8;
	}
	return found ? 0 : refuse(s, -ENOENT, "the tag __contains of a list head or tree root names an unknown member");
}

static void sort_by_offset(struct btf_fields *f) {
	for (u32 i = 1; i < f->n; i++)
		for (u32 k = i; k > 0 && f->list[k - 1].off > f->list[k].off; k--) {
			struct btf_field other = f->list[k];
			f->list[k] = f->list[k - 1];
			f->list[k - 1] = other;
		}
}

static int check_together(struct search *s) {
	struct btf_fields *out = s->out;
	const u32 roots = 1u << BTF_FIELD_LIST_HEAD | 1u << BTF_FIELD_RB_ROOT;
	const u32 nodes = 1u << BTF_FIELD_LIST_NODE | 1u << BTF_FIELD_RB_NODE;
	u64 end = 0;
	ASSERT(out->n <= BTF_FIELDS_MAX);
	for (u32 i = 0; i < out->n; i++) {
		struct btf_field *f = &out->list[i];
		int err = f->off < end ? refuse(s, -EEXIST, "special fields of the value overlap") : 0;
		end = (u64)f->off + f->size;
		if (!err && btf_field_is_root(f))
			err = resolve_root(s, f, s->node[i]);
		if (err)
			return err;
	}
	if (out->spin_lock >= 0 && s->other_lock)
		return refuse(s, -EINVAL, "the value has locks of both kinds");
	if (out->kinds & roots && out->spin_lock < 0 && !s->other_lock)
		return refuse(s, -EINVAL, "a list head or tree root needs a bpf_spin_lock beside it");
	if ((out->kinds & nodes) == nodes && !(out->kinds >> BTF_FIELD_REFCOUNT & 1))
		return refuse(s, -EINVAL, "an object that can be in a list and in a tree needs a bpf_refcount");
	sort_by_offset(out);
	return 0;
}

int btf_search_fields(const struct btf *btf, u32 id, u32 in, struct btf_fields *out, const char **why) {
	struct search s = {.btf = btf, .in = in, .out = out};
	const struct btf_fields none = {.spin_lock = -1, .timer = -1, .workqueue = -1};
	const struct btf_type *t;
	int err = 0;
	*out = none;
	id = id < btf->end ? btf_skip_modifiers(btf, id) : 0;
	t = btf_type(btf, id);
	if (btf_kind(t) == BTF_KIND_STRUCT)
		err = find_in_struct(&s, id, 0, 0);
	else if (btf_kind(t) == BTF_KIND_DATASEC)
		err = find_in_section(&s, t);
	if (!err)
		err = check_together(&s);
	if (err)
		*out = none;
	if (why)
		*why = s.why;
	return err;
}

int btf_find_fields(const struct btf *btf, u32 value_id, struct btf_fields *out, const char **why) {
	return btf_search_fields(btf, value_id, FIELDS_OF_VALUE, out, why);
}
