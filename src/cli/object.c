/* Finding objects by what the user calls them, and reading what they hold.
 *
 * id and pinned open one object; name and tag look at all and must match exactly one: an ambiguous name is an error that
 * says so, never a guess. Ids are walked as bpf(2) walks them: next id, then a descriptor; an object that went away in
 * between is passed over. Descriptors come from the engine and go back to it (engine_close): with an engine that hands out
 * handles instead of descriptors, close(2) would close something else. */
#include "cli/object.h"
#include "cli/out/out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *words_next(struct words *w) {
	return w->n ? (w->n--, *w->at++) : NULL;
}
bool words_is(const struct words *w, const char *word) {
	return w->n && w->at[0][0] && !strncmp(w->at[0], word, strlen(w->at[0]));
}
bool words_eat(struct words *w, const char *word) {
	return words_is(w, word) && words_next(w);
}

bool words_end(struct cli *cli, const struct words *w) {
	if (w->n)
		cli_error(cli, NULL, "'%s' is one word too many; skep help %s shows the usage", w->at[0], cli->verb);
	return !w->n;
}

int object_failed(struct cli *cli, const char *what, s64 error) {
	enum { ENOTSUPP = 524 }; /* the kernel's own: libc has no words for it */
	struct engine_problem p;
	if (engine_explain(cli->engine, &p) && p.error == error && p.sentence[0])
		return cli_error(cli, p.suggestion[0] ? p.suggestion : NULL, "%s: %s", what, p.sentence);
	return cli_error(cli, NULL, "%s: %s", what, error == -ENOTSUPP ? "not supported" : strerror((int)-error));
}

s64 cli_bpf(struct cli *cli, u32 cmd, union bpf_attr *attr) {
	struct skep_engine *e = cli_engine(cli);
	return e ? skep_bpf(e, cmd, attr, sizeof *attr) : -EIO;
}

int object_map_info(struct cli *cli, int fd, struct bpf_map_info *info) {
	memset(info, 0, sizeof *info);
	union bpf_attr attr = {.info = {.bpf_fd = (u32)fd, .info_len = sizeof *info, .info = (u64)(uintptr_t)info}};
	return (int)cli_bpf(cli, BPF_OBJ_GET_INFO_BY_FD, &attr);
}

int object_prog_info(struct cli *cli, int fd, struct bpf_prog_info *info) {
	union bpf_attr attr = {.info = {.bpf_fd = (u32)fd, .info_len = sizeof *info, .info = (u64)(uintptr_t)info}};
	return (int)cli_bpf(cli, BPF_OBJ_GET_INFO_BY_FD, &attr);
}

int object_each(struct cli *cli, u32 next_cmd, u32 fd_cmd, int (*fn)(struct cli *, u32, int, void *), void *owner) {
	u32 id = 0;
	for (;;) {
		union bpf_attr next = {.start_id = id};
		if (cli_bpf(cli, next_cmd, &next) < 0)
			return 0;
		id = next.next_id;
		union bpf_attr open = {.start_id = id};
		int fd = (int)cli_bpf(cli, fd_cmd, &open);
		if (fd < 0)
			continue; /* gone in between */
		int stop = fn(cli, id, fd, owner);
		engine_close(cli->engine, fd);
		if (stop)
			return stop;
	}
}

const struct btf *object_btf(struct cli *cli, u32 btf_id) {
	if (!btf_id)
		return NULL;
	union bpf_attr open = {.start_id = btf_id};
	int fd = (int)cli_bpf(cli, BPF_BTF_GET_FD_BY_ID, &open);
	if (fd < 0)
		return NULL;
	struct bpf_btf_info info = {0};
	union bpf_attr attr = {.info = {.bpf_fd = (u32)fd, .info_len = sizeof info, .info = (u64)(uintptr_t)&info}};
	struct btf *btf = NULL;
	if (cli_bpf(cli, BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && info.btf_size) {
		u32 size = info.btf_size;
		void *data = malloc(size);
		info = (struct bpf_btf_info){.btf = (u64)(uintptr_t)data, .btf_size = size};
		attr.info.info_len = sizeof info;
		if (data && cli_bpf(cli, BPF_OBJ_GET_INFO_BY_FD, &attr) == 0)
			btf_parse(data, MIN(size, info.btf_size), NULL, 0, NULL, &btf);
		free(data);
	}
	engine_close(cli->engine, fd);
	return btf;
}

/* ---- id, name, tag, pinned --------------------------------------------------------------------------------------- */

struct wanted {
	const char *name;
	u8 tag[8];
	bool by_tag, is_map;
	int fd; /* found */
	u32 matches;
};

static int match(struct cli *cli, u32 id, int fd, void *owner) {
	struct wanted *w = owner;
	struct bpf_map_info map;
	struct bpf_prog_info prog = {0};
	bool same;
	if (w->is_map)
		same = object_map_info(cli, fd, &map) == 0 && !strncmp(map.name, w->name, sizeof map.name - 1);
	else if (object_prog_info(cli, fd, &prog) != 0)
		same = false;
	else if (w->by_tag)
		same = !memcmp(prog.tag, w->tag, sizeof w->tag);
	else
		same = !strncmp(prog.name, w->name, sizeof prog.name - 1);
	if (same && w->matches++ == 0) {
		union bpf_attr open = {.start_id = id};
		w->fd = (int)cli_bpf(cli, w->is_map ? BPF_MAP_GET_FD_BY_ID : BPF_PROG_GET_FD_BY_ID, &open);
	}
	return 0;
}

static int by_search(struct cli *cli, const char *kind, struct wanted *w) {
	if (w->is_map)
		object_each(cli, BPF_MAP_GET_NEXT_ID, BPF_MAP_GET_FD_BY_ID, match, w);
	else
		object_each(cli, BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, match, w);
	if (w->matches == 1 && w->fd >= 0)
		return w->fd;
	if (w->matches > 1) {
		if (w->fd >= 0)
			engine_close(cli->engine, w->fd);
		cli_error(cli, "name one by id: skep map show, skep prog show", "%u %ss are called %s", w->matches, kind,
		          w->name ? w->name : "so");
		return -EXIT_CANNOT;
	}
	cli_error(cli, w->is_map ? "skep map show lists them" : "skep prog show lists them", "there is no %s %s", kind,
	          w->name ? w->name : "with this tag");
	return -EXIT_CANNOT;
}

static int by_id(struct cli *cli, const char *kind, const char *text, u32 cmd) {
	u64 id;
	if (!cli_number(cli, "id", text, 1, UINT32_MAX, &id))
		return -EXIT_CANNOT;
	union bpf_attr open = {.start_id = (u32)id};
	s64 fd = cli_bpf(cli, cmd, &open);
	if (fd >= 0)
		return (int)fd;
	cli_error(cli, NULL, "there is no %s with id %s", kind, text);
	return -EXIT_CANNOT;
}

bool object_is(struct cli *cli, int fd, bool is_map) {
	struct engine_map *map = is_map ? engine_map_get(cli->engine, fd) : NULL;
	struct engine_prog *prog = is_map ? NULL : engine_prog_get(cli->engine, fd);
	if (map)
		engine_map_put(cli->engine, map);
	if (prog)
		engine_prog_put(cli->engine, prog);
	return map || prog;
}

/* A pin says nothing of what hangs on it; read as the other kind, a description would be nonsense. */
static int pinned(struct cli *cli, const char *kind, const char *path, bool is_map) {
	int fd = object_open_pin(cli, path);
	if (fd < 0)
		return fd;
	if (object_is(cli, fd, is_map))
		return fd;
	engine_close(cli->engine, fd);
	cli_error(cli, is_map ? "skep prog show pinned PATH, if it is a program" : "skep map show pinned PATH, if it is a map",
			  "what is pinned at %s is not a %s", path, kind);
	return -EXIT_CANNOT;
}

static int object_fd(struct cli *cli, struct words *w, bool is_map) {
	const char *kind = is_map ? "map" : "program", *how = words_next(w), *what = words_next(w);
	if (!how || !what) {
		cli_error(cli, is_map ? "id N, name NAME or pinned PATH" : "id N, name NAME, tag TAG or pinned PATH",
		          "which %s?", kind);
		return -EXIT_CANNOT;
	}
	struct wanted wanted = {.is_map = is_map, .fd = -1, .name = what};
	if (!strcmp(how, "id"))
		return by_id(cli, kind, what, is_map ? BPF_MAP_GET_FD_BY_ID : BPF_PROG_GET_FD_BY_ID);
	if (!strcmp(how, "pinned"))
		return pinned(cli, kind, what, is_map);
	if (!strcmp(how, "name"))
		return by_search(cli, kind, &wanted);
	if (!strcmp(how, "tag") && !is_map) {
		wanted.by_tag = true;
		for (u32 i = 0; i < 8; i++) {
			unsigned byte;
			if (strlen(what) != 16 || sscanf(what + 2 * i, "%2x", &byte) != 1) {
				cli_error(cli, NULL, "a tag has sixteen hexadecimal digits");
				return -EXIT_CANNOT;
			}
			wanted.tag[i] = (u8)byte;
		}
		return by_search(cli, kind, &wanted);
	}
	static const char *const ways[] = {"id", "name", "pinned", "tag"};
	const char *near = cli_nearest(how, ways, is_map ? 3 : 4);
	cli_error(cli, near ? near : "id N, name NAME or pinned PATH", "'%s' does not say which %s", how, kind);
	return -EXIT_CANNOT;
}

int object_prog(struct cli *cli, struct words *w) {
	return object_fd(cli, w, false);
}
int object_map(struct cli *cli, struct words *w) {
	return object_fd(cli, w, true);
}

/* ---- show -------------------------------------------------------------------------------------------------------- */

struct showing {
	json_t *list; /* JSON mode */
	bool is_map;
	object_describe_fn *describe;
	object_text_fn *text;
};

static json_t *described(struct cli *cli, int fd, const struct showing *s) {
	json_t *o = s->describe(cli, fd);
	if (o && cli->bpffs)
		json_object_set_new(o, "pinned", object_pins(cli, (u32)json_integer_value(json_object_get(o, "id")), s->is_map));
	return o;
}

static void put_text(const json_t *o, const struct showing *s) {
	json_t *path;
	size_t i;
	s->text(o);
	json_array_foreach(json_object_get(o, "pinned"), i, path)
		printf("\tpinned %s\n", json_string_value(path));
}

static int show_one(struct cli *cli, u32 id, int fd, void *owner) {
	struct showing *s = owner;
	json_t *o = described(cli, fd, s);
	if (o && s->list)
		json_array_append(s->list, o);
	else if (o)
		put_text(o, s);
	json_decref(o);
	return 0;
}

int object_show(struct cli *cli, struct words *w, bool is_map, object_describe_fn *describe, object_text_fn *text) {
	struct showing s = {.is_map = is_map, .describe = describe, .text = text};
	if (!cli_engine(cli))
		return EXIT_CANNOT;
	if (!w->n) {
		s.list = cli->json ? json_array() : NULL;
		object_each(cli, is_map ? BPF_MAP_GET_NEXT_ID : BPF_PROG_GET_NEXT_ID,
		            is_map ? BPF_MAP_GET_FD_BY_ID : BPF_PROG_GET_FD_BY_ID, show_one, &s);
		if (s.list)
			out_json(s.list, cli->pretty);
		return EXIT_YES;
	}
	int fd = object_fd(cli, w, is_map);
	if (fd < 0)
		return -fd;
	if (!words_end(cli, w))
		return engine_close(cli->engine, fd), EXIT_CANNOT;
	json_t *o = described(cli, fd, &s);
	engine_close(cli->engine, fd);
	if (!o)
		return cli_error(cli, NULL, "the %s cannot be described", is_map ? "map" : "program");
	if (cli->json)
		out_json(json_incref(o), cli->pretty);
	else
		put_text(o, &s);
	json_decref(o);
	return EXIT_YES;
}
