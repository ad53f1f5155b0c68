/* skep's side of the mailbox (target/mail.c): requests of threads that sleep until they are answered. */
#ifndef SKEP_HOOK_MAILBOX_H
#define SKEP_HOOK_MAILBOX_H
#include "hook/session.h"
#include <sys/types.h>

/* A request as skep took it: a copy, because targets can change the original. */
struct mail {
	u32 slot, kind;
	u32 owner;      /* the thread as it calls itself: what stands in the slot */
	pid_t pid, tid; /* as the target says; requests.c turns them into our numbers */
	u64 ticket, arg[6];
	struct session_state *session;
};
/* Takes the next request that waits; *from is where to look first, and where to look next time. */
bool mail_take(struct session_state *s, u32 *from, struct mail *out);
/* The thread sleeps for this request still. */
bool mail_waits(const struct mail *m);
/* Has the sleeping thread make system calls. Results in ret. 0, -ESRCH when it went away. */
int mail_call(const struct mail *m, const struct remote_call *calls, u32 n, s64 *ret);
void mail_done(const struct mail *m);
/* Frees slots whose thread died in its sleep: those that have not changed for longer than any thread waits. */
struct mail_watch {
	u64 ticket, since_ms;
	u32 owner;
};
void mail_reap(struct session_state *s, struct mail_watch *watch, u64 now_ms);
#endif
