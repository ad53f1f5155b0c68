/* The kernel's annotated verifier tests: skep's verdict beside the annotation's and the running kernel's.
 *
 *     annotated [--known FILE] [--not-yet N] [--all] [--verbose] OBJECT.bpf.o…
 *
 * Each test function of an object carries declaration tags that say what is expected of it: success or failure, lines of
 * the log, the value of a test run. The object is loaded twice with skep's loader, once into an engine and once into the
 * kernel; BPF_PROG_LOAD gets the flags and the log level of the test on its way.
 *
 * Who is right. The kernel, where it may judge: it is newer than the suite. Where it may not (no bpf(), types of programs
 * that it refuses before it looks at them) the annotation is.
 *
 * Programs that use what our verifier says it does not understand yet are counted apart, at most --not-yet of them. All other
 * differences are failures unless listed in --known, one a line as «object program kind»; so is a known one that is gone.
 * Kinds: verdict, accepted (we accept, the reference refuses: never a known one), message, log, result,
 * object (it cannot be opened; program «-»). --all prints what is known or not yet there as well. */
#include "abi/uapi.h"
#include "base/base.h"
#include "btf/btf.h"
#include "runtime/engine.h"
#include "skep/skep.h"
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOG_ROOM = 8 << 20, PATTERNS = 64, TEST_BYTES = 64, INT_MIN_ = -2147483647 - 1, POINTER = 0xcafe4a11 };

/* == What a test expects == */

struct test {
	const char *name;
	bool annotated, auxiliary, fails, elsewhere, runs;
	u32 flags, level;
	s32 result;
	const char *pattern[PATTERNS];
	u32 patterns;
};

static bool tag_is(const char *tag, const char *name, const char **rest) {
	size_t n = strlen(name);
	if (strncmp(tag, name, n))
		return false;
	*rest = tag + n;
	return true;
}
static u32 flag_named(const char *name) {
	static const struct {
		const char *name;
		u32 flag;
	} flags[] = {{"BPF_F_STRICT_ALIGNMENT", BPF_F_STRICT_ALIGNMENT}, {"BPF_F_ANY_ALIGNMENT", BPF_F_ANY_ALIGNMENT},
	             {"BPF_F_TEST_RND_HI32", BPF_F_TEST_RND_HI32}, {"BPF_F_TEST_STATE_FREQ", BPF_F_TEST_STATE_FREQ},
	             {"BPF_F_SLEEPABLE", BPF_F_SLEEPABLE}, {"BPF_F_XDP_HAS_FRAGS", BPF_F_XDP_HAS_FRAGS},
	             {"BPF_F_TEST_REG_INVARIANTS", BPF_F_TEST_REG_INVARIANTS}};
	for (u32 i = 0; i < ARRAY_SIZE(flags); i++)
		if (!strcmp(flags[i].name, name))
			return flags[i].flag;
	return (u32)strtoul(name, NULL, 0);
}
static s32 result_named(const char *text) {
	if (!strcmp(text, "INT_MIN"))
		return INT_MIN_;
	if (!strcmp(text, "POINTER_VALUE"))
		return (s32)POINTER;
	if (!strcmp(text, "TEST_DATA_LEN"))
		return TEST_BYTES;
	return (s32)strtoll(text, NULL, 0);
}

static void read_tag(struct test *t, const char *tag) {
	const char *rest;
	if (!strcmp(tag, "test_expect_failure"))
		t->annotated = t->fails = true;
	else if (!strcmp(tag, "test_expect_success"))
		t->annotated = true;
	else if (!strcmp(tag, "test_auxiliary"))
		t->auxiliary = true;
	else if (tag_is(tag, "test_expect_msg=", &rest) && (rest = strchr(rest, '=')) && t->patterns < PATTERNS)
		t->annotated = true, t->pattern[t->patterns++] = rest + 1;
	else if (tag_is(tag, "test_retval=", &rest))
		t->runs = true, t->result = result_named(rest);
	else if (tag_is(tag, "test_log_level=", &rest))
		t->level = (u32)strtoul(rest, NULL, 0);
	else if (tag_is(tag, "test_prog_flags=", &rest))
		t->flags = *rest == '!' ? t->flags & ~flag_named(rest + 1) : t->flags | flag_named(rest);
	else if (tag_is(tag, "test_arch=", &rest))
		t->elsewhere |= strcmp(rest, "X86_64") != 0;
}
static struct test test_of(const struct btf *btf, const char *name) {
	struct test t = {.name = name};
	const char *tag;
	u32 func = btf_find(btf, name, BTF_KIND_FUNC);
	for (u32 id = 0; func && (id = btf_decl_tag_next(btf, func, -1, "comment:", id, &tag));)
		read_tag(&t, tag);
	return t;
}

/* == The log == */

/* «text {{regular expression}} text» as an expression of its own. */
static bool pattern_find(const char *pattern, const char **at) {
	char buf[512];
	u32 n = 0;
	regex_t re;
	regmatch_t m;
	bool inside = false;
	if (!strstr(pattern, "{{")) {
		const char *found = strstr(*at, pattern);
		*at = found ? found + strlen(pattern) : *at;
		return found;
	}
	for (const char *p = pattern; *p && n < sizeof buf - 2; p++) {
		if (!strncmp(p, inside ? "}}" : "{{", 2)) {
			inside = !inside, p++;
			continue;
		}
		if (!inside && strchr(".[]\\()*+?{}|^$", *p))
			buf[n++] = '\\';
		buf[n++] = *p;
	}
	buf[n] = 0;
	if (regcomp(&re, buf, REG_EXTENDED | REG_NEWLINE))
		return false;
	bool found = !regexec(&re, *at, 1, &m, 0);
	*at += found ? m.rm_eo : 0;
	regfree(&re);
	return found;
}
/* The first pattern that the log does not have behind those before it, or NULL. */
static const char *missing_pattern(const struct test *t, const char *log) {
	for (u32 i = 0; i < t->patterns; i++)
		if (!pattern_find(t->pattern[i], &log))
			return t->pattern[i];
	return NULL;
}
/* The line that says why: the last one that is not about statistics. */
static void last_line(const char *log, char *to, u32 room) {
	static const char *const statistics[] = {"processed ", "verification time", "stack depth", "peak_states"};
	to[0] = 0;
	for (const char *line = log; *line;) {
		u32 n = (u32)strcspn(line, "\n"), skip = !n;
		for (u32 i = 0; i < ARRAY_SIZE(statistics); i++)
			skip |= !strncmp(line, statistics[i], strlen(statistics[i]));
		if (!skip)
			snprintf(to, room, "%.*s", (int)n, line);
		line += n + (line[n] != 0);
	}
}

/* == Loading == */

struct judge {
	struct skep_engine *engine; /* NULL: the kernel */
	const struct test *test;    /* whose program is being loaded; NULL: another's */
	char *log;
	bool asked;
	s64 verdict; /* of BPF_PROG_LOAD */
};

static s64 bpf_of(const struct judge *j, u32 cmd, union bpf_attr *attr, u32 size) {
	if (j->engine)
		return skep_bpf(j->engine, cmd, attr, size);
	long r = syscall(SYS_bpf, cmd, attr, size);
	return r < 0 ? -errno : r;
}
static int64_t judge_bpf(void *owner, unsigned cmd, void *attr_, unsigned size) {
	struct judge *j = owner;
	union bpf_attr *attr = attr_;
	if (cmd != BPF_PROG_LOAD || !j->test)
		return bpf_of(j, cmd, attr, size);
	union bpf_attr asked = {0};
	memcpy(&asked, attr, MIN(size, (u32)sizeof asked));
	asked.prog_flags |= j->test->flags;
	asked.log_level = MAX(j->test->level, 1u);
	asked.log_buf = (u64)(uintptr_t)j->log, asked.log_size = LOG_ROOM;
	j->log[0] = 0;
	j->asked = true;
	return j->verdict = bpf_of(j, cmd, &asked, MIN((u32)sizeof asked, size));
}
static void quiet(void *owner, const struct skep_diagnostic *d) {
	char *to = owner;
	if (!d->level)
		snprintf(to, 256, "%s", d->sentence);
}

/* One test, by one judge. Returns the object, to be closed by the caller; NULL when the object cannot be loaded. */
static struct skep_object *ask(struct judge *j, const char *path, const struct test *t, char *why) {
	struct skep_object_opts opts = {.size = sizeof opts, .bpf = judge_bpf, .bpf_owner = j, .diagnostic = quiet,
	                                .diagnostic_owner = why};
	struct skep_object *o;
	struct skep_program *p;
	why[0] = 0, j->asked = false, j->test = NULL, j->verdict = -EINVAL, j->log[0] = 0;
	if (skep_object__open_file(path, &opts, &o))
		return NULL;
	for (p = NULL; (p = skep_object__next_program(o, p));)
		skep_program__set_autoload(p, false);
	if (skep_object__load(o, NULL)) {
		skep_object__close(o);
		return NULL;
	}
	for (p = NULL; (p = skep_object__next_program(o, p));)
		if (strcmp(skep_program__name(p), t->name) && test_of(skep_object__btf(o), skep_program__name(p)).auxiliary)
			skep_program__load(p, NULL);
	j->test = t;
	skep_program__load(skep_object__find_program(o, t->name), NULL);
	j->test = NULL;
	return o;
}
/* EPERM without a word, or but for the statistics: it did not look at the program. */
static bool has_judged(const struct judge *j) {
	bool looked = j->log[0] && strncmp(j->log, "processed 0 insns", 17);
	return j->asked && !(j->verdict == -EPERM && !looked) && j->verdict != -EBUSY;
}

static bool run(const struct judge *j, s32 *result) {
	u8 in[TEST_BYTES] = {0}, out[4 * TEST_BYTES];
	union bpf_attr attr = {.test = {.prog_fd = (u32)j->verdict, .data_in = (u64)(uintptr_t)in, .data_size_in = sizeof in,
	                                .data_out = (u64)(uintptr_t)out, .data_size_out = sizeof out, .repeat = 1}};
	s64 r = bpf_of(j, BPF_PROG_TEST_RUN, &attr, sizeof attr);
	if (r == -EINVAL) { /* programs that take no data */
		attr = (union bpf_attr){.test = {.prog_fd = (u32)j->verdict}};
		r = bpf_of(j, BPF_PROG_TEST_RUN, &attr, sizeof attr);
	}
	*result = (s32)attr.test.retval;
	return r >= 0;
}

/* == Comparing == */

enum kind { KIND_VERDICT, KIND_ACCEPTED, KIND_MESSAGE, KIND_LOG, KIND_RESULT, KIND_OBJECT, KINDS };
static const char *const kind_names[KINDS] = {"verdict", "accepted", "message", "log", "result", "object"};
struct known {
	char object[64], program[96], kind[16];
	bool met;
};
static struct {
	struct known *known;
	u32 known_n;
	bool all, verbose;
	u32 tests, judged, differ[KINDS], of[KINDS], not_yet, new_ones, elsewhere;
} sum;

static void read_known(const char *path) {
	FILE *f = fopen(path, "re");
	char line[512];
	struct known k;
	while (f && fgets(line, sizeof line, f)) {
		memset(&k, 0, sizeof k);
		if (line[0] == '#' || sscanf(line, "%63s %95s %15s", k.object, k.program, k.kind) != 3)
			continue;
		sum.known = realloc(sum.known, (sum.known_n + 1) * sizeof k);
		sum.known[sum.known_n++] = k;
	}
	if (f)
		fclose(f);
}
static bool is_known(const char *object, const char *program, enum kind kind) {
	for (u32 i = 0; i < sum.known_n; i++) {
		struct known *k = &sum.known[i];
		if (!strcmp(k->object, object) && !strcmp(k->program, program) && !strcmp(k->kind, kind_names[kind]))
			return k->met = true;
	}
	return false;
}
static void differs(const char *object, const struct test *t, enum kind kind, const char *ours, const char *theirs) {
	bool known = is_known(object, t->name, kind);
	sum.differ[kind]++;
	sum.new_ones += !known;
	if (!known || sum.all)
		printf("# %s %s %s%s\n#   skep:      %s\n#   reference: %s\n", object, t->name, kind_names[kind],
		       known ? " (known)" : "", ours, theirs);
}
static void words_of(s64 verdict, const char *log, char *to) {
	char line[400];
	last_line(log, line, sizeof line);
	snprintf(to, 512, "%s: %s", verdict >= 0 ? "accepted" : strerror((int)-verdict), line);
}

static void compare(const char *object, const struct test *t, const struct judge *ours, const char *our_why,
                    const struct judge *kernel) {
	bool judged = kernel && has_judged(kernel), fails = judged ? kernel->verdict < 0 : t->fails, fail = ours->verdict < 0;
	char a[512], b[512], line[400], other[400];
	sum.judged += judged;
	words_of(ours->verdict, ours->log[0] ? ours->log : our_why, a);
	if (ours->verdict == -EOPNOTSUPP) {
		sum.not_yet++;
		if (sum.all)
			printf("# %s %s not yet: %s\n", object, t->name, a);
		return;
	}
	if (judged)
		words_of(kernel->verdict, kernel->log, b);
	else
		snprintf(b, sizeof b, "%s, by the annotation", t->fails ? "refused" : "accepted");
	sum.of[KIND_VERDICT]++, sum.of[KIND_ACCEPTED]++;
	if (fail != fails) {
		differs(object, t, fail ? KIND_VERDICT : KIND_ACCEPTED, a, b);
		return;
	}
	if (fail && judged) {
		last_line(ours->log, line, sizeof line), last_line(kernel->log, other, sizeof other);
		sum.of[KIND_MESSAGE]++;
		if (strcmp(line, other))
			differs(object, t, KIND_MESSAGE, line, other);
	}
	if (t->patterns) {
		const char *missing = missing_pattern(t, ours->log);
		sum.of[KIND_LOG]++;
		if (missing && !(judged && missing_pattern(t, kernel->log)))
			differs(object, t, KIND_LOG, "its log does not have the line", missing);
	}
	struct engine_problem problem;
	s32 here, there = t->result;
	if (t->runs && !fail) {
		bool ran = run(ours, &here);
		if (judged && !run(kernel, &there))
			return;
		sum.of[KIND_RESULT]++;
		if (ran)
			snprintf(a, sizeof a, "%d", here);
		else
			snprintf(a, sizeof a, "did not run: %.480s",
			         engine_explain(ours->engine, &problem) ? problem.sentence : "no reason given");
		snprintf(b, sizeof b, "%d", there);
		if (!ran || (here != there && t->result != (s32)POINTER))
			differs(object, t, KIND_RESULT, a, b);
	}
}

static const struct btf *kernel_types;
static char *logs[2];

static void one_test(const char *path, const char *object, const struct test *t, bool has_kernel) {
	struct engine_opts opts = {.size = sizeof opts, .backing = BACKING_ANONYMOUS, .kernel_btf = kernel_types};
	struct judge ours = {.log = logs[0]}, kernel = {.log = logs[1]};
	char why[256], kernel_why[256];
	if (engine_create(&opts, &ours.engine))
		return;
	struct skep_object *o = ask(&ours, path, t, why), *k = has_kernel ? ask(&kernel, path, t, kernel_why) : NULL;
	sum.tests++;
	compare(object, t, &ours, why, k ? &kernel : NULL);
	if (sum.verbose)
		printf("%s %s\n%s\n", object, t->name, ours.log);
	if (k)
		skep_object__close(k);
	if (o)
		skep_object__close(o);
	engine_destroy(ours.engine);
}

static void one_object(const char *path, bool has_kernel) {
	struct skep_object_opts opts = {.size = sizeof opts};
	struct skep_object *o;
	char object[64];
	const char *slash = strrchr(path, '/');
	snprintf(object, sizeof object, "%.*s", (int)strcspn(slash ? slash + 1 : path, "."), slash ? slash + 1 : path);
	if (skep_object__open_file(path, &opts, &o)) {
		sum.differ[KIND_OBJECT]++;
		if (!is_known(object, "-", KIND_OBJECT))
			printf("# %s - object: it cannot be opened\n", object), sum.new_ones++;
		return;
	}
	sum.of[KIND_OBJECT]++;
	for (struct skep_program *p = NULL; (p = skep_object__next_program(o, p));) {
		struct test t = test_of(skep_object__btf(o), skep_program__name(p));
		sum.elsewhere += t.annotated && t.elsewhere;
		if (t.annotated && !t.elsewhere)
			one_test(path, object, &t, has_kernel);
		fflush(stdout);
	}
	skep_object__close(o);
}

int main(int argc, char **argv) {
	union bpf_attr nothing = {0};
	u32 not_yet = ~0u;
	bool has_kernel = syscall(SYS_bpf, BPF_MAP_CREATE, &nothing, sizeof nothing) < 0 && errno == EINVAL;
	struct btf *types = NULL;
	btf_read_file(NULL, NULL, 0, NULL, &types);
	kernel_types = types;
	logs[0] = malloc(LOG_ROOM), logs[1] = malloc(LOG_ROOM);
	if (!logs[0] || !logs[1])
		return 2;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--known") && i + 1 < argc)
			read_known(argv[++i]);
		else if (!strcmp(argv[i], "--not-yet") && i + 1 < argc)
			not_yet = (u32)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--all"))
			sum.all = true;
		else if (!strcmp(argv[i], "--verbose"))
			sum.verbose = true;
		else
			one_object(argv[i], has_kernel);
	}
	for (u32 i = 0; i < sum.known_n; i++)
		if (!sum.known[i].met)
			sum.new_ones++, printf("# %s %s %s: known, but it does not differ any more\n", sum.known[i].object,
			                       sum.known[i].program, sum.known[i].kind);
	printf("%s 1 - annotated tests: as the reference, but for the known differences\n", sum.new_ones ? "not ok" : "ok");
	printf("%s 2 - %u of them use what is not understood yet\n1..2\n", sum.not_yet > not_yet ? "not ok" : "ok", sum.not_yet);
	printf("# %u tests (%u of other machines left out), %u judged by the kernel", sum.tests, sum.elsewhere, sum.judged);
	for (u32 i = 0; i < KINDS; i++)
		printf("; %s: %u of %u differ", kind_names[i], sum.differ[i], sum.of[i]);
	printf("\n");
	return sum.new_ones || sum.not_yet > not_yet;
}
