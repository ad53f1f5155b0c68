/* What the drivers of launch mode share: a counting program and its map, and running a command with it. */
#ifndef SKEP_TEST_LAUNCH_COMMON_H
#define SKEP_TEST_LAUNCH_COMMON_H
#include "hook/launch.h"

enum { PIDS = 256, NUMBERS = 512 };
struct counts {
	u64 pid, by_nr[NUMBERS];
};
struct setup {
	enum launch_point point;
	enum launch_ctx ctx;
	s32 nr;
};
extern struct counts *counts;      /* [PIDS], a hash */
extern struct launch_report last;  /* of the last run */
extern char output[1 << 20];       /* what the command wrote to standard output */
extern char last_error[256];

void common_make_map(void);
u64 common_counted(u32 pid, u32 nr);
u64 common_total(void);
/* Runs a command with one counting program attached. The exit status, or negative errno. */
int common_run(char *const argv[], struct setup how);
#endif
