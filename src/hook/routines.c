/* Hook routines: what runs between a program of the traced process and an eBPF program.
 *
 * A routine is made for one list of programs, so it saves only what those can clobber and fills in only what they read.
 * Programs are C-callable and leave rbx, rbp and r12-r15 alone. It works on the stack of the thread, below the red
 * zone; the frame, from its lowest address:
 *
 *     flags │ rax │ raw arguments │ record │ struct pt_regs │ outer pt_regs │ struct skep_run
 *
 * The run record is the last: probe_read reads directly what lies between a helper's frame and the end of the run.
 *
 * What is filled in. The registers that a program can clobber are saved in any case: at enter they are just the arguments
 * of the tracepoint record, so a light routine saves them there (programs cannot write to it). struct pt_regs is complete
 * only when somebody may look into it: skep's own hook, or a program that follows pointers (reads.c); to all others its
 * address is a number. Of a kprobe's own registers only those words are written that a program loads.
 *
 * Flags: lahf and seto read the six arithmetic ones, sahf and an addition put them back (popf would cost 10 ns). The
 * direction flag is 0 by the ABI. Vector registers: nothing here or in the data plane uses them. */
#include "hook/routines.h"
#include "abi/regs.h"
#include "hook/reads.h"
#include <errno.h>

struct frame {
	s32 run, flags, ax, raw, record, regs, outer, size;
	s32 r11;      /* at leave: in the head of the record, which programs may not read */
	bool full;    /* struct pt_regs is complete */
	bool records; /* some program is given the tracepoint record */
	bool raws;    /* … the raw arguments */
	u32 outer_words; /* … the outer registers: those that are written */
};
#define REGS(f, member) ((f)->regs + (s32)offsetof(struct pt_regs, member))
#define RECORD(f, member) ((f)->record + (s32)offsetof(struct trace_event_raw_sys_enter, member))
#define RUN(f, member) ((f)->run + (s32)offsetof(struct skep_run, member))

enum { RED_ZONE = 128, USER_CS = 0x33, USER_DS = 0x2b, METER_DEFAULT = 1000000 };

bool routine_needs_run(const struct image *image) {
	if (image->flags & IMAGE_METERED || image->xlated->has_tail_call)
		return true;
	for (u32 i = 0; i < image->relocs_n; i++)
		if (image->relocs[i].kind == RELOC_DP)
			return true;
	return false;
}

/* A program that is entered by a tail call finds the run that the first one was given. */
static bool uses_cpu(const struct image *image) {
	return image->xlated->uses_cpu || image->xlated->has_tail_call;
}
static bool uses_task(const struct image *image) {
	return image->xlated->uses_run_task || image->xlated->has_tail_call;
}

static struct frame frame_of(const struct launch_prog *progs, struct hook_list list) {
	struct frame f = {.full = list.machine};
	bool outer = false, run = false;
	for (u32 i = 0; i < list.progs_n; i++) {
		const struct launch_prog *p = &progs[list.progs[i]];
		struct reads reads = reads_of(p->prog->image);
		f.full |= reads.follows && (p->ctx == LAUNCH_CTX_RAW_TP || p->ctx == LAUNCH_CTX_REGS);
		f.records |= p->ctx == LAUNCH_CTX_TRACEPOINT || p->ctx == LAUNCH_CTX_SYSCALL_TP;
		f.raws |= p->ctx == LAUNCH_CTX_RAW_TP;
		f.outer_words |= p->ctx == LAUNCH_CTX_REGS ? reads.words : 0;
		outer |= p->ctx == LAUNCH_CTX_REGS;
		run |= routine_needs_run(p->prog->image) || uses_cpu(p->prog->image);
	}
	f.flags = 0;
	f.ax = f.flags + 8;
	f.raw = f.ax + 8;
	f.record = f.r11 = f.raw + 16;
	f.regs = f.record + (s32)sizeof(struct trace_event_raw_sys_enter);
	f.outer = f.regs + (s32)sizeof(struct pt_regs);
	f.run = f.outer + (outer ? (s32)sizeof(struct pt_regs) : 0);
	f.size = f.run + (run ? (s32)sizeof(struct skep_run) : 0);
	ASSERT(f.size % 8 == 0);
	return f;
}

/* ---- saving and restoring ---------------------------------------------------------------------------------------- */

static void save_flags(struct emit *e, const struct frame *f) {
	EMIT(e, 0x9f, 0x0f, 0x90, 0xc0); /* lahf; seto %al */
	emit_store(e, f->flags, RAX);
}
static void restore_flags(struct emit *e, const struct frame *f) {
	emit_load(e, RAX, f->flags);
	EMIT(e, 0x04, 0x7f, 0x9e); /* add $0x7f,%al: overflows when it was 1; sahf */
}

/* eflags as the kernel shows them, from what lahf and seto gave. Clobbers rax, rcx. */
static void store_eflags(struct emit *e, const struct frame *f) {
	emit_load(e, RAX, f->flags);
	EMIT(e, 0x0f, 0xb6, 0xcc);                   /* movzbl %ah,%ecx */
	EMIT(e, 0x83, 0xe0, 0x01, 0xc1, 0xe0, 0x0b); /* and $1,%eax; shl $11,%eax */
	EMIT(e, 0x09, 0xc1);                         /* or %eax,%ecx */
	EMIT(e, 0x81, 0xc9, 0x02, 0x02, 0, 0);       /* or $0x202,%ecx: interrupts on */
	emit_store(e, REGS(f, flags), RCX);
	emit_store(e, REGS(f, r11), RCX);
}

static void save_arguments(struct emit *e, const struct frame *f) {
	emit_store(e, REGS(f, di), RDI), emit_store(e, REGS(f, si), RSI), emit_store(e, REGS(f, dx), RDX);
	emit_store(e, REGS(f, r10), R10), emit_store(e, REGS(f, r8), R8), emit_store(e, REGS(f, r9), R9);
}
static void restore_arguments(struct emit *e, const struct frame *f) {
	emit_load(e, RDI, REGS(f, di)), emit_load(e, RSI, REGS(f, si)), emit_load(e, RDX, REGS(f, dx));
	emit_load(e, R10, REGS(f, r10)), emit_load(e, R8, REGS(f, r8)), emit_load(e, R9, REGS(f, r9));
}
static void save_callee_saved(struct emit *e, const struct frame *f) {
	emit_store(e, REGS(f, r15), R15), emit_store(e, REGS(f, r14), R14), emit_store(e, REGS(f, r13), R13);
	emit_store(e, REGS(f, r12), R12), emit_store(e, REGS(f, bp), RBP), emit_store(e, REGS(f, bx), RBX);
}
static void store_segments(struct emit *e, const struct frame *f) {
	emit_store_imm(e, REGS(f, cs), USER_CS), emit_store_imm(e, REGS(f, ss), USER_DS);
}

/* ---- one program ------------------------------------------------------------------------------------------------- */

static void fill_run(struct emit *e, const struct routine_env *env, const struct frame *f, const struct launch_prog *p) {
	const struct image *image = p->prog->image;
	if (uses_cpu(image)) {
		ASSERT(f->size > f->run);
		if (env->has_rdpid)
			EMIT(e, 0xf3, 0x48, 0x0f, 0xc7, 0xf8); /* rdpid %rax */
		else
			EMIT(e, 0xb8, 0x7b, 0, 0, 0, 0x0f, 0x03, 0xc0); /* mov $0x7b,%eax; lsl %eax,%eax */
		EMIT(e, 0x25, 0xff, 0x0f, 0, 0, 0x48, 0xc1, 0xe0, 0x20); /* and $0xfff,%eax; shl $32,%rax */
		emit_store(e, RUN(f, status), RAX);
	} else if (routine_needs_run(image))
		emit_store_imm(e, RUN(f, status), 0);
	if (!routine_needs_run(image))
		return;
	emit_store_imm(e, RUN(f, budget), METER_DEFAULT);
	emit_store_imm(e, RUN(f, tail_calls), 0); /* and held_n */
	emit_store_imm(e, RUN(f, callback), 0);
	emit_store_imm(e, RUN(f, prog_type), (s32)image->xlated->prog_type);
	emit_store_imm(e, RUN(f, env), (s32)env->env);
	emit_imm64(e, RAX, image->id), emit_store(e, RUN(f, image), RAX);
	emit_imm64(e, RAX, p->cookie), emit_store(e, RUN(f, cookie), RAX);
	emit_store(e, RUN(f, ctx), RDI);
	STATIC_ASSERT(offsetof(struct skep_run, cpu) == offsetof(struct skep_run, status) + 4, "one store for both");
	STATIC_ASSERT(offsetof(struct skep_run, held_n) == offsetof(struct skep_run, tail_calls) + 4, "one store for both");
}

/* run->task, once for all programs of the list: helper calls clobber only what is saved. */
static void fill_task(struct emit *e, const struct routine_env *env, const struct frame *f,
                      const struct launch_prog *progs, struct hook_list list) {
	bool wants = false, has_run = false;
	for (u32 i = 0; i < list.progs_n; i++) {
		const struct image *image = progs[list.progs[i]].prog->image;
		wants |= uses_task(image);
		has_run |= routine_needs_run(image);
	}
	if (wants && has_run) {
		emit_call(e, env->task_current);
		emit_store(e, RUN(f, task), RAX);
	} else if (has_run)
		emit_store_imm(e, RUN(f, task), 0);
}

static void point_ctx(struct emit *e, const struct frame *f, const struct launch_prog *p) {
	switch (p->ctx) {
	case LAUNCH_CTX_TRACEPOINT:
	case LAUNCH_CTX_SYSCALL_TP:
		emit_lea(e, RDI, f->record);
		break;
	case LAUNCH_CTX_RAW_TP:
		emit_lea(e, RDI, f->raw);
		break;
	case LAUNCH_CTX_REGS:
		emit_lea(e, RDI, f->outer);
		break;
	}
}

static void call_program(struct emit *e, const struct routine_env *env, const struct frame *f,
                         const struct launch_prog *p, u64 entry) {
	ASSERT(entry);
	point_ctx(e, f, p);
	fill_run(e, env, f, p);
	emit_lea(e, RSI, f->run);
	emit_call(e, entry);
	if (!routine_needs_run(p->prog->image) || !env->run_release)
		return;
	EMIT(e, 0x8b), emit_rsp_operand(e, RAX, RUN(f, status)); /* mov status,%eax; or held_n,%eax; jz over */
	EMIT(e, 0x0b), emit_rsp_operand(e, RAX, RUN(f, held_n));
	EMIT(e, 0x74);
	u32 over = emit_hop(e);
	emit_lea(e, RDI, f->run);
	emit_call(e, env->run_release);
	emit_land(e, over);
}

static void call_programs(struct emit *e, const struct routine_env *env, const struct frame *f,
                          const struct launch_prog *progs, struct hook_list list) {
	fill_task(e, env, f, progs, list);
	for (u32 i = 0; i < list.progs_n; i++)
		call_program(e, env, f, &progs[list.progs[i]], env->entries[list.progs[i]]);
}

/* What a kprobe on __x64_sys_X sees: registers of a C function whose first argument points to the system call's, and
 * which returns its result. The others are 0. */
static void fill_outer(struct emit *e, const struct frame *f, bool leave) {
	const u32 di = offsetof(struct pt_regs, di) / 8, ax = offsetof(struct pt_regs, ax) / 8;
	u32 zeros = f->outer_words & ~(1u << di) & ~(leave ? 1u << ax : 0);
	if (zeros)
		EMIT(e, 0x31, 0xc0); /* xor %eax,%eax */
	for (u32 i = 0; i < sizeof(struct pt_regs) / 8; i++)
		if (zeros >> i & 1)
			emit_store(e, f->outer + 8 * (s32)i, RAX);
	if (f->outer_words >> di & 1)
		emit_lea(e, RAX, f->regs), emit_store(e, f->outer + 8 * (s32)di, RAX);
	if (leave && f->outer_words >> ax & 1)
		emit_load(e, RAX, f->ax), emit_store(e, f->outer + 8 * (s32)ax, RAX);
}

/* ctx of raw tracepoints: { registers, number or result }; that is in `value`. Clobbers rax. */
static void fill_raw(struct emit *e, const struct frame *f, enum reg value) {
	if (!f->raws)
		return;
	emit_store(e, f->raw + 8, value);
	emit_lea(e, RAX, f->regs), emit_store(e, f->raw, RAX);
}

/* ---- enter ------------------------------------------------------------------------------------------------------- */

static void save_in_record(struct emit *e, const struct frame *f) {
	emit_store(e, RECORD(f, args[0]), RDI), emit_store(e, RECORD(f, args[1]), RSI), emit_store(e, RECORD(f, args[2]), RDX);
	emit_store(e, RECORD(f, args[3]), R10), emit_store(e, RECORD(f, args[4]), R8), emit_store(e, RECORD(f, args[5]), R9);
}
static void restore_from_record(struct emit *e, const struct frame *f) {
	emit_load(e, RDI, RECORD(f, args[0])), emit_load(e, RSI, RECORD(f, args[1])), emit_load(e, RDX, RECORD(f, args[2]));
	emit_load(e, R10, RECORD(f, args[3])), emit_load(e, R8, RECORD(f, args[4])), emit_load(e, R9, RECORD(f, args[5]));
}

static void enter_light(struct emit *e, const struct routine_env *env, const struct frame *f,
                        const struct launch_prog *progs, struct hook_list list) {
	emit_store(e, f->ax, RAX);
	save_in_record(e, f);
	EMIT(e, 0x48, 0x63, 0xc8); /* movslq %eax,%rcx: the kernel takes 32 bits */
	if (f->records)
		emit_store(e, RECORD(f, id), RCX);
	save_flags(e, f);
	fill_raw(e, f, RCX);
	fill_outer(e, f, false);
	call_programs(e, env, f, progs, list);
	restore_flags(e, f);
	restore_from_record(e, f);
	emit_load(e, RAX, f->ax);
}

static void enter_full(struct emit *e, const struct routine_env *env, const struct frame *f,
                       const struct launch_prog *progs, struct hook_list list) {
	emit_store(e, f->ax, RAX);
	save_arguments(e, f), save_callee_saved(e, f), store_segments(e, f);
	emit_store(e, REGS(f, ip), RCX), emit_store(e, REGS(f, cx), RCX);
	EMIT(e, 0x48, 0x63, 0xc8); /* movslq %eax,%rcx */
	emit_store(e, REGS(f, orig_ax), RCX);
	emit_store_imm(e, REGS(f, ax), -ENOSYS);
	if (f->records)
		save_in_record(e, f), emit_store(e, RECORD(f, id), RCX);
	save_flags(e, f);
	fill_raw(e, f, RCX);
	emit_lea(e, RCX, f->size + 8 + RED_ZONE), emit_store(e, REGS(f, sp), RCX);
	store_eflags(e, f);
	fill_outer(e, f, false);
	call_programs(e, env, f, progs, list);
	if (list.machine)
		emit_lea(e, RDI, f->regs), emit_call(e, env->machine_enter);
	restore_flags(e, f);
	restore_arguments(e, f);
	emit_load(e, RAX, f->ax);
}

void routine_enter(struct emit *e, const struct routine_env *env, const struct launch_prog *progs, struct hook_list list) {
	struct frame f = frame_of(progs, list);
	emit_move_stack(e, -f.size);
	if (f.full)
		enter_full(e, env, &f, progs, list);
	else
		enter_light(e, env, &f, progs, list);
	emit_move_stack(e, f.size);
	EMIT(e, 0xc3);
}

/* ---- leave ------------------------------------------------------------------------------------------------------- */

void routine_leave(struct emit *e, const struct routine_env *env, const struct launch_prog *progs, struct hook_list list) {
	struct frame f = frame_of(progs, list);
	emit_move_stack(e, -f.size);
	emit_store(e, f.ax, RAX), emit_store(e, REGS(&f, cx), RCX), emit_store(e, f.r11, R11);
	save_arguments(e, &f);
	if (f.full) {
		save_callee_saved(e, &f), store_segments(e, &f);
		emit_store(e, REGS(&f, ip), RCX), emit_store(e, REGS(&f, ax), RAX);
	}
	if (f.records)
		emit_store(e, RECORD(&f, args[0]), RAX); /* the result stands there in the record of an exit */
	EMIT(e, 0x48, 0x89, 0xc1); /* mov %rax,%rcx */
	save_flags(e, &f);
	fill_raw(e, &f, RCX);
	emit_load(e, RDX, f.size + 8);
	EMIT(e, 0x48, 0x63, 0xd2); /* movslq %edx,%rdx */
	if (f.records)
		emit_store(e, RECORD(&f, id), RDX);
	if (f.full) {
		emit_store(e, REGS(&f, orig_ax), RDX);
		emit_lea(e, RCX, f.size + 16 + RED_ZONE), emit_store(e, REGS(&f, sp), RCX);
		store_eflags(e, &f);
	}
	fill_outer(e, &f, true);
	if (list.machine)
		emit_lea(e, RDI, f.regs), emit_call(e, env->machine_left);
	call_programs(e, env, &f, progs, list);
	if (list.machine)
		emit_lea(e, RDI, f.regs), emit_call(e, env->machine_leave);
	restore_flags(e, &f);
	restore_arguments(e, &f);
	emit_load(e, R11, f.r11), emit_load(e, RCX, REGS(&f, cx)), emit_load(e, RAX, f.ax);
	emit_move_stack(e, f.size);
	EMIT(e, 0xc3);
	STATIC_ASSERT(offsetof(struct trace_event_raw_sys_exit, id) == offsetof(struct trace_event_raw_sys_enter, id) &&
	                  offsetof(struct trace_event_raw_sys_exit, ret) == offsetof(struct trace_event_raw_sys_enter, args),
	              "one place for both records");
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

/* From the number in eax: r11 = routine. Flags are not kept. index: a table of u16 below 2 GiB. */
static void find_routine(struct emit *e, const struct routine_env *env, u64 index) {
	EMIT(e, 0x3d), emit_u32(e, NR_LIMIT);                        /* cmp $NR_LIMIT,%eax */
	EMIT(e, 0x76, 0x05, 0xb8), emit_u32(e, NR_LIMIT);            /* jbe +5; mov $NR_LIMIT,%eax */
	EMIT(e, 0x0f, 0xb7, 0x04, 0x45), emit_u32(e, (u32)index);    /* movzwl index(,%rax,2),%eax */
	EMIT(e, 0x4c, 0x8b, 0x1c, 0xc5);                             /* mov hooks(,%rax,8),%r11 */
	emit_u32(e, (u32)(env->tables + offsetof(struct tables, hook)));
}

void routine_dispatch_enter(struct emit *e, const struct routine_env *env) {
	ASSERT(env->tables + sizeof(struct tables) < 1u << 31);
	EMIT(e, 0x50, 0x9f, 0x0f, 0x90, 0xc0, 0x50);   /* push %rax; lahf; seto %al; push %rax */
	EMIT(e, 0x8b, 0x44, 0x24, 0x08);               /* mov 8(%rsp),%eax */
	find_routine(e, env, env->tables + offsetof(struct tables, enter));
	EMIT(e, 0x58, 0x04, 0x7f, 0x9e, 0x58);         /* pop %rax; add $0x7f,%al; sahf; pop %rax */
	EMIT(e, 0x41, 0xff, 0xe3);                     /* jmp *%r11 */
}

/* r11 is not free here: the routine's address waits in the red zone, which signal handlers spare. */
void routine_dispatch_leave(struct emit *e, const struct routine_env *env) {
	EMIT(e, 0x50, 0x41, 0x53, 0x50, 0x9f, 0x0f, 0x90, 0xc0, 0x50); /* push %rax, %r11, a place; lahf; seto %al; push */
	EMIT(e, 0x8b, 0x44, 0x24, 0x28);                               /* mov 40(%rsp),%eax: the number */
	find_routine(e, env, env->tables + offsetof(struct tables, leave));
	EMIT(e, 0x4c, 0x89, 0x5c, 0x24, 0x08);                         /* mov %r11,8(%rsp): into the place */
	EMIT(e, 0x58, 0x04, 0x7f, 0x9e);                               /* pop %rax; add $0x7f,%al; sahf */
	EMIT(e, 0x48, 0x8d, 0x64, 0x24, 0x08, 0x41, 0x5b, 0x58);       /* lea 8(%rsp),%rsp; pop %r11; pop %rax */
	EMIT(e, 0xff, 0x64, 0x24, 0xe8);                               /* jmp *-24(%rsp) */
}
