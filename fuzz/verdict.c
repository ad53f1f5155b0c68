/* The kernel's verdict on programs that people wrote, a little changed. Where fuzz/generate.c knows instructions, these know
 * everything that an object can have: BTF, callbacks, iterators, kernel functions, locks, special fields in values.
 *
 *   verdict [--each N] [--seed S] [--parity] [--program NAME] OBJECT.bpf.o…     N changed programs of each one: TAP
 *   verdict --show SEED --program NAME OBJECT.bpf.o                             one of them, and both walks
 *   verdict --corpus FOLDER OBJECT.bpf.o…                                       writes them as inputs of fuzz/libfuzzer.c
 *
 * Each object is loaded by both engines, with maps of its own in each, and what BPF_PROG_LOAD is given is kept. Then up to
 * four instructions are changed, the same in both, and both are asked again. A program that we accept and the kernel refuses
 * is a finding (docs/verdicts.md), printed small: what can be replaced by «goto +0» without losing it has been. --parity also
 * counts what the kernel accepts and we refuse, by message.
 *
 * Positions never move, so that function records hold. 64-bit immediates change only for others of the program: they name
 * descriptors. Long programs get fewer changes, for each takes as long as it is. Programs that the kernel refuses here before
 * it looks at them are left out. Exit 0: nothing found, 1: something, 2: it cannot run. */
#include "abi/uapi.h"
#include "btf/btf.h"
#include "fuzz/random.h"
#include "fuzz/shape.h"
#include "isa/disasm.h"
#include "isa/insn.h"
#include "runtime/engine.h"
#include <errno.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOG = 1 << 20, LONG = 500, CHANGES = 4, BUCKETS = 256, WORDS = 160, SHOWN = 3 };

/* What BPF_PROG_LOAD was given, by engine: skep's, the kernel's. */
enum { OURS, KERNELS, ENGINES };
struct program {
	char name[128];
	union bpf_attr attr[ENGINES];
	struct bpf_insn *insns[ENGINES];
	u32 n;
	bool judged; /* the kernel looked at it */
};

struct bucket { /* verdicts of one kind: the message with its numbers taken out */
	char text[WORDS], program[128];
	u64 n, seed;
};

static struct fuzz {
	struct skep_engine *engine;
	u64 asked, accepted, findings, too_strict, not_yet;
	bool parity;
	struct bucket strict[BUCKETS], found[BUCKETS];
	struct program *at; /* whose BPF_PROG_LOAD is being kept; of which engine */
	u32 at_engine;
	const struct program *now; /* what is being asked, for whoever crashes */
	u64 now_seed;
	char log[ENGINES][LOG];
} f;

/* == Both engines == */

static s64 ask_engine(u32 engine, u32 cmd, void *attr, u32 size) {
	if (engine == OURS)
		return skep_bpf(f.engine, cmd, attr, size);
	long r = syscall(SYS_bpf, cmd, attr, size);
	return r < 0 ? -errno : r;
}
static u64 copy(u64 from, u64 bytes) {
	void *to = bytes ? malloc(bytes) : NULL;
	if (to)
		memcpy(to, (const void *)(uintptr_t)from, bytes);
	return (u64)(uintptr_t)to;
}
/* The loader's call, kept: it frees what it points to. Line records and relocations are for messages. */
static void keep_load(const union bpf_attr *attr, u32 size) {
	union bpf_attr *to = &f.at->attr[f.at_engine];
	memcpy(to, attr, MIN(size, (u32)sizeof *to));
	f.at->n = to->insn_cnt;
	to->insns = copy(to->insns, (u64)to->insn_cnt * sizeof(struct bpf_insn));
	f.at->insns[f.at_engine] = (void *)(uintptr_t)to->insns;
	to->func_info = copy(to->func_info, (u64)to->func_info_cnt * to->func_info_rec_size);
	to->license = copy(to->license, strlen((const char *)(uintptr_t)to->license) + 1);
	to->line_info_cnt = 0, to->line_info = 0, to->line_info_rec_size = 0;
	to->core_relo_cnt = 0, to->core_relos = 0, to->core_relo_rec_size = 0;
}
static s64 load(const struct program *p, u32 engine, u32 level) {
	union bpf_attr attr = p->attr[engine];
	f.log[engine][0] = 0;
	attr.log_level = level, attr.log_size = level ? LOG : 0, attr.log_buf = level ? (u64)(uintptr_t)f.log[engine] : 0;
	s64 fd = ask_engine(engine, BPF_PROG_LOAD, &attr, sizeof attr);
	if (fd >= 0)
		engine == OURS ? (void)engine_close(f.engine, (int)fd) : (void)close((int)fd);
	return MIN(fd, 0);
}
static int64_t loader_bpf(void *owner, unsigned cmd, void *attr, unsigned size) {
	const u32 *engine = owner;
	if (cmd != BPF_PROG_LOAD || !f.at)
		return ask_engine(*engine, cmd, attr, size);
	if (!((union bpf_attr *)attr)->fd_array)
		keep_load(attr, size);
	return -EACCES;
}
static void quiet(void *owner, const struct skep_diagnostic *d) {
	(void)owner, (void)d;
}
static struct skep_object *open_in(const char *path, u32 *engine) {
	struct skep_object_opts opts = {.size = sizeof opts, .bpf = loader_bpf, .bpf_owner = engine, .diagnostic = quiet};
	struct skep_object *o;
	if (skep_object__open_file(path, &opts, &o))
		return NULL;
	for (struct skep_program *p = NULL; (p = skep_object__next_program(o, p));)
		skep_program__set_autoload(p, false);
	if (!skep_object__load(o, NULL))
		return o;
	skep_object__close(o);
	return NULL;
}

/* == Changes == */

static bool is_second(const struct bpf_insn *insns, u32 i) {
	return i && insn_is_ldimm64(&insns[i - 1]);
}
static s32 edge(struct random *r) {
	static const s32 edges[] = {0, 1, -1, 2, 4, 7, 8, 9, 15, 16, 24, 31, 32, 48, 63, 64, -8, -16, -24, 255, 256, 4096, INT32_MAX, INT32_MIN};
	return edges[random_below(r, ARRAY_SIZE(edges))];
}
/* Any instruction of the program, for its operands or as a whole. */
static struct bpf_insn another(struct random *r, const struct program *p) {
	u32 i = random_below(r, p->n);
	struct bpf_insn insn = p->insns[OURS][i];
	return insn_is_ldimm64(&insn) || is_second(p->insns[OURS], i) ? (struct bpf_insn){.code = BPF_JMP | BPF_JA} : insn;
}
static void change_one(struct random *r, const struct program *p, u32 i, struct bpf_insn *insn) {
	struct bpf_insn other = another(r, p);
	bool call = insn->code == (BPF_JMP | BPF_CALL), other_call = other.code == insn->code;
	switch (random_below(r, 11)) {
	case 0:
		insn->imm = call ? (insn->src_reg == other.src_reg && other_call ? other.imm : insn->imm) : edge(r);
		break;
	case 1:
		insn->imm = (s32)((u32)insn->imm + (u32)(random_below(r, 3) - 1) * (call ? 1 : 1u << random_below(r, 4)));
		break;
	case 2:
		insn->off = (s16)(insn->off + (s32)random_below(r, 5) - 2);
		break;
	case 3:
		insn->off = (s16)(insn->off + (s32)((random_below(r, 2) ? 8u : -8u)));
		break;
	case 4:
		insn->dst_reg = random_below(r, 11) & 0xf;
		break;
	case 5:
		insn->src_reg = call ? insn->src_reg : random_below(r, 11) & 0xf;
		break;
	case 6:
		insn->code ^= (u8)(1u << random_below(r, 8));
		break;
	case 7: /* one of its kind, with another size or operation */
		insn->code = (u8)((insn->code & 7) | (other.code & 0xf8));
		break;
	case 8:
		*insn = other;
		break;
	case 9: /* a jump somewhere else */
		if (BPF_CLASS(insn->code) == BPF_JMP || BPF_CLASS(insn->code) == BPF_JMP32)
			insn->off = (s16)((s32)random_below(r, p->n) - (s32)i - 1);
		else
			insn->imm = other.imm;
		break;
	default: /* leave it out */
		*insn = (struct bpf_insn){.code = BPF_JMP | BPF_JA};
	}
}
/* A 64-bit immediate becomes another one: of another map, or of another place in it. */
static void change_wide(struct random *r, struct program *p, u32 i) {
	u32 from = random_below(r, p->n);
	if (!insn_is_ldimm64(&p->insns[OURS][from]) || is_second(p->insns[OURS], from))
		return;
	for (u32 e = 0; e < ENGINES; e++) {
		struct bpf_insn *to = &p->insns[e][i];
		u8 reg = to->dst_reg;
		memcpy(to, &p->insns[e][from], 2 * sizeof *to);
		to->dst_reg = reg & 0xf;
	}
}
static void change(struct program *p, u64 seed) {
	struct random r;
	random_seed(&r, seed);
	for (u32 times = 1 + random_below(&r, CHANGES); times; times--) {
		u32 i = random_below(&r, p->n);
		struct bpf_insn *insn = &p->insns[OURS][i];
		if (is_second(p->insns[OURS], i))
			continue;
		if (insn_is_ldimm64(insn)) {
			change_wide(&r, p, i);
			continue;
		}
		change_one(&r, p, i, insn);
		if (insn_is_ldimm64(insn)) /* none comes about, for it would have no second half */
			*insn = (struct bpf_insn){.code = BPF_JMP | BPF_JA};
		p->insns[KERNELS][i] = *insn;
	}
}

/* == Verdicts == */

/* Limits of memory, states, instructions and jumps say nothing of safety: docs/verdicts.md. EFAULT is the kernel's word for
 * accidents of its own. */
static bool is_verdict(s64 error) {
	return error && error != -EFAULT && error != -E2BIG && error != -ENOMEM && error != -ENOSPC && error != -EAGAIN && error != -EINTR &&
	       error != -EBUSY;
}
static bool differs(const struct program *p) {
	return !load(p, OURS, 0) && is_verdict(load(p, KERNELS, 0));
}
/* The sentence: the last line before the statistics. */
static const char *last_line(char *log) {
	char *end = strstr(log, "\nprocessed "), *line;
	if (!strncmp(log, "processed ", 10))
		return "";
	if (end)
		*end = 0;
	else if (strlen(log) && log[strlen(log) - 1] == '\n')
		log[strlen(log) - 1] = 0;
	line = strrchr(log, '\n');
	return line ? line + 1 : log;
}
static struct bucket *bucket(struct bucket *all, const char *message, const struct program *p, u64 seed) {
	char text[WORDS];
	u32 n = 0;
	for (const char *c = message; *c && n + 1 < sizeof text; c++) {
		bool digit = *c >= '0' && *c <= '9';
		if (digit && n && text[n - 1] == 'N')
			continue;
		text[n++] = digit ? 'N' : *c;
	}
	text[n] = 0;
	for (u32 i = 0; i < BUCKETS; i++) {
		struct bucket *b = &all[i];
		if (!b->n) {
			memcpy(b->text, text, n + 1);
			snprintf(b->program, sizeof b->program, "%s", p->name);
			b->seed = seed;
		}
		if (!strcmp(b->text, text))
			return b->n++, b;
	}
	return &all[BUCKETS - 1];
}

/* == Findings == */

static void shrink(struct program *p) {
	for (u32 run = p->n / 2; run; run /= 2)
		for (u32 from = 0; from + run <= p->n; from += run) {
			struct bpf_insn was[ENGINES][64];
			u32 count = MIN(run, 64u);
			for (u32 e = 0; e < ENGINES; e++) {
				memcpy(was[e], &p->insns[e][from], count * sizeof was[e][0]);
				for (u32 i = from; i < from + count; i++)
					p->insns[e][i] = (struct bpf_insn){.code = BPF_JMP | BPF_JA};
			}
			if (!differs(p))
				for (u32 e = 0; e < ENGINES; e++)
					memcpy(&p->insns[e][from], was[e], count * sizeof was[e][0]);
		}
}
static void print_program(const struct program *p) {
	const struct bpf_insn *insns = p->insns[OURS];
	for (u32 i = 0; i < p->n; i++) {
		char text[128];
		if (insns[i].code == (BPF_JMP | BPF_JA) && !insns[i].off)
			continue;
		insn_text(&insns[i], p->n - i, DISASM_OPCODE, NULL, text, sizeof text);
		printf("#   %4u: %s\n", i, text);
		i += insn_is_ldimm64(&insns[i]);
	}
}
static void finding(struct program *p, u64 seed) {
	load(p, KERNELS, 1);
	f.findings++;
	if (bucket(f.found, last_line(f.log[KERNELS]), p, seed)->n > SHOWN)
		return;
	shrink(p);
	s64 error = load(p, KERNELS, 1);
	printf("# finding: %s --show %llu\n#   kernel: %s: %s\n", p->name, (unsigned long long)seed, strerror((int)-error),
	       last_line(f.log[KERNELS]));
	print_program(p);
	fflush(stdout);
}

static void one(struct program *p, u64 seed) {
	s64 ours;
	f.now = p, f.now_seed = seed;
	change(p, seed);
	ours = load(p, OURS, 0);
	f.asked++;
	if (!ours && is_verdict(load(p, KERNELS, 0)))
		finding(p, seed);
	f.accepted += !ours;
	f.not_yet += ours == -EOPNOTSUPP;
	if (f.parity && ours && !load(p, KERNELS, 0)) {
		f.too_strict++;
		load(p, OURS, 1);
		bucket(f.strict, last_line(f.log[OURS]), p, seed);
	}
}

/* == Objects == */

static void restore(struct program *p, struct bpf_insn *const original[ENGINES]) {
	for (u32 e = 0; e < ENGINES; e++)
		memcpy(p->insns[e], original[e], p->n * sizeof *original[e]);
}
static void fuzz_program(struct program *p, u64 first, u64 each) {
	struct bpf_insn *original[ENGINES];
	for (u32 e = 0; e < ENGINES; e++)
		original[e] = (void *)(uintptr_t)copy((u64)(uintptr_t)p->insns[e], (u64)p->n * sizeof *original[e]);
	if (p->n > LONG)
		each = each * LONG / p->n / 4;
	for (u64 i = 0; i < each && original[OURS] && original[KERNELS]; i++) {
		one(p, first + i);
		restore(p, original);
	}
	for (u32 e = 0; e < ENGINES; e++)
		free(original[e]);
}
static void show(struct program *p, u64 seed) {
	change(p, seed);
	print_program(p);
	for (u32 e = ENGINES; e-- > 0;) {
		s64 error = load(p, e, 2);
		printf("\n%s: %s\n%s", e == OURS ? "skep" : "kernel", error ? strerror((int)-error) : "accepted", f.log[e]);
		fflush(stdout);
	}
}
/* Both engines' call for that program; false: one of them has none to compare. */
static bool capture(struct program *p, struct skep_object *const o[ENGINES], const char *object, const char *name) {
	*p = (struct program){0};
	snprintf(p->name, sizeof p->name, "%s --program %s", object, name);
	for (u32 e = 0; e < ENGINES; e++) {
		f.at = p, f.at_engine = e;
		skep_program__load(skep_object__find_program(o[e], name), NULL);
	}
	f.at = NULL;
	if (!p->insns[OURS] || !p->insns[KERNELS] || p->attr[OURS].insn_cnt != p->attr[KERNELS].insn_cnt)
		return false;
	return load(p, KERNELS, 1) != -EPERM || *last_line(f.log[KERNELS]);
}
static void release(struct program *p) {
	for (u32 e = 0; e < ENGINES; e++) {
		free(p->insns[e]);
		free((void *)(uintptr_t)p->attr[e].func_info);
		free((void *)(uintptr_t)p->attr[e].license);
	}
}

/* Maps become the first few of the target's. */
static void write_corpus(const struct program *p, const struct btf *btf, const char *folder) {
	const union bpf_attr *a = &p->attr[OURS];
	struct fuzz_shape s = {.prog_type = (u8)a->prog_type, .attach_type = (u8)a->expected_attach_type, .flags = 1,
	                       .func_info_n = (u8)a->func_info_cnt, .insns_n = (u16)p->n, .btf_n = btf ? btf->data_size : 0,
	                       .prog_flags = a->prog_flags, .attach_btf_id = a->attach_btf_id};
	char path[512];
	static u32 number;
	snprintf(path, sizeof path, "%s/%06u", folder, number++);
	FILE *out = p->n < 2000 && a->func_info_cnt < 256 ? fopen(path, "wb") : NULL;
	if (!out)
		return;
	for (u32 i = 0; i < p->n; i++)
		if (insn_is_ldimm64(&p->insns[OURS][i]) && (p->insns[OURS][i].src_reg == BPF_PSEUDO_MAP_FD ||
		                                            p->insns[OURS][i].src_reg == BPF_PSEUDO_MAP_VALUE))
			p->insns[OURS][i].imm %= 6;
	fwrite(&s, sizeof s, 1, out);
	fwrite(p->insns[OURS], sizeof *p->insns[OURS], p->n, out);
	if (btf)
		fwrite(btf->data, 1, btf->data_size, out);
	if (a->func_info_rec_size == 8)
		fwrite((const void *)(uintptr_t)a->func_info, 8, a->func_info_cnt, out);
	fclose(out);
}

struct options {
	u64 each, seed, show;
	const char *program, *corpus;
};
static int fuzz_object(const struct options *opts, const struct btf *types, const char *path) {
	struct engine_opts engine = {.size = sizeof engine, .backing = BACKING_ANONYMOUS, .kernel_btf = types};
	struct skep_object *o[ENGINES] = {0};
	struct program p;
	u32 engines[ENGINES] = {OURS, KERNELS};
	if (engine_create(&engine, &f.engine))
		return 2;
	for (u32 e = 0; e < ENGINES; e++)
		o[e] = open_in(path, &engines[e]);
	for (struct skep_program *at = NULL; o[OURS] && o[KERNELS] && (at = skep_object__next_program(o[OURS], at));) {
		if (opts->program && strcmp(opts->program, skep_program__name(at)))
			continue;
		if (capture(&p, o, path, skep_program__name(at)))
			opts->corpus ? write_corpus(&p, skep_object__btf(o[OURS]), opts->corpus) :
			opts->show   ? show(&p, opts->show) : fuzz_program(&p, opts->seed, opts->each);
		release(&p);
	}
	for (u32 e = 0; e < ENGINES; e++)
		if (o[e])
			skep_object__close(o[e]);
	engine_destroy(f.engine);
	return 0;
}

static void on_crash(int signal) {
	printf("# finding: %s --show %llu\n#   signal %d\n", f.now ? f.now->name : "?", (unsigned long long)f.now_seed, signal);
	fflush(stdout);
	_exit(1);
}
static int by_count(const void *a, const void *b) {
	const struct bucket *x = a, *y = b;
	return x->n < y->n ? 1 : x->n > y->n ? -1 : 0;
}
static void print_buckets(const char *title, struct bucket *all) {
	qsort(all, BUCKETS, sizeof *all, by_count);
	for (u32 i = 0; i < BUCKETS && all[i].n; i++)
		printf("# %s %6llu (%s --show %llu): %s\n", title, (unsigned long long)all[i].n, all[i].program,
		       (unsigned long long)all[i].seed, all[i].text);
}
static int report(void) {
	print_buckets("accepted here, refused there", f.found);
	print_buckets("refused here, accepted there", f.strict);
	printf("%s 1 - what is accepted of %llu changed programs the kernel accepts\n1..1\n", f.findings ? "not ok" : "ok",
	       (unsigned long long)f.asked);
	printf("# %llu accepted, %llu not understood yet, %llu findings", (unsigned long long)f.accepted, (unsigned long long)f.not_yet,
	       (unsigned long long)f.findings);
	if (f.parity)
		printf(", %llu refused that the kernel accepts", (unsigned long long)f.too_strict);
	printf("\n");
	return f.findings != 0;
}

int main(int argc, char **argv) {
	struct options opts = {.each = 100, .seed = 1};
	struct btf *types = NULL;
	int i;
	signal(SIGABRT, on_crash), signal(SIGSEGV, on_crash);
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
	btf_read_file(NULL, NULL, 0, NULL, &types);
	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		if (!strcmp(argv[i], "--parity"))
			f.parity = true;
		else if (!strcmp(argv[i], "--each"))
			opts.each = strtoull(value, NULL, 0), i++;
		else if (!strcmp(argv[i], "--seed"))
			opts.seed = strtoull(value, NULL, 0), i++;
		else if (!strcmp(argv[i], "--show"))
			opts.show = strtoull(value, NULL, 0), i++;
		else if (!strcmp(argv[i], "--corpus"))
			opts.corpus = value, i++;
		else if (!strcmp(argv[i], "--program"))
			opts.program = value, i++;
		else
			break;
	}
	if (i >= argc) {
		fprintf(stderr, "usage: verdict [--each N] [--seed S] [--parity] [--show SEED] [--program NAME] [--corpus FOLDER]\n"
		                "               OBJECT.bpf.o...\n");
		return 2;
	}
	for (int from = i; i < argc; i++) {
		if (fuzz_object(&opts, types, argv[i]))
			return 2;
		if (isatty(2))
			fprintf(stderr, "\r%d of %d objects, %llu programs, %llu findings ", i - from + 1, argc - from,
			        (unsigned long long)f.asked, (unsigned long long)f.findings);
	}
	return opts.show || opts.corpus ? 0 : report();
}
