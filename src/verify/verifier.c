/* The order of the passes, and the walk.
 *
 *   instructions and facts
 *     → check_subprogs   functions, jumps inside them
 *     → check_btf        which function is which; source lines
 *     → resolve          maps behind 64-bit immediates; opcodes
 *     → check_cfg        every instruction reachable; prune points
 *     → find_loops, find_live_registers
 *     → walk             path by path over abstract states: the program's function, then each global function that was
 *                        called, from its own prototype
 *     → check_max_stack_depth
 *     → fixup            dead code out, contexts to the internal layout, facts
 *
 * The walk takes one instruction after the other on the current state. A jump whose way is not decided pushes the other
 * way; at an exit, or where a checkpoint proves the rest safe, the last one pushed is taken up. It ends when none is left,
 * at the first refusal, or at the limit of processed instructions. The order of the passes is the reference's, because the
 * first complaint is what users and tools see.
 *
 * Sound and closed: whatever is not understood goes through refuse_not_yet(). What a loader may not do for want of
 * capabilities is refused where it happens: bpf_capable (loops, functions), allow_ptr_leaks (addresses, uninitialised
 * stack) and bypass_spec (speculation.c) say what it may.
 *
 * Everything lives in two arenas: the caller's, for what is returned, and one for the walk, dropped at the end. */
#include "isa/decode.h"
#include "isa/valid.h"
#include "verify/env.h"
#include <string.h>
#include <time.h>

enum { SCRATCH_MIN = 256 * 1024, SCRATCH_PER_INSN = 144 };

static u64 now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

int refuse_not_yet(struct verifier *v, const char *what) {
	say(v, "name", "%s", what);
	return refuse_text(v, NOT_SUPPORTED, -EOPNOTSUPP, "skep: %s: not supported by this verifier yet", what);
}

int refuse_uninit(struct verifier *v, u32 reg) {
	say_reg(v, reg);
	return refuse(v, READ_UNINIT, -EACCES, reg);
}

int refuse_fp_write(struct verifier *v) {
	return refuse(v, FRAME_POINTER_WRITE, -EACCES);
}

/* == The walk == */

static int refuse_limit(struct verifier *v) {
	say(v, "count", "%llu", (unsigned long long)v->limit);
	return refuse(v, TOO_LARGE, -E2BIG, (int)v->processed);
}

enum { LOOK_EVERY = 1024 }; /* the clock costs more than an instruction */

static int refuse_time(struct verifier *v) {
	say(v, "limit", "%.3g seconds", (double)v->in->time_limit_ns / 1e9);
	say(v, "count", "%llu", (unsigned long long)v->processed);
	return refuse_text(v, TIME_LIMIT, -ETIMEDOUT, "%s", "");
}

static int look_at_limits(struct verifier *v) {
	ASSERT(v->processed > v->look);
	if (v->processed > v->limit)
		return refuse_limit(v);
	if (now_ns() - v->clock_start > v->in->time_limit_ns)
		return refuse_time(v);
	v->look = MIN(v->limit, v->look + LOOK_EVERY);
	return 0;
}

static int check_reg_numbers(struct verifier *v, const struct bpf_insn *insn) {
	u32 max = MAX(insn->dst_reg, insn->src_reg);
	if (max < MAX_BPF_REG || (insn_is_ldimm64(insn) && insn->dst_reg < MAX_BPF_REG))
		return 0;
	say(v, "reg", "R%u", max);
	return refuse(v, INVALID_REGISTER, -EINVAL, max);
}

/* What needs looking at only once, whatever the state: fields, register numbers. */
static int first_visit(struct verifier *v, const struct bpf_insn *insn) {
	char message[VALID_MESSAGE];
	u8 class = BPF_CLASS(insn->code);
	ASSERT(!(v->aux[v->at].flags & AUX_SEEN));
	if (class == BPF_LD && !insn_is_ldimm64(insn) && !(v->type->flags & PROG_LD_ABS)) {
		say(v, "prog", "%s", v->type->name);
		return refuse(v, LD_ABS_TYPE, -EINVAL);
	}
	if (unlikely(!insn_is_plain(insn)) && insn_valid(VALID_FIELDS, v->insns, v->at, v->n, message))
		return refuse_insn(v, message);
	return check_reg_numbers(v, insn);
}

/* One instruction. *finished: the path ended at an exit. */
static int step(struct verifier *v, const struct bpf_insn *insn, bool *finished) {
	u8 class = BPF_CLASS(insn->code);
	int err;
	switch (class) {
	case BPF_ALU:
	case BPF_ALU64:
		err = step_alu(v, insn);
		break;
	case BPF_LDX:
		err = step_load(v, insn);
		break;
	case BPF_ST:
		err = step_store(v, insn);
		break;
	case BPF_STX:
		err = BPF_MODE(insn->code) == BPF_ATOMIC ? step_atomic(v, insn) : step_store(v, insn);
		break;
	case BPF_LD:
		if (!insn_is_ldimm64(insn))
			return step_packet_load(v, insn);
		err = step_imm64(v, insn);
		v->at++;
		break;
	default:
		v->jumps++;
		switch (BPF_OP(insn->code)) {
		case BPF_CALL:
			return step_call(v, insn);
		case BPF_JA:
			v->at += 1 + (u32)(class == BPF_JMP ? insn->off : insn->imm);
			return 0;
		case BPF_EXIT:
			return step_exit(v, finished);
		default:
			return step_jmp(v, insn);
		}
	}
	v->at++;
	return err;
}

/* As step; 1: a barrier stops the speculative path before it. */
static int look_at(struct verifier *v, const struct bpf_insn *insn, bool *finished) {
	const struct insn_aux *aux = &v->aux[v->at];
	int err = 0;
	if (unlikely(v->cur->speculative && aux->nospec))
		return 1;
	if (unlikely(!(aux->flags & AUX_SEEN)))
		err = first_visit(v, insn);
	return err ? err : step(v, insn, finished);
}

static const char *speculative_text(const struct verifier *v) {
	return v->cur->speculative ? " (speculative execution)" : "";
}

static void log_arrival(struct verifier *v, bool fresh) {
	if (!fresh)
		return;
	vlog(v, "\nfrom %d to %d%s:", v->prev, v->at, speculative_text(v));
	log_state(v, v->cur, v->cur->curframe, true);
}

/* The path ends: the next one, or -ENOENT. */
static int next_path(struct verifier *v) {
	int err = state_finished(v, v->cur);
	v->log.scratched_regs = ~0u;
	v->log.scratched_slots = ~(u64)0;
	return err ? err : pop_pending(v);
}

static int visit_prune_point(struct verifier *v, bool fresh) {
	int found = state_visited(v);
	if (found != 1)
		return found;
	if (logging(v)) {
		if (fresh)
			vlog(v, "\nfrom %d to %d%s: safe\n", v->prev, v->at, speculative_text(v));
		else
			vlog(v, "%d: safe\n", v->at);
	}
	return 1;
}

static int walk(struct verifier *v) {
	bool fresh = false; /* just popped, or returned from a call: the log shows where we come from */
	s32 prev = -1;
	for (;;) {
		const struct bpf_insn *insn = &v->insns[v->at];
		struct stack_instance *instance;
		struct insn_aux *aux = &v->aux[v->at];
		u32 at = v->at;
		bool finished = false;
		int err = 0;
		v->cur_step = NULL;
		v->prev = prev;
		ASSERT(at < v->n);
		if (unlikely(++v->processed > v->look) && (err = look_at_limits(v)))
			return err;
		v->cur->last_insn = (u32)prev;
		v->cur->insn = at;
		if (aux->flags & AUX_PRUNE)
			err = visit_prune_point(v, fresh);
		if (!err && aux->flags & AUX_HISTORY)
			err = record_step(v, 0, 0);
		if (!err && logging(v)) {
			if (logging2(v))
				log_arrival(v, fresh);
			fresh = fresh && !logging2(v);
			if (v->log.scratched_regs | v->log.scratched_slots)
				log_insn_state(v);
			log_insn(v, at);
		}
		if (!err && v->recording && !v->cur->speculative)
			err = oracle_record(v);
		instance = cur_frame(v)->instance;
		prev = (s32)at;
		if (!err) {
			err = look_at(v, insn, &finished);
			if (err < 0 && stopped_by_barrier(v, at, err)) {
				err = stack_step_end(v, instance, at);
				err = err ? err : 1;
			}
		}
		if (err < 0)
			return err;
		if (!v->cur->speculative && !err)
			aux->flags |= AUX_SEEN;
		if (!err && !finished) {
			fresh = insn->code == (BPF_JMP | BPF_EXIT);
			err = stack_step_end(v, instance, at);
			if (err)
				return err;
			if (likely(!v->cur->speculative || !aux->nospec_result))
				continue;
		}
		err = next_path(v);
		if (err)
			return err == -ENOENT ? 0 : err;
		prev = v->prev;
		fresh = true;
	}
}

static int set_arguments(struct verifier *v, u32 subprog) {
	struct subprog *sub = &v->subprogs[subprog];
	if (!subprog) { /* its BTF may say what it wants; the log tells, the context comes */
		v->tolerant = true;
		if (v->in->func_info_n)
			prepare_subprog_args(v, 0);
		v->tolerant = false;
		v->values_n = 0;
		reg_set_pointer(&cur_regs(v)[BPF_REG_1], PTR_TO_CTX);
		return 0;
	}
	vlog(v, "Validating %s() func#%d...\n", sub->name, subprog);
	return set_global_args(v, subprog);
}

/* All paths of one function that is entered from outside. */
static int walk_function(struct verifier *v, u32 subprog) {
	struct frame *f;
	int err;
	v->log.line = NULL;
	v->cur = state_new(&v->pool);
	f = v->cur ? frame_new(&v->pool) : NULL;
	if (!f)
		return -ENOMEM;
	v->cur->frames[0] = f;
	v->cur->branches = 1;
	v->cur->first_insn = v->subprogs[subprog].start;
	v->cur->last_insn = (u32)-1;
	v->cur->in_sleepable = v->sleepable;
	f->callsite = -1;
	f->subprog = subprog;
	f->in_exception_callback = subprog && subprog == v->exception_callback;
	reg_set_pointer(&f->regs[BPF_REG_FP], PTR_TO_STACK);
	v->at = v->subprogs[subprog].start;
	v->log.scratched_regs = ~0u;
	v->log.scratched_slots = ~(u64)0;
	err = stack_instance_of(v, v->cur, 0);
	if (!err)
		err = set_arguments(v, subprog);
	if (!err)
		err = walk(v);
	if (!err && !logging2(v))
		log_reset_to(v, 0);
	if (err)
		find_causes(v);
	forget_states(v);
	return err;
}

static int walk_all(struct verifier *v) {
	bool more;
	int err = walk_function(v, 0);
	if (v->exception_callback) /* whoever throws calls it */
		v->subprogs[v->exception_callback].called = true;
	do {
		more = false;
		for (u32 s = 1; s < v->subprogs_n && !err; s++) {
			struct subprog *sub = &v->subprogs[s];
			if (!sub->global || !sub->called || sub->verified)
				continue;
			err = walk_function(v, s);
			if (!err && logging(v))
				vlog(v, "Func#%d ('%s') is safe for any args that match its prototype\n", s, sub->name);
			sub->verified = more = true;
		}
	} while (more && !err);
	return err;
}

/* == The passes == */

static int check_rights(struct verifier *v) {
	const char *need = NULL;
	if (!(v->type->flags & PROG_UNPRIV) && !v->caller.bpf)
		need = "CAP_BPF";
	else if (v->type->flags & PROG_NET_ADMIN && !v->caller.net_admin)
		need = "CAP_NET_ADMIN";
	else if (v->type->flags & PROG_PERFMON && !v->caller.perfmon)
		need = "CAP_PERFMON";
	if (!need)
		return 0;
	say(v, "prog", "%s", v->type->name);
	say(v, "name", "%s", need);
	return refuse_text(v, PERMISSION, -EPERM, "%s", "");
}

static int check_input(struct verifier *v) {
	const struct verify_input *in = v->in;
	u32 limit = in->caps & (VERIFY_BPF | VERIFY_SYS_ADMIN) ? LIMIT_INSNS : UNPRIV_INSNS;
	v->type = abi_prog_type(v->abi, in->prog_type);
	if (!v->type || !in->prog_type || !in->insns_n || in->insns_n > limit) {
		say(v, "value", "%u", in->prog_type);
		say(v, "count", "%u", in->insns_n);
		say(v, "limit", "%u", limit);
		if (!v->type || !in->prog_type)
			return refuse_text(v, UNKNOWN_PROG_TYPE, -EINVAL, "%s", "");
		return !in->insns_n ? refuse_text(v, EMPTY, -E2BIG, "%s", "") : refuse_text(v, TOO_MANY_INSNS, -E2BIG, "%s", "");
	}
	v->ctx = abi_ctx(v->abi, v->type->ctx);
	v->sleepable = in->prog_flags & BPF_F_SLEEPABLE;
	v->strict_alignment = in->prog_flags & BPF_F_STRICT_ALIGNMENT && !(in->prog_flags & BPF_F_ANY_ALIGNMENT);
	v->test_state_freq = in->prog_flags & BPF_F_TEST_STATE_FREQ;
	v->caller = (struct abi_caller){.prog_type = in->prog_type,
	                                .attach_type = in->expected_attach_type,
	                                .bpf = in->caps & (VERIFY_BPF | VERIFY_SYS_ADMIN),
	                                .perfmon = in->caps & (VERIFY_PERFMON | VERIFY_SYS_ADMIN),
	                                .net_admin = in->caps & (VERIFY_NET_ADMIN | VERIFY_SYS_ADMIN),
	                                .sys_admin = in->caps & VERIFY_SYS_ADMIN};
	v->bpf_capable = v->caller.bpf;
	v->allow_ptr_leaks = v->bypass_spec = v->caller.perfmon;
	v->allow_uninit_stack = v->caller.perfmon && (!in->kernel || in->kernel >= KV(6, 3));
	v->limit = in->insns_limit ? in->insns_limit : LIMIT_INSNS;
	v->look = in->time_limit_ns ? MIN(v->limit, (u64)LOOK_EVERY) : v->limit;
	return check_rights(v);
}

static int allocate(struct verifier *v) {
	v->n = v->in->insns_n;
	v->insns = arena_copy(&v->scratch, v->in->insns, sizeof *v->insns * v->n);
	v->aux = arena_array(&v->scratch, struct insn_aux, v->n + 1);
	v->explored = arena_array(&v->scratch, struct explored *, v->n);
	v->ids = arena_array(&v->scratch, struct id_pair, ID_PAIRS);
	return v->insns && v->aux && v->explored && v->ids ? 0 : -ENOMEM;
}

static int passes(struct verifier *v) {
	static int (*const in_order[])(struct verifier *) = {
	    check_input, allocate,     check_subprogs, check_btf_func,  check_btf_line,      resolve_immediates,
	    check_cfg,   check_attach, find_fastcalls, find_loops,      stack_live_init,     find_live_registers,
	    walk_all,    count_stack,  check_max_stack_depth, count_inlined_loops, check_kfuncs_left, check_tail_calls, fixup};
	for (u32 i = 0; i < ARRAY_SIZE(in_order); i++) {
		int err = in_order[i](v);
		if (err)
			return err;
	}
	return 0;
}

static void fill_stats(struct verifier *v) {
	struct verify_stats *s = &v->out->stats;
	s->insns_processed = v->processed;
	s->total_states = v->total_states;
	s->peak_states = v->peak_states;
	s->max_states_per_insn = v->max_states_per_insn;
	s->subprogs_n = v->subprogs_n;
	s->time_ns = now_ns() - v->clock_start;
	s->memory = v->scratch.used;
	for (u32 i = 0; i < v->subprogs_n; i++)
		s->stack_depth[i] = v->depths_known ? v->subprogs[i].depth : v->subprogs[i].stack;
}

static void log_stats(struct verifier *v) {
	if (v->log.level & LOG_STATS) {
		vlog(v, "verification time %llu usec\n", (unsigned long long)v->out->stats.time_ns / 1000);
		vlog(v, "stack depth ");
		for (u32 i = 0; i < v->subprogs_n; i++)
			vlog(v, "%s%d", i ? "+" : "", v->out->stats.stack_depth[i]);
		vlog(v, "\n");
	}
	vlog(v, "processed %d insns (limit %d) max_states_per_insn %d total_states %d peak_states %d mark_read %d\n",
	     (int)v->processed, LIMIT_INSNS, (int)v->max_states_per_insn, (int)v->total_states, (int)v->peak_states, 0);
}

static bool log_attributes_valid(const struct verify_input *in) {
	if (!in->log != !in->log_size)
		return false;
	if (in->log && !in->log_level)
		return false;
	return !(in->log_level & ~(u32)(LOG_LEVEL1 | LOG_LEVEL2 | LOG_STATS | LOG_FIXED)) && in->log_size <= UINT32_MAX >> 2;
}

static int verify_once(const struct verify_input *in, struct arena *arena, struct verify_output *out, bool recording) {
	struct verifier *v;
	struct arena scratch;
	int err, log_err;
	ASSERT(in && arena && out && in->abi);
	__builtin_memset(out, 0, sizeof *out);
	out->diag.insn = -1;
	if (!log_attributes_valid(in))
		return -EINVAL;
	arena_init(&scratch, in->memory_limit ? in->memory_limit : (u64)1 << 30);
	arena_expect(&scratch, SCRATCH_MIN + (u64)SCRATCH_PER_INSN * MIN(in->insns_n, (u32)LIMIT_INSNS));
	v = arena_new(&scratch, struct verifier);
	if (!v)
		return -ENOMEM;
	v->in = in;
	v->out = out;
	v->abi = in->abi;
	v->arena = arena;
	v->scratch = scratch;
	v->pool.arena = &v->scratch;
	v->recording = recording;
	v->clock_start = now_ns();
	log_init(v);
	if (recording)
		oracle_begin(v);
	err = passes(v);
	if (err == -ENOMEM && !out->diag.code) {
		say(v, "limit", "%llu bytes", (unsigned long long)(in->memory_limit ? in->memory_limit : (u64)1 << 30));
		refuse_text(v, MEMORY_LIMIT, err, "%s", "");
	}
	if (err)
		explain_finish(v);
	fill_stats(v);
	log_stats(v);
	log_err = log_finish(v);
	stack_live_free(v);
	vec_free(&v->pending);
	scratch = v->scratch;
	arena_free(&scratch);
	ASSERT(!err == !!out->xlated);
	ASSERT(err || !out->diag.code); /* the kernel refuses some records without a word */
	return err ? err : log_err;
}

/* The oracle's walk: once more, in a way that pruning cannot narrow. */
static void record_states(const struct verify_input *in) {
	struct verify_input again = *in;
	struct verify_output out;
	struct arena arena;
	int err;
	again.log = NULL;
	again.log_size = again.log_level = 0;
	again.insns_limit = ORACLE_INSNS;
	arena_init(&arena, 0);
	err = verify_once(&again, &arena, &out, true);
	if (err)
		oracle_refused(in->oracle, err, &out.diag);
	arena_free(&arena);
}

int verify(const struct verify_input *in, struct arena *arena, struct verify_output *out) {
	int err = verify_once(in, arena, out, false);
	if (!err && unlikely(in->oracle != NULL))
		record_states(in);
	return err;
}
