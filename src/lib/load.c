/* Loading: types, maps, initial contents, programs, in the order in which they need each other.
 *
 *	externs resolved ─► BPF_BTF_LOAD ─► BPF_MAP_CREATE, contents, FREEZE, pins ─► maps in maps ─► programs ─► program arrays
 *
 * Everything goes through bpf(2) commands, of an engine or of the kernel; only object_bpf knows which. What was made
 * before an error is released again. A map that the engine cannot make ends the loading, or with relaxed_maps only the
 * programs that use it. Maps whose template is another map (the oldest form) are made in a second pass. */
#include "lib/object.h"
#include "runtime/engine.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

bool object_is_kernel(const struct skep_object *o) {
	return o->opts.bpf;
}
const char *object_target_name(const struct skep_object *o) {
	return o->opts.btf_path ? o->opts.btf_path : object_is_kernel(o) ? "this kernel" : "skep";
}
/* Whose types give ids: not those of --btf, which only say where fields lie. */
const char *object_ids_name(const struct skep_object *o) {
	return !o->engine ? object_target_name(o) : engine_types_given(o->engine) ? "the kernel's BTF" : "skep";
}
s64 object_bpf(struct skep_object *o, u32 cmd, union bpf_attr *attr) {
	return o->opts.bpf ? o->opts.bpf(o->opts.bpf_owner, cmd, attr, sizeof *attr)
	       : o->engine ? skep_bpf(o->engine, cmd, attr, sizeof *attr)
			   : -EBADF;
}
void object_close_fd(struct skep_object *o, int fd) {
	if (fd < 0)
		return;
	if (o->opts.bpf)
		close(fd);
	else
		engine_close(o->engine, fd);
}

/* What the engine says of the last command, if anything. */
static const char *explain(struct skep_object *o, struct engine_problem *p) {
	if (o->opts.bpf || !engine_explain(o->engine, p))
		return NULL;
	return p->sentence;
}
static const char *permission_hint(const struct skep_object *o, s64 err) {
	if (err != -EPERM && err != -EACCES)
		return NULL;
	return object_is_kernel(o) ? "The kernel's eBPF needs CAP_BPF and CAP_PERFMON; skep's own engine (without "
				     "--kernel) needs no rights"
				   : NULL;
}

/* Not what was asked for is the trouble, but that there is no memory, room or descriptor for it. */
static bool lacks_room(s64 err) {
	return err == -ENOMEM || err == -ENOSPC || err == -EDQUOT || err == -EMFILE || err == -ENFILE || err == -EIO;
}

/* ---- types ---- */

static bool needs_btf(const struct skep_object *o) {
	for (u32 i = 0; i < o->maps.n; i++) {
		u32 type = o->maps.at[i]->def.type;
		const struct abi_map_type *t = abi_map_type(abi_linux(), type);
		if (t && t->flags & MAP_NEEDS_BTF)
			return true;
	}
	for (u32 i = 0; i < o->externs.n; i++)
		if (o->externs.at[i].kind == EXTERN_KSYM)
			return true;
	return false;
}

static int load_btf(struct skep_object *o) {
	union bpf_attr a = {0};
	if (!o->btf)
		return 0;
	a.btf = (u64)(uintptr_t)o->btf->data, a.btf_size = o->btf->data_size;
	s64 fd = object_bpf(o, BPF_BTF_LOAD, &a);
	if (fd >= 0) {
		o->btf_fd = (int)fd;
		return 0;
	}
	/* Our own check words the same rules; what it does not know, the kernel does not explain either. */
	struct btf_log log = {0};
	struct btf *again = NULL;
	bool known = btf_parse(o->btf->data, o->btf->data_size, NULL, BTF_STRICT, &log, &again);
	btf_put(again);
	struct engine_problem problem;
	const char *said = explain(o, &problem), *reason = known ? log.error : said ? said : strerror((int)-fd);
	said = lacks_room(fd) ? said : NULL;
	if (said)
		return object_error(o, (int)fd, *problem.suggestion ? problem.suggestion : NULL, "%s cannot be loaded: %s", o->path,
				    said);
	if (needs_btf(o))
		return object_error(o, (int)fd, permission_hint(o, fd), "%s: %s does not take its type information: %s",
				    o->path, object_target_name(o), reason);
	object_warn(o, NULL, "%s: %s does not take its type information (%s); loading without it", o->path,
		    object_target_name(o), reason);
	return 0;
}

/* ---- maps ---- */

static bool has_no_btf(u32 type) {
	switch (type) {
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
	case BPF_MAP_TYPE_CGROUP_ARRAY:
	case BPF_MAP_TYPE_STACK_TRACE:
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
	case BPF_MAP_TYPE_HASH_OF_MAPS:
	case BPF_MAP_TYPE_DEVMAP:
	case BPF_MAP_TYPE_DEVMAP_HASH:
	case BPF_MAP_TYPE_CPUMAP:
	case BPF_MAP_TYPE_XSKMAP:
	case BPF_MAP_TYPE_SOCKMAP:
	case BPF_MAP_TYPE_SOCKHASH:
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
	case BPF_MAP_TYPE_ARENA:
		return true;
	}
	return false;
}

static u32 possible_cpus(void) {
	char text[256] = "";
	FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
	if (f) {
		text[fread(text, 1, sizeof text - 1, f)] = 0;
		fclose(f);
	}
	u32 n = 0;
	for (char *p = text; *p >= '0' && *p <= '9'; p += strcspn(p, ",\n"), p += *p == ',') {
		unsigned first = 0, last = 0;
		int got = sscanf(p, "%u-%u", &first, &last);
		n += got == 2 && last >= first ? last - first + 1 : 1;
	}
	long online = n ? (long)n : sysconf(_SC_NPROCESSORS_CONF);
	return online > 0 ? (u32)online : 1;
}

static s64 create(struct skep_object *o, const struct map_def *def, const char *name, int inner_fd) {
	union bpf_attr a = {.map_type = def->type,
			    .key_size = def->key_size,
			    .value_size = def->value_size,
			    .max_entries = def->max_entries,
			    .map_flags = def->map_flags,
			    .numa_node = def->numa_node,
			    .map_extra = def->map_extra};
	memcpy(a.map_name, name, MAP_NAME);
	if (def->type == BPF_MAP_TYPE_PERF_EVENT_ARRAY && !a.max_entries)
		a.max_entries = possible_cpus();
	if (inner_fd >= 0)
		a.inner_map_fd = (u32)inner_fd;
	if (o->btf_fd >= 0 && !has_no_btf(def->type)) {
		a.btf_fd = (u32)o->btf_fd, a.btf_key_type_id = def->key_type, a.btf_value_type_id = def->value_type;
	}
	if (def->kernel_value_type)
		a.btf_vmlinux_value_type_id = def->kernel_value_type;
	union bpf_attr copy = a;
	s64 fd = object_bpf(o, BPF_MAP_CREATE, &a);
	if (fd < 0 && (copy.btf_key_type_id || copy.btf_value_type_id)) {
		copy.btf_fd = copy.btf_key_type_id = copy.btf_value_type_id = 0;
		s64 again = object_bpf(o, BPF_MAP_CREATE, &copy);
		fd = again >= 0 ? again : fd;
	}
	return fd;
}

static void inner_name(char *out, const char *name) {
	snprintf(out, MAP_NAME, "%s.inner", name);
}

static s64 create_map(struct skep_map *m) {
	struct skep_object *o = m->object;
	s64 inner = -1;
	if (m->inner) {
		char name[MAP_NAME + 8] = "";
		inner_name(name, m->name);
		inner = create(o, m->inner, name, -1);
		if (inner < 0)
			return inner;
	} else if (m->legacy_inner != NONE) {
		inner = o->maps.at[m->legacy_inner]->fd;
	}
	s64 fd = create(o, &m->def, m->kernel_name, (int)inner);
	if (m->inner)
		object_close_fd(o, (int)inner);
	return fd;
}

/* The usual mistakes, when nobody says more than -EINVAL. */
static const char *map_hint(const struct skep_map *m, s64 err) {
	const struct map_def *d = &m->def;
	const struct abi_map_type *t = abi_map_type(abi_linux(), d->type);
	if (err != -EINVAL || !t)
		return NULL;
	if (!d->max_entries && !(t->flags & MAP_NO_MAX_ENTRIES))
		return "Give it a size: __uint(max_entries, N)";
	if ((t->flags & MAP_INNER) && !m->inner && m->legacy_inner == NONE)
		return "Say what its values are: __array(values, struct { … })";
	if (!d->key_size && t->key != MAP_NONE && t->key != MAP_SPECIAL)
		return "Give it a key: __type(key, T)";
	if (!d->value_size && t->value != MAP_NONE && t->value != MAP_SPECIAL)
		return "Give it a value: __type(value, T)";
	if ((d->key_size && t->key == MAP_NONE) || (d->value_size && t->value == MAP_NONE))
		return "Maps of this type have no key or no value: leave __type out";
	if (t->key < MAP_ANY && d->key_size != t->key)
		return "Its key has another size than maps of this type want";
	if (d->map_flags & ~t->allowed)
		return "It has a flag that maps of this type do not take";
	return NULL;
}

static int refuse_map(struct skep_map *m, s64 err) {
	struct skep_object *o = m->object;
	struct engine_problem problem;
	const struct abi_map_type *t = abi_map_type(abi_linux(), m->def.type);
	const char *said = explain(o, &problem);
	char type[32];
	if (t)
		snprintf(type, sizeof type, "%s", t->name);
	else
		snprintf(type, sizeof type, "type %u", m->def.type);
	const char *hint = said && *problem.suggestion ? problem.suggestion : map_hint(m, err);
	object_error(o, (int)err, hint ? hint : permission_hint(o, err),
		     "map «%s» (%s, key %u bytes, value %u bytes, max_entries %u, flags 0x%x) cannot be created: %s",
		     m->name, type, m->def.key_size, m->def.value_size, m->def.max_entries, m->def.map_flags,
		     said ? said : strerror((int)-err));
	return (int)err;
}

/* An existing map at the pin path, when it is of the same kind. */
static int reuse_pinned(struct skep_map *m) {
	struct skep_object *o = m->object;
	union bpf_attr a = {.pathname = (u64)(uintptr_t)m->pin_path};
	s64 fd = object_bpf(o, BPF_OBJ_GET, &a);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return object_error(o, (int)fd, NULL, "the map pinned at %s cannot be opened: %s", m->pin_path,
				    strerror((int)-fd));
	struct bpf_map_info info = {0};
	union bpf_attr q = {.info = {.bpf_fd = (u32)fd, .info_len = sizeof info, .info = (u64)(uintptr_t)&info}};
	s64 err = object_bpf(o, BPF_OBJ_GET_INFO_BY_FD, &q);
	const struct map_def *d = &m->def;
	if (err || info.type != d->type || info.key_size != d->key_size || info.value_size != d->value_size ||
	    info.max_entries != d->max_entries || info.map_flags != d->map_flags) {
		object_close_fd(o, (int)fd);
		return object_error(o, -EINVAL, "Remove the pin, or give the map another name",
				    "the map pinned at %s differs from the object's map «%s»", m->pin_path, m->name);
	}
	m->fd = (int)fd, m->reused = true;
	return 0;
}

static int pin(struct skep_object *o, int fd, const char *path) {
	union bpf_attr a = {.pathname = (u64)(uintptr_t)path, .bpf_fd = (u32)fd};
	if (fd < 0)
		return -EBADF;
	s64 err = object_bpf(o, BPF_OBJ_PIN, &a);
	struct engine_problem problem;
	const char *said = err ? explain(o, &problem) : NULL;
	return err ? object_error(o, (int)err,
				  err == -EEXIST ? "Take it away with skep prog unpin or skep map unpin, or choose another path"
				                 : permission_hint(o, err),
				  "cannot pin at %s: %s", path, said ? said : strerror((int)-err))
		   : 0;
}

static int update(struct skep_object *o, int map, const void *key, const void *value) {
	union bpf_attr a = {.map_fd = (u32)map, .key = (u64)(uintptr_t)key};
	a.value = (u64)(uintptr_t)value;
	return (int)object_bpf(o, BPF_MAP_UPDATE_ELEM, &a);
}

/* An arena gets its address in user space when it is mapped, and programs are refused before it has one. The contents are
 * copied by a system call, which says so when there are no pages. */
static int fill_arena(struct skep_map *m) {
	struct skep_object *o = m->object;
	u64 size = (u64)m->def.max_entries * PAGE;
	void *want = (void *)(uintptr_t)m->def.map_extra;
	void *at = mmap(want, size, PROT_READ | PROT_WRITE, MAP_SHARED | (want ? MAP_FIXED_NOREPLACE : 0), m->fd, 0);
	int err = at == MAP_FAILED ? -errno : 0;
	if (!err && m->data) {
		struct iovec from = {m->data, m->arena_size}, to = {at, m->arena_size};
		ssize_t n = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
		err = n < 0 ? -errno : n < (ssize_t)m->arena_size ? -EFAULT : 0;
	}
	if (at != MAP_FAILED)
		munmap(at, size);
	if (err)
		object_warn(o, NULL, "arena «%s» cannot be mapped here, its variables stay 0: %s", m->name, strerror(-err));
	return 0;
}

static int fill_data(struct skep_map *m) {
	struct skep_object *o = m->object;
	u32 zero = 0;
	if (m->def.type == BPF_MAP_TYPE_ARENA)
		return m->reused || o->engine ? 0 : fill_arena(m); /* the user engine does not run what uses one */
	if (!m->data || m->reused || m->kind == MAP_STRUCT_OPS)
		return 0;
	int err = update(o, m->fd, &zero, m->data);
	if (!err && (m->kind == MAP_RODATA || m->kind == MAP_KCONFIG)) {
		union bpf_attr a = {.map_fd = (u32)m->fd};
		err = (int)object_bpf(o, BPF_MAP_FREEZE, &a);
	}
	return err ? object_error(o, err, NULL, "the initial contents of section «%s» cannot be stored: %s", m->name,
				  strerror(-err))
		   : 0;
}

static int make_map(struct skep_map *m) {
	struct skep_object *o = m->object;
	int err = m->pin_path ? reuse_pinned(m) : 0;
	if (err || m->reused)
		return err;
	err = m->kind == MAP_STRUCT_OPS ? map_find_ops(m) : 0;
	if (err) {
		m->error = err;
		return o->opts.relaxed_maps ? 0 : err;
	}
	s64 fd = create_map(m);
	if (fd < 0) {
		m->error = (int)fd;
		err = refuse_map(m, fd);
		return o->opts.relaxed_maps && !lacks_room(fd) ? 0 : err;
	}
	m->fd = (int)fd;
	err = fill_data(m);
	return err || !m->pin_path ? err : pin(o, m->fd, m->pin_path);
}

static int fill_slots(struct skep_map *m, bool programs) {
	struct skep_object *o = m->object;
	if (m->fd < 0 || programs != (m->def.type == BPF_MAP_TYPE_PROG_ARRAY))
		return 0;
	for (u32 i = 0; i < m->slots.n; i++) {
		const struct map_slot *s = &m->slots.at[i];
		int fd = programs ? o->programs.at[s->target]->fd : o->maps.at[s->target]->fd;
		if (fd < 0)
			continue; /* not loaded */
		int err = update(o, m->fd, &s->index, &fd);
		/* What the user engine does not run has no slots. The verdict does not need them; who uses the map is told when
		 * he attaches, who calls the program is told here. */
		bool not_run = err == -EOPNOTSUPP && o->engine;
		if (not_run && programs)
			object_warn(o, NULL, "slot %u of map «%s» stays empty: «%s» cannot run in the user engine", s->index, m->name,
				    o->programs.at[s->target]->name);
		if (err && !not_run)
			return object_error(
			    o, err, NULL, "slot %u of map «%s» cannot be set to «%s»: %s", s->index, m->name,
			    programs ? o->programs.at[s->target]->name : o->maps.at[s->target]->name, strerror(-err));
	}
	return 0;
}

/* Maps whose template is another map come after it. */
static int make_maps(struct skep_object *o) {
	int err = 0;
	for (u32 pass = 0; pass < 2; pass++)
		for (u32 i = 0; i < o->maps.n && !err; i++)
			if ((o->maps.at[i]->legacy_inner != NONE) == pass && !o->maps.at[i]->not_made)
				err = make_map(o->maps.at[i]);
	for (u32 i = 0; i < o->maps.n && !err; i++)
		err = fill_slots(o->maps.at[i], false);
	return err;
}

/* ---- the object ---- */

int object_prepare(struct skep_object *o, struct skep_engine *engine) {
	if (o->prepared)
		return 0;
	if (!o->opts.bpf && !engine)
		return -EINVAL;
	o->engine = engine;
	/* Types that were asked for by name are an error of their own, not one of each program. */
	int err = o->opts.btf_path && !object_target_btf(o) ? -EINVAL : 0;
	err = err ? err : object_resolve_externs(o);
	err = err ? err : load_btf(o);
	err = err ? err : make_maps(o);
	if (err)
		object_unload(o);
	o->prepared = !err;
	return err;
}

void object_unload(struct skep_object *o) {
	for (u32 i = 0; i < o->programs.n; i++) {
		object_close_fd(o, o->programs.at[i]->fd);
		o->programs.at[i]->fd = -1;
	}
	for (u32 i = 0; i < o->maps.n; i++) {
		object_close_fd(o, o->maps.at[i]->fd);
		o->maps.at[i]->fd = -1, o->maps.at[i]->reused = false;
	}
	object_close_fd(o, o->btf_fd);
	o->btf_fd = -1, o->prepared = false;
}

int skep_object__load(struct skep_object *o, struct skep_engine *engine) {
	int err = object_prepare(o, engine);
	if (err)
		return err;
	u32 wanted = 0;
	for (u32 i = 0; i < o->programs.n && !err; i++)
		if (o->programs.at[i]->autoload && o->programs.at[i]->fd < 0) {
			wanted++;
			err = program_load(o->programs.at[i]);
		}
	if (!err && !o->programs.n)
		err = object_error(o, -ENOENT,
				   "Give functions a section, as in SEC(\"tracepoint/syscalls/sys_enter_openat\")",
				   "%s has no programs", o->path);
	for (u32 i = 0; i < o->maps.n && !err; i++)
		err = fill_slots(o->maps.at[i], true);
	if (err)
		object_unload(o);
	return err;
}

int skep_program__load(struct skep_program *p, struct skep_engine *engine) {
	int err = object_prepare(p->object, engine);
	return err || p->fd >= 0 ? err : program_load(p);
}
void skep_program__unload(struct skep_program *p) {
	if (p->fd >= 0)
		object_close_fd(p->object, p->fd);
	p->fd = -1;
}
int skep_program__pin(const struct skep_program *p, const char *path) {
	return pin(p->object, p->fd, path);
}
int skep_map__pin(const struct skep_map *m, const char *path) {
	return pin(m->object, m->fd, path);
}
