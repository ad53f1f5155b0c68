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

int main(int argc, char **argv) {
	struct cli cli = {0};
	out_color_choose("auto");
	int first = cli_parse_leading(&cli, argc, argv); /* skep -j prog show */
	if (first < 0)
		return EXIT_CANNOT;
	if (first >= argc) {
		help_verb(&cli, NULL, true);
		return EXIT_CANNOT;
	}
	const struct verb *verb = find_verb(argv[first]);
	cli.json |= !verb && cli_wants_json(argc, argv);
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
