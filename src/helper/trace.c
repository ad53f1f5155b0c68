/* bpf_trace_printk, bpf_trace_vprintk, bpf_snprintf. A line becomes one record of the ring buffer run_env.trace. */
#include "helper/held.h"
#include "helper/text.h"
#include "map/ringbuf.h"

enum { LINE_MAX = 1024, PRINTK_ARGS = 3, VPRINTK_ARGS = 12 };

static s64 print(const struct skep_run *run, const char *fmt, u32 fmt_size, const u64_anywhere *args, u32 args_n) {
	char line[LINE_MAX];
	s64 n = text_format(run, line, sizeof line, fmt, fmt_size, args, args_n);
	if (n < 0)
		return n;
	const struct map *trace = run->env->trace;
	u32 size = MIN(n, LINE_MAX - 1);
	u8 *record = trace ? ring_reserve(trace, size, map_participant(trace, run)) : NULL;
	if (record) {
		copy_words(record, (const u8 *)line, size);
		ring_commit(record, false);
	} else {
		run_count(run, COUNT_LOST_TRACE);
	}
	return n;
}
/* r1 = format, r2 = its size, r3 … r5 = arguments: length of the text, or negative errno. */
u64 helper_trace_printk(DP_ARGS) {
	u64 args[PRINTK_ARGS] = {r3, r4, r5};
	return print(run, (const char *)r1, r2, args, PRINTK_ARGS);
}
/* r1 = format, r2 = its size, r3 = arguments, r4 = their bytes. */
u64 helper_trace_vprintk(DP_ARGS) {
	u32 bytes = r4;
	if (bytes % 8 || bytes > VPRINTK_ARGS * 8 || (bytes && !r3))
		return -EINVAL;
	return print(run, (const char *)r1, r2, (const u64_anywhere *)r3, bytes / 8);
}
/* r1 = to, r2 = size, r3 = format, r4 = arguments, r5 = their bytes: length of the whole text with the NUL. */
u64 helper_snprintf(DP_ARGS) {
	u32 bytes = r5;
	if (bytes % 8 || bytes > VPRINTK_ARGS * 8 || (bytes && !r4))
		return -EINVAL;
	s64 n = text_format(run, (char *)r1, r2, (const char *)r3, ~0u, (const u64_anywhere *)r4, bytes / 8);
	return n < 0 ? n : n + 1;
}
