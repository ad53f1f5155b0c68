/* What lies at an offset of a struct: the verifier's question about every access through a BTF pointer. The rules are
 * the kernel's btf_struct_walk: structs, unions and arrays are entered, a pointer is read whole, anything else may be
 * read in parts as long as it stays inside its member. */
#include "btf/btf.h"
#include <errno.h>

/* The innermost element type of nested arrays, and its size. */
static u32 element_of(const struct btf *btf, u32 id, u32 *size) {
	u32 at = btf_skip_modifiers(btf, id);
	const struct btf_type *t;
	while (btf_kind(t = btf_type(btf, at)) == BTF_KIND_ARRAY)
		at = btf_skip_modifiers(btf, btf_array(t)->type);
	*size = btf_resolved_of(btf, at).size;
	return at;
}

static int found_pointer(const struct btf *btf, const struct btf_type *ptr, struct btf_access *out) {
	const struct btf_type *behind = btf_type(btf, ptr->type);
	out->tag = btf_kind(behind) == BTF_KIND_TYPE_TAG ? btf_name(btf, behind) : NULL;
	out->pointee_id = btf_skip_modifiers(btf, ptr->type);
	out->kind = btf_is_composite(btf_type(btf, out->pointee_id)) ? BTF_WALK_PTR : BTF_WALK_MEM;
	return 0;
}

/* Enters the last member when the access lies behind the struct and that member is an array of unknown length. */
static int flexible(const struct btf *btf, const struct btf_type **t, u32 *off, struct btf_access *out) {
	u32 n = btf_vlen(*t), size;
	const struct btf_type *last = n ? btf_skip_type(btf, btf_members(*t)[n - 1].type) : &btf_void;
	u32 start = n ? btf_member_bit_offset(*t, n - 1) / 8 : 0;
	if (btf_kind(last) != BTF_KIND_ARRAY || btf_array(last)->nelems || *off < start)
		return -EACCES;
	u32 id = btf_skip_modifiers(btf, btf_array(last)->type);
	const struct btf_type *elem = btf_type(btf, id);
	size = btf_resolved_of(btf, id).size;
	if (btf_kind(elem) == BTF_KIND_INT) {
		out->kind = BTF_WALK_SCALAR, out->type_id = id, out->member = n - 1;
		return 0;
	}
	if (!btf_is_composite(elem) || !size)
		return -EACCES;
	*off = (*off - start) % size;
	*t = elem;
	out->struct_id = id;
	return 1;
}

static int walk(const struct btf *btf, u32 struct_id, u32 off, u32 size, bool in_union, struct btf_access *out) {
	*out = (struct btf_access){.struct_id = btf_skip_modifiers(btf, struct_id), .name = "", .in_union = in_union};
	const struct btf_type *t = btf_type(btf, out->struct_id);
	bool entered_flexible = false;
	if (!btf_is_composite(t))
		return -EINVAL;
again:
	out->in_union |= btf_kind(t) == BTF_KIND_UNION && btf_vlen(t) != 1;
	out->off = off;
	if ((u64)off + size > t->size) {
		/* Once: the element of a flexible array may have one of its own, of a type that has one … */
		int r = entered_flexible ? -EACCES : flexible(btf, &t, &off, out);
		if (r == 1) {
			entered_flexible = out->in_union = true;
			goto again;
		}
		out->beyond = r;
		return r;
	}
	for (u32 i = 0; i < btf_vlen(t); i++) {
		u32 bit = btf_member_bit_offset(t, i), start = bit / 8, width = btf_member_bitfield_size(t, i),
		    elem_size;
		if ((u64)off + size <= start)
			break;
		out->member = i, out->member_off = start;
		out->name = btf_string(btf, btf_members(t)[i].name_off);
		if (width) {
			if (off <= start && (bit + width + 7) / 8 <= off + size) {
				out->kind = BTF_WALK_SCALAR,
				out->type_id = btf_skip_modifiers(btf, btf_members(t)[i].type);
				return 0;
			}
			continue;
		}
		if (off < start)
			break; /* a hole */
		u32 member_id = btf_skip_modifiers(btf, btf_members(t)[i].type);
		u32 end = start + btf_resolved_of(btf, member_id).size;
		if (off >= end)
			continue;
		u32 id = element_of(btf, member_id, &elem_size);
		const struct btf_type *m = btf_type(btf, id);
		if (elem_size && id != member_id)
			start += (off - start) / elem_size * elem_size;
		out->type_id = id, out->member_off = start, out->member_end = end;
		if (btf_is_composite(m)) {
			if (off == start) {
				out->kind = BTF_WALK_STRUCT;
				return 0;
			}
			out->struct_id = id, t = m, off -= start;
			goto again;
		}
		if (btf_kind(m) == BTF_KIND_PTR) {
			if (size != 8 || off != start)
				return -EACCES;
			return found_pointer(btf, m, out);
		}
		out->kind = BTF_WALK_SCALAR;
		return (u64)off + size > end && !out->in_union ? -EACCES : 0;
	}
	out->name = NULL; /* nothing is there */
	return -EINVAL;
}

int btf_walk(const struct btf *btf, u32 struct_id, u32 off, u32 size, struct btf_access *out) {
	return walk(btf, struct_id, off, size, false, out);
}

int btf_walk_through(const struct btf *btf, u32 struct_id, u32 off, u32 size, struct btf_access *out) {
	bool in_union = false;
	int err;
	do {
		err = walk(btf, struct_id, off, size, in_union, out);
		in_union = out->in_union;
		struct_id = out->type_id, off = 0;
	} while (!err && out->kind == BTF_WALK_STRUCT);
	return err;
}
