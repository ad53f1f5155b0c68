#include "oracle.h"
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int map = -1, prog = -1;
static long bpf(int cmd, union bpf_attr *a) {
	return syscall(SYS_bpf, cmd, a, sizeof *a);
}
#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})

int oracle_start(void) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.map_type = BPF_MAP_TYPE_HASH, a.key_size = 8, a.value_size = 8, a.max_entries = 400000;
	map = (int)bpf(BPF_MAP_CREATE, &a);
	if (map < 0)
		return -1;
	const struct bpf_insn code[] = {
	    INSN(BPF_LDX | BPF_MEM | BPF_DW, 6, 1, 8, 0),                      /* r6 = number */
	    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_pid_tgid),
	    INSN(BPF_ALU64 | BPF_RSH | BPF_K, 0, 0, 0, 32),
	    INSN(BPF_ALU64 | BPF_LSH | BPF_K, 0, 0, 0, 32),
	    INSN(BPF_ALU64 | BPF_OR | BPF_X, 0, 6, 0, 0),
	    INSN(BPF_STX | BPF_MEM | BPF_DW, 10, 0, -8, 0),
	    INSN(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map), INSN(0, 0, 0, 0, 0),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
	    INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -8),
	    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
	    INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3, 0),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 1),
	    INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),
	    INSN(BPF_JMP | BPF_JA, 0, 0, 9, 0),
	    INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -16, 1),
	    INSN(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map), INSN(0, 0, 0, 0, 0),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
	    INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -8),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, 3, 10, 0, 0),
	    INSN(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -16),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, 0),
	    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_update_elem),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
	    INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	memset(&a, 0, sizeof a);
	a.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT, a.insns = (unsigned long)code, a.insn_cnt = sizeof code / sizeof code[0];
	a.license = (unsigned long)"GPL";
	prog = (int)bpf(BPF_PROG_LOAD, &a);
	return prog < 0 ? -1 : 0;
}

int oracle_attach(void) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.raw_tracepoint.name = (unsigned long)"sys_enter", a.raw_tracepoint.prog_fd = (unsigned)prog;
	return (int)bpf(BPF_RAW_TRACEPOINT_OPEN, &a);
}

unsigned long oracle_count(unsigned pid, unsigned nr) {
	unsigned long key = (unsigned long)pid << 32 | nr, value = 0;
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.map_fd = (unsigned)map, a.key = (unsigned long)&key, a.value = (unsigned long)&value;
	return bpf(BPF_MAP_LOOKUP_ELEM, &a) ? 0 : value;
}

/* Bounded: these very calls are counted too, and so is the rest of the machine. */
void oracle_clear(void) {
	unsigned long key;
	union bpf_attr a;
	for (int i = 0; i < 2000; i++) {
		memset(&a, 0, sizeof a);
		a.map_fd = (unsigned)map, a.next_key = (unsigned long)&key;
		if (bpf(BPF_MAP_GET_NEXT_KEY, &a))
			return;
		memset(&a, 0, sizeof a);
		a.map_fd = (unsigned)map, a.key = (unsigned long)&key;
		bpf(BPF_MAP_DELETE_ELEM, &a);
	}
}
