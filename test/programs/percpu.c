/* Maps by processor and plain ones, in every form of declaration and increment. */
BPF_PERCPU_ARRAY(total, u64, 2);
BPF_PERCPU_HASH(per_pid, u32);
BPF_PERCPU_HASH(sized, u32, u64, 128);
BPF_ARRAY(counts, u64, 500);
BPF_ARRAY(plain);
BPF_HASH(dflt);

TRACEPOINT_PROBE(syscalls, sys_enter_getppid) {
	int k = 0;
	u64 *v = total.lookup(&k), zero = 0, one = 1;
	if (v)
		*v += 1;
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	per_pid.increment(pid);
	sized.increment(pid, 2);
	counts.increment(110);
	counts.atomic_increment(110, 3);
	plain.increment(7);
	u64 *p = sized.lookup_or_init(&pid, &zero);
	if (p)
		(*p)++;
	dflt.increment(5);
	dflt.atomic_increment(5, 10);
	if (dflt.insert(&one, &one))
		dflt.delete(&one);
	return 0;
}
