/* Hook routines: generated code that stubs call, one for each different list of programs. */
#ifndef SKEP_HOOK_ROUTINES_H
#define SKEP_HOOK_ROUTINES_H
#include "hook/emit.h"
#include "hook/launch.h"
#include "hook/target/shared.h"

/* Where things lie in the targets of a session. */
struct routine_env {
	u64 env;           /* struct env */
	u64 tables;        /* struct tables */
	u64 machine_enter, machine_left, machine_leave;
	u64 task_current, run_release; /* entry points as well; run_release 0: not there */
	const u64 *entries; /* of each program: its code in the targets */
	bool has_rdpid;     /* the processor tells its number to user code in one instruction */
};

/* What happens at one hook point of one system call number. */
struct hook_list {
	const u16 *progs; /* indices into the launch's programs, in attach order */
	u32 progs_n;
	bool machine;     /* skep's own hooks run too: behind the programs; at the return of a call before them, too */
};

/* Emits a routine. Convention, at its first instruction:
 *   enter: rax = number, rcx = the program's address behind the syscall; rsp + 8 + 128 = the program's stack pointer
 *   leave: rax = result, 8(%rsp) = number; rsp + 16 + 128 = the program's stack pointer
 * It leaves all registers, flags and vector state as they are, but rcx and r11 at enter. */
void routine_enter(struct emit *e, const struct routine_env *env, const struct launch_prog *progs, struct hook_list list);
void routine_leave(struct emit *e, const struct routine_env *env, const struct launch_prog *progs, struct hook_list list);
/* The routines for sites whose number is known only when they run: they find the list's routine in the tables. */
void routine_dispatch_enter(struct emit *e, const struct routine_env *env);
void routine_dispatch_leave(struct emit *e, const struct routine_env *env);
/* Does a program's code read anything from its run? Then struct skep_run is filled in. */
bool routine_needs_run(const struct image *image);
#endif
