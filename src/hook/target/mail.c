/* Requests of a thread to skep. The thread sleeps; while it sleeps skep may have it make system calls. Nobody stops
 * anybody, so a skep that dies leaves threads that wake up by themselves.
 *
 * A request slot is claimed by storing one's tid. The ticket (a time stamp) tells an answer from one that was meant for an
 * earlier holder of the slot. All signals are blocked meanwhile: a handler must not leave by longjmp. */
#include "hook/target/target.h"
#include <asm/unistd.h>

enum { FUTEX_WAIT_OP = 0, FUTEX_WAKE_OP = 1, EAGAIN_ = 11 };
enum { WAIT_NS = 300000000, WAITS_DEAD = 4, WAITS_MAX = 100 };

static u64 now(void) {
	u32 low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

static void ring(u32 *word) {
	__atomic_fetch_add(word, 1, __ATOMIC_ACQ_REL);
	target_syscall(__NR_futex, (u64)word, FUTEX_WAKE_OP, 1, 0, 0, 0);
}

static struct request *claim(u32 tid) {
	for (int tries = 0; tries < 1000; tries++) {
		for (u32 i = 0; i < REQUESTS; i++) {
			u32 none = 0;
			if (__atomic_compare_exchange_n(&shared->request[i].owner, &none, tid, 0, __ATOMIC_ACQ_REL,
			                                __ATOMIC_RELAXED))
				return &shared->request[i];
		}
		s64 ms[2] = {0, 1000000};
		target_syscall3(__NR_nanosleep, ms, 0, 0);
	}
	return NULL;
}

/* Sleeps until the reply's sequence number moves on from seq. False when skep is dead or does not come to it. */
static bool await(const struct reply *a, u32 seq) {
	u32 beat = load_acquire(&tables->beat), dead = 0;
	for (u32 waits = 0; waits < WAITS_MAX; waits++) {
		s64 second[2] = {0, WAIT_NS};
		if (load_acquire(&a->seq) != seq)
			return true;
		s64 got = target_syscall(__NR_futex, (u64)&a->seq, FUTEX_WAIT_OP, seq, (u64)second, 0, 0);
		if (load_acquire(&a->seq) != seq)
			return true;
		if (load_acquire(&shared->orphaned))
			return false;
		if (got != -110 /* ETIMEDOUT */)
			continue;
		if (load_acquire(&tables->beat) != beat)
			dead = 0, beat = load_acquire(&tables->beat);
		else if (++dead >= WAITS_DEAD) {
			store_release(&shared->orphaned, 1); /* nobody waits again until skep clears it */
			return false;
		}
	}
	return false;
}

static void make_calls(struct request *q, const struct reply *a) {
	u32 n = MIN(a->calls, (u32)CALLS_MAX);
	for (u32 i = 0; i < n; i++) {
		const struct remote_call *c = &a->call[i];
		s64 ret = target_syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], c->arg[5]);
		q->ret[i] = ret;
		if (ret != (s64)c->expect)
			break;
	}
}

static int converse(struct request *q, const struct reply *a, u64 ticket) {
	u32 seq = load_acquire(&a->seq);
	store_release(&q->state, REQUEST_ASKED);
	ring(&shared->doorbell);
	for (;;) {
		if (!await(a, seq))
			return -EAGAIN_;
		seq = load_acquire(&a->seq);
		if (READ_ONCE(a->ticket) != ticket)
			continue; /* meant for an earlier holder of this slot */
		if (READ_ONCE(a->op) != REPLY_CALL)
			return 0;
		make_calls(q, a);
		store_release(&q->state, REQUEST_CALLED);
		target_syscall(__NR_futex, (u64)&q->state, FUTEX_WAKE_OP, 1, 0, 0, 0);
	}
}

int mail_ask(u32 kind, u64 a, u64 b, u64 c, u64 d, u64 e) {
	u64 all = ~0ull, old;
	if (load_acquire(&shared->orphaned) || env->silent) {
		__atomic_fetch_add(&shared->missed_requests, 1, __ATOMIC_RELAXED);
		return -EAGAIN_;
	}
	target_syscall(__NR_rt_sigprocmask, 0, (u64)&all, (u64)&old, 8, 0, 0);
	u32 tid = (u32)target_syscall3(__NR_gettid, 0, 0, 0);
	struct request *q = claim(tid);
	int got = -EAGAIN_;
	if (q) {
		q->pid = (u32)target_syscall3(__NR_getpid, 0, 0, 0), q->kind = kind;
		q->ticket = now();
		q->arg[0] = a, q->arg[1] = b, q->arg[2] = c, q->arg[3] = d, q->arg[4] = e;
		got = converse(q, &tables->reply[q - shared->request], q->ticket);
		store_release(&q->state, REQUEST_FREE);
		store_release(&q->owner, 0);
	}
	target_syscall(__NR_rt_sigprocmask, 2, (u64)&old, 0, 8, 0, 0);
	return got;
}
