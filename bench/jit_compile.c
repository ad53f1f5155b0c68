/* What compiling costs, by the size of the program: the fixed cost, then a thousand to a million instructions.
 *
 * A program of n instructions is the sixteen programs over and over, exits made jumps to what follows. Sizes are
 * interleaved round by round, timed with the thread's CPU clock (page faults and system calls are in it); the table
 * shows the low decile, the median and the high decile of the rounds, in ns an instruction. Memory is taken from the
 * system and given back in every round where the C library does that, so large programs pay for fresh pages.
 *
 *   tier 1   jit_compile: bytecode to relocatable machine code
 *   image    image_build: a copy of the program, the interpreter's form and tier 1
 *   mapped   what the runtime does then: relocation, a memfd, one mapping (W^X: no page is both) */
#include "jit_compile.h"
#include "abi/map_facts.h"
#include "base/large.h"
#include "exec/jit/jit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROUNDS = 200, STEPS = 3 };
static const u32 sizes[] = {1, 1000, 10000, 100000, 1000000};
static const char *const step_names[STEPS] = {"tier 1", "image", "mapped"};

struct large {
	struct xlated x;
	struct xlated_subprog sub;
	u32 repeat; /* short programs: so often in a round */
	u32 bytes;
	double ns[STEPS][MAX_ROUNDS];
};

static void make_large(struct large *l, const struct bytecode *models, u32 models_n, u32 want) {
	struct bpf_insn *insns = calloc(want + 1, sizeof *insns);
	u32 n = 0;
	for (u32 m = 0; m < models_n && n + models[m].n < want; m = (m + 1) % models_n) {
		memcpy(insns + n, models[m].insns, models[m].n * sizeof *insns);
		for (u32 i = 0; i < models[m].n; i++)
			if (insns[n + i].code == (BPF_JMP | BPF_EXIT))
				insns[n + i] = (struct bpf_insn){.code = BPF_JMP | BPF_JA, .off = (s16)(models[m].n - 1 - i)};
		n += models[m].n;
	}
	while (n + 1 < want)
		insns[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV};
	insns[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	struct insn_facts *facts = calloc(n, sizeof *facts);
	for (u32 i = 0; i < n; i++)
		facts[i] = (struct insn_facts){.zext = 1, .map = NO_MAP};
	l->sub = (struct xlated_subprog){.start = 0, .end = n, .stack = 512};
	l->x = (struct xlated){.insns = insns, .facts = facts, .n = n, .subprogs = &l->sub, .subprogs_n = 1};
	l->repeat = MIN(MAX(20000 / n, 1u), 50u);
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
static u64 resolve(void *owner, u16 kind, u16 index, u64 addend) {
	return 0;
}

static void compile_once(struct large *l) {
	struct image image = {.xlated = &l->x};
	if (jit_compile(&image, &jit_x64, jit_x64.features()))
		abort();
	l->bytes = image.code_size;
	free(image.code);
	free(image.relocs);
}
static void build_once(struct large *l) {
	struct image *image;
	if (image_build(&l->x, 0, true, &image))
		abort();
	image_free(image);
}
static void map_once(const struct image *image) {
	u64 size = round_up(image->code_size, 4096);
	int fd = memfd_create("code", MFD_CLOEXEC);
	u8 *copy = large_alloc(image->code_size);
	if (fd < 0 || ftruncate(fd, (off_t)size) || !copy)
		abort();
	u8 *rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	image_relocate(image, copy, (u64)rx, resolve, NULL);
	if (pwrite(fd, copy, image->code_size, 0) != image->code_size)
		abort();
	free(copy);
	close(fd);
	munmap(rx, size);
}
static void one_round(struct large *l, u32 round, const struct image *image) {
	for (u32 step = 0; step < STEPS; step++) {
		double start = now();
		for (u32 i = 0; i < l->repeat; i++)
			step == 0 ? compile_once(l) : step == 1 ? build_once(l) : map_once(image);
		l->ns[step][round] = (now() - start) / l->repeat / l->x.n;
	}
}
static int by_value(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

void bench_compile(const struct bytecode *models, u32 models_n, u32 rounds) {
	struct large *all = calloc(ARRAY_SIZE(sizes), sizeof *all);
	struct image *images[ARRAY_SIZE(sizes)];
	rounds = MIN(rounds, (u32)MAX_ROUNDS);
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_large(&all[i], models, models_n, sizes[i]);
		if ((errno = -image_build(&all[i].x, 0, true, &images[i])))
			abort();
	}
	for (u32 r = 0; r < rounds; r++)
		for (u32 i = 0; i < ARRAY_SIZE(sizes); i++)
			one_round(&all[i], r, images[i]);
	printf("\ncompiling, ns an instruction: p10, median, p90\n%-12s", "instructions");
	for (u32 s = 0; s < STEPS; s++)
		printf(" | %-23s", step_names[s]);
	printf(" | B/insn\n");
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		printf("%-12u", all[i].x.n);
		for (u32 s = 0; s < STEPS; s++) {
			double *ns = all[i].ns[s];
			qsort(ns, rounds, sizeof *ns, by_value);
			printf(" | %7.1f %7.1f %7.1f", ns[rounds / 10], ns[rounds / 2], ns[rounds * 9 / 10]);
		}
		printf(" | %6.1f\n", (double)all[i].bytes / all[i].x.n);
		image_free(images[i]);
		free(all[i].x.insns);
		free(all[i].x.facts);
	}
	free(all);
}
