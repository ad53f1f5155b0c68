/* Register files and tracepoint records: contexts that programs read in place, in the kernel's layout.
 * Apart from uapi.h because libc's asm/ptrace.h defines a struct pt_regs with other names. */
#ifndef SKEP_ABI_REGS_H
#define SKEP_ABI_REGS_H
#include "abi/uapi.h"

/* x86-64, as the kernel names the members in its own BTF (libc's struct has rdi where this has di). */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax;
	unsigned long ip, cs, flags, sp, ss;
};
UAPI_SIZE(struct pt_regs, 168);
/* perf_event programs. */
struct bpf_perf_event_data {
	struct pt_regs regs;
	u64 sample_period, addr;
};
UAPI_SIZE(struct bpf_perf_event_data, 184);

/* The head of every tracepoint record, and the two records of system calls. */
struct trace_entry {
	u16 type;
	u8 flags, preempt_count;
	int pid;
};
UAPI_SIZE(struct trace_entry, 8);
struct trace_event_raw_sys_enter {
	struct trace_entry ent;
	long id;
	unsigned long args[6];
	char __data[0];
};
UAPI_SIZE(struct trace_event_raw_sys_enter, 64);
struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id, ret;
	char __data[0];
};
UAPI_SIZE(struct trace_event_raw_sys_exit, 24);

/* The record of one tracepoint syscalls/sys_enter_X or sys_exit_X: the same bytes under the names of its format file.
 * Every argument has a cell of eight bytes, whatever its C type. */
struct syscall_tp_enter {
	struct trace_entry ent;
	int __syscall_nr;
	u32 pad;
	unsigned long args[6];
};
struct syscall_tp_exit {
	struct trace_entry ent;
	int __syscall_nr;
	u32 pad;
	long ret;
};
UAPI_SIZE(struct syscall_tp_enter, 64);
UAPI_SIZE(struct syscall_tp_exit, 24);
#endif
