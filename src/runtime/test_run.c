/* BPF_PROG_TEST_RUN: a program over data that the caller gives. What is accepted, and with which error it is not, is as
 * in the kernel's net/bpf/test_run.c.
 *
 *     XDP            data_in: [metadata] packet     ctx: struct xdp_md      out: packet, ctx
 *     tc, sockets,   data_in: Ethernet frame        ctx: struct __sk_buff   out: frame, ctx
 *     routes (LWT)
 *     raw tracepoint ctx_in: u64 args[]             cpu with BPF_F_TEST_RUN_ON_CPU
 *     syscall        ctx_in, changed in place
 *
 * With repeat the same memory is used again, as the kernel does: a program that writes into the packet sees what it
 * wrote. duration is the average in nanoseconds. */
#include "abi/context.h"
#include "abi/diag.h"
#include "runtime/packet.h"
#include "runtime/state.h"
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	RAW_TP_ARGS_SIZE = 12 * 8,
	SYSCALL_CTX_MAX = UINT16_MAX,
	XDP_FRAME = 40, /* struct xdp_frame at the head of the headroom: metadata does not reach into it */
	XDP_META_MAX = 255,
	XDP_BATCH_MAX = 256,
	XDP_FRAGS_MAX = 17,
	GSO_SIZE_MAX = 65536,
	GSO_SEGS_MAX = 65535,
};
/* Members of attr.test that the kernel writes. */
#define PUT(c, member, value) \
	call_write(c, (c)->uattr + offsetof(union bpf_attr, test.member), &(u32){value}, sizeof(u32))

static int aborted(struct call *c, const struct object_prog *p, u32 status) {
	static const char *const why[] = {
		[RUN_BUDGET] = "it used up its budget of instructions",
		[RUN_LOCK] = "a lock stayed taken",
		[RUN_FAULT] = "it touched memory that is not there",
		[RUN_HELD] = "it held more than a run can hold",
		[RUN_ORACLE] = "its registers left what the verifier had seen",
	};
	int err = status == RUN_ORACLE ? -EFAULT : -EINTR;
	explain(c, err, "a run of %s was aborted: %s", p->p.name,
			status < ARRAY_SIZE(why) && why[status] ? why[status] : "unknown");
	explain_suggestion(c, DIAG_ABORTED, "%s", "");
	return err;
}
static u64 now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int run_repeated(struct call *c, struct object_prog *p, void *ctx, u32 repeat, u32 *retval, u32 *duration) {
	struct skep_run run;
	u64 r0 = 0, start = now_ns();
	repeat = MAX(repeat, 1u);
	memset(&run, 0, sizeof run);
	for (u32 i = 0; i < repeat; i++) {
		run.status = 0, run.budget = 0, run.tail_calls = 0, run.held_n = 0;
		int err = engine_run(c->e, &p->p, ctx, &run, &r0);
		if (err)
			return err;
		if (run.status)
			return aborted(c, p, run.status);
	}
	u64 each = (now_ns() - start) / repeat;
	*retval = (u32)r0, *duration = (u32)MIN(each, (u64)UINT32_MAX);
	return 0;
}

/* == What XDP and sk_buff runs share == */

/* The context given, zero-filled to size; NULL when there is none in or out. */
static int ctx_in(struct call *c, u32 size, void **out) {
	const union bpf_attr *a = &c->attr;
	*out = NULL;
	if (!a->test.ctx_in && !a->test.ctx_out)
		return 0;
	int err = a->test.ctx_in ? call_tail_zero(c, a->test.ctx_in, size, a->test.ctx_size_in) : 0;
	if (err)
		return err;
	void *ctx = calloc(1, size);
	if (!ctx)
		return -ENOMEM;
	if (a->test.ctx_in)
		err = call_read(c, ctx, a->test.ctx_in, MIN(size, a->test.ctx_size_in));
	if (err)
		return free(ctx), err;
	*out = ctx;
	return 0;
}
static int ctx_out(struct call *c, const void *ctx, u32 size) {
	const union bpf_attr *a = &c->attr;
	if (!ctx || !a->test.ctx_out)
		return 0;
	u32 n = MIN(size, a->test.ctx_size_out);
	int err = call_write(c, a->test.ctx_out, ctx, n);
	if (!err)
		err = PUT(c, ctx_size_out, size);
	return err ? err : n < size ? -ENOSPC : 0;
}
/* tail: what lay in fragments, which the program did not see. */
static int data_out(struct call *c, const u8 *data, u32 size, const u8 *tail, u32 tail_size, u32 retval, u32 duration) {
	const union bpf_attr *a = &c->attr;
	size += tail_size;
	u32 n = a->test.data_size_out ? MIN(size, a->test.data_size_out) : size;
	if (a->test.data_out && n < tail_size)
		return -ENOSPC;
	int err = a->test.data_out ? call_write(c, a->test.data_out, data, n - tail_size) : 0;
	if (!err && a->test.data_out && tail_size)
		err = call_write(c, a->test.data_out + n - tail_size, tail, tail_size);
	if (!err)
		err = PUT(c, data_size_out, size);
	if (!err)
		err = PUT(c, retval, retval);
	if (!err)
		err = PUT(c, duration, duration);
	return err ? err : n < size ? -ENOSPC : 0;
}
/* A page with the packet behind the headroom. */
static int frame_in(struct call *c, u32 headroom, u32 len, u8 **out) {
	u8 *frame = calloc(1, PACKET_PAGE);
	if (!frame)
		return -ENOMEM;
	int err = call_read(c, frame + headroom, c->attr.test.data_in, len);
	if (err)
		return free(frame), err;
	*out = frame;
	return 0;
}
static bool device_exists(u32 ifindex, char name[IF_NAMESIZE]) {
	return if_indextoname(ifindex, name) != NULL;
}

/* == XDP == */

static int xdp_device(const struct xdp_md *md, struct skep_xdp_buff *x) {
	char name[IF_NAMESIZE], path[96];
	if (!md)
		return 0;
	if (md->egress_ifindex || (!md->ingress_ifindex && md->rx_queue_index))
		return -EINVAL;
	if (!md->ingress_ifindex)
		return 0;
	if (!device_exists(md->ingress_ifindex, name))
		return -ENODEV;
	snprintf(path, sizeof path, "/sys/class/net/%s/queues/rx-%u", name, md->rx_queue_index);
	if (md->rx_queue_index && access(path, F_OK))
		return -EINVAL;
	x->ingress_ifindex = md->ingress_ifindex, x->rx_queue_index = md->rx_queue_index;
	return 0;
}
static int xdp_sizes(struct call *c, const struct xdp_md *md, u32 *headroom, u32 *meta, u32 *len) {
	const union bpf_attr *a = &c->attr;
	bool live = a->test.flags & BPF_F_TEST_XDP_LIVE_FRAMES;
	*headroom = PACKET_XDP_HEADROOM, *meta = 0, *len = a->test.data_size_in;
	if (md) {
		if (md->data_meta || md->data_end > a->test.data_size_in || md->data > md->data_end ||
			(live && (a->test.data_out || a->test.ctx_out)))
			return -EINVAL;
		*meta = md->data;
		if (*meta % 4 || *meta > XDP_META_MAX || *meta > PACKET_XDP_HEADROOM - XDP_FRAME)
			return -EINVAL;
		*headroom -= *meta, *len = md->data_end;
	}
	u32 most = PACKET_PAGE - *headroom - PACKET_TAILROOM;
	*len = MIN(*len, most);
	if (a->test.data_size_in - *meta < PACKET_ETH || *len < *meta)
		return -EINVAL;
	if (live) {
		explain(c, -EOPNOTSUPP, "live frames (BPF_F_TEST_XDP_LIVE_FRAMES) need the kernel's network devices");
		explain_suggestion(c, DIAG_TEST_RUN, "use --kernel");
		return -EOPNOTSUPP;
	}
	return 0;
}
/* What lies behind the first page is in fragments, as in the kernel: it comes out as it went in. Programs that could
 * reach it are refused. */
static int xdp_tail(struct call *c, const struct object_prog *p, u32 len, u8 **tail, u32 *tail_size) {
	*tail_size = c->attr.test.data_size_in - len;
	if (!*tail_size)
		return 0;
	if (p->xdp_has_frags) {
		explain(c, -EOPNOTSUPP,
				"packets in several fragments are not available in the user engine: not implemented yet");
		explain_suggestion(c, DIAG_TEST_RUN, "give at most 3520 bytes");
		return -EOPNOTSUPP;
	}
	if (*tail_size > XDP_FRAGS_MAX * PACKET_PAGE || !(*tail = malloc(*tail_size)))
		return -ENOMEM;
	return call_read(c, *tail, c->attr.test.data_in + len, *tail_size);
}

static int run_xdp(struct call *c, struct object_prog *p) {
	const union bpf_attr *a = &c->attr;
	struct skep_xdp_buff x;
	void *ctx;
	u8 *frame = NULL, *tail = NULL;
	u32 headroom, meta, len, tail_size, retval, duration;
	if (p->p.attach_type == BPF_XDP_DEVMAP || p->p.attach_type == BPF_XDP_CPUMAP ||
		(a->test.flags & ~(u32)BPF_F_TEST_XDP_LIVE_FRAMES))
		return -EINVAL;
	if (a->test.batch_size)
		return !(a->test.flags & BPF_F_TEST_XDP_LIVE_FRAMES) ? -EINVAL
			   : a->test.batch_size > XDP_BATCH_MAX          ? -E2BIG
															 : -EOPNOTSUPP;
	int err = ctx_in(c, sizeof(struct xdp_md), &ctx);
	if (err)
		return err;
	struct xdp_md *md = ctx;
	err = xdp_sizes(c, md, &headroom, &meta, &len);
	if (!err)
		err = frame_in(c, headroom, len, &frame);
	if (!err)
		err = xdp_tail(c, p, len, &tail, &tail_size);
	if (!err) {
		packet_xdp(&x, frame, PACKET_PAGE - PACKET_TAILROOM, headroom, len, meta);
		err = xdp_device(md, &x);
	}
	if (!err)
		err = run_repeated(c, p, &x, a->test.repeat, &retval, &duration);
	if (!err) {
		if (md)
			md->data = x.data - x.data_meta, md->data_end = x.data_end - x.data_meta;
		err = data_out(c, x.data_meta, x.data_end - x.data_meta, tail, tail_size, retval, duration);
	}
	if (!err)
		err = ctx_out(c, ctx, sizeof *md);
	free(tail);
	free(frame);
	free(ctx);
	return err;
}

/* == sk_buff == */

static bool zero(const void *at, u32 from, u32 to) {
	for (u32 i = from; i < to; i++)
		if (((const u8 *)at)[i])
			return false;
	return true;
}
#define FIELD_END(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
/* Only these members may be given: mark; priority, ingress_ifindex, ifindex; cb; tstamp, wire_len, gso_segs; gso_size;
 * hwtstamp. */
static int skb_from_ctx(struct skep_sk_buff *s, const struct __sk_buff *k) {
	if (!zero(k, 0, offsetof(struct __sk_buff, mark)) ||
		!zero(k, FIELD_END(struct __sk_buff, mark), offsetof(struct __sk_buff, priority)) ||
		!zero(k, FIELD_END(struct __sk_buff, ifindex), offsetof(struct __sk_buff, cb)) ||
		!zero(k, FIELD_END(struct __sk_buff, cb), offsetof(struct __sk_buff, tstamp)) ||
		!zero(k, FIELD_END(struct __sk_buff, gso_segs), offsetof(struct __sk_buff, gso_size)) ||
		!zero(k, FIELD_END(struct __sk_buff, gso_size), offsetof(struct __sk_buff, hwtstamp)))
		return -EINVAL;
	if ((k->wire_len && (k->wire_len < s->len || k->wire_len > GSO_SIZE_MAX)) || k->gso_segs > GSO_SEGS_MAX)
		return -EINVAL;
	s->mark = k->mark, s->priority = k->priority, s->ingress_ifindex = k->ingress_ifindex;
	s->tstamp = k->tstamp, s->hwtstamp = k->hwtstamp;
	s->wire_len = k->wire_len ? k->wire_len : s->len;
	s->gso_segs = k->gso_segs, s->gso_size = k->gso_size;
	memcpy(s->cb, k->cb, sizeof s->cb);
	return 0;
}
static void ctx_from_skb(struct __sk_buff *k, const struct skep_sk_buff *s) {
	k->mark = s->mark, k->priority = s->priority, k->ingress_ifindex = s->ingress_ifindex, k->ifindex = s->ifindex;
	k->tstamp = s->tstamp, k->wire_len = s->wire_len, k->gso_segs = s->gso_segs, k->hwtstamp = s->hwtstamp;
	memcpy(k->cb, s->cb, sizeof k->cb);
}
static int skb_device(struct skep_sk_buff *s, const struct __sk_buff *k) {
	char name[IF_NAMESIZE];
	if (!k || k->ifindex <= 1)
		return 0;
	if (!device_exists(k->ifindex, name))
		return -ENODEV;
	s->ifindex = k->ifindex;
	return 0;
}

static int run_skb(struct call *c, struct object_prog *p) {
	const union bpf_attr *a = &c->attr;
	bool l2 = p->p.type == BPF_PROG_TYPE_SCHED_CLS || p->p.type == BPF_PROG_TYPE_SCHED_ACT;
	struct skep_sk_buff s;
	void *ctx = NULL;
	u8 *frame = NULL;
	u32 len = a->test.data_size_in, retval, duration;
	if ((a->test.flags & ~(u32)BPF_F_TEST_SKB_CHECKSUM_COMPLETE) || a->test.cpu || a->test.batch_size ||
		len < PACKET_ETH || len > PACKET_PAGE - PACKET_SKB_HEADROOM - PACKET_TAILROOM)
		return -EINVAL;
	if (a->test.flags)
		return explain(c, -EOPNOTSUPP,
					   "BPF_F_TEST_SKB_CHECKSUM_COMPLETE is not available in the user engine: not implemented yet");
	int err = frame_in(c, PACKET_SKB_HEADROOM, len, &frame);
	if (!err)
		err = ctx_in(c, sizeof(struct __sk_buff), &ctx);
	struct __sk_buff *k = ctx;
	if (!err)
		err = packet_skb(&s, frame, PACKET_PAGE - PACKET_TAILROOM, PACKET_SKB_HEADROOM, len, l2);
	if (!err)
		err = skb_device(&s, k);
	if (!err && k)
		err = skb_from_ctx(&s, k);
	if (!err)
		err = run_repeated(c, p, &s, a->test.repeat, &retval, &duration);
	if (!err) {
		u8 *from = s.data;
		if (!l2) { /* the Ethernet header was taken off: zeros stand for it */
			from -= PACKET_ETH;
			ASSERT(from >= s.hard_start);
			memset(from, 0, PACKET_ETH);
		}
		if (k)
			ctx_from_skb(k, &s);
		err = data_out(c, from, s.data_end - from, NULL, 0, retval, duration);
	}
	if (!err)
		err = ctx_out(c, ctx, sizeof *k);
	free(frame);
	free(ctx);
	return err;
}

/* == Contexts that are plain bytes == */

/* The verifier allows accesses below max_ctx_offset; the buffer has room for all that could be allowed. */
static int run_bytes(struct call *c, struct object_prog *p, u32 most, bool back) {
	const union bpf_attr *a = &c->attr;
	u32 size = a->test.ctx_size_in, retval, duration;
	if (size < prog_ctx_bytes(p) || size > most)
		return -EINVAL;
	u8 *ctx = calloc(1, round_up(most, 8));
	if (!ctx)
		return -ENOMEM;
	int err = call_read(c, ctx, a->test.ctx_in, size);
	if (!err)
		err = run_repeated(c, p, ctx, 1, &retval, &duration);
	if (!err)
		err = PUT(c, retval, retval);
	if (!err && back)
		err = call_write(c, a->test.ctx_in, ctx, size);
	free(ctx);
	return err;
}

static int run_on_cpu(struct call *c, struct object_prog *p, u32 cpu) {
	cpu_set_t before, one;
	if (cpu >= c->e->nr_cpus || cpu >= CPU_SETSIZE)
		return -ENXIO;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_getaffinity(0, sizeof before, &before) || sched_setaffinity(0, sizeof one, &one))
		return -ENXIO;
	int err = run_bytes(c, p, RAW_TP_ARGS_SIZE, false);
	sched_setaffinity(0, sizeof before, &before);
	return err;
}
static int run_raw_tp(struct call *c, struct object_prog *p) {
	const union bpf_attr *a = &c->attr;
	if (a->test.data_in || a->test.data_out || a->test.ctx_out || a->test.duration || a->test.repeat ||
		a->test.batch_size)
		return -EINVAL;
	if (!(a->test.flags & BPF_F_TEST_RUN_ON_CPU))
		return a->test.cpu ? -EINVAL : run_bytes(c, p, RAW_TP_ARGS_SIZE, false);
	if (a->test.ctx_size_in < prog_ctx_bytes(p) || a->test.ctx_size_in > RAW_TP_ARGS_SIZE)
		return -EINVAL;
	return run_on_cpu(c, p, a->test.cpu);
}
static int run_syscall(struct call *c, struct object_prog *p) {
	const union bpf_attr *a = &c->attr;
	if (a->test.data_in || a->test.data_out || a->test.ctx_out || a->test.duration || a->test.repeat || a->test.flags ||
		a->test.batch_size)
		return -EINVAL;
	return run_bytes(c, p, SYSCALL_CTX_MAX, true);
}

static int no_test_run(struct call *c, const struct object_prog *p) {
	const struct abi_prog_type *row = abi_prog_type(c->e->abi, p->p.type);
	explain(c, -EOPNOTSUPP, "programs of type %s cannot be test-run in the user engine: not implemented yet",
			row->name);
	explain_suggestion(c, DIAG_TEST_RUN, "use --kernel");
	return -EOPNOTSUPP;
}
static int test_run(struct call *c, struct object_prog *p) {
	switch (p->p.type) {
	case BPF_PROG_TYPE_XDP:
		return run_xdp(c, p);
	case BPF_PROG_TYPE_SOCKET_FILTER:
	case BPF_PROG_TYPE_SCHED_CLS:
	case BPF_PROG_TYPE_SCHED_ACT:
	case BPF_PROG_TYPE_CGROUP_SKB:
	case BPF_PROG_TYPE_LWT_IN:
	case BPF_PROG_TYPE_LWT_OUT:
	case BPF_PROG_TYPE_LWT_XMIT:
		return run_skb(c, p);
	case BPF_PROG_TYPE_RAW_TRACEPOINT:
		return run_raw_tp(c, p);
	case BPF_PROG_TYPE_SYSCALL:
		return run_syscall(c, p);
	default:
		return no_test_run(c, p);
	}
}

s64 cmd_prog_test_run(struct call *c) {
	const union bpf_attr *a = &c->attr;
	struct object *o;
	if (!a->test.ctx_size_in != !a->test.ctx_in || !a->test.ctx_size_out != !a->test.ctx_out)
		return -EINVAL;
	int err = object_use(c, a->test.prog_fd, OBJECT_PROG, &o, NULL);
	if (err)
		return err;
	struct object_prog *p = PROG_OF(o);
	const struct abi_prog_type *row = abi_prog_type(c->e->abi, p->p.type);
	if (!row || !(row->flags & PROG_TEST_RUN)) {
		err = -ENOTSUPP; /* as in the kernel */
	} else if (!p->p.image) {
		explain(c, -EOPNOTSUPP, "%s cannot run: %s", p->p.name, p->p.refusal);
		explain_suggestion(c, p->p.refusal_code, "use --kernel");
		err = -EOPNOTSUPP;
	} else {
		err = test_run(c, p);
	}
	object_unuse(o);
	return err;
}
