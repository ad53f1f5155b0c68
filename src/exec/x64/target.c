/* x86-64: registers, frames, calls.
 *
 *   BPF       r0   r1   r2   r3   r4   r5   r6   r7   r8   r9   r10
 *   machine   rax  rdi  rsi  rdx  rcx  r8   rbx  r13  r14  r15  rsp + frame
 *   r12       struct skep_run *, in every frame of a run        r9   the same, as sixth argument of helpers
 *   r10, r11  scratch; r9 too between calls
 *
 * The arguments of a helper are where the C convention wants them. The frame pointer is not a register: rsp does not
 * move inside a function, so [r10+off] is [rsp+frame+off], and rbp is free. Stack slots that became registers live in
 * rbp, in the homes of BPF registers that the function never mentions, and in leaf functions in r9 and (when nobody
 * needs the run) r12.
 *
 *     C entry ─► main ──call──► subprogram            both have the frame below; r12 passes through
 *     helper ──C call──► callback entry ──call──► subprogram: the entry puts the sixth argument into r12
 *
 *     ┌─────────────────┐ ◄ entry: rsp = 16n + 8
 *     │ return address  │
 *     │ saved registers │   only those that this function changes
 *     │ BPF stack       │ ◄ r10 = rsp + frame
 *     │ extra           │   spilled context of a tail call, registers around a probing load, may_goto counter
 *     └─────────────────┘ ◄ rsp: 16 bytes aligned where the function calls something
 *
 * A tail call undoes the frame and jumps to the other program's entry with (ctx, run) in rdi, rsi: entering and tail
 * entering are the same. Abort leaves every frame by an ordinary return; callers test the status where it may be set. */
#include "exec/x64/x64.h"
#include "abi/run.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const u8 homes[JREG_FP + 1] = {RAX, RDI, RSI, RDX, RCX, R8, RBX, R13, R14, R15, RSP};
static const u8 callee_saved[] = {RBX, RBP, R12, R13, R14, R15};
enum { MAX_LOOPS = 8 << 20 /* iterations of a may_goto loop in one frame, as in the kernel */ };

/* Asked once: in a virtual machine cpuid leaves the guest, and takes ten times as long as compiling a small program. The
 * answer is a constant of the machine, so it does not matter who of several threads stores it. */
static u32 features(void) {
	enum { ASKED = 1u << 31 };
	static u32 answer;
	u32 f = READ_ONCE(answer);
	if (likely(f & ASKED))
		return f & ~ASKED;
	f = 0;
#if defined(__x86_64__)
	u32 a, b, c, d;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_BMI2)
		f |= X64_BMI2;
	if (__get_cpuid(1, &a, &b, &c, &d) && c & bit_MOVBE)
		f |= X64_MOVBE;
#endif
	WRITE_ONCE(answer, f | ASKED);
	return f;
}

/* Machine registers that can hold slots, best first. */
static u32 spare(const struct jit *j, u8 *out) {
	const struct jfunc *f = &j->f;
	u32 n = 0;
	bool leaf = !f->calls_helper && !f->calls_local && !f->tail_calls;
	if (leaf && !f->fetch_loops)
		out[n++] = R9;
	for (u32 r = 1; r <= 5; r++)
		if (leaf && !(f->regs & 1 << r) && !(f->is_entry && r <= 2))
			out[n++] = homes[r];
	out[n++] = RBP;
	for (u32 r = 6; r <= 9; r++)
		if (!(f->regs & 1 << r))
			out[n++] = homes[r];
	if (!f->uses_run && leaf)
		out[n++] = R12;
	return n;
}

static u32 slots(const struct jit *j) {
	u8 out[16];
	return MIN(spare(j, out), (u32)SLOTS_MAX);
}

static void choose_homes(struct jit *j) {
	u8 free_regs[16];
	u32 n = spare(j, free_regs);
	u16 used = 0;
	ASSERT(j->f.slots <= n);
	for (u32 r = 0; r <= JREG_FP; r++)
		j->home[r] = homes[r];
	for (u32 s = 0; s < SLOTS_MAX; s++)
		j->home[JREG_SLOT + s] = s < j->f.slots ? free_regs[s] : (u8)X64_NOREG;
	for (u32 r = 0; r < JREGS; r++) {
		if (r == JREG_FP || !(j->f.regs & 1 << r))
			continue;
		ASSERT(j->home[r] != X64_NOREG && !(used & 1 << j->home[r])); /* one home, one tenant */
		used |= 1 << j->home[r];
	}
	ASSERT(!(used & (1 << X64_SCRATCH | 1 << X64_SCRATCH2 | 1 << RSP)));
	ASSERT(!j->f.uses_run || !(used & 1 << X64_RUN));
	if (j->f.is_entry && j->f.uses_run)
		used |= 1 << X64_RUN;
	j->saved = 0;
	for (u32 i = 0; i < ARRAY_SIZE(callee_saved); i++)
		j->saved |= used & 1 << callee_saved[i];
}

static void begin(struct jit *j) {
	const struct jfunc *f = &j->f;
	u8 *p = code_begin(&j->code);
	u32 pushed = 0;
	j->aborts = j->exhausts = false;
	choose_homes(j);
	for (u32 r = 0; r < 16; r++)
		if (j->saved & 1 << r)
			E(push, r), pushed++;
	u32 extra = (f->tail_calls ? 8 : 0) + (f->probes ? 64 : 0) + (f->may_goto ? 8 : 0);
	j->frame = (u32)round_up(f->stack + extra, 8);
	if ((f->calls_helper || f->calls_local || f->tail_calls) && (8 + 8 * pushed + j->frame) % 16)
		j->frame += 8;
	ASSERT(j->frame <= 512 + 96);
	ASSERT(!f->calls_helper || (8 + 8 * pushed + j->frame) % 16 == 0);
	if (f->is_entry && f->uses_run)
		E(mov_rr, true, X64_RUN, RSI);
	if (j->frame)
		E(alu_ri, true, X64_SUB, RSP, (s32)j->frame);
	if (f->may_goto)
		E(store_imm, X64_MEM(RSP, extra - 8), MAX_LOOPS, 8);
	code_end(&j->code, p);
}

/* Undoes the frame: rsp points to the return address, all saved registers are restored. */
void x64_leave_frame(struct jit *j) {
	u8 *p = code_begin(&j->code);
	if (j->frame)
		E(alu_ri, true, X64_ADD, RSP, (s32)j->frame);
	for (u32 r = 16; r-- > 0;)
		if (j->saved & 1 << r)
			E(pop, r);
	code_end(&j->code, p);
}

void x64_epilogue(struct jit *j) {
	x64_leave_frame(j);
	u8 *p = code_begin(&j->code);
	E(ret);
	code_end(&j->code, p);
}

static struct x64_mem run_field(u32 off) {
	return X64_MEM(X64_RUN, (s32)off);
}
#define RUN(field) run_field(offsetof(struct skep_run, field))

static void end(struct jit *j) {
	bool aborts = j->aborts, exhausts = j->exhausts;
	u8 *p = code_begin(&j->code);
	BIND(x64_budget_label(j));
	if (exhausts)
		E(store_imm, RUN(status), RUN_BUDGET, 4);
	BIND(x64_abort_label(j));
	if (aborts || exhausts)
		E(zero, RAX);
	code_end(&j->code, p);
	if (aborts || exhausts)
		x64_epilogue(j);
}

/* What a helper is given as a callback: a C function (r1 … r5, run). */
static void callback_entry(struct jit *j, u32 subprog) {
	const struct xlated_subprog *s = &j->x->subprogs[subprog];
	u8 *p = code_begin(&j->code);
	BIND(j->sub_labels + 2 * subprog + 1);
	if (!s->is_callback) {
		code_end(&j->code, p);
		return;
	}
	u32 leave = code_labels(&j->code, 1), run = code_labels(&j->code, 1);
	E(push, X64_RUN);
	E(mov_rr, true, X64_RUN, R9);
	if (j->flags & IMAGE_METERED) {
		E(alu_mi, 8, X64_SUB, RUN(budget), (s32)(s->end - s->start));
		FIX(FIX_JCC, CC_NS, run);
		E(store_imm, RUN(status), RUN_BUDGET, 4);
		E(zero, RAX);
		FIX(FIX_JMP, 0, leave);
	}
	BIND(run);
	FIX(FIX_CALL, 0, j->sub_labels + 2 * subprog);
	BIND(leave);
	E(pop, X64_RUN);
	E(ret);
	code_end(&j->code, p);
}

static u8 *call_symbol(struct jit *j, u8 *p, u16 symbol) {
	E(mov_rr, true, R9, X64_RUN);
	FIX(FIX_CALL_FAR, 0, code_literal(&j->code, RELOC_DP, symbol));
	return p;
}

/* The context is kept over the call that finds the program; a failing tail call goes on with r0 = -ENOENT. */
static u8 *lower_tail(struct jit *j, u8 *p, u32 insn) {
	u32 fail = code_labels(&j->code, 1);
	E(alu_mi, 4, X64_CMP, RUN(tail_calls), RUN_TAIL_CALLS_MAX);
	FIX(FIX_JCC, CC_AE, fail);
	E(store, X64_MEM(RSP, 0), RDI, 8);
	if (j->x->facts[insn].nospec_result) {
		E(mov_rr, false, RCX, RDX);
		E(alu_rr, true, X64_CMP, RCX, RDX);
		FIX(FIX_JCC, CC_NE, fail);
	}
	E(mov_rr, false, RDX, RDX); /* the index is 32 bits */
	p = call_symbol(j, p, DP_helper_tail_call);
	E(test_rr, true, RAX, RAX);
	FIX(FIX_JCC, CC_E, fail);
	E(alu_mi, 4, X64_ADD, RUN(tail_calls), 1);
	E(load, RDI, X64_MEM(RSP, 0), 8);
	E(mov_rr, true, RSI, X64_RUN);
	code_end(&j->code, p);
	x64_leave_frame(j);
	p = code_begin(&j->code);
	if (j->x->facts[insn].nospec_result) /* the index was checked with a jump */
		E(lfence);
	E(jmp_r, RAX);
	BIND(fail);
	E(mov_ri, RAX, (u64)-2 /* ENOENT */);
	return p;
}

static u8 *lower_meter(struct jit *j, u8 *p, u32 cost) {
	E(alu_mi, 8, X64_SUB, RUN(budget), (s32)MIN(cost, (u32)INT32_MAX));
	FIX(FIX_JCC, CC_S, x64_budget_label(j));
	return p;
}

void x64_lower_call(struct jit *j, const struct jop *op) {
	u8 *p = code_begin(&j->code);
	switch (op->code) {
	case J_BARRIER:
		E(lfence);
		break;
	case J_METER:
		p = lower_meter(j, p, (u32)op->imm);
		break;
	case J_MAY_GOTO: {
		s32 counter = (j->f.tail_calls ? 8 : 0) + (j->f.probes ? 64 : 0);
		E(alu_mi, 8, X64_SUB, X64_MEM(RSP, counter), 1);
		FIX(FIX_JCC, CC_S, j->f.first_label + op->target);
		break;
	}
	case J_CPU:
		E(load, RAX, RUN(cpu), 4);
		break;
	case J_TAIL:
		p = lower_tail(j, p, op->insn);
		break;
	case J_LOCAL:
		FIX(FIX_CALL, 0, j->sub_labels + 2 * (u32)op->imm);
		break;
	case J_CALL:
		p = call_symbol(j, p, (u16)op->disp);
		break;
	default:
		ASSERT(!"an operation of calls");
	}
	if (op->flags & JF_ABORT && (op->code == J_CALL || op->code == J_LOCAL)) {
		E(alu_mi, 4, X64_CMP, RUN(status), RUN_OK);
		FIX(FIX_JCC, CC_NE, x64_abort_label(j));
	}
	code_end(&j->code, p);
}

/* ---- fixups ---- */

static void write_fixup(u8 *p, const struct fixup *f, s64 rel) {
	ASSERT(rel == (s32)rel);
	switch (f->kind) {
	case FIX_JMP:
		f->size == 2 ? x64_jmp8(p, (s32)rel) : x64_jmp32(p, (s32)rel);
		break;
	case FIX_JCC:
		f->size == 2 ? x64_jcc8(p, f->arg, (s32)rel) : x64_jcc32(p, f->arg, (s32)rel);
		break;
	case FIX_CALL:
		x64_call32(p, (s32)rel);
		break;
	case FIX_ADDRESS:
		x64_lea_rip(p, f->arg, (s32)rel);
		break;
	case FIX_CALL_FAR:
		x64_call_rip(p, (s32)rel);
		break;
	default:
		ASSERT(f->kind == FIX_ALIGN);
		x64_nops(p, f->size);
	}
}

static const struct code_machine x64_code = {
	.long_size = {[FIX_JMP] = 5, [FIX_JCC] = 6, [FIX_CALL] = 5, [FIX_ADDRESS] = 7, [FIX_CALL_FAR] = 6},
	.short_size = {[FIX_JMP] = 2, [FIX_JCC] = 2},
	.short_min = -128, .short_max = 127,
	.write = write_fixup,
};

const struct jit_machine jit_x64 = {
	.name = "x86-64", .code = &x64_code, .features = features, .slots = slots, .begin = begin, .lower = x64_lower,
	.end = end, .callback_entry = callback_entry,
};
