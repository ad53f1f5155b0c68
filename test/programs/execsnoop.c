/* Pointers to pointers in the target, an unrolled loop, helpers that get the event, an enum in it. */
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>
#include <linux/fs.h>
#define ARGSIZE 128
enum event_type { EVENT_ARG, EVENT_RET };
struct data_t {
	u32 pid;
	u32 uid;
	char comm[TASK_COMM_LEN];
	enum event_type type;
	char argv[ARGSIZE];
	int retval;
};
BPF_PERF_OUTPUT(events);

static int __submit_arg(struct pt_regs *ctx, void *ptr, struct data_t *data) {
	bpf_probe_read_user_str(data->argv, sizeof(data->argv), ptr);
	events.perf_submit(ctx, data, sizeof(struct data_t));
	return 1;
}

static int submit_arg(struct pt_regs *ctx, void *ptr, struct data_t *data) {
	const char *argp = NULL;
	bpf_probe_read_user(&argp, sizeof(argp), ptr);
	return argp ? __submit_arg(ctx, (void *)(argp), data) : 0;
}

int syscall__execve(struct pt_regs *ctx, const char __user *filename, const char __user *const __user *__argv,
		    const char __user *const __user *__envp) {
	struct data_t data = {};
	data.pid = bpf_get_current_pid_tgid() >> 32;
	data.uid = bpf_get_current_uid_gid() & 0xffffffff;
	bpf_get_current_comm(&data.comm, sizeof(data.comm));
	data.type = EVENT_ARG;
	__submit_arg(ctx, (void *)filename, &data);
#pragma unroll
	for (int i = 1; i < 4; i++) {
		if (submit_arg(ctx, (void *)&__argv[i], &data) == 0)
			return 0;
	}
	char ellipsis[] = "...";
	bpf_probe_read_kernel(data.argv, sizeof(ellipsis), ellipsis);
	events.perf_submit(ctx, &data, sizeof(data));
	return 0;
}

int kretprobe__sys_execve(struct pt_regs *ctx) {
	struct data_t data = {.type = EVENT_RET};
	data.pid = bpf_get_current_pid_tgid() >> 32;
	data.retval = PT_REGS_RC(ctx);
	events.perf_submit(ctx, &data, sizeof(data));
	return 0;
}
