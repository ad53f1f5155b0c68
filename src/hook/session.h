/* A session: what all processes of one launch have in common. Its files, their addresses in the targets, the code
 * segment with data plane, programs and hook routines, and the room for islands. */
#ifndef SKEP_HOOK_SESSION_H
#define SKEP_HOOK_SESSION_H
#include "hook/launch.h"
#include "hook/target/shared.h"
#include "hook/trampoline.h"

enum { SESSION_FDS_OWN = 2, SESSION_PROGS_MAX = 256 };
struct session_state {
	struct skep_engine *engine;
	u64 base;                  /* of the window in targets */
	u64 areas, next_area;      /* map areas stand from `areas` to `next_area` */
	int fds[BOOT_FDS_MAX];     /* to hand over: code and tables, shared, then the maps' */
	u32 fds_n;
	int own[8];                /* descriptors to close */
	u32 own_n;
	int code_fd;               /* writable, ours alone */
	u32 nr_cpus;               /* possible CPUs */
	bool wants_exits;          /* some program is attached to exits */
	u32 code_used;             /* bytes of the code segment that are taken */
	struct tables *tables;
	struct shared *shared;
	struct engine_map trace;   /* bpf_printk lines */
	u64 trace_at;              /* its descriptor in targets */
	u64 trace_data, trace_area, shared_size; /* in the shared file, which targets map as a whole */
	struct stub_calls calls;
	u64 exec_exit[2];          /* what the exit of execve and of execveat calls when they succeed; 0 = no program listens */
	u64 loader, boot, block;   /* offsets in the code segment: entry points of entry.S, struct session */
	/* What only this session holds: programs and maps that are reached through slots of maps. */
	struct engine_prog *held_progs[SESSION_PROGS_MAX];
	struct engine_map *held_maps[BOOT_FDS_MAX];
	struct engine_map *maps[BOOT_FDS_MAX]; /* all that programs can reach */
	u32 maps_n;
	u32 held_progs_n, held_maps_n;
};

/* 0, or negative errno with a sentence in error (256 bytes). */
int session_create(struct session_state *s, struct skep_engine *e, const struct launch_prog *progs, u32 n, char *error);
void session_destroy(struct session_state *s);
/* Second half of creation, in session_code.c: fills the code segment and the tables. */
int session_build(struct session_state *s, const struct launch_prog *progs, u32 n, char *error);
/* Room for `size` bytes of code: its offset in the code segment, or -ENOSPC. */
s64 session_code_room(struct session_state *s, u32 size);
int session_write_code(struct session_state *s, u32 off, const void *code, u32 size);
/* No program is entered any more, in any target. */
void session_mute(struct session_state *s);
#endif
