/* Maps that an object declares: by BTF in section .maps, by being data (.data, .rodata, .bss and sections below those
 * names), and as the area of configuration values. maps_legacy.c has the oldest form.
 *
 *   struct {
 *           __uint(type, BPF_MAP_TYPE_HASH);        a member `int (*type)[1]`: the number is the array's length
 *           __type(key, u32);                       a member `u32 *key`
 *           __array(values, struct inner);          a member `struct inner *values[]`, last
 *   } name SEC(".maps");
 *
 * A data section is an array map with one value; its initial contents are the section's. */
#include "lib/object.h"
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIN_NONE, PIN_BY_NAME };
enum { MAPS_MAX = 1 << 16 };

static void set_kernel_name(struct skep_map *m, const char *name, u32 len) {
	len = MIN(len, MAP_NAME - 1u);
	memcpy(m->kernel_name, name, len);
	m->kernel_name[len] = 0;
	for (char *p = m->kernel_name; *p; p++)
		if (!isalnum((u8)*p) && *p != '_' && *p != '.')
			*p = '_';
}

struct skep_map *object_add_map(struct skep_object *o, const char *name, u32 kind) {
	struct skep_map *m = arena_new(&o->arena, struct skep_map), **slot = m ? vec_push(&o->maps) : NULL;
	if (!slot) {
		out_of_memory(o);
		return NULL;
	}
	*slot = m;
	m->object = o, m->name = name, m->kind = kind, m->fd = -1;
	m->legacy_id = m->legacy_inner = NONE;
	set_kernel_name(m, name, (u32)strlen(name));
	return m;
}

/* ---- .maps ---- */

static int bad_map(struct skep_object *o, const char *name, const char *what) {
	return object_error(o, -EINVAL,
			    "See «struct { __uint(type, …); __type(key, …); __type(value, …); __uint(max_entries, …); "
			    "} NAME SEC(\".maps\");»",
			    "%s: map «%s» %s", o->path, name, what);
}

/* The number in a member `int (*name)[N]`, or in an enum `__ulong`. */
static bool number_of(const struct btf *btf, const struct btf_member *m, u64 *out) {
	const struct btf_type *t = btf_skip_type(btf, m->type);
	u64 value;
	if (btf_kind(t) == BTF_KIND_PTR) {
		t = btf_type(btf, t->type);
		if (btf_kind(t) != BTF_KIND_ARRAY)
			return false;
		*out = btf_array(t)->nelems;
		return true;
	}
	if (!btf_is_any_enum(t) || btf_vlen(t) != 1)
		return false;
	const char *name =
	    btf_string(btf, btf_kind(t) == BTF_KIND_ENUM ? btf_enums(t)->name_off : btf_enums64(t)->name_off);
	btf_enum_value(btf, t, name, &value);
	*out = btf_kind(t) == BTF_KIND_ENUM ? (u32)value : value;
	return true;
}

static int set_size(struct skep_object *o, const char *map, u32 *size, u64 value, const char *what) {
	if (value > UINT32_MAX || (*size && *size != value))
		return bad_map(o, map, what);
	*size = (u32)value;
	return 0;
}

static int parse_def(struct skep_object *o, const char *name, const struct btf_type *t, struct map_def *def,
		     struct map_def *inner);

static int parse_values(struct skep_object *o, const char *name, const struct btf_type *t, struct map_def *def,
			struct map_def *inner) {
	const struct btf *btf = o->btf;
	bool outer = def->type == BPF_MAP_TYPE_ARRAY_OF_MAPS || def->type == BPF_MAP_TYPE_HASH_OF_MAPS;
	if (!inner)
		return bad_map(o, name, "has maps inside inner maps, which does not exist");
	if (!outer && def->type != BPF_MAP_TYPE_PROG_ARRAY)
		return bad_map(o, name, "has values, but only program arrays and maps of maps do (say its type first)");
	int err = set_size(o, name, &def->value_size, 4, "has another value size than 4");
	if (err)
		return err;
	if (btf_kind(t) != BTF_KIND_ARRAY || btf_array(t)->nelems)
		return bad_map(o, name, "has values that are not declared with __array");
	t = btf_skip_type(btf, btf_array(t)->type);
	if (btf_kind(t) != BTF_KIND_PTR)
		return bad_map(o, name, "has values that are not declared with __array");
	t = btf_skip_type(btf, t->type);
	if (!outer)
		return btf_kind(t) == BTF_KIND_FUNC_PROTO ? 0 : bad_map(o, name, "has values that are not functions");
	if (btf_kind(t) != BTF_KIND_STRUCT)
		return bad_map(o, name, "has values that are not maps");
	return parse_def(o, name, t, inner, NULL);
}

static int parse_type(struct skep_object *o, const char *map, const struct btf_member *m, u32 *size, u32 *type,
		      const char *what) {
	const struct btf_type *t = btf_type(o->btf, m->type);
	if (btf_kind(t) != BTF_KIND_PTR)
		return bad_map(o, map, "has a key or value that is not declared with __type");
	s64 bytes = btf_size(o->btf, t->type);
	if (bytes < 0)
		return bad_map(o, map, "has a key or value of a type without a size");
	*type = t->type;
	return set_size(o, map, size, (u64)bytes, what);
}

static const char *const field_names[] = {"type",    "max_entries", "map_flags", "numa_node", "key_size", "value_size",
					  "pinning", "map_extra",   "key",       "value",     "values"};
enum field {
	F_TYPE,
	F_MAX_ENTRIES,
	F_FLAGS,
	F_NUMA,
	F_KEY_SIZE,
	F_VALUE_SIZE,
	F_PINNING,
	F_EXTRA,
	F_KEY,
	F_VALUE,
	F_VALUES,
	FIELDS
};

static int parse_field(struct skep_object *o, const char *map, const struct btf_type *t, u32 i, struct map_def *def,
		       struct map_def *inner) {
	const struct btf_member *m = &btf_members(t)[i];
	const char *name = btf_string(o->btf, m->name_off);
	u32 f = 0;
	u64 v = 0;
	while (f < FIELDS && strcmp(name, field_names[f]))
		f++;
	if (f == FIELDS) {
		const char *near = nearest_word(name, field_names, FIELDS);
		return object_error(o, -ENOTSUP, near ? near : "type, key, value, max_entries, map_flags … exist",
				    "%s: map «%s» has a field «%.40s», which no map has%s", o->path, map, name,
				    near ? "; did you mean the following?" : "");
	}
	if (f == F_KEY)
		return parse_type(o, map, m, &def->key_size, &def->key_type, "has two different key sizes");
	if (f == F_VALUE)
		return parse_type(o, map, m, &def->value_size, &def->value_type, "has two different value sizes");
	if (f == F_VALUES)
		return i + 1 == btf_vlen(t) ? parse_values(o, map, btf_type(o->btf, m->type), def, inner)
					    : bad_map(o, map, "must have its values last");
	if (!number_of(o->btf, m, &v))
		return bad_map(o, map, "has a number that is not declared with __uint");
	if (v > UINT32_MAX && f != F_EXTRA)
		return bad_map(o, map, "has a number that does not fit 32 bits");
	switch (f) {
	case F_TYPE:
		def->type = (u32)v;
		return 0;
	case F_MAX_ENTRIES:
		def->max_entries = (u32)v;
		return 0;
	case F_FLAGS:
		def->map_flags = (u32)v;
		return 0;
	case F_NUMA:
		def->numa_node = (u32)v;
		return 0;
	case F_KEY_SIZE:
		return set_size(o, map, &def->key_size, v, "has two different key sizes");
	case F_VALUE_SIZE:
		return set_size(o, map, &def->value_size, v, "has two different value sizes");
	case F_PINNING:
		def->pinning = (u32)v;
		return !inner            ? bad_map(o, map, "wants its inner maps pinned, which cannot be")
		       : v > PIN_BY_NAME ? bad_map(o, map, "has an unknown kind of pinning (LIBBPF_PIN_BY_NAME exists)")
					 : 0;
	}
	def->map_extra = v;
	return 0;
}

/* Ring buffers have a size that is a power of two of pages: the next larger one is taken. */
static u32 ring_size(u32 bytes) {
	u32 page = (u32)sysconf(_SC_PAGESIZE);
	if (!bytes || (bytes % page == 0 && is_power_of_two(bytes)))
		return bytes;
	for (u64 size = page; size <= UINT32_MAX; size *= 2)
		if (size > bytes)
			return (u32)size;
	return bytes;
}

static int parse_def(struct skep_object *o, const char *name, const struct btf_type *t, struct map_def *def,
		     struct map_def *inner) {
	for (u32 i = 0; i < btf_vlen(t); i++) {
		int err = parse_field(o, name, t, i, def, inner);
		if (err)
			return err;
	}
	if (!def->type)
		return bad_map(o, name, "has no type");
	if (def->type == BPF_MAP_TYPE_RINGBUF || def->type == BPF_MAP_TYPE_USER_RINGBUF)
		def->max_entries = ring_size(def->max_entries);
	return 0;
}

static int set_pin_path(struct skep_map *m) {
	struct skep_object *o = m->object;
	const char *root = o->opts.pin_root ? o->opts.pin_root : "/sys/fs/bpf";
	char *path = arena_printf(&o->arena, "%s/%s", root, m->name);
	if (!path)
		return out_of_memory(o);
	/* The kernel's file system takes no dots in names. */
	for (char *p = path + strlen(root); *p; p++)
		if (*p == '.')
			*p = '_';
	m->pin_path = path;
	return 0;
}

static int add_defined(struct skep_object *o, u32 section, const struct btf_var_secinfo *v) {
	const struct btf_type *var = btf_type(o->btf, v->type), *t;
	/* A copy: entries.c may replace the object's types. */
	const char *name = arena_printf(&o->arena, "%s", btf_name(o->btf, var));
	if (!name)
		return out_of_memory(o);
	if (btf_kind(var) != BTF_KIND_VAR || !*name)
		return bad_map(o, name, "is not a variable");
	if ((u64)v->offset + v->size > o->sections.at[section].size)
		return bad_map(o, name, "lies outside section .maps");
	if (btf_var(var)->linkage != BTF_VAR_GLOBAL_ALLOCATED)
		return bad_map(o, name, "is static: maps are global variables");
	t = btf_skip_type(o->btf, var->type);
	if (btf_kind(t) != BTF_KIND_STRUCT)
		return bad_map(o, name, "is not a struct");
	struct skep_map *m = o->maps.n < MAPS_MAX ? object_add_map(o, name, MAP_DEFINED) : NULL;
	struct map_def inner = {0};
	if (!m)
		return -ENOMEM;
	m->section = section, m->section_off = v->offset;
	int err = parse_def(o, name, t, &m->def, &inner);
	if (!err && inner.type) {
		m->inner = arena_copy(&o->arena, &inner, sizeof inner);
		err = m->inner ? 0 : out_of_memory(o);
	}
	if (!err && m->def.pinning == PIN_BY_NAME)
		err = set_pin_path(m);
	return err;
}

static int find_defined(struct skep_object *o) {
	u32 section = section_by_name(o, ".maps");
	if (section == NONE || o->sections.at[section].kind != SECTION_MAPS)
		return 0;
	o->maps_btf_id = o->btf ? btf_find(o->btf, ".maps", BTF_KIND_DATASEC) : 0;
	if (!o->maps_btf_id)
		return object_error(o, -EINVAL, "Build it with clang -g",
				    "%s has maps in section .maps but no type information for them", o->path);
	const struct btf_type *t = btf_type(o->btf, o->maps_btf_id);
	int err = 0;
	o->first_defined = o->maps.n;
	for (u32 i = 0; i < btf_vlen(t) && !err; i++)
		err = add_defined(o, section, &btf_var_secinfos(t)[i]);
	o->sections.at[section].maps_n = o->maps.n - o->first_defined;
	return err;
}

/* ---- data ---- */

/* «object.rodata» for the three plain sections, the section's own name for others, within 15 characters. */
static void name_data_map(struct skep_map *m, const char *section) {
	struct skep_object *o = m->object;
	u32 len = (u32)strlen(section), tail = MIN(MAX(len, 7u), MAP_NAME - 1u);
	bool own = strchr(section + 1, '.');
	u32 head = own ? 0 : MIN(MAP_NAME - 1u - tail, (u32)strlen(o->name));
	char name[MAP_NAME * 2];
	snprintf(name, sizeof name, "%.*s%.*s", (int)head, o->name, (int)tail, section);
	set_kernel_name(m, name, (u32)strlen(name));
	m->name = own ? section : m->kernel_name;
}

/* Mappable when a variable in it is of interest outside: not static. */
static bool has_public_variable(const struct btf *btf, u32 datasec) {
	const struct btf_type *t = btf_type(btf, datasec);
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const struct btf_type *var = btf_type(btf, btf_var_secinfos(t)[i].type);
		if (btf_kind(var) == BTF_KIND_VAR && btf_var(var)->linkage != BTF_VAR_STATIC)
			return true;
	}
	return false;
}

static int add_data(struct skep_object *o, const char *section, u32 kind, u32 index, const u8 *data, u64 size) {
	if (size > INT32_MAX)
		return object_error(o, -E2BIG, "Use a map for data of this size", "%s: section «%s» has %llu bytes",
				    o->path, section, (unsigned long long)size);
	struct skep_map *m = object_add_map(o, section, kind);
	if (!m)
		return -ENOMEM;
	name_data_map(m, section);
	m->section = index;
	if (index != NONE)
		o->sections.at[index].map = o->maps.n - 1;
	m->def.type = BPF_MAP_TYPE_ARRAY, m->def.key_size = 4, m->def.value_size = (u32)size, m->def.max_entries = 1;
	m->def.value_type = o->btf ? btf_find(o->btf, section, BTF_KIND_DATASEC) : 0;
	if (kind == MAP_RODATA || kind == MAP_KCONFIG)
		m->def.map_flags = BPF_F_RDONLY_PROG;
	if (m->def.value_type && has_public_variable(o->btf, m->def.value_type))
		m->def.map_flags |= BPF_F_MMAPABLE;
	if (kind == MAP_BSS && size > 1 << 20)
		return 0; /* all zero: no copy of it */
	m->data = data ? arena_copy(&o->arena, data, size) : arena_alloc(&o->arena, size);
	return m->data ? 0 : out_of_memory(o);
}

/* Variables in an address space of their own lie at the beginning of the object's arena. */
static int find_arena_data(struct skep_object *o, struct section *s) {
	struct skep_map *m;
	u32 i = 0;
	while (i < o->maps.n && o->maps.at[i]->def.type != BPF_MAP_TYPE_ARENA)
		i++;
	if (i == o->maps.n)
		return object_error(o, -ENOENT, "Define a map of type BPF_MAP_TYPE_ARENA",
				    "%s: section «%s» has variables of an arena, and there is no arena", o->path, s->name);
	m = o->maps.at[i];
	if (m->data)
		return object_error(o, -EEXIST, "Put them into one section",
				    "%s: section «%s» is the second one with variables of an arena", o->path, s->name);
	if (s->size > (u64)m->def.max_entries * PAGE)
		return object_error(o, -E2BIG, "Give it more pages: max_entries",
				    "%s: the variables in section «%s» have %llu bytes, and arena «%s» has %u pages", o->path,
				    s->name, (unsigned long long)s->size, m->name, m->def.max_entries);
	s->map = i;
	m->arena_size = (u32)s->size;
	m->data = s->data ? arena_copy(&o->arena, s->data, s->size) : arena_alloc(&o->arena, s->size);
	return m->data ? 0 : out_of_memory(o);
}

static int find_data(struct skep_object *o) {
	int err = 0;
	for (u32 i = 1; i < o->sections.n && !err; i++) {
		struct section *s = &o->sections.at[i];
		u32 kind = s->kind == SECTION_DATA ? MAP_DATA : s->kind == SECTION_RODATA ? MAP_RODATA : MAP_BSS;
		if ((s->kind == SECTION_DATA || s->kind == SECTION_RODATA || s->kind == SECTION_BSS) && s->size)
			err = add_data(o, s->name, kind, i, s->data, s->size);
		else if (s->kind == SECTION_ARENA && s->size)
			err = find_arena_data(o, s);
	}
	u32 size = 0;
	for (u32 i = 0; i < o->externs.n; i++)
		if (o->externs.at[i].kind == EXTERN_KCONFIG)
			size = o->externs.at[i].kconfig.off + o->externs.at[i].kconfig.size;
	return err || !size ? err : add_data(o, ".kconfig", MAP_KCONFIG, NONE, NULL, size);
}

int object_find_maps(struct skep_object *o) {
	int err = object_find_legacy_maps(o);
	err = err ? err : find_defined(o);
	return err ? err : find_data(o);
}

u32 object_map_at(const struct skep_object *o, u32 section, u64 off) {
	/* Both kinds of definitions stand in the order of their places. */
	u32 low = o->sections.at[section].kind == SECTION_MAPS ? o->first_defined : 0;
	u32 high = low + o->sections.at[section].maps_n;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (o->maps.at[middle]->section_off < off)
			low = middle + 1;
		else
			high = middle;
	}
	return low < o->maps.n && o->maps.at[low]->section == section && o->maps.at[low]->section_off == off ? low
													     : NONE;
}

/* ---- initial slots: relocations of section .maps ---- */

/* Maps of .maps were added in the order of their DATASEC, which is sorted by offset. */
static struct skep_map *map_around(struct skep_object *o, u64 off, const struct btf_var_secinfo **v) {
	const struct btf_type *t = btf_type(o->btf, o->maps_btf_id);
	u32 low = 0, high = btf_vlen(t); /* sorted by offset */
	while (low < high) {
		u32 middle = (low + high) / 2;
		const struct btf_var_secinfo *at = &btf_var_secinfos(t)[middle];
		if (at->offset + (u64)at->size <= off)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == btf_vlen(t) || btf_var_secinfos(t)[low].offset > off)
		return NULL;
	*v = &btf_var_secinfos(t)[low];
	return o->maps.at[o->first_defined + low];
}

static u32 slot_target(struct skep_object *o, const struct skep_map *m, const struct symbol *sym, u32 section) {
	if (m->def.type == BPF_MAP_TYPE_PROG_ARRAY) {
		u32 f = sym->value % 8 ? NONE : function_at(o, sym->section, sym->value / 8);
		return f == NONE ? NONE : o->functions.at[f].program;
	}
	return sym->section == section ? object_map_at(o, section, sym->value) : NONE;
}

static int visit_slot(struct skep_object *o, u32 section, const struct relocation *r) {
	const struct btf_var_secinfo *v = NULL;
	const struct symbol *sym = &o->symbols.at[r->symbol];
	struct skep_map *m = map_around(o, r->off, &v);
	if (!m)
		return object_error(o, -EINVAL, "Build it again",
				    "%s is damaged: a relocation of section .maps hits no map", o->path);
	const struct btf_type *t = btf_skip_type(o->btf, btf_type(o->btf, v->type)->type);
	u32 last = btf_vlen(t) - 1;
	const char *field = btf_vlen(t) ? btf_string(o->btf, btf_members(t)[last].name_off) : "";
	u64 start = btf_vlen(t) ? btf_member_bit_offset(t, last) / 8 : 0, at = r->off - v->offset;
	if (strcmp(field, "values") || at < start || (at - start) % 8 || (at - start) / 8 > UINT32_MAX)
		return bad_map(o, m->name, "is initialised in a field other than its values");
	if (m->def.type == BPF_MAP_TYPE_HASH_OF_MAPS && m->def.key_size != 4)
		return bad_map(o, m->name, "has initial values, for which its keys must have 4 bytes");
	u32 target = slot_target(o, m, sym, section);
	if (target == NONE)
		return object_error(o, -EINVAL, NULL,
				    "%s: map «%s» has «%s» as initial value, which is no %s of this object", o->path,
				    m->name, sym->name, m->def.type == BPF_MAP_TYPE_PROG_ARRAY ? "program" : "map");
	struct map_slot *slot = vec_push(&m->slots);
	if (!slot)
		return out_of_memory(o);
	*slot = (struct map_slot){(u32)((at - start) / 8), target};
	return 0;
}

int object_collect_slots(struct skep_object *o) {
	u32 section = section_by_name(o, ".maps");
	return section == NONE || !o->maps_btf_id ? 0 : object_relocations(o, section, visit_slot);
}
