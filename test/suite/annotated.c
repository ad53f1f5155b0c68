/* The kernel's annotated verifier tests: skep's verdict beside the annotation's and the running kernel's.
 *
 *     annotated [--known FILE] [--not-yet N] [--all] [--verbose] OBJECT.bpf.o…
 *
 * Each test function of an object carries declaration tags that say what is expected of it: success or failure, lines of
 * the log, the value of a test run. The object is loaded twice with skep's loader, once into an engine and once into the
 * kernel; BPF_PROG_LOAD gets the flags and the log level of the test on its way.
 *
 * Tests that say what is expected of an unprivileged loader are done once more, as «program/u», by callers without
 * CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, where kernel.unprivileged_bpf_disabled is 0 or can be set to 0 for the time: what
 * the annotations say of them is older than the kernel's barriers against speculation.
 *
 * Who is right. The kernel, where it may judge: it is newer than the suite. Where it may not (no bpf(), types of programs
 * that it refuses before it looks at them) the annotation is.
 *
 * Programs that use what our verifier says it does not understand yet are counted apart, at most --not-yet of them. All other
 * differences are failures unless listed in --known, one a line as «object program kind»; so is a known one that is gone.
 * Kinds: verdict, accepted (we accept, the reference refuses: never a known one), message, log, result,
 * object (it cannot be opened; program «-»). --all prints what is known or not yet there as well. */
#include "btf/btf.h"
#include "judge.h"
#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERNS = 64, TEST_BYTES = 64, INT_MIN_ = -2147483647 - 1, POINTER = 0xcafe4a11 };

/* == What a test expects == */

struct expectation {
	bool stated, judged, fails, runs;
	s32 result;
	const char *pattern[PATTERNS];
	u32 patterns;
};
struct test {
	const char *name;
	char shown[96]; /* name, or «name/u» */
	bool annotated, auxiliary, elsewhere, unpriv;
	u32 flags, level;
	struct expectation says, unpriv_says; /* the tags */
	struct expectation want;              /* of this run */
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

/* A tag whose name ends in suffix, if it is one of those that say what is expected. */
static bool read_expectation(struct expectation *x, const char *tag, const char *suffix) {
	char name[64];
	const char *rest;
	snprintf(name, sizeof name, "test_expect_failure%s", suffix);
	if (!strcmp(tag, name))
		return x->stated = x->judged = x->fails = true;
	snprintf(name, sizeof name, "test_expect_success%s", suffix);
	if (!strcmp(tag, name))
		return x->stated = x->judged = true;
	snprintf(name, sizeof name, "test_expect_msg%s=", suffix);
	if (tag_is(tag, name, &rest) && (rest = strchr(rest, '=')) && x->patterns < PATTERNS) {
		x->pattern[x->patterns++] = rest + 1;
		return x->stated = true;
	}
	snprintf(name, sizeof name, "test_retval%s=", suffix);
	if (!tag_is(tag, name, &rest))
		return false;
	x->result = result_named(rest);
	x->stated |= *suffix != 0; /* alone, only that of the unprivileged asks for a run */
	return x->runs = true;
}

static void read_tag(struct test *t, const char *tag) {
	const char *rest;
	if (read_expectation(&t->says, tag, "") || read_expectation(&t->unpriv_says, tag, "_unpriv"))
		t->annotated = t->says.stated || t->unpriv_says.stated;
	else if (!strcmp(tag, "test_auxiliary"))
		t->auxiliary = true;
	else if (tag_is(tag, "test_log_level=", &rest))
		t->level = (u32)strtoul(rest, NULL, 0);
	else if (tag_is(tag, "test_prog_flags=", &rest))
		t->flags = *rest == '!' ? t->flags & ~flag_named(rest + 1) : t->flags | flag_named(rest);
	else if (tag_is(tag, "test_arch=", &rest))
		t->elsewhere |= strcmp(rest, "X86_64") != 0;
}
/* What the tags for the unprivileged do not say is as for the privileged. */
static struct test for_loader(const struct test *t, bool unpriv) {
	struct test to = *t;
	struct expectation *x = &to.want;
	to.unpriv = unpriv;
	snprintf(to.shown, sizeof to.shown, "%s%s", t->name, unpriv ? "/u" : "");
	*x = unpriv ? t->unpriv_says : t->says;
	if (!x->judged)
		x->fails = t->says.fails;
	if (!x->runs)
		x->runs = t->says.runs, x->result = t->says.result;
	if (!x->patterns) {
		memcpy(x->pattern, t->says.pattern, sizeof x->pattern);
		x->patterns = t->says.patterns;
	}
	return to;
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
static const char *missing_pattern(const struct expectation *x, const char *log) {
	for (u32 i = 0; i < x->patterns; i++)
		if (!pattern_find(x->pattern[i], &log))
			return x->pattern[i];
	return NULL;
}
/* == Loading == */

/* One test, by one judge. Returns the object, to be closed by the caller; NULL when the object cannot be loaded. */
static struct skep_object *ask_once(struct judge *j, const char *path, const struct test *t) {
	struct skep_object *o = judge_open(j, path);
	if (!o)
		return NULL;
	for (struct skep_program *p = NULL; (p = skep_object__next_program(o, p));)
		if (strcmp(skep_program__name(p), t->name) && test_of(skep_object__btf(o), skep_program__name(p)).auxiliary)
			skep_program__load(p, NULL);
	j->flags = t->flags, j->level = MAX(t->level, 1u);
	judge_program(j, skep_object__find_program(o, t->name));
	return o;
}
/* Some have maps that the unprivileged cannot make, for other tests: then only the program is loaded without capabilities. */
static struct skep_object *ask(struct judge *j, const char *path, const struct test *t) {
	j->maps_too = true;
	struct skep_object *o = ask_once(j, path, t);
	if (o || !j->unpriv)
		return o;
	j->maps_too = false;
	return ask_once(j, path, t);
}

static bool run(const struct judge *j, s32 *result) {
	u8 in[TEST_BYTES] = {0}, out[4 * TEST_BYTES];
	union bpf_attr attr = {.test = {.prog_fd = (u32)j->verdict, .data_in = (u64)(uintptr_t)in, .data_size_in = sizeof in,
	                                .data_out = (u64)(uintptr_t)out, .data_size_out = sizeof out, .repeat = 1}};
	s64 r = judge_bpf(j, BPF_PROG_TEST_RUN, &attr, sizeof attr);
	if (r == -EINVAL) { /* programs that take no data */
		attr = (union bpf_attr){.test = {.prog_fd = (u32)j->verdict}};
		r = judge_bpf(j, BPF_PROG_TEST_RUN, &attr, sizeof attr);
	}
	*result = (s32)attr.test.retval;
	return r >= 0;
}

/* == Comparing == */

enum kind { KIND_VERDICT, KIND_ACCEPTED, KIND_MESSAGE, KIND_LOG, KIND_RESULT, KIND_OBJECT, KINDS };
static const char *const kind_names[KINDS] = {"verdict", "accepted", "message", "log", "result", "object"};
static struct {
	struct known_list *known;
	bool all, verbose;
	u32 tests, judged, unjudged, differ[KINDS], of[KINDS], not_yet, new_ones, elsewhere;
} sum;

static void differs(const char *object, const struct test *t, enum kind kind, const char *ours, const char *theirs) {
	bool known = known_has(sum.known, object, t->shown, kind_names[kind]);
	sum.differ[kind]++;
	sum.new_ones += !known;
	if (!known || sum.all)
		printf("# %s %s %s%s\n#   skep:      %s\n#   reference: %s\n", object, t->shown, kind_names[kind],
		       known ? " (known)" : "", ours, theirs);
}
static void compare(const char *object, const struct test *t, const struct judge *ours, const struct judge *kernel) {
	bool judged = kernel && judge_has_judged(kernel), fails = judged ? kernel->verdict < 0 : t->want.fails, fail = ours->verdict < 0;
	char a[512], b[512], line[400], other[400];
	sum.judged += judged;
	words_of(ours, a, sizeof a);
	if (ours->verdict == -EOPNOTSUPP) {
		sum.not_yet++;
		if (sum.all)
			printf("# %s %s not yet: %s\n", object, t->shown, a);
		return;
	}
	if (judged)
		words_of(kernel, b, sizeof b);
	else
		snprintf(b, sizeof b, "%s, by the annotation", t->want.fails ? "refused" : "accepted");
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
	if (t->want.patterns) {
		const char *missing = missing_pattern(&t->want, ours->log);
		sum.of[KIND_LOG]++;
		if (missing && !(judged && missing_pattern(&t->want, kernel->log)))
			differs(object, t, KIND_LOG, "its log does not have the line", missing);
	}
	struct engine_problem problem;
	s32 here, there = t->want.result;
	if (t->want.runs && !fail) {
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
		if (!ran || (here != there && t->want.result != (s32)POINTER))
			differs(object, t, KIND_RESULT, a, b);
	}
}

/* kernel.unprivileged_bpf_disabled, set to 0 for the time where that is possible. */
static const char sysctl_path[] = "/proc/sys/kernel/unprivileged_bpf_disabled";
static char sysctl_before;
static bool sysctl_set(char to) {
	FILE *f = fopen(sysctl_path, "we");
	bool done = f && fputc(to, f) != EOF;
	return f && !fclose(f) && done;
}
static void sysctl_restore(void) {
	sysctl_set(sysctl_before);
}
static void stop(int signal_number) {
	exit(2);
}
/* Asked before each test: somebody else may have set it back. */
static bool unpriv_enabled(void) {
	FILE *f = fopen(sysctl_path, "re");
	int c = f ? fgetc(f) : EOF;
	if (f)
		fclose(f);
	if (c != '2' || !sysctl_set('0'))
		return c == '0';
	if (!sysctl_before) {
		sysctl_before = (char)c;
		atexit(sysctl_restore);
		signal(SIGINT, stop), signal(SIGTERM, stop);
	}
	return true;
}

static const struct btf *kernel_types;
static char *logs[2];

static void one_test(const char *path, const char *object, const struct test *t, bool has_kernel) {
	struct engine_opts opts = {.size = sizeof opts, .backing = BACKING_ANONYMOUS, .kernel_btf = kernel_types};
	struct judge ours = {.log = logs[0], .unpriv = t->unpriv}, kernel = {.log = logs[1], .unpriv = t->unpriv};
	if (engine_create(&opts, &ours.engine))
		return;
	struct skep_object *o = ask(&ours, path, t), *k = has_kernel ? ask(&kernel, path, t) : NULL;
	sum.tests++;
	compare(object, t, &ours, k ? &kernel : NULL);
	if (sum.verbose)
		printf("%s %s\n%s\n", object, t->shown, ours.log);
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
	object_name(path, object, sizeof object);
	if (skep_object__open_file(path, &opts, &o)) {
		sum.differ[KIND_OBJECT]++;
		if (!known_has(sum.known, object, "-", "object"))
			printf("# %s - object: it cannot be opened\n", object), sum.new_ones++;
		return;
	}
	sum.of[KIND_OBJECT]++;
	for (struct skep_program *p = NULL; (p = skep_object__next_program(o, p));) {
		struct test t = test_of(skep_object__btf(o), skep_program__name(p));
		sum.elsewhere += t.annotated && t.elsewhere;
		bool unpriv = t.unpriv_says.stated, priv = t.says.stated || !unpriv;
		struct test as = for_loader(&t, false), as_unpriv = for_loader(&t, true);
		if (t.annotated && !t.elsewhere && priv)
			one_test(path, object, &as, has_kernel);
		bool may_judge = has_kernel && unpriv && unpriv_enabled();
		if (t.annotated && !t.elsewhere && may_judge)
			one_test(path, object, &as_unpriv, true);
		else if (t.annotated && !t.elsewhere && unpriv)
			sum.unjudged++;
		fflush(stdout);
	}
	skep_object__close(o);
}

int main(int argc, char **argv) {
	u32 not_yet = ~0u;
	bool has_kernel = judge_has_kernel();
	struct btf *types = NULL;
	btf_read_file(NULL, NULL, 0, NULL, &types);
	kernel_types = types;
	logs[0] = malloc(JUDGE_LOG), logs[1] = malloc(JUDGE_LOG);
	if (!logs[0] || !logs[1])
		return 2;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--known") && i + 1 < argc)
			sum.known = known_read(argv[++i]);
		else if (!strcmp(argv[i], "--not-yet") && i + 1 < argc)
			not_yet = (u32)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--all"))
			sum.all = true;
		else if (!strcmp(argv[i], "--verbose"))
			sum.verbose = true;
		else
			one_object(argv[i], has_kernel);
	}
	sum.new_ones += known_left(sum.known, sum.unjudged ? "/u" : NULL);
	printf("%s 1 - annotated tests: as the reference, but for the known differences\n", sum.new_ones ? "not ok" : "ok");
	printf("%s 2 - %u of them use what is not understood yet\n", sum.not_yet > not_yet ? "not ok" : "ok", sum.not_yet);
	printf("ok 3 - tests of unprivileged loaders%s\n1..3\n",
	       sum.unjudged ? " # SKIP this kernel does not let the unprivileged load programs" : "");
	printf("# %u tests (%u of other machines left out), %u judged by the kernel", sum.tests, sum.elsewhere, sum.judged);
	for (u32 i = 0; i < KINDS; i++)
		printf("; %s: %u of %u differ", kind_names[i], sum.differ[i], sum.of[i]);
	printf("\n");
	return sum.new_ones || sum.not_yet > not_yet;
}
