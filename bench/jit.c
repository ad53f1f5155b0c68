/* The sixteen programs in every engine: native code, tier 1, the interpreter and, where bpf(2) works, the kernel's JIT.
 *
 * Engines are interleaved round by round in one process, so that a noisy machine is noisy for all; a round runs one
 * program in one engine for about ROUND_NS; the table shows the low decile (p10) of the rounds and the spread (p90/p10).
 * User-space engines are timed with the thread's CPU clock, the kernel with the duration of BPF_PROG_TEST_RUN. Ratios
 * are to native clang -O2, net of the empty program. Every result is compared with the native one first.
 *
 *   make bench-jit                 all of it
 *   build/bench/jit OBJDIR [rounds [program]]
 *   build/bench/jit --dump OBJDIR program > x.bin     the machine code, for objdump -D -b binary -mi386:x86-64 */
#include "abi/map_facts.h"
#include "exec/exec.h"
#include "exec/jit/jit.h"
#include "jit_compile.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PROGRAMS                                                                                                       \
	P(empty) P(alu) P(log2) P(prime) P(sieve) P(copy) P(strcmp) P(csum) P(switch) P(fnv) P(jhash) P(sip) P(parse)  \
	P(divc) P(bits) P(bsearch) P(spill)
#define P(name) u64 native_##name(u8 *, u64);
PROGRAMS
#undef P

enum { ENGINE_NATIVE, ENGINE_JIT, ENGINE_INTERP, ENGINE_KERNEL, ENGINES, MEM = 2048, ROUND_NS = 1500000, MAX_ROUNDS = 200 };
static const char *const engine_names[] = {"native", "tier 1", "interp", "kernel"};
typedef u64 entry_fn(void *ctx, struct skep_run *run);

struct program {
	const char *name;
	u64 (*native)(u8 *, u64);
	struct bpf_insn *insns;
	u32 n;
	struct image *image;
	entry_fn *jit;
	int kernel_fd, map_fd;
	u64 iterations[ENGINES];
	double ns[ENGINES][MAX_ROUNDS];
	double compile_ns;
};
static struct program programs[] = {
#define P(name) {#name, native_##name},
	PROGRAMS
#undef P
};
enum { PROGRAMS_N = ARRAY_SIZE(programs) };
static u8 pristine[MEM], memory[MEM] __attribute__((aligned(64)));
static bool kernel_works = true;

static void die(const char *what) {
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- programs ---- */

static void load(struct program *p, const char *dir) {
	char path[512];
	snprintf(path, sizeof path, "%s/%s.bpf.o", dir, p->name);
	int fd = open(path, O_RDONLY);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	u8 *file = size <= 0 ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		die(path);
	const Elf64_Ehdr *eh = (void *)file;
	const Elf64_Shdr *sh = (void *)(file + eh->e_shoff);
	const char *names = (char *)file + sh[eh->e_shstrndx].sh_offset;
	for (u32 i = 0; i < eh->e_shnum; i++)
		if (!strcmp(names + sh[i].sh_name, ".text")) {
			p->n = (u32)(sh[i].sh_size / 8) + 1;
			p->insns = malloc(p->n * 8);
			memcpy(p->insns + 1, file + sh[i].sh_offset, sh[i].sh_size);
			p->insns[0] = (struct bpf_insn){.code = 0xb7, .dst_reg = 2, .imm = MEM}; /* r2 = length */
		}
	close(fd);
}

static u64 resolve(void *owner, u16 kind, u16 index, u64 addend) {
	return 0;
}
static const struct interp_env env = {.resolve = resolve};

static void compile(struct program *p) {
	struct insn_facts *facts = calloc(p->n, sizeof *facts);
	struct xlated_subprog sub = {.start = 0, .end = p->n, .stack = 512};
	struct xlated x = {.insns = p->insns, .facts = facts, .n = p->n, .subprogs = &sub, .subprogs_n = 1};
	for (u32 i = 0; i < p->n; i++)
		facts[i] = (struct insn_facts){.zext = 1, .map = NO_MAP};
	if ((errno = -image_build(&x, 0, true, &p->image)))
		die(p->name);
	int fd = memfd_create("code", 0);
	size_t size = round_up(p->image->code_size, 4096);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		die("memfd");
	u8 *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	u8 *rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	image_relocate(p->image, rw, (u64)rx, resolve, NULL);
	p->jit = (entry_fn *)(rx + p->image->entry);
	free(facts);
}

/* ---- the kernel ---- */

struct load_attr {
	u32 type, insn_cnt;
	u64 insns, license;
	u32 log_level, log_size;
	u64 log_buf;
	u8 rest[88];
};
struct run_attr {
	u32 fd, retval, data_size_in, data_size_out;
	u64 data_in, data_out;
	u32 repeat, duration;
	u8 rest[64];
};
static int bpf(int cmd, void *attr, u32 size) {
	return (int)syscall(SYS_bpf, cmd, attr, size);
}
static bool kernel_load(struct program *p) {
	u32 create[32] = {2 /* array */, 4, MEM, 1};
	p->map_fd = bpf(0, create, 72);
	if (p->map_fd < 0)
		return false;
	struct bpf_insn *insns = calloc(p->n + 2, sizeof *insns);
	insns[0] = (struct bpf_insn){.code = 0x18, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = p->map_fd};
	memcpy(insns + 2, p->insns, p->n * sizeof *insns);
	struct load_attr a = {.type = 6 /* XDP */, .insn_cnt = p->n + 2, .insns = (u64)insns, .license = (u64) "GPL"};
	p->kernel_fd = bpf(5, &a, sizeof a);
	free(insns);
	return p->kernel_fd >= 0;
}
static void kernel_memory(struct program *p) {
	u32 zero = 0;
	struct {
		u32 fd, pad;
		u64 key, value, flags;
	} a = {(u32)p->map_fd, 0, (u64)&zero, (u64)pristine, 0};
	bpf(2, &a, sizeof a);
}
static double kernel_ns(struct program *p, u64 repeat, u32 *result) {
	u8 packet[64] = {0};
	struct run_attr a = {.fd = (u32)p->kernel_fd, .data_size_in = sizeof packet, .data_in = (u64)packet,
	                     .repeat = (u32)repeat};
	if (bpf(10, &a, 80))
		die("BPF_PROG_TEST_RUN");
	*result = a.retval;
	return a.duration;
}

/* ---- data ---- */

static void prepare(void) {
	u64 s = 88172645463325252ull;
	for (u32 i = 0; i < MEM; i += 8) {
		s ^= s << 13, s ^= s >> 7, s ^= s << 17;
		memcpy(pristine + i, &s, 8);
	}
}
/* What a program needs of its memory. */
static void dress(const char *name) {
	memcpy(memory, pristine, MEM);
	if (!strcmp(name, "bsearch"))
		for (u32 i = 0; i < 64; i++)
			((u32 *)memory)[i] = i * 0x03ffffff + 5;
	if (!strcmp(name, "strcmp"))
		for (u32 i = 0; i < 256; i++)
			memory[1024 + i] = memory[1280 + i] = (u8)(i * 7 | 1);
	for (u32 i = 0; i < 16 && !strcmp(name, "parse"); i++) {
		u8 *f = memory + i * 64, *ip = f + 14;
		f[12] = 8, f[13] = 0;
		if (i % 4 == 3)
			f[12] = 0x81, f[13] = 0, f[16] = 8, f[17] = 0, ip += 4;
		ip[0] = 0x45, ip[2] = 0, ip[3] = 40, ip[9] = i % 3 ? 6 : 17;
	}
}

/* ---- timing ---- */

static u64 now(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}
static u64 run_once(struct program *p, u32 engine) {
	struct skep_run run = {.budget = 1ll << 60};
	switch (engine) {
	case ENGINE_NATIVE:
		return p->native(memory, MEM);
	case ENGINE_JIT:
		return p->jit(memory, &run);
	default:
		return interp_run(p->image, &env, memory, &run);
	}
}
static double time_round(struct program *p, u32 engine) {
	u64 n = p->iterations[engine];
	u32 ignored;
	if (engine == ENGINE_KERNEL)
		return kernel_ns(p, n, &ignored);
	struct skep_run run = {.budget = 1ll << 60};
	u64 start = now();
	if (engine == ENGINE_NATIVE)
		for (u64 i = 0; i < n; i++)
			p->native(memory, MEM);
	else if (engine == ENGINE_JIT)
		for (u64 i = 0; i < n; i++)
			p->jit(memory, &run);
	else
		for (u64 i = 0; i < n; i++)
			interp_run(p->image, &env, memory, &run);
	return (double)(now() - start) / (double)n;
}
static void calibrate(struct program *p, u32 engine) {
	p->iterations[engine] = 20;
	for (u32 i = 0; i < 3; i++) {
		double ns = time_round(p, engine);
		p->iterations[engine] = (u64)MAX(20.0, ROUND_NS / MAX(ns, 1.0));
	}
}
static int by_value(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void check(struct program *p) {
	dress(p->name);
	u64 want = run_once(p, ENGINE_NATIVE);
	u8 after[MEM];
	memcpy(after, memory, MEM);
	for (u32 e = ENGINE_JIT; e <= ENGINE_INTERP; e++) {
		dress(p->name);
		u64 got = run_once(p, e);
		if (got != want || memcmp(after, memory, MEM)) {
			printf("%s: %s gives 0x%llx, native 0x%llx\n", p->name, engine_names[e], (long long)got, (long long)want);
			exit(1);
		}
	}
	if (!kernel_works)
		return;
	u8 keep[MEM];
	u32 got;
	memcpy(keep, pristine, MEM);
	dress(p->name);
	memcpy(pristine, memory, MEM);
	kernel_memory(p);
	memcpy(pristine, keep, MEM);
	kernel_ns(p, 1, &got);
	if (got != (u32)want)
		printf("%s: kernel gives 0x%x, native 0x%llx\n", p->name, got, (long long)want);
}

static void measure_compile(struct program *p) {
	double best = 1e18;
	for (u32 i = 0; i < 30; i++) {
		struct image image = {.xlated = p->image->xlated, .flags = p->image->flags};
		u64 start = now();
		jit_compile(&image, &jit_x64, 3);
		best = MIN(best, (double)(now() - start));
		free(image.code);
		free(image.relocs);
		free(image.lines);
	}
	p->compile_ns = best;
}

static double p10(struct program *p, u32 engine, u32 rounds) {
	return p->ns[engine][rounds / 10];
}

static void report(u32 rounds, const char *only) {
	double sum[ENGINES] = {0}, scalar[ENGINES] = {0};
	u32 n = 0, scalars = 0;
	printf("%-9s %8s %8s %8s %8s | %7s %7s %7s | %s | %6s %6s\n", "ns (p10)", "native", "tier 1", "interp", "kernel",
	       "tier 1", "interp", "kernel", "spread p90/p10-1 %", "B/insn", "ns/insn");
	for (u32 i = 0; i < PROGRAMS_N; i++) {
		struct program *p = &programs[i];
		if (only && i && strcmp(only, p->name))
			continue;
		printf("%-9s", p->name);
		for (u32 e = 0; e < ENGINES; e++)
			if (e != ENGINE_KERNEL || kernel_works)
				printf(" %8.1f", p10(p, e, rounds));
			else
				printf(" %8s", "-");
		bool vector = !strcmp(p->name, "copy") || !strcmp(p->name, "csum");
		printf(" |");
		for (u32 e = 1; e < ENGINES && i; e++) {
			double base = p10(p, 0, rounds) - p10(&programs[0], 0, rounds);
			double ratio = (p10(p, e, rounds) - p10(&programs[0], e, rounds)) / base;
			if (e == ENGINE_KERNEL && !kernel_works) {
				printf(" %7s", "-");
				continue;
			}
			printf(" %7.2f", ratio);
			sum[e] += log(ratio);
			scalar[e] += vector ? 0 : log(ratio);
		}
		n += i > 0, scalars += i > 0 && !vector;
		printf(" |");
		for (u32 e = 0; e < ENGINES; e++)
			if (e != ENGINE_KERNEL || kernel_works)
				printf(" %4.0f", 100 * (p->ns[e][rounds * 9 / 10] / p10(p, e, rounds) - 1));
		printf(" | %6.1f %6.1f\n", (double)p->image->code_size / p->n, p->compile_ns / p->n);
	}
	for (u32 all = 2; all-- > 0 && n;) {
		printf("%-45s |", all ? "geomean" : "geomean without copy, csum");
		for (u32 e = 1; e < ENGINES; e++)
			printf(" %7.2f", exp(all ? sum[e] / n : scalar[e] / MAX(scalars, 1u)));
		printf(" |\n");
	}
}

static void measure_large(u32 rounds) {
	struct bytecode models[PROGRAMS_N];
	for (u32 i = 1; i < PROGRAMS_N; i++)
		models[i - 1] = (struct bytecode){programs[i].insns, programs[i].n};
	bench_compile(models, PROGRAMS_N - 1, rounds);
}

int main(int argc, char **argv) {
	bool dump = argc > 1 && !strcmp(argv[1], "--dump");
	argc -= dump, argv += dump;
	if (argc < 2)
		return fprintf(stderr, "usage: jit [--dump] OBJDIR [ROUNDS [PROGRAM]]\n"), 2;
	u32 rounds = argc > 2 && !dump ? MIN((u32)strtoul(argv[2], NULL, 0), (u32)MAX_ROUNDS) : 31;
	const char *only = dump ? argv[2] : argc > 3 ? argv[3] : NULL;
	prepare();
	for (u32 i = 0; i < PROGRAMS_N; i++) {
		load(&programs[i], argv[1]);
		compile(&programs[i]);
		if (dump && !strcmp(programs[i].name, only))
			return !fwrite(programs[i].image->code, programs[i].image->code_size, 1, stdout);
		kernel_works = kernel_works && (dump || kernel_load(&programs[i]));
	}
	if (!kernel_works)
		printf("kernel: bpf(2) does not work here (%s)\n", strerror(errno));
	for (u32 i = 0; i < PROGRAMS_N; i++)
		check(&programs[i]), measure_compile(&programs[i]);
	for (u32 i = 0; i < PROGRAMS_N; i++) {
		struct program *p = &programs[i];
		if (only && i && strcmp(only, p->name))
			continue;
		dress(p->name);
		for (u32 e = 0; e < ENGINES; e++)
			if (e != ENGINE_KERNEL || kernel_works)
				calibrate(p, e);
		for (u32 r = 0; r < rounds; r++)
			for (u32 e = 0; e < ENGINES; e++)
				if (e != ENGINE_KERNEL || kernel_works)
					p->ns[e][r] = time_round(p, e);
		for (u32 e = 0; e < ENGINES; e++)
			qsort(p->ns[e], rounds, sizeof(double), by_value);
	}
	report(rounds, only);
	if (!only)
		measure_large(rounds);
	return 0;
}
