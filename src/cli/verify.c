/* skep verify: one line a program, and for a refusal the C line, the reason and what to try. What cannot be judged here is
 * "unknown", and the exit status 2.
 *
 * The verdict does not depend on what the user engine can run: maps of every type exist as facts. Programs that are
 * attached to functions of a kernel (fentry, LSM, iterators, its tracepoints), that call such functions or are functions
 * of its structures (struct_ops) are judged by that kernel's types: those of --btf, else those of the running kernel,
 * where they can be read. */
#include "abi/diag.h"
#include "cli/object.h"
#include "cli/out/out.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct verdict {
	struct cli *cli;
	struct skep_engine *engine, *typed; /* of this file; one whose types are a kernel's, NULL none yet */
	struct btf *types;                  /* of typed */
	const char *file, *format;
	json_t *rows;
	u32 refused, unjudged;
	u32 code;        /* of the program's first problem, row of diag.def or 0 */
	json_t *problem; /* of the program under test */
	bool in_program; /* else the file itself is at fault: that is no verdict */
};

/* Keeps the last refusal for the row, and shows it in the format that was asked for. */
static void on_diagnostic(void *owner, const struct skep_diagnostic *d) {
	struct verdict *v = owner;
	bool text = !strcmp(v->format, "text");
	if (d->level == 0) {
		char code[16];
		v->code = d->code;
		snprintf(code, sizeof code, "SK%04u", d->code);
		json_decref(v->problem);
		v->problem = json_pack("{s:s,s:s?,s:s?,s:s?,s:s?,s:i,s:i,s:i,s:s?}", "code", code, "sentence", d->sentence,
							   "kernel", d->kernel_message, "suggestion", d->suggestion, "file",
							   d->file ? cli_shown_path(d->file) : NULL, "line", (int)d->line, "column", (int)d->column,
							   "insn", d->insn, "log", d->log);
	}
	if ((text && !v->cli->json) || !v->in_program)
		cli_diagnostic(v->cli, d);
	else if (d->level == 0 && !strcmp(v->format, "gcc"))
		printf("%s:%u:%u: error: %s [SK%04u]\n", d->file ? cli_shown_path(d->file) : v->file, d->line, d->column,
			   d->sentence, d->code);
	else if (d->level == 0 && !strcmp(v->format, "github"))
		printf("::error file=%s,line=%u,col=%u,title=SK%04u::%s\n", d->file ? cli_shown_path(d->file) : v->file, d->line,
			   d->column, d->code, d->sentence);
}

/* Whether an error is a verdict. What our verifier does not understand yet, and programs whose target is not known here,
 * the kernel may well take. */
static bool judged(const struct verdict *v, int error) {
	return error != -EOPNOTSUPP && error != -ESRCH && v->code != DIAG_NOT_SUPPORTED;
}

static void verify_program(struct verdict *v, struct skep_program *p) {
	json_decref(v->problem);
	v->problem = NULL, v->code = 0;
	v->in_program = true;
	int error = skep_program__load(p, v->engine);
	v->in_program = false;
	const struct engine_verdict *last = error == -ESRCH ? NULL : engine_last_verdict(v->engine); /* it was not asked */
	struct verify_stats none = {0};
	const struct verify_stats *s = last ? &last->stats : &none;
	const char *word = !error ? "success" : judged(v, error) ? "failure" : "unknown";
	json_t *row = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I}", "file", v->file, "program", skep_program__name(p), "verdict",
	                        word, "duration_us", (json_int_t)(s->time_ns / 1000), "insns",
	                        (json_int_t)s->insns_processed, "states", (json_int_t)s->total_states, "peak_states",
	                        (json_int_t)s->peak_states);
	if (error && v->problem)
		json_object_set(row, "problem", v->problem);
	else if (error)
		json_object_set_new(row, "problem", json_pack("{s:s}", "sentence", strerror(-error)));
	json_array_append_new(v->rows, row);
	v->refused += *word == 'f', v->unjudged += *word == 'u';
}

/* == Whose types == */

/* Is it attached to what a kernel has, and skep's own types have not? */
static bool wants_kernel(const struct skep_program *p, struct skep_engine *own) {
	const char *name = NULL, *section = skep_program__section(p);
	char type[160];
	section += *section == '?';
	const struct abi_section *s = abi_section(engine_abi(own), section, &name);
	if (!s || !(s->flags & SECTION_ATTACH_BTF) || !name)
		return false;
	snprintf(type, sizeof type, "btf_trace_%s", name);
	return s->engine != ENGINE_RUNS || !btf_find(engine_kernel_btf(own), type, BTF_KIND_TYPEDEF);
}

/* The engine that loads the file: skep's own, or one with a kernel's types. Without any the verdict is "unknown". */
static struct skep_engine *engine_for(struct verdict *v, const struct arguments *a, const struct skep_object *o) {
	bool wanted = skep_object__needs_kernel(o);
	for (struct skep_program *p = NULL; !wanted && (p = skep_object__next_program(o, p));)
		wanted = wants_kernel(p, v->cli->engine);
	if (!wanted)
		return v->cli->engine;
	if (!v->types && !btf_read_file(cli_option(a, "btf"), NULL, 0, NULL, &v->types)) {
		struct engine_opts opts = {.size = sizeof opts, .backing = BACKING_ANONYMOUS, .kernel_btf = v->types,
		                           .untrusted = v->cli->untrusted};
		if (engine_create(&opts, &v->typed))
			v->typed = NULL;
	}
	return v->typed ? v->typed : v->cli->engine;
}

/* == Verdicts == */

static bool wanted(const struct arguments *a, const char *name) {
	u32 n = cli_option_count(a, "program");
	for (u32 i = 0; i < n; i++)
		if (!strcmp(cli_option_nth(a, "program", i), name))
			return true;
	return n == 0;
}

static int verify_file(struct verdict *v, const struct arguments *a, const char *path) {
	struct cli *cli = v->cli;
	struct skep_object *object;
	v->file = path;
	int status = cli_open_with(cli, path, a, on_diagnostic, v, &object);
	if (status)
		return status;
	u32 programs = 0;
	struct skep_program *p = NULL;
	while ((p = skep_object__next_program(object, p)))
		skep_program__set_autoload(p, false);
	v->engine = engine_for(v, a, object);
	u32 before = cli->problems;
	int error = skep_object__load(object, v->engine); /* the maps only */
	if (error)
		status = cli->problems > before ? EXIT_CANNOT : cli_error(cli, NULL, "%s: %s", path, strerror(-error));
	while (!status && (p = skep_object__next_program(object, p)))
		if (wanted(a, skep_program__name(p)))
			verify_program(v, p), programs++;
	if (!status && !programs)
		status = cli_no_program(cli, object, path, cli_option(a, "program"));
	skep_object__close(object);
	return status;
}

static json_t *short_rows(const json_t *rows) {
	json_t *out = json_array(), *row;
	size_t i;
	json_array_foreach(rows, i, row) {
		json_t *s = json_copy(row);
		json_object_del(s, "problem");
		json_array_append_new(out, s);
	}
	return out;
}

int cmd_verify(struct cli *cli, int argc, char **argv) {
	static const char *const formats[] = {"text", "json", "gcc", "github"};
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a), status = EXIT_YES;
	if (parsed != PARSED)
		return parsed;
	if (!a.words_n)
		return cli_error(cli, "skep verify prog.bpf.o", "verify what?");
	if (cli_option(&a, "kernel"))
		return cli_error(cli, "leave --kernel out: the answer is computed here",
						 "asking the running kernel is not there yet");
	const char *format = cli_option(&a, "format");
	format = format ? format : cli->json ? "json" : "text";
	bool known = false;
	for (u32 i = 0; i < ARRAY_SIZE(formats); i++)
		known |= !strcmp(format, formats[i]);
	if (!known)
		return cli_error(cli, "text, json, gcc or github", "there is no format '%s'", format);
	cli->json |= !strcmp(format, "json");
	cli->untrusted = cli_option(&a, "untrusted") != NULL;
	if (!cli_engine(cli))
		return EXIT_CANNOT;
	struct verdict v = {.cli = cli, .format = format, .rows = json_array()};
	for (u32 i = 0; i < a.words_n; i++) {
		int one = verify_file(&v, &a, a.word[i]);
		status = MAX(status, one);
	}
	if (cli->json) {
		out_json(json_incref(v.rows), cli->pretty);
	} else if (!strcmp(format, "text") && json_array_size(v.rows)) {
		json_t *rows = short_rows(v.rows);
		out_table(stdout, NULL, rows, 0);
		json_decref(rows);
	}
	json_decref(v.rows);
	json_decref(v.problem);
	if (v.typed)
		engine_destroy(v.typed);
	btf_put(v.types);
	return status ? status : v.unjudged ? EXIT_CANNOT : v.refused ? EXIT_NO : EXIT_YES;
}
