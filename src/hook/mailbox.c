#include "hook/mailbox.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_NS = 20000000, WAITS_MAX = 100, DEAD_MS = 40000 /* threads wait 30 s at most: target/mail.c */ };

static void wake(u32 *word) {
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool mail_take(struct session_state *s, u32 *from, struct mail *out) {
	ASSERT(*from < REQUESTS);
	for (u32 k = 0; k < REQUESTS; k++) {
		u32 i = (*from + k) % REQUESTS;
		struct request *q = &s->shared->request[i];
		const struct reply *a = &s->tables->reply[i];
		u64 ticket = READ_ONCE(q->ticket);
		if (load_acquire(&q->state) != REQUEST_ASKED || (a->op == REPLY_DONE && a->ticket == ticket))
			continue;
		*out = (struct mail){.slot = i, .kind = READ_ONCE(q->kind), .pid = (pid_t)READ_ONCE(q->pid),
		                     .owner = READ_ONCE(q->owner), .ticket = ticket, .session = s};
		out->tid = (pid_t)out->owner;
		for (u32 n = 0; n < ARRAY_SIZE(out->arg); n++)
			out->arg[n] = READ_ONCE(q->arg[n]);
		*from = (i + 1) % REQUESTS;
		return true;
	}
	return false;
}

bool mail_waits(const struct mail *m) {
	ASSERT(m->slot < REQUESTS);
	const struct request *q = &m->session->shared->request[m->slot];
	return load_acquire(&q->owner) == m->owner && READ_ONCE(q->ticket) == m->ticket &&
	       load_acquire(&q->state) != REQUEST_FREE;
}

static void answer(const struct mail *m, u32 op) {
	ASSERT(m->slot < REQUESTS && (op == REPLY_CALL || op == REPLY_DONE));
	struct reply *a = &m->session->tables->reply[m->slot];
	a->op = op, a->ticket = m->ticket;
	store_release(&a->seq, a->seq + 1);
	wake(&a->seq);
}

int mail_call(const struct mail *m, const struct remote_call *calls, u32 n, s64 *ret) {
	struct request *q = &m->session->shared->request[m->slot];
	struct reply *a = &m->session->tables->reply[m->slot];
	ASSERT(n <= CALLS_MAX);
	if (!mail_waits(m))
		return -ESRCH;
	memcpy(a->call, calls, n * sizeof *calls);
	a->calls = n;
	store_release(&q->state, REQUEST_ASKED);
	answer(m, REPLY_CALL);
	for (u32 i = 0; i < WAITS_MAX; i++) {
		struct timespec t = {0, WAIT_NS};
		if (load_acquire(&q->state) == REQUEST_CALLED)
			break;
		syscall(SYS_futex, &q->state, FUTEX_WAIT, REQUEST_ASKED, &t, NULL, 0);
		if (load_acquire(&q->state) != REQUEST_CALLED && (!mail_waits(m) || (kill(m->pid, 0) && errno == ESRCH)))
			return -ESRCH;
	}
	if (load_acquire(&q->state) != REQUEST_CALLED)
		return -ETIMEDOUT;
	ASSERT(n <= CALLS_MAX);
	for (u32 i = 0; i < n; i++)
		ret[i] = READ_ONCE(q->ret[i]);
	return 0;
}

void mail_done(const struct mail *m) {
	answer(m, REPLY_DONE);
}

void mail_reap(struct session_state *s, struct mail_watch *watch, u64 now_ms) {
	for (u32 i = 0; i < REQUESTS; i++) {
		struct request *q = &s->shared->request[i];
		u32 owner = load_acquire(&q->owner);
		u64 ticket = READ_ONCE(q->ticket);
		if (!owner || owner != watch[i].owner || ticket != watch[i].ticket)
			watch[i] = (struct mail_watch){ticket, now_ms, owner};
		else if (now_ms - watch[i].since_ms > DEAD_MS) {
			store_release(&q->state, REQUEST_FREE);
			__atomic_compare_exchange_n(&q->owner, &owner, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
		}
	}
}
