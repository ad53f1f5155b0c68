/* Looking at a file before it is executed: would seizing the process change what it may do? */
#ifndef SKEP_HOOK_PRIVILEGE_H
#define SKEP_HOOK_PRIVILEGE_H
#include "base/base.h"

/* True when the file (or the interpreter of a script, or that one's) is set-uid, set-gid or has capabilities: under a
 * tracer the kernel would not grant them. root: directory descriptor of the process's root, cwd: where relative paths
 * start; with path NULL, the file itself (O_PATH will do). */
bool exec_gains_privilege(int root, int cwd, const char *path);
#endif
