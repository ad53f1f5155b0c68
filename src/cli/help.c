/* Help text, made of the rows of cmd.def. */
#include "cli/cli.h"
#include "cli/out/out.h"
#include <stdio.h>
#include <string.h>

static const struct verb_row {
	const char *name, *arguments, *summary, *examples;
} verb_rows[] = {
#define VERB(name, arguments, summary, examples) {#name, arguments, summary, examples},
#include "cli/cmd.def"
};
static const struct noun_row {
	const char *noun, *action, *arguments, *summary;
} noun_rows[] = {
#define NOUN(noun, action, arguments, summary) {#noun, #action, arguments, summary},
#include "cli/cmd.def"
};
static const struct option_row {
	const char *verb, *long_name, *argument, *help;
	char short_name;
} option_rows[] = {
#define OPTION(verb, long_name, short_name, argument, help) {#verb, long_name, argument, help, short_name},
#include "cli/cmd.def"
};

static const struct topic {
	const char *name, *text;
} topics[] = {
    {"env",
     "Environment variables:\n"
     "  XDG_RUNTIME_DIR   maps and pins live in $XDG_RUNTIME_DIR/skep, else in a private directory on /dev/shm\n"
     "  XDG_CACHE_HOME    vmlinux.h and the system call sites of libraries are kept in $XDG_CACHE_HOME/skep\n"
     "  SKEP_CLANG        the compiler for C sources\n"
     "  SKEP_INCLUDE      where <skep/bcc.bpf.h> lies, when skep is not installed\n"
     "  NO_COLOR, CLICOLOR_FORCE, TERM   colour, as everywhere\n"},
    {"formats",
     "JSON:\n"
     "  run --json       one object a line: {\"event\":NAME,\"data\":{…}} and {\"printk\":TEXT} as they come,\n"
     "                   {\"map\":NAME,\"type\":TYPE,\"entries\":[{\"key\":K,\"value\":V},…]} at the end;\n"
     "                   beside the command's own output, or in a file of its own with --out FILE\n"
     "  prog, map        bpftool's keys\n"
     "  others           one object or array; problems on standard error as {\"error\":…,\"code\":…,\"hint\":…}\n"},
    {"exit",
     "Exit status:\n"
     "  0  yes, or done\n"
     "  1  the answer is no: a program is refused, a test failed, an entry is not there\n"
     "  2  could not answer: wrong usage, bad input, a missing right\n"
     "  run and attach pass on the status of the command, 128 + the signal when one ended it\n"},
};

/* A letter that the verb has for itself is not the option's that goes everywhere. */
static bool letter_taken(const char *verb, char letter) {
	bool taken = false;
	for (u32 i = 0; i < ARRAY_SIZE(option_rows); i++)
		taken |= verb[0] && !strcmp(option_rows[i].verb, verb) && option_rows[i].short_name == letter;
	return taken;
}

/* The options of a verb, or those that go everywhere (""), as they are `for_verb`. */
static void put_options(FILE *to, const char *verb, const char *for_verb) {
	bool any = false;
	for (u32 i = 0; i < ARRAY_SIZE(option_rows); i++) {
		const struct option_row *o = &option_rows[i];
		if (strcmp(o->verb, verb))
			continue;
		if (!any)
			fprintf(to, verb[0] ? "\nOptions:\n" : "\nEverywhere:\n");
		any = true;
		char text[64];
		snprintf(text, sizeof text, "--%s%s%s", o->long_name, o->argument ? " " : "", o->argument ? o->argument : "");
		char letter = verb[0] || !letter_taken(for_verb, o->short_name) ? o->short_name : 0;
		fprintf(to, "  %c%c%s %-22s %s\n", letter ? '-' : ' ', letter ? letter : ' ', letter ? "," : " ", text, o->help);
	}
}

static void put_actions(FILE *to, const char *noun) {
	for (u32 i = 0; i < ARRAY_SIZE(noun_rows); i++)
		if (!strcmp(noun_rows[i].noun, noun))
			fprintf(to, "  skep %s %s%s%s\n      %s\n", noun, noun_rows[i].action,
			        noun_rows[i].arguments[0] ? " " : "", noun_rows[i].arguments, noun_rows[i].summary);
}

static void put_overview(FILE *to) {
	fprintf(to,
	        "skep runs eBPF programs in user space: for your own processes, without root and without the kernel.\n\n"
	        "  skep run examples/syscall_count.c -- ls -la       count what a command does\n"
	        "  skep verify prog.bpf.o                            would the kernel take it, and if not, why\n\n"
	        "Commands:\n");
	for (u32 i = 0; i < ARRAY_SIZE(verb_rows); i++)
		fprintf(to, "  %-9s %s\n", verb_rows[i].name, verb_rows[i].summary);
	put_options(to, "", "");
	fprintf(to, "\nskep help COMMAND explains one; skep help env, formats and exit say the rest.\n");
}

int help_verb(struct cli *cli, const char *name, bool to_stderr) {
	FILE *to = to_stderr ? stderr : stdout;
	if (!name) {
		put_overview(to);
		return EXIT_YES;
	}
	for (u32 i = 0; i < ARRAY_SIZE(verb_rows); i++) {
		const struct verb_row *v = &verb_rows[i];
		if (strcmp(v->name, name))
			continue;
		fprintf(to, "skep %s: %s\n\nUsage: skep %s %s\n", v->name, v->summary, v->name, v->arguments);
		fprintf(to, "\nExamples:\n%s", v->examples);
		bool noun = false;
		for (u32 n = 0; n < ARRAY_SIZE(noun_rows); n++)
			noun |= !strcmp(noun_rows[n].noun, name);
		if (noun)
			fputs("\nActions:\n", to), put_actions(to, name);
		put_options(to, v->name, v->name);
		put_options(to, "", v->name);
		return EXIT_YES;
	}
	for (u32 i = 0; i < ARRAY_SIZE(topics); i++)
		if (!strcmp(topics[i].name, name))
			return fputs(topics[i].text, to), EXIT_YES;
	if (!strcmp(name, "topics")) {
		for (u32 i = 0; i < ARRAY_SIZE(topics); i++)
			fprintf(to, "%s\n", topics[i].name);
		return EXIT_YES;
	}
	const char *names[ARRAY_SIZE(verb_rows) + ARRAY_SIZE(topics)];
	char room[256];
	u32 n = 0;
	for (u32 i = 0; i < ARRAY_SIZE(verb_rows); i++)
		names[n++] = verb_rows[i].name;
	for (u32 i = 0; i < ARRAY_SIZE(topics); i++)
		names[n++] = topics[i].name;
	return cli_error(cli, cli_did_you_mean(name, names, n, "skep help lists what there is", room),
					 "there is no help on '%s'", name);
}

int help_noun(struct cli *cli, const char *name) {
	return help_verb(cli, name, false);
}

int cmd_help(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	const char *verb = a.words_n ? a.word[0] : NULL;
	if (verb && (!strcmp(verb, "prog") || !strcmp(verb, "map"))) /* skep help prog load: the noun's page has it */
		a.words_n = 1;
	return cli_no_more(cli, &a, 1) ? help_verb(cli, verb, false) : EXIT_CANNOT;
}
