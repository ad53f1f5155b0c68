#include "btf/value.h"
#include <errno.h>
#include <string.h>

enum { PARTS_MAX = 1000 * 1000 };

struct walk {
	const struct btf *btf;
	const struct btf_visitor *v;
	const u8 *data;
	u32 parts; /* visited so far */
};

static u64 load(const u8 *p, u32 size) {
	u64 v = 0;
	memcpy(&v, p, MIN(size, 8u)); /* little-endian hosts */
	return v;
}
static s64 sign_extend(u64 v, u32 bits) {
	return bits && bits < 64 ? (s64)(v << (64 - bits)) >> (64 - bits) : (s64)v;
}
/* Up to 64 bits from any bit offset; nothing outside the bytes that hold them is read. */
static u64 load_bits(const u8 *data, u64 off, u32 bits) {
	u64 v = 0;
	for (u32 got = 0; got < bits;) {
		u32 shift = (u32)(off % 8), take = MIN(8 - shift, bits - got);
		v |= (u64)((data[off / 8] >> shift) & ((1u << take) - 1)) << got;
		got += take, off += take;
	}
	return v;
}

static void scalar(struct walk *w, const char *key, u32 index, struct btf_value v) {
	w->v->scalar(w->v->owner, key, index, &v);
}

static void visit_enum(struct walk *w, const struct btf_type *t, u64 raw, u32 bits, const char *key, u32 index) {
	struct btf_value v = {.kind = btf_kflag(t) ? BTF_VALUE_SIGNED : BTF_VALUE_UNSIGNED};
	v.i = btf_kflag(t) ? sign_extend(raw, bits) : (s64)raw;
	v.text = btf_enum_name(w->btf, t, (u64)v.i);
	if (v.text)
		v.kind = BTF_VALUE_ENUM, v.size = (u32)strlen(v.text);
	scalar(w, key, index, v);
}

static void visit_bits(struct walk *w, const struct btf_type *t, u64 off, u32 bits, const char *key, u32 index) {
	if (bits > 64) {
		struct btf_value wide = {.kind = BTF_VALUE_WIDE};
		wide.wide[0] = load_bits(w->data, off, 64), wide.wide[1] = load_bits(w->data, off + 64, bits - 64);
		scalar(w, key, index, wide);
		return;
	}
	u64 raw = load_bits(w->data, off, bits);
	if (btf_is_any_enum(t)) {
		visit_enum(w, t, raw, bits, key, index);
		return;
	}
	u32 encoding = btf_kind(t) == BTF_KIND_INT ? BTF_INT_ENCODING(btf_int_data(t)) : 0;
	struct btf_value v = {.kind = BTF_VALUE_UNSIGNED};
	v.u = raw;
	if (encoding & BTF_INT_BOOL)
		v.kind = BTF_VALUE_BOOL, v.u = raw != 0;
	else if (encoding & BTF_INT_SIGNED)
		v.kind = BTF_VALUE_SIGNED, v.i = sign_extend(raw, bits);
	scalar(w, key, index, v);
}

/* char, in the eyes of C: compilers mark it signed or not at all, so the name decides. */
static bool is_char(const struct btf *btf, const struct btf_type *t) {
	return btf_kind(t) == BTF_KIND_INT && t->size == 1 && BTF_INT_BITS(btf_int_data(t)) == 8 &&
	       (BTF_INT_ENCODING(btf_int_data(t)) & BTF_INT_CHAR || !strcmp(btf_name(btf, t), "char"));
}
/* A char array is a string when all before its NUL is text; bytes behind the NUL do not matter. */
static bool is_text(const u8 *p, u32 n, u32 *len) {
	for (*len = 0; *len < n && p[*len]; ++*len)
		if ((p[*len] < 0x20 && p[*len] != '\t' && p[*len] != '\n' && p[*len] != '\r') || p[*len] == 0x7f)
			return false;
	return true;
}

static int visit(struct walk *w, u32 id, u64 off, const char *key, u32 index);

static int visit_members(struct walk *w, const struct btf_type *t, u64 off) {
	int err = 0;
	for (u32 i = 0; i < btf_vlen(t) && !err; i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *name = btf_string(w->btf, m->name_off);
		u32 bits = btf_member_bitfield_size(t, i), at = btf_member_bit_offset(t, i);
		u32 id = btf_skip_modifiers(w->btf, m->type);
		const struct btf_type *mt = btf_type(w->btf, id);
		if (++w->parts > PARTS_MAX)
			return -E2BIG;
		if (bits)
			visit_bits(w, mt, off * 8 + at, bits, name, i);
		else if (btf_kind(mt) == BTF_KIND_INT && !btf_kflag(t) &&
			 (BTF_INT_BITS(btf_int_data(mt)) != mt->size * 8 || BTF_INT_OFFSET(btf_int_data(mt)) || at % 8))
			visit_bits(w, mt, off * 8 + at + BTF_INT_OFFSET(btf_int_data(mt)),
				   BTF_INT_BITS(btf_int_data(mt)), name, i);
		else if (btf_is_composite(mt) && !*name)
			err = visit_members(w, mt, off + at / 8);
		else
			err = visit(w, id, off + at / 8, name, i);
	}
	return err;
}

static int visit_array(struct walk *w, const struct btf_type *t, u64 off, const char *key, u32 index) {
	const struct btf_array *a = btf_array(t);
	u32 elem = btf_skip_modifiers(w->btf, a->type), size = btf_resolved_of(w->btf, elem).size, len;
	if (is_char(w->btf, btf_type(w->btf, elem)) && is_text(w->data + off, a->nelems, &len)) {
		scalar(w, key, index,
		       (struct btf_value){.kind = BTF_VALUE_STRING, .text = (const char *)w->data + off, .size = len});
		return 0;
	}
	int err = 0;
	w->v->begin(w->v->owner, BTF_GROUP_ARRAY, key, index);
	for (u32 i = 0; i < a->nelems && !err; i++)
		err = visit(w, elem, off + (u64)i * size, NULL, i);
	w->v->end(w->v->owner, BTF_GROUP_ARRAY);
	return err;
}

static int visit_datasec(struct walk *w, const struct btf_type *t, u64 off, const char *key, u32 index) {
	int err = 0;
	w->v->begin(w->v->owner, BTF_GROUP_STRUCT, key, index);
	for (u32 i = 0; i < btf_vlen(t) && !err; i++) {
		const struct btf_var_secinfo *s = &btf_var_secinfos(t)[i];
		struct btf_resolved r = btf_resolved_of(w->btf, s->type);
		/* Entries are not checked to lie inside before a loader has set them. */
		if (r.size != BTF_NO_SIZE && (u64)s->offset + r.size <= t->size)
			err = visit(w, s->type, off + s->offset, btf_name_of(w->btf, s->type), i);
	}
	w->v->end(w->v->owner, BTF_GROUP_STRUCT);
	return err;
}

static int visit(struct walk *w, u32 id, u64 off, const char *key, u32 index) {
	struct btf_resolved r = btf_resolved_of(w->btf, id);
	const struct btf_type *t = btf_type(w->btf, r.id);
	const u8 *p = w->data + off;
	int err = 0;
	if (++w->parts > PARTS_MAX)
		return -E2BIG;
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		if (is_char(w->btf, t))
			scalar(w, key, index, (struct btf_value){.kind = BTF_VALUE_CHAR, .u = *p});
		else
			visit_bits(w, t, off * 8 + BTF_INT_OFFSET(btf_int_data(t)), BTF_INT_BITS(btf_int_data(t)), key,
				   index);
		return 0;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		visit_enum(w, t, load(p, t->size), t->size * 8, key, index);
		return 0;
	case BTF_KIND_PTR:
		scalar(w, key, index, (struct btf_value){.kind = BTF_VALUE_POINTER, .u = load(p, 8)});
		return 0;
	case BTF_KIND_FLOAT: {
		struct btf_value v = {.kind = BTF_VALUE_FLOAT};
		float narrow;
		if (t->size == 4)
			memcpy(&narrow, p, 4), v.f = narrow;
		else if (t->size == 8)
			memcpy(&v.f, p, 8);
		else
			v.kind = BTF_VALUE_BYTES, v.text = (const char *)p, v.size = t->size;
		scalar(w, key, index, v);
		return 0;
	}
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION: {
		enum btf_value_group group = btf_kind(t) == BTF_KIND_STRUCT ? BTF_GROUP_STRUCT : BTF_GROUP_UNION;
		w->v->begin(w->v->owner, group, key, index);
		err = visit_members(w, t, off);
		w->v->end(w->v->owner, group);
		return err;
	}
	case BTF_KIND_ARRAY:
		return visit_array(w, t, off, key, index);
	case BTF_KIND_DATASEC:
		return visit_datasec(w, t, off, key, index);
	}
	return -EINVAL;
}

int btf_visit(const struct btf *btf, u32 type_id, const void *data, u64 size, const struct btf_visitor *visitor) {
	struct walk w = {.btf = btf, .v = visitor, .data = data};
	s64 need = btf_size(btf, type_id);
	if (need < 0)
		return -EINVAL;
	return (u64)need > size ? -E2BIG : visit(&w, type_id, 0, NULL, 0);
}
