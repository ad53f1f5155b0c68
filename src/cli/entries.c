/* Walking a map through bpf(2), and what its entries look like.
 *
 *   MAP_GET_NEXT_KEY ─► MAP_LOOKUP_ELEM ─► struct map_entry ─► json_t ─► out_json, or rows of a table
 *
 * The map goes on being written while we read. So a walk is bounded by twice the map's size, a key that vanished between
 * the two commands is passed over, and nothing read from a value decides how much is read: sizes come from the map's
 * description and from BTF. A value of a per-CPU map has one part per possible CPU; numbers are added up for people, and
 * JSON has both the sum and the parts.
 *
 * For people: hashes have no order, so the largest count comes first; arrays keep theirs and leave out what is zero;
 * members of structures become columns; a map that is a histogram, or whose values have an array called slots, becomes
 * bars; global variables get a line each. */
#include "cli/object.h"
#include "cli/out/out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool map_has_cpu_parts(u32 type) {
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

bool map_is_array(u32 type) {
	return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

u32 cli_nr_cpus(void) {
	long n = sysconf(_SC_NPROCESSORS_CONF);
	return n > 0 ? (u32)n : 1;
}

int map_each_entry(struct cli *cli, int fd, const struct bpf_map_info *info, map_entry_fn *fn, void *owner) {
	u32 parts = map_has_cpu_parts(info->type) ? cli_nr_cpus() : 1;
	u64 stride = parts > 1 || map_has_cpu_parts(info->type) ? round_up(info->value_size, 8) : info->value_size;
	u8 *key = calloc(2, info->key_size + 8), *next = key + info->key_size + 8, *value = calloc(parts, stride + 8);
	int error = key && value ? 0 : -ENOMEM;
	bool first = true;
	/* A map that is written to all the time may move keys around; it cannot make us walk for ever. */
	for (u64 seen = 0; !error && seen < 2ull * info->max_entries + 16; seen++) {
		union bpf_attr attr = {.map_fd = (u32)fd, .key = first ? 0 : (u64)(uintptr_t)key,
		                       .next_key = (u64)(uintptr_t)next};
		s64 r = cli_bpf(cli, BPF_MAP_GET_NEXT_KEY, &attr);
		if (r < 0) {
			error = r == -ENOENT ? 0 : (int)r;
			break;
		}
		memcpy(key, next, info->key_size);
		first = false;
		attr = (union bpf_attr){.map_fd = (u32)fd, .key = (u64)(uintptr_t)key, .value = (u64)(uintptr_t)value};
		if (cli_bpf(cli, BPF_MAP_LOOKUP_ELEM, &attr) < 0)
			continue; /* deleted in between, or an empty slot */
		struct map_entry entry = {key, value, info->value_size, parts};
		error = fn(owner, &entry);
	}
	free(key);
	free(value);
	return error;
}

json_t *bytes_json(const void *data, u32 bytes) {
	json_t *list = json_array();
	char text[8];
	for (u32 i = 0; i < bytes; i++) {
		snprintf(text, sizeof text, "0x%02x", ((const u8 *)data)[i]);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

/* ---- one map as JSON --------------------------------------------------------------------------------------------- */

struct gather {
	const struct bpf_map_info *info;
	const struct btf *btf;
	u32 key_type, value_type;
	json_t *entries;
	bool skip_zero;
	u64 skipped;
};

static json_t *percpu_json(const struct gather *g, const struct map_entry *e) {
	json_t *list = json_array();
	for (u32 cpu = 0; cpu < e->parts; cpu++) {
		const u8 *part = (const u8 *)e->value + cpu * round_up(e->value_bytes, 8);
		json_array_append_new(list, json_pack("{s:i,s:o}", "cpu", (int)cpu, "value",
		                                      value_json(g->btf, g->value_type, part, e->value_bytes)));
	}
	return list;
}

/* The sum over CPUs of a number, NULL for what is none. */
static json_t *percpu_sum(const json_t *values) {
	json_int_t sum = 0;
	json_t *item;
	size_t i;
	json_array_foreach(values, i, item) {
		json_t *v = json_object_get(item, "value");
		if (!json_is_integer(v))
			return NULL;
		sum += json_integer_value(v);
	}
	return json_integer(sum);
}

static bool all_zero(const struct map_entry *e) {
	u64 bytes = e->parts > 1 ? e->parts * round_up(e->value_bytes, 8) : e->value_bytes;
	for (u64 i = 0; i < bytes; i++)
		if (((const u8 *)e->value)[i])
			return false;
	return true;
}

static int gather_one(void *owner, const struct map_entry *e) {
	struct gather *g = owner;
	if (g->skip_zero && all_zero(e)) {
		g->skipped++;
		return 0;
	}
	json_t *o = json_object();
	json_object_set_new(o, "key", value_json(g->btf, g->key_type, e->key, g->info->key_size));
	if (map_has_cpu_parts(g->info->type)) {
		json_t *values = percpu_json(g, e), *sum = percpu_sum(values);
		if (sum)
			json_object_set_new(o, "value", sum);
		json_object_set_new(o, "values", values);
	} else {
		json_object_set_new(o, "value", value_json(g->btf, g->value_type, e->value, e->value_bytes));
	}
	json_array_append_new(g->entries, o);
	return 0;
}

static const char *type_name(struct cli *cli, u32 type) {
	const struct abi_map_type *t = cli_engine(cli) ? abi_map_type(engine_abi(cli->engine), type) : NULL;
	return t ? t->name : "unknown";
}

json_t *map_json(struct cli *cli, const char *name, int fd, const struct bpf_map_info *info, const struct btf *btf,
                 u32 key_type, u32 value_type) {
	struct gather g = {info, btf, key_type, value_type, json_array(), false, 0};
	map_each_entry(cli, fd, info, gather_one, &g);
	return json_pack("{s:s,s:s,s:o}", "map", name, "type", type_name(cli, info->type), "entries", g.entries);
}

/* ---- one map for people ------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b) {
	const json_t *x = json_object_get(*(json_t *const *)a, "value"), *y = json_object_get(*(json_t *const *)b, "value");
	if (!json_is_integer(x) || !json_is_integer(y))
		return 0;
	json_int_t i = json_integer_value(x), j = json_integer_value(y);
	return i < j ? 1 : i > j ? -1 : 0;
}

/* Hashes have no order of their own: the largest counts first. */
static json_t *sorted(json_t *entries) {
	size_t n = json_array_size(entries), i;
	json_t **list = calloc(n + 1, sizeof *list), *item;
	if (!list)
		return entries;
	json_array_foreach(entries, i, item)
		list[i] = json_incref(item);
	qsort(list, n, sizeof *list, by_value);
	json_t *out = json_array();
	for (i = 0; i < n; i++)
		json_array_append_new(out, list[i]);
	free(list);
	json_decref(entries);
	return out;
}

static void flatten_into(json_t *row, const char *prefix, json_t *value) {
	const char *key;
	json_t *item;
	if (!json_is_object(value)) {
		json_object_set(row, prefix, value);
		return;
	}
	json_object_foreach(value, key, item) {
		char name[128];
		if (json_object_get(row, key))
			snprintf(name, sizeof name, "%s.%s", prefix, key);
		else
			snprintf(name, sizeof name, "%s", key);
		json_object_set(row, name, item);
	}
}

static json_t *flattened(const json_t *entries) {
	json_t *out = json_array(), *item;
	size_t i;
	json_array_foreach(entries, i, item) {
		json_t *row = json_object(), *value = json_object_get(item, "value");
		flatten_into(row, "key", json_object_get(item, "key"));
		flatten_into(row, "value", value ? value : json_object_get(item, "values"));
		json_array_append_new(out, row);
	}
	return out;
}

/* The counts of a histogram value: a structure with an array of integers called slots. */
static json_t *slots_of(json_t *value) {
	json_t *slots = json_is_object(value) ? json_object_get(value, "slots") : NULL;
	return json_is_array(slots) && json_is_integer(json_array_get(slots, 0)) ? slots : NULL;
}

static void print_slots(FILE *to, const char *name, const json_t *key, const json_t *slots) {
	u32 n = (u32)MIN(json_array_size(slots), (size_t)512);
	u64 *slot = calloc(n + 1, sizeof *slot);
	if (!slot)
		return;
	for (u32 i = 0; i < n; i++)
		slot[i] = (u64)json_integer_value(json_array_get(slots, i));
	char *title = NULL;
	size_t bytes;
	FILE *f = open_memstream(&title, &bytes);
	if (f) {
		fprintf(f, "%s", name);
		if (key) {
			fputc('[', f);
			out_brief(f, key);
			fputc(']', f);
		}
		fclose(f);
		out_histogram(to, title, slot, n, false);
	}
	free(title);
	free(slot);
}

static void print_histogram_map(FILE *to, const char *name, const json_t *entries) {
	enum { SLOTS = 512 };
	u64 *slot = calloc(SLOTS, sizeof *slot);
	json_t *item;
	size_t i;
	u32 n = 0;
	if (!slot)
		return;
	json_array_foreach(entries, i, item) {
		json_t *key = json_object_get(item, "key"), *value = json_object_get(item, "value");
		json_int_t k = json_is_integer(key) ? json_integer_value(key) : -1;
		if (k >= 0 && k < SLOTS && json_is_integer(value))
			slot[k] = (u64)json_integer_value(value), n = MAX(n, (u32)k + 1);
	}
	out_histogram(to, name, slot, n, n > 65); /* a logarithm of 64 bits is at most 64; else keys are values */
	free(slot);
}

void map_print(struct cli *cli, FILE *to, const char *name, int fd, const struct bpf_map_info *info, const struct btf *btf,
               u32 key_type, u32 value_type, bool histogram) {
	bool array = map_is_array(info->type);
	struct gather g = {info, btf, key_type, value_type, json_array(), array, 0};
	int error = map_each_entry(cli, fd, info, gather_one, &g);
	json_t *entries = array ? g.entries : sorted(g.entries), *item;
	size_t i;
	if (histogram) {
		print_histogram_map(to, name, entries);
	} else if (slots_of(json_object_get(json_array_get(entries, 0), "value"))) {
		json_array_foreach(entries, i, item) {
			fputs(i ? "\n" : "", to);
			print_slots(to, name, json_object_get(item, "key"), slots_of(json_object_get(item, "value")));
		}
	} else {
		char title[96];
		size_t n = json_array_size(entries);
		snprintf(title, sizeof title, "%s (%s, %zu %s%s)", name, type_name(cli, info->type), n,
		         n == 1 ? "entry" : "entries", array ? " that are not zero" : "");
		json_t *rows = flattened(entries);
		out_table(to, title, rows, 0);
		json_decref(rows);
	}
	if (error)
		cli_warn(cli, "%s could not be read to its end: %s", name, strerror(-error));
	json_decref(entries);
}

static bool is_zero(const json_t *v) {
	const char *key;
	json_t *item;
	size_t i;
	if (json_is_object(v)) {
		json_object_foreach((json_t *)v, key, item)
			if (!is_zero(item))
				return false;
		return true;
	}
	json_array_foreach(v, i, item)
		if (!is_zero(item))
			return false;
	return json_is_array(v) || json_is_false(v) || json_is_null(v) || (json_is_integer(v) && !json_integer_value(v)) ||
	       (json_is_string(v) && (!*json_string_value(v) || !strcmp(json_string_value(v), "0x0"))); /* a pointer */
}

bool variables_are_zero(struct cli *cli, int fd, const struct bpf_map_info *info, const struct btf *btf, u32 value_type) {
	struct gather g = {info, btf, 0, value_type, json_array(), false, 0};
	map_each_entry(cli, fd, info, gather_one, &g);
	bool zero = is_zero(json_object_get(json_array_get(g.entries, 0), "value"));
	json_decref(g.entries);
	return zero;
}

void variables_print(struct cli *cli, FILE *to, const char *name, int fd, const struct bpf_map_info *info,
                     const struct btf *btf, u32 value_type, bool all) {
	struct gather g = {info, btf, 0, value_type, json_array(), false, 0};
	int error = map_each_entry(cli, fd, info, gather_one, &g);
	json_t *rows = json_array(), *item, *value = json_object_get(json_array_get(g.entries, 0), "value");
	const char *variable;
	char title[96];
	if (json_is_object(value)) {
		json_object_foreach(value, variable, item)
			if (all || !is_zero(item))
				json_array_append_new(rows, json_pack("{s:s,s:O}", "variable", variable, "value", item));
	}
	snprintf(title, sizeof title, "%s (global variables)", name);
	out_table(to, title, rows, 0);
	if (error)
		cli_warn(cli, "%s could not be read to its end: %s", name, strerror(-error));
	json_decref(rows);
	json_decref(g.entries);
}
