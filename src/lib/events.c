/* What an object's types say about its output: which struct a record of a ring buffer is, and which maps are
 * histograms. Nothing in an object states this; these are guesses from what programs usually leave behind, best first.
 */
#include "lib/object.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static u32 record_of(const struct btf *btf, u32 id, u32 bytes) {
	u32 at = btf_skip_modifiers(btf, id);
	const struct btf_type *t = btf_type(btf, at);
	return btf_is_composite(t) && (!bytes || t->size == bytes) ? at : 0;
}
static u32 pointee_of(const struct btf *btf, const struct btf_type *var, u32 bytes) {
	const struct btf_type *t = btf_kind(var) == BTF_KIND_VAR ? btf_skip_type(btf, var->type) : &btf_void;
	return btf_kind(t) == BTF_KIND_PTR ? record_of(btf, t->type, bytes) : 0;
}

/* Types that were submitted to an output of the BCC dialect: pointers in section .skep.events. */
static u32 from_events(const struct btf *btf, u32 bytes) {
	u32 id = btf_find(btf, ".skep.events", BTF_KIND_DATASEC), found = 0;
	for (u32 i = 0; id && !found && i < btf_vlen(btf_type(btf, id)); i++)
		found = pointee_of(btf, btf_type(btf, btf_var_secinfos(btf_type(btf, id))[i].type), bytes);
	return found;
}
/* const struct event *unused __attribute__((unused)); */
static u32 from_unused(const struct btf *btf, u32 bytes) {
	u32 found = 0;
	for (u32 id = 1; id < btf->end && !found; id++)
		if (!strncmp(btf_name_of(btf, id), "unused", 6))
			found = pointee_of(btf, btf_type(btf, id), bytes);
	return found;
}
/* events → event, event_t; x → x, x_t, x_event. */
static u32 from_name(const struct btf *btf, const char *map, u32 bytes) {
	char base[96];
	snprintf(base, sizeof base, "%s", map);
	u64 n = strlen(base);
	for (u32 plural = 0; plural < 2; plural++) {
		static const char *const tails[] = {"", "_t", "_event", "_event_t", "_data", "_data_t"};
		for (u32 i = 0; i < ARRAY_SIZE(tails); i++) {
			char name[128];
			snprintf(name, sizeof name, "%s%s", base, tails[i]);
			u32 id = btf_find(btf, name, BTF_KIND_STRUCT), found;
			id = id ? id : btf_find(btf, name, BTF_KIND_TYPEDEF);
			if (id && (found = record_of(btf, id, bytes)))
				return found;
		}
		if (n < 2 || base[n - 1] != 's')
			break;
		base[--n] = 0;
	}
	return 0;
}
/* The only struct of that size which is nobody's context and no kernel type that the program merely reads. */
static u32 from_size(const struct btf *btf, u32 bytes) {
	u32 found = 0;
	for (u32 id = 1; id < btf->end; id++) {
		const struct btf_type *t = btf_type(btf, id);
		const char *name = btf_name(btf, t);
		if (btf_kind(t) != BTF_KIND_STRUCT || t->size != bytes || !*name || btf_vlen(t) == 0 ||
		    abi_ctx_by_name(abi_linux(), name) || !strncmp(name, "trace_", 6) || !strncmp(name, "bpf_", 4))
			continue;
		if (found)
			return 0;
		found = id;
	}
	return found;
}

uint32_t skep_object__event_type(const struct skep_object *o, const struct skep_map *map, uint32_t bytes) {
	const struct btf *btf = o->btf;
	if (!btf)
		return 0;
	if (map && map->def.value_type && record_of(btf, map->def.value_type, bytes))
		return record_of(btf, map->def.value_type, bytes);
	u32 id = from_events(btf, bytes);
	id = id ? id : from_unused(btf, bytes);
	id = id || !map ? id : from_name(btf, map->name, bytes);
	return id || !bytes ? id : from_size(btf, bytes);
}

/* hist, dist, read_hist, dist_us, histogram …, but not history or distance. */
static bool has_word(const char *name, const char *word) {
	u64 n = strlen(word);
	for (const char *at = name; (at = strstr(at, word)); at += n)
		if ((at == name || !isalnum((u8)at[-1])) && (!isalnum((u8)at[n]) || !strcmp(at + n, "s")))
			return true;
	return false;
}

/* Slots are numbers: a map whose key also says whose slot it is (as in BPF_HISTOGRAM(dist, struct key)) is a table. */
bool skep_map__is_histogram(const struct skep_map *m) {
	static const char *const words[] = {"hist", "dist", "histogram"};
	const struct btf *btf = m->object->btf;
	char name[160];
	if ((m->def.key_size != 4 && m->def.key_size != 8) ||
	    (m->def.key_type && btf_kind(btf_skip_type(btf, m->def.key_type)) != BTF_KIND_INT))
		return false;
	snprintf(name, sizeof name, "%.120s_is_histogram", m->name);
	if (btf && btf_find(btf, name, BTF_KIND_VAR))
		return true;
	switch (m->def.type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
		break;
	default:
		return false;
	}
	if (m->kind != MAP_DEFINED || (m->def.value_size != 8 && m->def.value_size != 4))
		return false;
	for (u32 i = 0; i < ARRAY_SIZE(words); i++)
		if (has_word(m->name, words[i]))
			return true;
	return false;
}
