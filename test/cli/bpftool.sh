#!/bin/bash
# prog and map speak bpftool's language: the same commands to bpftool and to skep, the same text and the same JSON keys.
. "${SRCDIR:=$PWD}/test/lib.sh" || exit 1
if [ "${1-}" != inside ]; then
	command -v bpftool >/dev/null || { skip "bpftool" "bpftool is not installed"; done_testing; }
	if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
		cd / && rm -rf "$work"
		export SRCDIR BUILD SKEP
		exec unshare -m bash "$SRCDIR/test/cli/bpftool.sh" inside
	fi
	skip "bpftool" "the kernel's bpf(2) takes root"
	done_testing
fi
mkdir fs && mount -t bpf bpf fs 2>/dev/null && bpftool map create fs/probe type array key 4 value 4 entries 1 name probe 2>/dev/null || {
	skip "bpftool" "this kernel grants no bpf(2)"
	done_testing
}
rm fs/probe
cat >k.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct v { __u64 n; char name[8]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, struct v); __uint(max_entries, 16); } skep_hh SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, 2); } skep_pp SEC(".maps");
SEC("xdp") int skep_f(struct xdp_md *c)
{
	__u32 k = 1;
	struct v *v = bpf_map_lookup_elem(&skep_hh, &k);
	__u64 *p = bpf_map_lookup_elem(&skep_pp, &k);
	if (v) v->n++;
	if (p) (*p)++;
	return 2;
}
char LICENSE[] SEC("license") = "GPL";
C
clang -O2 -g -target bpf -idirafter /usr/include/x86_64-linux-gnu -c k.bpf.c -o k.bpf.o
printf 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' >packet

both() { # words, with PIN for the folder of pins: out.bpftool, out.skep
	bpftool "${@//PIN/$work/fs}" >out.bpftool 2>err.bpftool; theirs=$?
	$SKEP "${@//PIN//sys/fs/bpf}" >out.skep 2>err.skep; ours=$?
}
same() { # the text is the same, and the status as good
	both "$@"
	is "$*" "$(cat out.bpftool)" "$(cat out.skep)"
	is "$*: status" $((theirs != 0)) $((ours != 0))
}
value() { # the JSON is the same
	both "$@"
	is "$*" "$(jq -cS . out.bpftool)" "$(jq -cS . out.skep)"
}
keys() { # every key that bpftool gives is there, with a value of that type; proto and pids are not
	both "$@"
	local all='[paths(type != "null") as $p | [($p | map(if type == "number" then 0 else . end)), (getpath($p) | type)]] | unique
		| map(select(.[0] | (index("proto") or index("pids")) | not))'
	is "$*: keys" "[]" "$(jq -c --slurpfile skep out.skep "($all) - (\$skep[0] | $all)" out.bpftool)"
}

same -j prog load k.bpf.o PIN/prog
same -j map create PIN/plain type hash key 4 value 4 entries 4 name skep_plain
same -j map create PIN/long type hash key 4 value 20 entries 4 name skep_long
keys -j prog show pinned PIN/prog
keys -p prog show name skep_f
keys -j map show name skep_hh
keys -j prog dump xlated pinned PIN/prog opcodes
both prog dump xlated pinned PIN/prog
like "a dump has C lines" '^; __u32 k = 1;$' "$(cat out.skep)"
like "a dump names maps by id" '\(18\) r1 = map\[id:[0-9]+\]$' "$(cat out.skep)"
for name in skep_hh skep_pp skep_plain skep_long; do
	case $name in
		skep_hh) bytes="5 0 0 0 0 0 0 0 97 98 0 0 0 0 0 0" ;;
		skep_pp) bytes="7 0 0 0 0 0 0 0" ;;
		skep_plain) bytes="1 0 0 0" ;;
		skep_long) bytes="1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20" ;;
	esac
	same -j map update name $name key 1 0 0 0 value $bytes
	same map update name $name key hex 01 00 00 00 value $bytes
	value -j map dump name $name
	value -j map lookup name $name key 1 0 0 0
	value -j map lookup name $name key 9 0 0 0
	same map lookup name $name key 9 0 0 0
	same map getnext name $name
	value -j map getnext name $name
	case $name in skep_plain | skep_long) same map dump name $name; same map lookup name $name key 1 0 0 0 ;; esac
done
same map dump name skep_nothing
same -j map delete name skep_plain key 1 0 0 0
same map delete name skep_plain key 1 0 0 0
same map dump name skep_plain
keys -j prog run pinned PIN/prog data_in packet data_out -
is "prog run: the packet" "$(jq -c '[.data_out, .retval]' out.bpftool)" "$(jq -c '[.data_out, .retval]' out.skep)"
umount fs
done_testing
