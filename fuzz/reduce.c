/* Delta debugging over instructions: leave out a run of them, ever shorter ones, until nothing can be left out; then make
 * what is left plainer (immediates and offsets 0). Jumps keep their targets; one that went into what is left out goes to
 * what comes after it. Halves of 64-bit immediates stay together. */
#include "fuzz/reduce.h"
#include "fuzz/generate.h"
#include <string.h>

enum { TRIALS = 4000 };

struct reduction {
	struct bpf_insn *insns;
	u32 n, trials;
	reduce_keeps_fn *keeps;
	void *owner;
};

/* Where in the instruction its jump is: 0 none, 1 off, 2 imm. */
static u32 jump_field(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	if (insn_is_pseudo_call(insn) || insn->code == (BPF_JMP32 | BPF_JA))
		return 2;
	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT ? 1 : 0;
}

/* The number that instruction i gets when [from, from+count) is gone. */
static s64 moved(s64 i, u32 from, u32 count) {
	return i < from ? i : i < (s64)from + count ? from : i - count;
}

static bool keep(struct reduction *r, const struct bpf_insn *trial, u32 n) {
	if (!n || r->trials >= TRIALS)
		return false;
	r->trials++;
	if (!r->keeps(r->owner, trial, n))
		return false;
	memcpy(r->insns, trial, n * sizeof *trial);
	r->n = n;
	return true;
}

static bool without(struct reduction *r, u32 from, u32 count) {
	struct bpf_insn trial[GENERATED_MAX];
	u32 n = 0;
	if ((from && insn_is_ldimm64(&r->insns[from - 1])) || insn_is_ldimm64(&r->insns[from + count - 1]))
		return false;
	for (u32 i = 0; i < r->n; i++) {
		struct bpf_insn insn = r->insns[i];
		bool second = i && insn_is_ldimm64(&r->insns[i - 1]);
		u32 field = second ? 0 : jump_field(&insn);
		if (i >= from && i < from + count)
			continue;
		if (field) {
			s64 target = (s64)i + 1 + (field == 1 ? insn.off : insn.imm), here = moved(i, from, count);
			s64 distance = moved(target, from, count) - here - 1;
			if (field == 1)
				insn.off = (s16)distance;
			else
				insn.imm = (s32)distance;
		}
		trial[n++] = insn;
	}
	return keep(r, trial, n);
}

static void plainer(struct reduction *r) {
	for (u32 i = 0; i < r->n; i++) {
		struct bpf_insn trial[GENERATED_MAX];
		if (insn_is_ldimm64(&r->insns[i])) {
			i++;
			continue;
		}
		for (u32 way = 0; way < 3; way++) {
			memcpy(trial, r->insns, r->n * sizeof *trial);
			if (way == 0)
				trial[i] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = trial[i].dst_reg};
			else if (way == 1)
				trial[i].imm = 0;
			else
				trial[i].off = 0;
			if (memcmp(trial, r->insns, r->n * sizeof *trial) && keep(r, trial, r->n))
				break;
		}
	}
}

u32 reduce_program(struct bpf_insn *insns, u32 n, reduce_keeps_fn *keeps, void *owner) {
	struct reduction r = {.insns = insns, .n = n, .keeps = keeps, .owner = owner};
	u32 before;
	do {
		before = r.n;
		for (u32 count = MAX(r.n / 2, 1u); count; count /= 2)
			for (u32 from = 0; from + count <= r.n;)
				from += without(&r, from, count) ? 0 : 1;
		if (r.n == before)
			plainer(&r);
	} while (r.n < before && r.trials < TRIALS);
	return r.n;
}
