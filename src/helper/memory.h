/* Reading memory that a program names by address. memory.c is the essay. */
#ifndef SKEP_HELPER_MEMORY_H
#define SKEP_HELPER_MEMORY_H
#include "map/value.h"

enum memory_kind { MEMORY_USER, MEMORY_KERNEL };
/* All of size bytes, or -EFAULT (to is then undefined). */
int memory_read(const struct skep_run *run, enum memory_kind kind, void *to, u64 from, u32 size);
/* As strncpy_from_user_nofault: bytes with the NUL; at most size, the last always NUL; -EFAULT. Nothing behind the NUL is
 * written. */
s64 memory_read_string(const struct skep_run *run, enum memory_kind kind, char *to, u64 from, u32 size);
#endif
