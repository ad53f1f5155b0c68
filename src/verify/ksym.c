/* Variables and functions of the kernel whose addresses a program takes by their BTF ids (bpf_ksym_exists, per-CPU data).
 *
 *   per-CPU variable        PTR_TO_BTF_ID | MEM_PERCPU, for bpf_per_cpu_ptr and bpf_this_cpu_ptr alone
 *   other struct or union   PTR_TO_BTF_ID
 *   other variable          memory of its size, read only
 *   function                memory of no size: an address to compare
 *
 * Which of them are known by address is the running kernel's affair (its kallsyms): here a type is enough. The user engine
 * has none of them and does not run such programs (runtime/prog_image.c). */
#include "verify/env.h"

static bool is_percpu(const struct btf *btf, u32 id) {
	const struct btf_type *section = btf_type(btf, btf_find(btf, ".data..percpu", BTF_KIND_DATASEC));
	ASSERT(section);
	for (u32 i = 0; btf_kind(section) == BTF_KIND_DATASEC && i < btf_vlen(section); i++)
		if (btf_var_secinfos(section)[i].type == id)
			return true;
	return false;
}

static int resolve_variable(struct verifier *v, const struct btf *btf, u32 id, struct insn_aux *aux) {
	u32 type = btf_skip_modifiers(btf, btf_type(btf, id)->type);
	const struct btf_type *t = btf_type(btf, type);
	s64 size = btf_size(btf, type);
	ASSERT(t);
	aux->sym_id = type;
	if (is_percpu(btf, id)) {
		aux->sym_type = PTR_TO_BTF_ID | MEM_PERCPU;
	} else if (btf_kind(t) == BTF_KIND_STRUCT || btf_kind(t) == BTF_KIND_UNION) {
		aux->sym_type = PTR_TO_BTF_ID;
	} else {
		if (size < 0 || size > INT32_MAX)
			return refuse_text(v, KERNEL_SYMBOL, -EINVAL, "ldimm64 unable to resolve the size of type '%s': %lld",
			                   btf_name(btf, t), (long long)size);
		aux->sym_type = PTR_TO_MEM | MEM_RDONLY;
		aux->sym_size = (u32)size;
	}
	return 0;
}

int resolve_kernel_symbol(struct verifier *v, u32 at) {
	const struct bpf_insn *insn = &v->insns[at];
	const struct btf *btf = v->in->kernel_btf;
	const struct btf_type *t;
	u32 id = (u32)insn->imm;
	ASSERT(insn->src_reg == BPF_PSEUDO_BTF_ID && at + 1 < v->n);
	if (insn[1].imm)
		return refuse_text(v, KERNEL_SYMBOL, -EINVAL, "invalid module BTF object FD specified.");
	if (!btf)
		return refuse_not_yet(v, "variables of the kernel, where its types are not at hand");
	t = btf_type(btf, id);
	if (!id || !t)
		return refuse(v, KERNEL_SYMBOL, -ENOENT, id);
	if (btf_kind(t) == BTF_KIND_VAR)
		return resolve_variable(v, btf, id, &v->aux[at]);
	if (btf_kind(t) != BTF_KIND_FUNC)
		return refuse_text(v, KERNEL_SYMBOL, -EINVAL, "pseudo btf_id %d in ldimm64 isn't KIND_VAR or KIND_FUNC", id);
	v->aux[at].sym_type = PTR_TO_MEM | MEM_RDONLY;
	return 0;
}

void set_kernel_symbol(struct verifier *v, struct reg *r) {
	const struct insn_aux *aux = &v->aux[v->at];
	ASSERT(aux->sym_type != NOT_INIT);
	reg_set_pointer(r, aux->sym_type);
	if (base_type(aux->sym_type) == PTR_TO_BTF_ID) {
		r->btf = v->in->kernel_btf;
		r->btf_id = aux->sym_id;
	} else {
		r->mem_size = aux->sym_size;
	}
}
