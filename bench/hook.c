/* What a hooked system call costs. A child runs under skep with the counting program attached and times batches of getppid,
 * interleaved in one process:
 *
 *     bare     through a syscall instruction in anonymous memory, which skep does not touch
 *     hooked   through an ordinary site, number in line
 *     unknown  through a site whose number is not in line
 *     kernel   the bare site while the kernel's raw tracepoint runs the same program (where bpf() is allowed)
 *     control  the bare call against one that then calls an empty function: how much of a figure is the machine's
 *
 * Printed: medians over the batches, in ns of thread time per call, the median of the paired differences, and the spread
 * (quartiles) of these. Then start-up: a command that does nothing, native and hooked, warm and cold site cache. */
#include "abi/dataplane.h"
#include "hook/launch.h"
#include "hook/routines.h"
#include "launch/oracle.h"
#include <asm/unistd.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 2000, BATCHES = 301 };

/* ---- the child --------------------------------------------------------------------------------------------------- */

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
typedef long call_fn(void);
static long hooked(void) {
	long ret;
	__asm__ volatile("mov $110, %%eax\n syscall" : "=a"(ret) : : "rcx", "r11", "memory");
	return ret;
}
static long unknown(void) {
	static volatile long nr = __NR_getppid;
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr) : "rcx", "r11", "memory");
	return ret;
}
static NOINLINE double batch(call_fn *call) {
	double t = now();
	for (int i = 0; i < BATCH; i++)
		call();
	return (now() - t) / BATCH;
}
static int compare(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}
static double quantile(double *v, double q) {
	qsort(v, BATCHES, sizeof *v, compare);
	return v[(int)(q * (BATCHES - 1))];
}
static void pair(const char *what, call_fn *bare, call_fn *with) {
	static double a[BATCHES], b[BATCHES], d[BATCHES];
	for (int i = 0; i < 20; i++)
		batch(bare), batch(with);
	for (int i = 0; i < BATCHES; i++)
		a[i] = batch(bare), b[i] = batch(with), d[i] = b[i] - a[i];
	double low = quantile(d, 0.25), high = quantile(d, 0.75), middle = quantile(d, 0.5);
	printf("  %-28s bare %6.1f  with %6.1f  added %+6.1f ns (quartiles %+.1f … %+.1f)\n", what, quantile(a, 0.5),
	       quantile(b, 0.5), middle, low, high);
	fflush(stdout);
}
static int child(const char *what) {
	static const u8 code[] = {0xb8, __NR_getppid, 0, 0, 0, 0x0f, 0x05, 0xc3};
	u8 *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char line[128];
	memcpy(page, code, sizeof code);
	pair(what, (call_fn *)(void *)page, hooked);
	snprintf(line, sizeof line, "%s, unknown number", what);
	pair(line, (call_fn *)(void *)page, unknown);
	return 0;
}
/* What a figure of a hooked call is worth: the bare call against itself, followed by a call of an empty function. */
static void control(void) {
	static const u8 code[] = {0xb8, __NR_getppid, 0, 0, 0, 0x0f, 0x05, 0xc3},
			other[] = {0xb8, __NR_getppid, 0, 0, 0, 0x0f, 0x05, 0xe8, 0xf4, 0x0e, 0, 0, 0xc3};
	u8 *page = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(page, code, sizeof code), memcpy(page + 256, other, sizeof other), page[4096] = 0xc3;
	pair("no hook, an empty function", (call_fn *)(void *)page, (call_fn *)(void *)(page + 256));
}
/* With the kernel's tracepoint attached by turns. */
static int child_kernel(void) {
	static double a[BATCHES], b[BATCHES], d[BATCHES];
	for (int i = 0; i < BATCHES; i++) {
		a[i] = batch(hooked);
		int link = oracle_attach();
		if (link < 0)
			return 1;
		batch(hooked), b[i] = batch(hooked), d[i] = b[i] - a[i];
		close(link);
		batch(hooked);
	}
	double low = quantile(d, 0.25), high = quantile(d, 0.75), middle = quantile(d, 0.5);
	printf("  %-28s bare %6.1f  with %6.1f  added %+6.1f ns (quartiles %+.1f … %+.1f)\n", "kernel raw tracepoint",
	       quantile(a, 0.5), quantile(b, 0.5), middle, low, high);
	return 0;
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

extern const u8 bench_count[], bench_count_map[], bench_count_end[], bench_pid[], bench_pid_helper[], bench_pid_map[],
    bench_pid_end[];
struct engine_prog *engine_prog_by_id(struct skep_engine *e, u32 id) {
	(void)e, (void)id;
	return NULL;
}
struct engine_map *engine_map_by_id(struct skep_engine *e, u32 id) {
	(void)e, (void)id;
	return NULL;
}
void engine_prog_put(struct skep_engine *e, struct engine_prog *p) {
	(void)e, (void)p;
}
void engine_map_put(struct skep_engine *e, struct engine_map *m) {
	(void)e, (void)m;
}

static struct engine_map map = {.name = "counts", .area_fd = -1};

/* The same as bytecode: hook routines fill in what a program loads. Registers: ctx->di; the others: the number. */
static struct xlated bytecode(bool pid, enum launch_ctx ctx) {
	static const struct bpf_insn insns[] = {{.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 8},
	                                        {.code = BPF_JMP | BPF_EXIT}};
	static struct insn_facts facts[2] = {{.ptr = PTR_CTX, .map = NO_MAP}, {.map = NO_MAP}};
	return (struct xlated){.uses_run_task = pid, .insns = (struct bpf_insn *)insns, .facts = facts, .n = 2,
	                       .ctx_words = ctx == LAUNCH_CTX_REGS ? 1u << 14 | 2 : 2};
}

static bool follows; /* what is attached may look at everything */

static double run(char *const argv[], bool pid, enum launch_point point, enum launch_ctx ctx, const char *cache) {
	struct xlated x = follows ? (struct xlated){.uses_run_task = pid} : bytecode(pid, ctx);
	struct reloc relocs[2] = {{(u32)(bench_count_map - bench_count), RELOC_MAP_VALUE, 0, 0}};
	struct image image = {.id = 7, .xlated = &x, .code = (u8 *)bench_count, .code_size = (u32)(bench_count_end - bench_count),
	                      .relocs = relocs, .relocs_n = 1};
	if (pid) {
		relocs[0] = (struct reloc){(u32)(bench_pid_helper - bench_pid), RELOC_DP, DP_helper_get_current_pid_tgid, 0};
		relocs[1] = (struct reloc){(u32)(bench_pid_map - bench_pid), RELOC_MAP_VALUE, 0, 0};
		image.code = (u8 *)bench_pid, image.code_size = (u32)(bench_pid_end - bench_pid), image.relocs_n = 2;
	}
	struct engine_map *maps[] = {&map};
	struct engine_prog prog = {.image = &image, .maps = maps, .maps_n = 1, .id = 7, .name = "count"};
	struct launch_prog attached = {.prog = &prog, .point = point, .ctx = ctx, .nr = -1};
	struct launch_opts o = {.size = sizeof o, .argv = argv, .progs = &attached, .progs_n = 1, .cache_dir = cache};
	struct launch *l;
	char error[256];
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (launch_start(NULL, &o, &l, error)) {
		fprintf(stderr, "%s\n", error);
		exit(2);
	}
	while (launch_serve(l, 1000) > 0)
		;
	clock_gettime(CLOCK_MONOTONIC, &b);
	launch_free(l);
	return (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
}
static double native(char *const argv[]) {
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	pid_t pid = fork();
	if (!pid) {
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
}

/* CPU time of this process and of the children that have ended: of skep and of its targets. */
static double cpu(void) {
	struct rusage own, ended;
	getrusage(RUSAGE_SELF, &own), getrusage(RUSAGE_CHILDREN, &ended);
	const struct timeval *t[] = {&own.ru_utime, &own.ru_stime, &ended.ru_utime, &ended.ru_stime};
	double ms = 0;
	for (int i = 0; i < 4; i++)
		ms += (double)t[i]->tv_sec * 1e3 + (double)t[i]->tv_usec / 1e3;
	return ms;
}
static double quantile_of(double *v, int n, double q) {
	qsort(v, (size_t)n, sizeof *v, compare);
	return v[(int)(q * (n - 1))];
}
static void start_up(const char *what, char *const argv[], const char *cache, int n) {
	static double a[100], d[100], c[100];
	for (int i = 0; i < n; i++) {
		double t0 = cpu();
		a[i] = native(argv);
		double t1 = cpu(), b = run(argv, false, LAUNCH_ENTER, LAUNCH_CTX_TRACEPOINT, cache);
		d[i] = b - a[i], c[i] = (cpu() - t1) - (t1 - t0);
	}
	double low = quantile_of(d, n, 0.25), high = quantile_of(d, n, 0.75), middle = quantile_of(d, n, 0.5);
	printf("  %-28s native %6.2f  added %+6.2f ms (quartiles %+.2f … %+.2f), CPU time added %+.2f ms\n", what,
	       quantile_of(a, n, 0.5), middle, low, high, quantile_of(c, n, 0.5));
	fflush(stdout);
}

static void start_ups(const char *dir) {
	char *true_[] = {"/bin/true", NULL}, *sh[] = {"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done", NULL};
	char *busybox[] = {"busybox", "true", NULL};
	printf("start-up\n");
	start_up("true, warm cache", true_, dir, 41);
	start_up("true, no cache", true_, "", 7);
	start_up("busybox true, warm cache", busybox, dir, 41);
	start_up("sh, 10 x true, warm cache", sh, dir, 21);
}

/* ---- the hook alone ---------------------------------------------------------------------------------------------- */

static u64 routine_cell; /* as stubs have it */
static NOINLINE void enter_alone(void) {
	__asm__ volatile("lea -128(%%rsp), %%rsp\n mov $110, %%eax\n call *%0\n lea 128(%%rsp), %%rsp"
	                 : : "m"(routine_cell) : "rax", "rcx", "r11", "memory", "cc");
}
static NOINLINE void leave_alone(void) {
	__asm__ volatile("lea -128(%%rsp), %%rsp\n mov $1, %%eax\n push $110\n call *%0\n lea 136(%%rsp), %%rsp"
	                 : : "m"(routine_cell) : "rax", "rcx", "r11", "memory", "cc");
}
static NOINLINE void nothing_alone(void) {
	__asm__ volatile("lea -128(%%rsp), %%rsp\n mov $110, %%eax\n lea 128(%%rsp), %%rsp" : : : "rax", "memory");
}
static double calls(void (*f)(void)) {
	double t = now();
	for (int i = 0; i < 100 * BATCH; i++)
		f();
	return (now() - t) / (100 * BATCH);
}

/* The hook without its system call, whose cost varies more than the hook's: routine and program, in this process. */
static void alone(const char *what, bool all, enum launch_point point, enum launch_ctx ctx) {
	static double a[BATCHES], d[BATCHES];
	u8 *page = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	u32 size = (u32)(bench_count_end - bench_count);
	static u64 values[512];
	u64 at = (u64)values, entries[] = {(u64)page};
	if (page == MAP_FAILED)
		return;
	memcpy(page, bench_count, size), memcpy(page + (bench_count_map - bench_count), &at, 8);
	struct xlated x = all ? (struct xlated){0} : bytecode(false, ctx);
	struct image image = {.id = 7, .xlated = &x};
	struct engine_prog prog = {.image = &image};
	struct launch_prog attached = {.prog = &prog, .point = point, .ctx = ctx, .nr = -1};
	struct routine_env env = {.entries = entries};
	struct emit e = {.code = page + 4096, .room = 4096, .at = (u64)page + 4096};
	(point == LAUNCH_ENTER ? routine_enter : routine_leave)(&e, &env, &attached, (struct hook_list){(u16[]){0}, 1, false});
	routine_cell = e.at;
	for (int i = 0; i < BATCHES; i++)
		a[i] = calls(nothing_alone), d[i] = calls(point == LAUNCH_ENTER ? enter_alone : leave_alone) - a[i];
	double low = quantile(d, 0.25), high = quantile(d, 0.75), lowest = quantile(d, 0.1);
	printf("  %-28s %4u bytes %+6.2f ns (quartiles %+.2f … %+.2f)\n", what, e.n, lowest, low, high);
	munmap(page, 1 << 16);
}

static const char *const contexts[] = {"tracepoint", "tracepoint", "raw tracepoint", "registers"};
static void all_alone(void) {
	printf("the hook alone, without the system call: low decile\n");
	for (enum launch_ctx c = LAUNCH_CTX_TRACEPOINT; c <= LAUNCH_CTX_REGS; c++)
		for (enum launch_point p = LAUNCH_ENTER; p <= LAUNCH_EXIT; p++)
			for (int all = 0; all < 2 && c != LAUNCH_CTX_SYSCALL_TP; all++) {
				char label[64];
				if (all && c == LAUNCH_CTX_TRACEPOINT)
					continue;
				snprintf(label, sizeof label, "%s %s%s", contexts[c], p == LAUNCH_ENTER ? "enter" : "exit",
				         all ? ", all registers" : "");
				alone(label, all, p, c);
			}
}

int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "alone")) {
		all_alone();
		return 0;
	}
	if (argc > 2 && !strcmp(argv[1], "child"))
		return child(argv[2]);
	bool only_start = argc > 1 && !strcmp(argv[1], "start");
	map.map.data_size = 4096;
	map.token_fd = memfd_create("counts", MFD_CLOEXEC);
	if (ftruncate(map.token_fd, 4096))
		return 2;
	map.map.data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map.token_fd, 0);
	char dir[] = "/tmp/skep-bench-XXXXXX";
	if (!mkdtemp(dir))
		return 2;
	if (only_start) {
		start_ups(dir);
		native((char *[]){"rm", "-rf", dir, NULL});
		return 0;
	}
	all_alone();
	printf("system call, getppid, counting program\n");
	control();
	for (enum launch_ctx c = LAUNCH_CTX_TRACEPOINT; c <= LAUNCH_CTX_REGS; c++)
		for (enum launch_point p = LAUNCH_ENTER; p <= LAUNCH_EXIT; p++) {
			char label[64];
			if (c == LAUNCH_CTX_SYSCALL_TP)
				continue;
			snprintf(label, sizeof label, "%s %s", contexts[c], p == LAUNCH_ENTER ? "enter" : "exit");
			run((char *[]){argv[0], "child", label, NULL}, false, p, c, dir);
		}
	run((char *[]){argv[0], "child", "tracepoint enter, with pid", NULL}, true, LAUNCH_ENTER, LAUNCH_CTX_TRACEPOINT, dir);
	if (oracle_start() || child_kernel())
		printf("  (bpf() is not allowed here: no comparison with the kernel)\n");
	start_ups(dir);
	native((char *[]){"rm", "-rf", dir, NULL});
	return 0;
}
