#!/bin/bash
# The README's blocks and the examples' comments are true: every command runs (but `make`), and what is shown after it is in
# its output, rows with numbers and all (shown.py).
. "${SRCDIR:=$PWD}/test/lib.sh"
mkdir tree
cp -r "$SRCDIR/examples" "$SRCDIR/include" "$SRCDIR/README.md" tree/ && mkdir tree/build && ln -s "$SKEP" tree/build/skep
shown="python3 $SRCDIR/test/cli/shown.py"
cd tree || exit 1
export LC_ALL=C
PATH=$PWD/build:$PATH

blocks() { # name folder: runs N.sh, compares with N.text
	local block out status compared=0
	for block in "$2"/*.sh; do
		if grep -q '^make' "$block"; then
			skip "$1: make" "make is what runs this test"
			continue
		fi
		timeout 100 bash -e "$block" >"$2/got" 2>&1 </dev/null; status=$?
		is "$1: $(grep -m1 skep "$block" | cut -c1-70): status" 0 $status
		[ $status = 0 ] || sed 's/^/# /' "$2/got"
		[ -f "${block%.sh}.text" ] || continue
		is "$1: the output shown is the output" "" "$($shown compare "${block%.sh}.text" "$2/got")"
		compared=$((compared + 1))
	done
	[ $compared -gt 0 ]; is "$1: something was compared" 0 $?
}

mkdir blocks && $shown README.md blocks
is "README: every block of commands but make's shows its output" "" \
	"$(for b in blocks/*.sh; do grep -q '^make\|^cat' "$b" || [ -f "${b%.sh}.text" ] || cat "$b"; done)"
blocks README blocks

python3 - <<'C'
import struct
def frame(port):
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return (bytes(12) + b"\x08\0" + ip + struct.pack(">HHHH", 1234, port, 8, 0)).ljust(60, b"\0")
with open("in.pcap", "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    for port in (53, 23, 80):
        f.write(struct.pack("<IIII", 0, 0, 60, 60) + frame(port))
C
for example in examples/*.c; do
	name=$(basename "$example")
	mkdir "$name" && $shown "$example" "$name"
	blocks "$name" "$name"
done

# The comparison itself: a header is not enough, nor is an empty output, nor too few rows.
printf 'counts (hash, 2 entries)\nkey value\n1 2\n3 4\n' >shown.text
printf 'counts (hash, 1 entry)\n  key  value\n4711     12\n' >one.text
printf 'counts (hash, 2 entries)\n  key  value\n' >header.text
: >empty.text
is "a row that is missing" "3 4" "$($shown compare shown.text one.text)"
like "a header without rows" '^1 2$' "$($shown compare shown.text header.text)"
like "an empty output" "nothing is compared" "$($shown compare shown.text empty.text)"
like "an empty text" "no number" "$($shown compare empty.text one.text)"
is "the same output" "" "$($shown compare one.text one.text)"
done_testing
