/* Mistake 3: a number from outside is used as an index. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define CPUS 16

u64 packets_by_queue[CPUS];

SEC("xdp")
int count_by_queue(struct xdp_md *ctx)
{
	u32 queue = ctx->rx_queue_index;

	packets_by_queue[queue]++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
