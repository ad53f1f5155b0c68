/* How long does each system call take? One histogram per call, in powers of two of nanoseconds.
 *
 *   skep run examples/syscall_latency.bpf.c -- ls -laR /usr/share/doc
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct histogram {
	u64 slots[40];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u32); /* thread */
	__type(value, u64);
	__uint(max_entries, 10240);
} started SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u32); /* system call */
	__type(value, struct histogram);
	__uint(max_entries, 512);
} latency_ns SEC(".maps");

static const struct histogram empty;

SEC("tracepoint/raw_syscalls/sys_enter")
int enter(struct trace_event_raw_sys_enter *ctx)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	u64 now = bpf_ktime_get_ns();
	bpf_map_update_elem(&started, &tid, &now, BPF_ANY);
	return 0;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int leave(struct trace_event_raw_sys_exit *ctx)
{
	u64 now = bpf_ktime_get_ns();
	u32 tid = (u32)bpf_get_current_pid_tgid(), nr = (u32)ctx->id;
	u64 *since = bpf_map_lookup_elem(&started, &tid);
	if (!since)
		return 0;
	u64 took = now - *since;
	bpf_map_delete_elem(&started, &tid);

	struct histogram *h = bpf_map_lookup_elem(&latency_ns, &nr);
	if (!h) {
		bpf_map_update_elem(&latency_ns, &nr, &empty, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&latency_ns, &nr);
		if (!h)
			return 0;
	}
	u32 slot = 0;
	for (u32 bit = 32; bit; bit >>= 1)
		if (took >> bit) {
			took >>= bit;
			slot += bit;
		}
	slot = took ? slot + 1 : 0;
	if (slot < 40)
		__sync_fetch_and_add(&h->slots[slot], 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
