/* Tracepoint records with pointers and flags; constants of the kernel's headers. */
#include <uapi/linux/ptrace.h>
#include <uapi/linux/limits.h>
#include <linux/fcntl.h>
#include <linux/sched.h>
struct val_t {
	u64 id;
	char comm[TASK_COMM_LEN];
	const char *fname;
	int flags;
};
struct data_t {
	u64 id;
	u32 uid;
	int ret;
	char comm[TASK_COMM_LEN];
	char name[NAME_MAX];
	int flags;
	bool creates;
};
BPF_PERF_OUTPUT(events);
BPF_HASH(infotmp, u64, struct val_t);

TRACEPOINT_PROBE(syscalls, sys_enter_openat) {
	struct val_t val = {};
	u64 id = bpf_get_current_pid_tgid();
	if (bpf_get_current_comm(&val.comm, sizeof(val.comm)) == 0 && args->dfd == AT_FDCWD) {
		val.id = id;
		val.fname = args->filename;
		val.flags = args->flags;
		infotmp.update(&id, &val);
	}
	return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_openat) {
	u64 id = bpf_get_current_pid_tgid();
	struct data_t data = {};
	struct val_t *valp = infotmp.lookup(&id);
	if (valp == 0)
		return 0;
	bpf_probe_read_kernel(&data.comm, sizeof(data.comm), valp->comm);
	bpf_probe_read_user_str(&data.name, sizeof(data.name), (void *)valp->fname);
	data.id = valp->id;
	data.uid = bpf_get_current_uid_gid();
	data.flags = valp->flags;
	data.creates = valp->flags & O_CREAT || (valp->flags & O_TMPFILE) == O_TMPFILE;
	data.ret = args->ret;
	events.perf_submit(args, &data, sizeof(data));
	infotmp.delete(&id);
	return 0;
}
