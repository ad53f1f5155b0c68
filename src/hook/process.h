/* Another process: its memory, and the way of our files into a fresh image. */
#ifndef SKEP_HOOK_PROCESS_H
#define SKEP_HOOK_PROCESS_H
#include "hook/target/shared.h"
#include <sys/types.h>

struct process {
	pid_t pid;
	int mem; /* /proc/PID/mem */
};
/* 0 or negative errno. */
int process_open(struct process *p, pid_t pid);
void process_close(struct process *p);
int process_read(const struct process *p, u64 at, void *to, u64 n);
int process_write(const struct process *p, u64 at, const void *from, u64 n);

/* The first bytes of a file under /proc/PID, as a string: their number, or negative errno. */
int process_proc(pid_t pid, const char *name, char *to, u32 room);

/* What the kernel told the new image about itself. Zero: absent. */
struct auxv {
	u64 phdr, entry, base, vdso, secure;
};
int process_auxv(pid_t pid, struct auxv *out);

/* What must be handed over, and where it goes. */
struct handover {
	const int *fds;
	u32 fds_n;
	u64 window, code_size, boot; /* addresses in the target */
	u64 leave, nr;               /* what the exec's exit calls, 0 = nothing, and the exec's number */
	const u8 *loader;            /* position independent code; see target/entry.S */
	u32 loader_size, loader_by_path;
	bool by_path;                /* the target can open our descriptors under /proc, or there is no other way */
	struct boot_island island[BOOT_ISLANDS_MAX];
	int ended;                   /* out, with START_GONE: its wait status, or -1: nobody has waited for it yet */
};
/* Where the loader was written, to be put back. */
enum { LOADER_MAX = 320 };
struct loader_place {
	u64 at;
	u8 bytes[LOADER_MAX];
	u32 n;
};
enum start_result { START_OK, START_GONE, START_32BIT, START_FAILED };

/* pid is at its exec event, seized by the calling thread. Starts the loader and detaches: the new image maps the code
 * segment and calls boot, or starts without. place.n stays 0 when nothing was written. h->by_path is set when pidfd_getfd
 * was refused. */
enum start_result process_start_loader(pid_t pid, struct handover *h, u64 room, struct loader_place *place,
                                       char *why, u32 why_size);
/* Detaches a thread that runs or sleeps: interrupts it first. -ESRCH: it was killed; status as in handover.ended. */
int process_release(pid_t tid, int *status);
/* Waits for the next stop of a traced thread: 0, or negative errno when it is gone; status as wait gives it. */
int process_wait(pid_t tid, int *status);
#endif
