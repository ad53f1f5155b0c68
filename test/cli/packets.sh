#!/bin/bash
# skep test: packets from a capture, verdicts counted, what passes written.
. "${SRCDIR:=$PWD}/test/lib.sh"
ex=$SRCDIR/examples
python3 - <<'P'
import struct
def frame(proto, dport, frag=0, vlan=False):
    l4 = struct.pack(">HHHH", 1234, dport, 8, 0) if proto == 17 else struct.pack(">HHIIBBHHH", 1234, dport, 0, 0, 0x50, 2, 0, 0, 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(l4), 0, frag, 64, proto, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    eth = b"\xff" * 6 + b"\2" * 6 + (b"\x81\0\0\5" if vlan else b"") + b"\x08\0"
    return (eth + ip + l4).ljust(64, b"\0")
packets = [frame(17, 53)] * 5 + [frame(6, 80)] * 3 + [frame(6, 23)] * 2 + [frame(17, 53, 0x2000)] + [frame(6, 445, vlan=True)]
packets += [b"\xff" * 12 + b"\x08\x06" + bytes(46)]
with open("in.pcap", "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    for i, p in enumerate(packets):
        f.write(struct.pack("<IIII", i, 0, len(p), len(p)) + p)
P
out=$($SKEP test $ex/filter.bpf.c --pcap in.pcap --out passed.pcap --json); is "test: status" 0 $?
is "test: verdicts" '{"XDP_DROP":4,"XDP_PASS":9}' "$(jq -cS .verdicts <<<"$out")"
is "test: packets passed" "13 9" "$(jq -r '"\(.packets) \(.passed)"' <<<"$out")"
again=$($SKEP test $ex/filter.bpf.c --pcap passed.pcap --json)
is "what passed passes again" "9 9" "$(jq -r '"\(.packets) \(.passed)"' <<<"$again")"
is "the interpreter agrees" "$(jq -cS .verdicts <<<"$out")" "$($SKEP test $ex/filter.bpf.c --pcap in.pcap --json --interpreter | jq -cS .verdicts)"
like "test: text" "XDP_PASS +9" "$($SKEP test $ex/filter.bpf.c --pcap in.pcap)"
$SKEP test $ex/filter.bpf.c --pcap in.pcap --expect XDP_PASS >/dev/null 2>&1; is "--expect: status" 1 $?
t "--packet" $SKEP test $ex/filter.bpf.c --packet "$(printf 'ff%.0s' {1..12})0806$(printf '00%.0s' {1..46})" --expect XDP_PASS
out=$($SKEP test $ex/filter.bpf.c --pcap in.pcap --out in.pcap 2>&1); is "--out onto the input: status" 2 $?
like "--out onto the input is refused" "would overwrite" "$out"
is "--out onto the input: the capture is unharmed" 13 "$($SKEP test $ex/filter.bpf.c --pcap in.pcap --json | jq .packets)"
is "--pcap - is standard input" 13 "$($SKEP test $ex/filter.bpf.c --pcap - --json <in.pcap | jq .packets)"
like "--repeat times" "ns a run" "$($SKEP test $ex/filter.bpf.c --pcap in.pcap --repeat 1000)"
out=$($SKEP disasm $ex/filter.bpf.c); is "disasm: status" 0 $?
like "disasm: the program" "^filter, xdp" "$out"
is "disasm of bytes" "   0: r0 = 0
   1: exit" "$(printf 'b700000000000000 9500000000000000' | $SKEP disasm -)"
t "feature" $SKEP feature
is "feature --json" true "$($SKEP feature --json | jq '.launch | has("granted")')"

# The verdict is not the ability to run: slots that the user engine does not fill are no obstacle to verifying.
not_run=$SRCDIR/test/objects/not_run.bpf.c
packet=$(printf '%0120d' 0)
t "maps and programs that do not run verify" $SKEP verify "$not_run"
out=$($SKEP test "$not_run" --program look --packet $packet 2>&1); is "one that looks into such a map is refused" 2 $?
like "with a code" "hash_of_maps are not available.*\[SK0801\]" "$out"
out=$($SKEP test "$not_run" --program call --packet $packet 2>&1); is "one that calls such a program runs" 0 $?
like "and is told that the slot is empty" "slot 2 of map «jumps» stays empty: «remember»" "$out"
done_testing
