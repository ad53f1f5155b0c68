/* CO-RE: writes what btf/core.h found into instructions.
 *
 * What cannot be resolved is not an error here: programs ask for fields that only some kernels have, behind tests that
 * only those pass. The instruction becomes a call of a helper that does not exist (the number that libbpf uses), which
 * the verifier refuses when it is reached and forgets when it is not; why it is there is kept for that moment. */
#include "lib/object.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { POISON_RELO = 195896080 };

struct patch {
	struct skep_object *o;
	struct function *f;
	u32 insn;
	const struct bpf_core_relo *relo;
	const struct btf_core_value *v;
};

static int refuse(const struct patch *p, int err, const char *what) {
	char about[128];
	btf_core_describe(p->o->btf, p->relo, about, sizeof about);
	return object_error(p->o, err, NULL, "%s: function «%s», instruction %u: CO-RE relocation %s: %s", p->o->path,
			    p->f->name, p->insn, about, what);
}

static int poison(const struct patch *p, const char *why) {
	struct bpf_insn *in = &p->f->insns[p->insn];
	u32 n = in->code == BPF_LD_IMM64 ? 2 : 1;
	for (u32 i = 0; i < n; i++)
		in[i] = (struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = POISON_RELO};
	struct poison *note = vec_push(&p->f->poisoned);
	char *text = note ? arena_printf(&p->o->arena, "%s", why) : NULL;
	if (!text)
		return out_of_memory(p->o);
	*note = (struct poison){p->insn, text};
	return 0;
}

static int mismatch(const struct patch *p, s64 has) {
	char text[96];
	snprintf(text, sizeof text, "the instruction says %lld where the type information says %llu", (long long)has,
		 (unsigned long long)p->v->local);
	return refuse(p, -EINVAL, text);
}

static int patch_memory(const struct patch *p, struct bpf_insn *in) {
	static const u8 sizes[9] = {[1] = BPF_B, [2] = BPF_H, [4] = BPF_W, [8] = BPF_DW};
	if (p->v->validate && (u64)(s64)in->off != p->v->local)
		return mismatch(p, in->off);
	if (p->v->target > SHRT_MAX)
		return refuse(p, -ERANGE, "the offset does not fit an instruction");
	if (p->v->size_conflict)
		return poison(
		    p,
		    "the field has another size in the target's types, and it is not an unsigned integer or pointer");
	in->off = (s16)p->v->target;
	if (p->v->target_size == p->v->local_size)
		return 0;
	if (insn_size_bytes(in->code) != p->v->local_size)
		return refuse(p, -EINVAL, "the instruction does not access the whole field, whose size differs");
	if (p->v->target_size > 8 || (!sizes[p->v->target_size] && p->v->target_size != 4))
		return refuse(p, -EINVAL, "the field has a size that no instruction can access");
	in->code = (u8)(BPF_MODE(in->code) | sizes[p->v->target_size] | BPF_CLASS(in->code));
	return 0;
}

static int patch_wide(const struct patch *p, struct bpf_insn *in) {
	if (in[0].src_reg || in[0].off || in[1].code || in[1].dst_reg || in[1].src_reg || in[1].off)
		return refuse(p, -EINVAL, "the instruction is not a plain 64-bit immediate");
	u64 has = (u32)in[0].imm | (u64)(u32)in[1].imm << 32;
	if (p->v->poison)
		return poison(p, p->v->why);
	if (p->v->validate && has != p->v->local)
		return mismatch(p, (s64)has);
	in[0].imm = (s32)p->v->target, in[1].imm = (s32)(p->v->target >> 32);
	return 0;
}

static int patch(const struct patch *p) {
	struct bpf_insn *in = &p->f->insns[p->insn];
	switch (BPF_CLASS(in->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		if (BPF_SRC(in->code) != BPF_K)
			break;
		if (p->v->poison)
			return poison(p, p->v->why);
		if (p->v->validate && (u64)(s64)in->imm != p->v->local)
			return mismatch(p, in->imm);
		in->imm = (s32)p->v->target;
		return 0;
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		return p->v->poison ? poison(p, p->v->why) : patch_memory(p, in);
	case BPF_LD:
		if (in->code != BPF_LD_IMM64 || p->insn + 1 >= p->f->n)
			break;
		return patch_wide(p, in);
	}
	return refuse(p, -EINVAL, "the instruction is not one that can be relocated");
}

static int relocate(struct skep_object *o, struct function *f) {
	const struct btf *target = object_target_btf(o);
	if (!target)
		return -ESRCH;
	if (!o->core)
		o->core = btf_core_create(o->btf, target);
	if (!o->core)
		return out_of_memory(o);
	for (u32 i = 0; i < f->core.n; i++) {
		struct btf_core_value v = {0};
		struct patch p = {o, f, f->core.at[i].insn_off, &f->core.at[i], &v};
		int err = btf_core_resolve(o->core, p.relo, &v);
		err = err ? refuse(&p, err, v.why) : patch(&p);
		if (err)
			return err;
	}
	return 0;
}

int function_relocate_core(struct skep_object *o, struct function *f) {
	if (f->relocated)
		return f->error ? object_error(o, f->error, NULL, "%s: function «%s» could not be relocated, as was said",
									   o->path, f->name)
						: 0;
	f->relocated = true;
	return f->error = f->core.n ? relocate(o, f) : 0;
}
