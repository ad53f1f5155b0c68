/* Filling the code segment and the tables of a session.
 *
 *   code segment:  data plane │ map descriptors │ object tables │ programs │ hook routines │ … islands, as images are met
 *   tables:        hook[0] = nothing, then one cell for every routine; number → cell
 *
 * Programs and maps that are only reached through slots (prog_array, array_of_maps) are collected too: from what stands
 * in the slots now. Each map of that kind has a table of objects, which says where they are in targets; a slot that is
 * filled later does not resolve there, and is counted.
 *
 * Numbers that have the same programs share a routine. A number that has none, and that the machinery does not need,
 * gets none: its sites stay untouched.
 *
 * The segment is made in place, through a mapping of the file that is writable here, executable nowhere, and gone before
 * the first target starts. */
#include "abi/dataplane.h"
#include "hook/dataplane_image.h"
#include "hook/routines.h"
#include "hook/session.h"
#include <asm/unistd.h>
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, CODE_ALIGN = 64, FSGSBASE_BIT = 2, AREAS_NEAR_MAX = 16 << 20 };

struct placed_map {
	struct engine_map *map;
	u64 at, area, data; /* in targets: descriptor, files */
};
struct placed_prog {
	struct engine_prog *prog;
	u64 at;
};
struct builder {
	struct session_state *s;
	struct session *block; /* in the code */
	const struct launch_prog *progs;
	u32 progs_n;
	char *error;
	u8 *code; /* CODE_SIZE bytes */
	struct placed_map map[BOOT_FDS_MAX];
	struct placed_prog prog[SESSION_PROGS_MAX];
	u32 maps, placed_progs;
	u64 entries[SESSION_PROGS_MAX];
	struct routine_env env;
	u32 hooks; /* cells used */
};

static int say(char *error, int err, const char *what) {
	snprintf(error, 256, "%s: %s", what, strerror(-err));
	return err;
}
static int take_code(struct builder *b, u64 size, u32 *off) {
	u64 at = round_up(b->s->code_used, CODE_ALIGN);
	ASSERT(b->s->code_used <= CODE_SIZE);
	if (at + size > CODE_SIZE)
		return say(b->error, -E2BIG, "the programs do not fit the code segment");
	*off = (u32)at, b->s->code_used = (u32)(at + size);
	return 0;
}

/* ---- collecting -------------------------------------------------------------------------------------------------- */

static struct boot_map *add_boot_map(struct builder *b, u64 address, u64 size, u32 fd, bool writable) {
	struct session *block = b->block;
	ASSERT(fd < b->s->fds_n || fd < BOOT_FDS_MAX);
	if (block->maps == BOOT_MAPS_MAX)
		return NULL;
	struct boot_map *m = &block->map[block->maps++];
	*m = (struct boot_map){address, size, 0, (u16)fd, writable, 0};
	block->writable[fd] |= writable;
	return m;
}

static int add_map_file(struct builder *b, int fd, u64 size, u64 *address) {
	struct session_state *s = b->s;
	*address = 0;
	if (!size)
		return 0;
	if (fd < 0)
		return -EOPNOTSUPP;
	if (s->fds_n == BOOT_FDS_MAX)
		return -E2BIG;
	*address = s->next_area;
	s->next_area += round_up(size, PAGE); /* no gaps: programs may read the whole range as theirs (session.own) */
	s->fds[s->fds_n] = fd;
	return add_boot_map(b, *address, round_up(size, PAGE), s->fds_n++, true) ? 0 : -E2BIG;
}

/* What is not the user's: tables, the shared file, and in it the lines of bpf_printk. */
static void add_own(struct builder *b) {
	struct session_state *s = b->s;
	ASSERT(!b->maps && !b->block->maps);
	add_boot_map(b, s->base + AT_TABLES, TABLES_SIZE, 0, false)->offset = TABLES_IN_FILE;
	add_boot_map(b, s->base + AT_SHARED, s->shared_size, 1, true);
	b->map[b->maps++] = (struct placed_map){.map = &s->trace, .area = s->base + AT_SHARED + s->trace_area,
	                                        .data = s->base + AT_SHARED + s->trace_data};
}

/* All areas are known: small ones go into the window, below what is shared. */
static void move_areas(struct builder *b) {
	struct session_state *s = b->s;
	u64 size = s->next_area - s->areas, to = s->base + (u64)AT_SHARED - size, by = to - s->areas;
	if (size > AREAS_NEAR_MAX)
		return;
	for (u32 i = 0; i < b->maps; i++)
		if (b->map[i].map != &s->trace) {
			b->map[i].area += b->map[i].area ? by : 0;
			b->map[i].data += b->map[i].data ? by : 0;
		}
	for (u32 i = 0; i < b->block->maps; i++)
		if (b->block->map[i].fd >= SESSION_FDS_OWN)
			b->block->map[i].address += by;
	s->areas = to, s->next_area = to + size;
}

static bool holds_objects(const struct map *m) {
	return m->type == BPF_MAP_TYPE_PROG_ARRAY || m->type == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
	       m->type == BPF_MAP_TYPE_HASH_OF_MAPS;
}
static int add_prog(struct builder *b, struct engine_prog *p);
static int add_map(struct builder *b, struct engine_map *m);

/* The slots of a map of objects, as they stand now. */
static int add_objects(struct builder *b, const struct engine_map *m) {
	struct session_state *s = b->s;
	const u64 *slot = (const u64 *)map_values(&m->map);
	int err = 0;
	if (m->map.type == BPF_MAP_TYPE_HASH_OF_MAPS || !(m->map.area || m->map.data))
		return 0;
	for (u32 i = 0; !err && i < m->map.max_entries; i++) {
		u32 id = (u32)READ_ONCE(slot[i]);
		if (!id)
			continue;
		if (m->map.type == BPF_MAP_TYPE_PROG_ARRAY) {
			struct engine_prog *p = engine_prog_by_id(s->engine, id);
			if (!p || s->held_progs_n == SESSION_PROGS_MAX)
				continue;
			s->held_progs[s->held_progs_n++] = p;
			err = add_prog(b, p);
		} else {
			struct engine_map *inner = engine_map_by_id(s->engine, id);
			if (!inner || s->held_maps_n == BOOT_FDS_MAX)
				continue;
			s->held_maps[s->held_maps_n++] = inner;
			err = add_map(b, inner);
		}
	}
	return err;
}

static int add_map(struct builder *b, struct engine_map *m) {
	for (u32 i = 0; i < b->maps; i++)
		if (b->map[i].map == m)
			return 0;
	if (b->maps == BOOT_FDS_MAX)
		return say(b->error, -E2BIG, "too many maps for one launch");
	struct placed_map *p = &b->map[b->maps++];
	p->map = m;
	int err = add_map_file(b, m->area_fd, m->map.area_size, &p->area);
	if (!err)
		err = add_map_file(b, m->token_fd, m->map.data_size, &p->data);
	if (err == -EOPNOTSUPP)
		snprintf(b->error, 256, "map %s is in memory of this process only: to launch, the engine needs files", m->name);
	else if (err)
		say(b->error, err, "maps cannot be handed to the command");
	return err || !holds_objects(&m->map) ? err : add_objects(b, m);
}

static int add_prog(struct builder *b, struct engine_prog *p) {
	for (u32 i = 0; i < b->placed_progs; i++)
		if (b->prog[i].prog == p)
			return 0;
	if (b->placed_progs == SESSION_PROGS_MAX)
		return say(b->error, -E2BIG, "too many programs for one launch");
	if (!p->image || !p->image->code) {
		snprintf(b->error, 256, "program %s cannot run in a launched command: %s", p->name,
		         p->refusal ? p->refusal : "it has no machine code");
		return -EOPNOTSUPP;
	}
	ASSERT(p->image->entry < p->image->code_size);
	b->prog[b->placed_progs++].prog = p;
	int err = 0;
	for (u32 k = 0; !err && k < p->maps_n; k++)
		err = add_map(b, p->maps[k]);
	return err;
}

/* ---- placing ----------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b) {
	const struct map_object *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* All programs, or all maps, by id. Generations are those that stand in the slots now. */
static int put_table(struct builder *b, const struct engine_map *m, u64 *at) {
	bool progs = m->map.type == BPF_MAP_TYPE_PROG_ARRAY;
	const u64 *slot = (const u64 *)map_values(&m->map);
	u32 room = progs ? b->placed_progs : b->maps, off, n = 0;
	ASSERT(holds_objects(&m->map));
	int err = take_code(b, sizeof(struct map_table) + room * sizeof(struct map_object), &off);
	if (err)
		return err;
	struct map_table *table = (struct map_table *)(b->code + off);
	for (u32 k = 0; k < room; k++) {
		u32 id = progs ? b->prog[k].prog->id : b->map[k].map->map.id;
		u64 address = progs ? b->prog[k].at + b->prog[k].prog->image->tail_entry : b->map[k].at;
		for (u32 i = 0; i < m->map.max_entries; i++)
			if ((u32)READ_ONCE(slot[i]) == id) {
				table->at[n++] = (struct map_object){id, (u32)(READ_ONCE(slot[i]) >> 32), (const void *)address};
				break;
			}
	}
	ASSERT(n <= room);
	table->n = n;
	qsort(table->at, n, sizeof table->at[0], by_id);
	*at = b->s->base + off;
	return 0;
}

static int put_maps(struct builder *b) {
	u32 off = 0;
	int err = 0;
	for (u32 i = 0; !err && i < b->maps; i++) {
		err = take_code(b, sizeof(struct map), &off);
		b->map[i].at = b->s->base + off;
	}
	return err;
}
static int fill_maps(struct builder *b) {
	int err = 0;
	for (u32 i = 0; !err && i < b->maps; i++) {
		struct map m = b->map[i].map->map;
		u64 objects = 0;
		if (m.type == BPF_MAP_TYPE_PROG_ARRAY || m.type == BPF_MAP_TYPE_ARRAY_OF_MAPS)
			err = put_table(b, b->map[i].map, &objects);
		m.area = (u8 *)b->map[i].area, m.data = (u8 *)b->map[i].data;
		m.objects = (const struct map_table *)objects;
		m.participant = 0;
		memcpy(b->code + (b->map[i].at - b->s->base), &m, sizeof m);
	}
	return err;
}

struct resolver {
	struct builder *b;
	const struct engine_prog *prog;
	u64 code_at;
	const char *missing;
};

static u64 resolve_map(struct resolver *r, u16 kind, u16 index, u64 addend) {
	const struct builder *b = r->b;
	const struct engine_map *m = index < r->prog->maps_n ? r->prog->maps[index] : NULL;
	for (u32 i = 0; i < b->maps; i++) {
		const struct placed_map *p = &b->map[i];
		if (p->map != m)
			continue;
		if (kind == RELOC_MAP)
			return p->at + addend;
		return (m->map.data_size ? p->data : p->area) + m->map.off[MAP_VALUES] + addend;
	}
	r->missing = "a map that is not there";
	return 0;
}

static u64 resolve(void *owner, u16 kind, u16 index, u64 addend) {
	struct resolver *r = owner;
	const char *name;
	s64 at;
	switch ((enum reloc_kind)kind) {
	case RELOC_DP:
		name = dp_symbol_name(index);
		at = name ? dataplane_offset(name) : -1;
		if (at >= 0)
			return r->b->s->base + (u64)at + addend;
		r->missing = name ? name : "an unknown function";
		return 0;
	case RELOC_MAP:
	case RELOC_MAP_VALUE:
		return resolve_map(r, kind, index, addend);
	case RELOC_CODE:
		return r->code_at + addend;
	case RELOC_CONST:
		return index == CONST_NR_CPUS ? r->b->s->nr_cpus : r->prog->image->id;
	}
	r->missing = "a relocation of an unknown kind";
	return 0;
}

static int put_programs(struct builder *b) {
	for (u32 i = 0; i < b->placed_progs; i++) {
		u32 off;
		int err = take_code(b, b->prog[i].prog->image->code_size, &off);
		if (err)
			return err;
		b->prog[i].at = b->s->base + off;
	}
	return 0;
}
static int fill_programs(struct builder *b) {
	for (u32 i = 0; i < b->placed_progs; i++) {
		const struct engine_prog *p = b->prog[i].prog;
		struct resolver r = {b, p, b->prog[i].at, NULL};
		image_relocate(p->image, b->code + (b->prog[i].at - b->s->base), b->prog[i].at, resolve, &r);
		if (r.missing) {
			snprintf(b->error, 256, "program %s needs %s, which does not run in a launched command", p->name, r.missing);
			return -EOPNOTSUPP;
		}
		for (u32 k = 0; k < b->progs_n; k++)
			if (b->progs[k].prog == p)
				b->entries[k] = b->prog[i].at + p->image->entry;
	}
	return 0;
}

/* ---- routines ---------------------------------------------------------------------------------------------------- */

static bool machine_wants(u32 nr, bool leave, u32 features) {
	switch (nr) {
	case __NR_execve:
	case __NR_execveat:
		return true;
	case __NR_mmap:
	case __NR_fork:
	case __NR_vfork:
		return leave;
	case __NR_clone:
	case __NR_clone3:
		return leave || features & FEATURE_TASK;
	case __NR_seccomp:
		return true;
	case __NR_arch_prctl:
		return leave && features & FEATURE_TASK && !(features & FEATURE_FSGSBASE);
	case __NR_exit:
		return !leave && features & FEATURE_TASK;
	case __NR_prctl:
		return true;
	case __NR_setuid:
	case __NR_setgid:
	case __NR_setreuid:
	case __NR_setregid:
	case __NR_setresuid:
	case __NR_setresgid:
	case __NR_unshare:
	case __NR_setns:
		return leave && features & FEATURE_TASK;
	}
	return false;
}

/* Calls that do not come back to their site. */
static bool never_returns(u32 nr) {
	return nr == __NR_rt_sigreturn || nr == __NR_exit || nr == __NR_exit_group;
}

static struct hook_list list_of(const struct builder *b, enum launch_point point, u32 nr, u16 *room) {
	struct hook_list list = {.progs = room};
	if (point == LAUNCH_EXIT && never_returns(nr))
		return list;
	for (u32 i = 0; i < b->progs_n; i++)
		if (b->progs[i].point == point && (b->progs[i].nr < 0 || (u32)b->progs[i].nr == nr))
			room[list.progs_n++] = (u16)i;
	list.machine = machine_wants(nr, point == LAUNCH_EXIT, b->block->features);
	return list;
}

static int put_routine(struct builder *b, enum launch_point point, struct hook_list list, u32 *cell) {
	u8 code[16384];
	struct emit e = {.code = code, .room = sizeof code, .at = b->s->base + round_up(b->s->code_used, CODE_ALIGN)};
	u32 off;
	if (b->hooks == HOOKS_MAX)
		return say(b->error, -E2BIG, "too many different hooks");
	(point == LAUNCH_ENTER ? routine_enter : routine_leave)(&e, &b->env, b->progs, list);
	int err = e.full ? say(b->error, -E2BIG, "too many programs at one hook") : take_code(b, e.n, &off);
	if (err)
		return err;
	ASSERT(b->s->base + off == e.at);
	memcpy(b->code + off, code, e.n);
	*cell = b->hooks++;
	b->s->tables->hook[*cell] = e.at;
	return 0;
}

static u64 cell_address(const struct session_state *s, u32 cell) {
	ASSERT(cell < HOOKS_MAX);
	return cell ? s->base + AT_TABLES + offsetof(struct tables, hook) + 8ull * cell : 0;
}

/* One point: a routine for each different list, and the tables from numbers to routines. */
static int put_point(struct builder *b, enum launch_point point, u16 *table, u64 *calls) {
	u16 progs[2][SESSION_PROGS_MAX]; /* of this number, and of an earlier one */
	int err = 0;
	for (u32 nr = 0; !err && nr <= NR_LIMIT; nr++) {
		struct hook_list list = list_of(b, point, nr, progs[0]);
		u32 cell = 0, first = 0;
		for (; first < nr; first++) {
			struct hook_list other;
			if (first && table[first] == table[first - 1])
				continue; /* compared already */
			other = list_of(b, point, first, progs[1]);
			if (other.progs_n == list.progs_n && other.machine == list.machine &&
			    !memcmp(progs[0], progs[1], list.progs_n * sizeof progs[0][0]))
				break;
		}
		if (first < nr)
			cell = table[first];
		else if (list.progs_n || list.machine)
			err = put_routine(b, point, list, &cell);
		table[nr] = (u16)cell;
		calls[nr] = cell_address(b->s, cell);
	}
	return err;
}

static int put_dispatch(struct builder *b, bool leave, u64 *call) {
	u8 code[256];
	struct emit e = {.code = code, .room = sizeof code, .at = b->s->base + round_up(b->s->code_used, CODE_ALIGN)};
	u32 off;
	(leave ? routine_dispatch_leave : routine_dispatch_enter)(&e, &b->env);
	ASSERT(!e.full);
	int err = take_code(b, e.n, &off);
	if (err || b->hooks == HOOKS_MAX)
		return err ? err : -E2BIG;
	memcpy(b->code + off, code, e.n);
	b->s->tables->hook[b->hooks] = e.at;
	*call = cell_address(b->s, b->hooks++);
	return 0;
}

static bool has_rdpid(void) {
	u32 a, b, c = 0, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & 1u << 22;
}

static int put_routines(struct builder *b) {
	struct session_state *s = b->s;
	s64 nothing = dataplane_offset("hook_nothing"), release = dataplane_offset("run_release");
	b->env = (struct routine_env){
	    .env = s->base + AT_ENV,
	    .tables = s->base + AT_TABLES,
	    .machine_enter = s->base + (u64)dataplane_offset("machine_enter"),
	    .machine_left = s->base + (u64)dataplane_offset("machine_left"),
	    .machine_leave = s->base + (u64)dataplane_offset("machine_leave"),
	    .task_current = s->base + (u64)dataplane_offset("task_current"),
	    .run_release = release < 0 ? 0 : s->base + (u64)release,
	    .entries = b->entries,
	    .has_rdpid = has_rdpid(),
	};
	s->tables->hook[0] = s->base + (u64)nothing;
	b->hooks = 1;
	static const u32 execs[] = {__NR_execve, __NR_execveat};
	u16 room[SESSION_PROGS_MAX];
	int err = put_point(b, LAUNCH_ENTER, s->tables->enter, s->calls.enter);
	if (!err)
		err = put_point(b, LAUNCH_EXIT, s->tables->leave, s->calls.leave);
	if (!err)
		err = put_dispatch(b, false, &s->calls.dispatch_enter);
	if (!err)
		err = put_dispatch(b, true, &s->calls.dispatch_leave);
	for (u32 i = 0; !err && i < ARRAY_SIZE(execs); i++)
		s->exec_exit[i] = list_of(b, LAUNCH_EXIT, execs[i], room).progs_n ? s->calls.leave[execs[i]] : 0;
	return err;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static u32 features_of(const struct builder *b) {
	u32 features = getauxval(AT_HWCAP2) & FSGSBASE_BIT ? FEATURE_FSGSBASE : 0;
	for (u32 i = 0; i < b->placed_progs; i++)
		if (b->prog[i].prog->image->xlated->uses_run_task)
			features |= FEATURE_TASK;
	return features;
}

static int build(struct builder *b) {
	struct session_state *s = b->s;
	u32 size;
	const u8 *bytes = dataplane_bytes(&size);
	ASSERT(size <= CODE_SIZE);
	memcpy(b->code, bytes, size);
	s->code_used = size;
	b->block = (struct session *)(b->code + dataplane_offset("session"));
	b->block->base = s->base;
	add_own(b);
	int err = 0;
	for (u32 i = 0; !err && i < b->progs_n; i++)
		err = add_prog(b, b->progs[i].prog);
	move_areas(b);
	b->block->features = features_of(b);
	if (!err)
		err = put_maps(b);
	if (!err)
		err = put_programs(b);
	if (!err)
		err = fill_maps(b);
	if (!err)
		err = fill_programs(b);
	if (!err)
		err = put_routines(b);
	if (err)
		return err;
	s->trace_at = b->map[0].at;
	for (u32 i = 0; i < b->maps; i++)
		s->maps[s->maps_n++] = b->map[i].map;
	b->block->fds = s->fds_n;
	b->block->own[0] = (struct run_range){s->base, s->base + CODE_SIZE};
	b->block->own[1] = (struct run_range){s->areas, s->next_area};
	b->block->own_n = ARRAY_SIZE(b->block->own);
	return 0;
}

int session_build(struct session_state *s, const struct launch_prog *progs, u32 n, char *error) {
	if (n > SESSION_PROGS_MAX)
		return say(error, -E2BIG, "too many programs for one launch");
	struct builder *b = calloc(1, sizeof *b);
	u8 *code = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s->code_fd, 0);
	int err = b && code != MAP_FAILED ? 0 : say(error, -ENOMEM, "the session");
	if (!err) {
		b->s = s, b->progs = progs, b->progs_n = n, b->error = error, b->code = code;
		for (u32 i = 0; i < n; i++)
			s->wants_exits |= progs[i].point == LAUNCH_EXIT;
		err = build(b);
	}
	if (code != MAP_FAILED)
		munmap(code, CODE_SIZE);
	free(b);
	return err;
}
