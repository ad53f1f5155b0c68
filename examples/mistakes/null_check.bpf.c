/* Mistake 1: the result of a map lookup is used without asking whether there is one. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u32);
	__type(value, u64);
	__uint(max_entries, 1024);
} counts SEC(".maps");

SEC("ksyscall/openat")
int count_opens(struct pt_regs *ctx)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u64 *count = bpf_map_lookup_elem(&counts, &pid);

	*count += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
