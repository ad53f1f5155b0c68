/* The loops of bench/map.c as programs in the running kernel, timed by BPF_PROG_TEST_RUN.
 *
 *   r7 = seed, kept in an array map between runs
 *   OPS times:  r7 = r7 * A + C;  key = r7 >> 40 & mask;  the operation
 *
 * The loop is the same as in run_once of map.c; its own cost (row "loop") is subtracted in the same way. Where bpf(2) does
 * not work, or a program is refused, the kernel's columns stay empty. */
#include "map_kernel.h"
#include "abi/uapi.h"
#include "isa/insn.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAP_CREATE = 0, UPDATE_ELEM = 2, PROG_LOAD = 5, TEST_RUN = 10, KEY = -64, VALUE = -80, RING_BYTES = 4 << 20 };

static int bpf(int cmd, void *attr, u32 size) {
	return (int)syscall(SYS_bpf, cmd, attr, size);
}

struct program {
	struct bpf_insn insns[64];
	u32 n;
};
static void put(struct program *p, u8 code, u8 dst, u8 src, s16 off, s32 imm) {
	p->insns[p->n++] = (struct bpf_insn){.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}
static void put64(struct program *p, u8 dst, u8 src, u64 imm) {
	put(p, BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, (s32)imm);
	put(p, 0, 0, 0, 0, (s32)(imm >> 32));
}
static void call(struct program *p, s32 helper) {
	put(p, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}
static void map_and_key(struct program *p, int fd) {
	put64(p, 1, BPF_PSEUDO_MAP_FD, (u32)fd);
	put(p, BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
	put(p, BPF_ALU64 | BPF_ADD, 2, 0, 0, KEY);
}
static void update(struct program *p, int fd) {
	map_and_key(p, fd);
	put(p, BPF_ALU64 | BPF_MOV | BPF_X, 3, 10, 0, 0);
	put(p, BPF_ALU64 | BPF_ADD, 3, 0, 0, VALUE);
	put(p, BPF_ALU64 | BPF_MOV, 4, 0, 0, 0);
	call(p, BPF_FUNC_map_update_elem);
}
static void operation(struct program *p, enum kind kind, int fd, u32 value, u32 helper) {
	switch (kind) {
	case LOOKUP:
	case MISS:
		map_and_key(p, fd);
		call(p, BPF_FUNC_map_lookup_elem);
		put(p, BPF_JMP | BPF_JEQ, 0, 0, 1, 0);
		put(p, BPF_ALU64 | BPF_ADD, 9, 0, 0, 1);
		break;
	case CHURN:
		map_and_key(p, fd);
		call(p, BPF_FUNC_map_delete_elem);
		update(p, fd);
		break;
	case UPDATE:
		update(p, fd);
		break;
	case RING:
		put64(p, 1, BPF_PSEUDO_MAP_FD, (u32)fd);
		put(p, BPF_ALU64 | BPF_MOV, 2, 0, 0, (s32)value);
		put(p, BPF_ALU64 | BPF_MOV, 3, 0, 0, 0);
		call(p, BPF_FUNC_ringbuf_reserve);
		put(p, BPF_JMP | BPF_JEQ, 0, 0, 4, 0);
		put(p, BPF_STX | BPF_MEM | BPF_DW, 0, 7, 0, 0);
		put(p, BPF_ALU64 | BPF_MOV | BPF_X, 1, 0, 0, 0);
		put(p, BPF_ALU64 | BPF_MOV, 2, 0, 0, 0);
		call(p, BPF_FUNC_ringbuf_submit);
		break;
	case OUTPUT:
		put64(p, 1, BPF_PSEUDO_MAP_FD, (u32)fd);
		put(p, BPF_ALU64 | BPF_MOV | BPF_X, 2, 6, 0, 0); /* from the state's array: large enough */
		put(p, BPF_ALU64 | BPF_MOV, 3, 0, 0, (s32)value);
		put(p, BPF_ALU64 | BPF_MOV, 4, 0, 0, 0);
		call(p, BPF_FUNC_ringbuf_output);
		break;
	case CALL:
		call(p, (s32)helper);
		break;
	default:
		break;
	}
}
static int load(enum kind kind, int fd, int state, u32 value, u32 mask, u32 helper, u32 ops) {
	struct program p = {.n = 0};
	put64(&p, 6, BPF_PSEUDO_MAP_VALUE, (u32)state);
	put(&p, BPF_LDX | BPF_MEM | BPF_DW, 7, 6, 0, 0);
	put(&p, BPF_ALU64 | BPF_MOV, 8, 0, 0, (s32)ops);
	put(&p, BPF_ALU64 | BPF_MOV, 9, 0, 0, 0);
	for (s16 off = VALUE; off < 0; off += 8)
		put(&p, BPF_ST | BPF_MEM | BPF_DW, 10, 0, off, 0);
	u32 loop = p.n;
	put64(&p, 1, 0, 6364136223846793005ull);
	put(&p, BPF_ALU64 | BPF_MUL | BPF_X, 7, 1, 0, 0);
	put64(&p, 1, 0, 1442695040888963407ull);
	put(&p, BPF_ALU64 | BPF_ADD | BPF_X, 7, 1, 0, 0);
	put(&p, BPF_ALU64 | BPF_MOV | BPF_X, 1, 7, 0, 0);
	put(&p, BPF_ALU64 | BPF_RSH, 1, 0, 0, 40);
	put(&p, BPF_ALU64 | BPF_AND, 1, 0, 0, (s32)mask);
	put(&p, BPF_STX | BPF_MEM | BPF_W, 10, 1, KEY, 0);
	operation(&p, kind, fd, value, helper);
	put(&p, BPF_ALU64 | BPF_ADD, 8, 0, 0, -1);
	put(&p, BPF_JMP | BPF_JNE, 8, 0, (s16)((s32)loop - (s32)p.n - 1), 0);
	put(&p, BPF_STX | BPF_MEM | BPF_DW, 6, 7, 0, 0);
	put(&p, BPF_ALU64 | BPF_MOV, 0, 0, 0, 2 /* XDP_PASS */);
	put(&p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	struct {
		u32 type, insn_cnt;
		u64 insns, license;
		u8 rest[96];
	} a = {BPF_PROG_TYPE_XDP, p.n, (u64)p.insns, (u64) "GPL", {0}};
	return bpf(PROG_LOAD, &a, sizeof a);
}
static int create(u32 type, u32 key, u32 value, u32 entries) {
	u32 a[18] = {type, key, value, entries};
	return bpf(MAP_CREATE, a, sizeof a);
}
static void fill(int fd, u32 key_size, u32 n) {
	u8 key[64] = {0};
	static u8 value[4096];
	for (u32 i = 0; i < n; i++) {
		memcpy(key, &i, 4);
		struct {
			u32 fd, pad;
			u64 key, value, flags;
		} a = {(u32)fd, 0, (u64)key, (u64)value, 0};
		bpf(UPDATE_ELEM, &a, sizeof a);
	}
}

void kernel_prepare(struct kernel_row *r, enum kind kind, u32 type, u32 key, u32 value, u32 entries, u32 helper, u32 ops) {
	bool ring = kind == RING || kind == OUTPUT;
	u32 mask = entries ? entries / 2 - 1 : 511;
	*r = (struct kernel_row){.map_fd = -1, .prog_fd = -1};
	if (kind == READ)
		return;
	int state = create(BPF_MAP_TYPE_ARRAY, 4, 256, 1);
	if (type)
		r->map_fd = ring ? create(type, 0, 0, RING_BYTES) : create(type, key, value, entries);
	if (state >= 0 && (!type || r->map_fd >= 0))
		r->prog_fd = load(kind, r->map_fd, state, value, kind == MISS ? mask * 2 + 1 : mask, helper, ops);
	close(state);
	if (r->prog_fd >= 0 && type && !ring)
		fill(r->map_fd, key, entries / 2);
	u64 page = (u64)sysconf(_SC_PAGESIZE);
	if (r->prog_fd < 0 || !ring)
		return;
	r->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, r->map_fd, 0);
	r->producer = mmap(NULL, page, PROT_READ, MAP_SHARED, r->map_fd, (off_t)page);
	if (r->consumer == MAP_FAILED || r->producer == MAP_FAILED)
		r->prog_fd = -1;
}

double kernel_run(struct kernel_row *r, u32 repeat) {
	u8 packet[64] = {0};
	struct {
		u32 fd, retval, size_in, size_out;
		u64 in, out;
		u32 repeat, duration;
		u8 rest[32];
	} a = {(u32)r->prog_fd, 0, sizeof packet, 0, (u64)packet, 0, repeat, 0, {0}};
	if (r->prog_fd < 0 || bpf(TEST_RUN, &a, sizeof a))
		return -1;
	if (r->consumer) /* the consumer has read everything */
		__atomic_store_n(r->consumer, __atomic_load_n(r->producer, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	return a.duration;
}
