/* The tables are complete and do not contradict themselves: every number has a row, names are unique, every refusal has a
 * sentence, prototypes are well formed. */
#include "test.h"
#include "abi/abi.h"
#include "abi/context.h"
#include "abi/dataplane.h"
#include "abi/limits.h"

#define ABI abi_linux()
static struct abi_caller all_rights(u32 prog_type, u32 attach_type) {
	return (struct abi_caller){.prog_type = prog_type, .attach_type = attach_type, .bpf = true, .perfmon = true,
	                           .net_admin = true, .sys_admin = true};
}

static void check_prototype(const struct abi_helper *h) {
	bool ended = false;
	EXPECT(base_type(h->ret) < __BPF_RET_TYPE_MAX);
	EXPECT_EQ(base_type(h->ret) == RET_PTR_TO_BTF_ID && h->id != BPF_FUNC_kptr_xchg, h->ret_btf != NULL);
	for (u32 i = 0; i < 5; i++) {
		u32 base = base_type(h->arg[i]), before = i ? base_type(h->arg[i - 1]) : 0;
		EXPECT(base < __BPF_ARG_TYPE_MAX);
		EXPECT(!(ended && base != ARG_DONTCARE));
		ended |= base == ARG_DONTCARE;
		EXPECT_EQ((h->arg[i] & MEM_FIXED_SIZE) != 0, h->size[i] != 0);
		EXPECT_EQ(base == ARG_PTR_TO_BTF_ID && h->id != BPF_FUNC_kptr_xchg, h->btf[i] != NULL);
		/* memory is followed by its size, and a size follows memory */
		bool size = base == ARG_CONST_SIZE || base == ARG_CONST_SIZE_OR_ZERO;
		EXPECT_EQ(size, i && before == ARG_PTR_TO_MEM && !(h->arg[i - 1] & MEM_FIXED_SIZE));
	}
	EXPECT_EQ((h->flags & HELPER_RELEASES) != 0,
	          ((h->arg[0] | h->arg[1] | h->arg[2] | h->arg[3] | h->arg[4]) & OBJ_RELEASE) != 0 ||
	              h->id == BPF_FUNC_ringbuf_submit || h->id == BPF_FUNC_ringbuf_discard);
}
static void helpers(void) {
	const struct abi_helper *h, *first;
	u32 n = 0, runs = 0;
	for (u32 i = 0; (h = abi_helper_at(i)); i++) {
		first = abi_helper(ABI, h->id);
		EXPECT(first && !strcmp(first->name, h->name));
		EXPECT(h->types && h->since >= KV(3, 19) && h->since == first->since);
		EXPECT(h->engine == ENGINE_RUNS || abi_refusal(h->engine, NULL));
		EXPECT_EQ(h->engine, first->engine);
		check_prototype(h);
		if (h != first)
			continue;
		n++;
		runs += h->engine == ENGINE_RUNS;
		EXPECT_EQ(h->engine == ENGINE_RUNS, dp_of_helper(h->id) >= 0);
		EXPECT(abi_helper_by_name(ABI, h->name) == h);
	}
	EXPECT_EQ(n, 211);
	EXPECT(runs >= 40);
	EXPECT(!abi_helper(ABI, 0) && !abi_helper(ABI, 212) && !abi_helper(ABI, ABI_HOST_HELPER));
	EXPECT(abi_helper_by_name(ABI, "bpf_loop") == abi_helper(ABI, BPF_FUNC_loop));
	EXPECT(!abi_helper_by_name(ABI, "bpf_nothing"));
}
static void availability(void) {
	struct abi_caller who = all_rights(BPF_PROG_TYPE_XDP, 0);
	enum abi_why why;
	EXPECT(abi_helper_for(ABI, BPF_FUNC_xdp_adjust_head, &who, &why) && why == ABI_OK);
	EXPECT(!abi_helper_for(ABI, BPF_FUNC_skb_load_bytes, &who, &why) && why == ABI_WRONG_TYPE);
	EXPECT(!abi_helper_for(ABI, 4711, &who, &why) && why == ABI_UNKNOWN);
	who.sys_admin = who.perfmon = false;
	EXPECT(!abi_helper_for(ABI, BPF_FUNC_trace_printk, &who, &why) && why == ABI_NO_CAPABILITY);
	EXPECT(abi_helper_for(ABI, BPF_FUNC_loop, &who, &why));
	who.bpf = false;
	EXPECT(!abi_helper_for(ABI, BPF_FUNC_loop, &who, &why) && why == ABI_NO_CAPABILITY);
	EXPECT(abi_helper_for(ABI, BPF_FUNC_map_lookup_elem, &who, &why));
	/* one helper, several prototypes */
	who = all_rights(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP);
	EXPECT_EQ(abi_helper_for(ABI, BPF_FUNC_get_socket_cookie, &who, NULL)->arg[0],
	          ARG_PTR_TO_BTF_ID_SOCK_COMMON | PTR_MAYBE_NULL);
	EXPECT(abi_helper_for(ABI, BPF_FUNC_get_attach_cookie, &who, NULL));
	who.attach_type = BPF_TRACE_ITER;
	EXPECT(!abi_helper_for(ABI, BPF_FUNC_get_attach_cookie, &who, &why) && why == ABI_WRONG_ATTACH);
	EXPECT(abi_helper_for(ABI, BPF_FUNC_seq_write, &who, NULL));
	who = all_rights(BPF_PROG_TYPE_SCHED_CLS, 0);
	EXPECT_EQ(abi_helper_for(ABI, BPF_FUNC_get_socket_cookie, &who, NULL)->arg[0], ARG_PTR_TO_CTX);
	who = all_rights(BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI);
	EXPECT(!(abi_helper_for(ABI, BPF_FUNC_get_func_ip, &who, NULL)->flags & HELPER_GPL));
	who.attach_type = 0;
	EXPECT(abi_helper_for(ABI, BPF_FUNC_get_func_ip, &who, NULL)->flags & HELPER_GPL);
}
static void prog_types(void) {
	for (u32 i = 1; i < __MAX_BPF_PROG_TYPE; i++) {
		const struct abi_prog_type *t = abi_prog_type(ABI, i);
		EXPECT(t && t->id == i && t->name && t->since && t->ctx && abi_ctx(ABI, t->ctx));
		EXPECT(t->engine == ENGINE_RUNS || abi_refusal(t->engine, NULL));
		EXPECT(abi_prog_type_by_name(ABI, t->name) == t);
		EXPECT(!(t->sleepable_attach & ~t->attach));
		EXPECT(!t->attach_default || t->attach >> t->attach_default & 1);
		EXPECT(!(t->flags & PROG_PKT_WRITE) || t->flags & PROG_PKT_READ);
		for (u32 a = 0; a < __MAX_BPF_ATTACH_TYPE; a++)
			if (t->attach >> a & 1)
				EXPECT(abi_attach(ABI, a)->types >> i & 1);
	}
	const struct abi_return *r = abi_return(ABI, BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
	EXPECT(r && r->min == 0 && r->max == 3);
	r = abi_return(ABI, BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS);
	EXPECT(r && r->min == 0 && r->max == 1);
	EXPECT(!abi_return(ABI, BPF_PROG_TYPE_XDP, 0));
	EXPECT(!abi_return(ABI, BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP));
	EXPECT(!abi_prog_type(ABI, 0) && !abi_prog_type(ABI, 33));
}
static void map_types(void) {
	for (u32 i = 1; i < __MAX_BPF_MAP_TYPE; i++) {
		const struct abi_map_type *m = abi_map_type(ABI, i);
		EXPECT(m && m->id == i && m->name && m->since);
		EXPECT(m->engine == ENGINE_RUNS || abi_refusal(m->engine, NULL));
		EXPECT(!(m->required & ~m->allowed));
		EXPECT(abi_map_type_by_name(ABI, m->name) == m);
		for (u32 j = 0; j < m->helpers_n; j++) {
			const struct abi_helper *h = abi_helper(ABI, m->helpers[j]);
			EXPECT(h && (!h->maps || h->maps >> i & 1));
		}
	}
	EXPECT(abi_map_helper(ABI, BPF_MAP_TYPE_PROG_ARRAY, BPF_FUNC_tail_call));
	EXPECT(!abi_map_helper(ABI, BPF_MAP_TYPE_PROG_ARRAY, BPF_FUNC_map_lookup_elem));
	EXPECT(!abi_map_helper(ABI, BPF_MAP_TYPE_HASH, BPF_FUNC_ringbuf_output));
	EXPECT(abi_map_helper(ABI, BPF_MAP_TYPE_HASH, BPF_FUNC_for_each_map_elem));
	EXPECT(abi_map_sleepable(BPF_MAP_TYPE_RINGBUF) && !abi_map_sleepable(BPF_MAP_TYPE_PROG_ARRAY));
	EXPECT(abi_sockmap_update(BPF_PROG_TYPE_XDP, 0, false) && !abi_sockmap_update(BPF_PROG_TYPE_KPROBE, 0, true));
}
static void contexts(void) {
	for (u32 i = 1; i < CTX_IDS; i++) {
		const struct abi_ctx *c = abi_ctx(ABI, i);
		EXPECT(c && c->id == i && c->name);
		EXPECT(c->kind == CTX_NONE || c->size);
		u32 inside = c->in_size ? c->in_size : c->size, last = 0;
		for (u32 j = 0; j < c->fields_n; j++) {
			const struct abi_ctx_field *f = &c->fields[j];
			u32 unit = f->unit ? f->unit : f->size;
			EXPECT(f->name && f->size && f->flags & (CTX_READ | CTX_WRITE));
			EXPECT(f->off >= last || !strcmp(f->name, "reply"));
			last = f->off;
			EXPECT(f->off + f->size <= c->size && is_power_of_two(unit) && unit <= 8 && !(f->off % MIN(unit, 4)));
			EXPECT(f->in_off + f->in_size <= inside && (f->in_size || f->flags & CTX_ZERO));
			if (f->reg && f->reg != SCALAR_VALUE)
				EXPECT_EQ(f->in_size, 8);
		}
	}
}
/* Shorthand: is this access of the context allowed? */
static bool may(u32 type, u32 attach, u32 off, u32 size, bool write) {
	return abi_ctx_field(ABI, type, attach, off, size, write, NULL);
}
static void accesses(void) {
	enum { XDP = BPF_PROG_TYPE_XDP, TC = BPF_PROG_TYPE_SCHED_CLS, SF = BPF_PROG_TYPE_SOCKET_FILTER };
	enum abi_ctx_why why;
	const struct abi_ctx_field *f = abi_ctx_field(ABI, XDP, 0, 0, 4, false, &why);
	EXPECT(f && f->reg == PTR_TO_PACKET && f->in_off == offsetof(struct skep_xdp_buff, data) && f->in_size == 8);
	EXPECT(!may(XDP, 0, 0, 8, false) && !may(XDP, 0, 0, 2, false) && !may(XDP, 0, 12, 4, true));
	EXPECT(!may(XDP, BPF_XDP, 20, 4, false) && may(XDP, BPF_XDP_DEVMAP, 20, 4, false));
	EXPECT(!may(XDP, 0, 24, 4, false) && !may(XDP, 0, -4, 4, false));
	EXPECT(may(TC, 0, offsetof(struct __sk_buff, mark), 4, true));
	EXPECT(!may(TC, 0, offsetof(struct __sk_buff, mark), 2, true));
	EXPECT(may(TC, 0, offsetof(struct __sk_buff, mark) + 1, 1, false));
	EXPECT(!abi_ctx_field(ABI, TC, 0, 9, 2, false, &why) && why == CTX_MISALIGNED);
	EXPECT(may(TC, 0, offsetof(struct __sk_buff, cb), 8, true));
	EXPECT(!may(TC, 0, offsetof(struct __sk_buff, cb[4]), 8, true));
	EXPECT(may(TC, 0, offsetof(struct __sk_buff, cb[4]) + 3, 1, true));
	EXPECT(!abi_ctx_field(ABI, SF, 0, offsetof(struct __sk_buff, data), 4, false, &why) && why == CTX_WRONG_TYPE);
	EXPECT(!abi_ctx_field(ABI, SF, 0, offsetof(struct __sk_buff, mark), 4, true, &why) && why == CTX_READ_ONLY);
	EXPECT(!abi_ctx_field(ABI, TC, 0, 1000, 4, false, &why) && why == CTX_NO_FIELD);
	EXPECT(may(BPF_PROG_TYPE_KPROBE, 0, 160, 8, false) && !may(BPF_PROG_TYPE_KPROBE, 0, 164, 8, false));
	EXPECT(!may(BPF_PROG_TYPE_KPROBE, 0, 0, 8, true));
	EXPECT(!may(BPF_PROG_TYPE_TRACEPOINT, 0, 0, 8, false) && may(BPF_PROG_TYPE_TRACEPOINT, 0, 16, 4, false));
	EXPECT(may(BPF_PROG_TYPE_SYSCALL, 0, 64, 8, true));
	EXPECT(!may(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 96, 8, false) && may(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 88, 8, false));
	f = abi_field(abi_ctx(ABI, CTX_SOCK_COMMON), TC, 0, offsetof(struct bpf_sock, mark), 4, false, &why);
	EXPECT(!f && why == CTX_NO_FIELD);
	EXPECT(abi_field(abi_ctx(ABI, CTX_SOCKET), TC, 0, offsetof(struct bpf_sock, mark), 4, false, &why));
	EXPECT(!abi_field(abi_ctx(ABI, CTX_SOCKET), TC, 0, offsetof(struct bpf_sock, mark), 4, true, &why));
}
static void sections(void) {
	const char *extra;
	const struct abi_section *s = abi_section(ABI, "tracepoint/syscalls/sys_enter_openat", &extra);
	EXPECT(s && s->prog_type == BPF_PROG_TYPE_TRACEPOINT);
	EXPECT_STR(extra, "syscalls/sys_enter_openat");
	s = abi_section(ABI, "xdp", &extra);
	EXPECT(s && s->prog_type == BPF_PROG_TYPE_XDP && s->attach_type == BPF_XDP && !extra);
	EXPECT(abi_section(ABI, "xdp/devmap", NULL)->attach_type == BPF_XDP_DEVMAP);
	EXPECT(!abi_section(ABI, "xdp/other", NULL) && !abi_section(ABI, "kprobes", NULL) && !abi_section(ABI, "", NULL));
	EXPECT(abi_section(ABI, "kprobe", &extra) && !extra);
	EXPECT(abi_section(ABI, "lsm.s/file_open", &extra)->flags & SECTION_SLEEPABLE);
	for (u32 i = 0; (s = abi_section_at(i)); i++) {
		const struct abi_prog_type *t = abi_prog_type(ABI, s->prog_type);
		EXPECT(t && (s->engine == ENGINE_RUNS || abi_refusal(s->engine, NULL)));
		EXPECT(!s->attach_type || t->attach >> s->attach_type & 1);
		for (u32 j = 0; j < i; j++)
			EXPECT(strcmp(abi_section_at(j)->name, s->name));
	}
}
static void commands_and_links(void) {
	for (u32 i = 0; i < __MAX_BPF_CMD; i++) {
		const struct abi_cmd *c = abi_cmd(ABI, i);
		EXPECT(c && c->id == i && c->end && c->end <= sizeof(union bpf_attr) && c->since);
		EXPECT(c->engine == ENGINE_RUNS || abi_refusal(c->engine, NULL));
	}
	EXPECT_STR(abi_cmd(ABI, BPF_PROG_LOAD)->name, "BPF_PROG_LOAD");
	for (u32 i = 0; i < __MAX_BPF_ATTACH_TYPE; i++) {
		const struct abi_attach *a = abi_attach(ABI, i);
		EXPECT(a && a->id == i && a->types && a->since && abi_attach_by_name(ABI, a->name) == a);
		EXPECT(a->engine == ENGINE_RUNS || abi_refusal(a->engine, NULL));
	}
	for (u32 i = 1; i < __MAX_BPF_LINK_TYPE; i++)
		EXPECT(abi_link_type(ABI, i) && abi_link_type(ABI, i)->since);
	EXPECT(!abi_cmd(ABI, __MAX_BPF_CMD) && !abi_attach(ABI, __MAX_BPF_ATTACH_TYPE));
	const struct abi_kfunc *k = abi_kfunc(ABI, "bpf_iter_num_next");
	EXPECT(k && k->flags == (KFUNC_ITER_NEXT | KFUNC_RET_NULL | KFUNC_UNDER_LOCK));
	EXPECT(!abi_kfunc(ABI, "bpf_nothing"));
}
static void syscalls(void) {
	u32 n = 0;
	for (u32 nr = 0; nr < abi_syscalls(); nr++) {
		const struct abi_syscall *c = abi_syscall(nr);
		if (!c)
			continue;
		n++;
		EXPECT(c->nr == nr && c->args <= 6);
		for (u32 i = 0; i < 6; i++)
			EXPECT_EQ(i < c->args, c->arg[i].name && c->arg[i].type);
		if (c->symbol)
			EXPECT(abi_syscall_by_name(c->symbol) == c && abi_syscall_by_name(c->name) == c);
	}
	EXPECT(n >= 380);
	EXPECT_EQ(abi_syscall_by_name("__x64_sys_execve")->nr, 59);
	EXPECT_EQ(abi_syscall_by_name("newfstat")->nr, 5);
	EXPECT_EQ(abi_syscall_by_name("fstat")->nr, 5);
	EXPECT_STR(abi_syscall(257)->arg[1].name, "filename");
	EXPECT_STR(abi_syscall(257)->arg[1].type, "const char *");
	EXPECT(!abi_syscall_by_name("nothing") && !abi_syscall(100000) && !abi_syscall(400));
}
static void versions(void) {
	EXPECT_EQ(abi_version("6.1"), KV(6, 1));
	EXPECT_EQ(abi_version("v5.15"), KV(5, 15));
	EXPECT_EQ(abi_version("6.1.0-18-amd64"), KV(6, 1));
	EXPECT(!abi_version("six") && !abi_version("6") && !abi_version("6.") && !abi_version("999.1"));
	EXPECT_STR(abi_profile("6.12.5")->name, "6.12");
	EXPECT(!abi_profile("6.13"));
	EXPECT_EQ(MAX_CALL_FRAMES, 8);
	for (u32 i = 0; abi_limit_at(i); i++)
		EXPECT(abi_limit_at(i)->value && abi_limit_at(i)->what);
	for (u32 i = ENGINE_RUNS + 1; i < ENGINE_STATES; i++)
		EXPECT(abi_refusal(i, NULL));
	EXPECT(!abi_refusal(ENGINE_RUNS, NULL) && !abi_refusal(ENGINE_STATES, NULL));
}
/* Rows of features.def: members that exist, kernels in order, a source each. */
static void features(void) {
	static const struct {
		const char *structure, *member, *source;
		u16 since;
	} rows[] = {
#define FIELD(structure, member, since, source) {#structure, #member, source, since},
#include "abi/features.def"
	};
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct abi_ctx *ctx = abi_ctx_by_name(abi_linux(), rows[i].structure);
		bool found = false;
		for (u32 k = 0; ctx && k < ctx->fields_n; k++)
			found |= ctx->fields[k].name && !strcmp(ctx->fields[k].name, rows[i].member);
		if (!found)
			printf("# %s has no %s\n", rows[i].structure, rows[i].member);
		EXPECT(found && rows[i].since > KV(4, 9) && *rows[i].source);
	}
	for (u32 i = 0; i < ABI_FEATURES; i++)
		EXPECT(abi_feature(i) && abi_feature(i)->since > KV(4, 9) && *abi_feature(i)->what && *abi_feature(i)->source);
	EXPECT(!abi_feature(ABI_FEATURES));
	EXPECT_EQ(abi_field_since("xdp_md", "egress_ifindex"), KV(5, 8));
	EXPECT(!abi_field_since("xdp_md", "data") && !abi_field_since("xdp_md", NULL));
}
int main(void) {
	RUN(features);
	RUN(helpers);
	RUN(availability);
	RUN(prog_types);
	RUN(map_types);
	RUN(contexts);
	RUN(accesses);
	RUN(sections);
	RUN(commands_and_links);
	RUN(syscalls);
	RUN(versions);
	return test_end();
}
