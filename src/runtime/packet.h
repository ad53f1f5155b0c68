/* Packet contexts: frames in memory as XDP and tc programs find them. Used by BPF_PROG_TEST_RUN and by whoever feeds
 * packets of his own (skep test). */
#ifndef SKEP_RUNTIME_PACKET_H
#define SKEP_RUNTIME_PACKET_H
#include "base/base.h"

struct skep_xdp_buff;
struct skep_sk_buff;
enum {
	PACKET_XDP_HEADROOM = 256, /* as the kernel's XDP_PACKET_HEADROOM */
	PACKET_SKB_HEADROOM = 64,  /* NET_SKB_PAD */
	PACKET_TAILROOM = 320,     /* the kernel's skb_shared_info, aligned */
	PACKET_PAGE = 4096,        /* a frame of the kernel's test runs */
	PACKET_ETH = 14,
	PACKET_IFINDEX = 1, /* the loopback device: where test packets come from */
};

/* frame: headroom bytes, the packet (len bytes, of which the first meta are metadata), and room behind it up to size.
 */
void packet_xdp(struct skep_xdp_buff *x, u8 *frame, u32 size, u32 headroom, u32 len, u32 meta);
/* An Ethernet frame as an sk_buff. l2: data starts at the Ethernet header (tc), else behind it (sockets, cgroups). 0,
 * or -EINVAL for an IP packet shorter than its header. */
int packet_skb(struct skep_sk_buff *s, u8 *frame, u32 size, u32 headroom, u32 len, bool l2);
#endif
