#!/bin/bash
# skep run: the examples on real commands; the command's output and status are its own.
. "${SRCDIR:=$PWD}/test/lib.sh"
ex=$SRCDIR/examples

$SKEP run $ex/syscall_count.c --syscall all -- sh -c 'echo hi; exit 7' >out 2>err
is "the status is the command's" 7 $?
like "the command's output comes through" '^hi$' "$(cat out)"
like "a table with the map's name" '^counts \(hash, [0-9]+ entr' "$(cat out)"
$SKEP run $ex/syscall_count.c --syscall all -- sh -c 'kill -9 $$' >out 2>&1
is "a signal is 128 + its number" 137 $?

$SKEP run $ex/syscall_count.c --syscall all --json -- true >out 2>err
is "run --json: status" 0 $?
t "run --json: one object a line" jq -e . out
is "run --json: the map" '"counts hash 1"' "$(jq 'select(.map) | "\(.map) \(.type) \(.entries | length)"' out)"
t "run --json: keys and values are numbers" jq -e 'select(.map) | .entries[0] | (.key > 0) and (.value > 0)' out

$SKEP run $ex/opens.bpf.c --json -- cat /etc/passwd >out 2>err
is "events: status" 0 $?
like "events: the path that was opened" '"path":"/etc/passwd"' "$(grep '"event":"opens"' out)"
$SKEP run $ex/opens.bpf.c --json -- cat $work/none >out 2>err
is "events: the command's failure is passed on" 1 $?
is "events: negative errno" -2 "$(jq -r 'select(.event) | select(.data.path | endswith("/none")) | .data.result' out)"

$SKEP run $ex/syscall_latency.bpf.c -- ls / >out 2>err
is "histograms: status" 0 $?
like "histograms: bars" '[0-9]+\.\.[0-9]+ +[0-9]+ +.*(█|▏|▎|▍|▌|▋|▊|▉)' "$(cat out)"
$SKEP run $ex/slow.bpf.c --json -- sleep 0.05 >out 2>err
is "slow calls: the sleep" true "$(jq -s 'map(select(.event == "slow" and .data.microseconds >= 40000)) | length >= 1' out)"

cat >print.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("tracepoint/syscalls/sys_enter_getppid")
int hello(struct trace_event_raw_sys_enter *ctx) { bpf_printk("nr %d", (int)ctx->id); return 0; }
char LICENSE[] SEC("license") = "GPL";
C
cat >ppid.c <<'C'
#include <unistd.h>
int main(void) { for (int i = 0; i < 3; i++) getppid(); return 0; }
C
gcc -O1 -o ppid ppid.c
$SKEP run print.bpf.c --json -- ./ppid >out 2>err
is "bpf_printk lines" "3 nr 110" "$(jq -r 'select(.printk) | .printk' out | sort | uniq -c | sed 's/^ *//')"

$SKEP run $ex/syscall_count.c --syscall all --duration 1 -- sleep 3 >out 2>err
is "--duration: status" 0 $?
like "--duration: the table" '^counts' "$(cat out)"
out=$($SKEP run $ex/syscall_latency.bpf.c --map started -- true 2>&1)
like "--map: the one" "^started" "$out"
is "--map: no other" 0 "$(grep -c '^latency_ns' <<<"$out")"
is "nothing stays in the runtime directory" "" "$(find "$XDG_RUNTIME_DIR" -type f -name '*-*' | head -3)"
done_testing
