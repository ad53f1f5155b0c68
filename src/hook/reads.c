#include "hook/reads.h"
#include "abi/uapi.h"

/* Helpers that read no memory but what the verifier has shown to be the program's own: map elements, its stack, ring
 * buffer records. With any other, a program can read whatever it has the address of. */
static bool stays_at_home(s32 helper) {
	switch (helper) {
	case BPF_FUNC_map_lookup_elem:
	case BPF_FUNC_map_update_elem:
	case BPF_FUNC_map_delete_elem:
	case BPF_FUNC_map_lookup_percpu_elem:
	case BPF_FUNC_ktime_get_ns:
	case BPF_FUNC_ktime_get_boot_ns:
	case BPF_FUNC_ktime_get_coarse_ns:
	case BPF_FUNC_ktime_get_tai_ns:
	case BPF_FUNC_jiffies64:
	case BPF_FUNC_get_prandom_u32:
	case BPF_FUNC_get_smp_processor_id:
	case BPF_FUNC_get_numa_node_id:
	case BPF_FUNC_get_current_pid_tgid:
	case BPF_FUNC_get_current_uid_gid:
	case BPF_FUNC_get_current_comm:
	case BPF_FUNC_get_attach_cookie:
	case BPF_FUNC_ringbuf_reserve:
	case BPF_FUNC_ringbuf_submit:
	case BPF_FUNC_ringbuf_discard:
	case BPF_FUNC_spin_lock:
	case BPF_FUNC_spin_unlock:
		return true;
	}
	return false;
}

static bool follows(const struct bpf_insn *insn, const struct insn_facts *f) {
	u8 class = BPF_CLASS(insn->code);
	if (insn->code == (BPF_JMP | BPF_CALL))
		return !insn_is_pseudo_call(insn) && !(insn_is_helper_call(insn) && stays_at_home(insn->imm));
	if (class != BPF_LDX)
		return false;
	return f->probe || (f->ptr != PTR_CTX && f->ptr != PTR_STACK && f->ptr != PTR_MAP_VALUE && f->ptr != PTR_MEM);
}

struct reads reads_of(const struct image *image) {
	const struct xlated *x = image->xlated;
	const struct reads all = {~0u, true};
	if (!x->insns || !x->facts || x->has_tail_call)
		return all;
	struct reads r = {x->ctx_words, false};
	for (u32 i = 0; i < x->n && !r.follows; i += insn_is_ldimm64(&x->insns[i]) ? 2 : 1)
		r.follows = follows(&x->insns[i], &x->facts[i]);
	return r.follows ? all : r;
}
