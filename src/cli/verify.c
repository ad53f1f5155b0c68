/* skep verify: one line a program, and for a refusal the C line, the reason and what to try. What cannot be judged here is
 * "unknown", and the exit status 2.
 *
 * The verdict does not depend on what the user engine can run: maps of every type exist as facts. Programs that are
 * attached to functions of a kernel (fentry, LSM, iterators, its tracepoints), that call such functions or are functions
 * of its structures (struct_ops) are judged by that kernel's types: those of --btf, else those of the running kernel,
 * where they can be read.
 *
 *   --kernel            the running kernel is asked, through bpf(2)
 *   --kernel 5.4,6.1    a line for each: predicted (predict.c)
 *
 * Every line is a JSON object first (verify.h); tables, comparisons and what machines read are made of those. */
#include "abi/diag.h"
#include "cli/object.h"
#include "cli/out/out.h"
#include "cli/verify.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

struct verdict {
	struct cli *cli;
	struct skep_engine *engine, *typed; /* of this file; one whose types are a kernel's, NULL none yet */
	struct btf *types;                  /* of typed */
	const char *file, *format;
	const struct abi_profile **kernels; /* that are predicted, NULL none */
	bool ask_kernel;
	json_t *rows;
	u32 refused, unjudged;
	u32 code;        /* of the program's first problem, row of diag.def or 0 */
	json_t *problem; /* of the program under test */
	bool in_program; /* else the file itself is at fault: that is no verdict */
	struct verify_stats stats; /* of the program under test */
	const char *kernel; /* for which it is judged, NULL: 6.18 */
};

/* == Progress == */

static char progress_label[256];
static volatile sig_atomic_t progress_seconds;

static void on_alarm(int signal) {
	char line[320], number[12];
	int at = 12, n = 0, seconds = (int)++progress_seconds;
	(void)signal;
	do
		number[--at] = (char)('0' + seconds % 10);
	while ((seconds /= 10) && at);
	line[n++] = '\r';
	for (const char *c = progress_label; *c && n < 280; c++)
		line[n++] = *c;
	for (; at < 12; at++)
		line[n++] = number[at];
	memcpy(line + n, " s\033[K", 5);
	if (write(2, line, (size_t)n + 5) < 0)
		progress_seconds = 0; /* nobody reads it */
}

/* A line on a terminal while a program takes more than a second. */
static void progress(const struct verdict *v, const char *program, bool on) {
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct itimerval every = {0};
	if (v->cli->json || !isatty(2))
		return;
	if (!on && progress_seconds)
		fputs("\r\033[K", stderr);
	snprintf(progress_label, sizeof progress_label, "verifying %.100s of %.100s: ", program, v->file);
	progress_seconds = 0;
	every.it_interval.tv_sec = every.it_value.tv_sec = on;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/* == What is said == */

static json_t *notes_json(const struct skep_diagnostic *d) {
	json_t *notes = json_array();
	for (u32 i = 0; i < d->notes_count; i++) {
		const struct skep_note *n = &d->notes[i];
		json_array_append_new(notes, json_pack("{s:s,s:s?,s:i,s:i,s:s?,s:i}", "text", n->text, "file",
		                                       n->file ? cli_shown_path(n->file) : NULL, "line", (int)n->line, "column",
		                                       (int)n->column, "line_text", n->line_text, "insn", n->insn));
	}
	return notes;
}

static json_t *problem_json(const struct skep_diagnostic *d) {
	char code[16];
	snprintf(code, sizeof code, "SK%04u", d->code);
	json_t *o = json_pack("{s:s?,s:s?,s:s,s:s?,s:s?,s:s?,s:s?}", "code", d->code ? code : NULL, "family", d->family,
	                      "sentence", d->sentence, "needed", d->needed, "known", d->known, "kernel", d->kernel_message,
	                      "suggestion", d->suggestion);
	json_t *place = json_pack("{s:s?,s:i,s:i,s:s?,s:i,s:o,s:s?}", "file", d->file ? cli_shown_path(d->file) : NULL, "line",
	                          (int)d->line, "column", (int)d->column, "line_text", d->line_text, "insn", d->insn, "notes",
	                          notes_json(d), "log", d->log);
	json_object_update(o, place);
	json_decref(place);
	return o;
}

/* The running kernel's statistics are in its log. */
static void read_statistics(const char *log, struct verify_stats *s) {
	unsigned insns, limit, most, total, peak;
	const char *time = log ? strstr(log, "verification time ") : NULL, *stack = log ? strstr(log, "stack depth ") : NULL;
	for (const char *line = log; line && (line = strstr(line, "processed ")); line++)
		if (sscanf(line, "processed %u insns (limit %u) max_states_per_insn %u total_states %u peak_states %u", &insns,
				   &limit, &most, &total, &peak) == 5)
			*s = (struct verify_stats){.insns_processed = insns, .total_states = total, .peak_states = peak,
			                           .max_states_per_insn = most};
	if (time)
		s->time_ns = strtoull(time + strlen("verification time "), NULL, 10) * 1000;
	for (char *at = stack ? (char *)stack + strlen("stack depth ") : NULL;
		 at && s->subprogs_n < ARRAY_SIZE(s->stack_depth);) {
		s->stack_depth[s->subprogs_n++] = (u32)strtoul(at, &at, 10);
		at = *at == '+' ? at + 1 : NULL;
	}
}

/* Keeps the last refusal for the row, and shows it where people read. */
static void on_diagnostic(void *owner, const struct skep_diagnostic *d) {
	struct verdict *v = owner;
	struct skep_diagnostic shown = *d;
	bool text = !strcmp(v->format, "text") && !v->cli->json;
	char sentence[1200];
	if (v->ask_kernel && v->in_program)
		read_statistics(d->log, &v->stats);
	if (v->ask_kernel && d->level == 0 && !d->code)
		shown.code = explain_code_of(d->kernel_message);
	if (d->level == 0) {
		v->code = shown.code;
		json_decref(v->problem);
		v->problem = problem_json(&shown);
	}
	if (v->kernel && d->level == 0) {
		snprintf(sentence, sizeof sentence, "Linux %s (predicted): %s", v->kernel, d->sentence);
		shown.sentence = sentence;
	}
	if (v->in_program)
		progress(v, "", false); /* its line is in the way */
	if (text || !v->in_program)
		cli_diagnostic(v->cli, &shown);
}

/* == One program == */

/* Whether an error is a verdict. What our verifier does not understand yet or had no time for, and programs whose target is
 * not known here, the kernel may well take. */
static bool judged(const struct verdict *v, int error) {
	return error != -EOPNOTSUPP && error != -ESRCH && v->code != DIAG_NOT_SUPPORTED && v->code != DIAG_MEMORY_LIMIT &&
	       v->code != DIAG_TIME_LIMIT;
}

static void add_row(struct verdict *v, const struct skep_program *p, const char *word) {
	const struct verify_stats *s = &v->stats;
	const struct abi_prog_type *type = abi_prog_type(abi_linux(), skep_program__type(p));
	size_t size = 0;
	json_int_t stack = 0;
	for (u32 i = 0; i < MIN(s->subprogs_n, (u32)ARRAY_SIZE(s->stack_depth)); i++)
		stack += s->stack_depth[i];
	skep_program__insns(p, &size);
	json_t *row = json_pack("{s:s,s:s,s:s,s:s?,s:s}", "file", v->file, "program", skep_program__name(p), "type",
	                        type ? type->name : "unspec", "section", skep_program__section(p), "verdict", word);
	json_t *numbers = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "duration_us", (json_int_t)(s->time_ns / 1000),
								"insns", (json_int_t)s->insns_processed, "states", (json_int_t)s->total_states,
								"peak_states", (json_int_t)s->peak_states, "max_states",
								(json_int_t)s->max_states_per_insn, "stack", stack, "size", (json_int_t)size);
	json_object_update(row, numbers);
	json_decref(numbers);
	if (v->kernel) {
		json_object_set_new(row, "kernel", json_string(v->kernel));
		json_object_set_new(row, "predicted", json_true());
	} else if (v->ask_kernel) {
		json_object_set_new(row, "kernel", json_string("running"));
	}
	if (*word != 's' && v->problem)
		json_object_set(row, "problem", v->problem);
	json_array_append_new(v->rows, row);
	v->refused += *word == 'f', v->unjudged += *word == 'u';
}

static int judge(struct verdict *v, struct skep_program *p) {
	json_decref(v->problem);
	v->problem = NULL, v->code = 0;
	v->stats = (struct verify_stats){0};
	v->in_program = true;
	progress(v, skep_program__name(p), true);
	int error = skep_program__load(p, v->engine);
	progress(v, skep_program__name(p), false);
	v->in_program = false;
	const struct engine_verdict *last = error == -ESRCH || v->ask_kernel ? NULL : engine_last_verdict(v->engine);
	if (last)
		v->stats = last->stats;
	if (error && !v->problem)
		v->problem = json_pack("{s:s}", "sentence", strerror(-error));
	return error;
}

/* The facts of the tables, as refusals. */
static void refuse_predicted(struct verdict *v, json_t *problems) {
	json_t *problem;
	size_t i;
	json_array_foreach(problems, i, problem) {
		const char *code = json_string_value(json_object_get(problem, "code"));
		struct skep_diagnostic d = {.size = sizeof d, .code = code ? (u32)strtoul(code + 2, NULL, 10) : 0,
		                            .sentence = json_string_value(json_object_get(problem, "sentence")),
		                            .file = json_string_value(json_object_get(problem, "file")),
		                            .line = (u32)json_integer_value(json_object_get(problem, "line")),
		                            .column = (u32)json_integer_value(json_object_get(problem, "column")),
		                            .line_text = json_string_value(json_object_get(problem, "line_text")),
		                            .family = json_string_value(json_object_get(problem, "family")),
		                            .insn = (int)json_integer_value(json_object_get(problem, "insn"))};
		v->in_program = true;
		on_diagnostic(v, &d);
		v->in_program = false;
	}
	json_decref(v->problem);
	v->problem = json_incref(json_array_get(problems, 0));
	json_t *all = json_array();
	json_array_foreach(problems, i, problem)
		json_array_append(all, json_object_get(problem, "sentence"));
	json_object_set_new(v->problem, "all", all);
}

static void predict(struct verdict *v, const struct skep_object *o, struct skep_program *p) {
	for (u32 i = 0; v->kernels[i]; i++) {
		v->kernel = v->kernels[i]->name;
		engine_set_kernel(v->engine, v->kernels[i]->version < KV(6, 18) ? v->kernels[i]->version : 0);
		skep_program__unload(p);
		int error = judge(v, p);
		json_t *problems = verify_predict(v->cli, o, p, v->kernels[i]->version);
		if (!error && json_array_size(problems))
			refuse_predicted(v, problems);
		add_row(v, p,
				json_array_size(problems) ? "failure"
				: !error                  ? "success"
				: judged(v, error)        ? "failure"
										  : "unknown");
		json_decref(problems);
	}
	engine_set_kernel(v->engine, 0);
	v->kernel = NULL;
}

static void verify_program(struct verdict *v, const struct skep_object *o, struct skep_program *p) {
	if (v->kernels) {
		predict(v, o, p);
		return;
	}
	int error = judge(v, p);
	add_row(v, p, !error ? "success" : judged(v, error) ? "failure" : "unknown");
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
		                           .untrusted = v->cli->untrusted, .verify_memory = v->cli->verify_memory,
		                           .verify_time_ns = v->cli->verify_time_ns};
		if (engine_create(&opts, &v->typed))
			v->typed = NULL;
	}
	return v->typed ? v->typed : v->cli->engine;
}

/* == Verdicts == */

static bool wanted(const struct verdict *v, const struct arguments *a, const char *name) {
	u32 n = cli_option_count(a, "program");
	bool named = n == 0;
	for (u32 i = 0; i < n; i++)
		named |= !strcmp(cli_option_nth(a, "program", i), name);
	return named && verify_wanted(a, v->file, name);
}

static s64 running_kernel(void *owner, unsigned cmd, void *attr, unsigned size) {
	(void)owner;
	long value = syscall(SYS_bpf, cmd, attr, size);
	return value < 0 ? -errno : value;
}

static int verify_file(struct verdict *v, const struct arguments *a, const char *path) {
	struct cli *cli = v->cli;
	struct skep_object *object;
	v->file = path;
	int status = cli_open_with(cli, path, a, on_diagnostic, v, v->ask_kernel ? running_kernel : NULL, &object);
	if (status)
		return status;
	u32 programs = 0, left_out = 0;
	struct skep_program *p = NULL;
	while ((p = skep_object__next_program(object, p)))
		skep_program__set_autoload(p, false);
	v->engine = v->ask_kernel ? NULL : engine_for(v, a, object);
	u32 before = cli->problems;
	int error = skep_object__load(object, v->engine); /* the maps only */
	if (error)
		status = cli->problems > before ? EXIT_CANNOT : cli_error(cli, NULL, "%s: %s", path, strerror(-error));
	while (!status && (p = skep_object__next_program(object, p))) {
		if (wanted(v, a, skep_program__name(p)))
			verify_program(v, object, p), programs++;
		else
			left_out++;
	}
	if (!status && !programs && (!left_out || cli_option(a, "program")))
		status = cli_no_program(cli, object, path, cli_option(a, "program"));
	skep_object__close(object);
	return status;
}

static int show(struct verdict *v, const struct arguments *a) {
	struct cli *cli = v->cli;
	const char *old = cli_option(a, "compare");
	json_t *rows = verify_chosen(a, v->rows);
	int status = EXIT_YES;
	if (old)
		status = verify_compare(cli, a, rows, old);
	else if (!strcmp(v->format, "sarif"))
		out_json(verify_sarif(rows), cli->pretty);
	else if (cli->json)
		out_json(json_incref(rows), cli->pretty);
	else if (!strcmp(v->format, "gcc"))
		verify_print_gcc(rows);
	else if (!strcmp(v->format, "github"))
		verify_print_github(rows);
	else if (json_array_size(rows))
		verify_table(a, rows);
	json_decref(rows);
	return status;
}

/* --kernel without a value, with "running", or with versions. */
static int choose_kernel(struct verdict *v, const char *kernel) {
	if (!kernel)
		return EXIT_YES;
	v->ask_kernel = !*kernel || !strcmp(kernel, "running");
	v->kernels = v->ask_kernel ? NULL : verify_kernels(v->cli, kernel);
	return v->ask_kernel || v->kernels ? EXIT_YES : EXIT_CANNOT;
}

static int read_limits(struct cli *cli, const struct arguments *a) {
	const char *memory = cli_option(a, "memory"), *time = cli_option(a, "time");
	double seconds = 0;
	u64 mib = 0;
	if (memory && !cli_number(cli, "--memory", memory, 1, 1 << 20, &mib))
		return EXIT_CANNOT;
	if (time && cli_seconds(cli, "--time", time, &seconds))
		return EXIT_CANNOT;
	cli->verify_memory = mib << 20;
	cli->verify_time_ns = (u64)(seconds * 1e9);
	return EXIT_YES;
}

int cmd_verify(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a), status = EXIT_YES;
	if (parsed != PARSED)
		return parsed;
	if (!a.words_n)
		return cli_error(cli, "skep verify prog.bpf.o", "verify what?");
	const char *format = cli_option(&a, "format");
	format = format ? format : cli->json ? "json" : "text";
	if (!verify_format_known(cli, format) || !verify_table_valid(cli, &a) || read_limits(cli, &a))
		return EXIT_CANNOT;
	cli->json |= !strcmp(format, "json") || !strcmp(format, "sarif");
	cli->untrusted = cli_option(&a, "untrusted") != NULL;
	struct verdict v = {.cli = cli, .format = format};
	if (choose_kernel(&v, cli_option(&a, "kernel")) || !cli_engine(cli))
		return EXIT_CANNOT;
	v.rows = json_array();
	for (u32 i = 0; i < a.words_n; i++) {
		int one = verify_file(&v, &a, a.word[i]);
		status = MAX(status, one);
	}
	int shown = show(&v, &a);
	status = MAX(status, shown);
	json_decref(v.rows);
	json_decref(v.problem);
	free(v.kernels);
	if (v.typed)
		engine_destroy(v.typed);
	btf_put(v.types);
	return status ? status : v.unjudged ? EXIT_CANNOT : v.refused ? EXIT_NO : EXIT_YES;
}
