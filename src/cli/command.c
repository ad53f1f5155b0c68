#include "cli/command.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static void on_interrupt(int sig) {
	interrupted = sig;
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void launch_log(void *owner, const char *line) {
	struct cli *cli = owner;
	if (cli->debug)
		fprintf(stderr, "skep: %s\n", line);
}

static bool drain(struct command *c) {
	char line[1024];
	bool more = c->tick && c->tick(c->owner);
	while (launch_trace_read(c->launch, line, sizeof line) > 0)
		c->printk(c->owner, line);
	return more;
}

static int serve(struct command *c) {
	double until = c->seconds ? now() + c->seconds : 0;
	int more = 1;
	bool busy = false;
	while (more > 0 && !interrupted && !(until && now() >= until)) {
		more = launch_serve(c->launch, busy ? 0 : 20);
		busy = drain(c);
	}
	drain(c);
	return more < 0 ? more : 0;
}

int command_run(struct command *c, bool *failed) {
	struct cli *cli = c->cli;
	char error[256] = "";
	struct launch_opts opts = {.size = sizeof opts,
							   .argv = c->argv,
							   .progs = c->progs,
							   .progs_n = c->progs_n,
							   .log = launch_log,
							   .log_owner = cli};
	*failed = true;
	fflush(stdout);
	int r = launch_start(cli->engine, &opts, &c->launch, error);
	if (r)
		return cli_error(cli, NULL, "%s", error[0] ? error : strerror(-r));
	/* The command has its own copy of our standard output by now, and so have its children. */
	if (c->out && dup2(c->out, STDOUT_FILENO) < 0)
		return cli_error(cli, NULL, "the results cannot be written: %s", strerror(errno));
	/* The terminal sends Ctrl-C to the command as well: it decides for itself; we print and let go. */
	struct sigaction act = {.sa_handler = on_interrupt}, old_int, old_term;
	sigaction(SIGINT, &act, &old_int);
	sigaction(SIGTERM, &act, &old_term);
	r = serve(c);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	if (r)
		return cli_error(cli, NULL, "serving the command failed: %s; it goes on unobserved", strerror(-r));
	*failed = false;
	int status = launch_exit_status(c->launch);
	if (status >= 0)
		return status;
	launch_detach(c->launch);
	return EXIT_YES;
}

void command_report(const struct command *c, bool verbose) {
	struct launch_report rep;
	launch_report(c->launch, &rep);
	u64 unhooked = rep.unhooked_setuid + rep.unhooked_32bit + rep.unhooked_traced + rep.unhooked_other;
	if (unhooked)
		cli_warn(c->cli, "%llu program image%s ran without hooks: %s", (unsigned long long)unhooked,
				 unhooked == 1 ? "" : "s", rep.first_unhooked);
	if (rep.sites_enter_only)
		cli_warn(c->cli, "what musl calls at cancellation points (read, write, open, …) was seen at its enter only");
	if (rep.aborted)
		cli_warn(c->cli, "%llu runs of programs were stopped before their end: a lock was not given back in time",
		         (unsigned long long)rep.aborted);
	if (rep.lost_records)
		cli_warn(c->cli, "%llu records were lost: a ring buffer was full", (unsigned long long)rep.lost_records);
	if (rep.lost_lines)
		cli_warn(c->cli, "%llu lines of bpf_printk were lost: they came faster than they were printed",
		         (unsigned long long)rep.lost_lines);
	if (rep.unreachable)
		cli_warn(c->cli, "%llu tail calls or inner maps were not found: they were put into their map after the start",
		         (unsigned long long)rep.unreachable);
	if (rep.sites_skipped && verbose)
		cli_warn(c->cli, "%llu of %llu system call sites were left alone", (unsigned long long)rep.sites_skipped,
				 (unsigned long long)(rep.sites + rep.sites_skipped));
	if (verbose)
		cli_warn(c->cli, "processes: %llu, execs: %llu, images: %llu, system call sites: %llu",
				 (unsigned long long)rep.processes, (unsigned long long)rep.execs, (unsigned long long)rep.images,
				 (unsigned long long)rep.sites);
}
