/* Problems, as people and programs read them: one sentence, the remedy, and where there is one the C line. */
#include "cli/cli.h"
#include "cli/out/out.h"
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cli_json_problem(const char *level, unsigned code, const char *sentence, const char *hint) {
	json_t *o = json_object();
	json_object_set_new(o, level, json_string(sentence));
	char number[16];
	snprintf(number, sizeof number, "SK%04u", code);
	json_object_set_new(o, "code", code ? json_string(number) : json_null());
	json_object_set_new(o, "hint", hint ? json_string(hint) : json_null());
	char *text = json_dumps(o, JSON_COMPACT);
	fprintf(stderr, "%s\n", text ? text : "{}");
	free(text);
	json_decref(o);
}

int cli_error(struct cli *cli, const char *hint, const char *fmt, ...) {
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	cli->problems++;
	fflush(stdout);
	if (cli->json) {
		cli_json_problem("error", 0, text, hint);
		return EXIT_CANNOT;
	}
	fprintf(stderr, "%sskep: %s%s\n", out_err(OUT_RED), text, out_err(OUT_PLAIN));
	if (hint)
		fprintf(stderr, "  %s\n", hint);
	return EXIT_CANNOT;
}

void cli_warn(struct cli *cli, const char *fmt, ...) {
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fflush(stdout);
	if (cli->json)
		cli_json_problem("warning", 0, text, NULL);
	else
		fprintf(stderr, "skep: %s\n", text);
}

/* Edits between two words: insert, delete, replace, swap neighbours, each 1. Words here are short. */
static u32 distance(const char *a, const char *b) {
	enum { MOST = 64 };
	u32 n = (u32)strlen(b), rows[3][MOST];
	if (n >= MOST || strlen(a) >= MOST)
		return 1000;
	for (u32 j = 0; j <= n; j++)
		rows[0][j] = j;
	u32 i = 1;
	for (; a[i - 1]; i++) {
		u32 *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
		row[0] = i;
		for (u32 j = 1; j <= n; j++) {
			row[j] = MIN(MIN(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = MIN(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[(i - 1) % 3][n];
}

const char *cli_nearest(const char *word, const char *const *list, u32 n) {
	const char *best = NULL;
	u32 least = (u32)strlen(word) / 3 + 2;
	for (u32 i = 0; i < n; i++) {
		u32 d = distance(word, list[i]);
		if (d < least)
			least = d, best = list[i];
	}
	return best;
}

const char *cli_did_you_mean(const char *word, const char *const *list, u32 n, const char *otherwise, char room[256]) {
	const char *near = cli_nearest(word, list, n);
	if (!near)
		return otherwise;
	snprintf(room, 256, "did you mean %s?", near);
	return room;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

/* The file beside `path` whose name starts with its name, or is nearest to it. */
static bool nearest_file(const char *path, char room[256]) {
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[4096];
	u32 least = (u32)strlen(name) / 3 + 2;
	bool found = false;
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	DIR *d = *name ? opendir(folder) : NULL;
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_type == DT_DIR || e->d_name[0] == '.')
			continue;
		u32 far = strncmp(e->d_name, name, strlen(name)) ? distance(name, e->d_name) : 0;
		if (far >= least)
			continue;
		least = far;
		int folder_length = slash ? (int)(slash - path + 1) : 0;
		found = snprintf(room, 256, "did you mean %.*s%s?", folder_length, path, e->d_name) < 256;
	}
	if (d)
		closedir(d);
	return found;
}

bool cli_readable(struct cli *cli, const char *path) {
	char near[256];
	if (!access(path, R_OK))
		return true;
	int error = errno;
	bool hint = error == ENOENT && nearest_file(path, near);
	cli_error(cli, hint ? near : NULL, "%s cannot be read: %s", path, strerror(error));
	return false;
}

const char *cli_shown_path(const char *path) {
	char here[4096];
	size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
	return n > 1 && !strncmp(path, here, n) && path[n] == '/' ? path + n + 1 : path;
}
