/* What is still needed: registers (a classic backward dataflow, before the walk), and stack slots (during it).
 *
 * Registers. Each instruction uses and sets registers by its form; a call of a function uses r1 … r5. The result is live[]
 * before each instruction, per function. Pruning ignores dead registers. In the same pass: whose upper halves are read,
 * for machines whose 32-bit operations leave them as they were.
 *
 * Stack slots cannot be told from the instruction: they are reached through pointers. So the walk tells: for each chain of
 * calls (instance) and each instruction, which slots of which frame it read on some path, and which it overwrote wholly
 * on every path. From these the same dataflow gives the live slots, whenever a checkpoint is cleaned:
 *
 *     live before i = (live after i  minus  always written by i)  plus  maybe read by i
 *
 * A callee's reads of its callers' frames count as the call's own. A checkpoint is only asked for when all its paths are
 * finished, so every read that can come after it has been told, under the same chain of calls. Instructions that no path
 * has visited make nothing live; so live slots only ever grow, and a queue of changed instructions keeps the solution up
 * to date at a cost that is linear in all.
 *
 *     instance (call sites 12, 40; function #2) ── frames[0..2] ── per instruction: read, written, live
 */
#include "base/vec.h"
#include "verify/env.h"

/* == Registers == */

enum { ALL_REGS = 0x7ff, SCRATCH_REGS = 0x3f, ARG_REGS = 0x3e };

static void call_uses(const struct verifier *v, const struct bpf_insn *insn, u32 *use, u32 *set) {
	const struct abi_helper *h;
	enum abi_why why;
	*set = SCRATCH_REGS;
	*use = ARG_REGS;
	if (insn_is_kfunc_call(insn))
		*use = (2u << kfunc_args_n(v, (u32)(insn - v->insns))) - 2;
	if (!insn_is_helper_call(insn))
		return;
	h = abi_helper_for(v->abi, (u32)insn->imm, &v->caller, &why);
	if (!h)
		return;
	*use = 0;
	for (u32 i = 0; i < 5 && h->arg[i] != ARG_DONTCARE; i++)
		*use |= 2u << i;
}

static void insn_uses(const struct verifier *v, const struct bpf_insn *insn, u32 *use, u32 *set) {
	u32 d = 1u << insn->dst_reg, s = 1u << insn->src_reg;
	u8 op = BPF_OP(insn->code);
	bool x = BPF_SRC(insn->code) == BPF_X;
	*use = *set = 0;
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		if (insn_is_ldimm64(insn))
			*set = d;
		else
			*use = ALL_REGS; /* packet loads */
		break;
	case BPF_LDX:
		*set = d;
		*use = s;
		break;
	case BPF_ST:
		*use = d;
		break;
	case BPF_STX:
		*use = d | s;
		if (BPF_MODE(insn->code) != BPF_ATOMIC)
			break;
		if (insn->imm == BPF_LOAD_ACQ) {
			*use = s;
			*set = d;
		} else if (insn->imm == BPF_CMPXCHG) {
			*use |= 1;
			*set = 1;
		} else if (insn->imm & BPF_FETCH && insn->imm != BPF_STORE_REL) {
			*set = s;
		}
		break;
	case BPF_ALU:
	case BPF_ALU64:
		*set = d;
		if (op == BPF_MOV)
			*use = x ? s : 0;
		else
			*use = d | (x && op != BPF_END && op != BPF_NEG ? s : 0);
		break;
	default:
		if (op == BPF_CALL)
			call_uses(v, insn, use, set);
		else if (op == BPF_EXIT)
			*use = 1;
		else if (op != BPF_JA && op != BPF_JCOND)
			*use = d | (x ? s : 0);
		break;
	}
}

/* Upper halves: from those that are read after the instruction to those before it. */
static u32 upper_uses(const struct bpf_insn *insn, u32 upper) {
	u32 d = 1u << insn->dst_reg, s = 1u << insn->src_reg;
	bool x = BPF_SRC(insn->code) == BPF_X;
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
		return upper & ~d;
	case BPF_ALU64:
		if (BPF_OP(insn->code) == BPF_MOV)
			return (upper & ~d) | (upper & d && x ? s : 0);
		return upper | d | (x ? s : 0);
	case BPF_LD:
		return insn_is_ldimm64(insn) ? upper & ~d : ALL_REGS;
	case BPF_LDX:
		return (upper & ~d) | s;
	case BPF_ST:
		return upper | d;
	case BPF_STX:
		if (BPF_MODE(insn->code) == BPF_ATOMIC)
			return upper | d | s | 1;
		return upper | d | (BPF_SIZE(insn->code) == BPF_DW ? s : 0);
	case BPF_JMP:
		if (BPF_OP(insn->code) == BPF_CALL)
			return upper | ARG_REGS;
		return BPF_OP(insn->code) == BPF_EXIT ? 1 : upper | d | (x ? s : 0);
	}
	return upper;
}

static bool flow_back(struct verifier *v, u32 at) {
	const struct bpf_insn *insn = &v->insns[at];
	struct insn_aux *aux = &v->aux[at];
	u32 next[2], n = insn_successors(v, at, next), use, set, live = 0, upper = 0;
	bool changed;
	for (u32 i = 0; i < n; i++) {
		live |= v->aux[next[i]].live;
		upper |= v->aux[next[i]].upper;
	}
	if (upper >> insn->dst_reg & 1)
		aux->flags |= AUX_ZEXT;
	insn_uses(v, insn, &use, &set);
	live = (live & ~set) | use;
	upper = upper_uses(insn, upper);
	changed = live != aux->live || upper != aux->upper;
	aux->live = (u16)live;
	aux->upper = (u16)upper;
	return changed;
}

int find_live_registers(struct verifier *v) {
	for (u32 s = 0; s < v->subprogs_n; s++) {
		const struct subprog *sub = &v->subprogs[s];
		bool changed;
		do {
			changed = false;
			for (u32 i = 0; i < sub->postorder_n; i++) {
				u32 at = postorder_at(v, sub, i);
				if (v->insns[at].code)
					changed |= flow_back(v, at);
			}
		} while (changed && sub->back_edge);
	}
	if (!logging2(v))
		return 0;
	vlog(v, "Live regs before insn:\n");
	for (u32 i = 0; i < v->n; i++) {
		char text[160];
		if (v->aux[i].scc)
			vlog(v, "%3d ", v->aux[i].scc);
		else
			vlog(v, "    ");
		vlog(v, "%3d: ", i);
		for (u32 r = 0; r < BPF_REG_FP; r++)
			v->aux[i].live >> r & 1 ? vlog(v, "%d", r) : vlog(v, ".");
		log_insn_text(v, &v->insns[i], text, sizeof text);
		vlog(v, " %s\n", text);
		i += insn_is_ldimm64(&v->insns[i]);
	}
	return 0;
}

/* == Stack slots == */

struct slot_masks {
	u64 read, written, live;
};
struct stack_instance {
	struct stack_instance *next, *outer, *next_dirty;
	u32 depth, subprog, callsite;
	bool dirty;
	u8 *visited;                           /* by instruction - start: VISITED, QUEUED */
	struct slot_masks *frames[MAX_FRAMES]; /* by instruction - start; NULL: nothing told */
	VEC(u32) queue;                        /* instructions whose live slots may have changed */
};
enum { VISITED = 1, QUEUED = 2 };
struct stack_liveness {
	struct stack_instance **heads; /* by function */
	struct stack_instance *dirty;
	u64 writes[MAX_FRAMES]; /* of the instruction at hand */
	u32 *preds_at, *preds;  /* predecessors of i: preds[preds_at[i] … preds_at[i + 1]); made when first needed */
};

static int find_predecessors(struct verifier *v, struct stack_liveness *l) {
	u32 next[2];
	l->preds_at = arena_array(&v->scratch, u32, v->n + 2);
	l->preds = arena_array(&v->scratch, u32, v->n * 2);
	if (!l->preds_at || !l->preds)
		return -ENOMEM;
	for (u32 i = 0; i < v->n; i++)
		for (u32 k = v->insns[i].code ? insn_successors(v, i, next) : 0; k; k--)
			l->preds_at[next[k - 1] + 2]++;
	for (u32 i = 0; i < v->n; i++)
		l->preds_at[i + 2] += l->preds_at[i + 1];
	for (u32 i = 0; i < v->n; i++)
		for (u32 k = v->insns[i].code ? insn_successors(v, i, next) : 0; k; k--)
			l->preds[l->preds_at[next[k - 1] + 1]++] = i;
	return 0;
}

int stack_live_init(struct verifier *v) {
	v->stack_live = arena_new(&v->scratch, struct stack_liveness);
	if (!v->stack_live)
		return -ENOMEM;
	v->stack_live->heads = arena_array(&v->scratch, struct stack_instance *, v->subprogs_n);
	return v->stack_live->heads ? 0 : -ENOMEM;
}

void stack_live_free(struct verifier *v) {
	for (u32 s = 0; v->stack_live && v->stack_live->heads && s < v->subprogs_n; s++)
		for (struct stack_instance *at = v->stack_live->heads[s]; at; at = at->next)
			vec_free(&at->queue);
}

/* Finds or makes the instance of frame i of a state. */
int stack_instance_of(struct verifier *v, struct state *s, u32 i) {
	struct frame *f = s->frames[i];
	struct stack_instance *outer = i ? s->frames[i - 1]->instance : NULL, *at;
	const struct subprog *sub = &v->subprogs[f->subprog];
	ASSERT(!i || outer);
	for (at = v->stack_live->heads[f->subprog]; at; at = at->next)
		if (at->outer == outer && at->callsite == (u32)f->callsite)
			break;
	if (!at) {
		at = arena_new(&v->scratch, struct stack_instance);
		if (!at)
			return -ENOMEM;
		at->visited = arena_array(&v->scratch, u8, sub->end - sub->start);
		if (!at->visited)
			return -ENOMEM;
		at->next = v->stack_live->heads[f->subprog];
		at->outer = outer;
		at->depth = i;
		at->subprog = f->subprog;
		at->callsite = (u32)f->callsite;
		v->stack_live->heads[f->subprog] = at;
	}
	f->instance = at;
	return 0;
}

static int enqueue(struct verifier *v, struct stack_instance *at, u32 i) {
	u32 *entry;
	ASSERT(i < v->subprogs[at->subprog].end - v->subprogs[at->subprog].start);
	if (at->visited[i] & QUEUED)
		return 0;
	entry = vec_push(&at->queue);
	if (!entry)
		return -ENOMEM;
	*entry = i;
	at->visited[i] |= QUEUED;
	if (!at->dirty) {
		at->dirty = true;
		at->next_dirty = v->stack_live->dirty;
		v->stack_live->dirty = at;
	}
	return 0;
}

static struct slot_masks *masks_of(struct verifier *v, struct stack_instance *at, u32 frame) {
	const struct subprog *sub = &v->subprogs[at->subprog];
	ASSERT(frame <= at->depth);
	if (!at->frames[frame])
		at->frames[frame] = arena_array(&v->scratch, struct slot_masks, sub->end - sub->start);
	return at->frames[frame];
}

static int tell_read(struct verifier *v, struct stack_instance *at, u32 insn, u32 frame, u64 slots) {
	struct slot_masks *m = masks_of(v, at, frame);
	u32 i = insn - v->subprogs[at->subprog].start;
	if (!m)
		return -ENOMEM;
	if (!(slots & ~m[i].read))
		return 0;
	m[i].read |= slots;
	return enqueue(v, at, i);
}

int stack_mark_read(struct verifier *v, u32 frame, u64 slots) {
	ASSERT(frame <= v->cur->curframe);
	return tell_read(v, cur_frame(v)->instance, v->at, frame, slots);
}

void stack_mark_write(struct verifier *v, u32 frame, u64 slots) {
	ASSERT(frame <= v->cur->curframe && slots);
	v->stack_live->writes[frame] |= slots;
}

static int tell_writes(struct verifier *v, struct stack_instance *at, u32 i) {
	bool first = !(at->visited[i] & VISITED);
	for (u32 f = 0; f <= at->depth; f++) {
		u64 writes = v->stack_live->writes[f], now;
		struct slot_masks *m;
		v->stack_live->writes[f] = 0;
		if (!writes && (first || !at->frames[f]))
			continue;
		m = masks_of(v, at, f);
		if (!m)
			return -ENOMEM;
		now = first ? writes : m[i].written & writes;
		if (now != m[i].written && enqueue(v, at, i))
			return -ENOMEM;
		m[i].written = now;
	}
	return 0;
}

/* Now that i is visited, is there anything for it to pass on? What becomes live behind it later comes by itself. */
static bool makes_live(const struct verifier *v, const struct stack_instance *at, u32 i) {
	const struct subprog *sub = &v->subprogs[at->subprog];
	u32 next[2], n = 0;
	for (u32 f = 0; f <= at->depth; f++) {
		const struct slot_masks *m = at->frames[f];
		if (!m)
			continue;
		if (m[i].read)
			return true;
		n = n ? n : insn_successors(v, sub->start + i, next);
		for (u32 k = 0; k < n; k++)
			if (m[next[k] - sub->start].live)
				return true;
	}
	return false;
}

/* The instruction was looked at in that frame. Calls come here before they enter: what a callee overwrites is not
 * counted, which only makes more slots live. */
int stack_step_end(struct verifier *v, struct stack_instance *at, u32 insn) {
	u32 i = insn - v->subprogs[at->subprog].start;
	u8 class = BPF_CLASS(v->insns[insn].code);
	ASSERT(insn < v->subprogs[at->subprog].end);
	if (class == BPF_STX || class == BPF_ST || v->insns[insn].code == (BPF_JMP | BPF_CALL)) { /* others write nothing */
		int err = tell_writes(v, at, i);
		if (err)
			return err;
	}
	if (at->visited[i] & VISITED)
		return 0;
	at->visited[i] |= VISITED;
	return makes_live(v, at, i) ? enqueue(v, at, i) : 0;
}

/* Solves for one instruction; true: something changed. */
static bool solve(struct verifier *v, struct stack_instance *at, u32 i) {
	const struct subprog *sub = &v->subprogs[at->subprog];
	u32 next[2], n = insn_successors(v, sub->start + i, next);
	bool changed = false;
	if (!(at->visited[i] & VISITED))
		return false;
	for (u32 f = 0; f <= at->depth; f++) {
		struct slot_masks *m = at->frames[f];
		u64 live = 0;
		if (!m)
			continue;
		for (u32 k = 0; k < n; k++)
			live |= m[next[k] - sub->start].live;
		live = (live & ~m[i].written) | m[i].read;
		ASSERT_DEBUG(!(m[i].live & ~live));
		changed |= live != m[i].live;
		m[i].live = live;
	}
	return changed;
}

static int solve_all(struct verifier *v) {
	struct stack_liveness *l = v->stack_live;
	if (l->dirty && !l->preds && find_predecessors(v, l))
		return -ENOMEM;
	while (l->dirty) {
		struct stack_instance *at = l->dirty;
		u32 start = v->subprogs[at->subprog].start;
		l->dirty = at->next_dirty;
		at->dirty = false;
		while (at->queue.n) {
			u32 i = at->queue.at[--at->queue.n];
			int err = 0;
			at->visited[i] &= (u8)~QUEUED;
			if (!solve(v, at, i))
				continue;
			for (u32 p = l->preds_at[start + i]; p < l->preds_at[start + i + 1] && !err; p++)
				err = enqueue(v, at, l->preds[p] - start);
			for (u32 f = 0; !i && at->outer && f < at->depth && !err; f++)
				if (at->frames[f]) /* what is live at a callee's entry is read by the call */
					err = tell_read(v, at->outer, at->callsite, f, at->frames[f][0].live);
			if (err)
				return err;
		}
	}
	return 0;
}

static u64 live_at(const struct verifier *v, const struct stack_instance *at, u32 insn, u32 frame) {
	const struct subprog *sub = &v->subprogs[at->subprog];
	return at->frames[frame] && insn < sub->end ? at->frames[frame][insn - sub->start].live : 0;
}

/* Live slots of each frame where the checkpoint stands: needed later in the function that runs, or, after the calls
 * that are open have returned, in a caller. A callback's call may run it again. */
int stack_live_query(struct verifier *v, struct state *s, u64 live[MAX_FRAMES]) {
	int err = solve_all(v);
	ASSERT(!s->branches); /* all that can still be read was told */
	for (u32 f = 0; f <= s->curframe; f++) {
		live[f] = 0;
		for (u32 i = f; i <= s->curframe; i++) {
			u32 insn = state_frame_insn(s, i);
			if (i < s->curframe && !is_callback_call(v, insn))
				insn++;
			live[f] |= live_at(v, s->frames[i]->instance, insn, f);
		}
	}
	return err;
}
