/* Structures as keys and values. */
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>
struct key_t {
	u32 pid;
	u32 fd;
	char comm[TASK_COMM_LEN];
};
struct leaf_t {
	u64 calls, bytes;
};
BPF_HASH(io, struct key_t, struct leaf_t);
BPF_HASH(seen, struct key_t);

TRACEPOINT_PROBE(syscalls, sys_enter_write) {
	struct key_t key = {};
	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.fd = args->fd;
	bpf_get_current_comm(&key.comm, sizeof(key.comm));
	struct leaf_t init = {}, *l = io.lookup_or_try_init(&key, &init);
	if (l) {
		l->calls++;
		l->bytes += args->count;
	}
	seen.increment(key);
	return 0;
}
