#!/bin/bash
# The README's blocks are true: every sh block runs (but `make`), and the lines of the text block that follows appear in its
# output, numbers and spaces apart.
. "${SRCDIR:=$PWD}/test/lib.sh"
mkdir tree
cp -r "$SRCDIR/examples" "$SRCDIR/include" "$SRCDIR/README.md" tree/ && mkdir tree/build && ln -s "$SKEP" tree/build/skep
cd tree || exit 1

shape() { sed -E 's/[0-9]+/N/g; s/entries|entry/E/g; s/[[:space:]]+/ /g; s/ $//' | sed '/^ *$/d'; }
python3 - <<'P'
import re
blocks = re.findall(r"```(sh|text)\n(.*?)```", open("README.md").read(), re.S)
n = 0
for kind, text in blocks:
    if kind == "sh":
        n += 1
    open(f"block{n}.{kind}", "w").write(text)
P
for block in block*.sh; do
	if grep -q '^make' "$block"; then
		skip "README $block" "make is what runs this test"
		continue
	fi
	out=$(timeout 100 bash -e "$block" 2>&1 </dev/null); status=$?
	is "README: $(grep -m1 skep "$block" | cut -c1-60): status" 0 $status
	[ $status = 0 ] || sed 's/^/# /' <<<"$out"
	expected=${block%.sh}.text
	[ -f "$expected" ] || continue
	shape <<<"$out" >got
	missing=$(shape <"$expected" | grep -vxFf got)
	is "README: the output shown is the output" "" "$missing"
done
done_testing
