/* A host adds a context, helpers and a program type to its registry: they are found like Linux's own, and rows that
 * contradict themselves are refused. */
#include "test.h"
#include "abi/abi.h"
#include <errno.h>

/* What a proxy might give its filters. */
struct request {
	u8 *body, *body_end;
	u32 status, length;
	u64 cookie;
};
static const struct abi_ctx_field request_fields[] = {
    {.name = "body", .off = 0, .size = 8, .in_off = 0, .in_size = 8, .flags = CTX_READ, .reg = PTR_TO_PACKET},
    {.name = "body_end", .off = 8, .size = 8, .in_off = 8, .in_size = 8, .flags = CTX_READ, .reg = PTR_TO_PACKET_END},
    {.name = "status", .off = 16, .size = 4, .in_off = 16, .in_size = 4, .flags = CTX_READ | CTX_WRITE | CTX_NARROW},
    {.name = "length", .off = 20, .size = 4, .in_off = 20, .in_size = 4, .flags = CTX_READ | CTX_NARROW},
    {.name = "cookie", .off = 24, .size = 8, .in_off = 24, .in_size = 8, .flags = CTX_READ},
};
static const struct abi_ctx request_ctx = {.id = ABI_HOST_CTX, .kind = CTX_FIELDS, .name = "request",
                                           .size = sizeof(struct request), .fields = request_fields,
                                           .fields_n = ARRAY_SIZE(request_fields)};
static u64 set_header(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, struct skep_run *run) {
	return r1 + r2 + r3 + r4 + r5;
}
static const struct abi_helper set_header_helper = {
    .id = ABI_HOST_HELPER, .name = "set_header", .engine = ENGINE_RUNS, .flags = HELPER_HOST, .fn = set_header,
    .arg = {ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE},
};
static const u32 allowed[] = {ABI_HOST_HELPER, BPF_FUNC_map_lookup_elem};
static const struct abi_return returns[] = {{.min = 0, .max = 2}};
static const struct abi_prog_type filter_type = {
    .id = ABI_HOST_PROG_TYPE, .name = "request_filter", .ctx = ABI_HOST_CTX, .engine = ENGINE_RUNS, .flags = PROG_HOST,
    .helpers = allowed, .helpers_n = ARRAY_SIZE(allowed), .returns = returns, .returns_n = 1,
};

static struct skep_abi *filled(void) {
	struct skep_abi *abi = abi_create();
	EXPECT_EQ(abi_add_ctx(abi, &request_ctx), 0);
	EXPECT_EQ(abi_add_helper(abi, &set_header_helper), 0);
	EXPECT_EQ(abi_add_prog_type(abi, &filter_type), 0);
	return abi;
}
static void found(void) {
	struct skep_abi *abi = filled();
	struct abi_caller who = {.prog_type = ABI_HOST_PROG_TYPE, .bpf = true, .perfmon = true};
	enum abi_why why;
	EXPECT(abi_prog_type(abi, ABI_HOST_PROG_TYPE) == &filter_type);
	EXPECT(abi_prog_type_by_name(abi, "request_filter") == &filter_type);
	EXPECT(abi_ctx_by_name(abi, "request") == &request_ctx);
	EXPECT(abi_helper_by_name(abi, "bpf_set_header") == &set_header_helper);
	EXPECT(abi_helper_for(abi, ABI_HOST_HELPER, &who, &why) == &set_header_helper && why == ABI_OK);
	EXPECT(abi_helper_for(abi, BPF_FUNC_map_lookup_elem, &who, &why));
	EXPECT(!abi_helper_for(abi, BPF_FUNC_loop, &who, &why) && why == ABI_WRONG_TYPE);
	EXPECT(!abi_helper_for(abi, ABI_HOST_HELPER + 1, &who, &why) && why == ABI_UNKNOWN);
	who.prog_type = BPF_PROG_TYPE_XDP;
	EXPECT(!abi_helper_for(abi, ABI_HOST_HELPER, &who, &why) && why == ABI_WRONG_TYPE);
	const struct abi_ctx_field *f = abi_ctx_field(abi, ABI_HOST_PROG_TYPE, 0, 0, 8, false, NULL);
	EXPECT(f && f->reg == PTR_TO_PACKET);
	EXPECT(abi_ctx_field(abi, ABI_HOST_PROG_TYPE, 0, 16, 4, true, NULL));
	EXPECT(!abi_ctx_field(abi, ABI_HOST_PROG_TYPE, 0, 20, 4, true, NULL));
	EXPECT(!abi_ctx_field(abi, ABI_HOST_PROG_TYPE, 0, 32, 8, false, NULL));
	EXPECT(abi_return(abi, ABI_HOST_PROG_TYPE, 0) == &returns[0]);
	/* another registry knows nothing of it, and Linux's rows are the same in both */
	EXPECT(!abi_prog_type(abi_linux(), ABI_HOST_PROG_TYPE) && !abi_helper(abi_linux(), ABI_HOST_HELPER));
	EXPECT(abi_helper(abi, 1) == abi_helper(abi_linux(), 1));
	abi_destroy(abi);
}
/* A type «like» a built-in one has its helpers too. */
static void like(void) {
	struct skep_abi *abi = filled();
	struct abi_prog_type xdp = filter_type;
	struct abi_caller who = {.prog_type = ABI_HOST_PROG_TYPE + 1, .bpf = true};
	xdp.id = ABI_HOST_PROG_TYPE + 1, xdp.name = "like_xdp", xdp.like = BPF_PROG_TYPE_XDP;
	EXPECT_EQ(abi_add_prog_type(abi, &xdp), 0);
	EXPECT(abi_helper_for(abi, BPF_FUNC_xdp_adjust_head, &who, NULL));
	EXPECT(abi_helper_for(abi, BPF_FUNC_loop, &who, NULL));
	EXPECT(!abi_helper_for(abi, BPF_FUNC_skb_pull_data, &who, NULL));
	abi_destroy(abi);
}
static void refused(void) {
	struct skep_abi *abi = filled();
	struct abi_helper h = set_header_helper;
	struct abi_ctx c = request_ctx;
	struct abi_prog_type t = filter_type;
	h.id++, c.id++, t.id++;
	EXPECT_EQ(abi_add_helper(abi, &set_header_helper), -EINVAL); /* the number is taken */
	EXPECT_EQ(abi_add_helper(abi, &h), -EEXIST);
	h.name = "map_lookup_elem";
	EXPECT_EQ(abi_add_helper(abi, &h), -EEXIST);
	h.name = "other", h.fn = NULL;
	EXPECT_EQ(abi_add_helper(abi, &h), -EINVAL);
	h.fn = set_header, h.arg[0] = ARG_DONTCARE;
	EXPECT_EQ(abi_add_helper(abi, &h), -EINVAL); /* a hole in the arguments */
	h.arg[0] = ARG_PTR_TO_FIXED_SIZE_MEM;
	EXPECT_EQ(abi_add_helper(abi, &h), -EINVAL); /* memory of no size */
	h.arg[0] = 200;
	EXPECT_EQ(abi_add_helper(abi, &h), -EINVAL);
	struct abi_ctx_field wide = {.name = "x", .off = 24, .size = 16, .flags = CTX_READ};
	c.name = "other", c.fields = &wide, c.fields_n = 1;
	EXPECT_EQ(abi_add_ctx(abi, &c), -EINVAL); /* beyond the structure */
	wide.size = 3;
	EXPECT_EQ(abi_add_ctx(abi, &c), -EINVAL);
	wide.size = 4, wide.in_off = 40, wide.in_size = 4;
	EXPECT_EQ(abi_add_ctx(abi, &c), -EINVAL);
	t.name = "other", t.ctx = ABI_HOST_CTX + 7;
	EXPECT_EQ(abi_add_prog_type(abi, &t), -EINVAL);
	t.ctx = ABI_HOST_CTX;
	const u32 unknown[] = {9999};
	t.helpers = unknown, t.helpers_n = 1;
	EXPECT_EQ(abi_add_prog_type(abi, &t), -EINVAL);
	t.helpers_n = 0, t.name = "xdp";
	EXPECT_EQ(abi_add_prog_type(abi, &t), -EEXIST);
	abi_destroy(abi);
	abi_destroy(NULL);
}
int main(void) {
	RUN(found);
	RUN(like);
	RUN(refused);
	return test_end();
}
