// Values of the kernel's configuration and symbols of the kernel, strong and weak, present and absent.
#include "object.h"

extern unsigned LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_NET __kconfig;
extern char CONFIG_CC_VERSION_TEXT[64] __kconfig __attribute__((weak));
extern unsigned long CONFIG_HZ __kconfig __attribute__((weak));
extern int CONFIG_OF_NOBODY __kconfig __attribute__((weak));

struct rq {
	int cpu;
} __attribute__((preserve_access_index));
extern const int bpf_no_such_variable __ksym __attribute__((weak));
extern const void bpf_nobody_has_this __ksym __attribute__((weak));
extern const struct rq runqueues __ksym __attribute__((weak));
struct task_struct;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym __attribute__((weak));
extern int bpf_no_such_function(int x) __ksym __attribute__((weak));

__u64 out[8];

SEC("raw_tp/sys_enter")
int use(void *ctx) {
	out[0] = LINUX_KERNEL_VERSION;
	out[1] = CONFIG_BPF_SYSCALL;
	out[2] = CONFIG_NET;
	out[3] = (__u64)CONFIG_CC_VERSION_TEXT[0];
	out[4] = CONFIG_HZ;
	out[5] = (__u64)CONFIG_OF_NOBODY;
	out[6] = (__u64)&bpf_nobody_has_this;
	if (&bpf_no_such_variable)
		out[7] = 1;
	if (&runqueues)
		out[7] = 2;
	return 0;
}
SEC("raw_tp/sys_exit")
int call_absent(void *ctx) {
	return bpf_no_such_function(1); /* refused where it is not */
}
char _license[] SEC("license") = "GPL";
