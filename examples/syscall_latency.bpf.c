/* How long does each system call take? One histogram per call, in powers of two of nanoseconds.
 *
 *   $ skep run examples/syscall_latency.bpf.c --map latency_ns -- du -sh /usr/include
 *   134M	/usr/include
 *
 *   latency_ns[257]
 *           value       count
 *      1024..2047         475  ██████████████████████████████████████████████████
 *      2048..4095         436  █████████████████████████████████████████████▉
 *      4096..8191           9  ▉
 *     8192..16383           2  ▏
 *    16384..32767           8  ▊
 *    32768..65535           6  ▋
 *   65536..131071           1
 *
 * and so on for each call that was made; the number in brackets is the call's, 257 is openat.
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
