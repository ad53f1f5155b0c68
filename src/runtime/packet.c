/* Frames in memory as contexts (packet.h; layouts and invariants in abi/context.h).
 *
 * A test packet is taken for one that came in through the loopback device, as the kernel takes it: its type is told
 * from its destination address as that device would tell it, its protocol from the Ethernet header. */
#include "runtime/packet.h"
#include "abi/context.h"
#include <errno.h>
#include <string.h>

void packet_xdp(struct skep_xdp_buff *x, u8 *frame, u32 size, u32 headroom, u32 len, u32 meta) {
	ASSERT(headroom + (u64)len <= size && meta <= len);
	*x = (struct skep_xdp_buff){
		.hard_start = frame,
		.frame_end = frame + size,
		.data_meta = frame + headroom,
		.data = frame + headroom + meta,
		.data_end = frame + headroom + len,
		.ingress_ifindex = PACKET_IFINDEX,
	};
	ASSERT(x->data_meta <= x->data && x->data <= x->data_end);
}

enum { PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OTHERHOST };
enum { ETHERTYPE_MIN = 0x600, PROTOCOL_802_3 = 1, PROTOCOL_802_2 = 4, PROTOCOL_IP = 0x800, PROTOCOL_IPV6 = 0x86dd };
enum { FAMILY_INET = 2, FAMILY_INET6 = 10, IP_HEADER = 20, IPV6_HEADER = 40 };

static u16 be16(const u8 *at) {
	return at[0] << 8 | at[1];
}
static u16 to_be16(u16 x) {
	return __builtin_bswap16(x);
}
/* The loopback device's address is zero. */
static u32 packet_type(const u8 *to) {
	static const u8 none[6], all[6] = {255, 255, 255, 255, 255, 255};
	if (!memcmp(to, none, 6))
		return PACKET_HOST;
	if (!memcmp(to, all, 6))
		return PACKET_BROADCAST;
	return to[0] & 1 ? PACKET_MULTICAST : PACKET_OTHERHOST;
}
static u16 protocol(const u8 *eth, u32 len) {
	u16 type = be16(eth + 12);
	if (type >= ETHERTYPE_MIN)
		return type;
	return len >= PACKET_ETH + 2 && be16(eth + PACKET_ETH) == 0xffff ? PROTOCOL_802_3 : PROTOCOL_802_2;
}

int packet_skb(struct skep_sk_buff *s, u8 *frame, u32 size, u32 headroom, u32 len, bool l2) {
	ASSERT(headroom + (u64)len <= size && len >= PACKET_ETH);
	u8 *eth = frame + headroom, *net = eth + PACKET_ETH, *data = l2 ? eth : net;
	u32 net_len = len - PACKET_ETH;
	u16 proto = protocol(eth, len);
	*s = (struct skep_sk_buff){
		.hard_start = frame,
		.frame_end = frame + size,
		.data_meta = data,
		.data = data,
		.data_end = eth + len,
		.len = eth + len - data,
		.pkt_type = packet_type(eth),
		.protocol = to_be16(proto),
		.ifindex = PACKET_IFINDEX,
		.mac_len = l2 ? PACKET_ETH : 0,
	};
	if (proto == PROTOCOL_IP) {
		if (net_len < IP_HEADER)
			return -EINVAL;
		s->family = FAMILY_INET;
		memcpy(&s->local_ip4, net + 12, 4);
		memcpy(&s->remote_ip4, net + 16, 4);
	} else if (proto == PROTOCOL_IPV6) {
		if (net_len < IPV6_HEADER)
			return -EINVAL;
		s->family = FAMILY_INET6;
		memcpy(s->local_ip6, net + 8, 16);
		memcpy(s->remote_ip6, net + 24, 16);
	}
	ASSERT(s->data + s->len == s->data_end);
	return 0;
}
