/* printf as bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf have it. */
#ifndef SKEP_HELPER_TEXT_H
#define SKEP_HELPER_TEXT_H
#include "map/value.h"

/* fmt ends with a NUL within fmt_size bytes. Writes at most size bytes, the last a NUL (none with size 0). The length of
 * the whole text, or -EINVAL: format, number of arguments; -ENOSPC: arguments too long together. */
s64 text_format(const struct skep_run *run, char *to, u32 size, const char *fmt, u32 fmt_size, const u64_anywhere *args,
				u32 args_n);
#endif
