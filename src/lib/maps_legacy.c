/* Maps of section «maps», from before maps had types: an array of
 *
 *	struct bpf_map_def { u32 type, key_size, value_size, max_entries, map_flags; … };
 *
 * with one symbol for each. How long a definition is, the object does not say: it is the distance between symbols. What
 * follows the five words differs: the kernel's samples had inner_map_idx and numa_node, iproute2 had id, pinning,
 * inner_id and inner_idx. Key and value types, where somebody wanted them, are in a struct ____btf_map_NAME. */
#include "lib/object.h"
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MIN = 5, WORDS_SAMPLES = 7, WORDS_IPROUTE2 = 9 };

struct place {
	u64 off;
	u32 symbol;
};
static int by_place(const void *a, const void *b) {
	const struct place *x = a, *y = b;
	return x->off < y->off ? -1 : x->off > y->off ? 1 : x->symbol < y->symbol ? -1 : x->symbol > y->symbol;
}

static void find_types(struct skep_object *o, struct skep_map *m) {
	char name[160];
	snprintf(name, sizeof name, "____btf_map_%.120s", m->name);
	u32 id = o->btf ? btf_find(o->btf, name, BTF_KIND_STRUCT) : 0;
	const struct btf_type *t = id ? btf_type(o->btf, id) : &btf_void;
	if (!id || btf_vlen(t) < 2)
		return;
	u32 key = btf_members(t)[0].type, value = btf_members(t)[1].type;
	if (btf_size(o->btf, key) == m->def.key_size && btf_size(o->btf, value) == m->def.value_size)
		m->def.key_type = key, m->def.value_type = value;
}

static int use_extra_words(struct skep_object *o, struct skep_map *m, const u32 *w, u32 n) {
	m->legacy_id = m->legacy_inner = NONE;
	if (n == WORDS_SAMPLES - WORDS_MIN) {
		bool outer = m->def.type == BPF_MAP_TYPE_ARRAY_OF_MAPS || m->def.type == BPF_MAP_TYPE_HASH_OF_MAPS;
		m->legacy_inner = outer ? w[0] : NONE;
		m->def.numa_node = w[1];
		return 0;
	}
	if (n == WORDS_IPROUTE2 - WORDS_MIN) {
		m->legacy_id = w[0] ? w[0] : NONE;
		if (w[1])
			m->pin_path = arena_printf(&o->arena, "%s/tc/globals/%s",
						   o->opts.pin_root ? o->opts.pin_root : "/sys/fs/bpf", m->name);
		m->legacy_inner = w[2] ? w[2] : NONE; /* an id until all maps are known */
		return w[1] && !m->pin_path ? out_of_memory(o) : 0;
	}
	for (u32 i = 0; i < n; i++)
		if (w[i])
			return object_error(o, -ENOTSUP, "Declare it in section .maps",
					    "%s: legacy map «%s» has fields beyond map_flags that are not understood",
					    o->path, m->name);
	return 0;
}

static int add_map(struct skep_object *o, u32 section, const struct place *p, u64 end) {
	const struct section *s = &o->sections.at[section];
	u32 words[32] = {0}, n = (u32)MIN((end - p->off) / 4, (u64)ARRAY_SIZE(words));
	if (n < WORDS_MIN)
		return object_error(o, -EINVAL, "Build it again",
				    "%s is damaged: legacy map «%s» has %u words of at least 5", o->path,
				    o->symbols.at[p->symbol].name, n);
	memcpy(words, s->data + p->off, n * 4u);
	struct skep_map *m = object_add_map(o, o->symbols.at[p->symbol].name, MAP_DEFINED);
	if (!m)
		return -ENOMEM;
	m->section = section, m->section_off = p->off;
	m->def = (struct map_def){.type = words[0],
				  .key_size = words[1],
				  .value_size = words[2],
				  .max_entries = words[3],
				  .map_flags = words[4]};
	find_types(o, m);
	return use_extra_words(o, m, words + WORDS_MIN, n - WORDS_MIN);
}

/* Inner maps by id (iproute2) or by position (samples) become indexes of maps. */
static int link_inner_maps(struct skep_object *o, u32 first, u32 words) {
	for (u32 i = first; i < o->maps.n; i++) {
		struct skep_map *m = o->maps.at[i];
		u32 wanted = m->legacy_inner, found = NONE;
		if (wanted == NONE)
			continue;
		for (u32 j = first; j < o->maps.n; j++)
			if (words == WORDS_IPROUTE2 ? o->maps.at[j]->legacy_id == wanted : j - first == wanted)
				found = j;
		if (found == NONE || found == i)
			return object_error(o, -EINVAL, "Declare it in section .maps",
					    "%s: legacy map «%s» names an inner map that does not exist", o->path,
					    m->name);
		m->legacy_inner = found;
	}
	return 0;
}

int object_find_legacy_maps(struct skep_object *o) {
	u32 section = section_by_name(o, "maps");
	if (section == NONE || o->sections.at[section].kind != SECTION_LEGACY_MAPS)
		return 0;
	const struct section *s = &o->sections.at[section];
	VEC(struct place) places = {0};
	int err = 0;
	for (u32 i = 1; i < o->symbols.n && !err; i++) {
		const struct symbol *sym = &o->symbols.at[i];
		if (sym->section != section || sym->type == STT_SECTION || !*sym->name)
			continue;
		struct place *p = sym->value < s->size && sym->value % 4 == 0 ? vec_push(&places) : NULL;
		if (p)
			*p = (struct place){sym->value, i};
		else
			err =
			    object_error(o, -EINVAL, "Build it again",
					 "%s is damaged: legacy map «%s» lies outside its section", o->path, sym->name);
	}
	if (!err && !places.n)
		err =
		    object_error(o, -EINVAL, "Build it again", "%s is damaged: section «maps» has no symbols", o->path);
	if (!err)
		qsort(places.at, places.n, sizeof *places.at, by_place);
	u32 first = o->maps.n, words = 0;
	for (u32 i = 0; i < places.n && !err; i++) {
		u64 end = i + 1 < places.n ? places.at[i + 1].off : s->size;
		words = (u32)((end - places.at[i].off) / 4);
		err = add_map(o, section, &places.at[i], end);
	}
	vec_free(&places);
	o->sections.at[section].maps_n = o->maps.n - first;
	return err ? err : link_inner_maps(o, first, words);
}
