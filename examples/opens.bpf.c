/* Which files does a command open, and which are not there?
 *
 *   $ skep run examples/opens.bpf.c -- wc -l /etc/passwd
 *   24 /etc/passwd
 *   opens: pid 19700  result 3  comm wc  path /etc/ld.so.cache
 *   opens: pid 19700  result 3  comm wc  path /lib/x86_64-linux-gnu/libc.so.6
 *   opens: pid 19700  result 3  comm wc  path /etc/passwd
 *
 *   paths (hash, 0 entries)
 *   (empty)
 *
 * A result below zero is -errno: -2 is ENOENT, no such file.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct open_event {
	u32 pid;
	s32 result; /* descriptor, or negative errno */
	char comm[16];
	char path[128];
};
const struct open_event *unused __attribute__((unused)); /* leaves the type in BTF, for whoever prints the records */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u32); /* thread */
	__type(value, u64); /* where the path lies in its memory */
	__uint(max_entries, 10240);
} paths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} opens SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_openat")
int enter(struct trace_event_raw_sys_enter *ctx)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	u64 path = ctx->args[1];
	bpf_map_update_elem(&paths, &tid, &path, BPF_ANY);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_openat")
int leave(struct trace_event_raw_sys_exit *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = (u32)id;
	u64 *path = bpf_map_lookup_elem(&paths, &tid);
	if (!path)
		return 0;
	struct open_event *e = bpf_ringbuf_reserve(&opens, sizeof *e, 0);
	if (e) {
		e->pid = id >> 32;
		e->result = (s32)ctx->ret;
		bpf_get_current_comm(e->comm, sizeof e->comm);
		if (bpf_probe_read_user_str(e->path, sizeof e->path, (const void *)*path) < 0)
			e->path[0] = 0;
		bpf_ringbuf_submit(e, 0);
	}
	bpf_map_delete_elem(&paths, &tid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
