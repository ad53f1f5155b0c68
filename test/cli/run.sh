#!/bin/bash
# skep run: the examples on real commands; the command's output and status are its own.
. "${SRCDIR:=$PWD}/test/lib.sh"
ex=$SRCDIR/examples

$SKEP run $ex/syscall_count.c -- sh -c 'echo hi; exit 7' >out 2>err
is "the status is the command's" 7 $?
like "the command's output comes through" '^hi$' "$(cat out)"
like "a table with the map's name" '^counts \(hash, [0-9]+ entr' "$(cat out)"
$SKEP run $ex/syscall_count.c -- sh -c 'kill -9 $$' >out 2>&1
is "a signal is 128 + its number" 137 $?

$SKEP run $ex/syscall_count.c --json -- true >out 2>err
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

cat >globals.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
u64 writes, unused; int from = 7; const volatile int most = 9;
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } sized SEC(".maps");
SEC("tracepoint/syscalls/sys_enter_write") int count(void *c) { from++; return writes++ < most; }
char LICENSE[] SEC("license") = "GPL";
C
$SKEP run globals.bpf.c -- sh -c 'echo; echo' >out 2>err
is "global variables: as the program left them" "from 9 writes 2 " "$(awk '$2 ~ /^[0-9]+$/ { printf "%s %s ", $1, $2 }' out)"
$SKEP run globals.bpf.c --map .rodata --map .bss --json -- true >out 2>err
is "global variables: maps by the section's name" "9 0" "$(jq -sr 'map(.entries[0].value) | "\(.[0].most // .[1].most) \(.[0].writes // .[1].writes)"' out)"
cat >execs.c <<'C'
#include <linux/sched.h>
struct exec_key { char comm[TASK_COMM_LEN]; s64 result; };
BPF_HASH(execs, struct exec_key, u64);
RAW_TRACEPOINT_PROBE(sys_exit) {
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct exec_key k = {.result = ctx->args[1]};
	u64 nr = 0, ip = 0;
	bpf_probe_read_kernel(&nr, sizeof nr, &regs->orig_ax);
	bpf_probe_read_kernel(&ip, sizeof ip, &regs->ip);
	bpf_get_current_comm(k.comm, sizeof k.comm);
	if ((nr == 59 || nr == 322) && ip)
		execs.increment(k);
	return 0;
}
C
$SKEP run execs.c --json -- sh -c '/bin/true; /bin/true; busybox true; exec /bin/none' >out 2>err
is "the exit of an exec is seen where it went on" "busybox 0 1, sh -2 1, true 0 2" \
	"$(jq -r '[.entries[] | "\(.key.comm) \(.key.result) \(.value)"] | sort | join(", ")' out)"
cat >linear.c <<'C'
BPF_HISTOGRAM(sizes, u32, 256);
TRACEPOINT_PROBE(syscalls, sys_enter_write) { sizes.increment(args->count > 255 ? 255 : args->count); return 0; }
C
$SKEP run linear.c -- sh -c 'printf %100s x' >out 2>err
like "a histogram with more slots than a logarithm has" "^ +100 +1 " "$(cat out)"

cat >by_hand.c <<'C'
#include <uapi/linux/ptrace.h>
BPF_HASH(counts, u32, u64);
BPF_ARRAY(slots, u64, 4);
BPF_HISTOGRAM(dist);
BPF_PERF_OUTPUT(events);
struct event_t { u32 pid; char comm[TASK_COMM_LEN]; };
int by_hand(struct pt_regs *ctx) {
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u64 zero = 0, *v = counts.lookup_or_try_init(&pid, &zero);
	struct event_t e = {.pid = pid};
	if (v) (*v)++;
	slots.increment(2);
	dist.increment(bpf_log2l(1000));
	bpf_get_current_comm(&e.comm, sizeof e.comm);
	events.perf_submit(ctx, &e, sizeof e);
	bpf_trace_printk("pid %d", pid);
	return 0;
}
C
cat >getpid.c <<'C'
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { for (int i = 0; i < 5; i++) syscall(SYS_getpid); return 0; }
C
gcc -O1 -o getpid getpid.c
cat >ends.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } small SEC(".maps");
SEC("tracepoint/syscalls/sys_enter_getpid") int ends(void *c)
{
	for (int i = 0; i < 100; i++) {
		void *r = bpf_ringbuf_reserve(&small, 2000, 0);
		if (r)
			bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		r = bpf_ringbuf_reserve(&small, 2000, 0);
		if (r)
			bpf_ringbuf_submit(r, 0);
	}
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
C
$SKEP run ends.bpf.c --json -- ./getpid >out 2>err
like "records that do not fit are counted" '[0-9]+ records were lost: a ring buffer was full' "$(cat err)"
$SKEP run by_hand.c --syscall __x64_sys_getpid --json -- ./getpid >out 2>err
is "BCC, attached by hand: status" 0 $?
is "BCC: lookup_or_try_init" 5 "$(jq 'select(.map == "counts") | .entries[0].value' out)"
is "BCC: an array" 5 "$(jq 'select(.map == "slots") | .entries[] | select(.key == 2) | .value' out)"
is "BCC: a histogram" 5 "$(jq 'select(.map == "dist") | .entries[] | select(.key == 10) | .value' out)"
is "BCC: events by type" '"getpid"' "$(jq -s 'map(select(.event == "events"))[4].data.comm' out)"
is "BCC: printed lines" 5 "$(grep -c '"printk":"pid [0-9]*"' out)"
like "BCC: bars" '512..1023 +5 ' "$($SKEP run by_hand.c --syscall getpid -- ./getpid)"

cat >kprobe.c <<'C'
BPF_HASH(flags, u64, u64);
int syscall__openat(struct pt_regs *ctx, int dfd, const char __user *path, int how) {
	u64 key = (u32)how;
	char text[32];
	if (bpf_probe_read_user_str(text, sizeof text, path) > 0 && text[1] == 'e' && text[2] == 't' && text[3] == 'c' && text[5] == 'h')
		flags.increment(key);
	return 0;
}
C
$SKEP run kprobe.c --json -- cat /etc/hostname >out 2>err
is "BCC: arguments of syscall__ functions" '[{"key":0,"value":1}]' "$(grep '^{' out | jq -c 'select(.map == "flags") | .entries')"

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

$SKEP run $ex/syscall_count.c --duration 1 -- sleep 3 >out 2>err
is "--duration: status" 0 $?
like "--duration: the table" '^counts' "$(cat out)"
$SKEP run $ex/syscall_count.c --duration 0.2 -- sleep 1 >out 2>err
is "--duration with a fraction: status" 0 $?
like "--duration with a fraction: the table" '^counts' "$(cat out)"
$SKEP run $ex/opens.bpf.c --json --out results -- sh -c 'echo hi; cat /etc/passwd >/dev/null' >out 2>err
is "--out: status" 0 $?
is "--out: standard output is the command's" hi "$(cat out)"
t "--out: the file is JSON" jq -e . results
like "--out: the events" '"path":"/etc/passwd"' "$(cat results)"
$SKEP run $ex/syscall_count.c --out results -- sh -c 'echo hi; echo no >&2; exit 3' >out 2>err
is "--out: the status is the command's" 3 $?
like "--out: the table" '^counts' "$(cat results)"
is "--out: standard error is the command's" no "$(cat err)"
out=$(CLICOLOR_FORCE=1 $SKEP run $ex/syscall_count.c --out results -- true; cat results)
is "--out: no colours in a file" 0 "$(grep -c $'\033' <<<"$out")"
out=$($SKEP run $ex/syscall_latency.bpf.c --map started -- true 2>&1)
like "--map: the one" "^started" "$out"
is "--map: no other" 0 "$(grep -c '^latency_ns' <<<"$out")"
is "nothing stays in the runtime directory" "" "$(find "$XDG_RUNTIME_DIR" -type f -name '*-*' | head -3)"
done_testing
