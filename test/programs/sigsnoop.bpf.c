/* As libbpf-bootstrap's ksyscall: BPF_KSYSCALL and BPF_KRETPROBE, %s of a map value. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
char LICENSE[] SEC("license") = "Dual BSD/GPL";
struct event {
	unsigned int pid, tpid;
	int sig, ret;
	char comm[16];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, struct event);
} values SEC(".maps");

static int probe_entry(pid_t tpid, int sig) {
	struct event event = {};
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)pid_tgid;
	event.pid = pid_tgid >> 32;
	event.tpid = tpid;
	event.sig = sig;
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	bpf_map_update_elem(&values, &tid, &event, BPF_ANY);
	return 0;
}

static int probe_exit(int ret) {
	__u32 tid = bpf_get_current_pid_tgid();
	struct event *eventp = bpf_map_lookup_elem(&values, &tid);
	if (!eventp)
		return 0;
	bpf_printk("%s sent signal %d, self %d", eventp->comm, eventp->sig, eventp->pid == eventp->tpid);
	bpf_printk("ret = %d", ret);
	bpf_map_delete_elem(&values, &tid);
	return 0;
}
SEC("ksyscall/kill")
int BPF_KSYSCALL(kill_entry, pid_t pid, int sig) {
	return probe_entry(pid, sig);
}
SEC("kretsyscall/kill")
int BPF_KRETPROBE(kill_exit, int ret) {
	return probe_exit(ret);
}
