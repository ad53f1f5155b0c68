/* skep prog: bpftool's noun, with its grammar, its text and its JSON keys (prog_dump.c: dump and run).
 *
 *   skep prog show [PROG]        skep prog load OBJECT PIN        skep prog loadall OBJECT DIRECTORY [pinmaps DIRECTORY]
 *
 * PROG is id N, name NAME, tag TAG or pinned PATH (object.c). load takes the first program of an object, or the one that
 * `name` says, and pins it; nothing stays loaded that is neither pinned nor open, as with the kernel. Sources are compiled
 * first. Exit status 1: the verifier refused; 2: anything else. */
#include "cli/object.h"
#include "cli/out/out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static json_t *hex_json(const u8 *bytes, u32 n) {
	char text[65] = "";
	for (u32 i = 0; i < n && i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

static const char *prog_type_name(struct cli *cli, u32 type) {
	const struct abi_prog_type *t = abi_prog_type(engine_abi(cli->engine), type);
	return t ? t->name : "unknown";
}

/* The keys and their order are bpftool's. */
static json_t *prog_json(struct cli *cli, int fd) {
	struct bpf_prog_info info = {0};
	u32 map_ids[64];
	if (object_prog_info(cli, fd, &info))
		return NULL;
	u32 maps = MIN(info.nr_map_ids, (u32)ARRAY_SIZE(map_ids));
	info = (struct bpf_prog_info){.nr_map_ids = maps, .map_ids = (u64)(uintptr_t)map_ids};
	if (object_prog_info(cli, fd, &info))
		return NULL;
	json_t *o = json_object(), *ids = json_array();
	json_object_set_new(o, "id", json_integer(info.id));
	json_object_set_new(o, "type", json_string(prog_type_name(cli, info.type)));
	if (info.name[0])
		json_object_set_new(o, "name", json_string(info.name));
	json_object_set_new(o, "tag", hex_json(info.tag, 8));
	json_object_set_new(o, "gpl_compatible", json_boolean(info.gpl_compatible));
	if (info.run_time_ns) {
		json_object_set_new(o, "run_time_ns", json_integer((json_int_t)info.run_time_ns));
		json_object_set_new(o, "run_cnt", json_integer((json_int_t)info.run_cnt));
	}
	struct timespec boot, now;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	s64 ago = (s64)boot.tv_sec * 1000000000 + boot.tv_nsec - (s64)info.load_time; /* whole, or two looks give two seconds */
	s64 at = (s64)now.tv_sec * 1000000000 + now.tv_nsec - ago;
	json_object_set_new(o, "loaded_at", json_integer(at / 1000000000));
	json_object_set_new(o, "uid", json_integer(info.created_by_uid));
	json_object_set_new(o, "orphaned", json_false());
	json_object_set_new(o, "bytes_xlated", json_integer(info.xlated_prog_len));
	json_object_set_new(o, "jited", json_boolean(info.jited_prog_len));
	if (info.jited_prog_len)
		json_object_set_new(o, "bytes_jited", json_integer(info.jited_prog_len));
	json_object_set_new(o, "bytes_memlock", json_integer((json_int_t)round_up(info.xlated_prog_len + 1, 4096)));
	for (u32 i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(map_ids); i++)
		json_array_append_new(ids, json_integer(map_ids[i]));
	if (info.nr_map_ids)
		json_object_set(o, "map_ids", ids);
	json_decref(ids);
	if (info.btf_id)
		json_object_set_new(o, "btf_id", json_integer(info.btf_id));
	return o;
}

static json_int_t number(const json_t *o, const char *key) {
	return json_integer_value(json_object_get(o, key));
}

static void prog_text(const json_t *o) {
	const char *name = json_string_value(json_object_get(o, "name"));
	printf("%lld: %s  %s%s%stag %s%s\n", (long long)number(o, "id"), json_string_value(json_object_get(o, "type")),
	       name ? "name " : "", name ? name : "", name ? "  " : "", json_string_value(json_object_get(o, "tag")),
	       json_is_true(json_object_get(o, "gpl_compatible")) ? "  gpl" : "");
	char when[40] = "";
	time_t at = (time_t)number(o, "loaded_at");
	struct tm tm;
	strftime(when, sizeof when, "%FT%T%z", localtime_r(&at, &tm));
	printf("\tloaded_at %s  uid %lld\n", when, (long long)number(o, "uid"));
	printf("\txlated %lldB  ", (long long)number(o, "bytes_xlated"));
	if (json_is_true(json_object_get(o, "jited")))
		printf("jited %lldB  ", (long long)number(o, "bytes_jited"));
	else
		printf("not jited  ");
	printf("memlock %lldB", (long long)number(o, "bytes_memlock"));
	json_t *ids = json_object_get(o, "map_ids"), *id;
	size_t i;
	json_array_foreach(ids, i, id)
		printf("%s%lld", i ? "," : "  map_ids ", (long long)json_integer_value(id));
	printf("\n");
	if (number(o, "btf_id"))
		printf("\tbtf_id %lld\n", (long long)number(o, "btf_id"));
}

/* ---- load and pin ------------------------------------------------------------------------------------------------ */

static int pin_failed(struct cli *cli, const char *path, int error) {
	struct engine_problem problem;
	if (error == -EEXIST)
		return cli_error(cli, "choose another name, or take that one away: skep prog unpin FILE",
						 "something is pinned at %s already", path);
	if (engine_explain(cli->engine, &problem) && problem.error == error)
		return cli_error(cli, problem.suggestion[0] ? problem.suggestion : NULL, "%s", problem.sentence);
	return cli_error(cli, NULL, "%s cannot be pinned: %s", path, strerror(-error));
}

/* Makes the directories of a pin's path, as bpftool does for loadall and pinmaps. */
static int make_directories(struct cli *cli, const char *path) {
	char real[4096];
	int error = engine_pin_path(cli->engine, path, real, sizeof real);
	if (error)
		return pin_failed(cli, path, error);
	for (char *slash = real + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = 0;
		mkdir(real, 0700);
	}
	if (mkdir(real, 0700) && errno != EEXIST)
		return cli_error(cli, NULL, "%s cannot be made: %s", path, strerror(errno));
	return EXIT_YES;
}

/* What follows the path: type TYPE, name NAME, pinmaps DIRECTORY. */
struct load_options {
	const char *type, *program, *pinmaps;
};

static int load_options(struct cli *cli, struct words *w, struct load_options *o) {
	while (w->n) {
		const char **where = words_eat(w, "type") ? &o->type : words_eat(w, "name") ? &o->program
		                     : words_eat(w, "pinmaps")                              ? &o->pinmaps
		                                                                            : NULL;
		if (!where)
			return cli_error(cli, "type TYPE, name NAME or pinmaps DIRECTORY", "'%s' means nothing here", w->at[0]);
		if (!(*where = words_next(w)))
			return cli_error(cli, NULL, "a word is missing at the end");
	}
	return EXIT_YES;
}

static int set_type(struct cli *cli, struct skep_program *p, const char *type) {
	enum { MOST = 256 };
	const struct skep_abi *abi = engine_abi(cli->engine);
	const char *names[MOST];
	char room[256];
	u32 n = 0;
	for (u32 id = 0; id < MOST; id++) {
		const struct abi_prog_type *t = abi_prog_type(abi, id);
		if (t && !strcmp(t->name, type))
			return skep_program__set_type(p, id, 0) ? EXIT_CANNOT : EXIT_YES;
		if (t)
			names[n++] = t->name;
	}
	return cli_error(cli, cli_did_you_mean(type, names, n, "xdp, sched_cls, tracepoint …", room),
					 "there is no program type '%s'", type);
}

static int load(struct cli *cli, struct words *w, const struct arguments *a, bool all) {
	const char *path = words_next(w), *pin = words_next(w);
	struct load_options o = {0};
	if (!path || !pin)
		return cli_error(cli, "skep prog load OBJECT PATH", "an object and a path to pin it at are needed");
	if (!cli_engine(cli) || load_options(cli, w, &o))
		return EXIT_CANNOT;
	struct skep_object *object;
	if (cli_open(cli, path, a, &object))
		return EXIT_CANNOT;
	struct skep_program *p = NULL, *first = NULL;
	int status = EXIT_YES;
	while (!status && (p = skep_object__next_program(object, p))) {
		bool wanted = o.program ? !strcmp(skep_program__name(p), o.program) : all || !first;
		skep_program__set_autoload(p, wanted);
		if (wanted && o.type)
			status = set_type(cli, p, o.type);
		if (wanted && !first)
			first = p;
	}
	if (!status && !first)
		status = cli_no_program(cli, object, path, o.program);
	u32 before = cli->problems;
	int error = status ? 0 : skep_object__load(object, cli->engine);
	if (error)
		status = cli->problems > before ? EXIT_NO : cli_error(cli, NULL, "%s: %s", path, strerror(-error));
	if (!status && all)
		status = make_directories(cli, pin);
	if (!status && o.pinmaps)
		status = make_directories(cli, o.pinmaps);
	for (p = status ? NULL : first; p; p = all ? skep_object__next_program(object, p) : NULL) {
		char at[4096];
		snprintf(at, sizeof at, all ? "%s/%s" : "%s", pin, skep_program__name(p));
		before = cli->problems;
		if (!status && skep_program__autoload(p) && (error = skep_program__pin(p, at)))
			status = cli->problems > before ? EXIT_CANNOT : pin_failed(cli, at, error);
	}
	struct skep_map *m = NULL;
	while (!status && o.pinmaps && (m = skep_object__next_map(object, m))) {
		char at[4096];
		snprintf(at, sizeof at, "%s/%s", o.pinmaps, skep_map__name(m));
		before = cli->problems;
		if ((error = skep_map__pin(m, at)))
			status = cli->problems > before ? EXIT_CANNOT : pin_failed(cli, at, error);
	}
	skep_object__close(object);
	return status;
}

static int pin(struct cli *cli, struct words *w) {
	int fd = object_prog(cli, w);
	if (fd < 0)
		return -fd;
	const char *path = words_next(w);
	if (!words_end(cli, w))
		return engine_close(cli->engine, fd), EXIT_CANNOT;
	union bpf_attr attr = {.pathname = (u64)(uintptr_t)path, .bpf_fd = (u32)fd};
	int error = path ? (int)cli_bpf(cli, BPF_OBJ_PIN, &attr) : -EINVAL;
	engine_close(cli->engine, fd);
	if (!path)
		return cli_error(cli, "skep prog pin PROG FILE", "where to?");
	return error ? pin_failed(cli, path, error) : EXIT_YES;
}

/* What is done without an answer is answered with null in JSON, as by bpftool. */
static int done(struct cli *cli, int status) {
	if (!status && cli->json)
		out_json(json_null(), false);
	return status;
}

int prog_dump(struct cli *cli, struct words *w);
int prog_run(struct cli *cli, struct words *w);

int cmd_prog(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	struct words w = {a.word, a.words_n};
	if (!w.n || words_eat(&w, "show") || words_eat(&w, "list"))
		return object_show(cli, &w, false, prog_json, prog_text);
	if (words_eat(&w, "dump"))
		return prog_dump(cli, &w);
	if (!strcmp(w.at[0], "loadall"))
		return words_next(&w), done(cli, load(cli, &w, &a, true));
	if (words_eat(&w, "load"))
		return done(cli, load(cli, &w, &a, false));
	if (words_eat(&w, "pin"))
		return done(cli, pin(cli, &w));
	if (words_eat(&w, "unpin"))
		return done(cli, object_unpin(cli, &w));
	if (words_eat(&w, "run"))
		return prog_run(cli, &w);
	if (words_eat(&w, "help"))
		return help_noun(cli, "prog");
	static const char *const actions[] = {"show", "list", "dump", "load", "loadall", "pin", "unpin", "run", "help"};
	char room[256];
	return cli_error(cli, cli_did_you_mean(w.at[0], actions, ARRAY_SIZE(actions), "skep prog help", room),
					 "prog has no action '%s'", w.at[0]);
}
