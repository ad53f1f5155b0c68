/* Programs that others have written: skep's verdict beside the running kernel's, object by object.
 *
 *     corpus [--known FILE] [--not-yet N] [--all] [--list] [--time ROUNDS] OBJECT.bpf.o…
 *
 * Each object is opened twice with skep's loader, once into an engine that is given this kernel's types and configuration
 * and once into the kernel; each of its programs is loaded by both. A program that the kernel does not look at (a type
 * that it refuses as such, something to attach to that it does not have) is counted and left out.
 *
 * Programs that use what our verifier says it does not understand yet are counted apart, at most --not-yet of them; their
 * verdicts count as different where the kernel accepts. Other differences of verdict and of first message are failures unless listed in --known, as «ORIGIN/NAME program kind»; so is a
 * known one that is gone. Kinds: verdict, accepted (we accept, the kernel refuses: never a known one without its reason),
 * message, object (one of them cannot load its maps; program «-»). Of the instructions processed only the share is asked for
 * that lies within a tenth of the kernel's: --all names the others.
 *
 * --list prints a line for each program, --time measures: every program that both accept is loaded ROUNDS times by each, in
 * turn and without a log, all of BPF_PROG_LOAD, in processor time; with the totals of the rounds (median, lowest, highest),
 * the ratio of the fastest rounds, and the objects at which we are slowest beside the kernel. */
#include "btf/btf.h"
#include "judge.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { ROUNDS_MAX = 16, SLOWEST = 5 };
enum kind { KIND_VERDICT, KIND_ACCEPTED, KIND_MESSAGE, KIND_OBJECT, KINDS };
static const char *const kind_names[KINDS] = {"verdict", "accepted", "message", "object"};

struct timed {
	char object[96];
	double ours, kernel; /* the fastest rounds of its programs, summed up, in ms */
};
static struct {
	struct known_list *known;
	bool all, list;
	u32 rounds, not_yet_most;
	u32 objects, programs, judged, not_yet, both, near, exact, differ[KINDS], new_ones;
	u64 ours, kernel, memory; /* instructions; most bytes for one program */
	double round[2][ROUNDS_MAX];
	struct timed slowest[SLOWEST + 1], sums;
} sum = {.not_yet_most = ~0u};
static const struct btf *kernel_types;
static char *logs[2];

static void differs(const char *object, const char *program, enum kind kind, const char *ours, const char *theirs) {
	bool known = known_has(sum.known, object, program, kind_names[kind]);
	sum.differ[kind]++;
	sum.new_ones += !known;
	if (!known || sum.all)
		printf("# %s %s %s%s\n#   skep:   %s\n#   kernel: %s\n", object, program, kind_names[kind],
		       known ? " (known)" : "", ours, theirs);
}

/* == Time == */

static double load_ms(const struct judge *j) {
	union bpf_attr attr = j->attr;
	struct timespec t0, t1;
	attr.log_level = 0, attr.log_buf = 0, attr.log_size = 0;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	s64 fd = judge_bpf(j, BPF_PROG_LOAD, &attr, sizeof attr);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	if (fd >= 0)
		close((int)fd);
	return (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
}
static int ascending(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}
static void measure(const struct judge *ours, const struct judge *kernel, struct timed *t) {
	double times[2][ROUNDS_MAX];
	for (u32 i = 0; i < sum.rounds; i++) {
		sum.round[0][i] += times[0][i] = load_ms(ours);
		sum.round[1][i] += times[1][i] = load_ms(kernel);
	}
	for (u32 i = 0; i < 2 && sum.rounds; i++)
		qsort(times[i], sum.rounds, sizeof times[i][0], ascending);
	t->ours += sum.rounds ? times[0][0] : 0;
	t->kernel += sum.rounds ? times[1][0] : 0;
}
static double slowness(const struct timed *t) {
	return t->kernel > 0 ? t->ours / t->kernel : 0;
}
static void note_time(const struct timed *t) {
	struct timed *at = &sum.slowest[SLOWEST];
	sum.sums.ours += t->ours, sum.sums.kernel += t->kernel;
	for (*at = *t; at > sum.slowest && slowness(at) > slowness(at - 1); at--) {
		struct timed other = at[-1];
		at[-1] = at[0], at[0] = other;
	}
}

/* == One program == */

static u64 processed(const struct judge *j) {
	const char *at = strstr(j->log, "processed ");
	for (const char *next; at && (next = strstr(at + 1, "\nprocessed "));)
		at = next + 1;
	return at ? strtoull(at + 10, NULL, 10) : 0;
}

static void compare_accepted(const char *object, const char *program, const struct judge *ours,
                             const struct judge *kernel) {
	const struct engine_verdict *verdict = engine_last_verdict(ours->engine);
	u64 a = processed(ours), b = processed(kernel);
	sum.memory = MAX(sum.memory, verdict ? verdict->stats.memory : 0);
	bool near = a * 10 <= b * 11 && a * 10 >= b * 9;
	sum.both++, sum.near += near, sum.exact += a == b;
	sum.ours += a, sum.kernel += b;
	if (!near && sum.all)
		printf("# %s %s insns: skep %llu, kernel %llu\n", object, program, (unsigned long long)a, (unsigned long long)b);
}

static void compare(const char *object, const char *program, const struct judge *ours, const struct judge *kernel) {
	char a[512], b[512];
	bool fail = ours->verdict < 0, fails = kernel->verdict < 0;
	words_of(ours, a, sizeof a), words_of(kernel, b, sizeof b);
	if (sum.list)
		printf("%s %s: %llu %llu\n  %s\n  %s\n", object, program, (unsigned long long)processed(ours),
		       (unsigned long long)processed(kernel), a, b);
	sum.programs++;
	if (!judge_has_judged(kernel)) {
		if (ours->asked && !kernel->asked) /* the loader may know less for the kernel, never more */
			differs(object, program, KIND_OBJECT, a, b);
		return;
	}
	sum.judged++;
	if (ours->verdict == -EOPNOTSUPP) {
		sum.not_yet++, sum.differ[KIND_VERDICT] += !fails;
		if (sum.all)
			printf("# %s %s not yet: %s\n", object, program, a);
		return;
	}
	if (fail != fails)
		differs(object, program, fail ? KIND_VERDICT : KIND_ACCEPTED, a, b);
	else if (fail && strcmp(a, b))
		differs(object, program, KIND_MESSAGE, a, b);
	else if (!fail)
		compare_accepted(object, program, ours, kernel);
}

/* == One object == */

static void both_objects(const char *name, struct judge *ours, struct judge *kernel, struct skep_object *o,
                         struct skep_object *k) {
	struct timed t = {0};
	snprintf(t.object, sizeof t.object, "%s", name);
	sum.objects++;
	for (struct skep_program *p = NULL, *q = NULL; (p = skep_object__next_program(o, p));) {
		q = skep_object__next_program(k, q);
		judge_program(ours, p);
		judge_program(kernel, q);
		compare(name, skep_program__name(p), ours, kernel);
		if (ours->verdict >= 0 && kernel->verdict >= 0)
			measure(ours, kernel, &t);
	}
	note_time(&t);
}

static void one_object(const char *path, const char *kconfig) {
	struct engine_opts opts = {.size = sizeof opts, .backing = BACKING_ANONYMOUS, .kernel_btf = kernel_types};
	struct judge ours = {.log = logs[0], .level = 4, .kconfig = kconfig};
	struct judge kernel = {.log = logs[1], .level = 4, .kconfig = kconfig};
	char name[96], file[64];
	const char *end = strrchr(path, '/'), *origin = end;
	while (origin && origin > path && origin[-1] != '/')
		origin--;
	object_name(path, file, sizeof file);
	snprintf(name, sizeof name, "%.*s/%s", origin ? (int)(end - origin) : 0, origin ? origin : "", file);
	if (engine_create(&opts, &ours.engine))
		return;
	struct skep_object *o = judge_open(&ours, path), *k = judge_open(&kernel, path);
	if (o && k)
		both_objects(name, &ours, &kernel, o, k);
	else if (!o != !k)
		differs(name, "-", KIND_OBJECT, o ? "loads its maps" : ours.why, k ? "loads its maps" : kernel.why);
	else if (sum.all || sum.list)
		printf("# %s: not judged: %s\n", name, kernel.why);
	if (k)
		skep_object__close(k);
	if (o)
		skep_object__close(o);
	engine_destroy(ours.engine);
	fflush(stdout);
}

static char *read_kconfig(void) {
	enum { ROOM = 1 << 20 };
	gzFile f = gzopen("/proc/config.gz", "re");
	char *text = calloc(1, ROOM);
	if (f && text && gzread(f, text, ROOM - 1) > 0) {
		gzclose(f);
		return text;
	}
	free(text);
	return NULL;
}

static void report_time(void) {
	double *a = sum.round[0], *b = sum.round[1];
	u32 n = sum.rounds;
	qsort(a, n, sizeof *a, ascending), qsort(b, n, sizeof *b, ascending);
	printf("# loading: skep %.1f ms (%.1f-%.1f), kernel %.1f ms (%.1f-%.1f), ratio %.2f\n", a[n / 2], a[0], a[n - 1], b[n / 2],
	       b[0], b[n - 1], sum.sums.ours / sum.sums.kernel);
	for (u32 i = 0; i < SLOWEST; i++)
		if (slowness(&sum.slowest[i]) > 0)
			printf("#   %-48s skep %8.3f ms, kernel %8.3f ms, ratio %.2f\n", sum.slowest[i].object, sum.slowest[i].ours,
			       sum.slowest[i].kernel, slowness(&sum.slowest[i]));
}

static int report(void) {
	u32 verdicts = sum.judged - sum.differ[KIND_VERDICT] - sum.differ[KIND_ACCEPTED];
	sum.new_ones += known_left(sum.known, NULL);
	printf("%s 1 - programs of others: as the kernel, but for the known differences\n", sum.new_ones ? "not ok" : "ok");
	printf("%s 2 - of those that both accept, %u of %u within a tenth of the kernel's count\n",
	       sum.near * 10 >= sum.both * 9 ? "ok" : "not ok", sum.near, sum.both);
	printf("%s 3 - %u of them use what is not understood yet\n1..3\n", sum.not_yet > sum.not_yet_most ? "not ok" : "ok",
	       sum.not_yet);
	printf("# %u objects, %u programs, %u judged by the kernel: verdict %.2f %%, %u not yet", sum.objects, sum.programs,
	       sum.judged, sum.judged ? 100.0 * verdicts / sum.judged : 0, sum.not_yet);
	for (u32 i = 0; i < KINDS; i++)
		printf("; %s: %u differ", kind_names[i], sum.differ[i]);
	printf("\n# accepted by both: %u, %u with the same count; instructions %llu, kernel %llu; most memory %llu KiB\n", sum.both,
	       sum.exact, (unsigned long long)sum.ours, (unsigned long long)sum.kernel, (unsigned long long)sum.memory >> 10);
	if (sum.rounds)
		report_time();
	return sum.new_ones || sum.near * 10 < sum.both * 9 || sum.not_yet > sum.not_yet_most;
}

int main(int argc, char **argv) {
	struct btf *types = NULL;
	char *kconfig = read_kconfig();
	if (!judge_has_kernel()) {
		printf("1..0 # SKIP bpf() cannot be used here\n");
		return 77;
	}
	btf_read_file(NULL, NULL, 0, NULL, &types);
	kernel_types = types;
	logs[0] = malloc(JUDGE_LOG), logs[1] = malloc(JUDGE_LOG);
	if (!logs[0] || !logs[1])
		return 2;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--known") && i + 1 < argc)
			sum.known = known_read(argv[++i]);
		else if (!strcmp(argv[i], "--not-yet") && i + 1 < argc)
			sum.not_yet_most = (u32)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--time") && i + 1 < argc)
			sum.rounds = (u32)strtoul(argv[++i], NULL, 0) % (ROUNDS_MAX + 1);
		else if (!strcmp(argv[i], "--all"))
			sum.all = true;
		else if (!strcmp(argv[i], "--list"))
			sum.list = true;
		else
			one_object(argv[i], kconfig);
	}
	return report();
}
