#!/bin/bash
# A full disk where the maps lie: one clear sentence, exit status 2, nothing left behind, other maps unharmed, and programs
# that run already do not notice.
. "${SRCDIR:=$PWD}/test/lib.sh"
if [ "${1-}" != inside ]; then
	[ "$(id -u)" = 0 ] && how="unshare -m" || how="unshare -Urm"
	if $how mount -t tmpfs -o size=64k tmpfs "$work/runtime" 2>/dev/null; then
		cd / && rm -rf "$work"
		exec $how bash "$SRCDIR/test/cli/full_disk.sh" inside
	fi
	skip "a full disk" "this machine does not let its user mount a tmpfs ($how)"
	done_testing
fi

disk() { # size [more options]
	umount "$XDG_RUNTIME_DIR" 2>/dev/null
	mount -t tmpfs -o "size=$1,mode=700${2:+,$2}" tmpfs "$XDG_RUNTIME_DIR" || exit 1
}
left() { find "$XDG_RUNTIME_DIR/skep/objects" -type f 2>/dev/null; }
refuse() { # name pattern command...
	local name=$1 pattern=$2 out status
	shift 2
	out=$(timeout 20 "$@" 2>&1 </dev/null) status=$?
	is "$name: status" 2 $status
	like "$name: the sentence" "$pattern" "$out"
	[ "$(wc -l <<<"$out")" -le 3 ]; is "$name: short" 0 $?
}
program() { # entries of the array
	cat <<C
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, $1); } calls SEC(".maps");
SEC("tracepoint/raw_syscalls/sys_enter") int enter(long *c) {
	__u32 nr = c[1]; __u64 *v = bpf_map_lookup_elem(&calls, &nr); if (v) __sync_fetch_and_add(v, 1); return 0; }
char LICENSE[] SEC("license") = "GPL";
C
}
for k in 512 65536; do
	program $k >c$k.bpf.c
	clang -O2 -g -target bpf -idirafter /usr/include/x86_64-linux-gnu -c c$k.bpf.c -o c$k.bpf.o || exit 1
done

# Every size from nothing to enough: it is refused in words, or it works.
refused=0 worked=0 wrong=
for kib in 4 8 12 16 20 24 32 40 48 64 96 128; do
	disk ${kib}k
	rm -f ran
	out=$(timeout 20 $SKEP run c512.bpf.o --quiet -- touch ran 2>&1)
	status=$?
	if [ $status = 0 ] && [ -e ran ]; then worked=$((worked + 1))
	elif [ $status = 2 ] && [ ! -e ran ] && [ -n "$out" ] && [ "$(wc -l <<<"$out")" -le 3 ]; then
		refused=$((refused + 1))
		grep -qE "full|No space left" <<<"$out" || wrong+="$kib KiB: $out; "
	else wrong+="$kib KiB: status $status, $out; "; fi
	[ -z "$(left)" ] || wrong+="$kib KiB: left $(left); "
done
is "every size of disk: refused in words, or it works" "" "$wrong"
[ $refused -ge 3 ] && [ $worked -ge 3 ]; is "some sizes are refused and some work" "0 of $refused $worked" "$? of $refused $worked"

disk 256k
rm -f ran
t "a small map has room" $SKEP prog load c512.bpf.o /sys/fs/bpf/small
t "a value in it" $SKEP map update name calls key 7 0 0 0 value 1 2 3 4 5 6 7 8
before=$(left)
refuse "a map that does not fit" "full: [0-9]+ KiB are needed and [0-9]+ KiB are free" $SKEP run c65536.bpf.o -- touch ran
is "a map that does not fit: the command was not started" 1 "$([ -e ran ]; echo $?)"
is "a map that does not fit: nothing is left" "$before" "$(left)"
is "the other map is unharmed" "[1,2,3,4,5,6,7,8]" "$($SKEP map lookup name calls key 7 0 0 0 --json | jq -c '.value | map(if type == "string" then ltrimstr("0x") | tonumber else . end)')"

# Filled up while a program runs: its maps have their memory already.
cat >fill.sh <<F
head -c 1G /dev/zero >"$XDG_RUNTIME_DIR/fill" 2>/dev/null
for i in 1 2 3 4 5; do /bin/true; done
rm "$XDG_RUNTIME_DIR/fill"
exit 5
F
out=$($SKEP run c512.bpf.o -- sh fill.sh 2>&1)
is "a disk that fills up meanwhile: status" 5 $?
like "a disk that fills up meanwhile: the table" '^calls \(array' "$out"
head -c 1G /dev/zero >"$XDG_RUNTIME_DIR/fill" 2>/dev/null
refuse "no room at all" "full|No space left" $SKEP run c512.bpf.o -- true
t "a full disk: maps can be shown" $SKEP map show
t "a full disk: maps can be dumped" $SKEP map dump name calls
rm "$XDG_RUNTIME_DIR/fill"
rm -f "$XDG_RUNTIME_DIR"/skep/pins/*
t "the next start" $SKEP map show
is "nothing is left" "" "$(left)"

disk 1m nr_inodes=8
refuse "no files any more" "full|No space left" $SKEP run c512.bpf.o -- true
is "no files any more: nothing is left" "" "$(left)"

# The cache is a convenience.
disk 1m
mkdir cold && mount -t tmpfs -o size=8k tmpfs cold
XDG_CACHE_HOME=$work/cold $SKEP run c512.bpf.o --quiet -- true
is "a full cache: objects run" 0 $?
refuse "a full cache: sources say what to do" "Make room|XDG_CACHE_HOME" env XDG_CACHE_HOME=$work/cold $SKEP run c512.bpf.c -- true
is "a full cache: nothing is left" "" "$(find cold -name '.*' -type f)"
out=$($SKEP run c512.bpf.o -- true 2>&1 >/dev/full)
is "standard output is full: status" 2 $?
like "standard output is full: the sentence" "could not be written" "$out"
umount cold "$XDG_RUNTIME_DIR"
done_testing
