/* The program's structure: functions, control flow, loops, depth of calls.
 *
 *   check_subprogs    where functions begin and end; jumps stay inside; none runs off its end
 *   check_cfg         every instruction is reached, none jumps into the middle of a wide one; marks where states are
 *                     compared (prune points) and where the way must be recorded
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

/* Inserts in order; v->subprogs has room for all. */
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

static bool ends_function(const struct bpf_insn *insn) {
	return insn->code == (BPF_JMP | BPF_EXIT) || insn->code == (BPF_JMP | BPF_JA) || insn->code == (BPF_JMP32 | BPF_JA);
}

static int check_jump(struct verifier *v, struct subprog *sub, u32 i) {
	s64 to = jump_target(&v->insns[i], i);
	sub->back_edge |= to <= i;
	if (to >= sub->start && to < sub->end)
		return 0;
	say(v, "insn", "%u", i);
	return refuse(v, JUMP_RANGE, -EINVAL, i, (int)to);
}

/* Its jumps stay inside, and it does not run off its end. */
static int check_function(struct verifier *v, u32 s) {
	struct subprog *sub = &v->subprogs[s];
	for (u32 i = sub->start; i < sub->end; i++) {
		const struct bpf_insn *insn = &v->insns[i];
		u8 class = BPF_CLASS(insn->code);
		v->aux[i].subprog = (u16)s;
		if (class == BPF_LD && (BPF_MODE(insn->code) == BPF_ABS || BPF_MODE(insn->code) == BPF_IND))
			sub->has_ld_abs = true;
		if (class != BPF_JMP && class != BPF_JMP32)
			continue;
		if (insn_is_helper_call(insn) && insn->imm == BPF_FUNC_tail_call)
			sub->has_tail_call = sub->tail_call_reachable = true;
		if (insn_may_jump(insn)) {
			int err = check_jump(v, sub, i);
			if (err)
				return err;
		}
	}
	return ends_function(&v->insns[sub->end - 1]) ? 0 : refuse(v, LAST_INSN, -EINVAL);
}

/* Everything that is called or named by address begins a function, and what runs when the program throws. */
static int find_functions(struct verifier *v) {
	u32 room = 2, start;
	int err;
	for (u32 i = 0; i < v->n; i++)
		room += insn_is_pseudo_call(&v->insns[i]) || insn_is_pseudo_func(&v->insns[i]) || insn_is_kfunc_call(&v->insns[i]);
	v->subprogs = arena_array(&v->scratch, struct subprog, MIN(room, (u32)MAX_SUBPROGS));
	v->calls = arena_array(&v->scratch, u32, room);
	if (!v->subprogs || !v->calls)
		return -ENOMEM;
	add_subprog(v, 0);
	for (u32 i = 0; i < v->n; i++) {
		err = 0;
		if (BPF_CLASS(v->insns[i].code) != BPF_JMP && !insn_is_ldimm64(&v->insns[i]))
			continue;
		if (!v->bpf_capable && (insn_is_pseudo_call(&v->insns[i]) || insn_is_pseudo_func(&v->insns[i]) ||
		                        insn_is_kfunc_call(&v->insns[i]))) {
			v->at = i;
			return refuse(v, CAP_CALLS, -EPERM);
		}
		if (insn_is_pseudo_call(&v->insns[i]) || insn_is_pseudo_func(&v->insns[i])) {
			v->calls[v->calls_n++] = i;
			err = add_subprog(v, (s64)i + 1 + v->insns[i].imm);
		} else if (insn_is_kfunc_call(&v->insns[i])) {
			err = kfunc_find(v, i);
			if (!err && kfunc_throws_at(v, i))
				v->calls[v->calls_n++] = i;
		}
		if (err)
			return err;
	}
	err = find_exception_callback(v, &start);
	if (!err && start)
		err = add_subprog(v, start);
	if (err || !start)
		return err;
	v->exception_callback = (u32)subprog_at(v, start);
	v->subprogs[v->exception_callback].is_callback = v->subprogs[v->exception_callback].is_async_callback = true;
	return 0;
}

int check_subprogs(struct verifier *v) {
	int err = find_functions(v);
	if (err)
		return err;
	for (u32 s = 0; s < v->subprogs_n; s++)
		v->subprogs[s].end = s + 1 < v->subprogs_n ? v->subprogs[s + 1].start : v->n;
	if (logging2(v))
		for (u32 s = 0; s < v->subprogs_n; s++)
			vlog(v, "func#%d @%d\n", s, v->subprogs[s].start);
	for (u32 s = 0, calls = 0; s < v->subprogs_n; s++) {
		struct subprog *sub = &v->subprogs[s];
		err = check_function(v, s);
		if (err)
			return err;
		sub->calls = calls;
		while (calls < v->calls_n && v->calls[calls] < sub->end)
			calls++;
		sub->calls_end = calls;
	}
	return 0;
}

/* == Reaching every instruction == */

struct walk {
	u8 *reached;
	u32 *stack, n; /* reached, and not looked at yet */
};

static void mark(struct verifier *v, u32 insn, u32 flags) {
	if (insn < v->n)
		v->aux[insn].flags |= (u16)flags;
}

/* The edge from → to. */
static int reach(struct verifier *v, struct walk *w, u32 from, s64 to, u32 flags) {
	ASSERT(w->n <= v->n);
	if (to < 0 || to >= v->n) {
		log_line(v, from, "");
		say(v, "insn", "%u", from);
		return refuse(v, JUMP_RANGE, -EINVAL, from, (int)to);
	}
	v->aux[to].flags |= (u16)flags;
	if (!w->reached[to]) {
		w->reached[to] = true;
		w->stack[w->n++] = (u32)to;
	}
	return 0;
}

static int visit_call(struct verifier *v, struct walk *w, u32 t, bool callee) {
	u32 width = insn_is_ldimm64(&v->insns[t]) ? 2 : 1;
	int err = reach(v, w, t, t + width, AUX_PRUNE | AUX_HISTORY);
	if (err || !callee)
		return err;
	mark(v, t, AUX_PRUNE);
	return reach(v, w, t, (s64)t + 1 + v->insns[t].imm, AUX_PRUNE | AUX_HISTORY | AUX_JUMP_TARGET);
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

static void mark_kfunc_call(struct verifier *v, u32 t) {
	u32 flags = kfunc_flags_at(v, t);
	struct subprog *sub = &v->subprogs[v->aux[t].subprog];
	if (kfunc_calls_back(v, t))
		mark(v, t, AUX_CALLBACK | AUX_CHECKPOINT | AUX_PRUNE | AUX_HISTORY);
	if (flags & KFUNC_ITER_NEXT) /* where loops come round and converge */
		mark(v, t, AUX_CHECKPOINT | AUX_PRUNE);
	if (flags & KFUNC_CHANGES_PKT)
		sub->changes_pkt_data = true;
	if (flags & KFUNC_SLEEPABLE)
		sub->might_sleep = true;
	if (kfunc_calls_later(v, t))
		mark(v, t, AUX_PRUNE);
	if (kfunc_throws_at(v, t))
		sub->might_throw = true;
}

static int visit_jump(struct verifier *v, struct walk *w, u32 t) {
	const struct bpf_insn *insn = &v->insns[t];
	int err = 0;
	switch (BPF_OP(insn->code)) {
	case BPF_EXIT:
		return 0;
	case BPF_CALL:
		if (insn_is_helper_call(insn))
			mark_helper_call(v, t);
		else if (insn_is_kfunc_call(insn))
			mark_kfunc_call(v, t);
		return visit_call(v, w, t, insn_is_pseudo_call(insn));
	case BPF_JA:
		break;
	default:
		mark(v, t, AUX_PRUNE | (BPF_OP(insn->code) == BPF_JCOND ? AUX_CHECKPOINT : 0));
		err = reach(v, w, t, t + 1, 0);
	}
	return err ? err : reach(v, w, t, jump_target(insn, t), AUX_PRUNE | AUX_HISTORY | AUX_JUMP_TARGET);
}

/* From t on, as long as the way is straight and new. */
static int visit_straight(struct verifier *v, struct walk *w, u32 t) {
	for (;;) {
		const struct bpf_insn *insn = &v->insns[t];
		u8 class = BPF_CLASS(insn->code);
		u32 next = t + (insn_is_ldimm64(insn) ? 2 : 1);
		if (class == BPF_JMP || class == BPF_JMP32)
			return visit_jump(v, w, t);
		if (insn_is_pseudo_func(insn))
			return visit_call(v, w, t, true);
		if (next >= v->n)
			return reach(v, w, t, next, 0);
		if (w->reached[next])
			return 0;
		w->reached[next] = true;
		t = next;
	}
}

static bool add_effect(bool *caller, bool callee) {
	bool more = callee && !*caller;
	*caller |= callee;
	return more;
}

/* What callees do their callers do, too. Calls form no cycles that matter: repeat until stable. */
static void merge_callee_effects(struct verifier *v) {
	bool changed;
	do {
		changed = false;
		for (u32 i = 0; i < v->calls_n; i++) {
			u32 at = v->calls[i];
			struct subprog *caller = &v->subprogs[v->aux[at].subprog];
			const struct subprog *callee;
			if (kfunc_throws_at(v, at))
				continue;
			callee = &v->subprogs[subprog_at(v, at + 1 + (u32)v->insns[at].imm)];
			changed |= add_effect(&caller->changes_pkt_data, callee->changes_pkt_data);
			changed |= add_effect(&caller->might_sleep, callee->might_sleep);
			changed |= add_effect(&caller->might_throw, callee->might_throw);
		}
	} while (changed);
}

/* Without CAP_BPF no jump goes back to an instruction from which it was reached: depth first, the way that falls
 * through before the jump. state: bits 0 and 1 the ways taken already, bit 2 on the way here, bit 3 done. */
static int check_no_loops(struct verifier *v, u8 *state, u32 *stack) {
	u32 n = 1;
	stack[0] = 0;
	state[0] = 4;
	while (n) {
		u32 at = stack[n - 1], next[2], ways = insn_successors(v, at, next), way = state[at] & 3;
		if (way == ways) {
			state[at] = 8;
			n--;
			continue;
		}
		state[at]++;
		if (next[way] >= v->n || state[next[way]] & 8)
			continue;
		if (state[next[way]] & 4) {
			log_line(v, at, "");
			say(v, "insn", "%u", at);
			return refuse(v, BACK_EDGE, -EINVAL, at, next[way]);
		}
		state[next[way]] = 4;
		stack[n++] = next[way];
	}
	return 0;
}

int check_cfg(struct verifier *v) {
	struct walk w = {.reached = arena_array(&v->scratch, u8, v->n), .stack = arena_array(&v->scratch, u32, v->n)};
	if (!w.reached || !w.stack)
		return -ENOMEM;
	if (!v->bpf_capable) {
		int err = check_no_loops(v, w.reached, w.stack);
		if (err)
			return err;
		__builtin_memset(w.reached, 0, v->n);
	}
	w.reached[0] = true;
	w.stack[w.n++] = 0;
	if (v->exception_callback) {
		w.reached[v->subprogs[v->exception_callback].start] = true;
		w.stack[w.n++] = v->subprogs[v->exception_callback].start;
	}
	while (w.n) {
		int err = visit_straight(v, &w, w.stack[--w.n]);
		if (err)
			return err;
	}
	for (u32 i = 0; i < v->n; i++) {
		bool wide = insn_is_ldimm64(&v->insns[i]), reached = w.reached[i];
		if (unlikely(!reached || (wide && w.reached[i + 1])))
			say(v, "insn", "%u", i);
		if (!reached)
			return refuse(v, UNREACHABLE, -EINVAL, i);
		if (wide && w.reached[i + 1])
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

static void search(struct verifier *v, struct tarjan *t, struct subprog *sub) {
	t->work[t->work_n++] = sub->start;
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
		v->postorder[sub->start + sub->postorder_n++] = at;
		if (t->low[at] == t->pre[at])
			close_component(v, t, at);
	}
}

/* A function none of whose jumps goes backwards has no loops, and its instructions are in order. */
int find_loops(struct verifier *v) {
	struct tarjan t = {.next = 1};
	for (u32 s = 0; s < v->subprogs_n; s++) {
		struct subprog *sub = &v->subprogs[s];
		if (!sub->back_edge) {
			sub->postorder_n = sub->end - sub->start;
			continue;
		}
		if (!v->postorder) {
			t.pre = arena_array(&v->scratch, u32, v->n);
			t.low = arena_array(&v->scratch, u32, v->n);
			t.stack = arena_array(&v->scratch, u32, v->n);
			t.work = arena_array(&v->scratch, u32, v->n);
			v->postorder = arena_array(&v->scratch, u32, v->n);
			if (!t.pre || !t.low || !t.stack || !t.work || !v->postorder)
				return -ENOMEM;
		}
		search(v, &t, sub);
	}
	v->has_loops = v->sccs_n;
	v->sccs = arena_array(&v->scratch, struct scc_visit *, v->sccs_n + 1);
	v->sccs_n++; /* ids start at 1 */
	return v->sccs ? 0 : -ENOMEM;
}

/* == Depth == */

/* As where programs are compiled: a function that uses no stack has a frame of no size. */
static u32 frame_size(const struct subprog *sub) {
	return (u32)round_up(sub->depth, 16);
}

struct chain {
	u32 subprog, call; /* function, and the call in it that comes next */
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
		for (u32 i = 0; i < frames; i++) {
			const struct subprog *one = &v->subprogs[chain[i].subprog];
			note(v, one->start, "%s uses %u bytes of stack", one->name[0] ? one->name : "a function", frame_size(one));
		}
		return refuse(v, STACK_TOO_LARGE, -EACCES, frames, depth);
	}
	return 0;
}

/* A throw ends all frames, and so must not come from a callback, whose caller would not notice. */
static int check_throw(struct verifier *v, const struct chain *chain, u32 frames, u32 at) {
	bool callback = false;
	for (u32 i = 0; i < frames; i++)
		callback |= v->subprogs[chain[i].subprog].is_callback;
	if (!callback)
		return 0;
	v->at = at;
	return refuse(v, THROW_IN_CALLBACK, -EINVAL, at, chain[frames - 1].subprog);
}

/* The next instruction of a function, from c->at on, at which it throws or enters another one now, not later by itself.
 * *callee: the function that is entered, -1 none is left. */
static int next_callee(struct verifier *v, struct chain *chain, u32 frames, s32 *callee) {
	struct chain *c = &chain[frames - 1];
	const struct subprog *sub = &v->subprogs[c->subprog];
	for (*callee = -1; c->call < sub->calls_end; c->call++) {
		u32 at = v->calls[c->call];
		if (kfunc_throws_at(v, at)) {
			int err = check_throw(v, chain, frames, at);
			if (err)
				return err;
			continue;
		}
		*callee = subprog_at(v, at + 1 + (u32)v->insns[at].imm);
		if (!v->subprogs[*callee].is_async_callback)
			break;
		if (insn_is_pseudo_call(&v->insns[at])) {
			if (!v->exception_callback || (u32)*callee != v->exception_callback)
				break;
			v->at = at;
			say(v, "name", "%s", v->subprogs[*callee].name);
			return refuse_text(v, EXCEPTION_CALLBACK, -EINVAL, "insn %d cannot call exception cb directly", at);
		}
		*callee = -1;
	}
	c->call += *callee >= 0;
	return 0;
}

static int note_tail_calls(struct verifier *v, const struct chain *chain, u32 frames) {
	for (u32 i = 0; i < frames; i++) {
		say(v, "name", "%s", v->subprogs[chain[i].subprog].name);
		if (v->exception_callback && chain[i].subprog == v->exception_callback)
			return refuse_text(v, EXCEPTION_CALLBACK, -EINVAL, "cannot tail call within exception cb");
		v->values_n = 0;
		v->subprogs[chain[i].subprog].tail_call_reachable = true;
	}
	return 0;
}

/* Follows every chain of calls from a function that is entered from outside. */
static int check_depth_from(struct verifier *v, u32 first) {
	struct chain chain[MAX_FRAMES];
	u32 frames = 1, depth = frame_size(&v->subprogs[first]);
	int err;
	chain[0] = (struct chain){first, v->subprogs[first].calls};
	err = check_depth(chain, 1, depth, v);
	while (!err && frames) {
		const struct subprog *sub = &v->subprogs[chain[frames - 1].subprog];
		s32 callee;
		err = next_callee(v, chain, frames, &callee);
		if (err)
			return err;
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
			err = note_tail_calls(v, chain, frames);
		if (err)
			return err;
		chain[frames++] = (struct chain){(u32)callee, v->subprogs[callee].calls};
		depth += frame_size(&v->subprogs[callee]);
		err = check_depth(chain, frames, depth, v);
	}
	return err;
}

int check_max_stack_depth(struct verifier *v) {
	for (u32 s = v->subprogs_n; s--;) {
		int err = !s || v->subprogs[s].is_async_callback ? check_depth_from(v, s) : 0;
		if (err)
			return err;
	}
	return 0;
}
