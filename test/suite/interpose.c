/* The bpf(2) system calls of a test program, sent to skep or to the kernel and noted on its standard output: a library for
 * LD_PRELOAD. libbpf makes all of them through syscall(3).
 *
 *     SKEP_BPF=kernel    to the kernel; else to skep
 *
 * The engine's caller has the rights of the calling thread, which test programs drop and raise. Kernel types are the
 * running kernel's, whose numbers the programs name. Noted are commands whose outcome is a judgement, in lines of their
 * own that begin with «@», among what the program says itself:
 *
 *     @ load 0 (or an errno) and the last line of the log, the statistics apart
 *     @ btf 0 (or an errno) and the last line of the log
 *     @ run 0 (or an errno) and the program's result
 *     @ create 0 (or an errno), type of map */
#include "btf/btf.h"
#include "runtime/engine.h"
#include <dlfcn.h>
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct skep_engine *engine; /* NULL: the kernel */
static long (*next_syscall)(long, ...);
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void) {
	struct btf *types = NULL;
	struct engine_opts opts = {.size = sizeof opts, .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN | VERIFY_SYS_ADMIN};
	const char *whose = getenv("SKEP_BPF");
	next_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (!next_syscall)
		abort();
	if (whose && !strcmp(whose, "kernel"))
		return;
	btf_read_file(NULL, NULL, 0, NULL, &types);
	opts.kernel_btf = types;
	if (engine_create(&opts, &engine))
		abort();
}

/* What the calling thread may not do. CAP_SYS_ADMIN stands for the others. */
static u64 lacking(void) {
	static const struct {
		u32 bit;
		u64 cap;
	} rights[] = {{CAP_BPF, VERIFY_BPF}, {CAP_PERFMON, VERIFY_PERFMON}, {CAP_NET_ADMIN, VERIFY_NET_ADMIN}};
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	u64 lacks = 0;
	if (next_syscall(SYS_capget, &head, data))
		abort();
	if (data[0].effective >> CAP_SYS_ADMIN & 1)
		return 0;
	for (u32 i = 0; i < ARRAY_SIZE(rights); i++)
		if (!(data[rights[i].bit / 32].effective >> rights[i].bit % 32 & 1))
			lacks |= rights[i].cap;
	return lacks | VERIFY_SYS_ADMIN;
}

/* What nobody writes must not look like an answer. */
static void clear_log(u32 cmd, const union bpf_attr *attr) {
	u64 log = cmd == BPF_PROG_LOAD ? attr->log_buf : cmd == BPF_BTF_LOAD ? attr->btf_log_buf : 0;
	if (log)
		*(char *)(uintptr_t)log = 0;
}

/* The last line that is not about statistics. */
static void note_log(const char *log) {
	static const char *const statistics[] = {"processed ", "verification time", "stack depth", "mark_read"};
	const char *last = "";
	u32 last_n = 0;
	for (const char *line = log; line && *line;) {
		u32 n = (u32)strcspn(line, "\n"), skip = !n;
		for (u32 i = 0; i < ARRAY_SIZE(statistics); i++)
			skip |= !strncmp(line, statistics[i], strlen(statistics[i]));
		if (!skip)
			last = line, last_n = n;
		line += n + (line[n] != 0);
	}
	printf("%.*s\n", (int)last_n, last);
}

static void note(u32 cmd, const union bpf_attr *attr, s64 r) {
	s64 error = r < 0 ? r : 0;
	switch (cmd) {
	case BPF_PROG_LOAD:
		printf("\n@ load %d ", (int)error);
		note_log((const char *)(uintptr_t)attr->log_buf);
		break;
	case BPF_BTF_LOAD:
		printf("\n@ btf %d ", (int)error);
		note_log((const char *)(uintptr_t)attr->btf_log_buf);
		break;
	case BPF_PROG_TEST_RUN:
		printf("\n@ run %d %d\n", (int)error, r < 0 ? 0 : (int)attr->test.retval);
		break;
	case BPF_MAP_CREATE:
		printf("\n@ create %d %u\n", (int)error, attr->map_type);
		break;
	}
}

/* Random programs are the same ones every time. */
__attribute__((visibility("default"))) void srand(unsigned seed) {
}

__attribute__((visibility("default"))) long syscall(long number, ...) {
	struct bpf_caller caller = {.owner = NULL};
	va_list args;
	long a[6];
	s64 r;
	va_start(args, number);
	for (u32 i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	pthread_once(&once, begin);
	if (number != SYS_bpf)
		return next_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	clear_log((u32)a[0], (const union bpf_attr *)a[1]);
	if (engine) {
		caller.lacks = lacking();
		r = skep_bpf_for(engine, &caller, (u32)a[0], (u64)a[1], (u32)a[2]);
	} else {
		r = next_syscall(number, a[0], a[1], a[2]);
		r = r < 0 ? -errno : r;
	}
	note((u32)a[0], (const union bpf_attr *)a[1], r);
	if (r >= 0)
		return (long)r;
	errno = (int)-r;
	return -1;
}
