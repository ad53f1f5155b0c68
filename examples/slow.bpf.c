/* Which system calls take longer than a millisecond, and in which thread?
 *
 *   $ skep run examples/slow.bpf.c -- sleep 0.01
 *   slow: pid 19878  tid 19878  nr 230  result 0  microseconds 10083  comm sleep
 *
 *   started (hash, 1 entry)
 *     key          value
 *   19878  6394556462227
 *
 * nr is the number of the call: 230 is clock_nanosleep.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

const volatile u64 threshold_ns = 1000000;

struct slow_call {
	u32 pid, tid;
	s64 nr, result;
	u64 microseconds;
	char comm[16];
};
const struct slow_call *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u32); /* thread */
	__type(value, u64);
	__uint(max_entries, 10240);
} started SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} slow SEC(".maps");

SEC("raw_tracepoint/sys_enter")
int enter(struct bpf_raw_tracepoint_args *ctx)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	u64 now = bpf_ktime_get_ns();
	bpf_map_update_elem(&started, &tid, &now, BPF_ANY);
	return 0;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int leave(struct trace_event_raw_sys_exit *ctx)
{
	u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	u32 tid = (u32)id;
	u64 *since = bpf_map_lookup_elem(&started, &tid);
	if (!since || now - *since < threshold_ns)
		return 0;
	struct slow_call *e = bpf_ringbuf_reserve(&slow, sizeof *e, 0);
	if (!e)
		return 0;
	e->pid = id >> 32, e->tid = tid;
	e->nr = ctx->id, e->result = ctx->ret;
	e->microseconds = (now - *since) / 1000;
	bpf_get_current_comm(e->comm, sizeof e->comm);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
