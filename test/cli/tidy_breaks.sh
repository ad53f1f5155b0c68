#!/bin/bash
# tools/tidy sees each rule broken: in a copy of the tree, everything is done that must not be done.
. "${SRCDIR:=$PWD}/test/lib.sh"
cp -r "$SRCDIR"/{src,include,test,fuzz,tools} . && rm -f test/cli/tidy_breaks.sh || exit 1
is "nothing is wrong at first" "tidy: nothing to report" "$(tools/tidy)"

names=() patterns=()
broken() { # name pattern file script: what a shell does to the file
	local file=$3
	names+=("$1") patterns+=("$2")
	cp "$file" saved
	eval "$4"
	cmp -s "$file" saved && report "not ok" "$1: nothing was broken"
}
row() { sed -i "s|$1|$2|" "$file"; }
broken "an include upwards" "isa/valid.c:.*isa \(floor 1\) includes abi/abi.h \(floor 2\)" src/isa/valid.c 'sed -i "1i #include \"abi/abi.h\"" $file'
broken "an include across a floor" "verify/tnum.c:.*verify .* includes map/map.h" src/verify/tnum.c 'sed -i "1i #include \"map/map.h\"" $file'
broken "a cycle" "include cycle: .*base/base.h" src/base/base.h 'sed -i "1i #include \"base/arena.h\"" $file'
broken "the system's bpf.h" "the ABI is abi/uapi.h" src/map/map.h 'sed -i "1i #include <linux/bpf.h>" $file'
broken "a file that is too long" "lines, the cap is 1000" src/btf/ext.c 'for i in {1..1000}; do echo "/* $i */"; done >>$file'
broken "a long file without an essay" "without an essay on top" src/hook/sites.c 'sed -i "1i int x;" $file'
broken "a line that is too long" "columns, tabs counted as 4" src/btf/ext.c 'printf "/* %0130d */\n" 0 >>$file'
broken "white space at an end" "trailing white space" src/btf/ext.c 'printf "int x; \n" >>$file'
broken "functions that are too long" "many[0-9]* has [0-9]+ lines" src/btf/ext.c 'for f in {1..60}; do echo "static int many$f(void) {"; for i in {1..80}; do echo; done; echo "}"; done >src/btf/many.c; echo >>$file'
for call in strcpy sprintf system alloca atoi; do
	broken "$call" "$call is banned" src/btf/ext.c "echo 'void f(void) { $call(0); }' >>\$file"
done
broken "printf in the library" "printf in the library" src/runtime/ids.c 'echo "void f(void) { printf(\"x\"); }" >>$file'
broken "exit in the library" "exit in the library" src/lib/link.c 'echo "void f(void) { exit(1); }" >>$file'
broken "getenv in the library" "getenv in the library" src/lib/link.c 'echo "void f(void) { getenv(\"X\"); }" >>$file'
broken "assertions gone" "src/map: [0-9]+ assertions" src/map/hashtab.c 'sed -i "s/ASSERT/ASSURE/" src/map/*.[ch]'
broken "a public header that includes a private one" "includes a private one" include/skep/skep.h 'sed -i "1i #include \"abi/abi.h\"" $file'

broken "a helper without a word" "get_stack says neither" src/abi/helpers.def 'row "HELPER(get_stack, 67, REFUSE_[A-Z]*" "HELPER(get_stack, 67, 0"'
broken "a helper with an unknown refusal" "REFUSE_LAZY has no row" src/abi/helpers.def 'row "HELPER(get_stackid, 27, REFUSE_[A-Z]*" "HELPER(get_stackid, 27, REFUSE_LAZY"'
broken "a helper that nobody wrote" "perf_event_output runs, but src/helper and src/map do not know it" src/abi/helpers.def 'row "HELPER(perf_event_output, 25, REFUSE_[A-Z]*" "HELPER(perf_event_output, 25, ENGINE_RUNS"'
broken "a helper that is not callable" "jiffies64 runs, but has no row in dataplane.def" src/abi/dataplane.def 'sed -i /DP_HELPER.jiffies64/d $file'
broken "a callable without a function" "helper_nothing has no implementation" src/abi/dataplane.def 'sed -i "s/^DP_HELPER(strtol)/DP_HELPER(nothing)\n&/" $file'
broken "a helper without a test" "get_numa_node_id runs, but no test names it" test/unit/helper_task.c 'sed -i /numa_node/d $file'
broken "a map type that nobody wrote" "QUEUE runs, but src/map do" src/abi/maps.def 'row "\"queue\", REFUSE_NOT_YET" "\"queue\", ENGINE_RUNS"'
broken "a command that nobody wrote" "TOKEN_CREATE runs, but src/runtime" src/abi/cmds.def 'row "REFUSE_TOKEN" "ENGINE_RUNS"'
broken "a program type that nobody runs" "LIRC_MODE2 runs, but" src/abi/progs.def 'row "\"lirc_mode2\", REFUSE_LIRC" "\"lirc_mode2\", ENGINE_RUNS"'
broken "a section without a test" "frob_x runs, but no test names it" src/abi/sections.def 'row "\"lwt_seg6local\", \(.*\)REFUSE_ROUTE" "\"frob_x\", \1ENGINE_RUNS"'
broken "a refusal that nobody needs" "IDLE is the reason of no row" src/abi/refusals.def 'echo "REFUSAL(IDLE, true, \"too much work\")" >>$file'
broken "a verb without a file" "frob has no file src/cli/frob.c" src/cli/cmd.def 'sed -i "s/^VERB(run,/VERB(frob, \"\", \"x\", \"  skep frob\")\nVERB(run,/" $file'
broken "a verb without an example" "version has no example" src/cli/cmd.def 'row "  skep version --json" "  nothing"'
broken "an action without a test" "map frobnicate has no test" src/cli/cmd.def 'row "NOUN(map, help, \"\", \"this text\")" "NOUN(map, frobnicate, \"\", \"does something\")"'
broken "an option without a test" "frobnicate has no test" src/cli/cmd.def 'row "OPTION(run, \"duration\"" "OPTION(run, \"frobnicate\""'
out=$(tools/tidy); is "status" 1 $?
for i in "${!names[@]}"; do like "${names[i]}" "${patterns[i]}" "$out"; done
done_testing
