/* What skep and the code that runs inside traced processes agree on: the address window and what lies in it.
 *
 *   window (low, the same addresses in every process of a session)                   base
 *   ┌──────────┬────────────────────┬─────────────────┬──────────────────┬──────────────╫──────────────┐
 *   │ areas RW │ shared          RW │ tables        R │ slots         RW │ env       RW ║ code      RX │
 *   │ of maps, │ requests, counters,│ call targets,   │ thread cache,    │ run_env,     ║ data plane,  │
 *   │ if they  │ doorbell; lines of │ replies,        │ private, wiped   │ private,     ║ programs,    │
 *   │ are small│ bpf_printk         │ heartbeat       │ in a forked child│ kept by fork ║ descriptors, │
 *   │          │                    │                 │                  │              ║ islands      │
 *   └──────────┴────────────────────┴─────────────────┴──────────────────┴──────────────╨──────────────┘
 *
 * What every process touches lies close together: page tables are a good part of what a hooked exec costs. Two files hold
 * all but slots and env: code and tables, shared.
 *
 * Who may write what is the security of the whole: code and tables are files that targets have open for reading only, so
 * a target can neither change them nor make its mapping of them writable. Only skep writes them. `shared` is written by
 * every traced process and believed by nobody: skep checks what it reads there, targets act on nothing they read there
 * but the state of their own request. Orders to a target stand in `tables`. slots and env belong to one process. */
#ifndef SKEP_HOOK_TARGET_SHARED_H
#define SKEP_HOOK_TARGET_SHARED_H
#include "abi/run.h"

enum {
	CODE_SIZE = 4 << 20,   /* the file is sparse: only what is used is memory */
	TABLES_SIZE = 128 << 10,
	SHARED_SIZE = 128 << 10,
	SLOTS_SIZE = 64 << 10,
	ENV_SIZE = 4096,
	/* From the base, where the code begins. */
	AT_SHARED = -(1 << 20),
	AT_TABLES = -(256 << 10),
	AT_SLOTS = AT_TABLES + TABLES_SIZE,
	AT_ENV = AT_SLOTS + SLOTS_SIZE,
	WINDOW_SIZE = CODE_SIZE - AT_SHARED,
	TABLES_IN_FILE = CODE_SIZE, /* they lie behind the code */
	TRACE_IN_FILE = SHARED_SIZE,
};

/* ---- boot: the first thing that runs in a new image -------------------------------------------------------------- */

enum { BOOT_FDS_MAX = 250, BOOT_MAPS_MAX = 500 };
struct boot_map {
	u64 address, size, offset;
	u16 fd;       /* index into the descriptors handed over */
	u16 writable;
	u32 pad;
};
/* In the code segment, filled when the session is made. */
struct session {
	u64 base;               /* of the window */
	u32 features;           /* enum session_feature */
	u32 fds, maps;
	u32 own_n;
	struct run_range own[2]; /* what programs may read directly: see run_env.own */
	u8 writable[BOOT_FDS_MAX + 6]; /* by descriptor */
	struct boot_map map[BOOT_MAPS_MAX];
};
enum session_feature {
	FEATURE_FSGSBASE = 1, /* user code may read its FS base */
	FEATURE_TASK = 2,     /* some program asks for the thread: keep the cache */
};
enum { SESSION_BYTES = 24 + 32 + 256 + BOOT_MAPS_MAX * 32 };
enum { BOOT_ISLANDS_MAX = 8 };
struct boot_island { /* pages of the code segment, at offset from, that are to stand at another address as well */
	u64 at, from, size;
};
/* Lies below the stack pointer of the new image; skep writes it, the loader (entry.S) and boot() read it. Its first part
 * is where the kernel puts a message with descriptors. */
struct boot_frame {
	u64 message[2];     /* struct cmsghdr */
	s32 fd[256];        /* those received, then -1; by path: -1 - n for skep's descriptor n */
	u64 entry, sp;      /* where the new image begins, with which stack pointer */
	u64 window, code_size, boot; /* of the session: the loader maps the code segment and jumps to boot */
	u64 leave, nr;      /* of the exec that has succeeded: the cell of its exit's routine, 0 = none, and its number */
	s32 pair[2];
	u64 header[7];      /* struct msghdr */
	u64 vector[2];      /* struct iovec */
	u64 byte;
	u64 by_path;        /* skep's descriptors must be opened: path is "/proc/PID/fd/" and the number goes behind it */
	u64 path_n;
	char path[64];
	struct boot_island island[BOOT_ISLANDS_MAX]; /* to be mapped; size 0 ends the list */
};
/* Offsets for entry.S. */
enum {
	FRAME_FD = 16,
	FRAME_ENTRY = FRAME_FD + 256 * 4,
	FRAME_SP = FRAME_ENTRY + 8,
	FRAME_WINDOW = FRAME_SP + 8,
	FRAME_LEAVE = FRAME_WINDOW + 24,
	FRAME_PAIR = FRAME_LEAVE + 16,
	FRAME_HEADER = FRAME_PAIR + 8,
	FRAME_PATH = FRAME_HEADER + 7 * 8 + 16 + 8 + 16,
};
STATIC_ASSERT(offsetof(struct boot_frame, fd) == FRAME_FD && offsetof(struct boot_frame, entry) == FRAME_ENTRY &&
                  offsetof(struct boot_frame, window) == FRAME_WINDOW &&
                  offsetof(struct boot_frame, leave) == FRAME_LEAVE && offsetof(struct boot_frame, nr) == FRAME_LEAVE + 8 &&
                  offsetof(struct boot_frame, pair) == FRAME_PAIR && offsetof(struct boot_frame, header) == FRAME_HEADER &&
                  offsetof(struct boot_frame, path) == FRAME_PATH,
              "as in entry.S");

/* ---- tables (skep writes, targets read) -------------------------------------------------------------------------- */

enum { NR_LIMIT = 512, HOOKS_MAX = 1024, REQUESTS = 64, CALLS_MAX = 12 };
struct remote_call {
	u64 nr, arg[6];
	u64 expect; /* another result ends the batch */
};
enum reply_op { REPLY_DONE = 1, REPLY_CALL };
struct reply {
	u32 seq;        /* grows with every answer: a futex */
	u32 op;
	u64 ticket;     /* of the request that is answered */
	u32 calls, pad;
	u64 pad2[5];
	struct remote_call call[CALLS_MAX];
};
struct tables {
	u32 beat;       /* grows while skep lives */
	u32 pad[15];
	u64 hook[HOOKS_MAX];          /* addresses of hook routines: stubs call through these; entry 0 is «nothing» */
	u16 enter[NR_LIMIT + 1];      /* system call number → index into hook; the last is for all other numbers */
	u16 leave[NR_LIMIT + 1];
	u8 pad3[124];
	struct reply reply[REQUESTS];
};
STATIC_ASSERT(sizeof(struct tables) <= TABLES_SIZE, "tables fit");

/* ---- shared (everybody writes, nobody believes) ------------------------------------------------------------------ */

enum request_state { REQUEST_FREE, REQUEST_ASKED, REQUEST_CALLED };
enum request_kind { ASK_BOOT = 1, ASK_MAPPED, ASK_EXEC, ASK_EXEC_FAILED };
enum { AT_CWD = -100 };
struct request {
	u32 owner;      /* tid of the thread that holds this slot, 0 = free */
	u32 state;      /* enum request_state: a futex */
	u32 pid, kind;
	u64 ticket;
	u64 arg[6];
	s64 ret[CALLS_MAX];
};
enum { PARTICIPANT_CELLS = 8192 };
struct shared {
	u32 doorbell;   /* a futex: skep sleeps on it */
	u32 orphaned;   /* a thread waited for a dead skep */
	u32 silent;     /* processes that may not use futexes: skep polls */
	u32 pad[13];
	u64 counters[RUN_COUNTERS];
	u64 forks, missed_requests;
	u64 pad2[6];
	u32 participants; /* numbers given out */
	u32 pad3[15];
	u64 participant[PARTICIPANT_CELLS]; /* number << 32 | process: who it was last given to */
	struct request request[REQUESTS];
};
STATIC_ASSERT(sizeof(struct shared) <= SHARED_SIZE, "requests fit");

/* ---- private memory of a process --------------------------------------------------------------------------------- */

struct thread_slot { /* found by FS base */
	u64 key;        /* FS base | 1, 0 = free */
	struct run_task task; /* tid 0: not known */
	const u32 *tid_at; /* where the kernel has put the thread's number, NULL: must be asked for */
	u64 pad[2];
};
enum { THREAD_SLOTS = SLOTS_SIZE / 64 - 1 };
STATIC_ASSERT(sizeof(struct thread_slot) == 64, "one cache line");
struct slot_table { /* empty in a forked child */
	u64 kept;       /* 0: this memory is a copy that nobody has seen yet */
	u64 pad[7];
	struct thread_slot slot[THREAD_SLOTS];
};
STATIC_ASSERT(sizeof(struct slot_table) == SLOTS_SIZE, "fits");
/* Is the word at every thread's FS base its own address? */
enum self_pointers { SELF_UNKNOWN, SELF_ALL, SELF_NEVER };
struct env {
	struct run_env run; /* first: what programs see */
	u32 silent;     /* a seccomp filter of the program's own is in force: no system call of ours */
	u32 self_pointers; /* enum self_pointers; only where user code cannot read its FS base */
	u32 nameless;   /* in a namespace of numbers of its own: participants could not be told apart */
	struct run_task last; /* what was last learnt of any thread of this process; pid 0: nothing */
};
#endif
