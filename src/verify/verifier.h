/* The verifier's one entry point. Bytecode and facts in; a verdict, the kernel's log, a diagnostic, rewritten code and
 * facts out. No global state; one call, one thread; everything it returns lives in the caller's arena. */
#ifndef SKEP_VERIFY_H
#define SKEP_VERIFY_H
#include "abi/abi.h"
#include "abi/image.h"
#include "abi/map_facts.h"
#include "base/arena.h"

struct btf;

/* Log levels as in bpf(2): 1 failing path, 2 everything, 4 statistics, 8 fixed buffer. */
enum { LOG_LEVEL1 = 1, LOG_LEVEL2 = 2, LOG_STATS = 4, LOG_FIXED = 8 };

struct verify_input {
	const struct skep_abi *abi;
	const struct bpf_insn *insns;
	u32 insns_n;
	u32 prog_type, expected_attach_type, prog_flags;
	const char *license;
	bool gpl_compatible;
	u64 caps;                     /* enum verify_cap */
	struct map_facts *(*map_by_fd)(void *owner, s32 fd);   /* BPF_PSEUDO_MAP_FD; NULL = no map */
	const int *fd_error;          /* why map_by_fd gave NULL just now; NULL: -EBADF */
	struct map_facts *(*map_by_index)(void *owner, u32 i, int *error); /* fd_array */
	void *owner;
	const struct btf *btf;        /* the program's own, or NULL */
	const void *func_info;        /* struct bpf_func_info[], stride func_info_size */
	u32 func_info_n, func_info_size;
	const void *line_info;        /* struct bpf_line_info[] */
	u32 line_info_n, line_info_size;
	const struct btf *kernel_btf; /* types behind BTF pointers, or NULL */
	u32 attach_btf_id;
	u16 kernel;                   /* KV of an older kernel whose rules are asked for, as far as known; 0 = 6.18 */
	u32 log_level;
	char *log;                    /* buffer of log_size bytes, or NULL */
	u32 log_size;
	u64 insns_limit;              /* processed instructions; 0 = 1,000,000 */
	u64 memory_limit;             /* bytes; 0 = 1 GiB. Beyond it -ENOMEM, with a row of diag.def */
	u64 time_limit_ns;            /* 0 = none. Beyond it -ETIMEDOUT, with a row of diag.def */
	struct oracle *oracle;        /* record abstract states for the interpreter's checks, or NULL */
};
enum verify_cap { VERIFY_BPF = 1, VERIFY_PERFMON = 2, VERIFY_NET_ADMIN = 4, VERIFY_SYS_ADMIN = 8 };

/* Why a program was refused, for people. The strings live in the arena; NULL where there is nothing to say. */
struct verify_diag {
	u32 code;             /* row of diag.def: SK0xxx; 0 = accepted */
	s32 insn;             /* index as loaded, -1 none */
	const char *message;  /* the kernel's line */
	const char *sentence; /* ours, in values */
	const char *suggestion;
	const char *file, *line_text; /* the C line */
	u32 line, column;
	const char *known, *needed;   /* in values: «the index is 0..4294967295» */
	struct verify_note {
		s32 insn;
		const char *text;         /* «the index is read from the packet here» */
		const char *file, *line_text;
		u32 line, column;
	} notes[6];                   /* where the refusal comes from, the nearest first */
	u32 notes_n;
};
struct verify_stats {
	u64 insns_processed, total_states, peak_states, max_states_per_insn, time_ns;
	u64 memory;           /* bytes that the search took, at the most */
	u32 stack_depth[256]; /* per subprogram */
	u32 subprogs_n;
	u32 log_true_size;    /* bytes the whole log would need, with the NUL */
};
struct verify_output {
	struct xlated *xlated;
	struct verify_diag diag;
	struct verify_stats stats;
};

/* 0, or negative errno exactly as BPF_PROG_LOAD would give it (-EINVAL, -EACCES, -E2BIG, -ENOSPC, -EPERM …).
 * out->diag is filled on refusal; out->stats always. */
int verify(const struct verify_input *in, struct arena *arena, struct verify_output *out);
#endif
