#!/bin/bash
# --untrusted: programs are held to the rules for users without capabilities.
. "${SRCDIR:=$PWD}/test/lib.sh" || exit 1
cat >f.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, __u32); __type(value, __u64[8]); __uint(max_entries, 1); } counts SEC(".maps");
SEC("socket") int fine(struct __sk_buff *c)
{
	__u32 k = 0;
	__u64 *v = bpf_map_lookup_elem(&counts, &k);
	if (v)
		v[c->len & 7]++;
	return c->len;
}
SEC("socket") int leak(struct __sk_buff *c)
{
	__u32 k = 0;
	__u64 *v = bpf_map_lookup_elem(&counts, &k);
	if (v)
		*v = (unsigned long)c;
	return 0;
}
SEC("tracepoint/syscalls/sys_enter_openat") int traced(void *c) { return 0; }
char LICENSE[] SEC("license") = "GPL";
C
clang -O2 -g -target bpf -idirafter /usr/include/x86_64-linux-gnu -c f.bpf.c -o f.bpf.o
sed '/^SEC("socket") int leak/,/^}/d; /^SEC("tracepoint/d' f.bpf.c >fine.bpf.c
clang -O2 -g -target bpf -idirafter /usr/include/x86_64-linux-gnu -c fine.bpf.c -o fine.bpf.o
packet=ffffffffffff00000000000088b5$(printf "00%.0s" {1..50})
t "all verify for their user" $SKEP verify f.bpf.o
out=$($SKEP verify f.bpf.o --untrusted --json); status=$?
is "verify --untrusted: some are refused" 1 $status
is "verify --untrusted: verdicts" '["fine success","leak failure","traced failure"]' \
	"$(jq -c '[.[] | "\(.program) \(.verdict)"] | sort' <<<"$out")"
is "the address that would be stored is named" "SK0704 f.bpf.c" \
	"$(jq -r '.[] | select(.program == "leak").problem | "\(.code) \(.file | split("/") | last)"' <<<"$out")"
like "the capability is named" 'CAP_BPF' "$(jq -r '.[] | select(.program == "traced").problem.sentence' <<<"$out")"
$SKEP test fine.bpf.o --packet $packet --untrusted --json >out.json; status=$?
is "test --untrusted runs what is allowed" 0 $status
is "with the same result" "$($SKEP test fine.bpf.o --packet $packet --json | jq -cS .verdicts)" \
	"$(jq -cS .verdicts out.json)"
err=$($SKEP test f.bpf.o --program leak --packet $packet --untrusted 2>&1 >/dev/null); status=$?
is "test --untrusted refuses what is not" 1 $((status > 0))
like "in words" 'address' "$err"
err=$($SKEP run f.bpf.o --program traced --untrusted -- true 2>&1 >/dev/null); status=$?
is "run --untrusted refuses to trace" 1 $((status > 0))
like "for want of a capability" 'CAP_BPF' "$err"
done_testing
