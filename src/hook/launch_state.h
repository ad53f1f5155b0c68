/* A launch inside: what launch.c (start, end, the caller's side), arrival.c (hooking images), requests.c (what targets ask)
 * and stops.c (ptrace) share. All but the fields marked «caller» belong to the server thread once it runs; report is read
 * by the caller under the lock. */
#ifndef SKEP_HOOK_LAUNCH_STATE_H
#define SKEP_HOOK_LAUNCH_STATE_H
#include "hook/images.h"
#include "hook/launch.h"
#include "hook/mailbox.h"
#include "hook/process.h"
#include "hook/session.h"
#include "map/map.h"
#include <pthread.h>
#include <signal.h>

struct tracee { /* a thread that we have seized for its exec */
	pid_t tid, pid;
	u64 since_ns;
	u32 nr; /* execve or execveat; 0: the command's own exec, which skep makes */
};
struct arriving { /* an image of a process that boots, and where its island is to stand */
	struct hooked_image *image;
	struct placed_island *placed; /* NULL: no island could be made */
	u64 segment, at;
};
struct booting { /* a process that runs the loader */
	pid_t pid;
	u32 nr; /* as in struct tracee */
	u64 since_ms;
	char path[160];  /* of the program, for messages */
	struct loader_place place;
	struct auxv auxv;
	u64 room;        /* for the loader, 0 = none */
	bool by_path;    /* it opens our descriptors under /proc */
	struct arriving image[BOOT_ISLANDS_MAX];
	u32 images;
};
struct launch {
	struct session_state session;
	struct images images;
	u64 cookie;             /* stands in the private page of every process of the session */
	bool by_path_only;      /* pidfd_getfd is denied here */
	bool by_path_failed;    /* a process that should have been able to open our descriptors did not come */
	VEC(struct tracee) tracees;
	u64 exec_ns;            /* what it took from there to the exec, lately: when to look for the next */
	VEC(struct booting) booting;
	u32 next_slot;
	struct mail_watch watch[REQUESTS];
	u64 last_tick_ms, next_check_ms;
	bool deaths;            /* participants have died since the maps were checked */
	u8 dead[(PARTICIPANT_MAX + 8) / 8];
	char skep_filters[24];  /* number of seccomp filters of skep itself, as /proc shows it */
	bool filters_known, vdso_known;
	u64 vdso_clock, vdso_room; /* offsets in the vDSO: clock_gettime, room for the loader; 0 = none */

	pthread_t server;
	bool serving, stop;
	pthread_mutex_t lock;   /* report, child_* and started */
	pthread_cond_t changed;
	struct launch_report report;
	pid_t child;
	int child_status;       /* as wait gives it, when child_ended */
	bool child_ended, started;
	int start_error;
	char start_problem[256];

	const struct launch_opts *opts; /* until the child has started */
	sigset_t caller_mask;   /* what the child is to have */
	char *cache_dir;
	int event, child_fd, epoll; /* caller */
	bool detached;
	void (*log)(void *owner, const char *line);
	void *log_owner;
};

/* launch.c */
void launch_note(struct launch *l, const char *fmt, ...) PRINTF(2, 3);
/* An image that runs without hooks: counted, and the first one remembered for the report. count is a member of report. */
void launch_unhooked(struct launch *l, u64 *count, const char *path, const char *why);
u64 launch_now_ms(void);
u64 launch_now_ns(void);
/* What a process executes, for messages: "" when it is gone. */
void launch_path_of(pid_t pid, char *path, u32 room);

/* arrival.c. 0 or negative errno. */
/* At the exec stop: which images there are, and the places of their islands. */
int arrival_plan(struct launch *l, struct booting *b);
/* The thread behind m sleeps in its request. */
int arrival_boot(struct launch *l, const struct mail *m, const struct process *p, const struct booting *b);
int arrival_file(struct launch *l, const struct mail *m, const struct process *p, int fd, u64 off, u64 mapped_at);
/* What boot() itself is to map: at most BOOT_ISLANDS_MAX. */
u32 arrival_islands(const struct launch *l, const struct booting *b, struct boot_island *to);
/* A file under /proc/PID, or what it leads to: for reading; as a path only. */
int arrival_open(pid_t pid, const char *what, const char *path);
int arrival_open_path(pid_t pid, const char *what);

/* requests.c */
void requests_serve(struct launch *l, const struct mail *m);
void requests_expire(struct launch *l);

/* participants.c: repairs what dead processes left in maps; at most every so often, or now. */
void participants_check(struct launch *l, bool now);

/* stops.c */
int stops_start_child(struct launch *l);
/* For the exec that it is about to make, with this system call. */
void stops_seize(struct launch *l, pid_t tid, pid_t pid, u32 nr);
void stops_release(struct launch *l, pid_t tid);
void stops_reap(struct launch *l);
#endif
