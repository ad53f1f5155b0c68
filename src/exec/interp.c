/* The interpreter: pre-decoded, direct-threaded code.
 *
 *   xlated ──bind, once for each environment──► ops: one handler address, operands ready ──interp_run──► goto *pc->go
 *
 *      struct iop │ go ──► handler │ imm: constant, function, address │ off, or ops to jump │ dst src │
 *
 * The handlers are expanded from ops.def and sem.h: nothing here says what an instruction computes. ALU rows have four
 * forms: operand immediate or register, and both again fused with a register move before them (clang writes every
 * three-address operation as a move and an operation): r1 = r2; r1 >>= 7 is one dispatch.
 *
 * Binding resolves addresses through the environment, so an image keeps a list of bound forms, one an environment: the
 * list only grows and is read without a lock. An environment must live, at one address, as long as its images.
 *
 * Control. A local call keeps r6…r9 and r10 in a frame record and gives the callee 512 bytes of stack of its own. A
 * callback is a nested exec_ops on the same thread: the value of a function is a struct function. A tail call
 * continues at the other program's ops in the current frame; whoever called this frame gets its result. Metered edges run
 * through a METER op behind the program, so unmetered code pays nothing and meters exactly where the JIT does.
 *
 * Oracle. With interp_env.oracle every op's handler is CHECK, which compares the registers with the verifier's states and
 * then goes to the real handler; nothing is fused then, so each instruction is looked at.
 *
 * Rules for changing. A handler may use pc, r, run and nothing else that lives across ops: the compiler should keep them in
 * registers. New handlers go into ALL_HANDLERS, in any order. Test: test/unit/exec_interp.c and all exec tests. */
#include "exec/interp.h"
#include "abi/dataplane.h"
#include "abi/uapi.h"
#include "exec/jit/jit.h"
#include "isa/sem.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct iop {
	const void *go;
	u64 imm;
	s32 off; /* of memory; or how many ops to jump */
	u8 dst, src;
	u16 handler;
};
STATIC_ASSERT(sizeof(struct iop) == 24, "three words an operation");

/* The value of a function names its op and, for the oracle, its program. */
struct function {
	const struct bound *bound;
	const struct iop *op;
};

struct bound {
	struct bound *next;
	const struct interp_env *env;
	const struct image *image;
	u32 *check_of; /* by op: the instruction as loaded that begins here, or NO_CHECK; only with an oracle */
	struct function *functions; /* by subprogram: what a callback's value points to; behind the ops */
	struct iop ops[];
};

/* A local call's way back. */
struct iframe {
	const struct iop *ret;
	u64 saved[4]; /* r6 … r9 */
	u64 may_goto;
	const struct bound *bound; /* of the caller */
};

enum { MAX_LOOPS = 8 << 20, FRAME_BYTES = 512, PROBE_SIGNED = 16, NO_CHECK = 0xffffffff,
       ORACLE_FILL = 0xa5 /* what the oracle puts where nothing is known */ };

#define HANDLERS_OF_ALU(name) H(name##_K) H(name##_X) H(name##_MK) H(name##_MX)
#define SPECIAL_HANDLERS                                                                                               \
	H(JA) H(MAY_GOTO) H(HELPER) H(HELPER_ABORT) H(CPU) H(LOCAL) H(TAIL) H(EXIT) H(METER) H(PROBE) H(CHECK) H(BARRIER)

enum handler {
#define H(name) H_##name,
#define ROW_ALU(name, ...) HANDLERS_OF_ALU(name)
#define ROW_UNARY(name, ...) H(name)
#define ROW_JCC(name, ...) H(name##_K) H(name##_X)
#define ROW_LOAD(name, ...) H(name)
#define ROW_STORE ROW_LOAD
#define ROW_ATOMIC ROW_LOAD
#include "isa/ops.def"
	SPECIAL_HANDLERS HANDLERS
#undef H
};

typedef u64 helper_fn(u64, u64, u64, u64, u64, struct skep_run *);

static u64 interp_callback(struct skep_run *run, u64 fn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);
static const struct bound *bind(const struct image *image, const struct interp_env *env);

/* Loads what may be absent through the helper that reads kernel memory; absent memory reads as 0. */
static u64 probe_load(const struct iop *pc, u64 at, struct skep_run *run) {
	u64 v = 0;
	u32 size = pc->src >> 4, shift = 64 - 8 * size;
	((helper_fn *)pc->imm)((u64)&v, size, at, 0, 0, run);
	v <<= shift;
	return pc->dst & PROBE_SIGNED ? (u64)((s64)v >> shift) : v >> shift;
}

/* Nothing behind it is executed, speculatively either, before all that is in front of it. */
static inline void speculation_barrier(void) {
#ifdef __x86_64__
	__asm__ volatile("lfence" ::: "memory");
#else
	__asm__ volatile("dsb sy\n\tisb" ::: "memory");
#endif
}

#define NEXT goto *(++pc)->go
#define GOTO(n)                                                                                                        \
	do {                                                                                                           \
		pc += (n);                                                                                             \
		goto *pc->go;                                                                                          \
	} while (0)
#define AT(reg) ((void *)(r[pc->reg] + (u64)(s64)pc->off))

/* Runs until the frame that entered is left. With table set it only gives the addresses of the handlers. */
static u64 exec_ops(const struct bound *b, const struct iop *pc, u64 *r, struct skep_run *run, const void *const **table) {
	static const void *const handlers[HANDLERS] = {
#define H(name) [H_##name] = &&L_##name,
#define ROW_ALU(name, ...) HANDLERS_OF_ALU(name)
#define ROW_UNARY(name, ...) H(name)
#define ROW_JCC(name, ...) H(name##_K) H(name##_X)
#define ROW_LOAD(name, ...) H(name)
#define ROW_STORE ROW_LOAD
#define ROW_ATOMIC ROW_LOAD
#include "isa/ops.def"
		SPECIAL_HANDLERS
#undef H
	};
	if (unlikely(table)) {
		*table = handlers;
		return 0;
	}
	_Alignas(16) u8 stack[RUN_STACK_FRAMES_MAX * FRAME_BYTES];
	struct iframe frames[RUN_STACK_FRAMES_MAX];
	u32 depth = 0;
	struct oracle_run *oracle = run->engine; /* NULL without an oracle */
	bool called = false;                     /* the oracle's: a helper has run, r1 to r5 are anybody's */
	frames[0].may_goto = MAX_LOOPS;
	r[10] = (u64)(stack + FRAME_BYTES);
	if (unlikely(oracle)) {
		oracle_enter(oracle, b->image, b->env, r[10]);
		memset(stack, ORACLE_FILL, sizeof stack);
	}
	goto *pc->go;

#define ROW_ALU(name, ...)                                                                                             \
	L_##name##_K : r[pc->dst] = sem_##name(r[pc->dst], pc->imm);                                                   \
	NEXT;                                                                                                          \
	L_##name##_X : r[pc->dst] = sem_##name(r[pc->dst], r[pc->src]);                                                \
	NEXT;                                                                                                          \
	L_##name##_MK : r[pc->dst] = sem_##name(r[pc->src], pc->imm);                                                  \
	NEXT;                                                                                                          \
	L_##name##_MX : r[pc->dst] = sem_##name(r[pc->src], r[pc->off]);                                               \
	NEXT;
#define ROW_UNARY(name, ...)                                                                                           \
	L_##name : r[pc->dst] = sem_##name(r[pc->dst], r[pc->src]);                                                    \
	NEXT;
#define ROW_JCC(name, ...)                                                                                             \
	L_##name##_K : if (sem_##name(r[pc->dst], pc->imm)) GOTO(pc->off);                                             \
	NEXT;                                                                                                          \
	L_##name##_X : if (sem_##name(r[pc->dst], r[pc->src])) GOTO(pc->off);                                          \
	NEXT;
#define ROW_LOAD(name, ...)                                                                                            \
	L_##name : r[pc->dst] = sem_##name(AT(src));                                                                   \
	NEXT;
#define VALUE_STORE r[pc->src]
#define VALUE_STORE_IMM pc->imm
#define ROW_STORE(name, code, sel, group, cpu, operands, text)                                                         \
	L_##name : sem_##name(AT(dst), VALUE_##operands);                                                              \
	NEXT;
#define RESULT_STORE(old) (void)(old)
#define RESULT_FETCH(old) r[pc->src] = (old)
#define RESULT_FETCH0(old) r[0] = (old)
#define ROW_ATOMIC(name, code, sel, group, cpu, operands, text)                                                        \
	L_##name : RESULT_##operands(sem_##name(AT(dst), r[pc->src], r[0]));                                           \
	NEXT;
#include "isa/ops.def"

L_JA:
	GOTO(pc->off);
L_MAY_GOTO:
	if (!frames[depth].may_goto)
		GOTO(pc->off);
	frames[depth].may_goto--;
	NEXT;
L_HELPER:
	r[0] = ((helper_fn *)pc->imm)(r[1], r[2], r[3], r[4], r[5], run);
	NEXT;
L_HELPER_ABORT:
	r[0] = ((helper_fn *)pc->imm)(r[1], r[2], r[3], r[4], r[5], run);
	if (unlikely(run->status))
		return 0;
	NEXT;
L_CPU:
	r[0] = run->cpu;
	NEXT;
L_LOCAL:
	if (unlikely(depth + 1 >= RUN_STACK_FRAMES_MAX)) {
		run->status = RUN_FAULT;
		return 0;
	}
	frames[++depth].ret = pc + 1;
	memcpy(frames[depth].saved, &r[6], sizeof frames[depth].saved);
	frames[depth].may_goto = MAX_LOOPS;
	frames[depth].bound = b;
	r[10] += FRAME_BYTES;
	if (unlikely(oracle)) {
		oracle_enter(oracle, b->image, b->env, r[10]);
		memset((void *)(r[10] - FRAME_BYTES), ORACLE_FILL, FRAME_BYTES);
	}
	GOTO(pc->off);
L_TAIL: {
	const struct interp_program *program = NULL;
	if (run->tail_calls < RUN_TAIL_CALLS_MAX && !(pc->dst && r[3] >> 32))
		program = (void *)((helper_fn *)pc->imm)(r[1], r[2], (u32)r[3], 0, 0, run);
	const struct bound *other = program ? bind(program->image, program->env) : NULL;
	if (!other) {
		r[0] = (u64)-ENOENT;
		NEXT;
	}
	run->tail_calls++;
	if (unlikely(pc->dst))
		speculation_barrier();
	frames[depth].may_goto = MAX_LOOPS;
	b = other, pc = b->ops;
	if (unlikely(oracle)) {
		oracle_leave(oracle);
		oracle_enter(oracle, b->image, b->env, r[10]);
		called = false; /* r1 is the context again */
	}
	goto *pc->go;
}
L_BARRIER:
	speculation_barrier();
	NEXT;
L_METER:
	run->budget -= (s64)pc->imm;
	if (unlikely(run->budget < 0)) {
		run->status = RUN_BUDGET;
		return 0;
	}
	GOTO(pc->off);
L_PROBE:
	r[pc->dst & 15] = probe_load(pc, r[pc->src & 15] + (u64)(s64)pc->off, run);
	NEXT;
L_CHECK:
	if (called)
		memset(&r[1], ORACLE_FILL, 5 * sizeof r[0]);
	called = pc->handler == H_HELPER || pc->handler == H_HELPER_ABORT || pc->handler == H_CPU || pc->handler == H_TAIL ||
	         pc->handler == H_EXIT;
	if (b->check_of[pc - b->ops] != NO_CHECK && !oracle_look(oracle, b->check_of[pc - b->ops], r, run))
		return 0;
	goto *handlers[pc->handler];
L_EXIT:
	if (!depth)
		return r[0];
	memcpy(&r[6], frames[depth].saved, sizeof frames[depth].saved);
	r[10] -= FRAME_BYTES;
	pc = frames[depth].ret, b = frames[depth].bound;
	depth--;
	if (unlikely(oracle))
		oracle_leave(oracle);
	goto *pc->go;
}

/* A run's outermost frame, or a callback's. */
static u64 enter(const struct bound *b, const struct iop *op, u64 *r, struct skep_run *run) {
	struct oracle_run *oracle = run->engine;
	u32 frames = oracle ? oracle->where.frames : 0;
	if (unlikely(oracle && frames >= RUN_STACK_FRAMES_MAX)) {
		run->status = RUN_FAULT;
		return 0;
	}
	u64 r0 = exec_ops(b, op, r, run, NULL);
	if (oracle)
		oracle->where.frames = frames;
	return r0;
}

static u64 interp_callback(struct skep_run *run, u64 fn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
	const struct function *f = (const struct function *)fn;
	u64 r[JREGS] = {0, r1, r2, r3, r4, r5};
	ASSERT(f && f->op);
	return enter(f->bound, f->op, r, run);
}

u64 interp_run(const struct image *image, const struct interp_env *env, void *ctx, struct skep_run *run) {
	u64 r[JREGS] = {0, (u64)ctx};
	const struct bound *b = bind(image, env);
	struct oracle_run oracle;
	if (!b) {
		run->status = RUN_FAULT;
		return 0;
	}
	run_callback_fn *callback = run->callback;
	void *engine = run->engine;
	run->callback = interp_callback, run->engine = NULL;
	if (env->oracle) {
		oracle_run_init(&oracle, ctx);
		run->engine = &oracle;
	}
	u64 r0 = enter(b, b->ops, r, run);
	run->callback = callback, run->engine = engine;
	return r0;
}

/* ---- binding ---- */

struct binder {
	const struct image *image;
	const struct interp_env *env;
	struct bound *b;
	u32 n, meters;     /* ops; metering ops behind them */
	u32 *op_of;        /* by instruction: its op */
	u8 *leader;        /* by instruction: somebody jumps to it */
};

static bool insn_jumps(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}
static s64 insn_target(const struct bpf_insn *insn, u32 i) {
	bool by_imm = insn->code == (BPF_JMP32 | BPF_JA) || insn_is_pseudo_call(insn) || insn_is_pseudo_func(insn);
	return (s64)i + 1 + (by_imm ? insn->imm : insn->off);
}
static bool metered(const struct binder *k, u32 i) {
	return k->image->flags & IMAGE_METERED && k->image->xlated->facts[i].back_edge;
}
static u64 resolve(const struct binder *k, u16 kind, u16 index, u64 addend) {
	return k->env->resolve(k->env->owner, kind, index, addend);
}

/* Handler of an ALU row in one of its four forms, or of a JCC row in one of its two. */
static u16 handler_of(enum bpf_op op, u32 form) {
	switch (op) {
#define ROW_ALU(name, ...)                                                                                             \
	case OP_##name:                                                                                                \
		return (u16)(H_##name##_K + form);
#define ROW_JCC ROW_ALU
#define ROW_UNARY(name, ...)                                                                                           \
	case OP_##name:                                                                                                \
		return H_##name;
#define ROW_LOAD ROW_UNARY
#define ROW_STORE ROW_UNARY
#define ROW_ATOMIC ROW_UNARY
#include "isa/ops.def"
	default:
		return HANDLERS;
	}
}

static bool is_arena_or_packet(enum bpf_op op) {
	return op == OP_ADDR_SPACE_CAST || op_rows[op].shape == SHAPE_PACKET || op == OP_CALLX || op == OP_CALL_KFUNC ||
	       op == OP_LDDW_BTF_ID;
}

/* A move of a register that the next instruction modifies at once: the pair becomes one op. */
static bool fusable(const struct binder *k, u32 i) {
	const struct xlated *x = k->image->xlated;
	const struct bpf_insn *a = &x->insns[i], *b = a + 1;
	if (k->env->oracle || i + 1 >= x->n || k->leader[i + 1] || b->dst_reg != a->dst_reg)
		return false;
	bool wide = a->code == (BPF_ALU64 | BPF_MOV | BPF_X), narrow = a->code == (BPF_ALU | BPF_MOV | BPF_X);
	if (k->image->xlated->facts[i].nospec_result || k->image->xlated->facts[i + 1].nospec)
		return false;
	if (a->off || !(wide || (narrow && BPF_CLASS(b->code) == BPF_ALU)))
		return false;
	return op_rows[insn_decode(b)].shape == SHAPE_ALU && BPF_OP(b->code) != BPF_MOV;
}

static void bind_call(struct binder *k, struct iop *op, const struct bpf_insn *insn, u32 i) {
	const struct insn_facts *facts = &k->image->xlated->facts[i];
	if (insn->imm == BPF_FUNC_tail_call) {
		op->handler = H_TAIL;
		op->dst = facts->nospec_result;
		op->imm = resolve(k, RELOC_DP, DP_helper_tail_call, 0);
	} else if (insn->imm == BPF_FUNC_get_smp_processor_id) {
		op->handler = H_CPU;
	} else {
		op->handler = facts->may_abort || facts->callback || facts->back_edge ? H_HELPER_ABORT : H_HELPER;
		op->imm = resolve(k, RELOC_DP, (u16)dp_of_call(k->image->xlated, i), 0);
	}
}

/* The value of the function that starts there. A metered one pays for its instructions first. */
static u64 bind_function(struct binder *k, u32 start) {
	const struct xlated *x = k->image->xlated;
	u32 s = 0, at = k->op_of[start];
	while (s + 1 < x->subprogs_n && x->subprogs[s].start != start)
		s++;
	if (k->image->flags & IMAGE_METERED) {
		at = k->n + k->meters++;
		k->b->ops[at] = (struct iop){.handler = H_METER, .imm = x->subprogs[s].end - start,
		                             .off = (s32)k->op_of[start] - (s32)at};
	}
	ASSERT(s < x->subprogs_n && x->subprogs[s].start == start);
	k->b->functions[s] = (struct function){k->b, k->b->ops + at};
	return (u64)&k->b->functions[s];
}

static void bind_ldimm64(struct binder *k, struct iop *op, const struct bpf_insn *insn, u32 i) {
	op->handler = H_MOV64_K;
	switch (insn->src_reg) {
	case 0:
		op->imm = insn_imm64(insn);
		break;
	case BPF_PSEUDO_FUNC:
		op->imm = bind_function(k, (u32)insn_target(insn, i));
		break;
	case BPF_PSEUDO_MAP_VALUE:
	case BPF_PSEUDO_MAP_IDX_VALUE:
		op->imm = resolve(k, RELOC_MAP_VALUE, (u16)insn->imm, (u32)insn[1].imm);
		break;
	default:
		op->imm = resolve(k, RELOC_MAP, (u16)insn->imm, 0);
	}
}

/* Where op `at` must jump to reach instruction t: an op, or the meter in front of it. */
static s32 bind_target(struct binder *k, u32 at, s64 t, u32 i) {
	s32 direct = (s32)k->op_of[t] - (s32)at;
	if (!metered(k, i))
		return direct;
	u32 m = k->n + k->meters++;
	k->b->ops[m] = (struct iop){.handler = H_METER, .imm = meter_cost(k->image->xlated, i),
	                            .off = (s32)k->op_of[t] - (s32)m};
	return (s32)m - (s32)at;
}

static void bind_probe(struct binder *k, struct iop *op, const struct bpf_insn *insn) {
	op->handler = H_PROBE;
	op->src = (u8)(insn->src_reg | insn_size_bytes(insn->code) << 4);
	if (BPF_MODE(insn->code) == BPF_MEMSX)
		op->dst |= PROBE_SIGNED;
	op->imm = resolve(k, RELOC_DP, DP_helper_probe_read_kernel, 0);
}

/* Fills the op at index `at` for instruction i. */
static void bind_insn(struct binder *k, u32 at, u32 i) {
	const struct bpf_insn *insn = &k->image->xlated->insns[i];
	struct iop *op = &k->b->ops[at];
	enum bpf_op row = insn_decode(insn);
	bool reg = insn_reg_form(insn);
	*op = (struct iop){.dst = insn->dst_reg, .src = insn->src_reg, .off = insn->off, .imm = (u64)(s64)insn->imm};
	switch (op_rows[row].shape) {
	case SHAPE_ALU:
		if (fusable(k, i)) {
			const struct bpf_insn *b = insn + 1;
			op->imm = (u64)(s64)b->imm;
			op->off = b->src_reg == insn->dst_reg ? insn->src_reg : b->src_reg;
			op->handler = handler_of(insn_decode(b), 2 + insn_reg_form(b));
			break;
		}
		op->handler = handler_of(row, reg);
		break;
	case SHAPE_JCC:
		op->handler = handler_of(row, reg);
		op->off = bind_target(k, at, insn_target(insn, i), i);
		break;
	case SHAPE_JUMP:
		op->handler = row == OP_MAY_GOTO ? H_MAY_GOTO : H_JA;
		op->off = bind_target(k, at, insn_target(insn, i), i);
		break;
	case SHAPE_CALL:
		if (row == OP_CALL_LOCAL)
			op->handler = H_LOCAL, op->off = (s32)k->op_of[insn_target(insn, i)] - (s32)at;
		else
			bind_call(k, op, insn, i);
		break;
	case SHAPE_EXIT:
		op->handler = H_EXIT;
		break;
	case SHAPE_LDDW:
		bind_ldimm64(k, op, insn, i);
		break;
	case SHAPE_LOAD:
		if (k->image->xlated->facts[i].probe) {
			bind_probe(k, op, insn);
			break;
		}
		/* fallthrough */
	default:
		op->handler = handler_of(row, 0);
	}
	ASSERT(op->handler < HANDLERS);
}

/* The last instruction that shares the op of i. */
static u32 last_of(const struct binder *k, u32 i) {
	return i + (insn_is_ldimm64(&k->image->xlated->insns[i]) || fusable(k, i));
}

/* Numbers the ops. Returns how many, metering ops included. */
static u32 number_ops(struct binder *k) {
	const struct xlated *x = k->image->xlated;
	u32 n = 0, meters = 0;
	for (u32 i = 0; i < x->n; i++) {
		const struct bpf_insn *insn = &x->insns[i];
		k->op_of[i] = n;
		if (insn_is_pseudo_call(insn) && k->image->flags & IMAGE_METERED)
			n++; /* a METER in front of the call */
		n += x->facts[i].nospec + x->facts[last_of(k, i)].nospec_result;
		meters += insn_jumps(insn) && metered(k, i);
		meters += insn_is_pseudo_func(insn) && k->image->flags & IMAGE_METERED;
		if (insn_is_ldimm64(insn) || fusable(k, i))
			k->op_of[++i] = n;
		n++;
	}
	k->n = n;
	return n + meters;
}

static void mark_leaders(struct binder *k) {
	const struct xlated *x = k->image->xlated;
	for (u32 i = 0; i < x->n; i++) {
		const struct bpf_insn *insn = &x->insns[i];
		if (insn_jumps(insn) || insn_is_pseudo_call(insn) || insn_is_pseudo_func(insn))
			k->leader[insn_target(insn, i)] = 1;
		i += insn_is_ldimm64(insn);
	}
}

static void fill_ops(struct binder *k) {
	const struct xlated *x = k->image->xlated;
	const void *const *handlers;
	exec_ops(NULL, NULL, NULL, NULL, &handlers);
	for (u32 i = 0; i < x->n; i++) {
		u32 at = k->op_of[i], first = i;
		if (x->facts[i].nospec)
			k->b->ops[at++] = (struct iop){.handler = H_BARRIER};
		if (insn_is_pseudo_call(&x->insns[i]) && k->image->flags & IMAGE_METERED)
			k->b->ops[at++] = (struct iop){.handler = H_METER, .imm = meter_cost(x, i), .off = 1};
		bind_insn(k, at, i);
		i = last_of(k, i);
		if (x->facts[i].nospec_result)
			k->b->ops[at + 1] = (struct iop){.handler = H_BARRIER};
		if (k->b->check_of && (!first || x->facts[first].orig != x->facts[first - 1].orig))
			k->b->check_of[at] = x->facts[first].orig;
	}
	for (u32 i = 0; i < k->n + k->meters; i++) {
		struct iop *op = &k->b->ops[i];
		s64 to = (s64)i + op->off;
		bool jumps = op->handler == H_JA || op->handler == H_METER || op->handler == H_LOCAL;
		ASSERT(!jumps || (to >= 0 && to < k->n + k->meters));
		op->go = handlers[k->env->oracle && op->handler != H_METER && op->handler != H_BARRIER ? H_CHECK : op->handler];
	}
}

static struct bound *make_bound(const struct image *image, const struct interp_env *env) {
	const struct xlated *x = image->xlated;
	struct binder k = {.image = image, .env = env};
	k.op_of = malloc(x->n * sizeof *k.op_of);
	k.leader = calloc(x->n, 1);
	if (k.op_of && k.leader) {
		mark_leaders(&k);
		u32 ops = number_ops(&k);
		u32 *check_of = env->oracle ? malloc(ops * sizeof *check_of) : NULL;
		k.b = malloc(sizeof *k.b + ops * sizeof k.b->ops[0] + x->subprogs_n * sizeof(struct function));
		if (!k.b || (env->oracle && !check_of)) {
			free(check_of);
			free(k.b);
			k.b = NULL;
		} else {
			*k.b = (struct bound){.env = env, .image = image, .functions = (void *)(k.b->ops + ops)};
			k.b->check_of = check_of;
			if (check_of)
				memset(check_of, 0xff, ops * sizeof *check_of);
			fill_ops(&k);
			ASSERT(k.n + k.meters == ops);
		}
	}
	free(k.op_of);
	free(k.leader);
	return k.b;
}

/* The bound form for env, made at its first run. */
static const struct bound *bind(const struct image *image, const struct interp_env *env) {
	struct bound **list = image->decoded, *head = load_acquire(list);
	ASSERT(env->resolve && list);
	for (struct bound *b = head; b; b = b->next)
		if (b->env == env)
			return b;
	struct bound *b = make_bound(image, env);
	if (!b)
		return NULL;
	do
		b->next = head;
	while (!__atomic_compare_exchange_n(list, &head, b, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE));
	return b;
}

/* Only looks whether every instruction can be bound later: everything here is known without an environment. */
int interp_decode(struct image *image) {
	const struct xlated *x = image->xlated;
	u8 *start = calloc(x->n, 1);
	if (!start)
		return -ENOMEM;
	int r = 0;
	for (u32 i = 0; i < x->n; i++) {
		start[i] = 1;
		i += insn_is_ldimm64(&x->insns[i]);
	}
	for (u32 i = 0; i < x->n && !r; i++) {
		const struct bpf_insn *insn = &x->insns[i];
		enum bpf_op row = insn_decode(insn);
		bool jumps = insn_jumps(insn) || insn_is_pseudo_call(insn) || insn_is_pseudo_func(insn);
		s64 t = jumps ? insn_target(insn, i) : 0;
		bool map = row == OP_LDDW_MAP_FD || row == OP_LDDW_MAP_VALUE || row == OP_LDDW_MAP_IDX ||
		           row == OP_LDDW_MAP_IDX_VALUE;
		if (row == OP_BAD || t < 0 || t >= x->n || !start[t] || (map && (u32)insn->imm >= x->maps_n))
			r = -EINVAL;
		else if (is_arena_or_packet(row))
			r = -EOPNOTSUPP;
		else if (row == OP_CALL_HELPER && dp_of_call(x, i) < 0)
			r = -EOPNOTSUPP;
		if (insn_is_ldimm64(insn) && ++i >= x->n)
			r = -EINVAL;
	}
	free(start);
	image->decoded = calloc(1, sizeof(struct bound *));
	return r ? r : image->decoded ? 0 : -ENOMEM;
}

void interp_free(struct image *image) {
	struct bound **list = image->decoded;
	for (struct bound *b = list ? *list : NULL, *next; b; b = next) {
		next = b->next;
		free(b->check_of);
		free(b);
	}
	free(list);
}
