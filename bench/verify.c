/* How long verification takes, beside the kernel where bpf() works (`make bench-verify`).
 *
 *   alu       arithmetic on numbers of which nothing or little is known, no branches
 *   stack     spills, fills and context loads, no branches
 *   branches  a comparison of an unknown number every 16 instructions, ways that join again
 *   loop      a loop of ten instructions that runs n / 10 times
 *   packet    what real programs are made of: headers found to lie inside the packet, fields loaded, compared, spilled and
 *             summed up, map values looked up and tested, a function called now and then
 *
 * Each at 1,000, 10,000 and 100,000 instructions processed, some at a million as well; several rounds, ours and the
 * kernel's in turn. A line: median nanoseconds per instruction processed, the spread (lowest and highest round), and ours
 * over the kernel's. The kernel's time is the one that it reports itself (log level 4), in microseconds, without its JIT
 * and copying; ours is the thread's processor time, all of the call. On a busy machine look at the low values: the ratio
 * is of those.
 *
 *     verify [PROGRAM [N [ROUNDS]]]     only these; N of 0 is all sizes, and without ROUNDS there are nine
 *
 * With one round it is what to run under callgrind, whose counts do not depend on the load. */
#include "abi/abi.h"
#include "kernel.h"
#include "verify/verifier.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9, ROOM = 1000000 + 64 };
static struct bpf_insn code[ROOM];
static u32 code_n;
static u64 seed;
static int map_fd;

static u32 rnd(u32 n) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (u32)(seed >> 33) % n;
}
static void emit(u8 op, u8 dst, u8 src, s16 off, s32 imm) {
	code[code_n++] = (struct bpf_insn){.code = op, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}
static void load_ctx(u8 reg) {
	static const s16 fields[] = {0, 4, 8, 12, 16, 32, 36, 40};
	emit(BPF_LDX | BPF_MEM | BPF_W, reg, BPF_REG_1, fields[rnd(ARRAY_SIZE(fields))], 0);
}

static void make_alu(u32 n) {
	static const u8 ops[] = {BPF_ADD, BPF_SUB, BPF_XOR, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOV};
	for (u8 r = 2; r < 6; r++)
		load_ctx(r);
	while (code_n < n - 2) {
		u8 op = ops[rnd(ARRAY_SIZE(ops))], class = rnd(2) ? BPF_ALU64 : BPF_ALU, dst = (u8)(2 + rnd(4));
		bool shift = op == BPF_LSH || op == BPF_RSH;
		if (rnd(32) == 0)
			load_ctx(dst);
		else if (shift || rnd(2))
			emit(class | op | BPF_K, dst, 0, 0, shift ? (s32)rnd(31) + 1 : (s32)(rnd(1 << 20)));
		else
			emit(class | op | BPF_X, dst, (u8)(2 + rnd(4)), 0, 0);
	}
}
static void make_stack(u32 n) {
	load_ctx(2);
	for (s16 off = -8; off >= -256; off -= 8)
		emit(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, 2, off, 0);
	while (code_n < n - 2) {
		s16 off = (s16)(-8 - 8 * (s16)rnd(32));
		switch (rnd(3)) {
		case 0: load_ctx((u8)(2 + rnd(4))); break;
		case 1: emit(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, 2, off, 0); break;
		default: emit(BPF_LDX | BPF_MEM | BPF_DW, 2, BPF_REG_10, off, 0); break;
		}
	}
}
static void make_branches(u32 n) {
	emit(BPF_ALU64 | BPF_MOV | BPF_K, 6, 0, 0, 0);
	while (code_n < n - 18) { /* at most 8,192 ways may wait at a time */
		load_ctx(2);
		emit(BPF_JMP | BPF_JGT | BPF_K, 2, 0, 1, (s32)rnd(1 << 16));
		emit(BPF_ALU64 | BPF_ADD | BPF_K, 6, 0, 0, 1);
		for (u32 i = 0; i < 13; i++)
			emit(BPF_ALU64 | BPF_XOR | BPF_X, 6, 2, 0, 0);
	}
}
static void make_loop(u32 n) {
	emit(BPF_ALU64 | BPF_MOV | BPF_K, 6, 0, 0, 0);
	load_ctx(3);
	for (u32 i = 0; i < 8; i++)
		emit(BPF_ALU64 | (i & 1 ? BPF_ADD : BPF_XOR) | BPF_K, 3, 0, 0, (s32)i + 1);
	emit(BPF_ALU64 | BPF_ADD | BPF_K, 6, 0, 0, 1);
	emit(BPF_JMP | BPF_JLT | BPF_K, 6, 0, -10, (s32)(n / 10));
}

/* One header: r6 is the context, r7 and r8 are the packet and its end, r9 is the sum. */
static void packet_header(void) {
	s16 at = (s16)(14 + rnd(64));
	emit(BPF_LDX | BPF_MEM | BPF_W, 7, 6, 0, 0);
	emit(BPF_LDX | BPF_MEM | BPF_W, 8, 6, 4, 0);
	emit(BPF_ALU64 | BPF_MOV | BPF_X, 2, 7, 0, 0);
	emit(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, at + 4);
	emit(BPF_JMP | BPF_JGT | BPF_X, 2, 8, 6, 0);
	emit(BPF_LDX | BPF_MEM | BPF_B, 3, 7, at, 0);
	emit(BPF_LDX | BPF_MEM | BPF_H, 4, 7, (s16)(at + 2), 0);
	emit(BPF_STX | BPF_MEM | BPF_DW, 10, 4, -16, 0);
	emit(BPF_JMP | BPF_JNE | BPF_K, 3, 0, 2, (s32)rnd(256));
	emit(BPF_LDX | BPF_MEM | BPF_DW, 5, 10, -16, 0);
	emit(BPF_ALU64 | BPF_ADD | BPF_X, 9, 5, 0, 0);
}
static void packet_lookup(void) {
	emit(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, (s32)rnd(16));
	emit(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
	emit(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4);
	emit(BPF_LD_IMM64, 1, BPF_PSEUDO_MAP_FD, 0, map_fd);
	emit(0, 0, 0, 0, 0);
	emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
	emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3, 0);
	emit(BPF_LDX | BPF_MEM | BPF_DW, 1, 0, 8, 0);
	emit(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 1);
	emit(BPF_STX | BPF_MEM | BPF_DW, 0, 1, 8, 0);
}
static void make_packet(u32 n) {
	emit(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
	emit(BPF_ALU64 | BPF_MOV | BPF_K, 9, 0, 0, 0);
	while (code_n < n - 32) {
		packet_header();
		packet_lookup();
	}
}

static const struct program {
	const char *name;
	void (*make)(u32 n);
	u32 type, most, kernel_most;
} programs[] = {{"alu", make_alu, BPF_PROG_TYPE_SOCKET_FILTER, 1000000, 10000},
                {"stack", make_stack, BPF_PROG_TYPE_SOCKET_FILTER, 1000000, 10000},
                {"branches", make_branches, BPF_PROG_TYPE_SOCKET_FILTER, 100000, 10000},
                {"loop", make_loop, BPF_PROG_TYPE_SOCKET_FILTER, 100000, 100000},
                {"packet", make_packet, BPF_PROG_TYPE_XDP, 10000, 10000}};

static struct map_facts *the_map(void *owner, s32 fd) {
	static struct map_facts facts = {.type = BPF_MAP_TYPE_ARRAY,
	                                       .key_size = 4,
	                                       .value_size = 16,
	                                       .max_entries = 16,
	                                       .fields = {.spin_lock = -1, .timer = -1, .workqueue = -1}};
	return &facts;
}

static double ours(u32 type, u64 *processed) {
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = code,
	                          .insns_n = code_n,
	                          .prog_type = type,
	                          .map_by_fd = the_map,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN};
	struct verify_output out;
	struct arena arena;
	int r;
	struct timespec t0, t1;
	arena_init(&arena, 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	r = verify(&in, &arena, &out);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	if (r) {
		printf("refused: %d %s\n", r, out.diag.message ? out.diag.message : "");
		exit(1);
	}
	arena_free(&arena);
	*processed = out.stats.insns_processed;
	return ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / (double)*processed;
}

static double kernels(u32 type, u64 processed) {
	static char log[KERNEL_LOG];
	struct kernel_prog p = {.insns = code, .n = code_n, .type = type, .log_level = LOG_STATS};
	int fd = kernel_load(&p, log);
	const char *time = strstr(log, "verification time ");
	if (fd < 0 || !time)
		return 0;
	close(fd);
	return (double)strtoull(time + 18, NULL, 10) * 1000 / (double)processed;
}

static int ascending(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void measure(const struct program *p, u32 n, u32 rounds, bool kernel) {
	double a[ROUNDS], b[ROUNDS];
	u64 processed = 0;
	char theirs[64] = "-", ratio[16] = "-";
	code_n = 0;
	seed = 88172645463325252ull;
	kernel &= n <= p->kernel_most; /* where rewriting is quadratic it takes minutes */
	p->make(n);
	emit(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (u32 i = 0; i < rounds; i++) {
		a[i] = ours(p->type, &processed);
		b[i] = kernel ? kernels(p->type, processed) : 0;
	}
	qsort(a, rounds, sizeof a[0], ascending);
	qsort(b, rounds, sizeof b[0], ascending);
	if (b[0] > 0) {
		snprintf(theirs, sizeof theirs, "%7.1f (%.1f-%.1f)", b[rounds / 2], b[0], b[rounds - 1]);
		snprintf(ratio, sizeof ratio, "%.2f", a[0] / b[0]);
	}
	printf("%-9s %8u %10llu   %7.1f (%.1f-%.1f)%*s %-30s %s\n", p->name, code_n, (unsigned long long)processed,
	       a[rounds / 2], a[0], a[rounds - 1], 10, "", theirs, ratio);
	fflush(stdout);
}

int main(int argc, char **argv) {
	const char *missing = kernel_missing(), *only = argc > 1 ? argv[1] : NULL;
	u32 size = argc > 2 ? (u32)atoi(argv[2]) : 0, rounds = argc > 3 ? (u32)atoi(argv[3]) : ROUNDS;
	rounds = rounds < 1 || rounds > ROUNDS ? ROUNDS : rounds;
	if (missing)
		printf("kernel: left out (%s)\n", missing);
	else
		map_fd = kernel_map(BPF_MAP_TYPE_ARRAY, 4, 16, 16, 0, 0);
	printf("%-9s %8s %10s   %-34s %-30s ratio\n", "program", "insns", "processed", "skep ns/insn median (low-high)",
	       "kernel ns/insn");
	for (u32 p = 0; p < ARRAY_SIZE(programs); p++)
		for (u32 n = 1000; n <= programs[p].most && (!only || !strcmp(only, programs[p].name)); n *= 10)
			if (!size || size == n)
				measure(&programs[p], n, rounds, !missing);
	return 0;
}
