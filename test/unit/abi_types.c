/* The shipped BTF parses, contains what programs need, and its real kernel types have the layout that the running
 * kernel's BTF shows: every size, member offset and enumerator. */
#include "test.h"
#include "abi/abi.h"
#include "abi/regs.h"
#include "abi/types_btf.h"
#include "btf/btf.h"
#include <stdlib.h>

static struct btf *shipped, *kernel;

static void parses(void) {
	struct btf_log log = {0};
	EXPECT_EQ(btf_parse(skep_btf_data, skep_btf_size, NULL, 0, &log, &shipped), 0);
	EXPECT_STR(log.error, "");
	if (!shipped)
		exit(1);
	static const char *const needed[] = {
	    "xdp_md", "__sk_buff", "pt_regs", "trace_event_raw_sys_enter", "trace_event_raw_sys_exit", "ethhdr", "iphdr",
	    "ipv6hdr", "tcphdr", "udphdr", "icmphdr", "task_struct", "cred", "nsproxy", "bpf_spin_lock", "bpf_sock",
	    "bpf_raw_tracepoint_args", "bpf_map_info", "sockaddr_in", "bpf_perf_event_data", "trace_entry",
	};
	for (u32 i = 0; i < ARRAY_SIZE(needed); i++)
		EXPECT(btf_find(shipped, needed[i], BTF_KIND_STRUCT));
	static const char *const typedefs[] = {"u8", "__u8", "s64", "__be16", "size_t", "bool", "pid_t", "umode_t"};
	for (u32 i = 0; i < ARRAY_SIZE(typedefs); i++)
		EXPECT(btf_find(shipped, typedefs[i], BTF_KIND_TYPEDEF));
	/* tp_btf: a typedef of a pointer to a prototype with one parameter more than arguments */
	const struct btf_type *t = btf_skip_type(shipped, btf_find(shipped, "btf_trace_sys_enter", BTF_KIND_TYPEDEF));
	EXPECT_EQ(btf_kind(t), BTF_KIND_PTR);
	t = btf_type(shipped, t->type);
	EXPECT(btf_kind(t) == BTF_KIND_FUNC_PROTO && btf_vlen(t) == 3);
	u64 value;
	t = btf_type(shipped, btf_find(shipped, "bpf_func_id", BTF_KIND_ENUM));
	EXPECT(btf_enum_value(shipped, t, "BPF_FUNC_loop", &value) && value == 181);
	t = btf_type(shipped, btf_find(shipped, "bpf_perf_event_index", BTF_KIND_UNKN));
	EXPECT(btf_enum_value(shipped, t, "BPF_F_CURRENT_CPU", &value) && (u32)value == 0xffffffff);
	/* the library is compiled from the same text */
	EXPECT_EQ(btf_size(shipped, btf_find(shipped, "bpf_attr", BTF_KIND_UNION)), sizeof(union bpf_attr));
	EXPECT_EQ(btf_size(shipped, btf_find(shipped, "pt_regs", BTF_KIND_STRUCT)), sizeof(struct pt_regs));
}

/* Types whose layout is skep's own. */
static bool synthetic(const char *name) {
	static const char *const names[] = {
	    "task_struct", "cred", "nsproxy", "ns_common", "uts_namespace", "mnt_namespace", "pid_namespace", "net",
	    "ipc_namespace", "cgroup_namespace",
	};
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}
/* Is a member of this name at this place (bits from the start) in the struct, at any depth of anonymous or named members? */
static bool has(const struct btf *btf, u32 id, const char *name, u32 at, u32 base, u32 depth) {
	const struct btf_type *t = btf_skip_type(btf, id);
	if (!btf_is_composite(t) || depth > 8)
		return false;
	for (u32 i = 0; i < btf_vlen(t); i++) {
		u32 off = base + btf_member_bit_offset(t, i);
		if (off == at && !strcmp(btf_string(btf, btf_members(t)[i].name_off), name))
			return true;
		if (has(btf, btf_members(t)[i].type, name, at, off, depth + 1))
			return true;
	}
	return false;
}
static u32 compare_members(u32 ours, u32 theirs, const char *name, u32 base, u32 top) {
	const struct btf_type *t = btf_skip_type(shipped, ours);
	u32 n = 0;
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const char *member = btf_string(shipped, btf_members(t)[i].name_off);
		u32 at = base + btf_member_bit_offset(t, i);
		if (*member && !has(kernel, top, member, at, 0, 0)) {
			printf("# struct %s: the kernel has no %s at bit %u\n", name, member, at);
			EXPECT(!"member is the kernel's");
		}
		n++;
		if (!*member)
			n += compare_members(btf_members(t)[i].type, theirs, name, at, top);
	}
	return n;
}
static void layouts(void) {
	u32 compared = 0, members = 0;
	for (u32 id = 1; id < btf_types_n(shipped); id++) {
		const struct btf_type *t = btf_type(shipped, id);
		const char *name = btf_name(shipped, t);
		if (!btf_is_composite(t) || !*name || synthetic(name))
			continue;
		u32 other = btf_find(kernel, name, btf_kind(t));
		if (!other)
			continue; /* absent from this kernel's configuration */
		compared++;
		EXPECT_EQ(btf_size(shipped, id), btf_size(kernel, other));
		members += compare_members(id, other, name, 0, other);
	}
	printf("# %u structures, %u members compared with the kernel\n", compared, members);
	EXPECT(compared > 80);
	EXPECT(members > 500);
}

struct value {
	const char *name;
	u64 value;
	bool wide;
};
static int by_name(const void *a, const void *b) {
	return strcmp(((const struct value *)a)->name, ((const struct value *)b)->name);
}
static u32 collect(const struct btf *btf, struct value *to, u32 room) {
	u32 n = 0;
	for (u32 id = 1; id < btf_types_n(btf); id++) {
		const struct btf_type *t = btf_type(btf, id);
		if (!btf_is_any_enum(t))
			continue;
		bool wide = btf_kind(t) == BTF_KIND_ENUM64;
		for (u32 i = 0; i < btf_vlen(t) && n < room; i++, n++) {
			to[n].name = btf_string(btf, wide ? btf_enums64(t)[i].name_off : btf_enums(t)[i].name_off);
			to[n].value = wide ? btf_enum64_value(&btf_enums64(t)[i]) : (u32)btf_enums(t)[i].val;
			to[n].wide = wide;
		}
	}
	return n;
}
static void enumerators(void) {
	enum { ROOM = 100000 };
	struct value *theirs = calloc(ROOM, sizeof *theirs), *ours = calloc(ROOM, sizeof *ours);
	u32 n = collect(kernel, theirs, ROOM), m = collect(shipped, ours, ROOM), compared = 0;
	qsort(theirs, n, sizeof *theirs, by_name);
	for (u32 i = 0; i < m; i++) {
		struct value *k = bsearch(&ours[i], theirs, n, sizeof *theirs, by_name);
		if (!k)
			continue;
		compared++;
		if ((u32)k->value != (u32)ours[i].value) {
			printf("# %s is %llu, the kernel's is %llu\n", k->name, (unsigned long long)ours[i].value,
			       (unsigned long long)k->value);
			EXPECT(!"enumerator is the kernel's");
		}
	}
	printf("# %u of %u enumerators compared with the kernel\n", compared, m);
	EXPECT(compared > 600);
	free(theirs);
	free(ours);
}
/* The long enumerations end where the kernel's end: nothing is missing. */
static void lengths(void) {
	static const struct {
		const char *name, *last;
		u64 n;
	} want[] = {
	    {"bpf_prog_type", "__MAX_BPF_PROG_TYPE", __MAX_BPF_PROG_TYPE},
	    {"bpf_map_type", "__MAX_BPF_MAP_TYPE", __MAX_BPF_MAP_TYPE},
	    {"bpf_attach_type", "__MAX_BPF_ATTACH_TYPE", __MAX_BPF_ATTACH_TYPE},
	    {"bpf_link_type", "__MAX_BPF_LINK_TYPE", __MAX_BPF_LINK_TYPE},
	    {"bpf_cmd", "__MAX_BPF_CMD", __MAX_BPF_CMD},
	    {"bpf_func_id", "__BPF_FUNC_MAX_ID", __BPF_FUNC_MAX_ID},
	    {"bpf_arg_type", "__BPF_ARG_TYPE_MAX", __BPF_ARG_TYPE_MAX},
	    {"bpf_return_type", "__BPF_RET_TYPE_MAX", __BPF_RET_TYPE_MAX},
	    {"bpf_reg_type", "__BPF_REG_TYPE_MAX", __BPF_REG_TYPE_MAX},
	    {"bpf_type_flag", "__BPF_TYPE_LAST_FLAG", DYNPTR_TYPE_SKB_META},
	    {"btf_field_type", "BPF_TASK_WORK", BPF_TASK_WORK},
	};
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		u64 value = 0;
		const struct btf_type *t = btf_type(kernel, btf_find(kernel, want[i].name, BTF_KIND_ENUM));
		EXPECT(btf_enum_value(kernel, t, want[i].last, &value));
		EXPECT_EQ(value, want[i].n);
	}
}
/* Is this the kernel that the tables describe? Others have fewer fields. */
static bool same_kernel(void) {
	u64 value = 0;
	const struct btf_type *t = btf_type(kernel, btf_find(kernel, "bpf_features", BTF_KIND_ENUM));
	return t && t != &btf_void && btf_enum_value(kernel, t, "__MAX_BPF_FEAT", &value) && value == 2;
}
int main(void) {
	RUN(parses);
	if (btf_read_file(NULL, NULL, 0, NULL, &kernel)) {
		SKIP("layouts", "the kernel's BTF cannot be read");
	} else if (!same_kernel()) {
		SKIP("layouts", "the running kernel is not the 6.18 that the tables describe");
	} else {
		RUN(layouts);
		RUN(enumerators);
		RUN(lengths);
		btf_put(kernel);
	}
	btf_put(shipped);
	return test_end();
}
