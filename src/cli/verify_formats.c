/* What skep verify says to machines: compilers' lines for editors, GitHub's workflow commands, SARIF 2.1.0 for code
 * scanning.
 *
 * A program that is refused is an error at its C line, one that cannot be judged here a warning; the notes of a refusal
 * are notes of their own (gcc) or related locations (SARIF). Columns count from 1. */
#include "abi/diag.h"
#include "cli/verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool verify_format_known(struct cli *cli, const char *format) {
	static const char *const formats[] = {"text", "json", "gcc", "github", "sarif"};
	for (u32 i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i], format))
			return true;
	cli_error(cli, "text, json, gcc, github or sarif", "there is no format '%s'", format);
	return false;
}

static const char *text_of(const json_t *o, const char *key) {
	const char *text = json_string_value(json_object_get(o, key));
	return text ? text : "";
}
static int number_of(const json_t *o, const char *key) {
	return (int)json_integer_value(json_object_get(o, key));
}
/* The source file, or the object. */
static const char *place_of(const json_t *row, const json_t *problem) {
	const char *file = text_of(problem, "file");
	return *file ? file : text_of(row, "file");
}
static const char *level_of(const json_t *row) {
	return strcmp(text_of(row, "verdict"), "failure") ? "warning" : "error";
}

/* file:line:column: as far as they are known. */
static void put_gcc_place(const char *file, const json_t *at) {
	printf("%s:", file);
	if (number_of(at, "line"))
		printf("%d:", number_of(at, "line"));
	if (number_of(at, "line") && number_of(at, "column"))
		printf("%d:", number_of(at, "column"));
}

void verify_print_gcc(const json_t *rows) {
	json_t *row, *note;
	size_t i, k;
	json_array_foreach(rows, i, row) {
		const json_t *problem = json_object_get(row, "problem");
		if (!problem)
			continue;
		put_gcc_place(place_of(row, problem), problem);
		printf(" %s: %s", level_of(row), text_of(problem, "sentence"));
		printf(*text_of(problem, "code") ? " [%s]\n" : "%s\n", text_of(problem, "code"));
		json_array_foreach(json_object_get(problem, "notes"), k, note) {
			put_gcc_place(*text_of(note, "file") ? text_of(note, "file") : place_of(row, problem), note);
			printf(" note: %s\n", text_of(note, "text"));
		}
	}
}

/* In a message % and line ends are escaped, in a property also : and , */
static void put_github(const char *text, bool property) {
	for (; *text; text++)
		if (strchr(property ? "%\r\n:," : "%\r\n", *text))
			printf("%%%02X", (unsigned char)*text);
		else
			putchar(*text);
}

void verify_print_github(const json_t *rows) {
	json_t *row;
	size_t i;
	json_array_foreach(rows, i, row) {
		const json_t *problem = json_object_get(row, "problem");
		if (!problem)
			continue;
		printf("::%s file=", level_of(row));
		put_github(place_of(row, problem), true);
		if (number_of(problem, "line"))
			printf(",line=%d", number_of(problem, "line"));
		if (number_of(problem, "column"))
			printf(",col=%d", number_of(problem, "column"));
		printf(",title=");
		put_github(*text_of(problem, "code") ? text_of(problem, "code") : "skep verify", true);
		printf("::");
		put_github(text_of(problem, "sentence"), false);
		putchar('\n');
	}
}

/* == SARIF == */

/* A path as a URI reference: relative ones stay relative. */
static json_t *uri_of(const char *path) {
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
	char *uri = malloc(strlen(path) * 3 + 8), *to = uri;
	if (!uri)
		return json_string("");
	if (*path == '/')
		to = stpcpy(to, "file://");
	for (; *path; path++)
		if (strchr(plain, *path))
			*to++ = *path;
		else
			to += snprintf(to, 4, "%%%02X", (unsigned char)*path);
	*to = 0;
	json_t *out = json_string(uri);
	free(uri);
	return out;
}

static json_t *sarif_location(const char *file, const json_t *at) {
	json_t *artifact = json_pack("{s:o}", "uri", uri_of(file)),
		   *physical = json_pack("{s:o}", "artifactLocation", artifact);
	if (*file != '/')
		json_object_set_new(artifact, "uriBaseId", json_string("SRCROOT"));
	if (number_of(at, "line")) {
		json_t *region = json_pack("{s:i}", "startLine", number_of(at, "line"));
		if (number_of(at, "column"))
			json_object_set_new(region, "startColumn", json_integer(number_of(at, "column")));
		if (*text_of(at, "line_text"))
			json_object_set_new(region, "snippet", json_pack("{s:s}", "text", text_of(at, "line_text")));
		json_object_set_new(physical, "region", region);
	}
	return json_pack("{s:o}", "physicalLocation", physical);
}

/* The index of a code among the rules, which gets a row when it has none. */
static size_t sarif_rule(json_t *rules, const char *code) {
	json_t *rule;
	size_t i;
	json_array_foreach(rules, i, rule)
		if (!strcmp(text_of(rule, "id"), code))
			return i;
	const struct diag_row *row = strncmp(code, "SK", 2) ? NULL : diag_row((u32)strtoul(code + 2, NULL, 10));
	rule = json_pack("{s:s,s:{s:s}}", "id", code, "defaultConfiguration", "level", "error");
	if (row) {
		json_object_set_new(rule, "name", json_string(row->name));
		json_object_set_new(rule, "shortDescription", json_pack("{s:s}", "text", row->sentence));
		json_object_set_new(rule, "help", json_pack("{s:s}", "text", row->suggestion ? row->suggestion : row->sentence));
		json_object_set_new(rule, "properties", json_pack("{s:[s]}", "tags", diag_family_name(row->family)));
	}
	json_array_append_new(rules, rule);
	return json_array_size(rules) - 1;
}

static json_t *sarif_result(json_t *rules, const json_t *row, const json_t *problem) {
	const char *code = *text_of(problem, "code") ? text_of(problem, "code") : "unjudged";
	json_t *location = sarif_location(place_of(row, problem), problem), *related = json_array(), *note;
	json_t *result = json_pack("{s:s,s:i,s:s,s:{s:s}}", "ruleId", code, "ruleIndex", (int)sarif_rule(rules, code), "level",
	                           level_of(row), "message", "text", text_of(problem, "sentence"));
	json_object_set_new(location, "logicalLocations",
	                    json_pack("[{s:s,s:s}]", "name", text_of(row, "program"), "kind", "function"));
	json_object_set_new(result, "locations", json_pack("[o]", location));
	size_t i;
	json_array_foreach(json_object_get(problem, "notes"), i, note) {
		const char *file = *text_of(note, "file") ? text_of(note, "file") : place_of(row, problem);
		json_t *at = sarif_location(file, note);
		json_object_set_new(at, "id", json_integer((json_int_t)i));
		json_object_set_new(at, "message", json_pack("{s:s}", "text", text_of(note, "text")));
		json_array_append_new(related, at);
	}
	if (json_array_size(related))
		json_object_set(result, "relatedLocations", related);
	json_decref(related);
	json_object_set_new(result, "properties",
	                    json_pack("{s:s,s:s}", "object", text_of(row, "file"), "kernel", text_of(problem, "kernel")));
	return result;
}

json_t *verify_sarif(const json_t *rows) {
	json_t *rules = json_array(), *results = json_array(), *row;
	size_t i;
	json_array_foreach(rows, i, row) {
		const json_t *problem = json_object_get(row, "problem");
		if (problem)
			json_array_append_new(results, sarif_result(rules, row, problem));
	}
	json_t *driver = json_pack("{s:s,s:s,s:o}", "name", "skep", "version", skep_version(), "rules", rules);
	json_t *run =
		json_pack("{s:{s:o},s:s,s:o}", "tool", "driver", driver, "columnKind", "utf16CodeUnits", "results", results);
	return json_pack("{s:s,s:s,s:[o]}", "$schema", "https://json.schemastore.org/sarif-2.1.0.json", "version", "2.1.0",
					 "runs", run);
}
