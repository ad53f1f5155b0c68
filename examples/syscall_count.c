/* How many system calls does each process make? The classic first program, in the BCC dialect.
 *
 *   $ skep run examples/syscall_count.c -- sh -c 'ls > /dev/null; ls > /dev/null'
 *   counts (hash, 3 entries)
 *     key  value
 *   19665     86
 *   19667     72
 *   19666     72
 *
 * or step by step, as a tutorial would:
 *
 *   $ skep prog load examples/syscall_count.c /sys/fs/bpf/count
 *   $ skep attach /sys/fs/bpf/count --syscall __x64_sys_execve -- sh -c '/bin/true; /bin/true'
 *   $ skep map dump name counts
 *   [
 *       {
 *           "key": 21496,
 *           "value": 1
 *       },
 *       {
 *           "key": 21498,
 *           "value": 1
 *       }
 *   ]
 *   $ skep prog unpin /sys/fs/bpf/count
 */
BPF_HASH(counts, u32, u64);

TRACEPOINT_PROBE(raw_syscalls, sys_enter) {
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	counts.atomic_increment(pid);
	return 0;
}
