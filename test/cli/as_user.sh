#!/bin/bash
# The other tests once more as an ordinary user, without a single capability:  as_user.sh [TEST...]
: "${SRCDIR:=$PWD}" "${BUILD:=$SRCDIR/build}" "${SKEP:=$BUILD/skep}"
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP this user is not root: the tests have run as an ordinary user already"; exit 0; }
command -v setpriv >/dev/null || { echo "1..0 # SKIP setpriv is missing (util-linux)"; exit 0; }
dir=$(mktemp -d /tmp/skep-user-XXXXXX)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/src/test" "$dir/build"
cp "$SKEP" "$dir/build/skep" && cp -r "$SRCDIR/examples" "$SRCDIR/include" "$SRCDIR/README.md" "$dir/src/"
cp -r "$SRCDIR/test/"{lib.sh,cli,objects,programs} "$dir/src/test/"
mkdir -p "$dir/src/src/cli" && cp "$SRCDIR/src/cli/cmd.def" "$dir/src/src/cli/"
chmod -R a+rX "$dir"
n=0 bad=0
[ $# -gt 0 ] || set -- help run programs tutorial bad_input packets real_programs full_disk bad_targets
for test; do
	n=$((n + 1))
	out=$(cd "$dir/src" && env -i PATH="$PATH" HOME=/nonexistent SKEP="$dir/build/skep" SRCDIR="$dir/src" BUILD="$dir/build" \
		setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
		timeout 280 bash "test/cli/$test.sh" 2>&1)
	if [ $? = 0 ] && grep -q '^1\.\.' <<<"$out"; then echo "ok $n - $test.sh as an ordinary user"; else
		bad=1
		echo "not ok $n - $test.sh as an ordinary user"
		grep -v '^ok' <<<"$out" | sed 's/^/# /'
	fi
done
echo "1..$n"
exit $bad
