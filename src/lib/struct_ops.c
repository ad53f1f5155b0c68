/* Structures of the kernel that an object fills with its own functions:
 *
 *      SEC("struct_ops/init") void f(unsigned long long *ctx) { … }
 *      SEC(".struct_ops.link") struct tcp_congestion_ops mine = { .init = (void *)f, .name = "mine" };
 *
 *   opening    a variable of section .struct_ops or .struct_ops.link becomes a map of that type; a relocation in its bytes
 *              says which program is which member of which structure
 *   loading    the structure of that name in the kernel, and in it the member of that name: their numbers there are what
 *              the program's BPF_PROG_LOAD and the map's BPF_MAP_CREATE name. The object's own structure may be older or
 *              newer: members that the kernel lacks must be zero
 *
 * A section that begins with «?» holds variables that are not made by themselves, and whose programs are loaded on demand
 * only. The map holds nothing until the structure is attached, which the user engine does not do. */
#include "lib/object.h"
#include "runtime/engine.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NAME_ROOM = 128 };

/* == Opening == */

static int add_variable(struct skep_object *o, u32 section, const struct btf_var_secinfo *info, bool link, bool made) {
	const struct section *s = &o->sections.at[section];
	const struct btf_type *var = btf_type(o->btf, info->type), *t;
	struct skep_map *m;
	u32 id = btf_kind(var) == BTF_KIND_VAR ? btf_skip_modifiers(o->btf, var->type) : 0;
	t = btf_type(o->btf, id);
	if (!id || btf_kind(t) != BTF_KIND_STRUCT || !*btf_name(o->btf, t))
		return object_error(o, -EINVAL, "Declare it as struct NAME variable = { … }",
		                    "%s: variable «%s» of section «%s» is not of a structure with a name", o->path,
		                    btf_name(o->btf, var), s->name);
	if ((u64)info->offset + t->size > s->size || !s->data)
		return object_error(o, -EINVAL, "Build it again", "%s is damaged: variable «%s» lies outside section «%s»", o->path,
		                    btf_name(o->btf, var), s->name);
	m = object_add_map(o, btf_name(o->btf, var), MAP_STRUCT_OPS);
	if (!m)
		return -ENOMEM;
	m->section = section;
	m->section_off = info->offset;
	m->ops_type = id;
	m->not_made = !made;
	m->data = arena_copy(&o->arena, s->data + info->offset, t->size);
	m->def = (struct map_def){.type = BPF_MAP_TYPE_STRUCT_OPS, .key_size = 4, .value_size = t->size, .max_entries = 1,
	                          .map_flags = link ? BPF_F_LINK : 0};
	return m->data ? 0 : out_of_memory(o);
}

static struct skep_map *map_at(struct skep_object *o, u32 section, u64 off) {
	for (u32 i = 0; i < o->maps.n; i++) {
		struct skep_map *m = o->maps.at[i];
		if (m->kind == MAP_STRUCT_OPS && m->section == section && off >= m->section_off &&
		    off < m->section_off + btf_type(o->btf, m->ops_type)->size)
			return m;
	}
	return NULL;
}

static s32 member_at(const struct btf *btf, const struct btf_type *t, u64 off) {
	for (u32 i = 0; i < btf_vlen(t); i++)
		if (btf_member_bit_offset(t, i) == off * 8 && btf_kind(btf_skip_type(btf, btf_members(t)[i].type)) == BTF_KIND_PTR)
			return (s32)i;
	return -1;
}

/* The program is that member. It may be one of several variables, if it is the same member in all. */
static int set_member(struct skep_program *p, const struct skep_map *m, u32 member) {
	struct skep_object *o = p->object;
	if (p->type != BPF_PROG_TYPE_STRUCT_OPS)
		return object_error(o, -EINVAL, "Put it into SEC(\"struct_ops\")",
		                    "%s: «%s» holds program «%s», which is not of a struct_ops (section «%s»)", o->path, m->name,
		                    p->name, p->section);
	if (p->ops_type && (p->ops_type != m->ops_type || p->ops_member != member))
		return object_error(o, -EINVAL, "Write a program for each",
		                    "%s: program «%s» would be two different functions of structures", o->path, p->name);
	if (!p->ops_type)
		p->autoload &= !m->not_made;
	else
		p->autoload |= !m->not_made && *o->sections.at[o->functions.at[p->function].section].name != '?';
	p->ops_type = m->ops_type;
	p->ops_member = member;
	return 0;
}

static int visit_pointer(struct skep_object *o, u32 section, const struct relocation *r) {
	const struct symbol *sym = &o->symbols.at[r->symbol];
	const struct skep_map *m = map_at(o, section, r->off);
	const struct btf_type *t;
	u64 at;
	u32 f;
	s32 member;
	if (!m)
		return object_error(o, -EINVAL, "Build it again", "%s is damaged: a relocation of section «%s» hits no variable",
		                    o->path, o->sections.at[section].name);
	t = btf_type(o->btf, m->ops_type);
	at = r->off - m->section_off;
	member = member_at(o->btf, t, at);
	f = sym->value % 8 || sym->section >= o->sections.n ? NONE : function_at(o, sym->section, sym->value / 8);
	if (member < 0 || f == NONE || o->functions.at[f].program == NONE)
		return object_error(o, -EINVAL, "Only its functions can be set, to programs of this object",
		                    "%s: «%s» holds the address of «%s» at byte %llu, which is not a program in a member for one",
		                    o->path, m->name, sym->name, (unsigned long long)at);
	memset(m->data + at, 0, 8);
	return set_member(o->programs.at[o->functions.at[f].program], m, (u32)member);
}

int object_find_struct_ops(struct skep_object *o) {
	int err = 0;
	for (u32 i = 1; i < o->sections.n && !err; i++) {
		const char *name = o->sections.at[i].name;
		bool made = *name != '?', link = strstr(name, ".link") != NULL;
		u32 id = o->sections.at[i].kind == SECTION_STRUCT_OPS && o->btf ? btf_find(o->btf, name, BTF_KIND_DATASEC) : 0;
		const struct btf_type *t;
		if (o->sections.at[i].kind != SECTION_STRUCT_OPS)
			continue;
		if (!id)
			return object_error(o, -EINVAL, "Build it with -g", "%s: section «%s» has no type information", o->path, name);
		t = btf_type(o->btf, id);
		for (u32 k = 0; k < btf_vlen(t) && !err; k++)
			err = add_variable(o, i, &btf_var_secinfos(t)[k], link, made);
		if (!err)
			err = object_relocations(o, i, visit_pointer);
	}
	return err;
}

/* == Loading == */

/* Without the suffix ___x that tells versions of one structure apart. */
static void plain_name(const struct skep_object *o, u32 id, char to[NAME_ROOM]) {
	const char *name = btf_name_of(o->btf, id);
	snprintf(to, NAME_ROOM, "%.*s", (int)MIN(btf_essential_len(name), (u32)NAME_ROOM - 1), name);
}

static int find_structure(struct skep_object *o, const char *what, u32 local, const struct btf **btf, u32 *id,
                          u32 *value) {
	char name[NAME_ROOM], full[NAME_ROOM + 16];
	plain_name(o, local, name);
	*btf = object_ids_btf(o);
	if (!*btf)
		return -ESRCH;
	snprintf(full, sizeof full, "bpf_struct_ops_%s", name);
	*id = btf_find(*btf, name, BTF_KIND_STRUCT);
	*value = btf_find(*btf, full, BTF_KIND_STRUCT);
	if (*id && *value)
		return 0;
	if (o->engine && !engine_types_given(o->engine))
		return object_error(o, -EOPNOTSUPP, NULL,
		                    "%s: a struct_ops is not available in the user engine: it replaces a part of the kernel", what);
	return object_error(o, -ENOENT, NULL, "%s: %s has no struct «%s» whose functions programs can be", what,
	                    object_ids_name(o), name);
}

/* What the program is to the kernel: the structure, and the member's index in it. */
int program_find_ops(struct skep_program *p, u32 *btf_id, u32 *member) {
	struct skep_object *o = p->object;
	const struct btf *btf;
	const char *name;
	char what[NAME_ROOM];
	u32 value;
	s32 i;
	int err;
	snprintf(what, sizeof what, "program «%.64s»", p->name);
	if (!p->ops_type)
		return object_error(o, -EINVAL,
		                    "Write SEC(\".struct_ops.link\") struct NAME variable = { .member = (void *)function };",
		                    "%s belongs to a struct_ops, but no variable of this object has it as a member", what);
	err = find_structure(o, what, p->ops_type, &btf, btf_id, &value);
	if (err)
		return err;
	name = btf_string(o->btf, btf_members(btf_type(o->btf, p->ops_type))[p->ops_member].name_off);
	i = btf_member_index(btf, btf_type(btf, *btf_id), name);
	if (i < 0)
		return object_error(o, -ENOTSUP, NULL, "%s: struct «%s» of %s has no member «%s»", what, btf_name_of(btf, *btf_id),
		                    object_ids_name(o), name);
	*member = (u32)i;
	return 0;
}

static bool all_zero(const u8 *bytes, u64 n) {
	for (u64 i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

static int check_member(struct skep_map *m, const struct btf *btf, const struct btf_type *kernel, u32 i) {
	struct skep_object *o = m->object;
	const struct btf_type *t = btf_type(o->btf, m->ops_type);
	const struct btf_member *member = &btf_members(t)[i];
	const char *name = btf_string(o->btf, member->name_off);
	u64 off = btf_member_bit_offset(t, i) / 8;
	s64 size = btf_size(o->btf, member->type);
	s32 there = btf_member_index(btf, kernel, name);
	if (!*name || size < 0 || off + (u64)size > t->size || all_zero(m->data + off, (u64)size))
		return 0;
	if (there < 0)
		return object_error(o, -ENOTSUP, "Leave it zero", "«%s» sets member «%s», which struct «%s» of %s does not have",
		                    m->name, name, btf_name(btf, kernel), object_ids_name(o));
	if (btf_member_bitfield_size(t, i) || btf_size(btf, btf_members(kernel)[there].type) != size)
		return object_error(o, -ENOTSUP, NULL, "«%s» sets member «%s», which is of another size in struct «%s» of %s",
		                    m->name, name, btf_name(btf, kernel), object_ids_name(o));
	return 0;
}

/* The map's numbers in the kernel. */
int map_find_ops(struct skep_map *m) {
	struct skep_object *o = m->object;
	const struct btf *btf;
	char what[NAME_ROOM];
	u32 id, value;
	int err;
	ASSERT(m->kind == MAP_STRUCT_OPS && m->ops_type);
	snprintf(what, sizeof what, "«%.64s»", m->name);
	if (o->opts.relaxed_maps && o->engine && !engine_types_given(o->engine))
		return -EOPNOTSUPP; /* its programs are told */
	err = find_structure(o, what, m->ops_type, &btf, &id, &value);
	for (u32 i = 0; !err && i < btf_vlen(btf_type(o->btf, m->ops_type)); i++)
		err = check_member(m, btf, btf_type(btf, id), i);
	if (err)
		return err;
	m->def.value_size = btf_type(btf, value)->size;
	m->def.kernel_value_type = value;
	return 0;
}
