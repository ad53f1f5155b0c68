/* The program entry convention: what stands between a hook and a program, in every engine and every process.
 *
 * A program image is entered as     u64 r0 = entry(void *ctx, struct skep_run *run)
 * a helper or map function as       u64 r0 = helper(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, struct skep_run *run)
 * and a callback (bpf_loop …) as    u64 r0 = run_callback(run, fn, r1, r2, r3, r4, r5).
 *
 * A run is one execution of one program by one thread; tail calls and callbacks belong to the run that made them. Its
 * record lives on the stack of that thread, so nested runs (a signal handler that runs into a hook) and runs that are
 * left by siglongjmp need no care at all.
 *
 * Abort. A helper that cannot go on stores a reason into run->status and returns. Engines test the status after every
 * call of a helper whose row says MAY_ABORT, after a callback's return, and at metered back-edges, and leave the program
 * with r0 = 0 when it is set. Whoever entered the program then calls run_release, which gives back what the run still
 * holds: acquisitions are recorded in run->held by the helper that made them and taken out by the one that ends them. (A
 * static map of live references per call site would not do: at one call the same reference can be in different
 * registers on different paths.)
 *
 * Budget. With IMAGE_METERED code, back-edges, local calls and callback iterations subtract from run->budget the
 * number of instructions since the last such point, and abort with RUN_BUDGET when it becomes negative. */
#ifndef SKEP_ABI_RUN_H
#define SKEP_ABI_RUN_H
#include "base/base.h"

struct skep_run;
struct map;

enum run_status { RUN_OK = 0, RUN_BUDGET, RUN_LOCK, RUN_FAULT, RUN_HELD, RUN_ORACLE /* outside the verifier's states */ };

enum { RUN_HELD_MAX = 8, RUN_TAIL_CALLS_MAX = 33, RUN_STACK_FRAMES_MAX = 8 };

enum held_kind { HELD_RINGBUF = 1, HELD_SPIN_LOCK };
struct run_held {
	u32 kind;
	u32 pad;
	void *at;              /* record or lock, in the address space of the run */
	const struct map *map; /* to which it belongs */
};

/* What a helper may ask about the thread that runs; filled by whoever enters the program, read by helpers only. */
struct run_task {
	u32 pid, tid; /* kernel words: tgid and pid */
	u32 uid, gid;
	char comm[16];
};

typedef u64 run_callback_fn(struct skep_run *run, u64 fn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);

struct skep_run {
	u32 status;                 /* enum run_status */
	u32 cpu;                    /* index of the CPU at entry: read once, constant for the run */
	s64 budget;                 /* instructions left; used by metered images only */
	u32 tail_calls;             /* made so far */
	u32 held_n;                 /* used entries of held */
	const struct run_task *task; /* of the current thread; NULL makes a helper ask the system */
	run_callback_fn *callback;  /* how an interpreter runs callbacks; NULL means fn is machine code */
	void *engine;               /* private to whoever set callback */
	const struct run_env *env;  /* process-wide services: clock, trace output, counters; never NULL */
	const void *image;          /* identity of the running program: struct image in the library, its id in targets */
	u64 cookie;                 /* bpf_get_attach_cookie */
	void *ctx;                  /* as given to the program */
	u64 random;                 /* of get_prandom_u32: any content */
	u32 prog_type;              /* enum bpf_prog_type, for helpers that differ by it (redirect); 0: not told */
	u32 pad;
	struct run_held held[RUN_HELD_MAX];
};

struct run_range {
	u64 from, to;
};

/* The services of the process in which a run happens. In the library it is a private object of the engine; in a traced
 * process it lies in a private page that only skep writes before the process goes on. Its pointers are valid in that
 * process only. Zeroed fields mean «ask the system». */
struct run_env {
	int (*clock_gettime)(int clock, void *timespec); /* the vDSO's, or NULL: system call */
	const void *trace; /* bpf_printk lines: struct map of a ring buffer, one record a line; NULL: dropped and counted */
	u64 *counters; /* RUN_COUNTERS cells, shared and hostile: statistics only */
	u32 nr_cpus;   /* possible CPUs: the stride count of every per-CPU value */
	u32 pid;       /* namespace-local process id, 0 = ask */
	u64 fake_clock_ns; /* tests: 0 = real time */
	u32 participant; /* who writes into shared areas: see map/map.h; 0 = PARTICIPANT_ANY */
	u32 flags;       /* enum run_env_flag */
	const struct run_range *own; /* memory that stays mapped and that programs may read as kernel memory: own_n ranges */
	u32 own_n;
};
enum run_env_flag { RUN_NO_SYSCALLS = 1 /* a seccomp filter may kill: reads of foreign memory are -EFAULT */ };
enum run_counter { COUNT_RUNS, COUNT_RECURSION, COUNT_LOST_TRACE, COUNT_LOST_RINGBUF, COUNT_ABORTED, COUNT_UNREACHABLE,
                   RUN_COUNTERS };

static ALWAYS_INLINE u64 run_callback(struct skep_run *run, u64 fn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
	typedef u64 entry(u64, u64, u64, u64, u64, struct skep_run *);
	if (run->callback)
		return run->callback(run, fn, r1, r2, r3, r4, r5);
	return ((entry *)fn)(r1, r2, r3, r4, r5, run);
}
#endif
