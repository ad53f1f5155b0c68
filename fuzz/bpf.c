/* Random bpf(2) commands against an engine in this process, for the sanitizers: whatever is asked for, in whatever order,
 * the answer is a value or an errno. After each run of commands everything is closed and the engine must end clean.
 *
 *   bpf COUNT SEED      COUNT commands; the same seed gives the same commands
 *
 * Attributes start from a sensible command and are then damaged: numbers replaced by ones that break things, descriptors
 * by those of other kinds. Pointers always point to memory of ours that is large enough for what the kernel would touch,
 * or are NULL or kernel addresses: a library follows wrong pointers of its caller as any function does. */
#include "fuzz/random.h"
#include "runtime/engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct random r;
static u32 any(u32 n) {
	return (u32)random_below(&r, n);
}

enum { ROOM = 1 << 20, OPEN_MAX_FDS = 200, RUN = 400 };
static u8 *memory[8]; /* each ROOM bytes: more than any command may touch */
static int fds[OPEN_MAX_FDS], fds_n;
static bool is_prog[1 << 16]; /* by descriptor or handle, low bits */

static u32 odd_number(void) {
	static const u32 numbers[] = {0, 1, 2, 3, 4, 7, 8, 12, 16, 33, 64, 100, 255, 256, 512, 4096, 8192, 65535, 65536, 0x7fffffff,
	                              0x80000000, 0xffffffff, 1u << 17, 24, 104};
	return any(3) ? numbers[any(ARRAY_SIZE(numbers))] : any(64);
}
static u64 odd_pointer(void) {
	switch (any(8)) {
	case 0: return 0;
	case 1: return 0xffff888000000000;
	default: return (u64)(uintptr_t)memory[any(ARRAY_SIZE(memory))] + any(64);
	}
}
static u32 some_fd(void) {
	if (any(12) == 0)
		return any(3) ? odd_number() : any(64);
	return fds_n ? (u32)fds[any((u32)fds_n)] : 0;
}

/* Valid or nearly valid bytecode over the descriptors there are. */
static u32 some_program(struct bpf_insn *to) {
	static const u32 calls[] = {1, 2, 3, 5, 7, 8, 12, 14, 130, 6, 181};
	u32 n = 0, length = 1 + any(12);
	for (u32 i = 0; i < length; i++)
		switch (any(7)) {
		case 0: to[n++] = (struct bpf_insn){BPF_ALU64 | BPF_MOV | BPF_K, any(10), 0, 0, (s32)odd_number()}; break;
		case 1: to[n++] = (struct bpf_insn){BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8 * (s16)(1 + any(8)), 0}; break;
		case 2:
			to[n++] = (struct bpf_insn){BPF_LD_IMM64, 1, 1 + any(6), 0, (s32)some_fd()};
			to[n++] = (struct bpf_insn){0};
			break;
		case 3: to[n++] = (struct bpf_insn){BPF_ALU64 | BPF_MOV | BPF_X, any(10), any(11), 0, 0}; break;
		case 4: to[n++] = (struct bpf_insn){BPF_ALU64 | BPF_ADD | BPF_K, any(10), 0, 0, -8 * (s32)any(8)}; break;
		case 5: to[n++] = (struct bpf_insn){BPF_JMP | BPF_CALL, 0, 0, 0, (s32)calls[any(ARRAY_SIZE(calls))]}; break;
		case 6: to[n++] = (struct bpf_insn){BPF_JMP | BPF_JEQ | BPF_K, any(10), 0, (s16)any(4), (s32)any(3)}; break;
		}
	to[n++] = (struct bpf_insn){BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, (s32)any(4)};
	to[n++] = (struct bpf_insn){BPF_JMP | BPF_EXIT};
	return n;
}

static void map_attr(union bpf_attr *a) {
	a->map_type = any(6) ? (u32[]){1, 2, 3, 5, 6, 12, 27}[any(7)] : any(36);
	a->key_size = any(4) ? 4 : odd_number(), a->value_size = any(4) ? 8 : odd_number() & 0xffff;
	a->max_entries = any(4) ? 1 + any(64) : odd_number() & 0xfffff;
	if (a->map_type == BPF_MAP_TYPE_RINGBUF && any(8))
		a->key_size = a->value_size = 0, a->max_entries = 4096;
	if ((a->map_type == BPF_MAP_TYPE_PROG_ARRAY || a->map_type == BPF_MAP_TYPE_ARRAY_OF_MAPS) && any(8))
		a->value_size = 4;
	a->map_flags = any(3) ? 0 : 1u << any(20);
	a->inner_map_fd = some_fd();
	if (!any(8))
		a->btf_fd = some_fd(), a->btf_key_type_id = any(4), a->btf_value_type_id = any(4);
}
static void elem_attr(union bpf_attr *a) {
	a->map_fd = some_fd();
	u32 *key = (u32 *)memory[0], *value = (u32 *)memory[1];
	*key = any(8) ? any(16) : odd_number();
	*value = some_fd();
	a->key = any(10) ? (u64)(uintptr_t)key : odd_pointer(), a->value = any(10) ? (u64)(uintptr_t)value : odd_pointer();
	a->flags = any(3) ? 0 : any(9);
}
static void load_attr(union bpf_attr *a) {
	static const u32 types[] = {1, 3, 5, 6, 17, 31, 2, 4};
	a->prog_type = any(8) ? types[any(ARRAY_SIZE(types))] : any(36);
	a->insns = (u64)(uintptr_t)memory[2], a->insn_cnt = some_program((struct bpf_insn *)memory[2]);
	a->license = (u64)(uintptr_t) "GPL";
	a->expected_attach_type = any(8) ? 0 : any(60);
	if (!any(3))
		a->log_level = any(5), a->log_buf = (u64)(uintptr_t)memory[3], a->log_size = any(2) ? ROOM / 2 : odd_number() % ROOM;
	if (!any(6)) {
		s32 *array = (s32 *)memory[4];
		for (u32 i = 0; i < 8; i++)
			array[i] = (s32)some_fd();
		a->fd_array = (u64)(uintptr_t)array, a->fd_array_cnt = any(8);
	}
	if (!any(8))
		a->prog_btf_fd = some_fd(), a->func_info = odd_pointer(), a->func_info_cnt = any(3), a->func_info_rec_size = any(2) ? 8 : odd_number(),
		a->line_info = odd_pointer(), a->line_info_cnt = any(3), a->line_info_rec_size = any(2) ? 16 : odd_number();
	if (!any(8))
		a->prog_flags = 1u << any(10);
}
static void run_attr(union bpf_attr *a) {
	a->test.prog_fd = some_fd();
	a->test.data_in = odd_pointer(), a->test.data_size_in = any(3) ? 14 + any(200) : odd_number() % (ROOM / 2);
	if (any(2))
		a->test.data_out = odd_pointer(), a->test.data_size_out = any(200);
	if (!any(3)) {
		memset(memory[5], 0, 256);
		((u32 *)memory[5])[any(48)] = odd_number();
		a->test.ctx_in = (u64)(uintptr_t)memory[5], a->test.ctx_size_in = any(2) ? 24 : any(220);
	}
	if (!any(3))
		a->test.ctx_out = (u64)(uintptr_t)memory[6], a->test.ctx_size_out = any(220);
	a->test.repeat = any(5);
	a->test.flags = any(6) ? 0 : odd_number();
	a->test.cpu = any(6) ? 0 : any(8);
}
static void info_attr(union bpf_attr *a) {
	a->info.bpf_fd = some_fd(), a->info.info = (u64)(uintptr_t)memory[7], a->info.info_len = any(3) ? 232 : odd_number() % 5000 / 8 * 8;
	/* A record whose sizes and pointers are plausible: they are both in and out. */
	memset(memory[7], 0, 8192);
	if (any(2) && is_prog[a->info.bpf_fd & 0xffff]) {
		struct bpf_prog_info *i = (void *)memory[7];
		i->nr_map_ids = any(20), i->map_ids = odd_pointer(), i->xlated_prog_len = any(1000), i->xlated_prog_insns = odd_pointer();
		i->jited_prog_len = any(4000), i->jited_prog_insns = odd_pointer(), i->nr_line_info = any(10), i->line_info = odd_pointer();
		i->nr_func_info = any(10), i->func_info = odd_pointer(), i->nr_prog_tags = any(4), i->prog_tags = odd_pointer();
		i->nr_jited_ksyms = any(4), i->jited_ksyms = odd_pointer();
	}
}
static void btf_attr(union bpf_attr *a) {
	static const u32 small[] = {0x0001eb9f, 24, 0, 16, 16, 5, 1, 1 << 24, 4, 32 | 1 << 24, 'i' << 8 | 'n' << 16 | 't' << 24, 0};
	memcpy(memory[4], small, sizeof small);
	if (any(2))
		memory[4][any(45)] ^= 1u << any(8);
	a->btf = (u64)(uintptr_t)memory[4], a->btf_size = any(8) ? 45 : any(60);
	if (!any(3))
		a->btf_log_level = any(5), a->btf_log_buf = (u64)(uintptr_t)memory[3], a->btf_log_size = any(3000);
}
static void id_attr(union bpf_attr *a) {
	a->start_id = any(4) ? any(2000) : odd_number();
	a->open_flags = any(4) ? 0 : odd_number();
}
static void pin_attr(union bpf_attr *a, bool get) {
	static const char *const names[] = {"a", "/sys/fs/bpf/b", "c/d", "/tmp/x", "", "../e", "/sys/fs/bpf", "./a", "a/"};
	a->pathname = (u64)(uintptr_t)names[any(ARRAY_SIZE(names))];
	a->bpf_fd = get ? 0 : some_fd();
	a->file_flags = any(4) ? 0 : odd_number();
}

static u32 make_attr(union bpf_attr *a) {
	memset(a, 0, sizeof *a);
	switch (any(16)) {
	case 0:
	case 1: map_attr(a); return BPF_MAP_CREATE;
	case 2: elem_attr(a); return BPF_MAP_UPDATE_ELEM;
	case 3: elem_attr(a); return BPF_MAP_UPDATE_ELEM;
	case 4: elem_attr(a); return (u32[]){BPF_MAP_LOOKUP_ELEM, BPF_MAP_LOOKUP_AND_DELETE_ELEM}[any(2)];
	case 5: elem_attr(a); return (u32[]){BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY, BPF_MAP_FREEZE}[any(8) ? any(2) : 2];
	case 6:
	case 7: load_attr(a); return BPF_PROG_LOAD;
	case 8:
	case 9: run_attr(a); return BPF_PROG_TEST_RUN;
	case 10: info_attr(a); return BPF_OBJ_GET_INFO_BY_FD;
	case 11: btf_attr(a); return BPF_BTF_LOAD;
	case 12: id_attr(a); return (u32[]){11, 12, 23, 31, 13, 14, 19, 30}[any(8)];
	case 13: pin_attr(a, false); return BPF_OBJ_PIN;
	case 14: pin_attr(a, true); return BPF_OBJ_GET;
	}
	a->prog_bind_map.prog_fd = some_fd(), a->prog_bind_map.map_fd = some_fd();
	return (u32[]){BPF_PROG_BIND_MAP, BPF_LINK_DETACH, BPF_LINK_UPDATE, BPF_RAW_TRACEPOINT_OPEN, 99, BPF_LINK_CREATE}[any(6)];
}

static void one_command(struct skep_engine *e) {
	union bpf_attr a;
	u32 cmd = make_attr(&a), size = any(10) ? sizeof a : 8 * any(25); /* no pointer is cut in two */
	u8 room[256] = {0};
	memcpy(room, &a, sizeof a);
	if (!any(12) && (cmd == BPF_MAP_CREATE || cmd == BPF_PROG_TEST_RUN)) /* their first words are no pointers */
		((u32 *)room)[any(4)] = odd_number() & 0xffff;
	s64 fd = skep_bpf(e, cmd, room, size);
	bool gives = cmd == BPF_MAP_CREATE || cmd == BPF_PROG_LOAD || cmd == BPF_BTF_LOAD || cmd == BPF_OBJ_GET ||
	             (cmd >= BPF_PROG_GET_FD_BY_ID && cmd <= BPF_MAP_GET_FD_BY_ID) || cmd == BPF_BTF_GET_FD_BY_ID;
	if (gives && fd >= 0) {
		if (fds_n == OPEN_MAX_FDS)
			engine_close(e, fds[--fds_n]);
		fds[fds_n++] = (int)fd;
		is_prog[fd & 0xffff] = cmd == BPF_PROG_LOAD;
	}
	if (!any(6) && fds_n) {
		u32 i = any((u32)fds_n);
		engine_close(e, fds[i]);
		fds[i] = fds[--fds_n];
	}
	struct engine_problem why;
	if (fd < 0 && engine_explain(e, &why))
		ASSERT(strlen(why.sentence) < sizeof why.sentence);
}

int main(int argc, char **argv) {
	u64 count = argc > 1 ? strtoull(argv[1], NULL, 0) : 100000, seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, done = 0;
	char dir[64];
	snprintf(dir, sizeof dir, "/dev/shm/skep-fuzz-%d", getpid());
	for (u32 i = 0; i < ARRAY_SIZE(memory); i++)
		if (!(memory[i] = calloc(1, ROOM)))
			return 2;
	random_seed(&r, seed);
	for (u32 round = 0; done < count; round++) {
		struct engine_opts o = {.size = sizeof o, .handles = round % 4 == 1, .oracle = round % 4 == 3};
		if (round % 4 == 2)
			o.backing = BACKING_FILES, o.directory = dir;
		struct skep_engine *e;
		if (engine_create(&o, &e))
			return 2;
		for (u32 i = 0; i < RUN && done < count; i++, done++)
			one_command(e);
		while (fds_n)
			engine_close(e, fds[--fds_n]);
		static const char *const pins[] = {"a", "b"};
		for (u32 i = 0; i < ARRAY_SIZE(pins); i++)
			engine_unpin(e, pins[i]);
		engine_destroy(e);
	}
	for (u32 i = 0; i < ARRAY_SIZE(memory); i++)
		free(memory[i]);
	printf("%llu commands\n", (unsigned long long)done);
	char command[96];
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) ? 2 : 0;
}
