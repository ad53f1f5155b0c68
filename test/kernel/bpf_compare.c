/* The same commands to skep's bpf(2) and to the kernel's: the same answers.
 *
 * A script is a function that issues commands through `sys` and notes what they answered. It runs twice, once with each
 * engine, and the two lists of notes are compared. Descriptors are noted as «a descriptor»; ids, times and addresses are
 * not noted. Where skep differs on purpose the note is made with differs(): the reason stands in the source, and the
 * test fails when the difference is gone. */
#include "runtime/engine.h"
#include "test.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct skep_engine *engine; /* NULL: the kernel answers */
static s64 sys(u32 cmd, void *attr, u32 size) {
	if (engine)
		return skep_bpf(engine, cmd, attr, size);
	s64 r = syscall(SYS_bpf, cmd, attr, size);
	return r < 0 ? -errno : r;
}
#define BPF(cmd, ...)                                                                                                  \
	({                                                                                                             \
		union bpf_attr attr_;                                                                                     \
		memset(&attr_, 0, sizeof attr_);                                                                             \
		attr_ = (union bpf_attr){__VA_ARGS__};                                                                    \
		sys(cmd, &attr_, sizeof attr_);                                                                              \
	})
#define PTR(x) ((u64)(uintptr_t)(x))

/* == Notes == */

enum { FD = 1 << 20 };
struct note {
	char what[120];
	s64 value;
	const char *differs;
};
static struct note *notes[2];
static u32 notes_n[2], notes_room[2];

static void PRINTF(3, 4) note_as(const char *differs, s64 value, const char *fmt, ...) {
	u32 side = engine != NULL;
	if (notes_n[side] == notes_room[side]) {
		notes_room[side] = notes_room[side] * 2 + 1024;
		notes[side] = realloc(notes[side], notes_room[side] * sizeof **notes);
	}
	struct note *n = &notes[side][notes_n[side]++];
	va_list args;
	va_start(args, fmt);
	vsnprintf(n->what, sizeof n->what, fmt, args);
	va_end(args);
	n->value = value, n->differs = differs;
}
#define note(value, ...) note_as(NULL, value, __VA_ARGS__)
#define differs(why, value, ...) note_as(why, value, __VA_ARGS__)
/* Notes a descriptor or an error, and closes it. */
static void note_fd(s64 fd, const char *what) {
	note(fd >= 0 ? FD : fd, "%s", what);
	if (fd >= 0)
		close((int)fd);
}

static u32 compared, known;
static int compare(const char *script) {
	int bad = 0;
	if (notes_n[0] != notes_n[1])
		bad++, printf("# %s: the kernel made %u notes, skep %u\n", script, notes_n[0], notes_n[1]);
	for (u32 i = 0; i < notes_n[0] && i < notes_n[1]; i++) {
		const struct note *k = &notes[0][i], *s = &notes[1][i];
		if (strcmp(k->what, s->what)) {
			printf("# %s: the scripts part at \"%s\" / \"%s\"\n", script, k->what, s->what);
			bad++;
			break;
		}
		if (k->value != s->value && !k->differs && bad++ < 40)
			printf("# %s: %s: kernel %lld, skep %lld\n", script, k->what, (long long)k->value, (long long)s->value);
		if (k->value == s->value && k->differs && bad++ < 40)
			printf("# %s: %s: no longer different (%lld): %s\n", script, k->what, (long long)k->value, k->differs);
		compared++, known += k->differs != NULL;
	}
	notes_n[0] = notes_n[1] = 0;
	return bad;
}

/* == Maps == */

static const char *type_name(u32 type) {
	const struct abi_map_type *row = abi_map_type(abi_linux(), type);
	return row ? row->name : "?";
}
/* An attr that the kernel takes for this type, if any. */
static union bpf_attr good_map(u32 type) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.map_type = type, a.key_size = 4, a.value_size = 4, a.max_entries = 4;
	switch (type) {
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF: a.key_size = a.value_size = 0, a.max_entries = 4096; break;
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
	case BPF_MAP_TYPE_BLOOM_FILTER: a.key_size = 0; break;
	case BPF_MAP_TYPE_LPM_TRIE: a.key_size = 8, a.map_flags = BPF_F_NO_PREALLOC; break;
	case BPF_MAP_TYPE_STACK_TRACE: a.value_size = 80; break;
	case BPF_MAP_TYPE_CGROUP_STORAGE:
	case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: a.key_size = 16, a.max_entries = 0; break;
	case BPF_MAP_TYPE_ARENA: a.key_size = a.value_size = 0, a.map_flags = BPF_F_MMAPABLE; break;
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_CGRP_STORAGE: a.max_entries = 0, a.map_flags = BPF_F_NO_PREALLOC; break;
	}
	return a;
}
static s32 create(union bpf_attr a) {
	return (s32)sys(BPF_MAP_CREATE, &a, sizeof a);
}

static void try_create(const union bpf_attr *a, const char *what, s64 value) {
	char text[100];
	union bpf_attr copy = *a;
	snprintf(text, sizeof text, "%s with %s %lld", type_name(a->map_type), what, (long long)value);
	note_fd(sys(BPF_MAP_CREATE, &copy, sizeof copy), text);
}
static void map_create(void) {
	static const u32 sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 20, 24, 32, 64, 80, 120, 256, 260, 261, 264, 512, 513, 1016,
	                            1024, 4096, 32768, 32769, 65000, 65536};
	static const u32 entries[] = {0, 1, 2, 3, 5, 64, 1000, 4096, 8192, 12288};
	u32 inner = create(good_map(BPF_MAP_TYPE_ARRAY));
	for (u32 type = 0; type < 36; type++) {
		union bpf_attr good = good_map(type), a;
		if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS)
			good.inner_map_fd = inner;
		try_create(&good, "nothing odd", 0);
		for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
			a = good, a.key_size = sizes[i];
			try_create(&a, "key_size", sizes[i]);
			a = good, a.value_size = sizes[i];
			try_create(&a, "value_size", sizes[i]);
		}
		for (u32 i = 0; i < ARRAY_SIZE(entries); i++) {
			if (type == BPF_MAP_TYPE_CPUMAP && entries[i] > 5)
				continue; /* the kernel's build says how many CPUs there can be */
			a = good, a.max_entries = entries[i];
			try_create(&a, "max_entries", entries[i]);
		}
		for (u32 bit = 0; bit < 24; bit++) {
			if (1u << bit == BPF_F_TOKEN_FD || 1u << bit == BPF_F_VTYPE_BTF_OBJ_FD)
				continue; /* need descriptors of other kinds */
			a = good, a.map_flags ^= 1u << bit;
			try_create(&a, "flag flipped", 1u << bit);
		}
		a = good, a.map_flags |= BPF_F_RDONLY | BPF_F_WRONLY;
		try_create(&a, "both modes", 0);
		a = good, a.map_flags |= BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
		try_create(&a, "both program modes", 0);
		a = good, a.map_extra = 1;
		try_create(&a, "map_extra", 1);
		a = good, a.numa_node = 999;
		try_create(&a, "numa_node without flag", 999);
		a.map_flags |= BPF_F_NUMA_NODE;
		try_create(&a, "numa_node", 999);
		a = good, a.btf_key_type_id = 1;
		try_create(&a, "key type", 1);
		a.btf_value_type_id = 1, a.btf_fd = 12345;
		try_create(&a, "types of a bad fd", 12345);
		a = good, a.btf_vmlinux_value_type_id = 1;
		if (type != BPF_MAP_TYPE_STRUCT_OPS)
			try_create(&a, "vmlinux value type", 1);
		a = good, a.map_name[0] = '-';
		try_create(&a, "a bad name", 0);
		memset(a.map_name, 'x', sizeof a.map_name);
		try_create(&a, "an endless name", 0);
		if (type != BPF_MAP_TYPE_ARRAY_OF_MAPS && type != BPF_MAP_TYPE_HASH_OF_MAPS)
			continue;
		a = good, a.inner_map_fd = 12345;
		try_create(&a, "a bad inner map", 12345);
		for (u32 t = 1; t < 34; t++) { /* which types may be inner ones */
			int fd = create(good_map(t));
			if (fd < 0)
				continue;
			a = good, a.inner_map_fd = fd;
			try_create(&a, "inner type", t);
			close(fd);
		}
	}
	close(inner);
}

static void map_info(void) {
	for (u32 type = 1; type < 34; type++) {
		union bpf_attr a = good_map(type);
		memcpy(a.map_name, "a_name.x", 8);
		int fd = create(a);
		if (fd < 0)
			continue;
		for (u32 len = 0; len <= 200; len += 8) {
			u8 room[256] = {0};
			struct bpf_map_info *i = (void *)room;
			union bpf_attr q = {.info = {.bpf_fd = fd, .info_len = len, .info = PTR(room)}};
			note(sys(BPF_OBJ_GET_INFO_BY_FD, &q, sizeof q), "%s: info of %u bytes", type_name(type), len);
			note(q.info.info_len, "info_len");
			note(i->type, "type"), note(i->key_size, "key_size"), note(i->value_size, "value_size");
			note(i->max_entries, "max_entries"), note(i->map_flags, "map_flags"), note(i->map_extra, "map_extra");
			note(memcmp(i->name, "a_name.x", 9), "name"), note(i->btf_id != 0, "btf_id");
		}
		u8 odd[256] = {0};
		odd[160] = 1;
		note(BPF(BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = fd, .info_len = 200, .info = PTR(odd)}), "info with a tail");
		note(BPF(BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = fd, .info_len = 5000, .info = PTR(odd)}), "info too long");
		close(fd);
	}
	note(BPF(BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = 12345}), "info of a bad fd");
	note(BPF(BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = 0}), "info of another file");
}

static const u32 running[] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
                              BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_ARRAY_OF_MAPS};
static u64 values[512], out[512];
#define ELEM(cmd, k, v, f) BPF(cmd, .map_fd = fd, .key = PTR(k), .value = PTR(v), .flags = f)

static void one_map(u32 type, u32 flags) {
	static const u64 all_flags[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 1ull << 33};
	union bpf_attr a = good_map(type);
	int inner = create(good_map(BPF_MAP_TYPE_ARRAY)), fd;
	a.map_flags |= flags;
	if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS)
		a.inner_map_fd = inner;
	fd = create(a);
	note(fd >= 0, "%s with flags %x", type_name(type), flags);
	for (u32 round = 0; round < 2; round++) {
		for (u32 f = 0; f < ARRAY_SIZE(all_flags); f++)
			for (u32 key = 0; key < 7; key++) {
				/* An array of programs gets no program: descriptors that no process has. */
				int bad_fd = 100000 + key;
				memset(values, 0, sizeof values);
				memcpy(values, type == BPF_MAP_TYPE_ARRAY_OF_MAPS ? &inner : type == BPF_MAP_TYPE_PROG_ARRAY ? &bad_fd : (int *)&key, 4);
				note(ELEM(BPF_MAP_UPDATE_ELEM, &key, values, all_flags[f]), "update %u flags %llx", key, (long long)all_flags[f]);
				s64 r = ELEM(BPF_MAP_LOOKUP_ELEM, &key, out, all_flags[f]);
				note(r, "lookup %u flags %llx", key, (long long)all_flags[f]);
				if (!r && type != BPF_MAP_TYPE_ARRAY_OF_MAPS)
					note(*(u32 *)out, "its value");
				note(ELEM(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &key, out, all_flags[f]), "take %u flags %llx", key, (long long)all_flags[f]);
				if (key & 1)
					note(ELEM(BPF_MAP_DELETE_ELEM, &key, 0, 0), "delete %u", key);
			}
		u32 key = 3, next = 0;
		note(ELEM(BPF_MAP_UPDATE_ELEM, &key, values, 0), "update");
		note(ELEM(BPF_MAP_GET_NEXT_KEY, 0, &next, 0), "first key");
		u32 n = 0;
		for (key = next; n < 20 && !ELEM(BPF_MAP_GET_NEXT_KEY, &key, &next, 0); key = next)
			n++;
		note(n, "keys");
		key = 99;
		note(ELEM(BPF_MAP_GET_NEXT_KEY, &key, &next, 0), "next key of one that is not there");
		note(ELEM(BPF_MAP_LOOKUP_ELEM, 0, out, 0), "lookup without key");
		note(ELEM(BPF_MAP_LOOKUP_ELEM, &key, 0, 0), "lookup without value");
		key = 3;
		note(ELEM(BPF_MAP_LOOKUP_ELEM, &key, 0, 0), "lookup without room");
		note(ELEM(BPF_MAP_UPDATE_ELEM, &key, 0, 0), "update without value");
		note(BPF(BPF_MAP_FREEZE, .map_fd = fd), "freeze");
	}
	close(fd), close(inner);
}
static void map_elements(void) {
	for (u32 i = 0; i < ARRAY_SIZE(running); i++)
		one_map(running[i], 0);
	one_map(BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
	one_map(BPF_MAP_TYPE_HASH, BPF_F_RDONLY);
	one_map(BPF_MAP_TYPE_ARRAY, BPF_F_WRONLY);
	one_map(BPF_MAP_TYPE_ARRAY, BPF_F_RDONLY_PROG);
	one_map(BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE);
	int fd = 12345, key = 0;
	note(ELEM(BPF_MAP_LOOKUP_ELEM, &key, out, 0), "lookup in a bad fd");
	fd = 0;
	note(ELEM(BPF_MAP_LOOKUP_ELEM, &key, out, 0), "lookup in another file");
	note(ELEM(BPF_MAP_UPDATE_ELEM, &key, out, 0), "update in another file");
	note(ELEM(BPF_MAP_DELETE_ELEM, &key, 0, 0), "delete in another file");
	note(ELEM(BPF_MAP_GET_NEXT_KEY, &key, out, 0), "next key in another file");
	note(BPF(BPF_MAP_FREEZE, .map_fd = 0), "freeze another file");
}

/* == Attributes == */

static bool not_ours(u32 cmd) {
	switch (cmd) { /* what skep does not carry out: refused in words */
	case BPF_PROG_ATTACH:
	case BPF_PROG_DETACH:
	case BPF_PROG_QUERY:
	case BPF_TASK_FD_QUERY:
	case BPF_ITER_CREATE:
	case BPF_TOKEN_CREATE:
	case BPF_PROG_STREAM_READ_BY_FD:
	case BPF_MAP_LOOKUP_BATCH:
	case BPF_MAP_LOOKUP_AND_DELETE_BATCH:
	case BPF_MAP_UPDATE_BATCH:
	case BPF_MAP_DELETE_BATCH:
	case BPF_LINK_CREATE: return true;
	}
	return false;
}
static void attributes(void) {
	u8 zeros[8192] = {0};
	for (u32 cmd = 0; cmd < 45; cmd++) {
		if (not_ours(cmd) || (cmd >= BPF_PROG_GET_NEXT_ID && cmd <= BPF_MAP_GET_NEXT_ID) || cmd == BPF_BTF_GET_NEXT_ID ||
		    cmd == BPF_LINK_GET_NEXT_ID || cmd == BPF_ENABLE_STATS)
			continue; /* what is there differs */
		for (u32 size = 0; size <= 176; size += 4)
			note(sys(cmd, zeros, size), "command %u, %u zero bytes", cmd, size);
		note(sys(cmd, zeros, 4096), "command %u, a page", cmd);
		note(sys(cmd, zeros, 4097), "command %u, more than a page", cmd);
		for (u32 at = 8; at < 176; at += 4) {
			u8 a[176] = {0};
			/* One byte set: those beyond the command's last field are refused. */
			a[at] = 1;
			s64 r = sys(cmd, a, sizeof a);
			note(r == -E2BIG ? r : r == -EINVAL ? r : 0, "command %u, byte %u set", cmd, at);
		}
	}
	note(sys(4711, zeros, 16), "no such command");
	note(sys(BPF_MAP_CREATE, NULL, 16), "no attributes");
}

/* == Programs == */

struct bpf_insn two[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
static union bpf_attr good_prog(u32 type) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.prog_type = type, a.insn_cnt = 2, a.insns = PTR(two), a.license = PTR("GPL");
	return a;
}
static void try_load(union bpf_attr a, const char *what, s64 value) {
	char text[100];
	snprintf(text, sizeof text, "load type %u with %s %lld", a.prog_type, what, (long long)value);
	note_fd(sys(BPF_PROG_LOAD, &a, sizeof a), text);
}
static void prog_load(void) {
	static char log[65536];
	for (u32 type = 0; type < 35; type++) {
		/* These want a target in the kernel's types. */
		if (type == BPF_PROG_TYPE_TRACING || type == BPF_PROG_TYPE_LSM || type == BPF_PROG_TYPE_STRUCT_OPS || type == BPF_PROG_TYPE_EXT ||
		    type == BPF_PROG_TYPE_LIRC_MODE2)
			continue; /* and infrared is seldom configured */
		for (u32 attach = 0; attach < 62; attach++) {
			union bpf_attr a = good_prog(type);
			a.expected_attach_type = attach;
			try_load(a, "attach type", attach);
		}
	}
	union bpf_attr a;
	for (u32 bit = 0; bit < 32; bit++) {
		a = good_prog(BPF_PROG_TYPE_XDP), a.prog_flags = 1u << bit;
		if (1u << bit != BPF_F_TOKEN_FD && 1u << bit != BPF_F_XDP_DEV_BOUND_ONLY)
			try_load(a, "flags", 1u << bit);
	}
	a = good_prog(BPF_PROG_TYPE_XDP), a.insn_cnt = 0, try_load(a, "insn_cnt", 0);
	a.insn_cnt = 1000001, try_load(a, "insn_cnt", 1000001);
	a.insn_cnt = 1, try_load(a, "insn_cnt", 1);
	a = good_prog(BPF_PROG_TYPE_XDP), a.insns = 0, try_load(a, "no insns", 0);
	a = good_prog(BPF_PROG_TYPE_XDP), a.license = 0, try_load(a, "no license", 0);
	a = good_prog(BPF_PROG_TYPE_XDP), a.prog_name[0] = '/', try_load(a, "a bad name", 0);
	memset(a.prog_name, 'x', 16), try_load(a, "an endless name", 0);
	for (u32 level = 0; level < 20; level++) {
		a = good_prog(BPF_PROG_TYPE_XDP), a.log_level = level, try_load(a, "log level without log", level);
		a.log_buf = PTR(log), try_load(a, "log level without size", level);
		a.log_size = sizeof log, try_load(a, "log level", level);
		a.log_buf = 0, try_load(a, "log level and size alone", level);
	}
	static const u32 sizes[] = {1, 2, 8, 64, 128, UINT32_MAX >> 2, (UINT32_MAX >> 2) + 1, UINT32_MAX};
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		a = good_prog(BPF_PROG_TYPE_XDP), a.log_level = 2, a.log_buf = PTR(log), a.log_size = sizes[i];
		if (sizes[i] <= sizeof log || sizes[i] > UINT32_MAX >> 2)
			try_load(a, "log size", sizes[i]);
	}
	a = good_prog(BPF_PROG_TYPE_XDP), a.func_info_cnt = 1, a.prog_btf_fd = 12345, try_load(a, "func_info, bad BTF", 0);
	a.prog_btf_fd = 0, try_load(a, "func_info, no BTF", 0);
	a = good_prog(BPF_PROG_TYPE_XDP), a.attach_btf_id = 1, try_load(a, "attach_btf_id", 1);
	a = good_prog(BPF_PROG_TYPE_XDP), a.fd_array_cnt = 1, try_load(a, "fd_array_cnt without array", 1);
}

static void prog_info(void) {
	struct bpf_prog_info i = {0};
	u32 ids[8];
	union bpf_attr a = good_prog(BPF_PROG_TYPE_SCHED_CLS);
	memcpy(a.prog_name, "named", 5);
	int fd = sys(BPF_PROG_LOAD, &a, sizeof a);
	i.nr_map_ids = 8, i.map_ids = PTR(ids);
	note(BPF(BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = fd, .info_len = sizeof i, .info = PTR(&i)}), "info");
	note(i.type, "type"), note(i.nr_map_ids, "nr_map_ids"), note(i.gpl_compatible, "gpl"), note(i.btf_id, "btf_id");
	note(memcmp(i.name, "named", 6), "name"), note(i.nr_jited_ksyms, "nr_jited_ksyms"), note(i.nr_prog_tags, "nr_prog_tags");
	note(i.nr_jited_func_lens, "nr_jited_func_lens"), note(i.nr_func_info, "nr_func_info"), note(i.nr_line_info, "nr_line_info");
	note(i.func_info_rec_size, "func_info_rec_size"), note(i.line_info_rec_size, "line_info_rec_size");
	note(i.jited_line_info_rec_size, "jited_line_info_rec_size"), note(i.verified_insns, "verified_insns");
	note(i.xlated_prog_len, "xlated_prog_len"), note(i.created_by_uid, "created_by_uid"), note(i.run_cnt, "run_cnt");
	for (u32 j = 0; j < 8; j++)
		note(i.tag[j], "tag[%u]", j);
	close(fd);
	/* The tag of a program with a map does not depend on descriptors. */
	int map = create(good_map(BPF_MAP_TYPE_ARRAY));
	struct bpf_insn with_map[] = {{BPF_LD_IMM64, 1, BPF_PSEUDO_MAP_FD, 0, map}, {0}, two[0], two[1]};
	a = good_prog(BPF_PROG_TYPE_SCHED_CLS), a.insn_cnt = 4, a.insns = PTR(with_map);
	fd = sys(BPF_PROG_LOAD, &a, sizeof a);
	memset(&i, 0, sizeof i);
	note(BPF(BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = fd, .info_len = sizeof i, .info = PTR(&i)}), "info");
	note(i.nr_map_ids, "nr_map_ids");
	for (u32 j = 0; j < 8; j++)
		note(i.tag[j], "tag[%u] with a map", j);
	for (u32 len = 0; len <= 300; len += 12) {
		u8 room[320] = {0};
		union bpf_attr q = {.info = {.bpf_fd = fd, .info_len = len, .info = PTR(room)}};
		note(sys(BPF_OBJ_GET_INFO_BY_FD, &q, sizeof q), "info of %u bytes", len);
		note(q.info.info_len, "info_len");
	}
	close(fd), close(map);
}

/* == What one type has of its own == */

static int make(u32 type, u32 key, u32 value, u32 entries, u32 flags) {
	return create((union bpf_attr){.map_type = type, .key_size = key, .value_size = value, .max_entries = entries,
	                               .map_flags = flags});
}
/* Values of all processors: one slot of a multiple of eight bytes for each. */
static void per_cpu(void) {
	for (u32 type = BPF_MAP_TYPE_PERCPU_HASH; type <= BPF_MAP_TYPE_PERCPU_ARRAY; type++)
		for (u32 size = 1; size < 40; size += 3) {
			int fd = make(type, 4, size, 3, 0);
			u32 key = 1, bytes = (size + 7) / 8 * 8;
			memset(values, 0x5a, sizeof values), memset(out, 0xff, sizeof out);
			note(ELEM(BPF_MAP_UPDATE_ELEM, &key, values, 0), "update of %u bytes", size);
			note(ELEM(BPF_MAP_LOOKUP_ELEM, &key, out, 0), "lookup of %u bytes", size);
			for (u32 cpu = 0; cpu < 2; cpu++)
				for (u32 i = 0; i < bytes; i++)
					note(((u8 *)out)[cpu * bytes + i], "byte %u of processor %u", i, cpu);
			key = 0, memset(out, 0xff, sizeof out);
			note(ELEM(BPF_MAP_LOOKUP_ELEM, &key, out, 0), "lookup of what nobody wrote");
			note(((u8 *)out)[0], "its first byte"), note(((u8 *)out)[bytes], "that of another processor");
			note(ELEM(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &key, out, 0), "take"), key = 1;
			note(ELEM(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &key, out, 0), "take what was written");
			note(((u8 *)out)[bytes], "taken");
			note(ELEM(BPF_MAP_UPDATE_ELEM, &key, values, BPF_F_LOCK), "update with a lock");
			close(fd);
		}
}
static void full_maps(void) {
	static const u32 types[] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH};
	for (u32 t = 0; t < 2; t++)
		for (u32 flags = 0; flags < 2; flags++)
			for (u32 key_size = 1; key_size < 600; key_size = key_size * 2 + 1) {
				int fd = make(types[t], key_size, 8, 5, flags ? BPF_F_NO_PREALLOC : 0);
				u8 key[600] = {0}, next[600] = {0};
				for (u32 i = 0; i < 8; i++) {
					key[0] = i;
					note(ELEM(BPF_MAP_UPDATE_ELEM, key, values, BPF_NOEXIST), "element %u of 5", i);
				}
				key[0] = 2;
				note(ELEM(BPF_MAP_UPDATE_ELEM, key, values, BPF_EXIST), "an element of a full map");
				note(ELEM(BPF_MAP_UPDATE_ELEM, key, values, BPF_NOEXIST), "a new one that is there");
				note(ELEM(BPF_MAP_DELETE_ELEM, key, 0, 0), "delete"), note(ELEM(BPF_MAP_DELETE_ELEM, key, 0, 0), "again");
				key[0] = 100;
				note(ELEM(BPF_MAP_UPDATE_ELEM, key, values, BPF_EXIST), "one that is not there");
				note(ELEM(BPF_MAP_UPDATE_ELEM, key, values, 0), "the fifth"), key[0] = 101;
				note(ELEM(BPF_MAP_UPDATE_ELEM, key, values, 0), "a sixth");
				/* Take all: each key once, whatever the order. */
				u32 n = 0;
				while (n < 20 && !ELEM(BPF_MAP_GET_NEXT_KEY, 0, next, 0) && !ELEM(BPF_MAP_LOOKUP_AND_DELETE_ELEM, next, out, 0))
					n++;
				note(n, "elements taken");
				note(ELEM(BPF_MAP_GET_NEXT_KEY, key, next, 0), "next key of an empty map");
				close(fd);
			}
}
static void program_slots(void) {
	int fd = make(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 3, 0), progs[4];
	static const u32 types[] = {BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SOCKET_FILTER};
	for (u32 i = 0; i < 4; i++) {
		union bpf_attr l = good_prog(types[i]);
		progs[i] = sys(BPF_PROG_LOAD, &l, sizeof l);
	}
	for (u32 round = 0; round < 2; round++)
		for (u32 i = 0; i < 4; i++)
			for (u32 key = 0; key < 4; key++) {
				static const u64 flags[] = {BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK};
				note(ELEM(BPF_MAP_UPDATE_ELEM, &key, &progs[i], flags[i]), "program %u into slot %u", i, key);
				note(ELEM(BPF_MAP_UPDATE_ELEM, &key, &progs[i], 0), "program %u into slot %u, any", i, key);
				u32 id = 0;
				s64 r = ELEM(BPF_MAP_LOOKUP_ELEM, &key, &id, 0);
				note(r, "slot %u", key), note(r || id, "an id");
				if (round)
					note(ELEM(BPF_MAP_DELETE_ELEM, &key, 0, 0), "delete"), note(ELEM(BPF_MAP_DELETE_ELEM, &key, 0, 0), "again");
			}
	u32 key = 0;
	note(ELEM(BPF_MAP_UPDATE_ELEM, &key, &fd, 0), "a map as a program");
	note(BPF(BPF_MAP_FREEZE, .map_fd = fd), "freeze");
	note(ELEM(BPF_MAP_UPDATE_ELEM, &key, &progs[0], 0), "update when frozen");
	close(fd);
	for (u32 i = 0; i < 4; i++)
		close(progs[i]);
}
static void map_slots(void) {
	static const u32 inner_types[] = {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH,
	                                  BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_PROG_ARRAY};
	int inner[64], n = 0;
	for (u32 i = 0; i < ARRAY_SIZE(inner_types); i++) {
		bool ring = inner_types[i] == BPF_MAP_TYPE_RINGBUF;
		inner[n++] = make(inner_types[i], ring ? 0 : 4, ring ? 0 : 4, ring ? 4096 : 4, 0);
		inner[n++] = make(inner_types[i], ring ? 0 : 4, ring ? 0 : 4, ring ? 8192 : 8, 0);
	}
	inner[n++] = make(BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0);
	inner[n++] = make(BPF_MAP_TYPE_ARRAY, 4, 4, 4, BPF_F_INNER_MAP);
	inner[n++] = make(BPF_MAP_TYPE_ARRAY, 4, 4, 9, BPF_F_INNER_MAP);
	inner[n++] = make(BPF_MAP_TYPE_ARRAY, 4, 4, 4, BPF_F_MMAPABLE);
	inner[n++] = make(BPF_MAP_TYPE_ARRAY, 4, 4, 4, BPF_F_RDONLY_PROG);
	inner[n++] = make(BPF_MAP_TYPE_HASH, 8, 4, 4, 0);
	inner[n++] = make(BPF_MAP_TYPE_HASH, 4, 4, 4, BPF_F_NO_PREALLOC);
	inner[n++] = create((union bpf_attr){.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS, .key_size = 4, .value_size = 4, .max_entries = 4,
	                                     .inner_map_fd = inner[0]});
	for (int like = 0; like < n; like++) {
		int fd = create((union bpf_attr){.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS, .key_size = 4, .value_size = 4,
		                                 .max_entries = 3, .inner_map_fd = inner[like]});
		note(fd >= 0 ? FD : fd, "maps like %d", like);
		if (fd < 0)
			continue;
		for (int i = 0; i < n; i++) {
			u32 key = i % 3, id = 0;
			note(ELEM(BPF_MAP_UPDATE_ELEM, &key, &inner[i], 0), "a map like %d takes %d", like, i);
			s64 r = ELEM(BPF_MAP_LOOKUP_ELEM, &key, &id, 0);
			note(r, "its slot"), note(!r && id, "an id");
			note(ELEM(BPF_MAP_UPDATE_ELEM, &key, &inner[i], BPF_NOEXIST), "where there is one");
			if (i & 1)
				note(ELEM(BPF_MAP_DELETE_ELEM, &key, 0, 0), "delete"), note(ELEM(BPF_MAP_DELETE_ELEM, &key, 0, 0), "again");
		}
		u32 key = 3;
		note(ELEM(BPF_MAP_UPDATE_ELEM, &key, &inner[like], 0), "beyond its end");
		note(BPF(BPF_MAP_FREEZE, .map_fd = fd), "freeze");
		close(fd);
	}
	while (n--)
		close(inner[n]);
}

static void test_runs(void) {
	static const u32 types[] = {BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_RAW_TRACEPOINT,
	                            BPF_PROG_TYPE_SYSCALL, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_SCHED_ACT, BPF_PROG_TYPE_LWT_IN,
	                            BPF_PROG_TYPE_LWT_XMIT, BPF_PROG_TYPE_LWT_SEG6LOCAL};
	static u8 in[8192], to[8192], ctx[512];
	for (u32 t = 0; t < ARRAY_SIZE(types); t++) {
		union bpf_attr l = good_prog(types[t]), a;
		if (types[t] == BPF_PROG_TYPE_SYSCALL)
			l.prog_flags = BPF_F_SLEEPABLE;
		int fd = sys(BPF_PROG_LOAD, &l, sizeof l);
		note(fd >= 0, "a program of type %u", types[t]);
#define TRY(...)                                                                                                       \
	do {                                                                                                           \
		a = (union bpf_attr){.test = {.prog_fd = fd, __VA_ARGS__}};                                            \
		note(sys(BPF_PROG_TEST_RUN, &a, sizeof a), "type %u: %s", types[t], #__VA_ARGS__);                     \
		note(a.test.data_size_out, "data_size_out"), note(a.test.retval, "retval"), note(a.test.ctx_size_out, "ctx_size_out"); \
	} while (0)
		for (u32 size = 0; size < 80; size += 7)
			TRY(.data_in = PTR(in), .data_size_in = size);
		for (u32 size = 3456; size < 3520; size += 8)
			TRY(.data_in = PTR(in), .data_size_in = size);
		TRY(.data_size_in = 64);
		TRY(.data_in = PTR(in), .data_size_in = 64, .repeat = 3);
		TRY(.data_in = PTR(in), .data_size_in = 64, .data_out = PTR(to), .data_size_out = 64);
		TRY(.data_in = PTR(in), .data_size_in = 64, .data_out = PTR(to), .data_size_out = 63);
		TRY(.data_in = PTR(in), .data_size_in = 64, .data_out = PTR(to));
		TRY(.data_in = PTR(in), .data_size_in = 64, .data_size_out = 10);
		TRY(.data_in = PTR(in), .data_size_in = 64, .flags = 8);
		TRY(.data_in = PTR(in), .data_size_in = 64, .cpu = 1);
		TRY(.data_in = PTR(in), .data_size_in = 64, .batch_size = 1);
		TRY(.data_in = PTR(in), .data_size_in = 64, .ctx_in = PTR(ctx));
		TRY(.data_in = PTR(in), .data_size_in = 64, .ctx_size_in = 8);
		TRY(.data_in = PTR(in), .data_size_in = 64, .ctx_out = PTR(ctx));
		TRY(.data_in = PTR(in), .data_size_in = 64, .ctx_out = PTR(ctx), .ctx_size_out = 200);
		TRY(.data_in = PTR(in), .data_size_in = 64, .ctx_out = PTR(ctx), .ctx_size_out = 10);
		TRY(.ctx_in = PTR(ctx), .ctx_size_in = 96);
		TRY(.ctx_in = PTR(ctx), .ctx_size_in = 97);
		TRY(.ctx_in = PTR(ctx), .ctx_size_in = 8, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = 0);
		TRY(.ctx_in = PTR(ctx), .ctx_size_in = 8, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = 100000);
		TRY(.ctx_in = PTR(ctx), .ctx_size_in = 8, .repeat = 1);
		/* One word of the context set at a time; for XDP also sensible ends. */
		for (u32 at = 0; at < 200; at += 4) {
			memset(ctx, 0, sizeof ctx);
			*(u32 *)(ctx + at) = 4;
			if (types[t] == BPF_PROG_TYPE_XDP && at != 4)
				*(u32 *)(ctx + 4) = 64;
			a = (union bpf_attr){.test = {.prog_fd = fd, .data_in = PTR(in), .data_size_in = 64, .ctx_in = PTR(ctx), .ctx_size_in = 200}};
			s64 r = sys(BPF_PROG_TEST_RUN, &a, sizeof a);
			note(r, "type %u: context word %u", types[t], at);
		}
		for (u32 meta = 0; types[t] == BPF_PROG_TYPE_XDP && meta < 300; meta += 2) {
			struct xdp_md md = {.data = meta, .data_end = 400};
			a = (union bpf_attr){.test = {.prog_fd = fd, .data_in = PTR(in), .data_size_in = 400, .ctx_in = PTR(&md),
			                              .ctx_size_in = sizeof md, .ctx_out = PTR(&md), .ctx_size_out = sizeof md}};
			note(sys(BPF_PROG_TEST_RUN, &a, sizeof a), "metadata of %u bytes", meta);
			note(md.data, "data"), note(md.data_end, "data_end"), note(a.test.data_size_out, "size");
		}
		memset(ctx, 0, sizeof ctx);
		close(fd);
	}
	note(BPF(BPF_PROG_TEST_RUN, .test = {.prog_fd = 12345}), "a bad fd");
	note(BPF(BPF_PROG_TEST_RUN, .test = {.prog_fd = 0}), "another file");
}

static void objects(void) {
	int map = create(good_map(BPF_MAP_TYPE_ARRAY));
	union bpf_attr a = good_prog(BPF_PROG_TYPE_XDP);
	int prog = sys(BPF_PROG_LOAD, &a, sizeof a);
	note_fd(BPF(BPF_MAP_GET_FD_BY_ID, .map_id = 0), "map 0");
	note_fd(BPF(BPF_PROG_GET_FD_BY_ID, .prog_id = 0x7ffffffe), "a program that is not there");
	note_fd(BPF(BPF_BTF_GET_FD_BY_ID, .btf_id = 0x7ffffffe), "a BTF that is not there");
	note_fd(BPF(BPF_LINK_GET_FD_BY_ID, .link_id = 0x7ffffffe), "a link that is not there");
	note_fd(BPF(BPF_MAP_GET_FD_BY_ID, .map_id = 1, .open_flags = 1), "odd flags");
	note_fd(BPF(BPF_MAP_GET_FD_BY_ID, .map_id = 1, .open_flags = BPF_F_RDONLY | BPF_F_WRONLY), "both modes");
	note(BPF(BPF_MAP_GET_NEXT_ID, .start_id = 0x7fffffff), "ids from far away");
	note(BPF(BPF_MAP_GET_NEXT_ID, .start_id = 0x7ffffffe), "ids at the end");
	note(BPF(BPF_PROG_BIND_MAP, .prog_bind_map = {.prog_fd = prog, .map_fd = map}), "bind");
	note(BPF(BPF_PROG_BIND_MAP, .prog_bind_map = {.prog_fd = map, .map_fd = prog}), "bind the wrong way round");
	note(BPF(BPF_PROG_BIND_MAP, .prog_bind_map = {.prog_fd = prog, .map_fd = 12345}), "bind a bad fd");
	note(BPF(BPF_PROG_BIND_MAP, .prog_bind_map = {.prog_fd = prog, .map_fd = map, .flags = 1}), "bind with flags");
	note_fd(BPF(BPF_ENABLE_STATS, .enable_stats = {.type = 0}), "statistics");
	note_fd(BPF(BPF_ENABLE_STATS, .enable_stats = {.type = 1}), "statistics of no such kind");
	note(BPF(BPF_OBJ_PIN, .pathname = PTR("/tmp/skep-compare-pin"), .bpf_fd = map), "pin outside of the bpf file system");
	note(BPF(BPF_OBJ_PIN, .pathname = 0, .bpf_fd = map), "pin without a path");
	note(BPF(BPF_OBJ_PIN, .pathname = PTR("/sys/fs/bpf/x"), .bpf_fd = 12345), "pin a bad fd");
	note(BPF(BPF_OBJ_PIN, .pathname = PTR("/sys/fs/bpf/x"), .bpf_fd = 0), "pin another file");
	note(BPF(BPF_OBJ_PIN, .pathname = PTR("/sys/fs/bpf/x"), .bpf_fd = map, .file_flags = BPF_F_RDONLY), "pin with flags");
	note(BPF(BPF_OBJ_GET, .pathname = 0), "get without a path");
	note(BPF(BPF_OBJ_GET, .pathname = PTR("/sys/fs/bpf/x"), .bpf_fd = 1), "get with an fd");
	note(BPF(BPF_OBJ_GET, .pathname = PTR("/sys/fs/bpf/x"), .file_flags = BPF_F_RDONLY | BPF_F_WRONLY), "get with both modes");
	note(BPF(BPF_RAW_TRACEPOINT_OPEN, .raw_tracepoint = {.prog_fd = 12345}), "a raw tracepoint for a bad fd");
	note(BPF(BPF_LINK_DETACH, .link_detach = {.link_fd = 12345}), "detach a bad fd");
	note(BPF(BPF_LINK_DETACH, .link_detach = {.link_fd = map}), "detach a map");
	note(BPF(BPF_LINK_UPDATE, .link_update = {.link_fd = 12345}), "update a bad fd");
	close(map), close(prog);
}

static void btf(void) {
	struct {
		u16 magic;
		u8 version, flags;
		u32 hdr_len, type_off, type_len, str_off, str_len;
		u32 types[4];
		char strings[5];
	} __attribute__((packed)) b = {0xeb9f, 1, 0, 24, 0, 16, 16, 5, {1, 1 << 24, 4, 32 | 1 << 24}, "\0int"};
	char log[4096];
	note_fd(BPF(BPF_BTF_LOAD, .btf = PTR(&b), .btf_size = sizeof b), "BTF");
	for (u32 size = 0; size < sizeof b; size++)
		note_fd(BPF(BPF_BTF_LOAD, .btf = PTR(&b), .btf_size = size), "BTF cut off");
	note_fd(BPF(BPF_BTF_LOAD, .btf = 0, .btf_size = sizeof b), "no BTF");
	note_fd(BPF(BPF_BTF_LOAD, .btf = PTR(&b), .btf_size = (16 << 20) + 1), "too large");
	note_fd(BPF(BPF_BTF_LOAD, .btf = PTR(&b), .btf_size = sizeof b, .btf_flags = 1), "flags");
	for (u32 level = 0; level < 20; level++) {
		union bpf_attr a = {.btf = PTR(&b), .btf_size = sizeof b, .btf_log_level = level};
		note_fd(sys(BPF_BTF_LOAD, &a, sizeof a), "log level alone");
		note(a.btf_log_true_size > 0, "true size with level %u", level);
		a.btf_log_buf = PTR(log);
		note_fd(sys(BPF_BTF_LOAD, &a, sizeof a), "log without size");
		a.btf_log_size = sizeof log;
		note_fd(sys(BPF_BTF_LOAD, &a, sizeof a), "log");
		a.btf_log_size = 10;
		note_fd(sys(BPF_BTF_LOAD, &a, sizeof a), "short log");
	}
	for (u32 at = 0; at < sizeof b * 8; at++) {
		u8 copy[sizeof b];
		memcpy(copy, &b, sizeof b);
		copy[at / 8] ^= 1 << at % 8;
		char what[40];
		snprintf(what, sizeof what, "BTF with bit %u flipped", at);
		note_fd(BPF(BPF_BTF_LOAD, .btf = PTR(copy), .btf_size = sizeof b), what);
	}
	int fd = BPF(BPF_BTF_LOAD, .btf = PTR(&b), .btf_size = sizeof b);
	u8 data[100] = {0};
	struct bpf_btf_info i = {.btf = PTR(data), .btf_size = sizeof data};
	note(BPF(BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = fd, .info_len = sizeof i, .info = PTR(&i)}), "info of a BTF");
	note(i.btf_size, "btf_size"), note(i.name_len, "name_len"), note(i.kernel_btf, "kernel_btf"), note(memcmp(data, &b, sizeof b), "data");
	/* Maps with types. */
	for (u32 type = 1; type < 34; type++) {
		union bpf_attr a = good_map(type);
		a.btf_fd = fd, a.btf_key_type_id = 1, a.btf_value_type_id = 1;
		try_create(&a, "types", 1);
		a.btf_key_type_id = 0;
		try_create(&a, "a value type alone", 1);
		a.btf_value_type_id = 2;
		try_create(&a, "a type that is not there", 2);
	}
	close(fd);
}

static const struct {
	const char *name;
	void (*run)(void);
} scripts[] = {{"map_create", map_create}, {"map_info", map_info}, {"map_elements", map_elements}, {"per_cpu", per_cpu}, {"full_maps", full_maps},
               {"program_slots", program_slots}, {"map_slots", map_slots}, {"attributes", attributes},
               {"prog_load", prog_load}, {"prog_info", prog_info}, {"test_runs", test_runs}, {"objects", objects}, {"btf", btf}};

int main(int argc, char **argv) {
	for (u32 i = 0; i < ARRAY_SIZE(scripts); i++) {
		if (argc > 1 && strcmp(argv[1], scripts[i].name))
			continue;
		union bpf_attr probe = good_map(BPF_MAP_TYPE_ARRAY);
		engine = NULL;
		int fd = create(probe);
		if (fd < 0) {
			SKIP(scripts[i].name, "bpf(2) is not available here");
			continue;
		}
		close(fd);
		scripts[i].run();
		struct engine_opts o = {.size = sizeof o};
		if (engine_create(&o, &engine))
			return 1;
		scripts[i].run();
		engine_destroy(engine);
		engine = NULL;
		test_bad = compare(scripts[i].name);
		test_report(scripts[i].name);
	}
	printf("# %u answers compared, %u known to differ\n", compared, known);
	return test_end();
}
