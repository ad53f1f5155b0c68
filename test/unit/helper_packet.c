/* Packet helpers: bounds to the byte, metadata that moves along, verdicts, checksums against a plain sum. */
#include "test.h"
#include "abi/context.h"
#include "helper/helper.h"
#include "map/map.h"
#include <errno.h>

static u8 frame[2048];
static struct skep_run run;
static struct run_env env;
static struct skep_xdp_buff xdp_at(u32 start, u32 size) {
	for (u32 i = 0; i < sizeof frame; i++)
		frame[i] = i;
	return (struct skep_xdp_buff){.data = frame + start, .data_end = frame + start + size, .data_meta = frame + start,
	                              .hard_start = frame, .frame_end = frame + 1728};
}
#define XDP(name, offset) ((s64)helper_xdp_adjust_##name((u64)&x, (u64)(s64)(offset), 0, 0, 0, &run))

static void head_tail_meta(void) {
	struct skep_xdp_buff x = xdp_at(256, 100);
	EXPECT_EQ(XDP(head, -(256 - 40)), 0);
	EXPECT(x.data == frame + 40);
	EXPECT_EQ(XDP(head, -1), -EINVAL);
	EXPECT_EQ(XDP(head, 216 + 86), 0);
	EXPECT_EQ(XDP(head, 1), -EINVAL); /* 14 bytes stay */
	x = xdp_at(256, 100);
	EXPECT_EQ(XDP(tail, 1728 - 356 + 1), -EINVAL);
	EXPECT_EQ(XDP(tail, 10), 0);
	EXPECT(x.data_end == frame + 366 && !x.data_end[-1] && !x.data_end[-10] && x.data_end[-11] == (u8)355);
	EXPECT_EQ(XDP(tail, -(110 - 14)), 0);
	EXPECT_EQ(XDP(tail, -1), -EINVAL);
	x = xdp_at(256, 100);
	EXPECT_EQ(XDP(meta, 4), -EINVAL);
	EXPECT_EQ(XDP(meta, -3), -EACCES);
	EXPECT_EQ(XDP(meta, -260), -EINVAL);
	EXPECT_EQ(XDP(meta, -8), 0);
	x.data_meta[0] = 99;
	EXPECT_EQ(XDP(head, -20), 0);
	EXPECT(x.data == frame + 236 && x.data_meta == frame + 228 && x.data_meta[0] == 99);
	EXPECT_EQ(XDP(head, -(236 - 40)), -EINVAL); /* the metadata has to fit too */
	EXPECT_EQ(XDP(head, -(236 - 48)), 0);
	x.data_meta = x.data + 1;
	EXPECT_EQ(XDP(meta, -8), -524);
}
static void loads(void) {
	struct skep_sk_buff skb = {.data = frame + 100, .data_end = frame + 160, .data_meta = frame + 100, .hard_start = frame,
	                           .frame_end = frame + 1000, .len = 60, .mac_len = 14};
	xdp_at(0, 0);
	u8 to[16] = {0};
	u64 s = (u64)&skb, t = (u64)to;
	EXPECT_EQ(helper_skb_load_bytes(s, 50, t, 10, 0, &run), 0);
	EXPECT_EQ(to[9], 159);
	EXPECT_EQ(helper_skb_load_bytes(s, 51, t, 10, 0, &run), -EFAULT);
	EXPECT(!to[0] && !to[9]);
	EXPECT_EQ(helper_skb_load_bytes(s, 0x80000000, t, 1, 0, &run), -EFAULT);
	EXPECT_EQ(helper_skb_load_bytes_relative(s, 0, t, 2, BPF_HDR_START_MAC, &run), 0);
	EXPECT_EQ(to[0], 100);
	EXPECT_EQ(helper_skb_load_bytes_relative(s, 0, t, 2, BPF_HDR_START_NET, &run), 0);
	EXPECT_EQ(to[0], 114);
	EXPECT_EQ(helper_skb_load_bytes_relative(s, 45, t, 2, BPF_HDR_START_NET, &run), -EFAULT);
	EXPECT_EQ(helper_skb_load_bytes_relative(s, 0x10000, t, 2, BPF_HDR_START_MAC, &run), -EFAULT);
	EXPECT_EQ(helper_skb_load_bytes_relative(s, 0, t, 2, 2, &run), -EFAULT);
}
static void redirects(void) {
	struct skep_xdp_buff x = xdp_at(0, 64);
	struct skep_sk_buff skb = {0};
	run.prog_type = BPF_PROG_TYPE_XDP;
	run.ctx = &x;
	EXPECT_EQ(helper_redirect(5, 0, 0, 0, 0, &run), XDP_REDIRECT);
	EXPECT_EQ(x.redirect_ifindex, 5);
	EXPECT_EQ(helper_redirect(5, 1, 0, 0, 0, &run), XDP_ABORTED);
	run.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	run.ctx = &skb;
	EXPECT_EQ(helper_redirect(6, BPF_F_INGRESS, 0, 0, 0, &run), TC_ACT_REDIRECT);
	EXPECT(skb.redirect_ifindex == 6 && skb.redirect_flags == BPF_F_INGRESS);
	EXPECT_EQ(helper_redirect(6, 2, 0, 0, 0, &run), TC_ACT_SHOT);
}
static u32 plain(const u8 *at, u32 size) {
	u32 sum = 0;
	for (u32 i = 0; i < size; i += 2)
		sum += at[i] | at[i + 1] << 8;
	return sum % 0xffff;
}
static void checksums(void) {
	xdp_at(0, 0);
	for (u32 size = 4; size < 400; size += 4) {
		u64 at = (u64)frame + size;
		EXPECT_EQ(helper_csum_diff(0, 0, at, size, 0, &run) % 0xffff, plain((u8 *)at, size));
		EXPECT_EQ(helper_csum_diff((u64)frame, size, at, 8, 7, &run) % 0xffff,
		          (plain((u8 *)at, 8) + 7 + 0xffff - plain(frame, size)) % 0xffff);
		EXPECT_EQ(helper_csum_diff(at, size, 0, 0, 100, &run) % 0xffff,
		          (100 + 0xffff - plain((u8 *)at, size)) % 0xffff);
	}
	EXPECT_EQ(helper_csum_diff(0, 0, (u64) "\1\2\3", 3, 0, &run), 0x0204);
}
int main(void) {
	run.env = &env;
	RUN(head_tail_meta);
	RUN(loads);
	RUN(redirects);
	RUN(checksums);
	return test_end();
}
