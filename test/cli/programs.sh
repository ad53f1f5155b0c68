#!/bin/bash
# Programs in the style of bcc's tools and of libbpf's (test/programs), each on a command whose answer is known.
. "${SRCDIR:=$PWD}/test/lib.sh"
from=$SRCDIR/test/programs
cat >known.c <<'C'
#include <signal.h>
#include <unistd.h>
int main(void) { for (int i = 0; i < 3; i++) getppid(); kill(getpid(), 0); write(1, "12345\n", 6); write(1, "7\n", 2); return 0; }
C
gcc -O1 -o known known.c || exit 1
run() { # program options... -- command: the objects that skep prints
	$SKEP run "$from/$1" --json "${@:2}" 2>err | grep '^{' >out
	[ ! -s err ] || sed 's/^/# /' err
}
is_json() { is "$1" "$3" "$(jq -cs "$2" out)"; }
map() { echo "map(select(.map == \"$1\"))[0].entries"; }

run syscount.c -- ./known
is_json "syscount: calls of getppid" "$(map data) | map(select(.key == 110))[0].value.count" 3
is_json "syscount: they took time" "$(map data) | map(select(.key == 110))[0].value.total_ns > 0" true
is_json "syscount: only exit has no return" "$(map start) | length" 1
run killsnoop.c -- ./known
is_json "killsnoop" 'map(select(.event)) | map([.data.comm, .data.sig, .data.ret, .data.pid == .data.tpid])' '[["known",0,0,true]]'
run opensnoop.c -- sh -c 'cat /etc/hostname none; echo >new'
is_json "opensnoop: a file that is there" 'map(select(.data.name == "/etc/hostname"))[0].data | [.ret, .comm, .creates]' '[3,"cat",false]'
is_json "opensnoop: one that is not" 'map(select(.data.name == "none"))[0].data.ret' -2
is_json "opensnoop: one that is made" 'map(select(.data.name == "new"))[0].data.creates' true
run execsnoop.c -- sh -c '/bin/echo a bc d efg; exec ./none'
is_json "execsnoop: arguments" 'map(select(.data.type == "EVENT_ARG" or .data.type == 0).data.argv)[:5]' '["/bin/echo","a","bc","d","..."]'
is_json "execsnoop: a failed one" 'map(select(.data.retval < 0)) | length' 1
run readhist.c -- sh -c 'head -c 3000 /dev/zero | cat | wc -c; true'
is_json "readhist: the slot of 3000" "$(map dist) | map(select(.key == 12)) | length" 1
is_json "readhist: by command" "$(map by_comm) | map(select(.key.name == \"wc\" and .key.slot == 12)) | length" 1
out=$($SKEP run "$from/readhist.c" -- sh -c 'head -c 3000 /dev/zero | wc -c')
like "readhist: bars" "2048..4095 +[0-9]+ +.*█" "$out"
like "readhist: a structure as key makes a table" "^by_comm \\(hash, [1-9]" "$out"
like "readhist: a histogram's name is a word" "^history \\(hash, 1 entry" "$out"
run percpu.c -- ./known
is_json "percpu: array" "$(map total)[0] | [.key, (.values // [.value] | map(if type == \"object\" then .value else . end) | add)]" '[0,3]'
is_json "percpu: hashes" "[$(map per_pid), $(map sized)] | map(length)" '[1,1]'
is_json "percpu: increments of an array" "$(map counts) | map(select(.key == 110))[0].value" 12
is_json "percpu: an array by default" "$(map plain) | map(select(.key == 7))[0].value" 3
is_json "percpu: a hash by default" "$(map dflt) | map(select(.key == 5))[0].value" 33
is_json "percpu: insert, then delete, then insert" "$(map dflt) | map(select(.key == 1))[0].value" 1
run ring.c -- cat /etc/hostname
is_json "ring: both ways" 'map(select(.data.filename == "/etc/hostname").data | [.kind, .dfd])' '[[1,-100],[2,-100]]'
run hello.c -- ./known
is_json "hello" 'map(select(.printk).printk) | [length, .[0]]' '[3,"Hello, World!"]'
run structkey.c -- ./known
is_json "structkey" "$(map io)[0] | [.key.fd, .key.comm, .value]" '[1,"known",{"calls":2,"bytes":8}]'
is_json "structkey: increment" "$(map seen)[0].value" 2
run by_hand.c --syscall openat -- cat /etc/hostname
is_json "by hand: syscall__ with a name that is no call" "$(map flags)" '[{"key":0,"value":1}]'

run opens.bpf.c -- sh -c 'cat /etc/hostname; true'
is_json "libbpf: the type of a record that only functions know" 'map(select(.data.fname == "/etc/hostname"))[0].data | [.ret, .comm]' '[3,"cat"]'
run sigsnoop.bpf.c -- ./known
is_json "libbpf: BPF_KSYSCALL" 'map(select(.printk).printk)' '["known sent signal 0, self 1","ret = 0"]'
run core.bpf.c --map core.bss --map core.data --map .data.mine -- ./known
is_json "libbpf: externs and CO-RE" 'map(select(.map | test("bss")))[0].entries[0].value.answers | [.[]]' '[1,1,0,0,0,1,0,64,48,1,0,1,0]'
is_json "libbpf: .bss and subprograms" 'map(select(.map | test("bss")))[0].entries[0].value | [.bss_counts, .summed]' '[[3,6,15,144],18]'
is_json "libbpf: .data" 'map(select(.map | test("[^.].data$")))[0].entries[0].value.data_int' 10
is_json "libbpf: a section of its own" 'map(select(.map == ".data.mine"))[0].entries[0].value' '{"greeting":"Hello"}'
run legacy.bpf.c -- ./known
is_json "libbpf: legacy maps" "$(map counts) | map(select(.key == 110))[0].value" 3
run tail.bpf.c --map tail.bss --map first --map second -- ./known
is_json "libbpf: 33 tail calls, then on" 'map(select(.map | test("bss")))[0].entries[0].value | [.entered, .missed, .tailed, .ended]' '[3,6,99,3]'
is_json "libbpf: inner maps" "[$(map first)[0].value, $(map second)[0].value]" '[3,6]'

echo 'BPF_HASH(m, s64, u64); TRACEPOINT_PROBE(syscalls, sys_exit_read) { m.increment(args->ret / 7); return 0; }' >divide.c
out=$($SKEP verify divide.c 2>&1); is "a compiler that gives up: status" 2 $?
[ "$(wc -l <<<"$out")" -le 6 ]; is "a compiler that gives up: short" 0 $?
# Kernel functions: whoever calls them is judged by the kernel's types. A function for exceptions is part of the program.
cat >throws.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define CALLBACK(f) __attribute__((btf_decl_tag("exception_callback:" #f)))
extern void bpf_throw(__u64 cookie) __ksym;
__attribute__((noinline)) int odd(__u64 cookie) { return cookie & 1; }
__attribute__((noinline)) int any(__u64 cookie) { return (int)cookie; }
CALLBACK(odd) SEC("cgroup_skb/ingress") int good(struct __sk_buff *skb) { bpf_throw(30); return 0; }
CALLBACK(any) SEC("cgroup_skb/ingress") int bad(struct __sk_buff *skb) { bpf_throw(30); return 0; }
SEC("cgroup_skb/ingress") int plain(struct __sk_buff *skb) { bpf_throw(30); return 0; }
char _license[] SEC("license") = "GPL";
C
if grep -qa bpf_throw /sys/kernel/btf/vmlinux 2>/dev/null; then
	out=$($SKEP verify throws.bpf.c --json 2>/dev/null | jq -c '[.. | objects | select(.program and .verdict) | [.program, .verdict]] | sort')
	is "kernel functions, and one for exceptions" '[["bad","failure"],["good","success"],["plain","failure"]]' "$out"
else
	skip "kernel functions, and one for exceptions" "no types of a kernel that has them"
fi
# Without the kernel's types: vmlinux.h is made from those that skep ships.
if unshare -m true 2>/dev/null; then
	for source in opensnoop.c killsnoop.c ring.c structkey.c opens.bpf.c sigsnoop.bpf.c legacy.bpf.c tail.bpf.c; do
		t "types that skep ships: $source" unshare -m sh -c "mount -t tmpfs none /sys/kernel/btf && exec $SKEP verify $from/$source"
	done
else
	skip "types that skep ships" "no mount namespace of one's own"
fi
done_testing
