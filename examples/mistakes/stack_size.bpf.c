/* Mistake 5: two functions with large local variables, one called by the other. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

static __noinline int read_path(const char *from)
{
	char path[300] = {};

	bpf_probe_read_user_str(path, sizeof(path), from);
	return path[0] == '/';
}

SEC("tracepoint/syscalls/sys_enter_renameat2")
int trace_rename(struct trace_event_raw_sys_enter *ctx)
{
	char line[256] = {};
	int absolute = read_path((const char *)ctx->args[1]);

	bpf_probe_read_user_str(line, sizeof(line), (const char *)ctx->args[3]);
	if (absolute)
		bpf_printk("to %s", line);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
