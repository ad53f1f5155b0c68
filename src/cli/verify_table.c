/* The rows of skep verify as a table: --emit chooses columns, --sort the order, --filter the rows, --compare sets an
 * earlier
 * --json beside them. Names, signs and globs are veristat's:
 *
 *   --emit file,prog,verdict,insns     --sort insns        a number: the largest first; a word: in order; insns^ and
 * insnsv
 *   --filter '*.bpf.o/xdp_*'           files and programs  say it: up, down
 *   --filter '!*test*'                 all but these
 *   --filter 'insns>1000' --filter verdict=failure         every condition holds; of several globs one is enough */
#include "cli/out/out.h"
#include "cli/verify.h"
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct stat {
	const char *key, *names;
	bool shown;
} stats[] = {
#define STAT(key, names, shown) {#key, names, shown},
#include "cli/stats.def"
#undef STAT
};
enum { KEY_MOST = 64 };

/* The key of a name; NULL: there is none. */
static const char *key_of(const char *name, size_t n) {
	for (u32 i = 0; i < ARRAY_SIZE(stats); i++) {
		if (strlen(stats[i].key) == n && !strncmp(stats[i].key, name, n))
			return stats[i].key;
		for (const char *at = stats[i].names; *at;) {
			size_t length = strcspn(at, " ");
			if (length == n && !strncmp(at, name, n))
				return stats[i].key;
			at += length + (at[length] == ' ');
		}
	}
	return NULL;
}

static int unknown_stat(struct cli *cli, const char *option, const char *name, size_t n) {
	const char *keys[ARRAY_SIZE(stats)];
	char word[KEY_MOST], room[256];
	for (u32 i = 0; i < ARRAY_SIZE(stats); i++)
		keys[i] = stats[i].key;
	snprintf(word, sizeof word, "%.*s", (int)MIN(n, sizeof word - 1), name);
	return cli_error(cli, cli_did_you_mean(word, keys, ARRAY_SIZE(keys), "skep help verify lists them", room),
	                 "--%s: there is no column '%s'", option, word);
}

/* == Lists of columns == */

struct column {
	const char *key;
	char order; /* '^', 'v', or 0 */
};
/* The next column of a list; key NULL: unknown, of length n at `at`. */
static bool next_column(const char **list, struct column *c, const char **at, size_t *n) {
	while (**list == ',')
		++*list;
	if (!**list)
		return false;
	*at = *list;
	*n = strcspn(*list, ",");
	*list += *n;
	c->order = 0;
	c->key = key_of(*at, *n);
	if (!c->key && *n > 1 && strchr("^v", (*at)[*n - 1])) {
		c->order = (*at)[*n - 1];
		c->key = key_of(*at, *n - 1);
	}
	return true;
}

static bool list_valid(struct cli *cli, const char *option, const char *list) {
	struct column c;
	const char *at;
	size_t n;
	while (list && next_column(&list, &c, &at, &n))
		if (!c.key)
			return unknown_stat(cli, option, at, n), false;
	return true;
}

/* == Filters == */

struct condition {
	const char *key, *value;
	char op; /* '<' '>' '=' '!' 'l' (<=) 'g' (>=) */
};
/* A condition on a value; false: it is a glob. key NULL: there is no such column, named by *n characters. */
static bool read_condition(const char *filter, struct condition *c, size_t *n) {
	size_t at = strcspn(filter, "<>=!");
	*n = at;
	if (!at || !filter[at])
		return false;
	bool or_equal = filter[at + 1] == '=';
	if (filter[at] == '!' && !or_equal)
		return false;
	c->op = filter[at] == '<' ? or_equal ? 'l' : '<' : filter[at] == '>' ? or_equal ? 'g' : '>' : filter[at];
	c->value = filter + at + 1 + or_equal;
	c->key = key_of(filter, at);
	return true;
}

bool verify_table_valid(struct cli *cli, const struct arguments *a) {
	struct condition c;
	size_t n;
	for (u32 i = 0; i < cli_option_count(a, "filter"); i++) {
		const char *filter = cli_option_nth(a, "filter", i);
		if (read_condition(filter, &c, &n) && !c.key)
			return unknown_stat(cli, "filter", filter, n), false;
	}
	return list_valid(cli, "emit", cli_option(a, "emit")) && list_valid(cli, "sort", cli_option(a, "sort"));
}

static bool glob_matches(const char *glob, const char *file, const char *program) {
	const char *base = strrchr(file, '/'), *slash = strrchr(glob, '/');
	base = base ? base + 1 : file;
	if (!fnmatch(glob, base, 0) || !fnmatch(glob, program, 0) || !fnmatch(glob, file, 0))
		return true;
	char first[256];
	if (!slash || slash - glob >= (long)sizeof first)
		return false;
	snprintf(first, sizeof first, "%.*s", (int)(slash - glob), glob);
	return (!*first || !fnmatch(first, base, 0) || !fnmatch(first, file, 0)) &&
		   (!slash[1] || !fnmatch(slash + 1, program, 0));
}

bool verify_wanted(const struct arguments *a, const char *file, const char *program) {
	bool any = false, found = false;
	for (u32 i = 0; i < cli_option_count(a, "filter"); i++) {
		const char *filter = cli_option_nth(a, "filter", i);
		struct condition c;
		size_t n;
		if (read_condition(filter, &c, &n))
			continue;
		if (*filter == '!' && glob_matches(filter + 1, file, program))
			return false;
		any |= *filter != '!';
		found |= *filter != '!' && glob_matches(filter, file, program);
	}
	return found || !any;
}

static int compare_values(const json_t *a, const json_t *b) {
	if (json_is_number(a) && json_is_number(b)) {
		json_int_t x = json_integer_value(a), y = json_integer_value(b);
		return x < y ? -1 : x > y;
	}
	const char *x = json_string_value(a), *y = json_string_value(b);
	return strcmp(x ? x : "", y ? y : "");
}

static bool condition_holds(const json_t *row, const struct condition *c) {
	const json_t *value = json_object_get(row, c->key);
	json_t *wanted = json_is_number(value) ? json_integer(strtoll(c->value, NULL, 0)) : json_string(c->value);
	int order = compare_values(value, wanted);
	json_decref(wanted);
	switch (c->op) {
	case '<': return order < 0;
	case '>': return order > 0;
	case 'l': return order <= 0;
	case 'g': return order >= 0;
	case '!': return order != 0;
	default: return order == 0;
	}
}

static bool row_wanted(const struct arguments *a, const json_t *row) {
	for (u32 i = 0; i < cli_option_count(a, "filter"); i++) {
		struct condition c;
		size_t n;
		if (read_condition(cli_option_nth(a, "filter", i), &c, &n) && !condition_holds(row, &c))
			return false;
	}
	return true;
}

/* == Order == */

static const char *sort_list;

static int compare_rows(const void *x, const void *y) {
	const json_t *a = *(json_t *const *)x, *b = *(json_t *const *)y;
	const char *list = sort_list, *at;
	struct column c;
	size_t n;
	while (next_column(&list, &c, &at, &n)) {
		const json_t *left = json_object_get(a, c.key), *right = json_object_get(b, c.key);
		int order = compare_values(left, right);
		bool down = c.order ? c.order == 'v' : json_is_number(left);
		if (order)
			return down ? -order : order;
	}
	/* equal: as they came */
	return (json_integer_value(json_object_get(a, "at")) > json_integer_value(json_object_get(b, "at"))) * 2 - 1;
}

json_t *verify_chosen(const struct arguments *a, const json_t *rows) {
	json_t *out = json_array(), **list = calloc(json_array_size(rows) + 1, sizeof *list);
	size_t n = 0;
	for (size_t i = 0; list && i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		if (!row_wanted(a, row))
			continue;
		json_object_set_new(row, "at", json_integer((json_int_t)i));
		list[n++] = row;
	}
	sort_list = cli_option(a, "sort");
	if (sort_list && n)
		qsort(list, n, sizeof *list, compare_rows);
	for (size_t i = 0; i < n; i++) {
		json_object_del(list[i], "at");
		json_array_append(out, list[i]);
	}
	free(list);
	return out;
}

/* == The table == */

void verify_table(const struct arguments *a, const json_t *rows) {
	const char *list = cli_option(a, "emit");
	json_t *out = json_array(), *row;
	size_t i;
	json_array_foreach(rows, i, row) {
		json_t *line = json_object();
		const char *from = list, *at;
		struct column c;
		size_t n;
		while (from && next_column(&from, &c, &at, &n))
			json_object_set(line, c.key, json_object_get(row, c.key));
		for (u32 k = 0; !list && k < ARRAY_SIZE(stats); k++)
			if (stats[k].shown || (!strcmp(stats[k].key, "kernel") && json_object_get(row, "kernel")))
				json_object_set(line, stats[k].key, json_object_get(row, stats[k].key));
		json_array_append_new(out, line);
	}
	out_table(stdout, NULL, out, 0);
	json_decref(out);
}

/* == Comparison with an earlier run == */

static json_t *find_row(const json_t *rows, const json_t *like) {
	static const char *const keys[] = {"file", "program", "kernel"};
	json_t *row;
	size_t i;
	json_array_foreach(rows, i, row) {
		bool same = true;
		for (u32 k = 0; k < ARRAY_SIZE(keys); k++) {
			const json_t *x = json_object_get(row, keys[k]), *y = json_object_get(like, keys[k]);
			same &= !compare_values(x, y);
		}
		if (same)
			return row;
	}
	return NULL;
}

/* "1200 → 1500 (+25%)", "1200", or what there is of one alone. */
static json_t *change(const json_t *was, const json_t *is) {
	char text[128];
	if (!json_is_integer(was) || !json_is_integer(is))
		return json_deep_copy(is ? is : was);
	json_int_t a = json_integer_value(was), b = json_integer_value(is);
	if (a == b)
		snprintf(text, sizeof text, "%lld", (long long)b);
	else if (a)
		snprintf(text, sizeof text, "%lld → %lld (%+.1f%%)", (long long)a, (long long)b, (double)(b - a) * 100 / (double)a);
	else
		snprintf(text, sizeof text, "%lld → %lld", (long long)a, (long long)b);
	return json_string(text);
}

static void compare_row(json_t *out, const json_t *was, const json_t *is) {
	static const char *const numbers[] = {"duration_us", "insns", "states", "peak_states", "stack"};
	const char *before = json_string_value(json_object_get(was, "verdict"));
	const char *now = json_string_value(json_object_get(is, "verdict"));
	char verdict[64];
	json_t *line = json_object();
	json_object_set(line, "file", json_object_get(is ? is : was, "file"));
	json_object_set(line, "program", json_object_get(is ? is : was, "program"));
	if (before && now && !strcmp(before, now))
		snprintf(verdict, sizeof verdict, "%s", now);
	else
		snprintf(verdict, sizeof verdict, "%s → %s", before ? before : "(new)", now ? now : "(gone)");
	json_object_set_new(line, "verdict", json_string(verdict));
	for (u32 i = 0; i < ARRAY_SIZE(numbers); i++)
		json_object_set_new(line, numbers[i], change(json_object_get(was, numbers[i]), json_object_get(is, numbers[i])));
	json_array_append_new(out, line);
}

int verify_compare(struct cli *cli, const struct arguments *a, const json_t *rows, const char *old_path) {
	json_error_t error;
	json_t *old = json_load_file(old_path, 0, &error), *out = json_array(), *row;
	size_t i;
	if (!json_is_array(old)) {
		json_decref(old), json_decref(out);
		return cli_error(cli, "it is what skep verify --json prints", "--compare: %s holds no results: %s", old_path,
		                 *error.text ? error.text : "no list");
	}
	json_array_foreach(rows, i, row)
		compare_row(out, find_row(old, row), row);
	json_array_foreach(old, i, row)
		if (json_is_object(row) && !find_row(rows, row) &&
		    verify_wanted(a, json_string_value(json_object_get(row, "file")) ?: "",
		                  json_string_value(json_object_get(row, "program")) ?: ""))
			compare_row(out, row, NULL);
	if (cli->json)
		out_json(json_incref(out), cli->pretty);
	else
		out_table(stdout, NULL, out, 0);
	json_decref(out);
	json_decref(old);
	return EXIT_YES;
}
