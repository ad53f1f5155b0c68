/* As libbpf-tools has it: settings in .rodata, a structure that only functions know, entry joined to exit. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
struct args_t {
	const char *fname;
	int flags;
};
struct event {
	pid_t pid;
	uid_t uid;
	int ret;
	int flags;
	char comm[16];
	char fname[255];
};
const volatile pid_t targ_tgid = 0;
const volatile bool targ_failed = false;
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, u32);
	__type(value, struct args_t);
} start SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_openat")
int enter(struct trace_event_raw_sys_enter *ctx) {
	u64 id = bpf_get_current_pid_tgid();
	u32 pid = id;
	struct args_t args = {};
	if (targ_tgid && targ_tgid != id >> 32)
		return 0;
	args.fname = (const char *)ctx->args[1];
	args.flags = (int)ctx->args[2];
	bpf_map_update_elem(&start, &pid, &args, 0);
	return 0;
}

static __always_inline int trace_exit(struct trace_event_raw_sys_exit *ctx) {
	u32 pid = bpf_get_current_pid_tgid();
	struct args_t *ap = bpf_map_lookup_elem(&start, &pid);
	struct event *e;
	if (!ap || (targ_failed && ctx->ret >= 0) || !(e = bpf_ringbuf_reserve(&events, sizeof(*e), 0)))
		goto cleanup;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->uid = bpf_get_current_uid_gid();
	bpf_get_current_comm(&e->comm, sizeof(e->comm));
	bpf_probe_read_user_str(&e->fname, sizeof(e->fname), ap->fname);
	e->flags = ap->flags;
	e->ret = ctx->ret;
	bpf_ringbuf_submit(e, 0);
cleanup:
	bpf_map_delete_elem(&start, &pid);
	return 0;
}
SEC("tracepoint/syscalls/sys_exit_openat")
int leave(struct trace_event_raw_sys_exit *ctx) {
	return trace_exit(ctx);
}
char LICENSE[] SEC("license") = "GPL";
