/* What the test objects share. They are compiled with clang and libbpf's headers alone, without vmlinux.h. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
