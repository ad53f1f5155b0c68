/* Histograms: by power of two, and by a structure that holds the slot. */
#include <uapi/linux/ptrace.h>
struct hist_key {
	char name[TASK_COMM_LEN];
	u64 slot;
};
BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(by_comm, struct hist_key, 1024);
BPF_HASH(history, u32, u64); /* no histogram */

TRACEPOINT_PROBE(syscalls, sys_exit_read) {
	if (args->ret < 0)
		return 0;
	dist.increment(bpf_log2l(args->ret));
	struct hist_key k = {.slot = bpf_log2l(args->ret)};
	bpf_get_current_comm(&k.name, sizeof(k.name));
	by_comm.increment(k);
	history.increment(4711);
	return 0;
}
