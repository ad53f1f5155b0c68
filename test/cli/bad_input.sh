#!/bin/bash
# Bad input: one clear sentence with the remedy, exit status 2, nothing lost.
. "${SRCDIR:=$PWD}/test/lib.sh"
ex=$SRCDIR/examples

refuse() { # name pattern command...
	local name=$1 pattern=$2 out status
	shift 2
	out=$(timeout 20 "$@" 2>&1 </dev/null); status=$?
	is "$name: status" 2 $status
	like "$name: the sentence" "$pattern" "$out"
	[ "$(wc -l <<<"$out")" -le 6 ]; is "$name: short" 0 $?
}

: >empty.o
head -c 200 /bin/true >truncated.o
head -c 4096 /dev/urandom >noise.o
cp /bin/true x86.o
refuse "an empty object" "empty" $SKEP verify empty.o
refuse "a truncated object" "" $SKEP verify truncated.o
refuse "noise" "ELF|eBPF" $SKEP verify noise.o
refuse "another machine's program" "eBPF|BPF|x86" $SKEP run x86.o -- true
refuse "types that are none" "noise.o cannot be read" $SKEP verify $ex/opens.bpf.c --btf noise.o
refuse "types that are not there" "none.btf cannot be read: No such file" $SKEP run $ex/opens.bpf.c --btf none.btf -- true
mkfifo fifo; refuse "a FIFO" "is not a file" timeout 5 $SKEP verify fifo
refuse "no such file" "cannot be read: No such file" $SKEP run none.o -- true
echo 'int x;' >nothing.bpf.c
refuse "an object without programs" "no program" $SKEP run nothing.bpf.c -- true
cat >section.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("tracepont/syscalls/sys_enter_openat") int f(void *c) { return 0; }
char LICENSE[] SEC("license") = "GPL";
C
refuse "an unknown section" "tracepont" $SKEP run section.bpf.c -- true
sed 's/tracepont/tracepoint/; s/enter_openat/enter_opnat/' section.bpf.c >call.bpf.c
refuse "an unknown system call" "openat" $SKEP run call.bpf.c -- true
sed 's,tracepont/syscalls/sys_enter_openat,fentry/vfs_read,' section.bpf.c >fentry.bpf.c
refuse "a function of the kernel" "skep has no «vfs_read» to attach to" $SKEP run fentry.bpf.c --btf /sys/kernel/btf/vmlinux -- true
echo 'int f( {' >broken.bpf.c
out=$($SKEP run broken.bpf.c -- true 2>&1); is "a source that does not compile: status" 2 $?
like "a source that does not compile: clang's message" "broken.bpf.c:1:[0-9]+: error:" "$out"
like "a source that does not compile: a place that editors read" "^broken.bpf.c:1:[0-9]+: error:" "$out"
is "a source that does not compile: nothing of our descriptor" "" "$(grep 'unable to remove' <<<"$out")"
refuse "no clang" "clang" env PATH=/nonexistent SKEP_CLANG= $SKEP run $ex/opens.bpf.c -- true
refuse "a big-endian object" "big-endian|endian" bash -c "clang -O2 -target bpfeb -c -x c - -o be.o <<<'int f(void *c) { return 0; }' && $SKEP verify be.o"
refuse "a command that does not exist" "does-not-exist" $SKEP run $ex/syscall_count.c -- ./does-not-exist
cat >two.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, __u64); __uint(max_entries, 4); } counts SEC(".maps");
SEC("tracepoint/syscalls/sys_enter_openat") int enter(void *c) { __u32 k = 1; bpf_map_delete_elem(&counts, &k); return 0; }
SEC("tracepoint/syscalls/sys_exit_openat") int leave(void *c) { return 0; }
char LICENSE[] SEC("license") = "GPL";
C
cat >xdp.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int pass_all(struct xdp_md *c) { return XDP_PASS; }
char LICENSE[] SEC("license") = "GPL";
C
for name in two xdp; do # once: each C source that skep compiles takes its time
	clang -O2 -g -target bpf -idirafter /usr/include/x86_64-linux-gnu -c $name.bpf.c -o $name.o || exit 1
done
refuse "a map that the object has not" "did you mean counts" $SKEP run two.o --map cuonts -- true
refuse "a program that the object has not" "did you mean leave" $SKEP run two.o --program laeve -- true
refuse "a structure that the object has not" "no structure open_evnet" $SKEP run two.o --events open_evnet -- true
refuse "--syscall where every program names its own" "leave --syscall out" $SKEP run two.o --syscall read -- true
refuse "a file that is almost there" "did you mean .*opens.bpf.c" $SKEP run $ex/opens.bpf -- true
refuse "no duration" "no number of seconds" $SKEP run $ex/opens.bpf.c --duration nan -- true
refuse "two objects" "one object at a time" $SKEP run $ex/opens.bpf.c $ex/slow.bpf.c -- true
refuse "--out into a folder that is not there" "cannot be written" $SKEP run two.o --out none/out -- true
refuse "--out on a full disk" "could not be written" $SKEP run two.o --out /dev/full -- true
refuse "verify: a program that is not there" "did you mean leave" $SKEP verify two.o --program laeve
refuse "disasm: a program that is not there" "did you mean leave" $SKEP disasm two.o laeve
refuse "load: a program that is not there" "did you mean leave" $SKEP prog load two.o /sys/fs/bpf/x name laeve
refuse "load: a type that is not there" "did you mean xdp" $SKEP prog load two.o /sys/fs/bpf/x type xpd
refuse "prog: an action that is not there" "did you mean load" $SKEP prog laod
refuse "create: a type that is not there" "did you mean hash" $SKEP map create /sys/fs/bpf/x type hsah key 4 value 4 entries 4 name x
refuse "create: no entries" "how many entries" $SKEP map create /sys/fs/bpf/x type hash key 4 value 4 entries 0 name x
refuse "create: a name with a blank" "cannot be called" $SKEP map create /sys/fs/bpf/x type hash key 4 value 4 entries 4 name "a b"
refuse "create: sizes that the type has not" "cannot have a key of 8 bytes" $SKEP map create /sys/fs/bpf/x type array key 8 value 4 entries 4 name x
refuse "unpin: nothing there" "nothing is pinned" $SKEP prog unpin /sys/fs/bpf/none
refuse "unpin: outside" "" $SKEP prog unpin /sys/fs/bpf/../../lock
for packet in "" 0 zz 00112233445566778899aabbccdd0 "00 1"; do
	refuse "--packet '$packet'" "hexadecimal byte|shorter than an Ethernet header" $SKEP test xdp.o --packet "$packet"
done
frame=00112233445566778899aabbccdd
refuse "--expect a verdict that is none" "did you mean XDP_PASS" $SKEP test xdp.o --packet $frame --expect XDP_PAS
refuse "test: a program that is not there" "did you mean pass_all" $SKEP test xdp.o --packet $frame --program pas_all
refuse "packets from two places" "one place at a time" $SKEP test xdp.o --packet $frame --file noise.o
refuse "--out without --pcap" "goes with --pcap" $SKEP test xdp.o --packet $frame --out out.pcap
refuse "a packet that is a folder" "Is a directory" $SKEP test xdp.o --file .
refuse "a packet that is too long" "no packet" $SKEP test xdp.o --file "$SKEP"
for words in "verify nope.o" "verify noise.o" "run nope.o -- true" "test nope.o --packet 00" "prog show id 99999" "map dump name nope"; do
	out=$($SKEP $words --json 2>&1 >/dev/null </dev/null) status=$?
	case $words in *--*) out=$($SKEP --json $words 2>&1 >/dev/null </dev/null) status=$? ;; esac
	is "$words in JSON" "2 true" "$status $(jq 'has("error") and has("hint")' <<<"$out")"
done
touch plain; refuse "a command that is not executable" "plain" $SKEP run $ex/syscall_count.c -- ./plain
refuse "no command" "which command" $SKEP run $ex/opens.bpf.c
refuse "a forgotten --" "put -- before" $SKEP run $ex/opens.bpf.c ls
echo 'BPF_HASH(counts, u32, u64); int by_hand(struct pt_regs *ctx) { counts.increment(1); return 0; }' >by_hand.c
refuse "no hook named" "--syscall" $SKEP run by_hand.c -- true
refuse "--pid is not there yet" "not there yet" $SKEP run $ex/opens.bpf.c --pid 1
refuse "--kernel is not there yet" "not there yet" $SKEP run $ex/opens.bpf.c --kernel -- true
refuse "a map that is not there" "there is no map" $SKEP map dump name nowhere
refuse "a pin that is not there" "nothing is pinned" $SKEP attach /sys/fs/bpf/none --syscall openat -- true
refuse "no capture" "capture" $SKEP test $ex/filter.bpf.c --pcap noise.o
mkdir -p public/skep; chmod 777 public/skep
refuse "a runtime directory that others may write" "private|mode|others" env XDG_RUNTIME_DIR=$work/public $SKEP map show
cat >null.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, unsigned); __type(value, unsigned); __uint(max_entries, 1); } m SEC(".maps");
SEC("kprobe/__x64_sys_getppid") int f(void *c) {
	unsigned k = 0, *v = bpf_map_lookup_elem(&m, &k);
	return *v;
}
char LICENSE[] SEC("license") = "GPL";
C
out=$($SKEP verify null.bpf.c 2>&1); is "a refused program: status" 1 $?
like "a refused program: the C line" "null.bpf.c:6" "$out"
like "a refused program: a code" "SK[0-9]{4}" "$out"
like "a refused program: the kernel's words" "R[0-9] invalid mem access 'map_value_or_null'" "$out"
out=$($SKEP run null.bpf.c -- true 2>&1); is "run of a refused program: status" 2 $?
done_testing
