/* The code that runs inside traced processes: freestanding, position independent, no libc, no writable data. See
 * shared.h for the memory it sees. */
#ifndef SKEP_HOOK_TARGET_H
#define SKEP_HOOK_TARGET_H
#include "abi/regs.h"
#include "hook/target/shared.h"

extern const struct session session __attribute__((visibility("hidden")));
#define tables ((const struct tables *)(session.base + AT_TABLES))
#define shared ((struct shared *)(session.base + AT_SHARED))
#define slots ((struct slot_table *)(session.base + AT_SLOTS))
#define env ((struct env *)(session.base + AT_ENV))

static inline s64 target_syscall(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
	register u64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	s64 ret;
	__asm__ volatile("syscall"
	                 : "=a"(ret)
	                 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return ret;
}
#define target_syscall3(nr, a, b, c) target_syscall(nr, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)

/* Asks skep for something and does what it says until it is done. 0, or -EAGAIN when nobody answers. */
int mail_ask(u32 kind, u64 a, u64 b, u64 c, u64 d, u64 e);

/* Hook routines that the generated code calls; see hooks.c. */
void machine_enter(struct pt_regs *r);
void machine_left(struct pt_regs *r);
void machine_leave(struct pt_regs *r);
const struct run_task *task_current(void);
void boot(struct boot_frame *frame);
STATIC_ASSERT(sizeof(struct session) == SESSION_BYTES, "as in entry.S");
#endif
