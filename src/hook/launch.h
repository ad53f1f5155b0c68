/* Launch mode: a command runs with programs attached to its system calls and to those of its descendants.
 *
 * skep forks, stops the child at its first instruction, maps the data plane, the code of the programs and the areas of
 * their maps, rewrites every system call site, and lets go: nobody stays attached. launch.c holds the recipe. */
#ifndef SKEP_HOOK_LAUNCH_H
#define SKEP_HOOK_LAUNCH_H
#include "runtime/engine.h"

enum launch_point { LAUNCH_ENTER, LAUNCH_EXIT };
/* What r1 points to. */
enum launch_ctx {
	LAUNCH_CTX_TRACEPOINT, /* struct trace_event_raw_sys_enter or _exit */
	LAUNCH_CTX_SYSCALL_TP, /* the record of one tracepoint syscalls/sys_enter_X: the same layout */
	LAUNCH_CTX_RAW_TP,     /* u64 args[2]: struct pt_regs *, id (enter) or return value (exit) */
	LAUNCH_CTX_REGS,       /* ksyscall, kprobe/__x64_sys_X: struct pt_regs whose di is the inner struct pt_regs * */
};
struct launch_prog {
	struct engine_prog *prog;
	enum launch_point point;
	enum launch_ctx ctx;
	s32 nr;      /* system call number, -1 = all */
	u64 cookie;
};

/* What skep could not see, counted for the report. */
struct launch_report {
	u64 processes, execs, images, sites, sites_skipped;
	u64 sites_enter_only; /* exits were wanted, but these are musl's cancellation points: see hook/trampoline.c */
	u64 unhooked_setuid, unhooked_32bit, unhooked_traced, unhooked_other;
	u64 aborted, lost_records, lost_lines, unreachable; /* in targets, as they say: enum run_counter */
	char first_unhooked[256]; /* path and reason of the first image that runs unhooked */
};

struct launch;
struct launch_opts {
	u64 size;
	char *const *argv;      /* the command; argv[0] is looked up in PATH */
	char *const *envp;      /* NULL = environ */
	const struct launch_prog *progs;
	u32 progs_n;
	const char *cache_dir;  /* of system call sites by build-id; NULL = default, "" = none */
	void (*log)(void *owner, const char *line);
	void *log_owner;
};

/* Starts the command; it is running when this returns. 0, or negative errno with a sentence in error (256 bytes):
 * -ENOENT and -EACCES for a command that cannot be executed, -EPERM when tracing is not allowed. */
int launch_start(struct skep_engine *e, const struct launch_opts *opts, struct launch **out, char *error);

/* Serves mailbox requests and exec stops for at most timeout_ms (-1: until something happens that the caller should look
 * at). Returns 1 while the command runs, 0 when it has ended and every descendant that asks has been served, or negative
 * errno. Call it from one thread: the one that started the launch. */
int launch_serve(struct launch *l, int timeout_ms);
/* Descriptor that becomes readable when launch_serve has work: for the caller's poll loop. */
int launch_fd(const struct launch *l);
int launch_pid(const struct launch *l);
int launch_exit_status(const struct launch *l); /* as a shell gives it: code, or 128 + signal */
void launch_report(const struct launch *l, struct launch_report *out);
/* One line that a program printed (bpf_printk) in a target, NUL-terminated: its bytes; 0 = none there. */
int launch_trace_read(struct launch *l, char *line, u32 size);
/* Detaches: programs are no longer entered; targets run on unharmed. Does not wait. */
int launch_detach(struct launch *l);
void launch_free(struct launch *l);
#endif
