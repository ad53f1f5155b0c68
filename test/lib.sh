# Words for the command line's tests, sourced by each. A test script calls:  t NAME COMMAND...  (expects success),
# is NAME EXPECTED ACTUAL,  like NAME PATTERN ACTUAL,  skip NAME REASON,  and ends with  done_testing.
# $SKEP is the command, $SRCDIR the tree, $BUILD the build folder; the script starts in an empty folder of its own.
set -u
: "${BUILD:=$SRCDIR/build}" "${SKEP:=$BUILD/skep}"
n=0 bad=0
work=$(mktemp -d /tmp/skep-test-XXXXXX)
chmod 755 "$work"
export XDG_CACHE_HOME=$work/cache XDG_RUNTIME_DIR=$work/runtime SKEP_INCLUDE=$SRCDIR/include
mkdir -m 700 "$XDG_RUNTIME_DIR" "$XDG_CACHE_HOME"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

report() { # ok|"not ok" name
	n=$((n + 1))
	echo "$1 $n - $2"
	[ "$1" = ok ] || bad=1
}
t() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then report ok "$name"; else
		report "not ok" "$name"
		sed 's/^/# /' <<<"status $? of: $*"$'\n'"$out"
	fi
}
is() {
	if [ "$2" = "$3" ]; then report ok "$1"; else
		report "not ok" "$1"
		printf '# expected: %s\n# got:      %s\n' "${2//$'\n'/$'\n# '}" "${3//$'\n'/$'\n# '}"
	fi
}
like() {
	if grep -qE -- "$2" <<<"$3"; then report ok "$1"; else
		report "not ok" "$1"
		printf '# expected a match of: %s\n# in: %s\n' "$2" "${3//$'\n'/$'\n# '}"
	fi
}
skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}
done_testing() {
	echo "1..$n"
	exit $bad
}
