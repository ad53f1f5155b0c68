/* Packet helpers over skep's linear buffers (abi/context.h): everything is between hard_start and frame_end. */
#include "abi/context.h"
#include "helper/held.h"

enum { ETH_HLEN = 14, XDP_FRAME = 40, META_MAX = 255, OFFSET_MAX = 0xffff, KERNEL_ENOTSUPP = 524 };
enum { REDIRECT_PRIVATE = BPF_F_NEIGH | BPF_F_PEER | BPF_F_NEXTHOP };

static u64 meta_size(const struct skep_xdp_buff *xdp) {
	return xdp->data_meta > xdp->data ? 0 : xdp->data - xdp->data_meta;
}
/* The kernel keeps a structure of its own at the start of the frame. */
static u8 *frame_start(const struct skep_xdp_buff *xdp) {
	return xdp->hard_start + XDP_FRAME;
}
/* r1 = xdp, r2 = s32 offset. */
u64 helper_xdp_adjust_head(DP_ARGS) {
	struct skep_xdp_buff *xdp = (void *)r1;
	s32 offset = r2;
	u64 meta = meta_size(xdp);
	u8 *data = xdp->data + offset;
	if (data < frame_start(xdp) + meta || data > xdp->data_end - ETH_HLEN)
		return -EINVAL;
	if (meta)
		__builtin_memmove(xdp->data_meta + offset, xdp->data_meta, meta);
	xdp->data_meta += offset;
	xdp->data = data;
	return 0;
}
u64 helper_xdp_adjust_tail(DP_ARGS) {
	struct skep_xdp_buff *xdp = (void *)r1;
	s32 offset = r2;
	u8 *end = xdp->data_end + offset;
	if (end > xdp->frame_end || end < xdp->data + ETH_HLEN)
		return -EINVAL;
	if (offset > 0)
		zero_words(xdp->data_end, offset);
	xdp->data_end = end;
	return 0;
}
u64 helper_xdp_adjust_meta(DP_ARGS) {
	struct skep_xdp_buff *xdp = (void *)r1;
	s32 offset = r2;
	u8 *meta = xdp->data_meta + offset;
	if (xdp->data_meta > xdp->data)
		return -KERNEL_ENOTSUPP;
	if (meta < frame_start(xdp) || meta > xdp->data)
		return -EINVAL;
	u64 size = xdp->data - meta;
	if (size % 4 || size > META_MAX)
		return -EACCES;
	xdp->data_meta = meta;
	return 0;
}
/* r1 = interface, r2 = flags: the verdict, by the program's type; where to is left in the context. */
u64 helper_redirect(DP_ARGS) {
	if (run->prog_type == BPF_PROG_TYPE_XDP) {
		struct skep_xdp_buff *xdp = run->ctx;
		if (r2)
			return XDP_ABORTED;
		xdp->redirect_ifindex = r1;
		xdp->redirect_flags = r2;
		return XDP_REDIRECT;
	}
	struct skep_sk_buff *skb = run->ctx;
	if (r2 & (~(u64)BPF_F_INGRESS | REDIRECT_PRIVATE))
		return TC_ACT_SHOT;
	skb->redirect_ifindex = r1;
	skb->redirect_flags = r2;
	return TC_ACT_REDIRECT;
}

static u64 load(const u8 *from, const struct skep_sk_buff *skb, u8 *to, u32 size) {
	if (from && from >= skb->hard_start && from <= skb->data_end && size <= skb->data_end - from) {
		copy_words(to, from, size);
		return 0;
	}
	zero_words(to, size);
	return -EFAULT;
}
/* r1 = skb, r2 = offset, r3 = to, r4 = size. */
u64 helper_skb_load_bytes(DP_ARGS) {
	const struct skep_sk_buff *skb = (void *)r1;
	u32 offset = r2;
	return load(offset <= 0x7fffffff ? skb->data + offset : NULL, skb, (u8 *)r3, r4);
}
/* r5 = which header the offset counts from. */
u64 helper_skb_load_bytes_relative(DP_ARGS) {
	const struct skep_sk_buff *skb = (void *)r1;
	u32 offset = r2, start = r5;
	const u8 *from = skb->data - skb->l2_pushed;
	if (start == BPF_HDR_START_NET)
		from += skb->mac_len;
	return load(offset <= OFFSET_MAX && start <= BPF_HDR_START_NET ? from + offset : NULL, skb, (u8 *)r3, r4);
}

/* Sum of 32-bit words with the carry brought round: 0 only of nothing but zeros. */
static u32 sum_words(const u8 *at, u32 size, u32 sum) {
	u64 wide = sum;
	for (; size >= 4; at += 4, size -= 4) {
		u32 word;
		__builtin_memcpy(&word, at, 4);
		wide += word;
	}
	if (size) {
		u32 last = 0;
		for (u32 i = 0; i < size; i++)
			last |= (u32)at[i] << 8 * i;
		wide += last;
	}
	wide = (wide & 0xffffffff) + (wide >> 32);
	return (wide & 0xffffffff) + (wide >> 32);
}
static u32 add_carry(u32 a, u32 b) {
	u64 sum = (u64)a + b;
	return sum + (sum >> 32);
}
/* r1 = from, r2 = its size, r3 = to, r4 = its size, r5 = seed: the difference of the sums. As in Linux 6.13 and later:
 * of any sizes, folded to 16 bits. */
u64 helper_csum_diff(DP_ARGS) {
	u32 from_size = r2, to_size = r4, sum = r5;
	if (from_size && to_size)
		sum = add_carry(sum_words((const u8 *)r3, to_size, sum), ~sum_words((const u8 *)r1, from_size, 0));
	else if (to_size)
		sum = sum_words((const u8 *)r3, to_size, sum);
	else if (from_size)
		sum = ~sum_words((const u8 *)r1, from_size, ~sum);
	sum += sum >> 16 | sum << 16;
	return sum >> 16;
}
