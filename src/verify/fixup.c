/* What is handed on: the program rewritten for execution, and the facts about it.
 *
 *   loaded                            handed on
 *   ───────────────────────────────────────────────────────────────────────────────
 *   instructions no path reached      gone; jumps decided on all paths hard-wired, or gone
 *   *(u32 *)(ctx + 76)                *(u64 *)(ctx + in_off): the internal context
 *   lddw map fd / index               src_reg MAP_FD, imm = index in maps[]
 *   lddw address in a map             src_reg MAP_VALUE, imm = index in maps[], next imm = offset
 *   call pc+n, lddw function pc+n     the same, n adjusted
 *
 * Every instruction stays one instruction, so only positions move: at[] maps old to new, and what goes is where it does not
 * rise. */
#include "verify/env.h"

struct move {
	u32 *at;      /* new position of each old instruction, or of the next that is left */
	u32 *subprog; /* new number of each function; UINT32_MAX: gone */
	u32 n;
};

/* == What goes == */

static bool is_conditional(const struct bpf_insn *insn) {
	return insn_may_jump(insn) && BPF_OP(insn->code) != BPF_JA;
}

static bool goes(const struct verifier *v, u32 i) {
	const struct bpf_insn *insn = &v->insns[i];
	const struct insn_aux *aux = &v->aux[i];
	if (!(aux->flags & AUX_SEEN))
		return true;
	if (is_conditional(insn) && BPF_OP(insn->code) != BPF_JCOND && aux->taken == 1)
		return true;
	return insn->code == (BPF_JMP | BPF_JA) && !insn->off;
}

static u32 target_of(const struct verifier *v, u32 i) {
	const struct bpf_insn *insn = &v->insns[i];
	return i + 1 + (u32)(insn->code == (BPF_JMP32 | BPF_JA) || BPF_OP(insn->code) == BPF_CALL || insn_is_pseudo_func(insn)
	                         ? insn->imm
	                         : insn->off);
}

static int place(struct verifier *v, struct move *m) {
	u32 subprogs = 0;
	m->at = arena_array(&v->scratch, u32, v->n + 1);
	m->subprog = arena_array(&v->scratch, u32, v->subprogs_n);
	if (!m->at || !m->subprog)
		return -ENOMEM;
	for (u32 i = 0; i < v->n; i++) {
		bool stays = !goes(v, i);
		m->at[i] = m->n;
		m->n += stays;
		if (insn_is_ldimm64(&v->insns[i])) {
			m->at[++i] = m->n;
			m->n += stays;
		}
	}
	m->at[v->n] = m->n;
	for (u32 s = 0; s < v->subprogs_n; s++) {
		const struct subprog *sub = &v->subprogs[s];
		m->subprog[s] = m->at[sub->start] < m->at[sub->end] ? subprogs++ : UINT32_MAX;
	}
	ASSERT(m->n && !m->subprog[0]);
	return 0;
}

/* == Rewriting == */

static u8 size_code(u32 bytes) {
	return bytes == 1 ? BPF_B : bytes == 2 ? BPF_H : bytes == 4 ? BPF_W : BPF_DW;
}

/* The internal place of a field. Loads of less than a unit read its low bytes' place: little-endian. */
static void rewrite_ctx(const struct verifier *v, struct bpf_insn *insn, const struct insn_aux *aux) {
	const struct abi_ctx_field *f = aux->field;
	u32 unit, delta, within, size = aux->ctx_size;
	bool store = BPF_CLASS(insn->code) == BPF_ST || BPF_CLASS(insn->code) == BPF_STX;
	ASSERT(f && aux->kind == PTR_CTX); /* never the context on one path and something else on another */
	if (!f->name || !v->ctx->in_size)
		return;
	unit = f->unit ? f->unit : f->size;
	delta = (u32)aux->ctx_off - f->off;
	within = delta % unit;
	if (!f->in_size || f->flags & CTX_ZERO || within >= f->in_size) {
		ASSERT(!store);
		*insn = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = insn->dst_reg};
		return;
	}
	if (size == unit)
		size = f->in_size;
	else if (size < unit)
		size = MIN(size, (u32)f->in_size - within);
	insn->off = (s16)(f->in_off + delta);
	insn->code = (u8)((insn->code & ~BPF_DW) | size_code(size));
	if (size == 8 && BPF_CLASS(insn->code) == BPF_LDX)
		insn->code = BPF_LDX | BPF_MEM | BPF_DW;
}

static bool names_map(const struct bpf_insn *insn) {
	return insn_is_ldimm64(insn) && insn->src_reg && insn->src_reg != BPF_PSEUDO_FUNC && insn->src_reg != BPF_PSEUDO_BTF_ID;
}

static void rewrite_imm64(struct bpf_insn *insn, const struct insn_aux *aux, s32 distance) {
	ASSERT(insn_is_ldimm64(insn));
	ASSERT(!names_map(insn) || aux->map);
	switch (insn->src_reg) {
	case BPF_PSEUDO_MAP_FD:
	case BPF_PSEUDO_MAP_IDX:
		insn->src_reg = BPF_PSEUDO_MAP_FD;
		insn->imm = (s32)aux->map->index;
		break;
	case BPF_PSEUDO_MAP_VALUE:
	case BPF_PSEUDO_MAP_IDX_VALUE:
		insn->src_reg = BPF_PSEUDO_MAP_VALUE;
		insn->imm = (s32)aux->map->index;
		break;
	case BPF_PSEUDO_FUNC:
		insn->imm = distance;
		break;
	}
}

static void rewrite_jump(const struct verifier *v, const struct move *m, u32 i, struct bpf_insn *insn) {
	s32 distance = (s32)m->at[target_of(v, i)] - (s32)m->at[i] - 1;
	ASSERT(target_of(v, i) < v->n && !goes(v, i));
	if (insn->code == (BPF_JMP32 | BPF_JA) || BPF_OP(insn->code) == BPF_CALL) {
		insn->imm = distance;
		return;
	}
	if (is_conditional(insn) && BPF_OP(insn->code) != BPF_JCOND && v->aux[i].taken == 2)
		*insn = (struct bpf_insn){.code = BPF_JMP | BPF_JA}; /* always jumps */
	ASSERT(distance == (s16)distance);
	insn->off = (s16)distance;
}

static void rewrite(const struct verifier *v, const struct move *m, u32 i, struct bpf_insn *to) {
	const struct insn_aux *aux = &v->aux[i];
	*to = v->insns[i];
	if (insn_is_ldimm64(to)) {
		s32 distance = insn_is_pseudo_func(to) ? (s32)m->at[target_of(v, i)] - (s32)m->at[i] - 1 : 0;
		to[1] = v->insns[i + 1];
		rewrite_imm64(to, aux, distance);
	} else if (aux->ctx_size) {
		rewrite_ctx(v, to, aux);
	} else if (BPF_CLASS(to->code) == BPF_JMP || BPF_CLASS(to->code) == BPF_JMP32) {
		if (is_conditional(to) || BPF_OP(to->code) == BPF_JA || insn_is_pseudo_call(to))
			rewrite_jump(v, m, i, to);
	}
}

/* == Facts == */

static void call_facts(const struct verifier *v, const struct move *m, u32 i, struct insn_facts *f, struct xlated *x) {
	const struct insn_aux *aux = &v->aux[i];
	const struct abi_helper *h;
	if (insn_is_pseudo_call(&v->insns[i])) {
		x->has_calls = true;
		return;
	}
	if (insn_is_kfunc_call(&v->insns[i])) /* verified; the user engine refuses to run it (prog_image.c) */
		return;
	h = abi_helper_for(v->abi, (u32)v->insns[i].imm, &v->caller, NULL);
	ASSERT(h);
	x->has_helpers = true;
	x->uses_run_task |= !!(h->flags & HELPER_READS_TASK);
	x->uses_cpu |= !!(h->flags & HELPER_READS_CPU);
	x->has_tail_call |= h->id == BPF_FUNC_tail_call;
	f->may_abort = h->flags & (HELPER_MAY_ABORT | HELPER_CALLBACK) ? 1 : 0;
	f->back_edge = h->flags & HELPER_CALLBACK ? 1 : 0;
	if (aux->map && !(aux->flags & AUX_MAP_VARIES))
		f->map = (u16)aux->map->index;
	if (aux->flags & AUX_KEY_SEEN && !(aux->flags & AUX_KEY_VARIES)) {
		f->const_key = 1;
		f->const_arg = aux->key;
	}
	if (aux->callback && !(aux->flags & AUX_CALLBACK_VARIES))
		f->callback = (u16)(m->subprog[aux->callback - 1] + 1);
	if (aux->map && abi_map_type(v->abi, aux->map->facts->type)->flags & MAP_PERCPU)
		x->uses_cpu = true;
}

/* A helper that looks something up with an index that could be speculated about: what it found is real behind a barrier. */
static bool finds(const struct verifier *v, u32 i) {
	const struct bpf_insn *insn = &v->insns[i];
	if (!insn_is_helper_call(insn))
		return false;
	if (insn->imm == BPF_FUNC_tail_call)
		return tail_call_is_unpriv(v, i);
	return !v->bypass_spec && (insn->imm == BPF_FUNC_map_lookup_elem || insn->imm == BPF_FUNC_map_lookup_percpu_elem);
}

static bool sets_low_half(const struct bpf_insn *insn) {
	return BPF_CLASS(insn->code) == BPF_ALU || (BPF_CLASS(insn->code) == BPF_LDX && BPF_SIZE(insn->code) != BPF_DW);
}

static void facts(const struct verifier *v, const struct move *m, u32 i, struct insn_facts *f, struct xlated *x) {
	const struct bpf_insn *insn = &v->insns[i];
	const struct insn_aux *aux = &v->aux[i];
	u8 class = BPF_CLASS(insn->code);
	ASSERT(aux->flags & AUX_SEEN && m->at[i] < x->n);
	*f = (struct insn_facts){.map = NO_MAP,
	                         .orig = i,
	                         .ptr = aux->flags & AUX_KIND_VARIES ? PTR_NONE : aux->kind,
	                         .prune = !!(aux->flags & AUX_PRUNE),
	                         .probe = !!(aux->flags & AUX_PROBE),
	                         .nospec = aux->nospec || has_window(v, i),
	                         .nospec_result = aux->nospec_result || finds(v, i),
	                         .zext = aux->flags & AUX_ZEXT && sets_low_half(insn)};
	if (names_map(insn))
		f->map = (u16)aux->map->index;
	if (class != BPF_JMP && class != BPF_JMP32)
		return;
	if (insn->code == (BPF_JMP | BPF_CALL)) {
		call_facts(v, m, i, f, x);
	} else if (BPF_OP(insn->code) != BPF_EXIT) {
		f->back_edge = m->at[target_of(v, i)] <= m->at[i];
		f->may_abort = BPF_OP(insn->code) == BPF_JCOND;
	}
	x->has_loops |= f->back_edge;
}

/* == Putting it together == */

static int copy_functions(struct verifier *v, const struct move *m, struct xlated *x) {
	x->subprogs = arena_array(v->arena, struct xlated_subprog, v->subprogs_n);
	if (!x->subprogs)
		return -ENOMEM;
	for (u32 s = 0; s < v->subprogs_n; s++) {
		const struct subprog *sub = &v->subprogs[s];
		struct xlated_subprog *to;
		if (m->subprog[s] == UINT32_MAX)
			continue;
		to = &x->subprogs[x->subprogs_n++];
		to->start = m->at[sub->start];
		to->end = m->at[sub->end];
		to->stack = sub->stack;
		to->is_callback = sub->is_callback;
		to->has_tail_call = sub->has_tail_call;
		to->name = *sub->name ? arena_copy(v->arena, sub->name, __builtin_strlen(sub->name) + 1) : NULL;
		ASSERT(sub->stack <= STACK_BYTES && sub->stack % 8 == 0);
	}
	return 0;
}

static int copy_maps(struct verifier *v, struct xlated *x) {
	x->maps_n = v->maps_n;
	x->maps = arena_array(v->arena, const struct map_facts *, v->maps_n + 1);
	if (!x->maps)
		return -ENOMEM;
	for (u32 i = 0; i < v->maps_n; i++)
		x->maps[i] = v->maps[i]->facts;
	return 0;
}

int fixup(struct verifier *v) {
	struct xlated *x = arena_new(v->arena, struct xlated);
	struct move m = {.n = 0};
	int err = x ? place(v, &m) : -ENOMEM;
	if (err)
		return err;
	x->n = m.n;
	arena_expect(v->arena, m.n * (u64)(sizeof *x->insns + sizeof *x->facts) + 4096);
	x->insns = arena_array(v->arena, struct bpf_insn, m.n);
	x->facts = arena_array(v->arena, struct insn_facts, m.n);
	if (!x->insns || !x->facts)
		return -ENOMEM;
	for (u32 i = 0; i < v->n; i++) {
		if (m.at[i + 1] > m.at[i]) {
			rewrite(v, &m, i, &x->insns[m.at[i]]);
			facts(v, &m, i, &x->facts[m.at[i]], x);
			if (insn_is_ldimm64(&v->insns[i]))
				x->facts[m.at[i] + 1] = (struct insn_facts){.map = NO_MAP, .orig = i};
		}
		i += insn_is_ldimm64(&v->insns[i]);
	}
	x->prog_type = v->in->prog_type;
	x->attach_type = v->in->expected_attach_type;
	x->max_stack = v->max_depth;
	x->max_pkt_offset = v->max_pkt_off;
	x->max_ctx_offset = v->max_ctx_off;
	x->ctx_words = v->ctx_words;
	x->reads_map_fields = v->reads_map_fields;
	err = copy_functions(v, &m, x);
	if (!err)
		err = copy_maps(v, x);
	if (!err)
		v->out->xlated = x;
	return err;
}
