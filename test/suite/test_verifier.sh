#!/bin/bash
# The kernel's test_verifier, run on the kernel and on skep, and compared test by test (verifier_compare.py).
#   test_verifier.sh FOLDER INTERPOSER [OPTION OF verifier_compare.py…]
# It is built from Debian's source packages of each release; the suite is GPL: it stays in FOLDER. Needs root and a kernel
# with bpf(2). Unprivileged tests need kernel.unprivileged_bpf_disabled=0, which is set for the time of the runs; where it
# is locked (1) they are left out, in words.
set -eu -o pipefail
out=$1 interposer=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
sysctl=/proc/sys/kernel/unprivileged_bpf_disabled

missing() { echo "test/suite: $1; install it: apt-get install $2" >&2; exit 2; }

build() { # release
	local release=$1 package=/usr/src/linux-source-$1.tar.xz tree=$out/linux-source-$1 more=()
	local tests=$tree/tools/testing/selftests/bpf objects=$out/libbpf-$1
	[ ! -e "$out/test_verifier-$release" ] || return 0
	[ -e "$package" ] || missing "$package is not there" "linux-source-$release"
	[ -e /usr/include/sys/capability.h ] || missing "sys/capability.h is not there" libcap-dev
	mkdir -p "$objects" "$out/include-$release"
	tar -C "$out" -xJf "$package" linux-source-"$release"/{tools/{lib/bpf,include,arch,testing/selftests/bpf},include/uapi}
	ln -sfn "$tree/tools/lib/bpf" "$out/include-$release/bpf"
	(cd "$tests/verifier" && { echo '#ifdef FILL_ARRAY'; printf '#include "%s"\n' *.c; echo '#endif'; } >tests.h)
	local include=(-I"$tree/tools/include" -I"$tree/tools/include/uapi")
	for source in "$tree"/tools/lib/bpf/*.c; do
		gcc -O1 -w -D_GNU_SOURCE "${include[@]}" -I"$tree/tools/lib/bpf" -c "$source" -o "$objects/$(basename "$source" .c).o"
	done
	[ ! -e "$tests/unpriv_helpers.c" ] || more=("$tests/unpriv_helpers.c" "$here/verifier_support.c")
	gcc -O1 -w -D_GNU_SOURCE -I"$tests" -I"$out/include-$release" "${include[@]}" -o "$out/test_verifier-$release" \
		"$tests/test_verifier.c" "$tests/cap_helpers.c" "${more[@]}" "$objects"/*.o -lelf -lz -lcap
}

[ "$(id -u)" = 0 ] || { echo "test/suite: the comparison with the kernel's bpf(2) takes root" >&2; exit 2; }
before=$(cat $sysctl)
options=()
trap 'echo "$before" >$sysctl 2>/dev/null || true' EXIT
if [ "$before" != 0 ] && ! echo 0 2>/dev/null >$sysctl; then
	echo "# unprivileged tests are left out: $sysctl is $before and cannot be changed"
	options=(--privileged)
fi
status=0
for release in 6.12 6.1; do
	build $release
	program=$out/test_verifier-$release
	SKEP_BPF=kernel LD_PRELOAD=$interposer timeout 300 "$program" >"$program.kernel" 2>/dev/null || true
	SKEP_BPF=skep LD_PRELOAD=$interposer timeout 300 "$program" >"$program.skep" 2>/dev/null || true
	python3 "$here/verifier_compare.py" "${options[@]}" "$@" --known "$here/known_verifier.txt" $release \
		"$program.kernel" "$program.skep" || status=1
done
echo 1..2
exit $status
