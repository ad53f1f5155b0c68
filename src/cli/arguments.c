/* Options of a verb, by the rows of cmd.def, and the values that they take.
 *
 *     skep VERB word --option value word -- what follows
 *
 * Options and words may be mixed; -- ends the options: what follows is the command of a verb that takes one, and words for
 * the others. An option whose argument is in brackets may stand alone: a word behind it is its value when it starts with a
 * digit. Letters of options that go everywhere give way to those of the verb. A value that is none ends the verb with a
 * sentence and EXIT_CANNOT, before anything was done. */
#include "cli/cli.h"
#include "cli/out/out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row {
	const char *verb, *long_name, *argument;
	char short_name;
} rows[] = {
#define OPTION(verb, long_name, short_name, argument, help) {#verb, long_name, argument, short_name},
#include "cli/cmd.def"
};

static const struct option_row *find_row(const char *verb, const char *name, size_t bytes, char letter) {
	for (u32 everywhere = 0; everywhere < 2; everywhere++)
		for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
			const struct option_row *r = &rows[i];
			if (strcmp(r->verb, everywhere ? "" : verb))
				continue;
			if (name ? strlen(r->long_name) == bytes && !strncmp(r->long_name, name, bytes)
			         : r->short_name && r->short_name == letter)
				return r;
		}
	return NULL;
}

static bool takes_command(const char *verb) {
	static const struct {
		const char *verb, *arguments;
	} verbs[] = {
#define VERB(name, arguments, summary, examples) {#name, arguments},
#include "cli/cmd.def"
	};
	for (u32 i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].verb, verb))
			return strstr(verbs[i].arguments, "-- COMMAND") != NULL;
	return false;
}

static int unknown_option(struct cli *cli, const char *word) {
	const char *names[ARRAY_SIZE(rows)];
	u32 n = 0;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (!rows[i].verb[0] || !strcmp(rows[i].verb, cli->verb))
			names[n++] = rows[i].long_name;
	const char *near = word[1] == '-' ? cli_nearest(word + 2, names, n) : NULL;
	char hint[160];
	if (near)
		snprintf(hint, sizeof hint, "did you mean --%s", near);
	else
		snprintf(hint, sizeof hint, "skep help%s%s lists the options", cli->verb[0] ? " " : "", cli->verb);
	return cli_error(cli, hint, "%s has no option %s", cli->verb[0] ? cli->verb : "skep", word);
}

static int take_everywhere(struct cli *cli, const struct option_row *r, const char *value) {
	if (!strcmp(r->long_name, "json"))
		cli->json = true;
	else if (!strcmp(r->long_name, "pretty"))
		cli->json = cli->pretty = true;
	else if (!strcmp(r->long_name, "debug"))
		cli->debug = true;
	else if (!strcmp(r->long_name, "color") && !out_color_choose(value))
		return cli_error(cli, "auto, always or never", "--color: '%s' is none of its values", value);
	return EXIT_YES;
}

static int take(struct cli *cli, struct arguments *out, const struct option_row *r, const char *value) {
	if (!r->verb[0] && take_everywhere(cli, r, value))
		return EXIT_CANNOT;
	if (!strcmp(r->long_name, "verbose"))
		cli->verbose = true;
	if (!strcmp(r->long_name, "bpffs"))
		cli->bpffs = true;
	if (out->options_n == ARRAY_SIZE(out->option))
		return cli_error(cli, NULL, "too many options");
	out->option[out->options_n++] = (struct option_value){r->long_name, value ? value : ""};
	return 0;
}

/* One option at argv[*i]; its value may be the word after it. */
static int parse_option(struct cli *cli, int argc, char **argv, int *i, struct arguments *out) {
	char *w = argv[*i];
	char *equals = w[1] == '-' ? strchr(w, '=') : NULL;
	const struct option_row *r =
		w[1] == '-' ? find_row(cli->verb, w + 2, equals ? (size_t)(equals - w - 2) : strlen(w + 2), 0)
					: find_row(cli->verb, NULL, 0, w[1]);
	if (!r)
		return unknown_option(cli, w);
	const char *value = equals ? equals + 1 : NULL;
	bool optional = r->argument && r->argument[0] == '['; /* a word behind it is its value when it is a number */
	if (optional && !value && *i + 1 < argc && argv[*i + 1][0] >= '0' && argv[*i + 1][0] <= '9')
		value = argv[++*i];
	if (optional)
		return take(cli, out, r, value);
	if (r->argument && !value && w[1] != '-' && w[2])
		value = w + 2;
	else if (!r->argument && (value || (w[1] != '-' && w[2])))
		return cli_error(cli, NULL, "--%s takes no value", r->long_name);
	if (r->argument && !value) {
		if (++*i >= argc || !strcmp(argv[*i], "--"))
			return cli_error(cli, NULL, "--%s needs a value: --%s %s", r->long_name, r->long_name, r->argument);
		value = argv[*i];
	}
	return take(cli, out, r, value);
}

bool cli_wants_json(int argc, char **argv) {
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--json") || !strcmp(argv[i], "-j") || !strcmp(argv[i], "--pretty"))
			return true;
	return false;
}

int cli_parse_leading(struct cli *cli, int argc, char **argv) {
	struct arguments out = {0};
	int i = 1;
	cli->verb = "";
	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *w = argv[i];
		if (!strcmp(w, "-h") || !strcmp(w, "--help"))
			return argv[i] = "help", i;
		if (!strcmp(w, "-V") || !strcmp(w, "--version"))
			return argv[i] = "version", i;
		if (!strcmp(w, "-d"))
			argv[i] = "--debug"; /* as bpftool calls it */
		if (!strcmp(w, "-f") || !strcmp(w, "--bpffs")) { /* a noun's option, which bpftool has before the noun */
			cli->bpffs = true;
			continue;
		}
		if (parse_option(cli, argc, argv, &i, &out))
			return -1;
	}
	return i;
}

int cli_parse(struct cli *cli, int argc, char **argv, struct arguments *out) {
	memset(out, 0, sizeof *out);
	out->word = argv + 1; /* words move down over the options */
	cli->json |= cli_wants_json(argc, argv); /* a problem with an earlier option is JSON, too */
	for (int i = 1; i < argc; i++) {
		char *w = argv[i];
		if (!strcmp(w, "--") && takes_command(cli->verb)) {
			out->command = argv + i + 1;
			break;
		}
		if (!strcmp(w, "--")) {
			while (++i < argc)
				out->word[out->words_n++] = argv[i];
			break;
		}
		if (w[0] != '-' || !w[1])
			out->word[out->words_n++] = w;
		else if (parse_option(cli, argc, argv, &i, out))
			return EXIT_CANNOT;
	}
	if (cli_option(out, "help"))
		return help_verb(cli, cli->verb, false);
	return PARSED;
}

const char *cli_option(const struct arguments *a, const char *name) {
	for (u32 i = a->options_n; i-- > 0;)
		if (!strcmp(a->option[i].name, name))
			return a->option[i].value;
	return NULL;
}

u32 cli_option_count(const struct arguments *a, const char *name) {
	u32 n = 0;
	for (u32 i = 0; i < a->options_n; i++)
		n += !strcmp(a->option[i].name, name);
	return n;
}

const char *cli_option_nth(const struct arguments *a, const char *name, u32 nth) {
	for (u32 i = 0; i < a->options_n; i++)
		if (!strcmp(a->option[i].name, name) && nth-- == 0)
			return a->option[i].value;
	return NULL;
}

bool cli_number(struct cli *cli, const char *what, const char *text, u64 least, u64 most, u64 *out) {
	char *end;
	errno = 0;
	u64 v = strtoull(text, &end, 0);
	if (errno || end == text || *end || text[0] == '-' || v < least || v > most) {
		cli_error(cli, NULL, "%s: '%s' is no number from %llu to %llu", what, text, (unsigned long long)least,
		          (unsigned long long)most);
		return false;
	}
	*out = v;
	return true;
}

int cli_seconds(struct cli *cli, const char *what, const char *text, double *seconds) {
	char *end, hint[64];
	*seconds = strtod(text, &end);
	if (end != text && !*end && *seconds > 0 && *seconds <= 1e6) /* nan is neither */
		return EXIT_YES;
	snprintf(hint, sizeof hint, "%s 10, or %s 0.5", what, what);
	return cli_error(cli, hint, "%s: '%s' is no number of seconds up to a million", what, text);
}

bool cli_no_more(struct cli *cli, const struct arguments *a, u32 words) {
	if (a->words_n > words)
		cli_error(cli, NULL, "'%s' is one word too many; skep help %s shows the usage", a->word[words], cli->verb);
	return a->words_n <= words;
}
