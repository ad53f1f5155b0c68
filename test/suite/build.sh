#!/bin/bash
# Unpacks the kernel's BPF selftests from Debian's source package and compiles those with annotations.
#   build.sh FOLDER      FOLDER/linux-source-6.12/…, FOLDER/objects/NAME.bpf.o; nothing is done when it is all there
# The suite is GPL: it stays in the build folder. Says what is missing, and exits with 2, when it cannot.
set -eu -o pipefail
out=$1 release=6.12 clang=${SUITE_CLANG:-clang-19}
package=/usr/src/linux-source-$release.tar.xz
tree=$out/linux-source-$release tests=$out/linux-source-$release/tools/testing/selftests/bpf

missing() { echo "test/suite: $1; install it: apt-get install $2" >&2; exit 2; }
[ -e "$package" ] || missing "$package is not there" linux-source-$release
command -v "$clang" >/dev/null || missing "$clang is not there" "$clang"
command -v bpftool >/dev/null || missing "bpftool is not there" bpftool
[ -e /sys/kernel/btf/vmlinux ] || { echo "test/suite: this kernel does not show its types" >&2; exit 2; }

mkdir -p "$out/include/bpf" "$out/objects"
if [ ! -e "$out/unpacked" ]; then
	tar -C "$out" -xJf "$package" linux-source-$release/{tools/{lib/bpf,include,testing/selftests/bpf},include/uapi,scripts/bpf_doc.py}
	cp "$tree"/tools/lib/bpf/*.h "$out/include/bpf/"
	python3 "$tree/scripts/bpf_doc.py" --header --filename "$tree/tools/include/uapi/linux/bpf.h" \
		>"$out/include/bpf/bpf_helper_defs.h" 2>/dev/null
	touch "$out/unpacked"
fi
bpftool btf dump file /sys/kernel/btf/vmlinux format c >"$out/include/vmlinux.h.new"
cmp -s "$out/include/vmlinux.h.new" "$out/include/vmlinux.h" || mv "$out/include/vmlinux.h.new" "$out/include/vmlinux.h"

compile() {
	local object=$out/objects/$(basename "$1" .c).bpf.o
	[ "$object" -nt "$out/include/vmlinux.h" ] || (cd "$tests" && "$clang" -g -O2 -target bpf -mcpu=v4 \
		-D__TARGET_ARCH_x86 -DENABLE_ATOMICS_TESTS -Wno-everything -I"$out/include" -I. -I../../../include/uapi \
		-idirafter /usr/include/x86_64-linux-gnu -c "progs/$(basename "$1")" -o "$object")
}
export -f compile
export out tests clang
(cd "$tests/progs" && grep -lE '__success|__failure|__msg\(|__retval' ./*.c) | xargs -P"$(nproc)" -n1 bash -c 'compile "$0"'
