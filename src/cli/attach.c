/* skep attach: a command under one pinned program. */
#include "cli/command.h"
#include "cli/object.h"
#include "cli/out/out.h"
#include "hook/spec.h"
#include <stdio.h>
#include <string.h>

static void on_printk(void *owner, const char *line) {
	struct cli *cli = owner;
	if (cli->json)
		out_json(json_pack("{s:s}", "printk", line), false);
	else
		puts(line);
	fflush(stdout);
}

static int run_attached(struct cli *cli, const struct arguments *a, const struct launch_prog *at) {
	struct command c = {.cli = cli, .argv = a->command, .progs = at, .progs_n = 1, .printk = on_printk, .owner = cli};
	bool failed;
	int status = command_run(&c, &failed);
	if (c.launch)
		command_report(&c, cli_option(a, "verbose") != NULL), launch_free(c.launch);
	return status;
}

int cmd_attach(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	const char *call = cli_option(&a, "syscall");
	if (!cli_no_more(cli, &a, 1))
		return EXIT_CANNOT;
	if (!a.words_n || !call)
		return cli_error(cli, "skep attach /sys/fs/bpf/hello --syscall execve -- make",
						 "a pinned program and --syscall NAME are needed");
	if (!a.command || !a.command[0])
		return cli_error(cli, "skep attach PIN --syscall NAME -- COMMAND", "which command is to be run?");
	if (!cli_engine(cli))
		return EXIT_CANNOT;
	int fd = object_open_pin(cli, a.word[0]);
	if (fd < 0)
		return -fd;
	char error[SPEC_ERROR];
	struct launch_prog at = {.prog = engine_prog_get(cli->engine, fd)};
	struct engine_prog *prog = at.prog;
	int status;
	if (!prog)
		status = cli_error(cli, NULL, "what is pinned at %s is not a program", a.word[0]);
	else if (prog->refusal)
		status = cli_error(cli, NULL, "this program cannot run here: %s [SK%04u]", prog->refusal, prog->refusal_code);
	else if (spec_from_syscall(engine_abi(cli->engine), call, prog->type, cli_option(&a, "exit") != NULL, &at, error) !=
			 SPEC_OK)
		status = cli_error(cli, NULL, "%s", error);
	else {
		at.prog = prog;
		status = run_attached(cli, &a, &at);
	}
	if (prog)
		engine_prog_put(cli->engine, prog);
	engine_close(cli->engine, fd);
	return status;
}
