#!/bin/bash
# The tutorial's steps, one by one: compile, load, attach, dump.
. "${SRCDIR:=$PWD}/test/lib.sh"
pin=/sys/fs/bpf/tutorial

t "skep prog load compiles the BCC dialect and pins" $SKEP prog load $SRCDIR/examples/syscall_count.c $pin
out=$($SKEP attach $pin --syscall __x64_sys_execve -- sh -c '/bin/true; /bin/true; exit 3' 2>&1)
is "skep attach passes the status on" 3 $?
out=$($SKEP --json map dump name counts)
is "execs of the shell's children, one a process" "2" "$(jq '[.[].formatted.value] | add' <<<"$out")"
t "the program can be shown" $SKEP prog show pinned $pin
is "prog show has bpftool's keys" true "$($SKEP -j prog show pinned $pin | jq 'has("id") and has("type") and has("name") and has("tag") and has("bytes_xlated") and has("map_ids")')"
like "prog dump xlated" 'call bpf_(map_lookup_elem|get_current_pid_tgid)' "$($SKEP prog dump xlated pinned $pin)"
out=$($SKEP prog load $SRCDIR/examples/syscall_count.c $pin 2>&1); is "pinning twice: status" 2 $?
like "pinning twice is said" "already|exists" "$out"

cat >counter.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, unsigned); __type(value, unsigned long long); __uint(max_entries, 1); } calls SEC(".maps");
SEC("kprobe/__x64_sys_getppid")
int count(void *ctx) { unsigned k = 0; unsigned long long *v = bpf_map_lookup_elem(&calls, &k); if (v) __sync_fetch_and_add(v, 1); return 0; }
char LICENSE[] SEC("license") = "GPL";
C
cat >ppid.c <<'C'
#include <unistd.h>
int main(void) { for (int i = 0; i < 1000; i++) getppid(); return 0; }
C
gcc -O1 -o ppid ppid.c
t "clang compiles" clang -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c counter.bpf.c -o counter.o
t "skep prog load X.o PIN" $SKEP prog load counter.o /sys/fs/bpf/counter
t "skep attach PIN --syscall" $SKEP attach /sys/fs/bpf/counter --syscall __x64_sys_getppid -- ./ppid
t "skep prog load ... pinmaps is loadall's" $SKEP prog loadall counter.o /sys/fs/bpf/all pinmaps /sys/fs/bpf/maps
id=$($SKEP -j map show | jq '[.[] | select(.name == "calls")][0].id')
is "the count is exact" 1000 "$($SKEP -j map dump id $id | jq '.[0].formatted.value')"
t "map update" $SKEP map update id $id key 0 0 0 0 value 5 0 0 0 0 0 0 0
is "map lookup" 5 "$($SKEP -j map lookup id $id key 0 0 0 0 | jq .formatted.value)"
$SKEP map lookup id $id key 9 0 0 0 >/dev/null 2>&1; is "a key that is not there: status" 1 $?
$SKEP map update id $id key 0 value 1 2 3 >/dev/null 2>&1; is "a value of the wrong size: status" 2 $?
out=$($SKEP map update id $id key 4294967296 value 1 2>&1); is "a key that does not fit: status" 2 $?
like "a key that does not fit" "does not fit into 4 bytes" "$out"
$SKEP map update id $id key 0 value 5 noexist >/dev/null 2>&1; is "noexist where it exists: status" 1 $?
for words in "map dump id $id x" "map lookup id $id key 0 value" "map show id $id x" "prog show pinned $pin x" "prog dump xlated pinned $pin opcode x"; do
	out=$($SKEP $words 2>&1); is "$words: status" 2 $?
	like "$words: a word too many" "one word too many" "$out"
done
out=$($SKEP map show pinned $pin 2>&1); is "a program is not a map: status" 2 $?
like "a program is not a map" "is not a map" "$out"
out=$($SKEP prog dump xlated pinned /sys/fs/bpf/maps/calls 2>&1); is "a map is not a program: status" 2 $?
like "a map is not a program" "is not a program" "$out"
out=$($SKEP prog run pinned $pin data_in ppid.c 2>&1); is "a program that takes no data: status" 2 $?
like "a program that takes no data" "not run over data" "$out"
like "a dump has the C lines" '^; u32 pid = bpf_get_current_pid_tgid' "$($SKEP prog dump xlated pinned $pin)"
cat >print.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("ksyscall/getppid") int hello(struct pt_regs *ctx) { bpf_printk("hello"); return 0; }
char LICENSE[] SEC("license") = "GPL";
C
t "a program that prints" $SKEP prog load print.bpf.c /sys/fs/bpf/print
is "attach --json: lines are JSON" 1000 "$($SKEP attach --json /sys/fs/bpf/print --syscall getppid -- ./ppid | jq -r .printk | grep -c '^hello$')"
t "the maps' pins dump" $SKEP map dump pinned /sys/fs/bpf/maps/calls
is "show -f: the pins of a program" '["/sys/fs/bpf/all/count"]' "$($SKEP -j prog show pinned /sys/fs/bpf/all/count -f | jq -c .pinned)"
like "show -f: the pins of a map" 'pinned /sys/fs/bpf/maps/calls' "$($SKEP -f map show)"
like "verify -v: the log of what is accepted" '^processed [0-9]+ insns' "$($SKEP verify counter.o -v 2>&1)"
is "what is pinned is there" true "$($SKEP -j prog show | jq 'length >= 4')"
for name in tutorial counter print all/count; do t "prog unpin $name" $SKEP prog unpin /sys/fs/bpf/$name; done
is "map unpin answers null in JSON" null "$($SKEP -j map unpin /sys/fs/bpf/maps/calls)"
is "without pins nothing is left" "[] []" "$(echo $($SKEP -j prog show) $($SKEP -j map show))"
$SKEP prog unpin $pin >/dev/null 2>&1; is "unpinning twice: status" 2 $?
done_testing
