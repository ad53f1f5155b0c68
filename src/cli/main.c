/* skep: reads the verb, calls its function, turns what it returns into the exit status. */
#include "cli/cli.h"
#include "cli/out/out.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct verb {
	const char *name;
	int (*run)(struct cli *, int, char **);
} verbs[] = {
#define VERB(name, arguments, summary, examples) {#name, cmd_##name},
#include "cli/cmd.def"
};

static const struct verb *find_verb(const char *word) {
	for (u32 i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, word))
			return &verbs[i];
	static const char *const nouns[] = {"prog", "map", "feature"}; /* bpftool's nouns may be abbreviated, as there */
	for (u32 n = 0; n < ARRAY_SIZE(nouns); n++)
		if (!strncmp(nouns[n], word, strlen(word)))
			return find_verb(nouns[n]);
	return NULL;
}

static int unknown_verb(struct cli *cli, const char *word) {
	const char *names[ARRAY_SIZE(verbs)];
	for (u32 i = 0; i < ARRAY_SIZE(verbs); i++)
		names[i] = verbs[i].name;
	const char *near = cli_nearest(word, names, ARRAY_SIZE(verbs));
	char hint[128];
	snprintf(hint, sizeof hint, near ? "did you mean: skep %s" : "skep help lists what there is%s", near ? near : "");
	return cli_error(cli, hint, "there is no command '%s'", word);
}

/* Global options may stand before the verb: skep -j prog show. Returns how many words they take, or -1. */
static int leading_options(struct cli *cli, int argc, char **argv, bool *color_given) {
	int i = 1;
	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *w = argv[i];
		if (!strcmp(w, "-j") || !strcmp(w, "--json"))
			cli->json = true;
		else if (!strcmp(w, "-p") || !strcmp(w, "--pretty"))
			cli->json = cli->pretty = true;
		else if (!strcmp(w, "-d") || !strcmp(w, "--debug"))
			cli->debug = true;
		else if (!strncmp(w, "--color=", 8))
			cli->color = out_color_wanted(w + 8), *color_given = true;
		else if (!strcmp(w, "-h") || !strcmp(w, "--help"))
			return argv[i] = "help", i;
		else if (!strcmp(w, "-V") || !strcmp(w, "--version"))
			return argv[i] = "version", i;
		else
			return cli_error(cli, "skep help lists the options", "there is no option %s", w), -1;
	}
	return i;
}

int main(int argc, char **argv) {
	struct cli cli = {.color = out_color_wanted("auto")};
	bool color_given = false;
	int first = leading_options(&cli, argc, argv, &color_given);
	if (first < 0)
		return EXIT_CANNOT;
	if (first >= argc) {
		help_verb(&cli, NULL, true);
		return EXIT_CANNOT;
	}
	const struct verb *verb = find_verb(argv[first]);
	int status = verb ? 0 : unknown_verb(&cli, argv[first]);
	if (verb) {
		cli.verb = verb->name;
		status = verb->run(&cli, argc - first, argv + first);
	}
	if (cli.engine)
		engine_destroy(cli.engine);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "skep: the output could not be written\n");
		return status ? status : EXIT_CANNOT;
	}
	return status;
}
