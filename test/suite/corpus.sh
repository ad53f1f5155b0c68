#!/bin/bash
# Compiled BPF programs that others have written, by the hundred, to be verified beside the kernel: never part of this tree.
#   corpus.sh FOLDER     FOLDER as build.sh has left it; fills FOLDER/corpus/ORIGIN/NAME.bpf.o, nothing when it is all there
# ORIGIN is selftests, the programs of the kernel's suite that have no annotations, or a Debian package. The packages are
# downloaded and unpacked, not installed; most have their objects inside executables: cut.py finds them there.
set -eu -o pipefail
out=$1 here=$(cd "$(dirname "$0")" && pwd) clang=${SUITE_CLANG:-clang-19}
tests=$out/linux-source-6.12/tools/testing/selftests/bpf
mkdir -p "$out/corpus/selftests" "$out/packages"

# Eight of 640 use fields that have gone since; those that do not compile are named and left out.
compile() {
	local object=$out/corpus/selftests/$(basename "$1" .c).bpf.o
	[ "$object" -nt "$out/include/vmlinux.h" ] || (cd "$tests" && "$clang" -g -O2 -target bpf -mcpu=v3 \
		-D__TARGET_ARCH_x86 -Wno-everything -I"$out/include" -I. -I../../../include/uapi \
		-idirafter /usr/include/x86_64-linux-gnu -c "progs/$(basename "$1")" -o "$object" 2>/dev/null) ||
		echo "# test/suite: $(basename "$1") does not compile"
}
export -f compile
export out tests clang
(cd "$tests/progs" && grep -LE '__success|__failure|__msg\(|__retval' ./*.c) | xargs -P"$(nproc)" -n1 bash -c 'compile "$0"'

for package in libbpf-tools libxdp1 xdp-tools xdp-tests pcp libknot13; do
	[ ! -e "$out/corpus/$package" ] || continue
	if ! (cd "$out/packages" && apt-get -q download "$package" >/dev/null 2>&1); then
		echo "# test/suite: the package $package cannot be downloaded: left out"
		continue
	fi
	rm -rf "$out/packages/$package"
	dpkg-deb -x "$out/packages/$package"_*.deb "$out/packages/$package"
	mkdir -p "$out/corpus/$package.new"
	python3 "$here/cut.py" "$out/packages/$package" "$out/corpus/$package.new"
	mv "$out/corpus/$package.new" "$out/corpus/$package"
	rm -rf "$out/packages/$package" # has folders whose names end in .d
done
