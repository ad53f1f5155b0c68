/* The program's structure: functions, control flow, loops, depth of calls.
 *
 *   check_subprogs    where functions begin and end; jumps stay inside; none runs off its end
 *   check_cfg         depth-first walk: every instruction is reached, none jumps into the middle of a wide one; marks where
 *                     states are compared (prune points) and where the way must be recorded
 *   find_loops        strongly connected components, for pruning inside loops (states.c)
 *   check_max_stack_depth   after the walk, when the frames' sizes are known
 *
 * Calls are edges for reachability, not for loops: recursion is found by the depth of frames. */
#include "verify/env.h"

/* == Functions == */

int subprog_at(const struct verifier *v, u32 start) {
	u32 low = 0, high = v->subprogs_n;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (v->subprogs[middle].start < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < v->subprogs_n && v->subprogs[low].start == start ? (int)low : -1;
}

/* Inserts in order; v->subprogs has room for MAX_SUBPROGS. */
static int add_subprog(struct verifier *v, s64 start) {
	u32 i;
	if (start < 0 || start >= v->n)
		return refuse(v, CALL_DESTINATION, -EINVAL);
	if (subprog_at(v, (u32)start) >= 0)
		return 0;
	if (v->subprogs_n == MAX_SUBPROGS) {
		say(v, "limit", "%d", MAX_SUBPROGS);
		return refuse(v, TOO_MANY_SUBPROGS, -E2BIG);
	}
	for (i = v->subprogs_n++; i > 0 && v->subprogs[i - 1].start > start; i--)
		v->subprogs[i] = v->subprogs[i - 1];
	v->subprogs[i] = (struct subprog){.start = (u32)start, .name = ""};
	return 0;
}

static s64 jump_target(const struct bpf_insn *insn, u32 at) {
	return (s64)at + 1 + (insn->code == (BPF_JMP32 | BPF_JA) ? insn->imm : insn->off);
}

static bool is_jump(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}

static bool ends_function(const struct bpf_insn *insn) {
	return insn->code == (BPF_JMP | BPF_EXIT) || insn->code == (BPF_JMP | BPF_JA) || insn->code == (BPF_JMP32 | BPF_JA);
}

/* The kernel resolves every kernel function that a program names, reached or not; imm 0 is a weak one that is absent. */
static int check_kfunc_exists(struct verifier *v, const struct bpf_insn *insn) {
	const struct btf *btf = v->in->kernel_btf;
	const struct btf_type *t = btf && !insn->off ? btf_type(btf, (u32)insn->imm) : NULL;
	if ((!insn->imm && !insn->off) || (t && btf_kind(t) == BTF_KIND_FUNC))
		return 0;
	return refuse_text(v, KFUNC_UNKNOWN, -EINVAL, "kernel btf_id %u is not a function", (u32)insn->imm);
}

int check_subprogs(struct verifier *v) {
	v->subprogs = arena_array(&v->scratch, struct subprog, MAX_SUBPROGS);
	if (!v->subprogs)
		return -ENOMEM;
	add_subprog(v, 0);
	for (u32 i = 0; i < v->n; i++) {
		if (insn_is_pseudo_call(&v->insns[i]) || insn_is_pseudo_func(&v->insns[i])) {
			int err = add_subprog(v, (s64)i + 1 + v->insns[i].imm);
			if (err)
				return err;
		} else if (insn_is_kfunc_call(&v->insns[i])) {
			int err = check_kfunc_exists(v, &v->insns[i]);
			if (err)
				return err;
		}
	}
	for (u32 s = 0; s < v->subprogs_n; s++)
		v->subprogs[s].end = s + 1 < v->subprogs_n ? v->subprogs[s + 1].start : v->n;
	if (logging2(v))
		for (u32 s = 0; s < v->subprogs_n; s++)
			vlog(v, "func#%d @%d\n", s, v->subprogs[s].start);
	for (u32 s = 0, i = 0; i < v->n; i++) {
		struct subprog *sub = &v->subprogs[s];
		const struct bpf_insn *insn = &v->insns[i];
		v->aux[i].subprog = (u16)s;
		if (insn_is_helper_call(insn) && insn->imm == BPF_FUNC_tail_call)
			sub->has_tail_call = sub->tail_call_reachable = true;
		if (BPF_CLASS(insn->code) == BPF_LD && (BPF_MODE(insn->code) == BPF_ABS || BPF_MODE(insn->code) == BPF_IND))
			sub->has_ld_abs = true;
		if (is_jump(insn) && (jump_target(insn, i) < sub->start || jump_target(insn, i) >= sub->end)) {
			say(v, "insn", "%u", i);
			return refuse(v, JUMP_RANGE, -EINVAL, i, (int)jump_target(insn, i));
		}
		if (i + 1 < sub->end)
			continue;
		if (!ends_function(insn))
			return refuse(v, LAST_INSN, -EINVAL);
		s++;
	}
	return 0;
}

/* == Successors == */

/* Within the function: a call goes on behind itself. */
u32 insn_successors(const struct verifier *v, u32 at, u32 next[2]) {
	const struct bpf_insn *insn = &v->insns[at];
	u32 n = 0;
	ASSERT(at < v->n);
	if (insn->code == (BPF_JMP | BPF_EXIT))
		return 0;
	if (is_jump(insn) && BPF_OP(insn->code) == BPF_JA) {
		next[n++] = (u32)jump_target(insn, at);
		return n;
	}
	next[n++] = at + (insn_is_ldimm64(insn) ? 2 : 1);
	if (is_jump(insn))
		next[n++] = (u32)jump_target(insn, at);
	return n;
}

/* == Depth-first walk == */

enum { DISCOVERED = 1, EXPLORED = 2, DONE_FALL = 4, DONE_BRANCH = 8 };
struct walk {
	u8 *state;
	u32 *stack, n;
};

static void mark(struct verifier *v, u32 insn, u32 flags) {
	if (insn < v->n)
		v->aux[insn].flags |= flags;
}

/* The edge t → w. 1: walk on at w. */
static int push_edge(struct verifier *v, struct walk *w, u32 from, s64 to, u8 edge) {
	ASSERT(edge == DONE_FALL || edge == DONE_BRANCH);
	ASSERT(w->n && w->n <= v->n);
	if (w->state[from] & edge || (edge == DONE_FALL && w->state[from] & DONE_BRANCH))
		return 0;
	if (to < 0 || to >= v->n) {
		log_line(v, from, "");
		say(v, "insn", "%u", from);
		return refuse(v, JUMP_RANGE, -EINVAL, from, (int)to);
	}
	if (edge == DONE_BRANCH)
		mark(v, (u32)to, AUX_PRUNE | AUX_HISTORY | AUX_JUMP_TARGET);
	w->state[from] |= edge;
	if (w->state[to])
		return 0;
	w->state[to] = DISCOVERED;
	w->stack[w->n++] = (u32)to;
	return 1;
}

static int visit_call(struct verifier *v, struct walk *w, u32 t, bool callee) {
	u32 width = insn_is_ldimm64(&v->insns[t]) ? 2 : 1;
	int more = push_edge(v, w, t, t + width, DONE_FALL);
	if (more)
		return more;
	mark(v, t + width, AUX_PRUNE | AUX_HISTORY);
	if (!callee)
		return 0;
	mark(v, t, AUX_PRUNE);
	return push_edge(v, w, t, (s64)t + 1 + v->insns[t].imm, DONE_BRANCH);
}

static void mark_helper_call(struct verifier *v, u32 t) {
	const struct abi_helper *h = abi_helper(v->abi, (u32)v->insns[t].imm);
	struct subprog *sub = &v->subprogs[v->aux[t].subprog];
	if (!h)
		return;
	if (h->flags & HELPER_ASYNC_CALLBACK)
		mark(v, t, AUX_PRUNE);
	if (h->flags & HELPER_CALLBACK) /* its iterations are states that come by here again */
		mark(v, t, AUX_CALLBACK | AUX_CHECKPOINT | AUX_PRUNE | AUX_HISTORY);
	if (h->flags & HELPER_CHANGES_PKT)
		sub->changes_pkt_data = true;
	if (h->flags & HELPER_MIGHT_SLEEP)
		sub->might_sleep = true;
}

static int visit_insn(struct verifier *v, struct walk *w, u32 t) {
	const struct bpf_insn *insn = &v->insns[t];
	u8 class = BPF_CLASS(insn->code);
	int more;
	if (insn_is_pseudo_func(insn))
		return visit_call(v, w, t, true);
	if (class != BPF_JMP && class != BPF_JMP32)
		return push_edge(v, w, t, t + (insn_is_ldimm64(insn) ? 2 : 1), DONE_FALL);
	switch (BPF_OP(insn->code)) {
	case BPF_EXIT:
		return 0;
	case BPF_CALL:
		if (insn_is_helper_call(insn))
			mark_helper_call(v, t);
		return visit_call(v, w, t, insn_is_pseudo_call(insn));
	case BPF_JA:
		more = push_edge(v, w, t, jump_target(insn, t), DONE_FALL);
		if (more >= 0)
			mark(v, (u32)jump_target(insn, t), AUX_PRUNE | AUX_HISTORY | AUX_JUMP_TARGET);
		return more;
	default:
		mark(v, t, AUX_PRUNE | (BPF_OP(insn->code) == BPF_JCOND ? AUX_CHECKPOINT : 0));
		more = push_edge(v, w, t, t + 1, DONE_FALL);
		return more ? more : push_edge(v, w, t, jump_target(insn, t), DONE_BRANCH);
	}
}

/* Packet changes and sleeping of callees are the callers' too. Calls form no cycles that matter: repeat until stable. */
static void merge_callee_effects(struct verifier *v) {
	bool changed;
	do {
		changed = false;
		for (u32 i = 0; i < v->n; i++) {
			struct subprog *caller, *callee;
			if (!insn_is_pseudo_call(&v->insns[i]) && !insn_is_pseudo_func(&v->insns[i]))
				continue;
			caller = &v->subprogs[v->aux[i].subprog];
			callee = &v->subprogs[subprog_at(v, i + 1 + (u32)v->insns[i].imm)];
			if ((callee->changes_pkt_data && !caller->changes_pkt_data) || (callee->might_sleep && !caller->might_sleep)) {
				caller->changes_pkt_data |= callee->changes_pkt_data;
				caller->might_sleep |= callee->might_sleep;
				changed = true;
			}
		}
	} while (changed);
}

int check_cfg(struct verifier *v) {
	struct walk w = {.state = arena_array(&v->scratch, u8, v->n), .stack = arena_array(&v->scratch, u32, v->n)};
	if (!w.state || !w.stack)
		return -ENOMEM;
	w.state[0] = DISCOVERED;
	w.stack[w.n++] = 0;
	while (w.n) {
		u32 t = w.stack[w.n - 1];
		int more = visit_insn(v, &w, t);
		if (more < 0)
			return more;
		if (!more) {
			w.state[t] |= EXPLORED;
			w.n--;
		}
	}
	for (u32 i = 0; i < v->n; i++) {
		bool wide = insn_is_ldimm64(&v->insns[i]), reached = w.state[i] & EXPLORED;
		if (unlikely(!reached || (wide && w.state[i + 1])))
			say(v, "insn", "%u", i);
		if (!reached)
			return refuse(v, UNREACHABLE, -EINVAL, i);
		if (wide && w.state[i + 1])
			return refuse(v, JUMP_MIDDLE, -EINVAL, i);
		i += wide;
	}
	merge_callee_effects(v);
	return 0;
}

/* == Strongly connected components (Tarjan), and a post-order per function == */

struct tarjan {
	u32 *pre, *low, *stack, *work;
	u32 stack_n, work_n, next;
};

static void close_component(struct verifier *v, struct tarjan *t, u32 at) {
	u32 next[2], n = insn_successors(v, at, next);
	bool loop = t->stack[t->stack_n - 1] != at;
	for (u32 i = 0; i < n; i++)
		loop |= next[i] == at;
	if (loop)
		v->sccs_n++;
	for (;;) {
		u32 member = t->stack[--t->stack_n];
		t->low[member] = UINT32_MAX;
		if (loop)
			v->aux[member].scc = v->sccs_n;
		if (member == at)
			break;
	}
}

static void search_from(struct verifier *v, struct tarjan *t, u32 root) {
	t->work[t->work_n++] = root;
	while (t->work_n) {
		u32 at = t->work[t->work_n - 1], next[2], n;
		bool deeper = false;
		ASSERT(t->work_n <= v->n && t->stack_n <= v->n);
		if (!t->pre[at]) {
			t->pre[at] = t->low[at] = t->next++;
			t->stack[t->stack_n++] = at;
		}
		n = insn_successors(v, at, next);
		for (u32 i = 0; i < n && !deeper; i++) {
			if (!t->pre[next[i]]) {
				t->work[t->work_n++] = next[i];
				deeper = true;
			} else {
				t->low[at] = MIN(t->low[at], t->low[next[i]]);
			}
		}
		if (deeper)
			continue;
		t->work_n--;
		v->postorder[v->subprogs[v->aux[at].subprog].postorder_n++ + v->subprogs[v->aux[at].subprog].postorder] = at;
		if (t->low[at] == t->pre[at])
			close_component(v, t, at);
	}
}

int find_loops(struct verifier *v) {
	struct tarjan t = {.pre = arena_array(&v->scratch, u32, v->n),
	                   .low = arena_array(&v->scratch, u32, v->n),
	                   .stack = arena_array(&v->scratch, u32, v->n),
	                   .work = arena_array(&v->scratch, u32, v->n),
	                   .next = 1};
	v->postorder = arena_array(&v->scratch, u32, v->n);
	if (!t.pre || !t.low || !t.stack || !t.work || !v->postorder)
		return -ENOMEM;
	for (u32 s = 0; s < v->subprogs_n; s++) {
		v->subprogs[s].postorder = v->subprogs[s].start;
		search_from(v, &t, v->subprogs[s].start);
	}
	v->has_loops = v->sccs_n;
	v->sccs = arena_array(&v->scratch, struct scc_visit *, v->sccs_n + 1);
	v->sccs_n++; /* ids start at 1 */
	return v->sccs ? 0 : -ENOMEM;
}

/* == Depth == */

static u32 frame_size(const struct subprog *sub) {
	return (u32)round_up(MAX(sub->stack, 1u), 16);
}

struct chain {
	u32 subprog, at; /* function, and the instruction in it that comes next */
};

static int check_depth(const struct chain *chain, u32 frames, u32 depth, struct verifier *v) {
	const struct subprog *sub = &v->subprogs[chain[frames - 1].subprog];
	ASSERT(frames && frames <= MAX_FRAMES && depth >= frame_size(sub));
	if (sub->has_ld_abs) {
		bool callback = false;
		for (u32 i = 0; i < frames; i++)
			callback |= v->subprogs[chain[i].subprog].is_callback;
		if (callback)
			return refuse(v, CALLBACK_LD_ABS, -EINVAL);
	}
	if (frames > 1 && sub->has_tail_call && depth - frame_size(sub) >= 256) {
		say(v, "size", "%u", depth - frame_size(sub));
		say(v, "limit", "256");
		return refuse(v, TAIL_CALL_STACK, -EACCES, depth - frame_size(sub));
	}
	v->max_depth = MAX(v->max_depth, depth);
	if (depth > STACK_BYTES) {
		say(v, "count", "%u", frames);
		say(v, "size", "%u", depth);
		say(v, "limit", "%d", STACK_BYTES);
		return refuse(v, STACK_TOO_LARGE, -EACCES, frames, depth);
	}
	return 0;
}

/* Follows every chain of calls from the program's first function. */
int check_max_stack_depth(struct verifier *v) {
	struct chain chain[MAX_FRAMES];
	u32 frames = 1, depth = frame_size(&v->subprogs[0]);
	int err;
	chain[0] = (struct chain){0, 0};
	err = check_depth(chain, 1, depth, v);
	while (!err && frames) {
		struct chain *c = &chain[frames - 1];
		const struct subprog *sub = &v->subprogs[c->subprog];
		s32 callee = -1;
		while (c->at < sub->end && callee < 0) {
			const struct bpf_insn *insn = &v->insns[c->at];
			if (insn_is_pseudo_call(insn) || insn_is_pseudo_func(insn))
				callee = subprog_at(v, c->at + 1 + (u32)insn->imm);
			c->at++;
		}
		if (callee < 0) {
			depth -= frame_size(sub);
			frames--;
			continue;
		}
		if (frames == MAX_FRAMES) {
			say(v, "limit", "%d", MAX_FRAMES);
			return refuse_text(v, CALL_DEPTH, -E2BIG, "the call stack of %d frames is too deep !", frames);
		}
		if (v->subprogs[callee].tail_call_reachable)
			for (u32 i = 0; i < frames; i++)
				v->subprogs[chain[i].subprog].tail_call_reachable = true;
		chain[frames++] = (struct chain){(u32)callee, v->subprogs[callee].start};
		depth += frame_size(&v->subprogs[callee]);
		err = check_depth(chain, frames, depth, v);
	}
	return err;
}
