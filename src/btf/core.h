/* CO-RE: what a relocation of a compiled program means in the BTF of where it will run.
 *
 *   local BTF (the program's)                 target BTF (kernel's, or ours)
 *   type 7 «task_struct», path 0:3:1   ──►    each type named task_struct, less flavours (`___x`),
 *   = .signal.rlim                            in which .signal.rlim exists  ──►  one value
 *
 * Access paths are by index in the local type and by name in the target; anonymous members are entered. All candidates
 * that match must give the same value. What does not match gives 0 for questions of existence, and «poison» for offsets
 * and values: the loader then makes the instruction one that no verifier accepts when it is reached. */
#ifndef SKEP_BTF_CORE_H
#define SKEP_BTF_CORE_H
#include "btf/btf.h"

struct btf_core;
/* Both BTFs are held until btf_core_free. NULL when out of memory. */
struct btf_core *btf_core_create(const struct btf *local, const struct btf *target);
void btf_core_free(struct btf_core *core);

struct btf_core_value {
	u64 local, target;  /* what the instruction should say now, and shall say */
	bool poison;        /* no answer */
	bool validate;      /* the instruction must say `local` now */
	bool size_conflict; /* loads and stores: sizes differ and the value would be wrong (signed, or no integer) */
	u32 local_size, target_size; /* of the field for loads and stores, 0 = leave alone */
	char why[160];               /* poison: one sentence */
};
/* 0, or -EINVAL (malformed or ambiguous), -E2BIG (too complex), -ENOMEM, with a sentence in value->why. */
int btf_core_resolve(struct btf_core *core, const struct bpf_core_relo *relo, struct btf_core_value *value);
/* «byte_off of struct task_struct.signal.rlim», for messages. Truncated to size. */
void btf_core_describe(const struct btf *local, const struct bpf_core_relo *relo, char *to, u32 size);
const char *btf_core_kind_name(u32 kind); /* as libbpf words them: byte_off … */

/* Inside the room. 1 yes, 0 no, negative errno. steps is counted down; at 0 the answer is -E2BIG. */
int btf_core_types_compatible(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id,
			      u32 *steps);
int btf_core_types_match(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id, u32 *steps);
int btf_core_fields_compatible(const struct btf *local, u32 local_id, const struct btf *target, u32 target_id);
/* Equal names, flavours apart. */
bool btf_core_same_name(const char *a, const char *b);
/* Equal kinds, or both enums. */
bool btf_core_same_kind(const struct btf_type *a, const struct btf_type *b);
#endif
