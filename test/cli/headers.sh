#!/bin/bash
# Public headers compile alone, in C and in C++; a client builds from an installed copy.
. "${SRCDIR:=$PWD}/test/lib.sh"
echo '#include <skep/skep.h>' >one.c; cp one.c one.cc
t "skep.h alone in C" gcc -std=c99 -pedantic -Wall -Wextra -Werror -I"$SRCDIR/include" -c one.c -o one.o
t "skep.h alone in C++" g++ -std=c++11 -pedantic -Wall -Wextra -Werror -I"$SRCDIR/include" -c one.cc -o one.o
t "skep.h alone with clang" clang -std=c11 -Weverything -Wno-declaration-after-statement -Wno-padded -Werror -I"$SRCDIR/include" -c one.c -o one.o
if [ -w "$SRCDIR" ] || [ "$(id -u)" = 0 ]; then
	t "make install" make -s -C "$SRCDIR" O="$BUILD" install DESTDIR="$work/dest" PREFIX=/usr
	cat >client.c <<'C'
#include <skep/skep.h>
#include <string.h>
int main(void) { return strcmp(skep_version(), "0.1.0"); }
C
	export PKG_CONFIG_PATH=$work/dest/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/dest
	t "a client builds by pkg-config" bash -c 'gcc client.c $(pkg-config --cflags --libs skep) -o client'
	t "and runs" env LD_LIBRARY_PATH="$work/dest/usr/lib" ./client
	t "a static client" bash -c 'gcc client.c $(pkg-config --cflags skep) dest/usr/lib/libskep.a -lelf -lz -lZydis -o static && ./static'
	t "make uninstall" make -s -C "$SRCDIR" O="$BUILD" uninstall DESTDIR="$work/dest" PREFIX=/usr
	is "uninstall leaves no file" "" "$(find dest -type f -o -type l)"
fi
done_testing
