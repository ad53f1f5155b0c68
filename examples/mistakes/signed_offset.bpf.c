/* Mistake 12: an offset from the packet in a signed variable. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct label {
	int skip;
};

SEC("xdp")
int skip_label(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct label *label = data;
	u8 *inner;

	if ((void *)(label + 1) > data_end)
		return XDP_PASS;
	inner = data + label->skip;
	if ((void *)(inner + 1) > data_end)
		return XDP_PASS;
	return *inner == 0xff ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
