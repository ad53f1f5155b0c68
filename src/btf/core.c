/* The value of a CO-RE relocation. A path (struct spec) is parsed from the local type's access string, looked up by
 * name in every candidate, and turned into an offset, size, shift … in both; see core.h for the picture.
 *
 * Objects repeat the same few relocations thousands of times, so results are kept by (type, path, kind). A hostile
 * object can make one lookup explode through anonymous unions of unions; STEPS_MAX bounds the sum of all. */
#include "btf/core.h"
#include "base/vec.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 64, CANDIDATES_MAX = 1024, STEPS_MAX = 100 * 1000 * 1000 };

struct accessor {
	u32 type_id, index;
	const char *name; /* of the member; NULL for an array index, and for the root's */
};
struct spec {
	const struct btf *btf;
	u32 root_id;
	struct accessor at[DEPTH];
	u32 n;
	u64 bit_offset;
	u32 raw_n; /* members entered, anonymous ones too */
};

struct cached {
	struct bpf_core_relo relo; /* insn_off unused */
	int err;
	struct btf_core_value value;
};
struct btf_core {
	const struct btf *local, *target;
	u32 steps;
	VEC(struct cached) results;
	u32 *slot; /* open addressing over results: index + 1 */
	u32 mask;
	struct spec specs[3]; /* local, candidate, chosen: too large for the stack */
};

static const char *const kind_names[BPF_CORE_RELO_KINDS] = {
    "byte_off",       "byte_sz",     "field_exists", "signed",         "lshift_u64",    "rshift_u64",   "local_type_id",
    "target_type_id", "type_exists", "type_size",    "enumval_exists", "enumval_value", "type_matches",
};
const char *btf_core_kind_name(u32 kind) {
	return kind < BPF_CORE_RELO_KINDS ? kind_names[kind] : "unknown";
}
static bool is_field(u32 kind) {
	return kind <= BPF_CORE_FIELD_RSHIFT_U64;
}
static bool is_enumval(u32 kind) {
	return kind == BPF_CORE_ENUMVAL_EXISTS || kind == BPF_CORE_ENUMVAL_VALUE;
}
static bool is_type(u32 kind) {
	return !is_field(kind) && !is_enumval(kind);
}

/* One number of «0:1:2»; *s moves behind it and its colon. */
static bool parse_number(const char **s, u32 *n) {
	u64 v = 0;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; ++*s)
		if ((v = v * 10 + (u64)(**s - '0')) > INT32_MAX)
			return false;
	if (**s == ':' && (*s)[1])
		++*s;
	else if (**s)
		return false;
	*n = (u32)v;
	return true;
}

/* The last member of a struct may be an array without a length. */
static bool is_flexible(const struct btf *btf, const struct accessor *array, const struct btf_type *t) {
	if (!array->name || btf_array(t)->nelems)
		return false;
	return array->index == btf_vlen(btf_type(btf, array->type_id)) - 1;
}

static struct accessor *add_accessor(struct spec *s, u32 type_id, u32 index, const char *name) {
	if (s->n == DEPTH)
		return NULL;
	s->at[s->n] = (struct accessor){type_id, index, name};
	return &s->at[s->n++];
}

/* Follows one index into the type *id; *id becomes the type there. */
static int enter(struct spec *s, u32 *id, u32 index) {
	const struct btf *btf = s->btf;
	u32 at = btf_skip_modifiers(btf, *id);
	const struct btf_type *t = btf_type(btf, at);
	if (btf_is_composite(t)) {
		if (index >= btf_vlen(t))
			return -EINVAL;
		const struct btf_member *m = &btf_members(t)[index];
		const char *name = btf_string(btf, m->name_off);
		s->bit_offset += btf_member_bit_offset(t, index);
		*id = m->type;
		return !*name || add_accessor(s, at, index, name) ? 0 : -E2BIG;
	}
	if (btf_kind(t) != BTF_KIND_ARRAY)
		return -EINVAL;
	if (index >= btf_array(t)->nelems && !is_flexible(btf, &s->at[s->n - 1], t))
		return -EINVAL;
	*id = btf_skip_modifiers(btf, btf_array(t)->type);
	s->bit_offset += (u64)index * (u64)btf_size(btf, *id) * 8;
	return add_accessor(s, *id, index, NULL) ? 0 : -E2BIG;
}

static int parse_spec(const struct btf *btf, const struct bpf_core_relo *relo, struct spec *s) {
	const char *path = btf_string(btf, relo->access_str_off);
	*s = (struct spec){.btf = btf, .root_id = relo->type_id};
	u32 index, raw = 0;
	if (!path || !btf_type(btf, relo->type_id) || !parse_number(&path, &index))
		return -EINVAL;
	if (is_type(relo->kind))
		return *path || index ? -EINVAL : 0;
	u32 id = btf_skip_modifiers(btf, relo->type_id);
	const struct btf_type *t = btf_type(btf, id);
	add_accessor(s, id, index, NULL);
	if (is_enumval(relo->kind)) {
		if (*path || !btf_is_any_enum(t) || index >= btf_vlen(t))
			return -EINVAL;
		s->at[0].name = btf_string(btf, btf_kind(t) == BTF_KIND_ENUM ? btf_enums(t)[index].name_off
									     : btf_enums64(t)[index].name_off);
		return 0;
	}
	s64 size = btf_size(btf, id);
	if (size < 0)
		return -EINVAL;
	s->bit_offset = index * (u64)size * 8;
	while (*path) {
		int err = ++raw == DEPTH ? -E2BIG : parse_number(&path, &index) ? enter(s, &id, index) : -EINVAL;
		if (err)
			return err;
	}
	return s->bit_offset > UINT32_MAX ? -E2BIG : 0;
}

/* Finds the member that local accessor `want` names in the target struct *id, entering anonymous members. */
static int match_member(struct btf_core *core, const struct accessor *want, struct spec *s, u32 *id) {
	u32 struct_id = btf_skip_modifiers(s->btf, *id);
	const struct btf_type *t = btf_type(s->btf, struct_id), *lt = btf_type(core->local, want->type_id);
	if (!btf_is_composite(t))
		return 0;
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *name = btf_string(s->btf, m->name_off);
		u32 offset = btf_member_bit_offset(t, i);
		if (!core->steps || s->raw_n == DEPTH)
			return -E2BIG;
		core->steps--;
		s->bit_offset += offset, s->raw_n++;
		if (!*name) {
			u32 inner = m->type;
			int r = match_member(core, want, s, &inner);
			if (r) {
				*id = inner;
				return r;
			}
		} else if (!strcmp(name, want->name)) {
			*id = m->type;
			int r =
			    btf_core_fields_compatible(core->local, btf_members(lt)[want->index].type, s->btf, m->type);
			if (r > 0 && !add_accessor(s, struct_id, i, name))
				return -E2BIG;
			return r;
		}
		s->bit_offset -= offset, s->raw_n--;
	}
	return 0;
}

static int match_enumerator(struct btf_core *core, const char *want, u32 id, struct spec *s) {
	id = btf_skip_modifiers(s->btf, id);
	const struct btf_type *t = btf_type(s->btf, id);
	for (u32 i = 0; btf_is_any_enum(t) && i < btf_vlen(t); i++) {
		const char *name = btf_string(s->btf, btf_kind(t) == BTF_KIND_ENUM ? btf_enums(t)[i].name_off
										   : btf_enums64(t)[i].name_off);
		if (!core->steps)
			return -E2BIG;
		core->steps--;
		if (btf_core_same_name(want, name))
			return add_accessor(s, id, i, name) ? 1 : -E2BIG;
	}
	return 0;
}

/* Does the candidate have what the local path says? Fills *s. */
static int match_spec(struct btf_core *core, u32 kind, const struct spec *local, u32 id, struct spec *s) {
	*s = (struct spec){.btf = core->target, .root_id = id};
	if (kind == BPF_CORE_TYPE_MATCHES)
		return btf_core_types_match(core->local, local->root_id, core->target, id, &core->steps);
	if (is_type(kind))
		return btf_core_types_compatible(core->local, local->root_id, core->target, id, &core->steps);
	if (is_enumval(kind))
		return match_enumerator(core, local->at[0].name, id, s);
	for (u32 i = 0; i < local->n; i++) {
		const struct accessor *want = &local->at[i];
		if (want->name) {
			int r = match_member(core, want, s, &id);
			if (r <= 0)
				return r;
			continue;
		}
		id = btf_skip_modifiers(s->btf, id);
		if (i) {
			const struct btf_type *t = btf_type(s->btf, id);
			if (btf_kind(t) != BTF_KIND_ARRAY)
				return 0;
			if (want->index >= btf_array(t)->nelems && !is_flexible(s->btf, &s->at[s->n - 1], t))
				return 0;
			id = btf_skip_modifiers(s->btf, btf_array(t)->type);
		}
		s64 size = btf_size(s->btf, id);
		if (size < 0)
			return i ? -EINVAL : 0;
		if (s->raw_n++ == DEPTH || !add_accessor(s, id, want->index, NULL))
			return -E2BIG;
		s->bit_offset += (u64)want->index * (u64)size * 8;
	}
	return s->bit_offset > UINT32_MAX ? -E2BIG : 1;
}

struct field {
	u32 byte_off, byte_size, bit_off, bits; /* what to load, and where the value lies in it */
	u32 type_id;
	bool bit_field, is_signed;
};

static int field_of(const struct spec *s, struct field *f, const char **why) {
	const struct accessor *last = &s->at[s->n - 1];
	const struct btf_type *holder = btf_type(s->btf, last->type_id);
	*f = (struct field){.bit_off = (u32)s->bit_offset};
	f->type_id = last->name ? btf_skip_modifiers(s->btf, btf_members(holder)[last->index].type) : last->type_id;
	const struct btf_type *t = btf_type(s->btf, f->type_id);
	s64 size = btf_size(s->btf, f->type_id);
	if (size < 0)
		return *why = "the field has no size", -EINVAL;
	f->byte_size = (u32)size, f->byte_off = f->bit_off / 8;
	f->bits = last->name ? btf_member_bitfield_size(holder, last->index) : 0;
	f->bit_field = f->bits;
	f->is_signed = (btf_is_any_enum(t) && btf_kflag(t)) ||
		       (btf_kind(t) == BTF_KIND_INT && BTF_INT_ENCODING(btf_int_data(t)) & BTF_INT_SIGNED);
	if (!f->bits) {
		f->bits = f->byte_size * 8;
		return 0;
	}
	/* The smallest aligned load that holds the whole bit field. */
	for (;; f->byte_size *= 2) {
		if (!f->byte_size || f->byte_size > 8)
			return *why = "the bit field does not fit a 64-bit load", -E2BIG;
		f->byte_off = f->bit_off / 8 / f->byte_size * f->byte_size;
		if (f->bit_off + (u64)f->bits - (u64)f->byte_off * 8 <= f->byte_size * 8)
			return 0;
	}
}

static int field_value(u32 kind, const struct spec *s, u64 *value, u32 *size, u32 *type_id, bool *validate,
		       const char **why) {
	struct field f;
	int err = field_of(s, &f, why);
	if (err)
		return err;
	if (!s->at[s->n - 1].name && kind != BPF_CORE_FIELD_BYTE_OFFSET && kind != BPF_CORE_FIELD_BYTE_SIZE)
		return *why = "it asks for the bits of an array element", -EINVAL;
	*validate = !f.bit_field; /* of bit fields, compilers and we may see it differently */
	switch (kind) {
	case BPF_CORE_FIELD_BYTE_OFFSET:
		*value = f.byte_off;
		if (!f.bit_field)
			*size = f.byte_size, *type_id = f.type_id;
		return 0;
	case BPF_CORE_FIELD_BYTE_SIZE:
		*value = f.byte_size;
		return 0;
	case BPF_CORE_FIELD_SIGNED:
		*value = f.is_signed, *validate = true;
		return 0;
	case BPF_CORE_FIELD_LSHIFT_U64:
		*value = 64 - (u64)(f.bit_off + f.bits - f.byte_off * 8);
		return 0;
	default:
		*value = 64 - (u64)f.bits, *validate = true;
		return 0;
	}
}

static u64 enum_value(const struct spec *s) {
	const struct btf_type *t = btf_type(s->btf, s->at[0].type_id);
	if (btf_kind(t) == BTF_KIND_ENUM)
		return (u64)(s64)btf_enums(t)[s->at[0].index].val;
	return btf_enum64_value(&btf_enums64(t)[s->at[0].index]);
}

/* The value on one side: s NULL means the target has nothing that matches; *poison when that is no answer. */
static int value_of(u32 kind, const struct spec *s, u64 *value, u32 *size, u32 *type_id, bool *validate, bool *poison,
		    const char **why) {
	*value = 0, *validate = true;
	switch (kind) {
	case BPF_CORE_FIELD_EXISTS:
	case BPF_CORE_ENUMVAL_EXISTS:
	case BPF_CORE_TYPE_EXISTS:
	case BPF_CORE_TYPE_MATCHES:
		*value = s != NULL;
		return 0;
	case BPF_CORE_TYPE_ID_TARGET:
		*value = s ? s->root_id : 0, *validate = false;
		return 0;
	case BPF_CORE_TYPE_SIZE: {
		s64 bytes = s ? btf_size(s->btf, s->root_id) : 0;
		*value = (u64)bytes;
		return bytes < 0 ? *why = "the type has no size", -EINVAL : 0;
	}
	case BPF_CORE_ENUMVAL_VALUE:
		*poison = !s;
		*value = s ? enum_value(s) : 0;
		return 0;
	}
	*poison = !s;
	return s ? field_value(kind, s, value, size, type_id, validate, why) : 0;
}

/* Loads and stores may change their width only where zero extension keeps the value right. */
static bool sizes_conflict(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id) {
	const struct btf_type *l = btf_type(local, local_id), *t = btf_type(target, target_id);
	if (btf_kind(l) == BTF_KIND_PTR && btf_kind(t) == BTF_KIND_PTR)
		return false;
	return !(btf_kind(l) == BTF_KIND_INT && btf_kind(t) == BTF_KIND_INT &&
		 BTF_INT_ENCODING(btf_int_data(l)) != BTF_INT_SIGNED &&
		 BTF_INT_ENCODING(btf_int_data(t)) != BTF_INT_SIGNED);
}

static int compute(struct btf_core *core, u32 kind, const struct spec *target, struct btf_core_value *v,
		   const char **why) {
	const struct spec *local = &core->specs[0];
	u32 local_type = 0, target_type = 0;
	bool ignored, poison = false;
	memset(v, 0, offsetof(struct btf_core_value, why));
	int err = value_of(kind, local, &v->local, &v->local_size, &local_type, &v->validate, &poison, why);
	err = err ? err : value_of(kind, target, &v->target, &v->target_size, &target_type, &ignored, &v->poison, why);
	if (err || v->poison)
		return err;
	v->size_conflict =
	    v->local_size != v->target_size && sizes_conflict(core->local, local_type, core->target, target_type);
	return 0;
}

static void describe(const struct spec *s, u32 kind, char *to, u32 size) {
	const struct btf_type *t = btf_type(s->btf, s->root_id);
	const char *name = btf_name(s->btf, t);
	u32 n = 0;
	const char *word = btf_kind(t) == BTF_KIND_STRUCT  ? "struct "
			   : btf_kind(t) == BTF_KIND_UNION ? "union "
			   : btf_is_any_enum(t)            ? "enum "
							   : "";
	n += (u32)snprintf(to, size, "%s of %s%s", btf_core_kind_name(kind), word, *name ? name : "(anonymous)");
	for (u32 i = 0; i < s->n && n < size; i++) {
		const struct accessor *a = &s->at[i];
		if (a->name)
			n += (u32)snprintf(to + n, size - n, "%s%s", is_enumval(kind) ? "::" : ".", a->name);
		else if (i || a->index)
			n += (u32)snprintf(to + n, size - n, "[%u]", a->index);
	}
}

/* A member of this name in a struct or in unnamed ones inside it; else the nearest name that is there, in *near. */
static bool has_member(const struct btf *btf, const struct btf_type *t, const char *name, const char **near, u32 *best,
                       u32 depth) {
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const char *have = btf_string(btf, btf_members(t)[i].name_off);
		const struct btf_type *inner = btf_skip_type(btf, btf_members(t)[i].type);
		if (!*have && btf_is_composite(inner) && depth) {
			if (has_member(btf, inner, name, near, best, depth - 1))
				return true;
			continue;
		}
		u32 d = btf_name_distance(name, have, *best);
		if (*have && !d)
			return true;
		if (*have && d <= *best)
			*near = have, *best = d - 1;
	}
	return false;
}

/* Why nothing matched: no such type, or the first member on the path that is missing, with the name nearest to it. */
static void explain(struct btf_core *core, u32 kind, u32 candidates, struct btf_core_value *v) {
	const struct spec *local = &core->specs[0];
	char what[88];
	describe(local, kind, what, sizeof what);
	if (!candidates) {
		snprintf(v->why, sizeof v->why, "%s: it has no type of that name", what);
		return;
	}
	for (u32 i = 0; i < local->n && is_field(kind); i++) {
		const struct accessor *a = &local->at[i];
		const char *name = a->name ? btf_name_of(core->local, a->type_id) : "", *near = NULL;
		u64 cursor = 0;
		u32 id = *name ? btf_next_named(core->target, name, btf_essential_len(name), &cursor) : 0, best = 4;
		const struct btf_type *t = btf_type(core->target, btf_skip_modifiers(core->target, id));
		if (!btf_is_composite(t) || has_member(core->target, t, a->name, &near, &best, 4))
			continue;
		best = near ? (u32)strlen(near) / 3 : 0;
		if (near && btf_name_distance(a->name, near, best) > best)
			near = NULL;
		snprintf(v->why, sizeof v->why, "%s: struct %s has no %s there%s%s", what, btf_name(core->target, t), a->name,
		         near ? ", but " : "", near ? near : "");
		return;
	}
	snprintf(v->why, sizeof v->why, "%s: its type is different there", what);
}

static int resolve(struct btf_core *core, const struct bpf_core_relo *relo, struct btf_core_value *v) {
	struct spec *local = &core->specs[0], *candidate = &core->specs[1], *chosen = &core->specs[2];
	const char *why = NULL;
	*v = (struct btf_core_value){0};
	if (relo->kind >= BPF_CORE_RELO_KINDS)
		return snprintf(v->why, sizeof v->why, "CO-RE relocation kind %u is unknown", relo->kind), -EINVAL;
	int err = parse_spec(core->local, relo, local);
	if (err) {
		const char *path = btf_string(core->local, relo->access_str_off);
		snprintf(v->why, sizeof v->why, "its path «%.40s» does not exist in type %u of the object",
			 path ? path : "?", relo->type_id);
		return err;
	}
	if (relo->kind == BPF_CORE_TYPE_ID_LOCAL) {
		v->local = v->target = relo->type_id;
		return 0;
	}
	const struct btf_type *lt = btf_type(core->local, relo->type_id);
	const char *name = btf_name(core->local, lt);
	if (!*name)
		return snprintf(v->why, sizeof v->why, "CO-RE relocations of anonymous types cannot be resolved"),
		       -EINVAL;
	u64 cursor = 0;
	u32 seen = 0, matched = 0;
	for (u32 id; (id = btf_next_named(core->target, name, btf_essential_len(name), &cursor));) {
		struct btf_core_value other = {0};
		if (!btf_core_same_kind(lt, btf_type(core->target, id)))
			continue;
		if (++seen > CANDIDATES_MAX)
			err = -E2BIG;
		int r = err ? err : match_spec(core, relo->kind, local, id, candidate);
		if (!r)
			continue;
		err = r < 0 ? r : compute(core, relo->kind, candidate, &other, &why);
		if (err)
			break;
		if (!matched++) {
			*v = other, *chosen = *candidate;
		} else if (candidate->bit_offset != chosen->bit_offset || other.poison != v->poison ||
			   other.target != v->target) {
			snprintf(v->why, sizeof v->why, "types named %.60s in the target BTF disagree: %llu or %llu",
				 name, (unsigned long long)v->target, (unsigned long long)other.target);
			return -EINVAL;
		}
	}
	if (!err && !matched)
		err = compute(core, relo->kind, NULL, v, &why);
	if (err)
		snprintf(v->why, sizeof v->why, "%s",
			 why             ? why
			 : err == -E2BIG ? "its types are too complex"
					 : "its types do not match");
	else if (v->poison || !matched)
		explain(core, relo->kind, seen, v);
	return err;
}

struct btf_core *btf_core_create(const struct btf *local, const struct btf *target) {
	struct btf_core *core = calloc(1, sizeof *core);
	if (!core)
		return NULL;
	core->local = btf_get(local), core->target = btf_get(target), core->steps = STEPS_MAX;
	return core;
}
void btf_core_free(struct btf_core *core) {
	if (!core)
		return;
	btf_put(core->local);
	btf_put(core->target);
	vec_free(&core->results);
	free(core->slot);
	free(core);
}

static u32 *find_slot(struct btf_core *core, const struct bpf_core_relo *r) {
	u64 h = ((u64)r->type_id << 32 | r->access_str_off) * 0x9e3779b97f4a7c15 + r->kind * 0xff51afd7ed558ccd;
	for (u32 i = (u32)(h >> 32);; i++) {
		u32 *slot = &core->slot[i & core->mask];
		const struct bpf_core_relo *have = *slot ? &core->results.at[*slot - 1].relo : NULL;
		if (!have ||
		    (have->type_id == r->type_id && have->access_str_off == r->access_str_off && have->kind == r->kind))
			return slot;
	}
}
static bool grow_slots(struct btf_core *core) {
	u32 size = core->slot ? (core->mask + 1) * 2 : 64;
	free(core->slot);
	core->slot = calloc(size, sizeof *core->slot);
	core->mask = size - 1;
	for (u32 i = 0; core->slot && i < core->results.n; i++)
		*find_slot(core, &core->results.at[i].relo) = i + 1;
	return core->slot;
}

int btf_core_resolve(struct btf_core *core, const struct bpf_core_relo *relo, struct btf_core_value *value) {
	if (!core->slot || core->results.n * 2 > core->mask)
		if (!grow_slots(core))
			return -ENOMEM;
	u32 *slot = find_slot(core, relo);
	if (!*slot) {
		struct cached *c = vec_push(&core->results);
		if (!c)
			return -ENOMEM;
		c->relo = *relo;
		c->err = resolve(core, relo, &c->value);
		*slot = core->results.n;
	}
	const struct cached *c = &core->results.at[*slot - 1];
	*value = c->value;
	return c->err;
}

void btf_core_describe(const struct btf *local, const struct bpf_core_relo *relo, char *to, u32 size) {
	struct spec *s = malloc(sizeof *s);
	if (!s || parse_spec(local, relo, s))
		snprintf(to, size, "%s of type %u", btf_core_kind_name(relo->kind), relo->type_id);
	else
		describe(s, relo->kind, to, size);
	free(s);
}
