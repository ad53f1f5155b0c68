/* Mistake 6: a loop whose end the verifier cannot see: the list may be as long as it likes. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("kprobe/__x64_sys_getpid")
int count_ancestors(struct pt_regs *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int depth = 0;

	while (task) {
		if (bpf_probe_read_kernel(&task, sizeof(task), &task->real_parent))
			break;
		depth++;
	}
	bpf_printk("%d ancestors", depth);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
