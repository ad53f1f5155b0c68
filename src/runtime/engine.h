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
	u64 size;                 /* of this struct: unknown tail must be zero */
	enum engine_backing backing;
	const char *directory;    /* BACKING_FILES: NULL = $XDG_RUNTIME_DIR/skep, else a private directory on /dev/shm */
	u64 caps;                 /* enum verify_cap; 0 = BPF | PERFMON | NET_ADMIN */
	bool interpreter_only;
	bool metered;             /* programs carry a budget */
	bool oracle;              /* programs run in the interpreter and are checked against the abstract states */
	void (*log)(void *owner, int level, const char *line);
	void *log_owner;
};
int engine_create(const struct engine_opts *opts, struct skep_engine **out);
void engine_destroy(struct skep_engine *e);

/* The bpf(2) system call: value >= 0 (descriptors, counts) or negative errno. attr is union bpf_attr of abi/uapi.h. */
s64 skep_bpf(struct skep_engine *e, u32 cmd, void *attr, u32 size);

/* Objects behind descriptors. References are counted: get takes one, put drops it. */
struct engine_map {
	struct map map;          /* descriptor in this process */
	struct map_facts facts;
	const struct map_ops *ops; /* NULL: facts only; verifies, but cannot run */
	int token_fd, area_fd;   /* -1 with anonymous backing */
	u32 refs;
	struct engine_map *inner; /* template of inner maps */
	char name[16];
};
struct engine_prog {
	struct image *image;     /* NULL: verified, cannot run; `refusal` says why */
	const char *refusal;     /* one sentence for people, or NULL */
	u32 refusal_code;        /* row of diag.def */
	struct engine_map **maps; /* image->xlated->maps[i]->owner, in the same order */
	u32 maps_n;
	u32 id, type, attach_type;
	u32 refs;
	char name[16];
	u64 entry;               /* address of relocated machine code in this process, 0: interpreter */
	u64 run_count, run_time_ns;
};
struct engine_map *engine_map_get(struct skep_engine *e, int fd);   /* NULL: -EBADF or not a map */
void engine_map_put(struct skep_engine *e, struct engine_map *m);
struct engine_prog *engine_prog_get(struct skep_engine *e, int fd);
void engine_prog_put(struct skep_engine *e, struct engine_prog *p);

/* Runs a program once in this process. *r0 is its result. 0, or negative errno when it could not be entered; an aborted
 * run returns 0 with run->status set. */
int engine_run(struct skep_engine *e, struct engine_prog *p, void *ctx, struct skep_run *run, u64 *r0);

/* hook/ fills this at start, so that LINK_CREATE and friends never call upward. Each returns 0 or negative errno. */
struct attach_ops {
	int (*attach)(struct skep_engine *e, struct engine_prog *p, const void *attr, void **link);
	int (*detach)(struct skep_engine *e, void *link);
};
void engine_set_attach_ops(struct skep_engine *e, const struct attach_ops *ops);
#endif
