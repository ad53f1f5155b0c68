/* What skep itself must see of a process's system calls, beside the user's programs: new executable mappings, exec,
 * threads and processes that come and go, filters that are put in force. And the cache of what a program may ask about
 * the current thread.
 *
 * The cache. A thread is found by its FS base: no two running threads of a process share one, but a vfork child and its
 * sleeping parent. The table is private memory that is empty in a forked child. A thread that makes another one
 * prepares the slot of its FS base, with the place where the kernel will have put the new number before the thread
 * runs: so a new thread need not ask. What else is not known is asked for once, with five system calls.
 *
 * FS base. Where user code may not read it (old kernels, virtual machines that hide the instruction) the word that it
 * points to must do: the psABI has every thread keep its own address there. Only a process that was seen to do so is
 * believed: when it sets its FS base, and for each new thread, the word is looked at before anybody depends on it. If it is
 * something else there is no cache, and helpers ask the system. (Under a filter new threads cannot be looked at any more:
 * they are taken to be like those before.)
 *
 * Filters. When a seccomp filter of the program's own is in force, a call that it does not expect may kill the process.
 * From then on nothing here makes any (env->silent), helpers neither (RUN_NO_SYSCALLS). Numbers of new threads and
 * processes are read from where the kernel puts them; where it does not, the process's last known ones must do.
 *
 * All of this may be interrupted by a signal handler that comes here too, or left by longjmp: every store leaves a
 * table that is right or says «not known». */
#include "hook/target/target.h"
#include "map/map.h"
#include <asm/unistd.h>

enum {
	PROT_EXEC_ = 4, MAP_TYPE_ = 15, MAP_PRIVATE_ = 2,
	CLONE_VM_ = 0x100, CLONE_THREAD_ = 0x10000, CLONE_SETTLS_ = 0x80000, CLONE_PARENT_SETTID_ = 0x100000,
	CLONE_CHILD_SETTID_ = 0x1000000, CLONE_NEWPID_ = 0x20000000,
	PR_SET_NAME_ = 15, PR_GET_NAME_ = 16, PR_SET_SECCOMP_ = 22,
	SECCOMP_SET_MODE_FILTER_ = 1, ARCH_SET_FS_ = 0x1002,
	PROBES = 8,
};

/* Memory that may not be there. */
static bool peek(u64 at, void *to, u64 n) {
	struct {
		u64 at, size;
	} here = {(u64)to, n}, there = {at, n};
	u64 pid = env->silent ? 0 : (u64)target_syscall3(__NR_getpid, 0, 0, 0);
	return pid && target_syscall(__NR_process_vm_readv, pid, (u64)&here, 1, (u64)&there, 1, 0) == (s64)n;
}

/* The two forms of clone, and fork, as one. */
struct birth {
	u64 flags, tls;
	const u32 *parent_tid, *child_tid;
};
enum { CLONE_ARGS_BYTES = 64 };
static struct birth birth_from(const u64 *a) { /* struct clone_args */
	return (struct birth){a[0], a[7], (const u32 *)a[3], (const u32 *)a[2]};
}
/* sure: the call was made and succeeded, so its arguments can be read. */
static struct birth birth_of(const struct pt_regs *r, bool sure) {
	u64 a[8];
	if (r->orig_ax == __NR_clone)
		return (struct birth){r->di, r->r8, (const u32 *)r->dx, (const u32 *)r->r10};
	if (r->orig_ax == __NR_clone3 && sure)
		return birth_from((const u64 *)r->di);
	if (r->orig_ax == __NR_clone3 && r->si >= CLONE_ARGS_BYTES && peek(r->di, a, sizeof a))
		return birth_from(a);
	return (struct birth){.flags = r->orig_ax == __NR_vfork ? CLONE_VM_ : 0};
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

static bool can_read_fs(void) {
	return session.features & FEATURE_FSGSBASE;
}
static bool has_slots(void) {
	return can_read_fs() || READ_ONCE(env->self_pointers) == SELF_ALL;
}
static u64 fs_base(void) { /* has_slots */
	u64 fs;
	if (can_read_fs())
		__asm__ volatile("rdfsbase %0" : "=r"(fs));
	else
		__asm__ volatile("mov %%fs:0, %0" : "=r"(fs));
	return fs;
}
static bool points_to_itself(u64 fs) {
	u64 word;
	return fs && peek(fs, &word, sizeof word) && word == fs;
}
static u64 slot_hash(u64 fs) {
	return (fs >> 6) * 0x9e3779b97f4a7c15ull >> 54;
}

/* The slot of the thread with this FS base; NULL when there is none and none is free. */
static struct thread_slot *slot_of(u64 fs, bool make) {
	u64 key = fs | 1, h = slot_hash(fs);
	for (u32 i = 0; i < PROBES; i++) {
		struct thread_slot *s = &slots->slot[(h + i) % THREAD_SLOTS];
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

static void slot_store(struct thread_slot *s, const struct run_task *t) {
	store_release(&s->task.tid, 0);
	s->task.pid = t->pid, s->task.uid = t->uid, s->task.gid = t->gid;
	__builtin_memcpy(s->task.comm, t->comm, sizeof t->comm);
	store_release(&s->task.tid, t->tid); /* last: a signal handler in between sees a slot that is not known */
}

static NOINLINE struct run_task ask(void) {
	struct run_task t = {0};
	t.pid = (u32)target_syscall3(__NR_getpid, 0, 0, 0);
	t.uid = (u32)target_syscall3(__NR_getuid, 0, 0, 0);
	t.gid = (u32)target_syscall3(__NR_getgid, 0, 0, 0);
	target_syscall3(__NR_prctl, PR_GET_NAME_, t.comm, 0);
	t.tid = (u32)target_syscall3(__NR_gettid, 0, 0, 0);
	env->last = t;
	return t;
}

static void slot_fill(struct thread_slot *s) {
	const u32 *tid_at = s->tid_at;
	if (tid_at && env->last.pid) {
		struct run_task t = env->last;
		t.tid = READ_ONCE(*tid_at);
		slot_store(s, &t);
	} else if (!env->silent) {
		struct run_task t = ask();
		slot_store(s, &t);
	}
}

/* Of the current thread, or NULL: then helpers ask the system. */
const struct run_task *task_current(void) {
	struct thread_slot *s = has_slots() ? slot_of(fs_base(), true) : NULL;
	if (likely(s && load_acquire(&s->task.tid)))
		return &s->task;
	if (s)
		slot_fill(s);
	if (s && s->task.tid)
		return &s->task;
	return env->silent ? &env->last : NULL;
}

/* The key stays: other keys may lie behind it. */
static void slot_forget(u64 fs) {
	struct thread_slot *s = has_slots() ? slot_of(fs, false) : NULL;
	if (s)
		store_release(&s->task.tid, 0), store_release(&s->tid_at, NULL);
}
static void forget_current(void) {
	if (has_slots())
		slot_forget(fs_base());
}

/* ---- threads and processes --------------------------------------------------------------------------------------- */

/* Is this word part of the thread's own block? Only there libraries leave the number that the kernel stored, and only there
 * the word surely exists: clone succeeds whatever pointer it is given. */
static bool in_own_block(const u32 *word, u64 fs) {
	enum { BLOCK = 4096 };
	return fs && (u64)word - fs < BLOCK;
}

static void before_birth(const struct birth *b) {
	bool odd = b->flags & CLONE_SETTLS_ && !env->silent && !points_to_itself(b->tls);
	if (!can_read_fs() && b->flags & CLONE_VM_ && (!has_slots() || odd))
		store_release(&env->self_pointers, SELF_NEVER); /* that thread must not look there */
	if (!(b->flags & CLONE_SETTLS_) || !has_slots())
		return;
	struct thread_slot *s = slot_of(b->tls, b->flags & CLONE_THREAD_);
	if (!s)
		return;
	store_release(&s->task.tid, 0);
	bool known = (b->flags & (CLONE_THREAD_ | CLONE_PARENT_SETTID_)) == (CLONE_THREAD_ | CLONE_PARENT_SETTID_) &&
	             in_own_block(b->parent_tid, b->tls);
	store_release(&s->tid_at, known ? b->parent_tid : NULL);
}

/* A new process takes a number of its own for the words in maps that say who is in the middle of something. skep must be
 * able to tell whether it lives, so not in namespaces of process numbers. */
static void new_participant(u32 pid) {
	if (env->nameless || !pid || pid == 1) {
		env->nameless = 1, env->run.participant = 0;
		return;
	}
	u32 n = __atomic_fetch_add(&shared->participants, 1, __ATOMIC_RELAXED) % PARTICIPANT_MAX + 1;
	store_release(&shared->participant[n % PARTICIPANT_CELLS], (u64)n << 32 | pid);
	env->run.participant = n;
}

/* In the child of a fork: its memory is its own, and its slots are empty. */
static void new_process(const struct birth *b) {
	bool known = b->flags & CLONE_CHILD_SETTID_ && has_slots() && in_own_block(b->child_tid, fs_base());
	u32 pid = known ? READ_ONCE(*b->child_tid) : 0;
	if (!pid && !env->silent)
		pid = (u32)target_syscall3(__NR_getpid, 0, 0, 0);
	if (b->flags & CLONE_NEWPID_)
		env->nameless = 1;
	new_participant(pid);
	env->run.pid = env->silent ? pid : 0;
	env->last.pid = env->last.tid = pid;
	struct thread_slot *s = pid && has_slots() ? slot_of(fs_base(), true) : NULL;
	if (s && env->last.comm[0])
		slot_store(s, &env->last);
}

static void after_birth(const struct pt_regs *r) {
	struct thread_slot *s;
	if (r->ax == 0 && !slots->kept) { /* a child with memory of its own */
		struct birth b = birth_of(r, true);
		slots->kept = 1;
		new_process(&b);
	} else if (r->ax == 0) {
		/* A new thread has a slot that says nothing yet, or none. A child that shares memory and FS base with its
		 * sleeping parent finds that one's. */
		if (!has_slots())
			store_release(&env->self_pointers, SELF_NEVER);
		s = has_slots() ? slot_of(fs_base(), false) : NULL;
		if (s && s->task.tid)
			forget_current();
	} else if (r->ax <= -4096ul) {
		struct birth b = birth_of(r, true);
		if (!(b.flags & CLONE_THREAD_))
			__atomic_fetch_add(&shared->forks, 1, __ATOMIC_RELAXED);
		if (b.flags & CLONE_VM_ && !(b.flags & CLONE_SETTLS_))
			forget_current(); /* the child has used it */
	}
}

/* ---- names and filters ------------------------------------------------------------------------------------------- */

static void set_name(const char *name) {
	struct thread_slot *s = has_slots() ? slot_of(fs_base(), false) : NULL;
	bool end = false;
	for (u32 i = 0; s && i < sizeof s->task.comm; i++) { /* the kernel has read it up to its end just now */
		char c = end || i == sizeof s->task.comm - 1 ? 0 : name[i];
		end |= !c;
		s->task.comm[i] = c;
	}
	if (s && s->task.tid == env->last.tid)
		env->last = s->task;
}

/* A filter is in force: from now on not a single call. Called when the call that installs it is about to be made, so that
 * what must be asked is known. */
static void before_filter(void) {
	const struct run_task *t = task_current();
	if (t)
		env->last = *t;
	else
		ask();
}
static void after_filter(void) {
	env->run.pid = env->last.pid;
	env->run.flags |= RUN_NO_SYSCALLS;
	store_release(&env->silent, 1);
}
static bool sets_filter(const struct pt_regs *r) {
	return r->orig_ax == __NR_seccomp ? r->di <= SECCOMP_SET_MODE_FILTER_
									  : r->orig_ax == __NR_prctl && r->di == PR_SET_SECCOMP_;
}

/* ---- the hooks --------------------------------------------------------------------------------------------------- */

void machine_enter(struct pt_regs *r) {
	switch (r->orig_ax) {
	case __NR_execve:
		mail_ask(ASK_EXEC, r->di, (u64)AT_CWD, 0, __NR_execve, 0);
		break;
	case __NR_execveat:
		mail_ask(ASK_EXEC, r->si, r->di, r->r8, __NR_execveat, 0);
		break;
	case __NR_exit: /* the next thread may get the same FS base */
		forget_current();
		break;
	case __NR_clone:
	case __NR_clone3: {
		struct birth b = birth_of(r, false);
		before_birth(&b);
		break;
	}
	case __NR_prctl:
	case __NR_seccomp:
		if (sets_filter(r))
			before_filter();
		break;
	}
}

/* Before the programs see a call's return: who the thread is now, and what may still be asked. After vfork the parent finds
 * what its child has left in the slot that they share. */
void machine_left(struct pt_regs *r) {
	bool failed = r->ax > -4096ul;
	switch (r->orig_ax) {
	case __NR_fork:
	case __NR_vfork:
	case __NR_clone:
	case __NR_clone3:
		after_birth(r);
		break;
	case __NR_prctl:
		if (!failed && r->di == PR_SET_NAME_)
			set_name((const char *)r->si);
		/* fall through */
	case __NR_seccomp:
		if (!failed && sets_filter(r))
			after_filter();
		break;
	case __NR_arch_prctl:
		if (!failed && r->di == ARCH_SET_FS_ && !can_read_fs() && env->self_pointers != SELF_NEVER)
			store_release(&env->self_pointers, points_to_itself(r->si) ? SELF_ALL : SELF_NEVER);
		break;
	case __NR_unshare:
		if (!failed && r->di & CLONE_NEWPID_)
			env->nameless = 1;
		/* fall through */
	case __NR_setns:
	case __NR_setuid:
	case __NR_setgid:
	case __NR_setreuid:
	case __NR_setregid:
	case __NR_setresuid:
	case __NR_setresgid:
		env->last.pid = 0;
		forget_current();
		break;
	}
}

/* Behind the programs: what skep has to be told. The wait is not part of what they see. */
void machine_leave(struct pt_regs *r) {
	bool failed = r->ax > -4096ul;
	switch (r->orig_ax) {
	case __NR_mmap:
		/* Not of shared mappings: jumps would go into the file. */
		if (!failed && r->dx & PROT_EXEC_ && (r->r10 & MAP_TYPE_) == MAP_PRIVATE_ && (s32)r->r8 >= 0)
			mail_ask(ASK_MAPPED, r->ax, r->si, r->r8, r->r9, r->r10);
		break;
	case __NR_execve:
	case __NR_execveat:
		if (failed) /* else this is the new image */
			mail_ask(ASK_EXEC_FAILED, 0, 0, 0, 0, 0);
		break;
	}
}
