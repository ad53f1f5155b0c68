/* Who runs: process, thread, user, name, CPU. run->task has it where whoever entered the program knew; else the system is
 * asked. In namespaces these are the numbers of the target's own. */
#include "abi/dataplane.h"
#include "base/syscall.h"
#include "map/map.h"
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/prctl.h>

u64 helper_get_smp_processor_id(DP_ARGS) {
	return run->cpu;
}
u64 helper_get_current_pid_tgid(DP_ARGS) {
	const struct run_task *task = run->task;
	if (likely(task != NULL))
		return (u64)task->pid << 32 | task->tid;
	u32 pid = run->env->pid ? run->env->pid : raw_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
	return (u64)pid << 32 | (u32)raw_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
}
u64 helper_get_current_uid_gid(DP_ARGS) {
	const struct run_task *task = run->task;
	if (likely(task != NULL))
		return (u64)task->gid << 32 | task->uid;
	return (u64)(u32)raw_syscall(__NR_getgid, 0, 0, 0, 0, 0, 0) << 32 |
	       (u32)raw_syscall(__NR_getuid, 0, 0, 0, 0, 0, 0);
}
/* r1 = buffer, r2 = its size. */
u64 helper_get_current_comm(DP_ARGS) {
	char comm[16] = {0}, *to = (char *)r1;
	u32 size = r2;
	if (run->task)
		__builtin_memcpy(comm, run->task->comm, sizeof comm);
	else if (raw_syscall(__NR_prctl, PR_GET_NAME, (u64)comm, 0, 0, 0, 0))
		comm[0] = 0;
	comm[15] = 0;
	/* As strscpy_pad: cut and terminated, the rest zero. */
	bool end = false;
	for (u32 i = 0; i < size; i++) {
		char c = i < sizeof comm && !end && i + 1 < size ? comm[i] : 0;
		end |= !c;
		to[i] = c;
	}
	return 0;
}
u64 helper_get_attach_cookie(DP_ARGS) {
	return run->cookie;
}
u64 helper_get_numa_node_id(DP_ARGS) {
	u32 cpu = 0, node = 0;
	raw_syscall(__NR_getcpu, (u64)&cpu, (u64)&node, 0, 0, 0, 0);
	return node;
}

/* r1 = device, r2 = inode of a pid namespace, r3 = struct bpf_pidns_info, r4 = its size: it must be the current one. */
u64 helper_get_ns_current_pid_tgid(DP_ARGS) {
	struct bpf_pidns_info *out = (void *)r3;
	struct statx at;
	static const char path[] = "/proc/self/ns/pid";
	if ((u32)r4 == sizeof *out && r1 == (u32)r1 && !(run->env->flags & RUN_NO_SYSCALLS) &&
	    !raw_syscall(__NR_statx, AT_FDCWD, (u64)path, 0, STATX_INO, (u64)&at, 0) && at.stx_ino == r2 &&
	    ((u64)at.stx_dev_major << 20 | at.stx_dev_minor) == r1) {
		out->pid = raw_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
		out->tgid = raw_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
		return 0;
	}
	__builtin_memset(out, 0, (u32)r4);
	return -EINVAL;
}

static u64 cycles(void) {
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	u64 t;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#endif
}
/* splitmix64 over the cycle counter and a count in the run: no state that is shared or kept, good enough for sampling. */
u64 helper_get_prandom_u32(DP_ARGS) {
	run->random += 0x9e3779b97f4a7c15ull;
	u64 x = cycles() + run->random + (u64)run;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (u32)(x ^ x >> 31);
}
