/* A session: what all processes of one launch have in common. Its files, their addresses in the targets, the code
 * segment with data plane, programs and hook routines, and the room for islands. */
#ifndef SKEP_HOOK_SESSION_H
#define SKEP_HOOK_SESSION_H
#include "hook/launch.h"
#include "hook/target/shared.h"
#include "hook/trampoline.h"

enum { SESSION_FDS_OWN = 3 };
struct session_state {
	u64 base;                  /* of the window in targets */
	int fds[BOOT_FDS_MAX];     /* to hand over: code, tables, shared, then the maps' */
	u32 fds_n;
	int own[5];                /* descriptors to close */
	u32 own_n;
	int code_fd;               /* writable, ours alone */
	u32 code_used;             /* bytes of the code segment that are taken */
	struct tables *tables;
	struct shared *shared;
	struct session *block;     /* as in the code segment, while it is made */
	u64 next_area;             /* next free address for map areas */
	struct stub_calls calls;
	u64 loader, boot;          /* offsets in the data plane */
	u64 entries[256];
};
enum { SESSION_PROGS_MAX = 256 };

/* 0, or negative errno with a sentence in error (256 bytes). */
int session_create(struct session_state *s, const struct launch_prog *progs, u32 n, char *error);
void session_destroy(struct session_state *s);
/* Room for `size` bytes of code: its offset in the code segment, or -ENOSPC. */
s64 session_code_room(struct session_state *s, u32 size);
int session_write_code(struct session_state *s, u32 off, const void *code, u32 size);
/* No program is entered any more, in any target. */
void session_mute(struct session_state *s);
#endif
