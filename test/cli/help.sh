#!/bin/bash
# Help, version, usage errors: every verb has help with an example, and a wrong word names the right one.
. "${SRCDIR:=$PWD}/test/lib.sh"

out=$($SKEP help); is "help: status" 0 $?
verbs=$(sed -n 's/^VERB(\([a-z]*\),.*/\1/p' "$SRCDIR/src/cli/cmd.def")
for v in $verbs; do
	like "help lists $v" "^  $v " "$out"
	one=$($SKEP help "$v"); is "skep help $v: status" 0 $?
	like "skep help $v has an example" "^  (skep $v|printf)" "$one"
	is "skep $v --help is the same" "$one" "$($SKEP "$v" --help)"
done
for topic in env formats exit; do t "skep help $topic" $SKEP help $topic; done
like "skep version" '^skep [0-9]+\.[0-9]+' "$($SKEP version)"
is "skep version --json" 0 "$($SKEP version --json | jq -e .version >/dev/null; echo $?)"
is "skep -V" "$($SKEP version)" "$($SKEP -V)"

out=$($SKEP 2>&1); is "no word: status" 2 $?
out=$($SKEP rnu 2>&1); is "unknown verb: status" 2 $?
like "unknown verb: the nearest" "did you mean: skep run" "$out"
out=$($SKEP run --duratoin 3 x.c -- ls 2>&1); is "unknown option: status" 2 $?
like "unknown option: the nearest" "did you mean --duration" "$out"
out=$($SKEP run --duration x y.c -- ls 2>&1); is "no number: status" 2 $?
like "no number" "no number" "$out"
out=$($SKEP --json frob 2>&1 >/dev/null); is "an error in JSON" "true" "$(jq 'has("error") and has("hint")' <<<"$out")"
is "an error in JSON, wherever --json stands" "true true" "$(for w in "frob --json" "run --frob --json"; do $SKEP $w 2>&1 | jq 'has("hint")'; done | xargs)"
for options in "-D" "-d" "--debug" "--color always" "--color=never" "-p"; do t "skep $options version" $SKEP $options version; done
for words in "--colour version" "--color=rainbow version" "run --color purple x.c -- ls" "--color" "version extra" "feature probe extra" "help run extra"; do
	out=$($SKEP $words 2>&1); is "skep $words: status" 2 $?
	[ "$(wc -l <<<"$out")" -le 2 ]; is "skep $words: short" 0 $?
done
for v in $verbs; do
	is "skep help $v: each letter once" "" "$($SKEP help "$v" | grep -oE '^  -[a-zA-Z],' | sort | uniq -d)"
done
like "help: the nearest may be a topic" "did you mean env" "$($SKEP help evn 2>&1)"
like "help prog ACTION" "prog load OBJECT" "$($SKEP help prog load)"
is "colours of errors obey --color=never" "" "$(CLICOLOR_FORCE=1 $SKEP --color=never run nope.o -- true 2>&1 | grep $'\033')"
like "colours of errors obey --color=always" $'\033' "$($SKEP --color=always run nope.o -- true 2>&1)"
out=$($SKEP help 2>&1 >/dev/full); is "a full disk: status" 2 $?
like "a full disk is said" "could not be written" "$out"
done_testing
