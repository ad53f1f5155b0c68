/* An engine: the objects of bpf(2) and the commands over them. Everything above (library, command line, supervisor)
 * goes through skep_bpf, so that what works for us works for every tool. */
#ifndef SKEP_RUNTIME_ENGINE_H
#define SKEP_RUNTIME_ENGINE_H
#include "abi/abi.h"
#include "abi/image.h"
#include "abi/map_facts.h"
#include "exec/exec.h"
#include "map/ops.h"
#include "verify/verifier.h"

struct skep_engine;
enum engine_backing { BACKING_ANONYMOUS, BACKING_FILES };
struct engine_opts {
	u64 size; /* of this struct: unknown tail must be zero */
	enum engine_backing backing;
	const char *directory; /* BACKING_FILES: NULL = $XDG_RUNTIME_DIR/skep, else a private directory on /dev/shm */
	u64 caps;              /* enum verify_cap; 0 = BPF | PERFMON | NET_ADMIN */
	bool untrusted;        /* programs and maps are those of a user without capabilities, whatever caps says */
	bool interpreter_only;
	bool metered; /* programs carry a budget */
	/* programs run in the interpreter and are checked against the verifier's states; a program in one thread at a time */
	bool oracle;
	void (*log)(void *owner, int level, const char *line); /* level 0 error, 1 warning, 2 note */
	void *log_owner;
	bool handles; /* the host forbids descriptors: commands give integers from ENGINE_HANDLE up instead */
	const struct btf *kernel_btf; /* types behind BTF pointers and attach_btf_id; NULL = skep's own (abi/types.h) */
	u16 kernel; /* KV of an older kernel whose rules programs are verified by, as far as they are known; 0 = 6.18 */
	u64 commit_limit;             /* BACKING_FILES: maps up to this many bytes get their memory at once; 0 = 64 MiB */
	u64 verify_memory;            /* bytes that verifying a program may take; 0 = 1 GiB */
	u64 verify_time_ns;           /* and how long; 0 = no limit */
};
enum { ENGINE_HANDLE = 0x40000000 };

/* 0 or negative errno. -EPERM, -ENOTDIR, -ELOOP: the private directory is not private; -ENOSPC: it is full. The
 * sentence goes to opts->log. */
int engine_create(const struct engine_opts *opts, struct skep_engine **out);
void engine_destroy(struct skep_engine *e);

/* The bpf(2) system call: value >= 0 (descriptors, counts) or negative errno. attr is union bpf_attr of abi/uapi.h. */
s64 skep_bpf(struct skep_engine *e, u32 cmd, void *attr, u32 size);

/* The same for a caller in another address space: attr and the pointers in it are the caller's, and so are the numbers
 * of descriptors. Every member may be NULL: then it is this process. */
struct bpf_caller {
	void *owner;
	int (*read)(void *owner, void *to, u64 from, u64 bytes); /* 0 or -EFAULT */
	int (*write)(void *owner, u64 to, const void *from, u64 bytes);
	int (*borrow_fd)(void *owner, int fd);  /* their descriptor as one of this process, or -EBADF */
	void (*return_fd)(void *owner, int fd); /* ends the loan */
	int (*give_fd)(void *owner, int fd);    /* installs ours in theirs, closes ours: their number or negative errno */
	u64 lacks; /* enum verify_cap: what this caller may not do, of what the engine allows (engine_opts.caps) */
};
s64 skep_bpf_for(struct skep_engine *e, const struct bpf_caller *caller, u32 cmd, u64 attr, u32 size);

/* Closes what a command gave, descriptor or handle. For real descriptors close(2) does the same. */
int engine_close(struct skep_engine *e, int fd);

/* Why the last failed command of the calling thread failed, in a sentence, where there is more to say than the errno.
 * false: nothing to say. */
struct engine_problem {
	u32 code;  /* row of diag.def, 0 = none */
	int error; /* negative errno that the command gave */
	char sentence[512];
	char suggestion[256]; /* "" = none */
};
bool engine_explain(struct skep_engine *e, struct engine_problem *out);

/* The verdict of this engine's last BPF_PROG_LOAD: borrowed until the next one by any thread. NULL: it was refused before
 * the verifier looked at it, or there was none. */
struct engine_verdict {
	int error; /* what the command gave, 0 = loaded */
	struct verify_diag diag;
	struct verify_stats stats;
};
const struct engine_verdict *engine_last_verdict(struct skep_engine *e);

/* One line that a program printed (bpf_printk), NUL-terminated, without the newline: its bytes; 0 = none there; never
 * blocks. Lines longer than size - 1 are cut. */
int engine_trace_read(struct skep_engine *e, char *line, u32 size);

/* Pins. With files they are hard links in a directory tree that stands for the bpf file system: the path under
 * /sys/fs/bpf, or a relative path, is a path in that tree. engine_pin_path gives the real path, for those who list,
 * make or remove directories: 0, -EPERM for a path elsewhere, -ENAMETOOLONG, -EOPNOTSUPP with anonymous backing (there
 * pins are names that only this engine knows). */
int engine_pin_path(struct skep_engine *e, const char *path, char *out, u32 size);
int engine_unpin(struct skep_engine *e, const char *path); /* 0, -ENOENT */

/* Drops what nobody holds any more. Happens by itself before commands that would show it. */
void engine_collect(struct skep_engine *e);
const struct skep_abi *engine_abi(const struct skep_engine *e);
/* The types that attach_btf_id and BTF pointers mean in this engine: what CO-RE should relocate against. NULL: no
 * memory. */
const struct btf *engine_kernel_btf(struct skep_engine *e);
bool engine_types_given(const struct skep_engine *e); /* engine_opts.kernel_btf, not skep's own */
void engine_set_kernel(struct skep_engine *e, u16 kernel); /* for what is verified from now on */
const struct engine_opts *engine_options(const struct skep_engine *e);
/* The services for runs in this process: what a caller of engine_run puts into run->env (NULL there means this). */
const struct run_env *engine_env(struct skep_engine *e);

/* Objects behind descriptors. References are counted: get takes one, put drops it; an object goes when no descriptor,
 * no pin, no other object and no reference holds it. */
struct engine_map {
	struct map map; /* descriptor in this process */
	struct map_facts facts;
	const struct map_ops *ops; /* NULL: facts only; verifies, but cannot run */
	int token_fd, area_fd;     /* files that hold data and area from byte 0; -1 where there is none */
	u64 committed;             /* bytes of memory that are certain to be there; less than area + data: sparse */
	struct engine_map *inner;  /* template of inner maps */
	char name[16];
};
struct engine_prog {
	struct image *image;      /* NULL: verified, cannot run; `refusal` says why */
	const char *refusal;      /* one sentence for people, or NULL */
	u32 refusal_code;         /* row of diag.def */
	struct engine_map **maps; /* image->xlated->maps[i]->owner, in the same order */
	u32 maps_n;
	u32 id, type, attach_type;
	char name[16];
	u64 entry; /* address of relocated machine code in this process, 0: interpreter */
	u64 run_count, run_time_ns;
};
struct engine_map *engine_map_get(struct skep_engine *e, int fd); /* NULL: -EBADF or not a map */
void engine_map_put(struct skep_engine *e, struct engine_map *m);
struct engine_prog *engine_prog_get(struct skep_engine *e, int fd);
struct engine_map *engine_map_by_id(struct skep_engine *e, u32 id); /* takes a reference; NULL: none */
struct engine_prog *engine_prog_by_id(struct skep_engine *e, u32 id);
void engine_prog_put(struct skep_engine *e, struct engine_prog *p);

/* Runs a program once in this process. *r0 is its result. 0, or negative errno when it could not be entered; an aborted
 * run returns 0 with run->status set. The caller gives run zeroed but for what it wants to say: task, cookie, env,
 * budget (0 with metered code: 1,000,000 instructions). Any thread; takes no lock. */
int engine_run(struct skep_engine *e, struct engine_prog *p, void *ctx, struct skep_run *run, u64 *r0);

/* hook/ fills this at start, so that LINK_CREATE and friends never call upward. Each returns 0 or negative errno. */
struct attach_ops {
	int (*attach)(struct skep_engine *e, struct engine_prog *p, const void *attr, void **link);
	int (*detach)(struct skep_engine *e, void *link);
};
void engine_set_attach_ops(struct skep_engine *e, const struct attach_ops *ops);
#endif
