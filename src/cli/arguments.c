/* Options of a verb, by the rows of cmd.def. Options and words may be mixed; -- ends both. */
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
		snprintf(hint, sizeof hint, "skep help %s lists the options", cli->verb);
	return cli_error(cli, hint, "%s has no option %s", cli->verb, word);
}

static int take(struct cli *cli, struct arguments *out, const struct option_row *r, const char *value) {
	if (!r->verb[0]) {
		if (!strcmp(r->long_name, "json"))
			cli->json = true;
		else if (!strcmp(r->long_name, "pretty"))
			cli->json = cli->pretty = true;
		else if (!strcmp(r->long_name, "debug"))
			cli->debug = true;
		else if (!strcmp(r->long_name, "color"))
			cli->color = out_color_wanted(value);
	}
	if (!strcmp(r->long_name, "verbose"))
		cli->verbose = true;
	if (out->options_n == ARRAY_SIZE(out->option))
		return cli_error(cli, NULL, "too many options");
	out->option[out->options_n++] = (struct option_value){r->long_name, value ? value : ""};
	return 0;
}

int cli_parse(struct cli *cli, int argc, char **argv, struct arguments *out) {
	memset(out, 0, sizeof *out);
	out->word = argv + 1; /* words move down over the options */
	for (int i = 1; i < argc; i++) {
		char *w = argv[i];
		if (!strcmp(w, "--")) {
			out->command = argv + i + 1;
			break;
		}
		if (w[0] != '-' || !w[1]) {
			out->word[out->words_n++] = w;
			continue;
		}
		char *equals = w[1] == '-' ? strchr(w, '=') : NULL;
		const struct option_row *r =
		    w[1] == '-' ? find_row(cli->verb, w + 2, equals ? (size_t)(equals - w - 2) : strlen(w + 2), 0)
		                : find_row(cli->verb, NULL, 0, w[1]);
		if (!r)
			return unknown_option(cli, w);
		const char *value = equals ? equals + 1 : NULL;
		if (r->argument && !value && w[1] != '-' && w[2])
			value = w + 2;
		else if (!r->argument && (value || (w[1] != '-' && w[2])))
			return cli_error(cli, NULL, "--%s takes no value", r->long_name);
		if (r->argument && !value) {
			if (++i >= argc || !strcmp(argv[i], "--"))
				return cli_error(cli, NULL, "--%s needs a value: --%s %s", r->long_name, r->long_name, r->argument);
			value = argv[i];
		}
		if (take(cli, out, r, value))
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
