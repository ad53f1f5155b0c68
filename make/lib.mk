# lib: where compile.c looks for <skep/…>, and tests of its own that need the kernel and libbpf.
PREFIX ?= /usr/local
$(O)/src/lib/compile.o: CPPFLAGS += -DSKEP_SOURCE_INCLUDE='"$(abspath include)"' -DSKEP_PREFIX_INCLUDE='"$(PREFIX)/include"'
