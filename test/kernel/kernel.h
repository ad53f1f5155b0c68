/* The running kernel as an oracle for tests: load a program, read its log, run it. Where bpf() is missing or refused
 * the tests that need it skip and say why. Uses the system's <linux/bpf.h>, so it never meets src/abi/uapi.h in one
 * file. */
#ifndef SKEP_TEST_KERNEL_H
#define SKEP_TEST_KERNEL_H
#include "base/base.h"
#include <stddef.h>

struct bpf_insn;

enum { KERNEL_LOG = 1 << 16 };

/* What answers bpf(2): the system call; a test may put another implementation of the same interface here. Gives a value
 * or negative errno. */
extern s64 (*kernel_bpf)(u32 cmd, void *attr, u32 size);

/* Capabilities that the caller drops for the time of each call: bits of enum kernel_cap. */
enum kernel_cap { KERNEL_BPF = 1, KERNEL_PERFMON = 2, KERNEL_NET_ADMIN = 4 };
extern u32 kernel_lacks;

/* NULL when programs can be loaded here, else the reason in a few words. */
const char *kernel_missing(void);

struct kernel_prog {
	const struct bpf_insn *insns;
	u32 n;
	u32 type;        /* enum bpf_prog_type; 0: socket filter */
	u32 log_level;   /* 0, 1, 2 */
	const int *maps; /* fd_array, or NULL */
	u32 maps_n;
	int btf;         /* with func_info, else 0 */
	const u32 *func_info; /* pairs: first slot, type */
	u32 func_info_n;
};
/* A descriptor, or negative errno. log has KERNEL_LOG bytes and holds a string afterwards; it may be NULL at level 0.
 */
int kernel_load(const struct kernel_prog *p, char *log);
/* BPF_PROG_TEST_RUN over size bytes of packet: 0 or negative errno. */
int kernel_run(int prog, const void *packet, u32 size, u32 *result);
int kernel_map(u32 type, u32 key_size, u32 value_size, u32 entries, u32 flags, u64 extra); /* descriptor or negative errno */
int kernel_array(u32 value_size, u32 entries, const void *value); /* an array map whose first value is set */
int kernel_map_read(int map, u32 index, void *value);
int kernel_btf(const void *data, u32 size);
bool kernel_older_than(u32 major, u32 minor);
#endif
