/* skep run: compile, load, verify, attach, run, print.
 *
 *   open ─► load (maps, programs) ─► launch the command with the programs on its system calls
 *                                        │ until it ends, --duration is over, or Ctrl-C
 *                                        ▼
 *            events and bpf_printk lines as they come; at the end every map, and what was not seen
 *
 * Standard output carries what the programs say; the command shares our standard streams, as under strace. With --out FILE
 * standard output is the command's alone: our results go to the file, so that they can be parsed. */
#include "cli/command.h"
#include "cli/object.h"
#include "cli/out/out.h"
#include "cli/watch.h"
#include "hook/spec.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAMS_MAX = 64 };

struct running {
	struct cli *cli;
	const struct arguments *a;
	struct skep_object *object;
	struct launch_prog progs[PROGRAMS_MAX];
	u32 progs_n;
	bool by_hand_used; /* --syscall said something */
	struct launch *launch;
	struct watch watch;
	FILE *out; /* --out */
};

/* Maps of global data go by their section's name too: .bss for count.bss. */
static bool is_name(const char *given, const char *name) {
	size_t n = strlen(name), g = strlen(given);
	return !strcmp(given, name) || (given[0] == '.' && n > g && !strcmp(name + n - g, given));
}

static bool wanted(const struct arguments *a, const char *option, const char *name) {
	u32 n = cli_option_count(a, option);
	for (u32 i = 0; i < n; i++)
		if (is_name(cli_option_nth(a, option, i), name))
			return true;
	return n == 0;
}

/* An option that names programs or maps of the object is a question about them: no such name, no answer. */
static const char *unknown_name(const struct arguments *a, const char *option, const char *const *names, u32 n) {
	for (u32 i = 0; i < cli_option_count(a, option); i++) {
		const char *name = cli_option_nth(a, option, i);
		bool known = false;
		for (u32 k = 0; k < n; k++)
			known |= is_name(name, names[k]);
		if (!known)
			return name;
	}
	return NULL;
}

static int check_options(struct running *r) {
	enum { MOST = 256 };
	const char *programs[MOST], *maps[MOST], *events = cli_option(r->a, "events"), *bad;
	u32 programs_n = 0, maps_n = 0;
	char room[256];
	const struct btf *btf = skep_object__btf(r->object);
	for (struct skep_program *p = NULL; (p = skep_object__next_program(r->object, p)) && programs_n < MOST;)
		programs[programs_n++] = skep_program__name(p);
	for (struct skep_map *m = NULL; (m = skep_object__next_map(r->object, m)) && maps_n < MOST;)
		maps[maps_n++] = skep_map__name(m);
	if ((bad = unknown_name(r->a, "program", programs, programs_n)))
		return cli_no_program(r->cli, r->object, r->a->word[0], bad);
	if ((bad = unknown_name(r->a, "map", maps, maps_n)))
		return cli_error(r->cli, cli_did_you_mean(bad, maps, maps_n, maps_n ? "leave --map out for all" : NULL, room),
						 "%s has no map %s", r->a->word[0], bad);
	if (events && (!btf || !btf_find(btf, events, BTF_KIND_STRUCT)))
		return cli_error(r->cli, "name a structure that the program uses", "--events: %s has no structure %s",
						 r->a->word[0], events);
	return EXIT_YES;
}

/* ---- what is attached where --------------------------------------------------------------------------------------- */

static int attach_one(struct running *r, struct skep_program *p) {
	struct cli *cli = r->cli;
	char error[SPEC_ERROR];
	const char *by_hand = cli_option(r->a, "syscall"), *name = skep_program__name(p);
	if (r->progs_n == PROGRAMS_MAX)
		return cli_error(cli, "choose some with --program NAME", "more than %d programs at once", PROGRAMS_MAX);
	struct launch_prog *at = &r->progs[r->progs_n];
	enum spec_answer answer =
		spec_from_section(engine_abi(cli->engine), skep_program__section(p), skep_program__type(p), at, error);
	r->by_hand_used |= answer == SPEC_BY_HAND || at->nr < 0;
	if (answer == SPEC_BY_HAND && by_hand)
		answer = spec_from_syscall(engine_abi(cli->engine), by_hand, skep_program__type(p), false, at, error);
	if (answer == SPEC_OK && by_hand && at->nr < 0) { /* a program for all calls, narrowed to one */
		struct launch_prog named;
		answer = spec_from_syscall(engine_abi(cli->engine), by_hand, skep_program__type(p), false, &named, error);
		at->nr = answer == SPEC_OK ? named.nr : at->nr;
	}
	if (answer == SPEC_BY_HAND)
		return cli_error(cli, "say one: --syscall openat, or --syscall all",
						 "program %s names no system call to attach to", name);
	if (answer != SPEC_OK)
		return cli_error(cli, answer == SPEC_REFUSED ? "leave it out by choosing others with --program NAME" : NULL,
		                 "program %s cannot be attached: %s", name, error);
	at->prog = engine_prog_get(cli->engine, skep_program__fd(p));
	if (!at->prog)
		return cli_error(cli, NULL, "program %s is not loaded", name);
	r->progs_n++;
	if (at->prog->refusal)
		return cli_error(cli, NULL, "program %s is accepted by the verifier, but cannot run here: %s [SK%04u]", name,
		                 at->prog->refusal, at->prog->refusal_code);
	return EXIT_YES;
}

static int load(struct running *r, const char *path) {
	struct cli *cli = r->cli;
	struct skep_program *p = NULL;
	u32 programs = 0;
	int status = cli_open(cli, path, r->a, &r->object);
	if (!status)
		status = check_options(r);
	if (status)
		return status;
	while ((p = skep_object__next_program(r->object, p))) {
		bool take = wanted(r->a, "program", skep_program__name(p)) && skep_program__autoload(p);
		skep_program__set_autoload(p, take);
		programs += take;
	}
	if (!programs)
		return cli_error(cli, "skep disasm lists what an object holds", "%s has no program to run", path);
	u32 before = cli->problems;
	int error = skep_object__load(r->object, cli->engine);
	if (error)
		return cli->problems > before ? EXIT_CANNOT : cli_error(cli, NULL, "%s: %s", path, strerror(-error));
	while (!status && (p = skep_object__next_program(r->object, p)))
		if (skep_program__autoload(p))
			status = attach_one(r, p);
	if (!status && cli_option(r->a, "syscall") && !r->by_hand_used)
		return cli_error(cli, "leave --syscall out", "every program of %s names its own system call", path);
	return status;
}

/* ---- while it runs ------------------------------------------------------------------------------------------------ */

static bool tick(void *owner) {
	struct running *r = owner;
	watch_drain(&r->watch);
	return watch_pending(&r->watch);
}

static void on_printk(void *owner, const char *line) {
	watch_printk(&((struct running *)owner)->watch, line);
}

/* Not shown unless asked for: variables that the program cannot have changed. */
static bool is_constant(const struct skep_map *m, const struct bpf_map_info *info) {
	return skep_map__is_internal(m) && (info->map_flags & BPF_F_RDONLY_PROG || strstr(skep_map__name(m), ".rodata") ||
	                                    strstr(skep_map__name(m), ".kconfig"));
}

static void print_maps(struct running *r) {
	struct cli *cli = r->cli;
	struct skep_map *m = NULL;
	const struct btf *btf = skep_object__btf(r->object);
	bool chosen = cli_option_count(r->a, "map") > 0;
	while ((m = skep_object__next_map(r->object, m))) {
		struct bpf_map_info info;
		const char *name = skep_map__name(m);
		const struct engine_map *em;
		if (!wanted(r->a, "map", name) || skep_map__fd(m) < 0)
			continue;
		if (object_map_info(cli, skep_map__fd(m), &info) || !info.key_size)
			continue; /* ring buffers were read as they filled */
		if (!chosen && skep_map__is_internal(m) &&
		    (is_constant(m, &info) || variables_are_zero(cli, skep_map__fd(m), &info, btf, skep_map__value_type(m))))
			continue;
		if (!(em = engine_map_get(cli->engine, skep_map__fd(m))) || !em->ops || !em->ops->get_next_key ||
		    info.type == BPF_MAP_TYPE_PROG_ARRAY || info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
			engine_map_put(cli->engine, (struct engine_map *)em);
			continue;
		}
		engine_map_put(cli->engine, (struct engine_map *)em);
		if (cli->json) {
			out_json(map_json(cli, name, skep_map__fd(m), &info, btf, skep_map__key_type(m), skep_map__value_type(m)),
					 false);
			continue;
		}
		printf("\n");
		if (skep_map__is_internal(m))
			variables_print(cli, stdout, name, skep_map__fd(m), &info, btf, skep_map__value_type(m), chosen);
		else
			map_print(cli, stdout, name, skep_map__fd(m), &info, btf, skep_map__key_type(m), skep_map__value_type(m),
			          skep_map__is_histogram(m));
	}
}

static int run_command(struct running *r, double seconds) {
	struct command c = {.cli = r->cli, .argv = r->a->command, .progs = r->progs, .progs_n = r->progs_n, .seconds = seconds,
	                    .printk = on_printk, .tick = tick, .owner = r, .out = r->out ? fileno(r->out) : 0};
	bool failed;
	int status = command_run(&c, &failed);
	r->launch = c.launch;
	if (r->launch && !cli_option(r->a, "quiet"))
		print_maps(r), command_report(&c, cli_option(r->a, "verbose") != NULL);
	return status;
}

static int check_usage(struct cli *cli, const struct arguments *a) {
	if (!a->words_n)
		return cli_error(cli, "skep run examples/syscall_count.c -- ls", "run what?");
	if (cli_option(a, "kernel"))
		return cli_error(cli, "leave --kernel out to run it in user space", "the kernel engine is not there yet");
	if (cli_option(a, "pid"))
		return cli_error(cli, "launch it: skep run X.bpf.c -- COMMAND",
						 "attaching to processes that already run is not there yet");
	if (a->words_n > 1 && a->command)
		return cli_error(cli, NULL, "one object at a time: '%s' is one word too many", a->word[1]);
	if (a->words_n > 1)
		return cli_error(cli, "skep run X.bpf.c -- COMMAND ARG...", "put -- before the command '%s'", a->word[1]);
	if (!a->command || !a->command[0])
		return cli_error(cli, "skep run X.bpf.c -- COMMAND ARG...", "which command is to be run with %s?", a->word[0]);
	return EXIT_YES;
}

static int open_out(struct running *r, const char *path) {
	r->out = fopen(path, "we");
	if (!r->out)
		return cli_error(r->cli, NULL, "%s cannot be written: %s", path, strerror(errno));
	out_color_plain_stdout();
	return EXIT_YES;
}

int cmd_run(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	double seconds = 0;
	if (parsed != PARSED)
		return parsed;
	if (check_usage(cli, &a))
		return EXIT_CANNOT;
	const char *duration = cli_option(&a, "duration"), *out = cli_option(&a, "out");
	if (duration && cli_seconds(cli, "--duration", duration, &seconds))
		return EXIT_CANNOT;
	cli->untrusted = cli_option(&a, "untrusted") != NULL;
	if (!cli_engine(cli))
		return EXIT_CANNOT;
	struct running *r = calloc(1, sizeof *r);
	if (!r)
		return cli_error(cli, NULL, "out of memory");
	r->cli = cli, r->a = &a;
	int status = load(r, a.word[0]);
	if (!status && out)
		status = open_out(r, out);
	if (!status) {
		watch_open(&r->watch, cli, r->object, cli_option(&a, "events"));
		status = run_command(r, seconds);
	}
	if (r->out)
		fclose(r->out); /* standard output still has the file */
	if (r->launch)
		launch_free(r->launch);
	watch_close(&r->watch);
	for (u32 i = 0; i < r->progs_n; i++)
		engine_prog_put(cli->engine, r->progs[i].prog);
	skep_object__close(r->object);
	free(r);
	return status;
}
