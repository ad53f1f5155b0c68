/* skep map: bpftool's noun, with its grammar, its text and its JSON keys.
 *
 *   skep map ACTION MAP [key BYTES…] [value BYTES…] [any|exist|noexist]
 *
 * MAP is id N, name NAME or pinned PATH (object.c). Every action but show and create works on a `struct target`: the open
 * map, its description, room for a key and a value as bpf(2) carries it (per-CPU values: one part per CPU), and its BTF.
 *
 * An addition to bpftool: a key or value of 1, 2, 4 or 8 bytes may be given as one number. Exit status 1 says that an entry
 * is not there. */
#include "cli/object.h"
#include "cli/out/out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *map_type_name(struct cli *cli, u32 type) {
	const struct abi_map_type *t = abi_map_type(engine_abi(cli->engine), type);
	return t ? t->name : "unknown";
}

/* ---- show -------------------------------------------------------------------------------------------------------- */

static json_t *describe(struct cli *cli, int fd) {
	struct bpf_map_info info;
	if (object_map_info(cli, fd, &info))
		return NULL;
	struct engine_map *m = engine_map_get(cli->engine, fd);
	u64 bytes = m ? m->map.area_size + m->map.data_size : 0;
	bool frozen = m && m->facts.frozen, sparse = m && m->committed < bytes;
	if (m)
		engine_map_put(cli->engine, m);
	json_t *o = json_object();
	json_object_set_new(o, "id", json_integer(info.id));
	json_object_set_new(o, "type", json_string(map_type_name(cli, info.type)));
	if (info.name[0])
		json_object_set_new(o, "name", json_string(info.name));
	json_object_set_new(o, "flags", json_integer(info.map_flags));
	json_object_set_new(o, "bytes_key", json_integer(info.key_size));
	json_object_set_new(o, "bytes_value", json_integer(info.value_size));
	json_object_set_new(o, "max_entries", json_integer(info.max_entries));
	json_object_set_new(o, "bytes_memlock", json_integer((json_int_t)bytes));
	if (sparse)
		json_object_set_new(o, "sparse", json_true());
	json_object_set_new(o, "frozen", json_integer(frozen));
	if (info.btf_id)
		json_object_set_new(o, "btf_id", json_integer(info.btf_id));
	return o;
}

static void describe_text(const json_t *o) {
	const char *name = json_string_value(json_object_get(o, "name"));
	json_int_t id, flags, key, value, entries, memlock, btf = 0;
	json_unpack((json_t *)o, "{s:I,s:I,s:I,s:I,s:I,s:I,s?I}", "id", &id, "flags", &flags, "bytes_key", &key,
	            "bytes_value", &value, "max_entries", &entries, "bytes_memlock", &memlock, "btf_id", &btf);
	printf("%lld: %s  %s%s%sflags 0x%llx\n", (long long)id, json_string_value(json_object_get(o, "type")),
	       name ? "name " : "", name ? name : "", name ? "  " : "", (unsigned long long)flags);
	printf("\tkey %lldB  value %lldB  max_entries %lld  memlock %lldB%s\n", (long long)key, (long long)value,
	       (long long)entries, (long long)memlock, json_object_get(o, "sparse") ? "  sparse" : "");
	if (btf || json_integer_value(json_object_get(o, "frozen")))
		printf("\t");
	if (btf)
		printf("btf_id %lld%s", (long long)btf, json_integer_value(json_object_get(o, "frozen")) ? "  " : "\n");
	if (json_integer_value(json_object_get(o, "frozen")))
		printf("frozen\n");
}

/* ---- bytes on the command line ------------------------------------------------------------------------------------ */

/* size bytes: decimal or 0x… each, all hexadecimal after the word hex. Or one number that fits, for sizes 1, 2, 4, 8. */
static int parse_bytes(struct cli *cli, struct words *w, const char *what, u8 *to, u32 size, const char *const *stop) {
	bool hex = words_eat(w, "hex");
	u32 n = 0;
	char *first = w->n ? w->at[0] : NULL;
	for (; w->n; n++) {
		bool end = false;
		for (u32 i = 0; stop[i]; i++)
			end |= !strcmp(w->at[0], stop[i]);
		if (end)
			break;
		char *rest;
		unsigned long v = strtoul(w->at[0], &rest, hex ? 16 : 0);
		bool single = n == 0 && (w->n == 1 || !((w->at[1][0] >= '0' && w->at[1][0] <= '9') || hex));
		bool fits = v <= 255 || (single && size <= 8 && (size == 8 || !(v >> size * 8)));
		if (!*rest && rest != w->at[0] && single && !fits)
			return cli_error(cli, NULL, "%s: %s does not fit into %u byte%s", what, w->at[0], size, size == 1 ? "" : "s");
		if (*rest || rest == w->at[0] || !fits)
			return cli_error(cli, "one byte a word, or hex and two digits a word", "%s: '%s' is no byte", what, w->at[0]);
		if (n < size)
			to[n] = (u8)v;
		words_next(w);
	}
	if (n == 1 && size > 1 && size <= 8 && is_power_of_two(size) && first) {
		u64 v = strtoull(first, NULL, hex ? 16 : 0); /* an addition to bpftool: one number for the whole key */
		memcpy(to, &v, size);
		return EXIT_YES;
	}
	if (n != size)
		return cli_error(cli, "one byte a word, or one number", "%s has %u byte%s here, the map wants %u", what, n,
						 n == 1 ? "" : "s", size);
	return EXIT_YES;
}

struct target {
	int fd;
	struct bpf_map_info info;
	u8 *key, *value;
	u32 value_bytes; /* as bpf(2) carries it */
	const struct btf *btf;
};

static int open_target(struct cli *cli, struct words *w, struct target *t) {
	memset(t, 0, sizeof *t);
	t->fd = object_map(cli, w);
	if (t->fd < 0)
		return -t->fd;
	if (object_map_info(cli, t->fd, &t->info))
		return cli_error(cli, NULL, "the map cannot be described");
	t->value_bytes =
		map_has_cpu_parts(t->info.type) ? cli_nr_cpus() * (u32)round_up(t->info.value_size, 8) : t->info.value_size;
	t->key = calloc(2, t->info.key_size + 16);
	t->value = calloc(1, t->value_bytes + 16);
	t->btf = object_btf(cli, t->info.btf_id);
	return t->key && t->value ? EXIT_YES : cli_error(cli, NULL, "out of memory");
}

static void close_target(struct cli *cli, struct target *t) {
	if (t->fd > 0)
		engine_close(cli->engine, t->fd);
	free(t->key);
	free(t->value);
	if (t->btf)
		btf_put(t->btf);
}

/* ---- entries ------------------------------------------------------------------------------------------------------ */

static json_t *entry_values(const struct target *t, const u8 *value, bool formatted) {
	json_t *list = json_array();
	for (u32 cpu = 0; cpu * round_up(t->info.value_size, 8) < t->value_bytes; cpu++) {
		const u8 *part = value + cpu * round_up(t->info.value_size, 8);
		json_array_append_new(
			list, json_pack("{s:i,s:o}", "cpu", (int)cpu, "value",
							formatted ? value_json(t->btf, t->info.btf_value_type_id, part, t->info.value_size)
									  : bytes_json(part, t->info.value_size)));
	}
	return list;
}

/* One entry with bpftool's keys: raw bytes, and under "formatted" the same by type. */
static json_t *entry_json(const struct target *t, const u8 *key, const u8 *value, bool with_bytes) {
	bool percpu = map_has_cpu_parts(t->info.type);
	const char *name = percpu ? "values" : "value";
	json_t *formatted = NULL, *o = json_object();
	if (t->btf && t->info.btf_value_type_id) {
		formatted = json_object();
		json_object_set_new(formatted, "key", value_json(t->btf, t->info.btf_key_type_id, key, t->info.key_size));
		json_object_set_new(formatted, name,
		                    percpu ? entry_values(t, value, true)
		                           : value_json(t->btf, t->info.btf_value_type_id, value, t->info.value_size));
	}
	if (!with_bytes && formatted) {
		json_decref(o);
		return formatted;
	}
	json_object_set_new(o, "key", bytes_json(key, t->info.key_size));
	json_object_set_new(o, name, percpu ? entry_values(t, value, false) : bytes_json(value, t->info.value_size));
	if (formatted)
		json_object_set_new(o, "formatted", formatted);
	return o;
}

/* Label, bytes in rows of sixteen, end: white space and all as bpftool, whose text scripts cut into fields. */
static void put_hex(const char *label, const u8 *bytes, u32 n, char before, const char *after) {
	printf("%s:%c", label, before);
	for (u32 i = 0; i < n; i++)
		printf("%s%02x", !i ? "" : i % 16 == 0 ? "\n" : i % 8 == 0 ? "  " : " ", bytes[i]);
	printf("%s", after);
}

static void entry_text(const struct target *t, const u8 *key, const u8 *value) {
	u32 key_size = t->info.key_size, value_size = t->info.value_size;
	if (!map_has_cpu_parts(t->info.type)) {
		bool rows = key_size > 16 || value_size > 16;
		put_hex("key", key, key_size, rows ? '\n' : ' ', !rows && key_size + value_size <= 24 ? "  " : "\n");
		put_hex("value", value, value_size, rows ? '\n' : ' ', "\n");
		return;
	}
	put_hex("key", key, key_size, '\n', "\n");
	for (u32 cpu = 0; cpu * round_up(value_size, 8) < t->value_bytes; cpu++) {
		char label[32];
		snprintf(label, sizeof label, "value (CPU %02u)", cpu);
		put_hex(label, value + cpu * round_up(value_size, 8), value_size, value_size > 16 ? '\n' : ' ', "\n");
	}
}

struct dumping {
	struct target *t;
	json_t *list; /* NULL: hexadecimal text as it comes */
	bool with_bytes;
	u32 n;
};

static int dump_one(void *owner, const struct map_entry *e) {
	struct dumping *d = owner;
	d->n++;
	if (d->list)
		json_array_append_new(d->list, entry_json(d->t, e->key, e->value, d->with_bytes));
	else
		entry_text(d->t, e->key, e->value);
	return 0;
}

static int dump(struct cli *cli, struct target *t) {
	bool typed = t->btf && t->info.btf_value_type_id;
	struct dumping d = {t, cli->json || typed ? json_array() : NULL, cli->json, 0};
	int error = map_each_entry(cli, t->fd, &t->info, dump_one, &d);
	if (d.list)
		out_json(d.list, cli->json ? cli->pretty : true);
	else
		printf("Found %u element%s\n", d.n, d.n == 1 ? "" : "s");
	return error ? object_failed(cli, "dump", error) : EXIT_YES;
}

static const char *const stop_words[] = {"value", "any", "exist", "noexist", "key", NULL};

static int lookup(struct cli *cli, struct target *t, struct words *w) {
	if (words_eat(w, "key") ? parse_bytes(cli, w, "key", t->key, t->info.key_size, stop_words) : t->info.key_size)
		return cli->problems ? EXIT_CANNOT : cli_error(cli, "key DATA", "which key?");
	if (!words_end(cli, w))
		return EXIT_CANNOT;
	union bpf_attr attr = {.map_fd = (u32)t->fd, .key = (u64)(uintptr_t)t->key, .value = (u64)(uintptr_t)t->value};
	s64 r = cli_bpf(cli, BPF_MAP_LOOKUP_ELEM, &attr);
	if (r == -ENOENT) {
		if (cli->json)
			out_json(json_null(), false);
		else
			put_hex("key", t->key, t->info.key_size, '\n', "\n\nNot found\n");
		return EXIT_NO;
	}
	if (r < 0)
		return object_failed(cli, "lookup", r);
	bool typed = t->btf && t->info.btf_value_type_id;
	if (cli->json || typed)
		out_json(entry_json(t, t->key, t->value, cli->json), cli->json ? cli->pretty : true);
	else
		entry_text(t, t->key, t->value);
	return EXIT_YES;
}

static int not_written(struct cli *cli, const struct target *t, const char *what, s64 error) {
	if (error == -EPERM)
		return cli_error(cli, NULL, "%s: the map is read-only here: it is frozen, or was created so", what);
	if (error == -E2BIG)
		return cli_error(cli, NULL, "%s: the map has %u entries, and no more", what, t->info.max_entries);
	if (error == -EINVAL && what[0] == 'd' && map_is_array(t->info.type))
		return cli_error(cli, "update it with zeros", "%s: an array keeps all its entries", what);
	return object_failed(cli, what, error);
}

static int update(struct cli *cli, struct target *t, struct words *w) {
	u64 flags = BPF_ANY;
	int other = -1;
	if (words_eat(w, "key") && parse_bytes(cli, w, "key", t->key, t->info.key_size, stop_words))
		return EXIT_CANNOT;
	if (!words_eat(w, "value"))
		return cli_error(cli, "value DATA", "which value?");
	const struct abi_map_type *type = abi_map_type(engine_abi(cli->engine), t->info.type);
	if (type && type->flags & (MAP_PROGS | MAP_INNER)) {
		other = type->flags & MAP_PROGS ? object_prog(cli, w) : object_map(cli, w);
		if (other < 0)
			return -other;
		memcpy(t->value, &other, 4);
	} else {
		if (parse_bytes(cli, w, "value", t->value, t->info.value_size, stop_words))
			return EXIT_CANNOT;
		for (u32 at = (u32)round_up(t->info.value_size, 8); at < t->value_bytes; at += (u32)round_up(t->info.value_size, 8))
			memcpy(t->value + at, t->value, t->info.value_size);
	}
	if (words_eat(w, "noexist"))
		flags = BPF_NOEXIST;
	else if (words_eat(w, "exist"))
		flags = BPF_EXIST;
	else if (w->n && !words_eat(w, "any"))
		return cli_error(cli, "any, exist or noexist", "'%s' means nothing here", w->at[0]);
	if (!words_end(cli, w))
		return EXIT_CANNOT;
	union bpf_attr attr = {.map_fd = (u32)t->fd, .key = (u64)(uintptr_t)t->key, .value = (u64)(uintptr_t)t->value,
	                       .flags = flags};
	s64 r = cli_bpf(cli, BPF_MAP_UPDATE_ELEM, &attr);
	if (other >= 0)
		engine_close(cli->engine, other);
	if (r == -EEXIST)
		return cli_error(cli, NULL, "update: this key is there already"), EXIT_NO;
	if (r == -ENOENT)
		return cli_error(cli, NULL, "update: there is no such key"), EXIT_NO;
	return r < 0 ? not_written(cli, t, "update", r) : EXIT_YES;
}

static int delete_one(struct cli *cli, struct target *t, struct words *w) {
	if (!words_eat(w, "key"))
		return cli_error(cli, "key DATA", "which key?");
	if (parse_bytes(cli, w, "key", t->key, t->info.key_size, stop_words) || !words_end(cli, w))
		return EXIT_CANNOT;
	union bpf_attr attr = {.map_fd = (u32)t->fd, .key = (u64)(uintptr_t)t->key};
	s64 r = cli_bpf(cli, BPF_MAP_DELETE_ELEM, &attr);
	if (r == -ENOENT)
		return cli_error(cli, NULL, "delete: there is no such key"), EXIT_NO;
	return r < 0 ? not_written(cli, t, "delete", r) : EXIT_YES;
}

static int get_next(struct cli *cli, struct target *t, struct words *w) {
	bool first = !words_eat(w, "key");
	u8 *next = t->key + t->info.key_size + 8;
	if ((!first && parse_bytes(cli, w, "key", t->key, t->info.key_size, stop_words)) || !words_end(cli, w))
		return EXIT_CANNOT;
	union bpf_attr attr = {
		.map_fd = (u32)t->fd, .key = first ? 0 : (u64)(uintptr_t)t->key, .next_key = (u64)(uintptr_t)next};
	s64 r = cli_bpf(cli, BPF_MAP_GET_NEXT_KEY, &attr);
	if (r == -ENOENT)
		return cli_error(cli, NULL, "getnext: that is the last key"), EXIT_NO;
	if (r < 0)
		return object_failed(cli, "getnext", r);
	if (cli->json) {
		json_t *o = json_object();
		json_object_set_new(o, "key", first ? json_null() : bytes_json(t->key, t->info.key_size));
		json_object_set_new(o, "next_key", bytes_json(next, t->info.key_size));
		out_json(o, cli->pretty);
	} else {
		if (first)
			printf("key: None\n");
		else
			put_hex("key", t->key, t->info.key_size, '\n', "\n");
		put_hex("next key", next, t->info.key_size, '\n', "\n");
	}
	return EXIT_YES;
}

static int pin(struct cli *cli, struct target *t, struct words *w) {
	const char *path = words_next(w);
	if (!path)
		return cli_error(cli, "skep map pin MAP FILE", "where to?");
	if (!words_end(cli, w))
		return EXIT_CANNOT;
	union bpf_attr attr = {.pathname = (u64)(uintptr_t)path, .bpf_fd = (u32)t->fd};
	s64 r = cli_bpf(cli, BPF_OBJ_PIN, &attr);
	return r < 0 ? object_failed(cli, path, r) : EXIT_YES;
}

static int freeze(struct cli *cli, struct target *t, struct words *w) {
	if (!words_end(cli, w))
		return EXIT_CANNOT;
	union bpf_attr attr = {.map_fd = (u32)t->fd};
	s64 r = cli_bpf(cli, BPF_MAP_FREEZE, &attr);
	return r < 0 ? object_failed(cli, "freeze", r) : EXIT_YES;
}

static int dump_words(struct cli *cli, struct target *t, struct words *w) {
	return words_end(cli, w) ? dump(cli, t) : EXIT_CANNOT;
}

/* ---- create ------------------------------------------------------------------------------------------------------- */

/* The type of this name; NULL after a sentence. */
static const struct abi_map_type *type_by_name(struct cli *cli, const char *name) {
	enum { MOST = 64 };
	const struct skep_abi *abi = engine_abi(cli->engine);
	const char *names[MOST];
	char room[256];
	u32 n = 0;
	const struct abi_map_type *t = name ? abi_map_type_by_name(abi, name) : NULL;
	if (t)
		return t;
	for (u32 id = 0; id < MOST; id++)
		if ((t = abi_map_type(abi, id)))
			names[n++] = t->name;
	static const char some[] = "hash, array, percpu_hash, percpu_array, ringbuf …";
	cli_error(cli, name ? cli_did_you_mean(name, names, n, some, room) : some,
			  name ? "there is no map type '%s'" : "the word type is missing, and a type after it", name);
	return NULL;
}

static int create(struct cli *cli, struct words *w) {
	const char *path = words_next(w), *type = NULL, *name = "";
	u64 key = 0, value = 0, entries = 0, flags = 0;
	if (!path)
		return cli_error(cli, "skep help map", "where should the map be pinned?");
	if (!cli_engine(cli))
		return EXIT_CANNOT;
	while (w->n) {
		const char *what = words_next(w), *text = words_next(w);
		u64 *number = !strcmp(what, "key") ? &key : !strcmp(what, "value") ? &value : !strcmp(what, "entries") ? &entries
		              : !strcmp(what, "flags") ? &flags : NULL;
		if (!text)
			return cli_error(cli, NULL, "%s what?", what);
		if (number && !cli_number(cli, what, text, 0, UINT32_MAX, number))
			return EXIT_CANNOT;
		if (!strcmp(what, "type"))
			type = text;
		else if (!strcmp(what, "name"))
			name = text;
		else if (!number)
			return cli_error(cli, "type, key, value, entries, name or flags", "'%s' means nothing here", what);
	}
	const struct abi_map_type *t = type_by_name(cli, type);
	if (!t)
		return EXIT_CANNOT;
	if (!entries)
		return cli_error(cli, "entries MAX_ENTRIES", "how many entries?");
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
	if (name[strspn(name, letters)])
		return cli_error(cli, "letters, digits, _ and .", "a map cannot be called '%s'", name);
	union bpf_attr attr = {.map_type = t->id, .key_size = (u32)key, .value_size = (u32)value, .max_entries = (u32)entries,
	                       .map_flags = (u32)flags};
	snprintf(attr.map_name, sizeof attr.map_name, "%s", name);
	s64 fd = cli_bpf(cli, BPF_MAP_CREATE, &attr);
	if (fd == -EINVAL)
		return cli_error(cli, "arrays have keys of 4 bytes; ring buffers no key, no value, and a power of two of bytes",
						 "a map of type %s cannot have a key of %llu bytes, a value of %llu, %llu entries and flags 0x%llx",
						 t->name, (unsigned long long)key, (unsigned long long)value, (unsigned long long)entries,
						 (unsigned long long)flags);
	if (fd < 0)
		return object_failed(cli, "create", fd);
	union bpf_attr pin_attr = {.pathname = (u64)(uintptr_t)path, .bpf_fd = (u32)fd};
	s64 r = cli_bpf(cli, BPF_OBJ_PIN, &pin_attr);
	engine_close(cli->engine, (int)fd);
	return r < 0 ? object_failed(cli, path, r) : EXIT_YES;
}

/* What is done without an answer is answered with null in JSON, as by bpftool. */
static int done(struct cli *cli, int status) {
	if (!status && cli->json)
		out_json(json_null(), false);
	return status;
}

int cmd_map(struct cli *cli, int argc, char **argv) {
	static const struct {
		const char *name;
		int (*run)(struct cli *, struct target *, struct words *);
		bool answers;
	} actions[] = {{"dump", dump_words, true}, {"update", update, false}, {"lookup", lookup, true},
				   {"getnext", get_next, true}, {"delete", delete_one, false}, {"pin", pin, false},
				   {"freeze", freeze, false}};
	static const char *const names[] = {"show", "list", "create", "dump", "update", "lookup", "getnext", "delete", "pin",
	                                    "unpin", "freeze", "help"};
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	struct words w = {a.word, a.words_n};
	if (!w.n || words_eat(&w, "show") || words_eat(&w, "list"))
		return object_show(cli, &w, true, describe, describe_text);
	if (words_eat(&w, "create"))
		return done(cli, create(cli, &w));
	for (u32 i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!words_eat(&w, actions[i].name))
			continue;
		struct target t = {.fd = -1};
		int status = cli_engine(cli) ? open_target(cli, &w, &t) : EXIT_CANNOT;
		if (!status)
			status = actions[i].run(cli, &t, &w);
		close_target(cli, &t);
		return actions[i].answers ? status : done(cli, status);
	}
	if (words_eat(&w, "unpin"))
		return done(cli, object_unpin(cli, &w));
	if (words_eat(&w, "help"))
		return help_noun(cli, "map");
	char room[256];
	return cli_error(cli, cli_did_you_mean(w.at[0], names, ARRAY_SIZE(names), "skep map help", room),
					 "map has no action '%s'", w.at[0]);
}
