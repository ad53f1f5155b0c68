#!/bin/bash
# Proves what domain.c claims: prove.sh FOLDER [SECONDS] [NAME]... prints TAP. At 16 bits all must be decided; a claim that the
# solver neither proves nor refutes at 64 bits within the seconds is skipped by name. The false one must be refuted.
set -u
folder=$1 seconds=${2:-60}
shift; [ $# -gt 0 ] && shift
here=$(dirname "$0")
command -v z3 >/dev/null || { echo "1..0 # SKIP z3 is not installed"; exit 0; }
mkdir -p "$folder"
compile() {
	"${CLANG:-clang}" -O2 -fno-vectorize -fno-slp-vectorize -mllvm -inline-threshold=100000 -g0 -S -emit-llvm \
		-I"$here/../../src" -I"$here/../../include" "${@:2}" -o "$folder/$1.ll" "$here/domain.c"
}
compile 16 -DNARROW && compile 64 || exit 1
one() {
	local bits=${1%/*} claim=${1#*/} want=unsat answer
	local formula=$folder/$bits.$claim.smt2
	[ "$claim" = prove_not_true ] && want=sat
	"$here/ir_to_smt.py" "$folder/$bits.ll" "$claim" >"$formula" || { echo "not ok - $claim at $bits bits: not a formula"; return; }
	answer=$(z3 -T:$((bits == 16 ? 600 : seconds)) "$formula" | head -1)
	case $bits.$answer in
	*."$want") echo "ok - $claim at $bits bits" ;;
	64.timeout | 64.unknown) echo "ok - $claim at $bits bits # SKIP neither proved nor refuted in $seconds s" ;;
	*) echo "not ok - $claim at $bits bits: $answer" ;;
	esac
}
for bits in 16 64; do
	for claim in ${*:-$("$here/ir_to_smt.py" "$folder/$bits.ll")}; do echo $bits/$claim; done
done >"$folder/claims"
export -f one
export here folder seconds
xargs -a "$folder/claims" -P "$(nproc)" -I{} bash -c 'one {}' | tee "$folder/results"
grep -c '' "$folder/results" | sed 's/^/1../'
! grep -q '^not ok' "$folder/results"
