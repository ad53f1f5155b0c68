/* What skep itself must see of a process's system calls, beside the user's programs: new executable mappings, exec,
 * threads that come and go. And the cache of what a program may ask about the current thread. */
#include "hook/target/target.h"
#include <asm/unistd.h>

enum { PROT_EXEC_ = 4, CLONE_SETTLS_ = 0x80000, PR_GET_NAME_ = 16, PR_SET_NAME_ = 15, PROBES = 8 };

static u64 fs_base(void) {
	u64 fs;
	__asm__ volatile("rdfsbase %0" : "=r"(fs));
	return fs;
}
static u64 slot_hash(u64 fs) {
	return (fs >> 6) * 0x9e3779b97f4a7c15ull >> 54;
}

/* The slot of the thread with this FS base; NULL when there is none and none is free. */
static struct thread_slot *slot_of(u64 fs, bool make) {
	u64 key = fs | 1, h = slot_hash(fs);
	for (u32 i = 0; i < PROBES; i++) {
		struct thread_slot *s = &slots[(h + i) % THREAD_SLOTS];
		u64 k = load_acquire(&s->key);
		if (k == key)
			return s;
		if (k == 0) {
			if (!make)
				return NULL;
			if (__atomic_compare_exchange_n(&s->key, &k, key, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) || k == key)
				return s;
		}
	}
	return NULL;
}
static void slot_forget(u64 fs) {
	struct thread_slot *s = slot_of(fs, false);
	if (s)
		store_release(&s->task.tid, 0); /* the key stays: other keys may lie behind it */
}
static NOINLINE void slot_fill(struct thread_slot *s) {
	struct run_task t = {0};
	t.pid = (u32)target_syscall3(__NR_getpid, 0, 0, 0);
	t.uid = (u32)target_syscall3(__NR_getuid, 0, 0, 0);
	t.gid = (u32)target_syscall3(__NR_getgid, 0, 0, 0);
	target_syscall3(__NR_prctl, PR_GET_NAME_, t.comm, 0);
	u32 tid = (u32)target_syscall3(__NR_gettid, 0, 0, 0);
	store_release(&s->task.tid, 0);
	s->task.pid = t.pid, s->task.uid = t.uid, s->task.gid = t.gid;
	__builtin_memcpy(s->task.comm, t.comm, sizeof t.comm);
	store_release(&s->task.tid, tid); /* last: a signal handler in between sees an empty slot and fills it */
}

/* Of the current thread, or NULL: then helpers ask the system. */
const struct run_task *task_current(void) {
	if (!(session.features & FEATURE_FSGSBASE))
		return NULL;
	struct thread_slot *s = slot_of(fs_base(), true);
	if (unlikely(!s))
		return NULL;
	if (unlikely(!load_acquire(&s->task.tid)))
		slot_fill(s);
	return &s->task;
}

static void forget_current(void) {
	if (session.features & FEATURE_FSGSBASE)
		slot_forget(fs_base());
}

void machine_enter(struct pt_regs *r) {
	switch (r->orig_ax) {
	case __NR_execve:
		mail_ask(ASK_EXEC, r->di, (u64)AT_CWD, 0, 0, 0);
		break;
	case __NR_execveat:
		mail_ask(ASK_EXEC, r->si, r->di, r->r8, 0, 0);
		break;
	case __NR_exit: /* the next thread may get the same FS base */
		forget_current();
		break;
	case __NR_clone: /* so may the thread that is being made */
		if (r->di & CLONE_SETTLS_ && session.features & FEATURE_FSGSBASE)
			slot_forget(r->r8);
		break;
	}
}

void machine_leave(struct pt_regs *r) {
	bool failed = r->ax > -4096ul;
	switch (r->orig_ax) {
	case __NR_mmap:
		if (!failed && r->dx & PROT_EXEC_ && (s32)r->r8 >= 0)
			mail_ask(ASK_MAPPED, r->ax, r->si, r->r8, r->r9, r->r10);
		break;
	case __NR_execve:
	case __NR_execveat:
		mail_ask(ASK_EXEC_FAILED, 0, 0, 0, 0, 0);
		break;
	case __NR_fork:
	case __NR_vfork:
	case __NR_clone:
	case __NR_clone3: /* both in the parent (a vfork child used its slot) and in the child (it has its parent's) */
		if (r->ax == 0)
			__atomic_fetch_add(&shared->forks, 1, __ATOMIC_RELAXED);
		forget_current();
		break;
	case __NR_prctl:
	case __NR_setuid:
	case __NR_setgid:
	case __NR_setreuid:
	case __NR_setregid:
	case __NR_setresuid:
	case __NR_setresgid:
	case __NR_unshare:
	case __NR_setns:
		forget_current();
		break;
	}
}
