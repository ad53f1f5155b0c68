/* skep run: compile, load, verify, attach, run, print.
 *
 *   open ─► load (maps, programs) ─► launch the command with the programs on its system calls
 *                                        │ until it ends, --duration is over, or Ctrl-C
 *                                        ▼
 *            events and bpf_printk lines as they come; at the end every map, and what was not seen
 *
 * Standard output carries what the programs say; the command shares our standard streams, as under strace. */
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
	struct launch *launch;
	struct watch watch;
};

static bool wanted(const struct arguments *a, const char *option, const char *name) {
	u32 n = cli_option_count(a, option);
	for (u32 i = 0; i < n; i++)
		if (!strcmp(cli_option_nth(a, option, i), name))
			return true;
	return n == 0;
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

static void print_maps(struct running *r) {
	struct cli *cli = r->cli;
	struct skep_map *m = NULL;
	bool chosen = cli_option_count(r->a, "map") > 0;
	while ((m = skep_object__next_map(r->object, m))) {
		struct bpf_map_info info;
		const char *name = skep_map__name(m);
		const struct engine_map *em;
		if (!wanted(r->a, "map", name) || (!chosen && skep_map__is_internal(m)) || skep_map__fd(m) < 0)
			continue;
		if (object_map_info(cli, skep_map__fd(m), &info) || !info.key_size)
			continue; /* ring buffers were read as they filled */
		if (!(em = engine_map_get(cli->engine, skep_map__fd(m))) || !em->ops || !em->ops->get_next_key ||
		    info.type == BPF_MAP_TYPE_PROG_ARRAY || info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
			engine_map_put(cli->engine, (struct engine_map *)em);
			continue;
		}
		engine_map_put(cli->engine, (struct engine_map *)em);
		const struct btf *btf = skep_object__btf(r->object);
		if (cli->json) {
			out_json(map_json(cli, name, skep_map__fd(m), &info, btf, skep_map__key_type(m), skep_map__value_type(m)),
					 false);
			continue;
		}
		printf("\n");
		map_print(cli, stdout, name, skep_map__fd(m), &info, btf, skep_map__key_type(m), skep_map__value_type(m),
		          skep_map__is_histogram(m));
	}
}

/* What was not seen belongs to every result. */
static void print_report(struct running *r) {
	struct launch_report rep;
	launch_report(r->launch, &rep);
	u64 unhooked = rep.unhooked_setuid + rep.unhooked_32bit + rep.unhooked_traced + rep.unhooked_other;
	if (unhooked)
		cli_warn(r->cli, "%llu program image%s ran without hooks: %s", (unsigned long long)unhooked,
				 unhooked == 1 ? "" : "s", rep.first_unhooked);
	if (rep.sites_skipped && cli_option(r->a, "verbose"))
		cli_warn(r->cli, "%llu of %llu system call sites were left alone", (unsigned long long)rep.sites_skipped,
		         (unsigned long long)(rep.sites + rep.sites_skipped));
	if (r->watch.lost)
		cli_warn(r->cli, "%llu records were lost: the ring buffer was full", (unsigned long long)r->watch.lost);
	if (cli_option(r->a, "verbose"))
		cli_warn(r->cli, "%llu processes, %llu execs, %llu images, %llu system call sites",
				 (unsigned long long)rep.processes, (unsigned long long)rep.execs, (unsigned long long)rep.images,
				 (unsigned long long)rep.sites);
}

static int run_command(struct running *r, double seconds) {
	struct command c = {.cli = r->cli, .argv = r->a->command, .progs = r->progs, .progs_n = r->progs_n, .seconds = seconds,
	                    .printk = on_printk, .tick = tick, .owner = r};
	bool failed;
	int status = command_run(&c, &failed);
	r->launch = c.launch;
	if (r->launch && !cli_option(r->a, "quiet"))
		print_maps(r), print_report(r);
	return status;
}

int cmd_run(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	u64 seconds = 0;
	if (parsed != PARSED)
		return parsed;
	if (!a.words_n)
		return cli_error(cli, "skep run examples/syscall_count.c -- ls", "run what?");
	if (cli_option(&a, "kernel"))
		return cli_error(cli, "leave --kernel out to run it in user space", "the kernel engine is not there yet");
	if (cli_option(&a, "pid"))
		return cli_error(cli, "launch it: skep run X.bpf.c -- COMMAND",
		                 "attaching to processes that already run is not there yet");
	if (!a.command || !a.command[0])
		return cli_error(cli, "skep run X.bpf.c -- COMMAND ARG...", a.words_n > 1 ? "put -- before the command '%s'"
		                                                                         : "which command is to be run with %s?",
		                 a.words_n > 1 ? a.word[1] : a.word[0]);
	const char *duration = cli_option(&a, "duration");
	if (duration && !cli_number(cli, "--duration", duration, 1, 1000000, &seconds))
		return EXIT_CANNOT;
	if (!cli_engine(cli))
		return EXIT_CANNOT;
	struct running *r = calloc(1, sizeof *r);
	if (!r)
		return cli_error(cli, NULL, "out of memory");
	r->cli = cli, r->a = &a;
	int status = load(r, a.word[0]);
	if (!status) {
		watch_open(&r->watch, cli, r->object, cli_option(&a, "events"));
		status = run_command(r, (double)seconds);
	}
	if (r->launch)
		launch_free(r->launch);
	watch_close(&r->watch);
	for (u32 i = 0; i < r->progs_n; i++)
		engine_prog_put(cli->engine, r->progs[i].prog);
	skep_object__close(r->object);
	free(r);
	return status;
}
