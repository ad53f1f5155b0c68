/* Loads, stores, atomics, 64-bit immediates, legacy packet loads.
 *
 *   load, store    mem.c says whether the access is allowed, and what is loaded
 *   atomic         a load and a store of the same place: both must be allowed. What it fetches is an unknown number; what
 *                  it adds or compares could be told from the memory later: no address where addresses are secret
 *   immediate      a number, or what resolve.c or ksym.c found it to be: a map, the address of a map's value, of a
 *                  function, of a variable of the kernel
 *   packet load    a call in disguise: r0 … r5 are gone, and the program may end here with 0, so nothing may be held
 *
 * An instruction that is reached with pointers of different kinds must do the same for all of them (note_access). */
#include "verify/env.h"

int step_load(struct verifier *v, const struct bpf_insn *insn) {
	bool sext = BPF_MODE(insn->code) == BPF_MEMSX;
	u32 type;
	int err = check_reg_read(v, insn->src_reg);
	if (!err)
		err = check_reg_write(v, insn->dst_reg);
	if (err)
		return err;
	type = cur_regs(v)[insn->src_reg].type;
	err = check_mem(v, insn->src_reg, insn->off, insn_size_bytes(insn->code), false, insn->dst_reg, false, sext);
	if (!err)
		err = note_access(v, type, true);
	return err ? err : check_sane_number(v, &cur_regs(v)[insn->dst_reg], sext ? "ldsx" : "ldx");
}

int step_store(struct verifier *v, const struct bpf_insn *insn) {
	bool immediate = BPF_CLASS(insn->code) == BPF_ST;
	u32 type;
	int err = immediate ? 0 : check_reg_read(v, insn->src_reg);
	if (!err)
		err = check_reg_read(v, insn->dst_reg);
	if (err)
		return err;
	type = cur_regs(v)[insn->dst_reg].type;
	err = check_mem(v, insn->dst_reg, insn->off, insn_size_bytes(insn->code), true, immediate ? -1 : insn->src_reg, false,
	                false);
	return err ? err : note_access(v, type, false);
}

/* In arenas x86 machine code cannot have these: they are loops, and a fault in one could not go on behind it. */
static bool fetches_bits(const struct bpf_insn *insn) {
	return insn_size_bytes(insn->code) >= 4 && (insn->imm == (BPF_AND | BPF_FETCH) || insn->imm == (BPF_OR | BPF_FETCH) ||
	                                            insn->imm == (BPF_XOR | BPF_FETCH));
}

static bool atomic_allowed(const struct bpf_insn *insn, u32 type) {
	switch (base_type(type)) {
	case PTR_TO_CTX:
	case PTR_TO_PACKET:
	case PTR_TO_PACKET_META:
	case PTR_TO_FLOW_KEYS:
	case PTR_TO_SOCKET:
	case PTR_TO_SOCK_COMMON:
	case PTR_TO_TCP_SOCK:
	case PTR_TO_XDP_SOCK:
		return false;
	case PTR_TO_ARENA:
		return !fetches_bits(insn);
	}
	return true;
}

static int check_atomic_target(struct verifier *v, u32 regno) {
	char name[TYPE_NAME_MAX];
	u32 type = cur_regs(v)[regno].type;
	if (atomic_allowed(&v->insns[v->at], type))
		return 0;
	say_reg(v, regno);
	return refuse(v, ATOMIC_TARGET, -EACCES, regno, reg_type_name(type, name));
}

static int step_atomic_load(struct verifier *v, const struct bpf_insn *insn) {
	u32 type;
	int err = check_reg_read(v, insn->src_reg);
	if (!err)
		err = check_atomic_target(v, insn->src_reg);
	if (!err)
		err = check_reg_write(v, insn->dst_reg);
	if (err)
		return err;
	type = cur_regs(v)[insn->src_reg].type;
	err = check_mem(v, insn->src_reg, insn->off, insn_size_bytes(insn->code), false, insn->dst_reg, true, false);
	return err ? err : note_access(v, type, false);
}

static int step_atomic_store(struct verifier *v, const struct bpf_insn *insn) {
	u32 type;
	int err = check_reg_read(v, insn->src_reg);
	if (!err)
		err = check_reg_read(v, insn->dst_reg);
	if (!err)
		err = check_atomic_target(v, insn->dst_reg);
	if (err)
		return err;
	type = cur_regs(v)[insn->dst_reg].type;
	err = check_mem(v, insn->dst_reg, insn->off, insn_size_bytes(insn->code), true, insn->src_reg, true, false);
	return err ? err : note_access(v, type, false);
}

int step_atomic(struct verifier *v, const struct bpf_insn *insn) {
	u32 size = insn_size_bytes(insn->code), type;
	s32 load = -1;
	int err;
	if (insn->imm == BPF_LOAD_ACQ)
		return step_atomic_load(v, insn);
	if (insn->imm == BPF_STORE_REL)
		return step_atomic_store(v, insn);
	if (size < 4)
		return refuse(v, ATOMIC_SIZE, -EINVAL);
	err = check_reg_read(v, insn->src_reg);
	if (!err)
		err = check_reg_read(v, insn->dst_reg);
	if (!err && insn->imm == BPF_CMPXCHG)
		err = check_reg_read(v, BPF_REG_0);
	if (!err && insn->imm == BPF_CMPXCHG && is_secret(v, &cur_regs(v)[BPF_REG_0]))
		return refuse(v, LEAK_MEM, -EACCES, BPF_REG_0);
	if (!err && is_secret(v, &cur_regs(v)[insn->src_reg]))
		return refuse(v, LEAK_MEM, -EACCES, insn->src_reg);
	if (!err)
		err = check_atomic_target(v, insn->dst_reg);
	if (err)
		return err;
	type = cur_regs(v)[insn->dst_reg].type;
	if (insn->imm & BPF_FETCH && !HOLE(ATOMIC_FETCH_KEPT)) {
		load = insn->imm == BPF_CMPXCHG ? BPF_REG_0 : insn->src_reg;
		err = check_reg_write(v, (u32)load);
		if (err)
			return err;
		reg_set_unknown(&cur_regs(v)[load]); /* if it holds the address, the accesses are refused below */
	}
	err = check_mem(v, insn->dst_reg, insn->off, size, false, -1, true, false);
	if (!err && load >= 0)
		err = check_mem(v, insn->dst_reg, insn->off, size, false, load, true, false);
	if (!err)
		err = note_access(v, type, false);
	return err ? err : check_mem(v, insn->dst_reg, insn->off, size, true, -1, true, false);
}

static int step_callback_address(struct verifier *v, const struct bpf_insn *insn, struct reg *d) {
	s32 sub = subprog_at(v, v->at + 1 + (u32)insn->imm);
	ASSERT(sub >= 0);
	if (!v->in->func_info_n)
		return refuse(v, MISSING_FUNC_INFO, -EINVAL);
	if (v->subprogs[sub].global)
		return refuse(v, CALLBACK_KIND, -EINVAL);
	if (!sub)
		return refuse_text(v, CALLBACK_KIND, -EINVAL, "callback function cannot be the main program");
	reg_set_pointer(d, PTR_TO_FUNC);
	d->subprog = (u32)sub;
	return 0;
}

/* resolve.c has put the map into aux. */
int step_imm64(struct verifier *v, const struct bpf_insn *insn) {
	const struct insn_aux *aux = &v->aux[v->at];
	struct reg *d = &cur_regs(v)[insn->dst_reg];
	int err = check_reg_write(v, insn->dst_reg);
	if (err)
		return err;
	switch (insn->src_reg) {
	case 0:
		reg_set_const(d, (u64)(u32)insn->imm | (u64)(u32)insn[1].imm << 32);
		return 0;
	case BPF_PSEUDO_FUNC:
		return step_callback_address(v, insn, d);
	case BPF_PSEUDO_MAP_FD:
	case BPF_PSEUDO_MAP_IDX:
		ASSERT(aux->map);
		reg_set_pointer(d, CONST_PTR_TO_MAP);
		d->map = aux->map;
		return 0;
	case BPF_PSEUDO_MAP_VALUE:
	case BPF_PSEUDO_MAP_IDX_VALUE:
		ASSERT(aux->map);
		if (aux->map->facts->type == BPF_MAP_TYPE_ARENA) { /* an address of user space, to be cast */
			reg_set_unknown(d);
			return 0;
		}
		reg_set_pointer(d, PTR_TO_MAP_VALUE);
		d->map = aux->map;
		d->off = insn[1].imm;
		return 0;
	case BPF_PSEUDO_BTF_ID:
		set_kernel_symbol(v, d);
		return 0;
	}
	return refuse(v, LD_IMM_UNRECOGNISED, -EINVAL);
}

/* LD_ABS and LD_IND read the packet behind the context in r6, or end the program with 0. */
int step_packet_load(struct verifier *v, const struct bpf_insn *insn) {
	struct reg *regs = cur_regs(v);
	int err;
	err = check_reg_read(v, BPF_REG_6);
	if (err)
		return err;
	if (v->cur->refs_n > v->cur->active_locks)
		return check_references(v, "BPF_LD_[ABS|IND]");
	if (v->cur->active_locks)
		return refuse(v, LOCK_LD_ABS, -EINVAL);
	err = check_sections_closed(v, "BPF_LD_[ABS|IND]");
	if (err)
		return err;
	if (regs[BPF_REG_6].type != PTR_TO_CTX)
		return refuse(v, LD_ABS_R6, -EINVAL);
	if (BPF_MODE(insn->code) == BPF_IND) {
		err = check_reg_read(v, insn->src_reg);
		if (err)
			return err;
	}
	err = check_fixed_offset(v, &regs[BPF_REG_6], BPF_REG_6, false);
	if (err)
		return err;
	clear_caller_saved(v, cur_frame(v));
	err = check_reg_write(v, BPF_REG_0);
	if (err)
		return err;
	reg_set_unknown(&regs[BPF_REG_0]);
	scratch_reg(v, BPF_REG_0);
	if (v->cur->curframe)
		return leave_early(v, true);
	v->at++;
	return 0;
}
