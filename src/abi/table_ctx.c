/* ctx.def and the field tables ctx_*.def. */
#include "abi/context.h"
#include "abi/limits.h"
#include "abi/regs.h"
#include "abi/registry.h"
#include "abi/sets.h"

#define SIZE_OF(S, member) sizeof(((struct S *)0)->member)
/* Place in the visible structure S and in the internal structure I: the bytes of one unit. */
#define PLACE(S, I, member) .name = #member, .off = offsetof(struct S, member), .size = SIZE_OF(S, member)
#define INSIDE(I, member) .in_off = offsetof(struct I, member)

static const struct abi_ctx_field sk_buff_fields[] = {
#define F(member, FLAGS, ...)                                                                                          \
	{PLACE(__sk_buff, skep_sk_buff, member), INSIDE(skep_sk_buff, member),                                         \
	 .in_size = sizeof(((struct skep_sk_buff *)0)->member) > 8 ? 4 : sizeof(((struct skep_sk_buff *)0)->member),    \
	 .flags = FLAGS, __VA_ARGS__},
#include "abi/ctx_skb.def"
#undef F
};
static const struct abi_ctx_field xdp_md_fields[] = {
#define F(member, FLAGS, ...)                                                                                          \
	{PLACE(xdp_md, skep_xdp_buff, member), INSIDE(skep_xdp_buff, member), .in_size = SIZE_OF(skep_xdp_buff, member), \
	 .flags = FLAGS, __VA_ARGS__},
#include "abi/ctx_xdp.def"
#undef F
};

/* From here on the internal layout is the visible one; in_size is that of a unit. */
#define SAME(S, member, FLAGS, ...)                                                                                    \
	{PLACE(S, S, member), INSIDE(S, member), .in_size = SIZE_OF(S, member) > 8 ? 4 : SIZE_OF(S, member),           \
	 .flags = FLAGS, ##__VA_ARGS__},

#define F(member, FLAGS, ...) SAME(bpf_sock, member, FLAGS, ##__VA_ARGS__)
static const struct abi_ctx_field sock_fields[] = {
#define SOCK_WRITE CTX_WRITE
#define SOCK_ATTACH(set) .read_attach = set, .write_attach = set
#define FULL(...) F(__VA_ARGS__)
#include "abi/ctx_sock.def"
#undef SOCK_WRITE
#undef SOCK_ATTACH
};
#define SOCK_WRITE 0
#define SOCK_ATTACH(set) .read_attach = 0
static const struct abi_ctx_field socket_fields[] = {
#include "abi/ctx_sock.def"
};
#undef FULL
#define FULL(...)
static const struct abi_ctx_field sock_common_fields[] = {
#include "abi/ctx_sock.def"
};
#undef FULL
#undef F

#define F(member, FLAGS, ...) SAME(bpf_sock_addr, member, FLAGS, ##__VA_ARGS__)
static const struct abi_ctx_field sock_addr_fields[] = {
#include "abi/ctx_sock_addr.def"
};
#undef F
#define F(member, FLAGS, ...) SAME(bpf_sock_ops, member, FLAGS, ##__VA_ARGS__)
static const struct abi_ctx_field sock_ops_fields[] = {
#include "abi/ctx_sock_ops.def"
};
#undef F

#define STRUCT(array) static const struct abi_ctx_field array[] = {
#define END() };
#define F(S, member, FLAGS, ...) SAME(S, member, FLAGS, ##__VA_ARGS__)
#define PADDING(S, member, bytes)                                                                                      \
	{.name = #member "_padding", .off = offsetof(struct S, member) + SIZE_OF(S, member), .size = bytes,            \
	 .flags = CTX_READ | CTX_NARROW | CTX_ZERO},
#include "abi/ctx_small.def"
#undef F

static const struct abi_ctx_field lirc_fields[] = {{.name = "sample", .size = 4, .in_size = 4, .flags = CTX_READ}};
static const struct abi_ctx_field raw_tracepoint_fields[] = {
    {.name = "args", .size = 8, .in_size = 8, .flags = CTX_READ | CTX_START_ONLY, .reg = PTR_TO_TP_BUFFER,
     .read = P(RAW_TRACEPOINT_WRITABLE)},
};

static const struct abi_ctx ctxs[CTX_IDS] = {
#define FIELDS(array) .fields = array, .fields_n = ARRAY_SIZE(array)
#define NO_FIELDS .fields = NULL
#define CTX(NAME, KIND, name_, SIZE, IN_SIZE, ...)                                                                     \
	[CTX_##NAME] = {.id = CTX_##NAME, .kind = KIND, .name = name_, .size = SIZE, .in_size = IN_SIZE, __VA_ARGS__},
#include "abi/ctx.def"
#undef CTX
};
const struct abi_ctx *linux_ctx(u32 id) {
	return id && id < CTX_IDS ? &ctxs[id] : NULL;
}
