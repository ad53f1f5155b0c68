/* Where a C compiler puts members, compared with where BTF says they are. Gaps become unnamed bit fields, which do not
 * align anything; members that lie closer than they could by themselves make the whole struct packed. */
#include "btf/dump_c.h"

u64 dump_member_bits(const struct btf *btf, const struct btf_type *s, u32 i, bool *is_bit_field) {
	u32 width = btf_member_bitfield_size(s, i);
	struct btf_resolved r = btf_resolved_of(btf, btf_members(s)[i].type);
	const struct btf_type *t = btf_type(btf, r.id);
	/* The old form: an INT with fewer bits than its size. */
	if (!width && btf_kind(t) == BTF_KIND_INT && BTF_INT_BITS(btf_int_data(t)) != (u64)t->size * 8)
		width = BTF_INT_BITS(btf_int_data(t));
	*is_bit_field = width;
	return width ? width : r.size == BTF_NO_SIZE ? 0 : (u64)r.size * 8;
}

u64 dump_natural(struct dump *d, const struct btf_type *s, u32 i, u64 cursor, bool packed) {
	bool is_bit_field;
	u64 bits = dump_member_bits(d->btf, s, i, &is_bit_field), unit;
	u32 id = btf_members(s)[i].type;
	if (!is_bit_field)
		return round_up(cursor, packed ? 8 : 8 * (u64)(dump_layout(d, id) & ~LAYOUT_PACKED));
	/* A bit field may not cross the boundary of its type. */
	unit = 8 * (u64)btf_resolved_of(d->btf, id).size;
	return packed || !unit || cursor % unit + bits <= unit ? cursor : (cursor + unit - 1) / unit * unit;
}

static u32 struct_layout(struct dump *d, const struct btf_type *s) {
	u32 align = 1;
	u64 cursor = 0;
	bool is_union = btf_kind(s) == BTF_KIND_UNION, fits = true;
	for (u32 i = 0; i < btf_vlen(s); i++) {
		bool is_bit_field;
		u64 off = btf_member_bit_offset(s, i), bits = dump_member_bits(d->btf, s, i, &is_bit_field);
		align = MAX(align, dump_layout(d, btf_members(s)[i].type) & ~LAYOUT_PACKED);
		/* Padding before it can only move it up; its own alignment must already be met there. */
		if (dump_natural(d, s, i, off, false) != off || cursor > off)
			fits = false;
		cursor = is_union ? 0 : off + bits;
	}
	return fits && s->size % align == 0 ? align : 1 | LAYOUT_PACKED;
}

u32 dump_layout(struct dump *d, u32 id) {
	struct btf_resolved r = btf_resolved_of(d->btf, id);
	const struct btf_type *t = btf_type(d->btf, r.id);
	if (d->layout[r.id])
		return d->layout[r.id];
	u32 layout = MAX(btf_align(d->btf, r.id), 1u);
	if (btf_kind(t) == BTF_KIND_ARRAY)
		layout = dump_layout(d, btf_array(t)->type) & ~(u32)LAYOUT_PACKED;
	else if (btf_is_composite(t))
		layout = struct_layout(d, t);
	return d->layout[r.id] = (u8)layout;
}
