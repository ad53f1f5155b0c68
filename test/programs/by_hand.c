/* syscall__ says how arguments are passed, not where: the name of the call comes from the command line. */
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>
#include <bcc/proto.h>
BPF_HASH(flags, u64, u64);
BPF_PROG_ARRAY(next, 2);

int syscall__trace_entry_openat(struct pt_regs *ctx, int dfd, const char __user *filename, int how) {
	char first[8] = {};
	bpf_probe_read_user_str(first, sizeof(first), filename);
	if (dfd == AT_FDCWD && first[1] == 'e' && first[5] == 'h')
		flags.increment(how);
	next.call(ctx, 0); /* empty: goes on here */
	return 0;
}
