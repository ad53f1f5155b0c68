/* When two types are the same for CO-RE. Three relations, from loose to strict:
 *   fields compatible   may a field of the one stand for the other: kinds agree, sizes need not
 *   types compatible    bpf_core_type_exists: kinds agree all the way down
 *   types match         bpf_core_type_matches: members, enumerators and sizes too
 * Recursion is bounded by LEVELS, and the whole by steps: prototypes can fan out. */
#include "btf/core.h"
#include <errno.h>
#include <string.h>

enum { LEVELS = 32 };

bool btf_core_same_name(const char *a, const char *b) {
	u32 an = btf_essential_len(a), bn = btf_essential_len(b);
	return an == bn && !memcmp(a, b, an);
}
bool btf_core_same_kind(const struct btf_type *a, const struct btf_type *b) {
	return btf_kind(a) == btf_kind(b) || (btf_is_any_enum(a) && btf_is_any_enum(b));
}
/* Bit fields in the old form are no targets. */
static bool plain_ints(const struct btf_type *a, const struct btf_type *b) {
	return !BTF_INT_OFFSET(btf_int_data(a)) && !BTF_INT_OFFSET(btf_int_data(b));
}

int btf_core_fields_compatible(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id) {
	const struct btf_type *l = btf_skip_type(local, local_id), *t = btf_skip_type(target, target_id);
	for (u32 level = 0; btf_kind(l) == BTF_KIND_ARRAY && btf_kind(t) == BTF_KIND_ARRAY; level++) {
		if (level == LEVELS)
			return -EINVAL;
		l = btf_skip_type(local, btf_array(l)->type);
		t = btf_skip_type(target, btf_array(t)->type);
	}
	if (btf_is_composite(l) && btf_is_composite(t))
		return 1;
	if (!btf_core_same_kind(l, t))
		return 0;
	switch (btf_kind(l)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FLOAT:
		return 1;
	case BTF_KIND_INT:
		return plain_ints(l, t);
	case BTF_KIND_FWD:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64: {
		const char *ln = btf_name(local, l), *tn = btf_name(target, t);
		return !*ln || !*tn || btf_core_same_name(ln, tn);
	}
	}
	return 0;
}

static int compatible(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id, u32 level,
		      u32 *steps) {
	for (u32 depth = 0; depth < LEVELS; depth++) {
		if (!*steps)
			return -E2BIG;
		--*steps;
		const struct btf_type *l = btf_skip_type(local, local_id), *t = btf_skip_type(target, target_id);
		if (!btf_core_same_kind(l, t))
			return 0;
		switch (btf_kind(l)) {
		case BTF_KIND_INT:
			return plain_ints(l, t);
		case BTF_KIND_PTR:
			local_id = l->type, target_id = t->type;
			continue;
		case BTF_KIND_ARRAY:
			local_id = btf_array(l)->type, target_id = btf_array(t)->type;
			continue;
		case BTF_KIND_FUNC_PROTO:
			if (btf_vlen(l) != btf_vlen(t))
				return 0;
			for (u32 i = 0; i < btf_vlen(l); i++) {
				int r = level ? compatible(local, btf_params(l)[i].type, target, btf_params(t)[i].type,
							   level - 1, steps)
					      : -EINVAL;
				if (r <= 0)
					return r;
			}
			local_id = l->type, target_id = t->type;
			continue;
		case BTF_KIND_UNKN:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_FWD:
			return 1;
		}
		return 0;
	}
	return -EINVAL;
}
int btf_core_types_compatible(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id,
			      u32 *steps) {
	/* The roots too: a typedef is a candidate for a typedef only. */
	if (!btf_core_same_kind(btf_type(local, local_id), btf_type(target, target_id)))
		return 0;
	return compatible(local, local_id, target, target_id, LEVELS, steps);
}

static const char *enumerator(const struct btf *btf, const struct btf_type *t, u32 i) {
	return btf_string(btf, btf_kind(t) == BTF_KIND_ENUM ? btf_enums(t)[i].name_off : btf_enums64(t)[i].name_off);
}
static int enums_match(const struct btf *local, const struct btf_type *l, const struct btf *target,
		       const struct btf_type *t, u32 *steps) {
	if (l->size != t->size || btf_vlen(l) > btf_vlen(t))
		return 0;
	for (u32 i = 0; i < btf_vlen(l); i++) {
		u32 j = 0;
		while (j < btf_vlen(t) && !btf_core_same_name(enumerator(local, l, i), enumerator(target, t, j)))
			j++;
		if (j == btf_vlen(t))
			return 0;
		if (*steps <= j)
			return *steps = 0, -E2BIG;
		*steps -= j;
	}
	return 1;
}

static int match(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id, bool behind_pointer,
		 u32 level, u32 *steps);

static int composites_match(const struct btf *local, const struct btf_type *l, const struct btf *target,
			    const struct btf_type *t, bool behind_pointer, u32 level, u32 *steps) {
	if (btf_vlen(l) > btf_vlen(t))
		return 0;
	for (u32 i = 0; i < btf_vlen(l); i++) {
		const char *name = btf_string(local, btf_members(l)[i].name_off);
		int r = 0;
		for (u32 j = 0; j < btf_vlen(t) && !r; j++) {
			if (!*steps)
				return -E2BIG;
			--*steps;
			if (btf_core_same_name(name, btf_string(target, btf_members(t)[j].name_off)))
				r = match(local, btf_members(l)[i].type, target, btf_members(t)[j].type, behind_pointer,
					  level - 1, steps);
		}
		if (r <= 0)
			return r;
	}
	return 1;
}

static int match(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id, bool behind_pointer,
		 u32 level, u32 *steps) {
	if (!level)
		return -EINVAL;
	for (u32 depth = 0; depth < LEVELS; depth++) {
		if (!*steps)
			return -E2BIG;
		--*steps;
		const struct btf_type *l = btf_skip_type(local, local_id), *t = btf_skip_type(target, target_id);
		u32 lk = btf_kind(l), tk = btf_kind(t);
		if (!btf_core_same_name(btf_name(local, l), btf_name(target, t)))
			return 0;
		switch (lk) {
		case BTF_KIND_UNKN:
			return lk == tk;
		case BTF_KIND_FWD: /* the flag of a forward declaration: it is of a union */
			if (lk == tk)
				return btf_kflag(l) == btf_kflag(t);
			return behind_pointer && tk == (btf_kflag(l) ? BTF_KIND_UNION : BTF_KIND_STRUCT);
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
			return btf_is_any_enum(t) ? enums_match(local, l, target, t, steps) : 0;
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			if (behind_pointer)
				return lk == tk || (tk == BTF_KIND_FWD && (lk == BTF_KIND_UNION) == btf_kflag(t));
			return lk == tk ? composites_match(local, l, target, t, behind_pointer, level, steps) : 0;
		case BTF_KIND_INT:
			return lk == tk && l->size == t->size &&
			       !((BTF_INT_ENCODING(btf_int_data(l)) ^ BTF_INT_ENCODING(btf_int_data(t))) &
				 BTF_INT_SIGNED);
		case BTF_KIND_PTR:
			if (lk != tk)
				return 0;
			behind_pointer = true;
			local_id = l->type, target_id = t->type;
			continue;
		case BTF_KIND_ARRAY:
			if (lk != tk || btf_array(l)->nelems != btf_array(t)->nelems)
				return 0;
			local_id = btf_array(l)->type, target_id = btf_array(t)->type;
			continue;
		case BTF_KIND_FUNC_PROTO:
			if (lk != tk || btf_vlen(l) != btf_vlen(t))
				return 0;
			for (u32 i = 0; i < btf_vlen(l); i++) {
				int r = match(local, btf_params(l)[i].type, target, btf_params(t)[i].type,
					      behind_pointer, level - 1, steps);
				if (r <= 0)
					return r;
			}
			local_id = l->type, target_id = t->type;
			continue;
		}
		return 0;
	}
	return -EINVAL;
}
int btf_core_types_match(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id, u32 *steps) {
	return match(local, local_id, target, target_id, false, LEVELS, steps);
}
