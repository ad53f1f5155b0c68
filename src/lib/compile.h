/* Inside the room: one compilation, and the header of system call records for the BCC dialect. */
#ifndef SKEP_LIB_COMPILE_H
#define SKEP_LIB_COMPILE_H
#include "base/arena.h"
#include "base/vec.h"
#include "skep/skep.h"

enum { COMPILE_FORMAT = 1 }; /* part of every hash: raise it when generated headers change */
struct compiler {
	struct skep_compile_opts opts;
	struct arena arena;
	const char *clang, *include, *cache, *vmlinux, *tracepoints;
	char *temporary; /* stands for the cache; removed at the end */
	const char **args;
	u32 args_n;
};
/* struct tracepoint__syscalls__sys_enter_X … for every system call; NULL when out of memory. */
char *compile_tracepoints(struct arena *arena);
u64 compile_hash(u64 h, const void *data, u64 size);
#endif
