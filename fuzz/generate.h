/* Random programs that a verifier might accept. */
#ifndef SKEP_FUZZ_GENERATE_H
#define SKEP_FUZZ_GENERATE_H
#include "fuzz/random.h"
#include "isa/insn.h"

enum { GENERATED_MAX = 512 };

/* Descriptors of the maps that programs may use; -1 = not there. Values have GENERATE_VALUE bytes, keys are u32. */
enum { GENERATE_VALUE = 48 };
struct generate_maps {
	s32 array, hash, ringbuf;
};

/* Writes an XDP program of at most GENERATED_MAX slots and returns how many. Map descriptors stand in 64-bit immediates
 * as BPF_PSEUDO_MAP_FD. */
u32 generate_program(struct random *r, const struct generate_maps *maps, struct bpf_insn *out);

/* Changes a few instructions: boundary immediates, other registers, offsets by one, operations, deletions, swaps. */
u32 generate_mutate(struct random *r, struct bpf_insn *insns, u32 n);
#endif
