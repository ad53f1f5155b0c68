#!/bin/bash
# skep verify: columns, order, filters, comparison, formats for machines, older kernels and the running one.
. "${SRCDIR:=$PWD}/test/lib.sh"

mkdir "with space"
cat >one.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, __u64); __uint(max_entries, 4); } counts SEC(".maps");
SEC("xdp") int short_one(struct xdp_md *c) { return XDP_PASS; }
SEC("xdp") int long_one(struct xdp_md *c)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);
	if (value)
		*value += 1;
	return XDP_PASS;
}
SEC("xdp") int bad_one(struct xdp_md *c)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);
	*value += 1;
	return XDP_PASS;
}
char LICENSE[] SEC("license") = "GPL";
C
compile() { clang -O2 -g -target bpf -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -c "$1" -o "$2" || exit 1; }
compile one.bpf.c one.o
cp one.o "with space/a%b.o"

out=$($SKEP verify one.o 2>/dev/null); is "a refusal among them: status" 1 $?
is "the columns" "file program verdict duration_us insns states peak_states stack" "$(head -1 <<<"$out" | xargs)"
is "a line for each program" 4 "$(wc -l <<<"$out")"
is "--emit" "prog verdict" "$($SKEP verify one.o --emit prog,verdict 2>/dev/null | head -1 | sed 's/program/prog/' | xargs)"
is "--sort by a number: the largest first" "long_one bad_one short_one" \
	"$($SKEP verify one.o --sort insns --emit prog 2>/dev/null | tail -3 | xargs)"
is "--sort up" "short_one bad_one long_one" "$($SKEP verify one.o -s insns^ -e prog 2>/dev/null | tail -3 | xargs)"
is "--sort by a word" "bad_one long_one short_one" "$($SKEP verify one.o -s prog -e prog 2>/dev/null | tail -3 | xargs)"
is "--filter by condition" "long_one" "$($SKEP verify one.o -f 'insns>8' -f verdict=success -e prog 2>/dev/null | tail -1 | xargs)"
is "--filter by glob" "short_one" "$($SKEP verify one.o -f 'one.o/sh*' -e prog 2>/dev/null | tail -1 | xargs)"
out=$($SKEP verify one.o -f '!*bad*' -e prog 2>/dev/null); is "--filter with !: status" 0 $?
is "--filter with !" "short_one long_one" "$(tail -2 <<<"$out" | xargs)"
for option in "--emit insms" "--sort insms" "--filter insms>3"; do
	out=$($SKEP verify one.o $option 2>&1); is "$option: status" 2 $?
	like "$option: the nearest" "did you mean insns" "$out"
done

$SKEP verify one.o --json >new.json 2>/dev/null
keys='["duration_us","file","insns","max_states","peak_states","program","section","size","stack","states","type","verdict"]'
is "--json: the keys of a row" "$keys" "$(jq -c '.[0] | keys' new.json)"
is "--json: the keys of a problem" \
	'["code","column","family","file","insn","kernel","known","line","line_text","log","needed","notes","sentence","suggestion"]' \
	"$(jq -c '.[2].problem | keys' new.json)"
is "--json: code and family" "SK0103 register type safety" "$(jq -r '.[2].problem | .code + " " + .family' new.json)"
is "--json: where it comes from" "16: R0 is what bpf_map_lookup_elem returns here" \
	"$(jq -r '.[2].problem.notes[0] | "\(.line): \(.text)"' new.json)"
jq 'map(if .program == "long_one" then .insns -= 2 | .verdict = "failure" else . end) + [.[0] | .program = "old_one"]' new.json >old.json
out=$($SKEP verify one.o --compare old.json 2>/dev/null)
like "--compare: a verdict" "long_one +failure → success" "$out"
like "--compare: a number" "12 → 14 \(\+16.7%\)|[0-9]+ → [0-9]+ \(\+[0-9.]+%\)" "$out"
like "--compare: one that is gone" "old_one +success → \(gone\)" "$out"
out=$($SKEP verify one.o --compare one.o 2>&1); is "--compare with something else: status" 2 $?

like "gcc: a note has its own line" "^one.bpf.c:16:[0-9]+: note: R0 is what" "$($SKEP verify one.o --format gcc 2>/dev/null | sed 's|^[^:]*/||')"
like "github: names are escaped" "^::error file=" "$($SKEP verify "with space/a%b.o" --format github 2>/dev/null)"
$SKEP verify one.o "with space/a%b.o" --format sarif >out.sarif 2>/dev/null; is "sarif: status" 1 $?
like "sarif is valid" "^valid: 2 results, 1 rules" "$("$SRCDIR/test/cli/sarif.py" <out.sarif)"
is "sarif: the line" 17 "$(jq '.runs[0].results[0].locations[0].physicalLocation.region.startLine' out.sarif)"
is "sarif: nothing refused" "valid: 0 results, 0 rules" "$($SKEP verify one.o -f long_one --format sarif | "$SRCDIR/test/cli/sarif.py")"
jq 'del(.runs[0].results[0].message)' out.sarif >broken.sarif
like "the check of SARIF finds what is missing" "message is missing" "$("$SRCDIR/test/cli/sarif.py" <broken.sarif)"
out=$($SKEP verify one.o --format yaml 2>&1); is "a format that is none: status" 2 $?

cat >young.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
int total;
static long add(unsigned i, void *sum) { *(int *)sum += i; return 0; }
SEC("xdp") int callback(struct xdp_md *c) { int sum = 0; bpf_loop(4, add, &sum, 0); total = sum; return XDP_PASS; }
SEC("xdp/devmap") int field(struct xdp_md *c) { return c->egress_ifindex ? XDP_PASS : XDP_DROP; }
SEC("xdp") int exchange(struct xdp_md *c) { return __sync_lock_test_and_set(&total, 7) ? XDP_PASS : XDP_DROP; }
SEC("tc") int loop(struct __sk_buff *skb)
{
	int sum = 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 5; i++)
		sum += bpf_get_prandom_u32();
	return sum & 1;
}
SEC("socket") int hole(struct __sk_buff *skb)
{
	volatile char some[16];
	some[3] = 1;
	return some[8] ? 0 : skb->len;
}
char LICENSE[] SEC("license") = "GPL";
C
compile young.bpf.c young.o
verdicts() { jq -r --arg p "$1" '[.[] | select(.program == $p) | .verdict[0:1]] | join("")' young.json; }
$SKEP verify young.o --kernel 4.19,5.4,5.10,5.15,6.1,6.6,6.12,6.18 --json >young.json 2>/dev/null; is "--kernel: status" 1 $?
is "--kernel: a helper and callbacks" ffffssss "$(verdicts callback)"
is "--kernel: a field of the context" ffssssss "$(verdicts field)"
is "--kernel: an instruction" fffsssss "$(verdicts exchange)"
is "--kernel: loops" fsssssss "$(verdicts loop)"
is "--kernel: stack that was never written" fffffsss "$(verdicts hole)"
is "--kernel: labelled" true "$(jq 'all(.predicted == true)' young.json)"
like "--kernel: why" "Linux 5.4 \(predicted\): the program uses helper bpf_loop, which Linux has since 5.17" \
	"$($SKEP verify young.o --program callback --kernel=5.4 2>&1)"
out=$($SKEP verify young.o --kernel 5.99 2>&1); is "--kernel: one that is not known: status" 2 $?
like "--kernel: those that are" "5.4, 5.8, 5.10" "$out"
if $SKEP feature --json | jq -e '.kernel_bpf.granted' >/dev/null; then
	$SKEP verify one.o --kernel --json >running.json 2>/dev/null; is "the running kernel is asked: status" 1 $?
	is "the running kernel says the same" "$(jq -c '[.[] | [.program, .verdict, .insns, .problem.kernel]]' new.json)" \
		"$(jq -c '[.[] | [.program, .verdict, .insns, .problem.kernel]]' running.json)"
	is "--kernel=running" "$(jq -c 'map(.verdict)' running.json)" \
		"$($SKEP verify one.o --kernel=running --json 2>/dev/null | jq -c 'map(.verdict)')"
else
	skip "the running kernel is asked" "bpf() is not granted"
fi
done_testing
