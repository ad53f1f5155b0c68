/* Structures that programs allocate and that the kernel knows to have special fields: those of which a member itself is
 * special (the root or node of a list or tree, a lock, a count of references, a kernel pointer).
 *
 * When a BTF is loaded all of them are checked, because a program can allocate any by its id. */
#include "btf/objects.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 4096 };

bool btf_is_object(const struct btf *btf, u32 id) {
	static const char *const names[] = {"bpf_spin_lock", "bpf_list_head", "bpf_list_node",
	                                    "bpf_rb_root",   "bpf_rb_node",   "bpf_refcount"};
	const struct btf_type *t = btf_type(btf, id);
	const char *why;
	u32 kind, pointee;
	for (u32 i = 0; btf_kind(t) == BTF_KIND_STRUCT && i < btf_vlen(t); i++) {
		u32 member = btf_members(t)[i].type;
		const struct btf_type *m = btf_type(btf, member);
		if (btf_kptr_kind(btf, m, FIELDS_OF_OBJECT, &kind, &pointee, &why) == 1)
			return true;
		for (u32 k = 0; btf_kind(m) == BTF_KIND_STRUCT && k < ARRAY_SIZE(names); k++)
			if (!strcmp(btf_name(btf, m), names[k]) && btf_find(btf, names[k], BTF_KIND_STRUCT) == member)
				return true;
	}
	return false;
}

int btf_object_fields(const struct btf *btf, u32 struct_id, struct btf_fields *out, const char **why) {
	*out = (struct btf_fields){.spin_lock = -1, .timer = -1, .workqueue = -1};
	if (why)
		*why = NULL;
	return btf_is_object(btf, struct_id) ? btf_search_fields(btf, struct_id, FIELDS_OF_OBJECT, out, why) : 0;
}

/* What holds objects and can itself be held, may not hold what holds objects: then no chain of owners comes round to
 * itself. */
int btf_check_held(const struct btf *btf, const struct btf_fields *f) {
	const u32 roots = 1u << BTF_FIELD_LIST_HEAD | 1u << BTF_FIELD_RB_ROOT;
	const u32 nodes = 1u << BTF_FIELD_LIST_NODE | 1u << BTF_FIELD_RB_NODE;
	struct btf_fields held;
	for (u32 i = 0; i < f->n; i++) {
		const struct btf_field *field = &f->list[i];
		s64 size = field->kind == BTF_FIELD_UPTR ? btf_size(btf, field->type_id) : 1;
		if (size <= 0)
			return -EINVAL;
		if (size > PAGE) /* one page is pinned */
			return -E2BIG;
		if (!btf_field_is_root(field))
			continue;
		if (!btf_is_object(btf, field->type_id) || btf_object_fields(btf, field->type_id, &held, NULL))
			return -EFAULT;
		if (f->kinds & nodes && held.kinds & roots)
			return -ELOOP;
	}
	return 0;
}

static int check_fields(const struct btf *btf, u32 id, struct btf_log *log) {
	struct btf_fields f;
	const char *why;
	int err = btf_object_fields(btf, id, &f, &why);
	if (!err && !f.n) /* a special member that is not where, or as large as, it must be */
		return -EFAULT;
	if (err && log && why) /* the kernel says nothing */
		snprintf(log->error, sizeof log->error, "struct %s: %s", btf_name_of(btf, id), why);
	return err;
}

int btf_check_objects(const struct btf *btf, struct btf_log *log) {
	struct btf_fields f;
	int err = 0;
	for (u32 id = btf->start; id < btf->end && !err; id++)
		if (btf_is_object(btf, id))
			err = check_fields(btf, id, log);
	for (u32 id = btf->start; id < btf->end && !err; id++)
		if (btf_is_object(btf, id) && !(err = btf_object_fields(btf, id, &f, NULL)))
			err = btf_check_held(btf, &f);
	return err;
}
