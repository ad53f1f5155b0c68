#!/bin/bash
# The bpftool grammar and the options that the other scripts do not happen to use: each does what its help says.
. "${SRCDIR:=$PWD}/test/lib.sh"
ex=$SRCDIR/examples bpf=/sys/fs/bpf

t "map create" $SKEP map create $bpf/m type hash key 4 value 8 entries 2 name m
t "map update" $SKEP map update name m key 1 0 0 0 value 5 0 0 0 0 0 0 0
is "map getnext: the first" '{"key":null,"next_key":["0x01","0x00","0x00","0x00"]}' "$($SKEP map getnext name m --json)"
$SKEP map getnext name m key 1 0 0 0 >/dev/null 2>&1; is "map getnext: no other" 1 $?
is "map list" "$($SKEP map show --json)" "$($SKEP map list --json)"
t "map pin" $SKEP map pin name m $bpf/again
is "map pin: the same map" "$($SKEP map show pinned $bpf/m --json | jq .id)" "$($SKEP map show pinned $bpf/again --json | jq .id)"
like "a mistyped pin" "did you mean again\\?" "$($SKEP map show pinned $bpf/agian 2>&1)"
t "map delete" $SKEP map delete name m key 1 0 0 0
is "map delete: nothing is left" "[]" "$($SKEP map dump name m --json | jq -c .)"
t "map freeze" $SKEP map freeze name m
$SKEP map update name m key 1 0 0 0 value 5 0 0 0 0 0 0 0 2>/dev/null; is "map freeze: no more writes" 2 $?

t "prog load" $SKEP prog load $ex/filter.bpf.c $bpf/filter
t "prog pin" $SKEP prog pin pinned $bpf/filter $bpf/twice
same='map(del(.loaded_at))' # made of two clocks, so two looks may differ
is "prog list" "$($SKEP prog show --json | jq -c "$same")" "$($SKEP prog list --json | jq -c "$same")"
is "prog pin: the same program" 1 "$($SKEP prog list --json | jq 'map(select(.name == "filter")) | length')"
head -c 60 /dev/zero >packet
out=$($SKEP prog run pinned $bpf/filter data_in packet data_out out repeat 3); is "prog run: status" 0 $?
like "prog run: what it returned" "^Return value: [0-9]+" "$out"
cmp -s packet out; is "prog run: the packet" 0 $?
is "map help" "$($SKEP help map)" "$($SKEP map help)"
is "prog help" "$($SKEP help prog)" "$($SKEP prog help)"

for section in tc/ingress tc/egress tcx/ingress tcx/egress classifier action socket; do
	cat >one.bpf.c <<C
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("$section") int f(struct __sk_buff *skb) { return 0; }
char LICENSE[] SEC("license") = "GPL";
C
	t "section $section runs over packets" $SKEP test one.bpf.c --file packet
done

cat >bad.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("xdp") int f(struct xdp_md *c) { return *(u32 *)(long)c->data; }
char LICENSE[] SEC("license") = "GPL";
C
like "verify --format gcc" "bad.bpf.c:3:[0-9]+: error: .* \\[SK[0-9]{4}\\]" "$($SKEP verify bad.bpf.c --format gcc 2>/dev/null)"
like "verify --format github" "^::error file=.*bad.bpf.c,line=3,col=" "$($SKEP verify bad.bpf.c --format github 2>/dev/null)"
cat >long.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("xdp") int turns(void *ctx) { long x = 0; for (int i = 0; i < 400000; i++) asm volatile("" : "+r"(x)); return 2; }
C
is "verify: too many turns" failure "$($SKEP verify long.bpf.c -j 2>/dev/null | jq -r '.[0].verdict')"
for limit in "--time 0.001" "--memory 1"; do
	is "verify $limit: not enough to tell" "unknown 2" \
		"$($SKEP verify long.bpf.c $limit -j 2>/dev/null | jq -r '.[0].verdict') $($SKEP verify long.bpf.c $limit >/dev/null 2>&1; echo $?)"
	is "verify $limit: enough" failure "$($SKEP verify bad.bpf.c $limit -j 2>/dev/null | jq -r '.[0].verdict')"
done
is "verify --format json" failure "$($SKEP verify bad.bpf.c --format json 2>/dev/null | jq -r '.[0].verdict')"
cat >unknown.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("fentry/no_such_function") int f(void *c) { return 0; }
SEC("xdp") int g(struct xdp_md *c) { return *(u32 *)(long)c->data; }
SEC("freplace/f") int h(struct xdp_md *c) { return 0; }
char LICENSE[] SEC("license") = "GPL";
C
out=$($SKEP verify unknown.bpf.c --json 2>/dev/null); is "verify: what it cannot judge is no refusal" 2 $?
is "verify: verdict of what it cannot judge" "unknown failure unknown" "$(jq -r '[.[].verdict] | join(" ")' <<<"$out")"
if [ -r /sys/kernel/btf/vmlinux ]; then # programs for the kernel are judged by its types
	cat >traced.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("fentry/vfs_read") int f(u64 *ctx) { return ctx[2] ? 0 : 0; }
SEC("lsm/file_open") int g(u64 *ctx) { return 1; }
SEC("tp_btf/sched_switch") int h(u64 *ctx) { return ctx[9]; }
char LICENSE[] SEC("license") = "GPL";
C
	out=$($SKEP verify traced.bpf.c --json 2>/dev/null); is "verify: programs for the kernel" 1 $?
	is "verify: verdicts on programs for the kernel" "success failure failure" "$(jq -r '[.[].verdict] | join(" ")' <<<"$out")"
	like "run: programs for the kernel" "skep has no «vfs_read» to attach to" "$($SKEP run traced.bpf.c --program f -- true 2>&1)"
fi
like "disasm --bytes" "b700000000000000 +r0 = 0" "$(printf 'b700000000000000 9500000000000000' | $SKEP disasm --bytes -)"
for when in always never; do
	escapes=$($SKEP run $ex/syscall_count.c --color $when -- true 2>&1 | grep -c $'\e')
	is "--color $when" $([ $when = always ] && echo true || echo false) "$([ "$escapes" -gt 0 ] && echo true || echo false)"
done
t "--debug" $SKEP run $ex/syscall_count.c --debug --quiet -- true

cat >events.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct first { u32 a, b; } *first_unused_type;
struct second { u64 whole; } *second_type;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } out SEC(".maps");
SEC("ksyscall/getppid") int f(void *c) { u64 v = 7ull << 32 | 5; bpf_ringbuf_output(&out, &v, 8, 0); return 0; }
char LICENSE[] SEC("license") = "GPL";
C
cat >ppid.c <<'C'
#include <unistd.h>
int main(void) { getppid(); return 0; }
C
gcc -O1 -o ppid ppid.c
is "run --events" '{"a":5,"b":7}' "$($SKEP run events.bpf.c --events first --json -- ./ppid | jq -c 'select(.event).data')"
is "run --events: another" '{"whole":30064771077}' "$($SKEP run events.bpf.c --events second --json -- ./ppid | jq -c 'select(.event).data')"

echo 'BPF_HASH(r, u64, u64); int f(struct pt_regs *ctx) { r.increment(PT_REGS_RC(ctx)); return 0; }' >by_hand.c
t "prog load of a BCC source" $SKEP prog load by_hand.c $bpf/returns
t "attach --exit" $SKEP attach $bpf/returns --syscall getppid --exit -- ./ppid
is "attach --exit: the result, a pid" true "$($SKEP map dump name r --json | jq '.[0].formatted.key > 1')"
done_testing
