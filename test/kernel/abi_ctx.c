/* ctx.def and ctx_*.def against the running kernel: every offset, width and direction of access for every kind of program,
 * and what a load gives. */
#include "abi_kernel.h"

static u32 asked, wrong, typed;

static u8 width(u32 size) {
	return size == 1 ? BPF_B : size == 2 ? BPF_H : size == 4 ? BPF_W : BPF_DW;
}
static bool kernel_allows(u32 type, u32 attach, u32 off, u32 size, bool write) {
	const struct bpf_insn prog[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0},
	    write ? (struct bpf_insn){.code = BPF_STX | BPF_MEM | width(size), .dst_reg = 1, .off = off}
	          : (struct bpf_insn){.code = BPF_LDX | BPF_MEM | width(size), .src_reg = 1, .off = off},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = good_return(type, attach)},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	return !kernel_load(type, attach, prog, 4, 2);
}
/* The kernel's word for what the load gave: between "R0=" and "(", or a number. */
static bool same_type(const struct abi_ctx_field *f) {
	static const struct {
		u32 type;
		const char *word;
	} words[] = {
	    {PTR_TO_PACKET, "pkt("}, {PTR_TO_PACKET_META, "pkt_meta("}, {PTR_TO_PACKET_END, "pkt_end("},
	    {PTR_TO_SOCKET, "sock("}, {PTR_TO_SOCKET_OR_NULL, "sock_or_null("}, {PTR_TO_FLOW_KEYS, "flow_keys("},
	    {PTR_TO_SOCK_COMMON_OR_NULL, "sock_common_or_null("}, {PTR_TO_TP_BUFFER, "tp_buffer("},
	    {PTR_TO_BTF_ID | PTR_TRUSTED, "trusted_ptr_"},
	};
	const char *load = strstr(kernel_log, "\n1: "), *result = load ? strstr(load, "R0") : NULL;
	result = result ? strchr(result, '=') : NULL;
	if (!result)
		return false;
	for (u32 i = 0; i < ARRAY_SIZE(words); i++)
		if (!strncmp(result + 1, words[i].word, strlen(words[i].word)))
			return f->reg == words[i].type;
	return !f->reg || f->reg == SCALAR_VALUE;
}
static void compare(u32 type, u32 attach, u32 off, u32 size, bool write) {
	const struct abi_ctx_field *f = abi_ctx_field(ABI, type, attach, off, size, write, NULL);
	bool theirs = kernel_allows(type, attach, off, size, write);
	asked++;
	if (!!f != theirs) {
		wrong++;
		if (wrong < 60)
			printf("# %s with attach type %u %s %u at %u: table %d, kernel %d\n",
			       abi_prog_type(ABI, type)->name, attach, write ? "writes" : "reads", size, off, !!f, theirs);
	} else if (theirs && !write && abi_prog_type(ABI, type)->ctx != CTX_BTF_ARGS) {
		typed++;
		if (!same_type(f)) {
			wrong++;
			printf("# %s reads %u at %u: table says type %#x; %s", abi_prog_type(ABI, type)->name, size, off,
			       f->reg, strstr(kernel_log, "\n1: ") ?: "");
		}
	}
}
static void compare_kind(u32 type, u32 attach) {
	const struct abi_ctx *ctx = abi_ctx(ABI, abi_prog_type(ABI, type)->ctx);
	if (ctx->id == CTX_BTF_ARGS)
		return; /* the target's arguments decide */
	for (u32 off = 0; off < ctx->size + 8; off++) {
		if (off > 260 && off + 16 < ctx->size)
			off = ctx->size - 16;
		if (off > 0x7ff0)
			break;
		for (u32 size = 1; size <= 8; size *= 2) {
			compare(type, attach, off, size, false);
			compare(type, attach, off, size, true);
		}
	}
}
static void accesses(void) {
	each_kind(compare_kind);
	printf("# %u accesses, the result's type checked for %u\n", asked, typed);
	EXPECT_EQ(wrong, 0);
	EXPECT(asked > 50000 && typed > 1000);
}
int main(void) {
	const char *why = kernel_unfit();
	if (why) {
		SKIP("contexts against the kernel", why);
		return test_end();
	}
	RUN(accesses);
	btf_put(kernel_btf);
	return test_end();
}
