/* Execution: an interpreter and a one-pass JIT over the same verified bytecode. */
#ifndef SKEP_EXEC_H
#define SKEP_EXEC_H
#include "abi/image.h"
#include "abi/run.h"

/* Makes an image (malloc'ed, freed by image_free) that owns a copy of the xlated program; x->maps stay the caller's.
 * 0 or negative errno: -E2BIG, a program whose code would not fit 2 GiB; -EOPNOTSUPP, something that no engine here runs (a
 * helper without entry point, a kernel function, an arena), or jit on a machine without a backend; -EINVAL, not a
 * program. jit = false leaves code NULL. */
int image_build(const struct xlated *x, u32 flags, bool jit, struct image **out);
void image_free(struct image *image);

/* Makes sure that image->lines is there: which machine code belongs to which instruction. Lines are twice as large as
 * code and hardly ever asked for, so they are made when they are, by compiling once more. 0 or -ENOMEM. */
int image_lines(struct image *image);

/* Resolves a relocation in one address space. */
typedef u64 reloc_resolve_fn(void *owner, u16 kind, u16 index, u64 addend);
/* Copies the code to `to` as it must read when it runs at address `at`. to has code_size bytes. */
void image_relocate(const struct image *image, u8 *to, u64 at, reloc_resolve_fn *resolve, void *owner);

/* Addresses for the interpreter, and for code that runs in this process: one per image instance. */
struct interp_env {
	reloc_resolve_fn *resolve;
	void *owner;
	struct oracle *oracle; /* check concrete registers against the abstract states, or NULL */
	/* What the oracle says of the first state that does not fit; then the run is over, with status RUN_ORACLE, before the
	 * instruction has run. Or NULL. */
	void (*oracle_report)(void *owner, const char *text);
};
/* What the address of a program in a prog_array is in an engine that interprets (in one that runs machine code it is
 * the address of its tail entry). */
struct interp_program {
	const struct image *image;
	const struct interp_env *env;
};
/* env is remembered by its address: it must live as long as the image. */
u64 interp_run(const struct image *image, const struct interp_env *env, void *ctx, struct skep_run *run);
#endif
