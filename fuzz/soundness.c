/* Is what the verifier accepts safe? Random and mutated programs are verified, and every one that is accepted runs
 *
 *   - in the interpreter with the oracle: each register and stack slot must lie inside an abstract state that the verifier
 *     saw there, each access inside what its register points into (verify/oracle.h), under sanitizers when built so;
 *   - over packets whose length is often one that the program compares with, and maps full of edges;
 *   - past the running kernel (--kernel): a program that we accept and it refuses is a finding (docs/verdicts.md).
 *
 *   soundness [--programs N] [--seed S] [--kernel] [--parity] [--verbose]     N accepted programs, from seed S
 *   … --no-perfmon     for a loader without CAP_PERFMON;  … --untrusted     without any, as socket filters: the kernel
 *                      gives its verdict where kernel.unprivileged_bpf_disabled is 0
 *   soundness --holes [--seed S] [--at-most N]     each planted defect (verify/holes.def, test build) must be found: TAP
 *   soundness --hole NAME [--seed S] [--at-most N] [--verbose]     the one, and the program that shows it
 *   soundness --walk [--programs N] [--seed S]     N programs, accepted or not: their walks are the kernel's (fuzz/walk.h): TAP
 *   soundness --show SEED [--kernel]     the program of that seed, and how each engine walks it
 *
 * A program is a function of its seed, and so are the packets and maps of its runs. A finding is printed small: what can
 * be left out without losing it has been left out. Exit 0: nothing found (with --hole: found); 1 otherwise; 2: cannot run. */
#include "abi/uapi.h"
#include "fuzz/generate.h"
#include "fuzz/reduce.h"
#include "fuzz/walk.h"
#include "isa/disasm.h"
#include "runtime/engine.h"
#include "verify/holes.h"
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PACKET_MIN = 14, PACKET_MAX = 160, RUNS = 4, LOG = 1 << 20, ARRAY_ENTRIES = 4, HASH_ENTRIES = 8, BUCKETS = 64 };

enum outcome { REFUSED, HELD, NOT_RUN, LEFT_STATES, RUN_FAILED, KERNEL_REFUSES };
static const char *const outcome_text[] = {
	[LEFT_STATES] = "a run left the verifier's states", [RUN_FAILED] = "a run failed",
	[KERNEL_REFUSES] = "we accept, the kernel refuses"};

struct bucket { /* verdicts of one kind: the message with its numbers taken out */
	char text[120];
	u64 n, seed;
};

struct fuzz {
	struct skep_engine *engine;
	struct generate_maps ours, kernels;
	bool ask_kernel, parity, walks, verbose;
	u64 lacks; /* enum verify_cap: of the loader */
	u64 generated, accepted, incomplete, not_run, runs, asked, limits, findings, too_strict;
	struct bucket refusals[BUCKETS]; /* of the kernel where we accept, and with parity ours where it accepts */
	bool not_recorded; /* of the program at hand */
	char detail[2048]; /* of the last outcome */
};

static void on_log(void *owner, int level, const char *line) {
	struct fuzz *f = owner;
	if (level == 0)
		snprintf(f->detail, sizeof f->detail, "%s", line);
	else if (strstr(line, "oracle"))
		f->not_recorded = true;
}

/* == Both engines == */

/* Takes what the loader lacks, and CAP_SYS_ADMIN, which stands for it, from this thread; or gives it back. */
static void drop(u64 lacks, bool back) {
	static struct __user_cap_data_struct whole[2];
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct less[2];
	if (!back && syscall(SYS_capget, &head, whole))
		exit(2);
	memcpy(less, whole, sizeof less);
	less[0].effective &= ~(1u << CAP_SYS_ADMIN | (lacks & VERIFY_NET_ADMIN ? 1u << CAP_NET_ADMIN : 0));
	less[1].effective &= ~((lacks & VERIFY_BPF ? 1u << (CAP_BPF - 32) : 0) | 1u << (CAP_PERFMON - 32));
	if (syscall(SYS_capset, &head, back ? whole : less))
		exit(2);
}
static s64 kernel_bpf(u32 cmd, union bpf_attr *attr, u64 lacks) {
	if (lacks)
		drop(lacks, false);
	s64 r = syscall(SYS_bpf, cmd, attr, sizeof *attr);
	r = r < 0 ? -errno : r;
	if (lacks)
		drop(lacks, true);
	return r;
}
static s64 command(struct fuzz *f, bool kernel, u32 cmd, union bpf_attr *attr) {
	struct bpf_caller caller = {.lacks = f->lacks};
	return kernel ? kernel_bpf(cmd, attr, f->lacks)
	              : skep_bpf_for(f->engine, &caller, cmd, (u64)(uintptr_t)attr, sizeof *attr);
}
static s32 make_map(struct fuzz *f, bool kernel, u32 type, u32 key, u32 value, u32 entries) {
	union bpf_attr attr = {.map_type = type, .key_size = key, .value_size = value, .max_entries = entries};
	return (s32)command(f, kernel, BPF_MAP_CREATE, &attr);
}
static bool make_maps(struct fuzz *f, bool kernel, struct generate_maps *m) {
	m->array = make_map(f, kernel, BPF_MAP_TYPE_ARRAY, 4, GENERATE_VALUE, ARRAY_ENTRIES);
	m->hash = make_map(f, kernel, BPF_MAP_TYPE_HASH, 4, GENERATE_VALUE, HASH_ENTRIES);
	m->ringbuf = make_map(f, kernel, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
	return m->array >= 0 && m->hash >= 0 && m->ringbuf >= 0;
}
static s64 load(struct fuzz *f, bool kernel, const struct bpf_insn *insns, u32 n, u32 log_level, char *log) {
	u32 type = f->lacks & VERIFY_BPF ? BPF_PROG_TYPE_SOCKET_FILTER : BPF_PROG_TYPE_XDP;
	union bpf_attr attr = {.prog_type = type, .insn_cnt = n, .insns = (u64)(uintptr_t)insns,
	                       .license = (u64)(uintptr_t)"GPL"};
	if (log_level) {
		attr.log_level = log_level, attr.log_size = LOG, attr.log_buf = (u64)(uintptr_t)log;
		log[0] = 0;
	}
	return command(f, kernel, BPF_PROG_LOAD, &attr);
}
/* The kernel's maps have other numbers. */
static void with_maps(struct bpf_insn *insns, u32 n, const struct generate_maps *from, const struct generate_maps *to) {
	for (u32 i = 0; i < n; i++)
		if (insn_is_ldimm64(&insns[i]) && insns[i].src_reg == BPF_PSEUDO_MAP_FD)
			insns[i].imm = insns[i].imm == from->array ? to->array : insns[i].imm == from->hash ? to->hash : to->ringbuf;
}

/* == What a run sees == */

static void fill(struct random *r, u8 *to, u32 n) {
	u32 mostly = random_below(r, 3);
	for (u32 i = 0; i < n; i++)
		to[i] = random_chance(r, 40) ? (u8)random64(r) : mostly == 0 ? 0 : mostly == 1 ? 0xff : (u8)random_below(r, 4);
}
static void fill_maps(struct fuzz *f, struct random *r) {
	u8 value[GENERATE_VALUE];
	for (u32 key = 0; key < HASH_ENTRIES; key++) {
		union bpf_attr attr = {.map_fd = (u32)f->ours.array, .key = (u64)(uintptr_t)&key, .value = (u64)(uintptr_t)value};
		fill(r, value, sizeof value);
		if (key < ARRAY_ENTRIES)
			command(f, false, BPF_MAP_UPDATE_ELEM, &attr);
		attr.map_fd = (u32)f->ours.hash;
		command(f, false, random_chance(r, 60) ? BPF_MAP_UPDATE_ELEM : BPF_MAP_DELETE_ELEM, &attr);
	}
}
/* A length that stands in the program as a bound, or one next to it. */
static u32 packet_length(struct random *r, const struct bpf_insn *insns, u32 n) {
	u32 length = PACKET_MIN + random_below(r, PACKET_MAX - PACKET_MIN + 1), seen = 0;
	if (random_chance(r, 20))
		return length;
	for (u32 i = 0; i < n; i++)
		if (insns[i].code == (BPF_ALU64 | BPF_ADD | BPF_K) && insns[i].imm >= PACKET_MIN && insns[i].imm < PACKET_MAX &&
		    !random_below(r, ++seen))
			length = (u32)insns[i].imm;
	if (random_chance(r, 30)) {
		length += random_below(r, 3);
		length -= length > PACKET_MIN;
	}
	return MIN(length, (u32)PACKET_MAX);
}
static enum outcome run_once(struct fuzz *f, struct random *r, s64 fd, const struct bpf_insn *insns, u32 n) {
	u8 packet[PACKET_MAX], out[PACKET_MAX + 512];
	fill(r, packet, sizeof packet);
	fill_maps(f, r);
	union bpf_attr attr = {.test = {.prog_fd = (u32)fd, .data_in = (u64)(uintptr_t)packet,
	                                .data_size_in = MAX(packet_length(r, insns, n), f->lacks & VERIFY_BPF ? 54u : 0u), .data_out = (u64)(uintptr_t)out,
	                                .data_size_out = sizeof out, .repeat = 1}};
	f->detail[0] = 0;
	s64 ran = command(f, false, BPF_PROG_TEST_RUN, &attr);
	f->runs++;
	if (f->detail[0])
		return LEFT_STATES;
	if (ran == -EOPNOTSUPP) /* the verdict is not the ability to run: a helper that this engine has not */
		return NOT_RUN;
	if (!ran || ran == -ENOSPC)
		return HELD;
	snprintf(f->detail, sizeof f->detail, "BPF_PROG_TEST_RUN gives %lld", (long long)ran);
	return RUN_FAILED;
}

/* == Verdicts == */

static struct bucket *bucket(struct fuzz *f, const char *message, u64 seed) {
	char text[sizeof f->refusals[0].text];
	u32 n = 0;
	for (const char *p = message; *p && *p != '\n' && n + 1 < sizeof text; p++) {
		bool digit = *p >= '0' && *p <= '9';
		if (digit && n && text[n - 1] == 'N')
			continue;
		text[n++] = digit ? 'N' : *p;
	}
	text[n] = 0;
	for (u32 i = 0; i < BUCKETS; i++) {
		struct bucket *b = &f->refusals[i];
		if (!b->n) {
			memcpy(b->text, text, n + 1);
			b->seed = seed;
		}
		if (!strcmp(b->text, text))
			return b->n++, b;
	}
	return NULL;
}
/* The kernel's sentence: the last line before its statistics. */
static char *last_line(char *log) {
	char *end = strstr(log, "\nprocessed "), *line;
	if (end)
		*end = 0;
	else if (strlen(log) && log[strlen(log) - 1] == '\n')
		log[strlen(log) - 1] = 0;
	line = strrchr(log, '\n');
	return line ? line + 1 : log;
}
/* 0 or negative errno; its log's last line is in f->detail. */
static s64 kernel_verdict(struct fuzz *f, const struct bpf_insn *insns, u32 n) {
	static char log[LOG];
	static struct bpf_insn copy[GENERATED_MAX];
	memcpy(copy, insns, n * sizeof *insns);
	with_maps(copy, n, &f->ours, &f->kernels);
	s64 fd = load(f, true, copy, n, 1, log);
	f->asked++;
	if (fd >= 0)
		close((int)fd);
	snprintf(f->detail, sizeof f->detail, "%.2000s", last_line(log));
	return MIN(fd, 0);
}
/* Memory and the limits of states and of instructions say nothing of safety: docs/verdicts.md. */
static bool is_verdict(s64 error) {
	return error == -EACCES || error == -EINVAL || error == -EPERM;
}
static enum outcome try(struct fuzz *f, u64 seed, const struct bpf_insn *insns, u32 n) {
	enum outcome o = HELD;
	struct random r;
	f->not_recorded = false;
	s64 fd = load(f, false, insns, n, 0, NULL);
	if (fd < 0)
		return REFUSED;
	random_seed(&r, ~seed);
	for (u32 i = 0; i < RUNS && o == HELD; i++)
		o = run_once(f, &r, fd, insns, n);
	engine_close(f->engine, (int)fd);
	if (o <= NOT_RUN && f->ask_kernel) {
		s64 error = kernel_verdict(f, insns, n);
		if (is_verdict(error))
			o = KERNEL_REFUSES;
		else if (error)
			f->limits++;
	}
	return o;
}

/* == Findings == */

static void print_program(const struct bpf_insn *insns, u32 n) {
	for (u32 i = 0; i < n; i++) {
		char text[128];
		insn_text(&insns[i], n - i, DISASM_OPCODE, NULL, text, sizeof text);
		printf("  %3u: %s\n", i, text);
		i += insn_is_ldimm64(&insns[i]);
	}
}

struct same {
	struct fuzz *f;
	u64 seed;
	enum outcome outcome;
};
static bool is_same(void *owner, const struct bpf_insn *insns, u32 n) {
	struct same *s = owner;
	return try(s->f, s->seed, insns, n) == s->outcome;
}
static void finding(struct fuzz *f, u64 seed, enum outcome o, struct bpf_insn *insns, u32 n) {
	struct same same = {f, seed, o};
	n = reduce_program(insns, n, is_same, &same);
	try(f, seed, insns, n); /* for the detail */
	printf("finding in program %llu: %s\n  %s\n", (unsigned long long)seed, outcome_text[o], f->detail);
	print_program(insns, n);
	fflush(stdout);
}

static u32 program_of(struct fuzz *f, u64 seed, struct bpf_insn *insns) {
	struct random r;
	random_seed(&r, seed);
	u32 n = generate_program(&r, &f->ours, insns);
	return seed & 1 ? generate_mutate(&r, insns, n) : n;
}
/* Verifies, runs, asks. */
static enum outcome one(struct fuzz *f, u64 seed) {
	static struct bpf_insn insns[GENERATED_MAX];
	u32 n = program_of(f, seed, insns);
	enum outcome o = try(f, seed, insns, n);
	f->generated++;
	if (o == REFUSED) {
		struct engine_problem problem;
		const char *why = engine_explain(f->engine, &problem) ? problem.sentence : "?";
		if (f->verbose)
			printf("program %llu: %s\n", (unsigned long long)seed, why);
		if (f->parity && !kernel_verdict(f, insns, n)) {
			f->too_strict++;
			bucket(f, why, seed);
		}
		return o;
	}
	f->accepted++;
	f->incomplete += f->not_recorded;
	f->not_run += o == NOT_RUN;
	if (o <= NOT_RUN)
		return o;
	f->findings++;
	if (o == KERNEL_REFUSES && bucket(f, f->detail, seed)->n > 3) /* one that was shown */
		return o;
	if (f->verbose || !f->parity)
		finding(f, seed, o, insns, n);
	return o;
}

/* == Holes == */

static const char *const holes[] = {
#ifdef SKEP_HOLES
#define HOLE_ROW(hole, what) #hole,
#include "verify/holes.def"
#undef HOLE_ROW
#endif
	NULL};

static bool open_hole(const char *name) {
#ifdef SKEP_HOLES
	for (int i = 0; holes[i]; i++)
		if (!strcmp(holes[i], name))
			return verify_hole = i + 1, true;
#endif
	return false;
}

static int begin(struct fuzz *f) {
	struct engine_opts opts = {.size = sizeof opts, .backing = BACKING_ANONYMOUS, .oracle = !f->walks, .log = on_log, .log_owner = f};
	int error = engine_create(&opts, &f->engine);
	if (!error && !make_maps(f, false, &f->ours))
		error = -ENOMEM;
	if (error)
		fprintf(stderr, "soundness: no engine: %s\n", strerror(-error));
	return error;
}
static bool search_hole(struct fuzz *f, u64 seed, u64 at_most) {
	enum outcome o = HELD;
	while (f->generated < at_most && o <= NOT_RUN)
		o = one(f, seed + f->generated);
	return o > NOT_RUN;
}
/* Each in a process of its own: an open hole may well end in a sanitizer's report, which is a finding too. */
static int all_holes(u64 seed, u64 at_most) {
	int failed = 0, count = 0;
	for (int i = 0; holes[i]; i++) {
		fflush(stdout);
		pid_t child = fork();
		if (!child) {
			struct fuzz f = {.parity = true}; /* counts, but prints nothing */
			if (!open_hole(holes[i]) || begin(&f))
				_exit(2);
			bool found = search_hole(&f, seed, at_most);
			printf("%s %d - hole %s: %s %llu programs\n", found ? "ok" : "not ok", i + 1, holes[i],
			       found ? "found after" : "not found in", (unsigned long long)f.generated);
			fflush(stdout);
			_exit(!found);
		}
		int status = 0;
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 2;
		count++;
		if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
			failed += WEXITSTATUS(status);
		} else {
			failed++;
			printf("not ok %d - hole %s: the search ended with status %#x\n", i + 1, holes[i], (unsigned)status);
		}
	}
	printf("1..%d\n", count);
	if (!count)
		fprintf(stderr, "soundness: this build has no holes (-DSKEP_HOLES)\n");
	return count ? failed != 0 : 2;
}

static void print_buckets(const struct fuzz *f) {
	for (u32 i = 0; i < BUCKETS && f->refusals[i].n; i++)
		printf("  %6llu (program %llu): %s\n", (unsigned long long)f->refusals[i].n, (unsigned long long)f->refusals[i].seed,
		       f->refusals[i].text);
}
static void print_counts(const struct fuzz *f) {
	printf("# %llu programs, %llu accepted (%llu not recorded in whole, %llu not run), %llu runs, %llu asked of the kernel (%llu at "
	       "limits), %llu findings\n", (unsigned long long)f->generated, (unsigned long long)f->accepted,
	       (unsigned long long)f->incomplete, (unsigned long long)f->not_run, (unsigned long long)f->runs, (unsigned long long)f->asked,
	       (unsigned long long)f->limits, (unsigned long long)f->findings);
	if (f->parity)
		printf("# %llu refused that the kernel accepts\n", (unsigned long long)f->too_strict);
	print_buckets(f);
}

/* == Walks == */

/* A log that does not fit says nothing. */
static bool walk_logs(struct fuzz *f, u64 seed, char *logs[2]) {
	static struct bpf_insn insns[GENERATED_MAX];
	u32 n = program_of(f, seed, insns);
	bool whole = true;
	for (int kernel = 0; kernel < 2; kernel++) {
		if (kernel)
			with_maps(insns, n, &f->ours, &f->kernels);
		s64 fd = load(f, kernel, insns, n, 2, logs[kernel]);
		whole &= fd != -ENOSPC;
		if (fd >= 0)
			kernel ? close((int)fd) : engine_close(f->engine, (int)fd);
	}
	return whole;
}
static int compare_walks(struct fuzz *f, u64 seed, u64 programs) {
	static char ours[LOG], kernels[LOG];
	static struct walk_difference d;
	u64 counts[3] = {0}, too_long = 0;
	for (u64 i = 0; i < programs; i++) {
		if (!walk_logs(f, seed + i, (char *[]){ours, kernels})) {
			too_long++;
			continue;
		}
		enum walk_result r = walk_compare(ours, kernels, &d);
		if (r == WALK_DIFFERS && counts[r] < 20)
			printf("# program %llu\n#   after  %.300s\n#   skep   %.300s\n#   kernel %.300s\n", (unsigned long long)(seed + i),
			       d.before, d.ours, d.kernels);
		counts[r]++;
	}
	printf("%s 1 - the walks of %llu programs are the kernel's\n1..1\n", counts[WALK_DIFFERS] ? "not ok" : "ok",
	       (unsigned long long)programs);
	printf("# %llu the same, %llu differ as known, %llu differ, %llu too long to tell\n", (unsigned long long)counts[WALK_SAME],
	       (unsigned long long)counts[WALK_KNOWN], (unsigned long long)counts[WALK_DIFFERS], (unsigned long long)too_long);
	return counts[WALK_DIFFERS] != 0;
}

/* The program, and each engine's walk in its own words. */
static void show_program(struct fuzz *f, u64 seed) {
	static struct bpf_insn insns[GENERATED_MAX];
	static char log[LOG];
	u32 n = program_of(f, seed, insns);
	print_program(insns, n);
	for (int kernel = 0; kernel <= f->ask_kernel; kernel++) {
		if (kernel)
			with_maps(insns, n, &f->ours, &f->kernels);
		s64 fd = load(f, kernel, insns, n, 2, log);
		printf("\n%s: %s\n%s", kernel ? "kernel" : "skep", fd < 0 ? strerror((int)-fd) : "accepted", log);
		if (fd >= 0)
			kernel ? close((int)fd) : engine_close(f->engine, (int)fd);
	}
}

static int usage(void) {
	fprintf(stderr, "soundness [--programs N] [--seed S] [--kernel] [--parity] [--verbose]\n"
	                "soundness --holes | --hole NAME [--seed S] [--at-most N] [--verbose]\n"
	                "soundness --walk [--programs N] [--seed S]\n"
	                "soundness --show SEED [--kernel]\n");
	return 2;
}

int main(int argc, char **argv) {
	struct fuzz f = {0};
	u64 programs = 20000, seed = 1, at_most = 20000, show = 0;
	const char *hole = NULL;
	bool every_hole = false;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(argv[i], "--kernel"))
			f.ask_kernel = true;
		else if (!strcmp(argv[i], "--parity"))
			f.ask_kernel = f.parity = true;
		else if (!strcmp(argv[i], "--walk"))
			f.ask_kernel = f.walks = true;
		else if (!strcmp(argv[i], "--no-perfmon"))
			f.lacks = VERIFY_PERFMON;
		else if (!strcmp(argv[i], "--untrusted"))
			f.lacks = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN;
		else if (!strcmp(argv[i], "--verbose"))
			f.verbose = true;
		else if (!strcmp(argv[i], "--holes"))
			every_hole = true;
		else if (!value)
			return usage();
		else if (!strcmp(argv[i], "--programs"))
			programs = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--at-most"))
			at_most = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--show"))
			show = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--hole"))
			hole = argv[++i];
		else
			return usage();
	}
	if (every_hole)
		return all_holes(seed, at_most);
	if (hole && !open_hole(hole)) {
		fprintf(stderr, "soundness: there is no hole %s in this build\n", hole);
		return 2;
	}
	if (begin(&f))
		return 2;
	if (hole)
		return !search_hole(&f, seed, at_most);
	if (f.ask_kernel && !make_maps(&f, true, &f.kernels)) {
		if (f.walks)
			printf("ok 1 # SKIP the kernel's bpf() is not granted\n1..1\n");
		fprintf(stderr, "soundness: the kernel's bpf() is not granted: %s%s\n", strerror(errno),
		        f.lacks & VERIFY_BPF ? " (the unprivileged need sysctl kernel.unprivileged_bpf_disabled=0)" : "");
		return f.walks ? 0 : 2;
	}
	if (show) {
		show_program(&f, show);
		engine_destroy(f.engine);
		return 0;
	}
	if (f.walks) {
		int differs = compare_walks(&f, seed, programs);
		engine_destroy(f.engine);
		return differs;
	}
	while (f.accepted < programs && f.generated < 50 * programs) {
		if (f.generated && f.generated % 50000 == 0)
			fprintf(stderr, "soundness: %llu programs, %llu of %llu accepted, next is program %llu\n",
			        (unsigned long long)f.generated, (unsigned long long)f.accepted, (unsigned long long)programs,
			        (unsigned long long)(seed + f.generated));
		one(&f, seed + f.generated);
	}
	printf("%s 1 - %llu accepted programs stay inside the verifier's states%s\n1..1\n", f.findings ? "not ok" : "ok",
	       (unsigned long long)f.accepted, f.ask_kernel ? " and the kernel accepts them" : "");
	print_counts(&f);
	engine_destroy(f.engine);
	return f.findings != 0;
}
