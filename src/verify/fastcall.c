/* Stack that only saves registers around calls which keep them.
 *
 *      *(u64 *)(r10 - 24) = r2          for kernels that do not know that the
 *      *(u64 *)(r10 - 16) = r1          helper keeps r1 … r5
 *      call bpf_get_smp_processor_id
 *      r1 = *(u64 *)(r10 - 16)
 *      r2 = *(u64 *)(r10 - 24)
 *
 * Compilers write such pairs at the lowest offsets of a frame, nearest to the call first. Where the call is inlined, the
 * kernel takes them out, and the frame does not count them. Here they stay, since our helpers keep nothing; what counts
 * against the limits, and what the log says, is the kernel's size all the same.
 *
 * A function's frame shrinks if on no path anything but the pairs touches their part of it (fastcall_access), and all calls
 * with such pairs are inlined.
 *
 * At the end the log shows frames as they are after the kernel has inlined bpf_loop: it saves three registers there. */
#include "verify/env.h"

enum { IN_PAIR = 1, CALL_SAVED = BPF_REG_6 - BPF_REG_0, LOOP_SAVES = 24 };

static bool is_inlined(u32 id) {
	return id == BPF_FUNC_get_smp_processor_id;
}

/* Registers that the call does not change, of r0 … r5: those that are neither arguments nor the result. */
static u32 kept_registers(const struct verifier *v, const struct bpf_insn *insn, bool *inlined) {
	const struct abi_helper *h;
	u32 kept = (1u << CALL_SAVED) - 1;
	h = insn_is_helper_call(insn) ? abi_helper_for(v->abi, (u32)insn->imm, &v->caller, NULL) : NULL;
	if (!h)
		return 0;
	kept &= h->ret != RET_VOID ? ~1u : ~0u;
	for (u32 i = 0; i < 5; i++)
		kept &= h->arg[i] != ARG_DONTCARE ? ~(2u << i) : ~0u;
	*inlined = h->flags & HELPER_FASTCALL && is_inlined(h->id);
	return kept;
}

static bool is_pair(const struct bpf_insn *store, const struct bpf_insn *load, s32 off, u32 kept) {
	return store->code == (BPF_STX | BPF_MEM | BPF_DW) && load->code == (BPF_LDX | BPF_MEM | BPF_DW) &&
	       store->dst_reg == BPF_REG_FP && load->src_reg == BPF_REG_FP && store->src_reg == load->dst_reg &&
	       store->src_reg < CALL_SAVED && kept >> store->src_reg & 1 && store->off == off && load->off == off;
}

/* The pairs around one call, from the inside out. */
static void find_pairs(struct verifier *v, struct subprog *sub, u32 at, s32 lowest) {
	bool inlined = false;
	u32 kept = kept_registers(v, &v->insns[at], &inlined), n = 0;
	while (kept && n < CALL_SAVED && at > n && at + n + 1 < v->n) {
		u32 store = at - n - 1, load = at + n + 1;
		if ((v->aux[store + 1].flags | v->aux[load].flags) & AUX_JUMP_TARGET)
			break;
		if (!is_pair(&v->insns[store], &v->insns[load], lowest + 8 * (s32)n, kept))
			break;
		kept &= ~(1u << v->insns[store].src_reg);
		v->fastcall[store] = v->fastcall[load] = IN_PAIR;
		n++;
	}
	if (!n)
		return;
	sub->fastcall_off = MIN(sub->fastcall_off, lowest + 8 * (s32)n);
	sub->fastcall_inlined |= inlined;
	sub->fastcall_kept |= !inlined;
}

static s32 lowest_store(const struct verifier *v, const struct subprog *sub) {
	s32 lowest = 0;
	for (u32 i = sub->start; i < sub->end; i++)
		if (v->insns[i].code == (BPF_STX | BPF_MEM | BPF_DW) && v->insns[i].dst_reg == BPF_REG_FP)
			lowest = MIN(lowest, (s32)v->insns[i].off);
	return lowest;
}

int find_fastcalls(struct verifier *v) {
	bool any = false;
	for (u32 i = 0; i < v->n && !any; i++)
		any = insn_is_helper_call(&v->insns[i]) && is_inlined((u32)v->insns[i].imm);
	if (!any)
		return 0;
	v->fastcall = arena_array(&v->scratch, u8, v->n);
	if (!v->fastcall)
		return -ENOMEM;
	for (u32 s = 0; s < v->subprogs_n; s++) {
		struct subprog *sub = &v->subprogs[s];
		s32 lowest = lowest_store(v, sub);
		for (u32 i = sub->start; i < sub->end; i++)
			if (v->insns[i].code == (BPF_JMP | BPF_CALL))
				find_pairs(v, sub, i, lowest);
	}
	return 0;
}

/* Somebody reads or writes the stack from off on. */
void fastcall_access(struct verifier *v, const struct frame *f, s32 off) {
	struct subprog *sub = &v->subprogs[f->subprog];
	ASSERT(v->fastcall);
	if (off < sub->fastcall_off && !(v->fastcall[v->at] & IN_PAIR))
		sub->fastcall_kept = true;
}

/* After the walk: the sizes that count. */
int count_stack(struct verifier *v) {
	for (u32 s = 0; s < v->subprogs_n; s++) {
		struct subprog *sub = &v->subprogs[s];
		bool shrinks = sub->fastcall_inlined && !sub->fastcall_kept;
		ASSERT(sub->fastcall_off <= 0 && sub->fastcall_off >= -STACK_BYTES);
		sub->depth = shrinks ? (u32)-sub->fastcall_off : sub->stack;
	}
	v->depths_known = true;
	return 0;
}

/* Calls of bpf_loop are inlined where it is always the same callback, without flags. */
static bool has_inlined_loop(const struct verifier *v, const struct subprog *sub) {
	for (u32 i = sub->start; i < sub->end; i++) {
		const struct insn_aux *aux = &v->aux[i];
		if (insn_is_helper_call(&v->insns[i]) && v->insns[i].imm == BPF_FUNC_loop && aux->flags & AUX_SEEN &&
		    !(aux->flags & AUX_CALLBACK_VARIES) && !aux->taken)
			return true;
	}
	return false;
}

/* Before fixup, which moves instructions. */
int count_inlined_loops(struct verifier *v) {
	for (u32 s = 0; s < v->subprogs_n; s++)
		v->subprogs[s].depth += has_inlined_loop(v, &v->subprogs[s]) ? LOOP_SAVES : 0;
	return 0;
}
