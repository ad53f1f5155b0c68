/* How many system calls does each process make? The classic first program, in the BCC dialect.
 *
 *   skep run examples/syscall_count.c --syscall all -- sh -c 'ls; ls'
 *
 * or step by step, as a tutorial would:
 *
 *   skep prog load examples/syscall_count.c /sys/fs/bpf/count
 *   skep attach /sys/fs/bpf/count --syscall __x64_sys_execve -- sh -c 'ls; ls'
 *   skep map dump name counts
 */
BPF_HASH(counts, u32, u64);

int count_syscalls(struct pt_regs *ctx) {
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	counts.increment(pid);
	return 0;
}
