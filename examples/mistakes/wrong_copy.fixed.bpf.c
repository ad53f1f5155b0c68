/* Mistake 4, corrected: errors leave first, and the variable that is checked is the one that is passed on. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define MAX_NAME 32

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, char[MAX_NAME]);
	__uint(max_entries, 1);
} names SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_openat")
int send_name(struct trace_event_raw_sys_enter *ctx)
{
	u32 zero = 0;
	char *name = bpf_map_lookup_elem(&names, &zero);
	long read;

	if (!name)
		return 0;
	read = bpf_probe_read_user_str(name, MAX_NAME, (void *)ctx->args[1]);
	if (read <= 0 || read > MAX_NAME)
		return 0;
	bpf_ringbuf_output(&events, name, read, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
