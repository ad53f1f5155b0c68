/* Maps as before BTF: struct bpf_map_def in section maps. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct bpf_map_def {
	unsigned int type, key_size, value_size, max_entries, map_flags;
};
struct bpf_map_def SEC("maps") counts = {
	.type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 64};
SEC("raw_tp/sys_enter")
int count(struct bpf_raw_tracepoint_args *ctx) {
	__u32 nr = ctx->args[1];
	__u64 one = 1, *v = bpf_map_lookup_elem(&counts, &nr);
	if (v)
		__sync_fetch_and_add(v, 1);
	else
		bpf_map_update_elem(&counts, &nr, &one, BPF_NOEXIST);
	return 0;
}
char _license[] SEC("license") = "GPL";
