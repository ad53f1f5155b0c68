/* Inside of exec/: the interpreter's form of a program. */
#ifndef SKEP_INTERP_H
#define SKEP_INTERP_H
#include "exec/exec.h"
#include "verify/oracle.h"

/* A run under the oracle's eyes: which frames are active and where everything is. */
struct oracle_run {
	struct oracle_memory where;
	const struct interp_env *env[RUN_STACK_FRAMES_MAX]; /* of the program in each frame: tail calls change it */
	const struct image *image[RUN_STACK_FRAMES_MAX];
};
void oracle_run_init(struct oracle_run *o, void *ctx);
/* A frame begins, with its r10, or ends. */
void oracle_enter(struct oracle_run *o, const struct image *image, const struct interp_env *env, u64 r10);
void oracle_leave(struct oracle_run *o);
/* False: the registers at the instruction (as loaded) lie outside; it has been reported and run->status is set. */
bool oracle_look(struct oracle_run *o, u32 insn, const u64 *r, struct skep_run *run);

void free_xlated(struct xlated *x);
int interp_decode(struct image *image);
void interp_free(struct image *image);
#endif
