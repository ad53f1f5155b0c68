/* A command under programs: what run and attach share. */
#ifndef SKEP_CLI_COMMAND_H
#define SKEP_CLI_COMMAND_H
#include "cli/cli.h"
#include "hook/launch.h"

struct command {
	struct cli *cli;
	char *const *argv;
	const struct launch_prog *progs;
	u32 progs_n;
	double seconds;                                /* detach after so long; 0 = when it ends */
	void (*printk)(void *owner, const char *line); /* a line that a program printed */
	bool (*tick)(void *owner);                     /* called often; true: come back at once. May be NULL */
	void *owner;
	int out;                                       /* standard output from the command's start on; 0 = as it is */
	struct launch *launch;                         /* set by command_run; launch_free by the caller */
};
/* Runs to the end of the command, of `seconds`, or to Ctrl-C (then the command goes on, detached). Returns the command's
 * status, or EXIT_CANNOT with a sentence said; *failed tells which. */
int command_run(struct command *c, bool *failed);
/* What was not seen belongs to every result: on standard error. */
void command_report(const struct command *c, bool verbose);
#endif
