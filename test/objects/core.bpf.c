// Every kind of CO-RE relocation, against types that any kernel has, flavours, and some that none has.
#include "object.h"
#include <bpf/bpf_core_read.h>

#define CORE __attribute__((preserve_access_index))
struct list_head {
	struct list_head *next;
} CORE;
struct task_struct {
	int pid, tgid;
	char comm[16];
	struct task_struct *real_parent, *group_leader;
	struct list_head tasks;
	unsigned sched_reset_on_fork : 1;
	int not_in_any_kernel;
} CORE;
struct task_struct___flavoured {
	long state;
	int __state;
} CORE;
struct sk_buff {
	unsigned len;
	__u8 pkt_type : 3;
	__u8 cloned : 1;
} CORE;
struct missing_type_of_nobody {
	int x;
} CORE;
typedef unsigned long size_type;
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_NEVER };
union missing_union {
	int a;
} CORE;
struct thread_group {
	struct {
		int inner[4];
	};
} CORE;

struct result {
	__u64 v[32];
};
struct result out;

SEC("raw_tracepoint/sys_enter")
int relocate(struct bpf_raw_tracepoint_args *ctx) {
	struct task_struct *t = (void *)bpf_get_current_task();
	struct task_struct___flavoured *f = (void *)t;
	struct sk_buff *skb = (void *)ctx->args[0];
	__u32 i = 0;
	out.v[i++] = (__u64)BPF_CORE_READ(t, real_parent, tgid);
	out.v[i++] = (__u64)BPF_CORE_READ(t, tasks.next, next);
	out.v[i++] = (__u64)BPF_CORE_READ(t, comm[3]);
	out.v[i++] = bpf_core_field_exists(t->not_in_any_kernel);
	out.v[i++] = bpf_core_field_exists(f->__state);
	out.v[i++] = bpf_core_field_exists(f->state) ? (__u64)BPF_CORE_READ(f, state) : 0;
	out.v[i++] = bpf_core_field_size(t->comm);
	out.v[i++] = bpf_core_field_size(f->__state);
	out.v[i++] = BPF_CORE_READ_BITFIELD_PROBED(t, sched_reset_on_fork);
	out.v[i++] = BPF_CORE_READ_BITFIELD_PROBED(skb, cloned);
	out.v[i++] = bpf_core_type_exists(struct task_struct);
	out.v[i++] = bpf_core_type_exists(struct missing_type_of_nobody);
	out.v[i++] = bpf_core_type_exists(union missing_union);
	out.v[i++] = bpf_core_type_size(struct sk_buff);
	out.v[i++] = bpf_core_type_size(struct missing_type_of_nobody);
	out.v[i++] = bpf_core_type_id_local(struct task_struct);
	out.v[i++] = bpf_core_type_id_kernel(struct list_head);
	out.v[i++] = bpf_core_enum_value_exists(enum pid_type, PIDTYPE_TGID);
	out.v[i++] = bpf_core_enum_value_exists(enum pid_type, PIDTYPE_NEVER);
	out.v[i++] = bpf_core_enum_value(enum pid_type, PIDTYPE_TGID);
#if defined(bpf_core_type_matches) && __clang_major__ >= 15
	out.v[i++] = bpf_core_type_matches(struct list_head);
	out.v[i++] = bpf_core_type_matches(struct sk_buff);
#endif
	if (bpf_core_field_exists(t->not_in_any_kernel)) /* dead where it does not exist */
		out.v[i++] = (__u64)BPF_CORE_READ(t, not_in_any_kernel);
	return 0;
}
SEC("raw_tracepoint/sys_exit")
int unreachable_field(struct bpf_raw_tracepoint_args *ctx) {
	struct task_struct *t = (void *)bpf_get_current_task();
	return (int)BPF_CORE_READ(t, not_in_any_kernel); /* refused: the kernel meets a poisoned instruction */
}
char _license[] SEC("license") = "GPL";
