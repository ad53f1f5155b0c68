/* Runs the cases of test/cases (format: test/case/case.h) through every engine and prints TAP, one line a case and
 * engine; an engine that cannot judge a case says why it skips.
 *
 *   run_cases [--engine NAME]… [--bless] [--log] [--quiet] [FILE or FOLDER]…
 *
 *   --engine   only these; else all that are built in
 *   --bless    rewrite what the cases expect from what the kernel (without one: the reference) says
 *   --log      print the verifier's log of every difference
 *   --quiet    only what is not ok, and the summary
 *
 * Without files it also checks that every row of ops.def, in both source forms, stands in a case that runs, or, where no
 * engine runs it, in one that says how it is refused. */
#include "case/case.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENGINES = 8 };
static const struct case_engine *const all_engines[] = {
    &engine_reference, &engine_kernel,
#ifdef CASE_WITH_SKEP
    &engine_verify, &engine_interp, &engine_oracle, &engine_jit,
#endif
#ifdef CASE_WITH_RUNTIME
    &engine_runtime,
#endif
};
static struct {
	const struct case_engine *engines[ENGINES];
	const char *missing[ENGINES];
	u32 engines_n;
	bool bless, log, quiet;
	u32 tests, failed, skipped, cases, blessed;
	u32 agreed[ENGINES], judged[ENGINES];
	VEC(char *) files;
	/* per row and source form: 1 in a refused case, 2 in a case that runs */
	u8 covered[OP_COUNT][2];
} run;

static char *read_file(const char *path) {
	FILE *f = fopen(path, "rb");
	char *text = NULL;
	size_t size = 0;
	if (!f)
		return NULL;
	FILE *to = open_memstream(&text, &size);
	char buffer[4096];
	for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
		fwrite(buffer, 1, n, to);
	fclose(f);
	fclose(to);
	return text;
}
static void add_file(const char *path) {
	char **at = vec_push(&run.files);
	if (at)
		*at = strdup(path);
}
static void add_path(const char *path) {
	struct stat st;
	if (stat(path, &st)) {
		fprintf(stderr, "run_cases: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	if (!S_ISDIR(st.st_mode))
		return add_file(path);
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char at[512];
		const char *name = names[i]->d_name, *dot = strrchr(name, '.');
		snprintf(at, sizeof at, "%s/%s", path, name);
		if (name[0] != '.' && (!stat(at, &st) && S_ISDIR(st.st_mode)))
			add_path(at);
		else if (name[0] != '.' && dot && !strcmp(dot, ".case"))
			add_file(at);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}
/* The path below test/cases, without its ending. */
static char *case_name(const char *path) {
	const char *below = strstr(path, "cases/");
	const char *start = below ? below + strlen("cases/") : path, *dot = strrchr(start, '.');
	return strndup(start, dot ? (size_t)(dot - start) : strlen(start));
}

static void tap(bool ok, const char *name, const char *engine, const char *skip, const char *detail) {
	run.tests++;
	run.failed += !ok;
	run.skipped += skip != NULL;
	if (run.quiet && ok)
		return;
	printf("%s %u - %s %s", ok ? "ok" : "not ok", run.tests, name, engine);
	if (skip)
		printf(" # SKIP %s", skip);
	printf("\n");
	if (!ok && detail)
		printf("#   %s\n", detail);
}
/* Does the outcome meet what the case expects? Writes what differs. */
static bool meets(const struct case_file *c, const struct case_outcome *o, bool bare, char *why, u32 size) {
	if (o->end == CASE_BROKEN)
		return snprintf(why, size, "%s", o->message), false;
	if (o->end == CASE_REFUSED) {
		if (!c->has_error)
			return snprintf(why, size, "refused: %s (%s)", o->message, strerror(-o->error)), false;
		if (o->error != c->error || strcmp(o->message, c->message))
			return snprintf(why, size, "refused as «%s» (%s), expected «%s» (%s)", o->message, strerror(-o->error),
			                c->message, strerror(-c->error)),
			       false;
		return true;
	}
	if (c->has_error && !bare)
		return snprintf(why, size, "accepted, expected the refusal «%s»", c->message), false;
	u64 want = bare ? c->bare : c->result, mask = o->low_half ? 0xffffffff : ~0ull;
	if (!bare && !c->has_result)
		return snprintf(why, size, "no result: stands in the file; r0 is 0x%llx", (unsigned long long)o->r0), false;
	if (o->verdict_only)
		return true;
	if ((o->r0 & mask) != (want & mask))
		return snprintf(why, size, "r0 is 0x%llx, expected 0x%llx", (unsigned long long)o->r0,
		                (unsigned long long)want),
		       false;
	const struct case_bytes *after = c->mem_after.given ? &c->mem_after : &c->mem;
	for (u32 i = 0; c->mem.given && i < c->mem.n; i++)
		if (o->mem[i] != after->at[i])
			return snprintf(why, size, "byte %u of the memory is 0x%02x afterwards, expected 0x%02x", i, o->mem[i],
			                after->at[i]),
			       false;
	return true;
}
static const char *wants_skip(const struct case_file *c, const char *engine) {
	for (u32 i = 0; i < c->skips_n; i++)
		if (!strcmp(c->skips[i].engine, engine))
			return c->skips[i].why;
	return NULL;
}
/* In a child: what crashes there is a result here. The outcome comes back through shared memory. */
static void run_apart(const struct case_engine *engine, const struct case_file *c, struct case_outcome *o) {
	enum { LOG_BYTES = 1 << 16, SECONDS = 10 };
	struct shared {
		struct case_outcome outcome;
		char log[LOG_BYTES];
	} *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return case_end(o, CASE_BROKEN, "no memory");
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		alarm(SECONDS);
		engine->run(c, &shared->outcome);
		if (shared->outcome.log)
			snprintf(shared->log, LOG_BYTES, "%s", shared->outcome.log);
		_exit(0);
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) < 0)
		case_end(o, CASE_BROKEN, "no process");
	else if (WIFSIGNALED(status))
		case_end(o, CASE_BROKEN, "%s", WTERMSIG(status) == SIGALRM ? "does not end" : strsignal(WTERMSIG(status)));
	else if (status)
		case_end(o, CASE_BROKEN, "exit status %d", WEXITSTATUS(status));
	else {
		*o = shared->outcome;
		o->log = *shared->log ? strdup(shared->log) : NULL;
	}
	munmap(shared, sizeof *shared);
}
static void judge(const struct case_file *c, u32 e, struct case_outcome *o) {
	const struct case_engine *engine = run.engines[e];
	const char *skip = run.missing[e] ? run.missing[e] : wants_skip(c, engine->name);
	if (skip)
		case_end(o, CASE_SKIPPED, "%s", skip);
	else if (engine->may_crash)
		run_apart(engine, c, o);
	else
		engine->run(c, o);
	if (run.bless)
		return;
	if (o->end == CASE_REFUSED && !strncmp(o->message, "skep:", 5)) /* a refusal that names what is not there yet */
		o->end = CASE_SKIPPED;
	if (o->end == CASE_SKIPPED)
		return tap(true, c->name, engine->name, o->message, NULL);
	char why[600];
	bool bare = engine == &engine_reference && c->has_bare;
	bool ok = meets(c, o, bare, why, sizeof why);
	run.judged[e]++;
	run.agreed[e] += ok;
	tap(ok, c->name, engine->name, NULL, why);
	if (!ok && run.log && o->log)
		printf("%s", o->log);
}
static void cover(const struct case_file *c) {
	const struct bpf_insn *insns = c->program.insns.at;
	for (u32 i = 0; i < c->program.insns.n; i += insn_slots(&insns[i])) {
		enum bpf_op op = insn_decode(&insns[i]);
		u8 *mark = &run.covered[op][insn_reg_form(&insns[i])];
		*mark = MAX(*mark, c->has_error ? 1 : 2);
	}
}
/* What the authority says goes into the file, if the reference says the same. */
static void bless(struct case_file *c, struct case_outcome *outcomes) {
	struct case_outcome *authority = NULL, *reference = NULL;
	for (u32 e = 0; e < run.engines_n; e++) {
		if (run.engines[e] == &engine_kernel && outcomes[e].end != CASE_SKIPPED)
			authority = &outcomes[e];
		if (run.engines[e] == &engine_reference && outcomes[e].end != CASE_SKIPPED)
			reference = &outcomes[e];
	}
	if (!authority)
		authority = reference;
	if (!authority || authority->end == CASE_BROKEN || authority->verdict_only) {
		printf("# %s: not blessed: %s\n", c->name, authority ? authority->message : "nobody judges it");
		return;
	}
	bool both_ran = reference && reference->end == CASE_RAN && authority->end == CASE_RAN;
	u64 mask = authority->low_half ? 0xffffffff : ~0ull;
	if ((reference && reference->end == CASE_BROKEN && authority->end == CASE_RAN) ||
	    (both_ran && ((reference->r0 ^ authority->r0) & mask)) ||
	    (both_ran && c->mem.given && memcmp(reference->mem, authority->mem, c->mem.n))) {
		printf("# %s: not blessed: reference %s 0x%llx, kernel 0x%llx\n", c->name, reference->message,
		       (unsigned long long)reference->r0, (unsigned long long)authority->r0);
		run.failed++;
		return;
	}
	if (both_ran && authority->low_half)
		authority = reference;
	char *text = case_bless(c, authority);
	FILE *f = text ? fopen(c->path, "wb") : NULL;
	if (f) {
		fputs(text, f);
		fclose(f);
		run.blessed++;
		printf("# %s: rewritten\n", c->name);
	}
	free(text);
}
static void run_file(const char *path) {
	struct case_file c;
	char why[300], *name = case_name(path), *text = read_file(path);
	run.cases++;
	if (!text || case_parse(&c, path, name, text, why, sizeof why)) {
		tap(false, name, "reads", NULL, text ? why : strerror(errno));
		if (text)
			case_free(&c);
		free(name);
		return;
	}
	cover(&c);
	struct case_outcome *outcomes = calloc(run.engines_n, sizeof *outcomes);
	for (u32 e = 0; outcomes && e < run.engines_n; e++)
		judge(&c, e, &outcomes[e]);
	if (run.bless && outcomes)
		bless(&c, outcomes);
	for (u32 e = 0; outcomes && e < run.engines_n; e++)
		free(outcomes[e].log);
	free(outcomes);
	case_free(&c);
	free(name);
}
/* Rows that no program may run here: a case must say how they are refused. */
static bool runs_nowhere(enum bpf_op op) {
	return op == OP_CALLX || op == OP_LDDW_BTF_ID || op == OP_CALL_KFUNC;
}
static void completeness(void) {
	char missing[400] = "";
	u32 n = 0;
	for (int op = OP_BAD + 1; op < OP_COUNT; op++) {
		bool two_forms = op_rows[op].uses & FIELD_OPERAND;
		for (int form = 0; form < 2; form++) {
			u8 mark = two_forms ? run.covered[op][form] : MAX(run.covered[op][0], run.covered[op][1]);
			if (form > two_forms || mark >= (runs_nowhere(op) ? 1 : 2))
				continue;
			u32 used = strlen(missing);
			snprintf(missing + used, sizeof missing - used, " %s%s", op_rows[op].name,
			         !two_forms ? "" : form ? "/reg" : "/imm");
			n++;
		}
	}
	char detail[450];
	snprintf(detail, sizeof detail, "%u without a case:%s", n, missing);
	tap(!n, "every row of ops.def in every source form has a case", "", NULL, detail);
}
static bool option(int argc, char **argv, int *i) {
	const char *a = argv[*i];
	if (!strcmp(a, "--bless"))
		run.bless = true;
	else if (!strcmp(a, "--log"))
		run.log = true;
	else if (!strcmp(a, "--quiet"))
		run.quiet = true;
	else if (!strcmp(a, "--engine") && *i + 1 < argc) {
		const char *name = argv[++*i];
		u32 before = run.engines_n;
		for (u32 e = 0; e < ARRAY_SIZE(all_engines); e++)
			if (!strcmp(all_engines[e]->name, name) && run.engines_n < ENGINES)
				run.engines[run.engines_n++] = all_engines[e];
		return run.engines_n > before;
	} else
		return false;
	return true;
}
int main(int argc, char **argv) {
	bool all = true;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-') {
			add_path(argv[i]);
			all = false;
		} else if (!option(argc, argv, &i)) {
			fprintf(stderr, "run_cases: unknown option %s\n", argv[i]);
			return 2;
		}
	}
	if (all)
		add_path("test/cases");
	if (!run.engines_n) {
		memcpy(run.engines, all_engines, sizeof all_engines);
		run.engines_n = ARRAY_SIZE(all_engines);
	}
	for (u32 e = 0; e < run.engines_n; e++)
		run.missing[e] = run.engines[e]->missing();
	for (u32 i = 0; i < run.files.n; i++)
		run_file(run.files.at[i]);
	if (all && !run.bless)
		completeness();
	for (u32 e = 0; e < run.engines_n && !run.bless; e++)
		printf("# %s: %u of %u cases as expected, %u skipped%s%s\n", run.engines[e]->name, run.agreed[e], run.judged[e],
		       run.cases - run.judged[e], run.missing[e] ? ": " : "", run.missing[e] ? run.missing[e] : "");
	if (run.bless)
		printf("# %u of %u cases rewritten; look at the difference\n", run.blessed, run.cases);
	else
		printf("1..%u\n", run.tests);
	for (u32 i = 0; i < run.files.n; i++)
		free(run.files.at[i]);
	vec_free(&run.files);
	return run.failed != 0;
}
