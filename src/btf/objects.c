/* Structures that programs allocate and that the kernel knows to have special fields: those of which a member itself is
 * special (the root or node of a list or tree, a lock, a count of references, a kernel pointer).
 *
 * When a BTF is loaded all of them are checked, because a program can allocate any by its id. An object owns what its roots
 * hold and what its pointers refer to, and what owns is freed through what it owns: chains of owners are short, and none
 * comes round to itself. */
#include "btf/objects.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWNERS_MAX = 8 };

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

/* The object of another type that the field owns, 0: none. Types that the kernel has by that name are its own, which only
 * the kernel can tell; they have no special members in programs' BTF. */
static u32 owned_by(const struct btf *btf, const struct btf_field *f) {
	u32 id;
	if (!btf_field_is_root(f) && f->kind != BTF_FIELD_KPTR && f->kind != BTF_FIELD_KPTR_PERCPU)
		return 0;
	id = btf_skip_modifiers(btf, f->type_id);
	return btf_is_object(btf, id) ? id : 0;
}

/* Owners below the structure, itself included; -ELOOP: more than `left`. depth: of those that are known. */
static int owners_below(const struct btf *btf, u32 id, u8 *depth, u32 left) {
	struct btf_fields f;
	int err, most = 0;
	if (!left)
		return -ELOOP;
	if (depth[id])
		return depth[id] > left ? -ELOOP : depth[id];
	err = btf_object_fields(btf, id, &f, NULL);
	if (err)
		return err;
	for (u32 i = 0; i < f.n; i++) {
		u32 owned = owned_by(btf, &f.list[i]);
		int below = owned ? owners_below(btf, owned, depth, left - 1) : 0;
		if (below < 0)
			return below;
		most = MAX(most, below);
	}
	depth[id] = (u8)(most + 1);
	ASSERT(depth[id] <= left);
	return depth[id];
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
	u8 *depth;
	bool any = false;
	int err = 0;
	for (u32 id = btf->start; id < btf->end && !err; id++)
		if (btf_is_object(btf, id)) {
			any = true;
			err = check_fields(btf, id, log);
		}
	if (err || !any)
		return err;
	depth = calloc(btf->end, 1);
	if (!depth)
		return -ENOMEM;
	for (u32 id = btf->start; id < btf->end && err >= 0; id++)
		if (btf_is_object(btf, id))
			err = owners_below(btf, id, depth, OWNERS_MAX);
	free(depth);
	return err < 0 ? err : 0;
}
