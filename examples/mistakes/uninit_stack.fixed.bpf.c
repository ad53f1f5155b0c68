/* Mistake 9, corrected: the whole key is zero before its members are set. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct per_cpu {
	u32 pid;
	u8 cpu;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct per_cpu);
	__type(value, u64);
	__uint(max_entries, 1024);
} counts SEC(".maps");

SEC("ksyscall/openat")
int count(struct pt_regs *ctx)
{
	struct per_cpu key;
	u64 *value;

	__builtin_memset(&key, 0, sizeof(key));
	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.cpu = bpf_get_smp_processor_id();
	value = bpf_map_lookup_elem(&counts, &key);
	if (value)
		__sync_fetch_and_add(value, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
