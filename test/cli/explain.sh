#!/bin/bash
# skep explain: the codes by number, name and message; the C of every page, compiled and verified.
. "${SRCDIR:=$PWD}/test/lib.sh"

out=$($SKEP explain SK0103); is "a code: status" 0 $?
like "a code: its family" "^SK0103  register type safety" "$out"
like "a code: refused C" "^Refused:" "$out"
like "a code: accepted C" "^Accepted:" "$out"
is "a code by number" "$out" "$($SKEP explain 103)"
is "a code by name" "$out" "$($SKEP explain maybe_null)"
like "a message" "^SK0103" "$($SKEP explain "R0 invalid mem access 'map_value_or_null'")"
like "a message that may be several codes" "^SK0104" "$($SKEP explain "R1 invalid mem access 'scalar'")"
like "a message with numbers" "^SK0204" "$($SKEP explain "invalid access to packet, off=23 size=1, R2(id=0,off=23,r=14)")"
like "a message in an older kernel's words" "^SK0217" "$($SKEP explain "invalid indirect read from stack off -16+4 size 16")"
log=$'0: (85) call bpf_get_prandom_u32#7\n1: (0f) r1 += r0\nmath between map_value pointer and register with unbounded min value is not allowed\nprocessed 2 insns'
like "a log" "^SK0119" "$($SKEP explain - <<<"$log")"
$SKEP explain "nothing of that kind" >/dev/null 2>&1; is "a message of nothing: status" 1 $?
$SKEP explain SK9999 >/dev/null 2>&1; is "a code that is none: status" 2 $?
rows=$(grep -c '^DIAG(' "$SRCDIR/src/abi/diag.def")
is "--list has every code" "$rows" "$($SKEP explain --list | grep -c '^  SK')"
is "every code has a page" "" "$($SKEP explain -l --json | jq -r '.[] | select(.provoked_by == null) | .code')"
wording=$($SKEP explain --list --json | jq -r '.[] | select(.wording != "" and (.wording | contains("%") | not)) | .code + " " + .wording')
while read -r code text; do # messages without values find themselves
	$SKEP explain "$text" 2>/dev/null | grep -q "^$code" || echo "$code"
done <<<"$wording" >lost
is "every message without values finds its code" "" "$(cat lost)"
like "--source is a whole program" "include \"vmlinux.h\"" "$($SKEP explain SK0103 --source bad)"
$SKEP explain SK0103 --source ugly >/dev/null 2>&1; is "--source of neither: status" 2 $?
mkdir pages && cd pages || exit 1
python3 "$SRCDIR/test/cli/explain.py" "$SKEP" "$SRCDIR/include" >../pages.tap
t=$?; is "the C of the pages (see below): status" 0 $t
grep -A1 '^not ok' ../pages.tap | sed 's/^/# /'
sed -n 's/^# codes/# codes/p' ../pages.tap
done_testing
