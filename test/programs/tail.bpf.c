/* Slots filled by the loader: a program array whose program calls itself until the limit of 33, and inner maps. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
int again(struct trace_event_raw_sys_enter *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = {.values = {[2] = (void *)&again}};
struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, u64);
} first SEC(".maps"), second SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, struct inner);
} outer SEC(".maps") = {.values = {&first, &second}};
u64 entered, tailed, ended, missed;

SEC("tp/syscalls/sys_enter_getpgid") int again(struct trace_event_raw_sys_enter *ctx) {
	tailed++;
	bpf_tail_call(ctx, &jumps, 2);
	ended++;
	return 0;
}
SEC("tp/syscalls/sys_enter_getppid") int enter(struct trace_event_raw_sys_enter *ctx) {
	entered++;
	for (u32 k = 0; k < 4; k++) {
		u32 at = k;
		int zero = 0;
		void *in = bpf_map_lookup_elem(&outer, &at);
		u64 *v = in ? bpf_map_lookup_elem(in, &zero) : 0;
		if (v)
			*v += k + 1;
		else
			missed++;
	}
	bpf_tail_call(ctx, &jumps, 2);
	missed += 100;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
