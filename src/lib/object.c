/* Opening and closing an object, and what can be asked of it: the public functions of skep.h that need no engine.
 *
 * Opening runs the steps of object.h in order; any of them may refuse, having said why. A file is read, not mapped: one
 * that shrinks under a mapping would be SIGBUS in the host's process. The types that CO-RE relocates against are read
 * when the first relocation asks: from the path that was given, of the kernel when loading there, else those that skep
 * itself stands for. */
#include "abi/types_btf.h"
#include "lib/object.h"
#include "runtime/engine.h"
#include <errno.h>
#include <fcntl.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 30 };

const char *skep_version(void) {
	return "0.1.0";
}

/* Options of a caller that may know fewer or more of them than we do. */
static int copy_opts(struct skep_object_opts *to, const struct skep_object_opts *from) {
	*to = (struct skep_object_opts){0};
	if (!from)
		return 0;
	if (from->size < sizeof from->size)
		return -EINVAL;
	for (size_t i = sizeof *to; i < from->size; i++)
		if (((const u8 *)from)[i])
			return -E2BIG;
	memcpy(to, from, MIN(from->size, sizeof *to));
	return 0;
}

/* The file's name without directory, up to the first dot: data maps are named after it, as libbpf does. */
static const char *base_name(struct skep_object *o, const char *path) {
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	return arena_printf(&o->arena, "%.*s", (int)MIN(strcspn(base, "."), 255u), base);
}

static struct skep_object *new_object(const char *path, const struct skep_object_opts *opts, int *err) {
	struct skep_object *o = calloc(1, sizeof *o);
	if (!o) {
		*err = -ENOMEM;
		return NULL;
	}
	arena_init(&o->arena, 0);
	o->btf_fd = -1;
	*err = copy_opts(&o->opts, opts);
	o->path = arena_printf(&o->arena, "%s", o->opts.name ? o->opts.name : path);
	o->name = base_name(o, o->opts.name ? o->opts.name : path);
	if (!*err && (!o->path || !o->name))
		*err = -ENOMEM;
	if (*err) {
		skep_object__close(o);
		return NULL;
	}
	return o;
}

static int parse(struct skep_object *o, const void *data, u64 size) {
	int err = object_parse_elf(o, data, size);
	err = err ? err : object_find_functions(o);
	err = err ? err : object_parse_btf(o);
	err = err ? err : object_find_maps(o);
	err = err ? err : object_collect_refs(o);
	err = err ? err : object_find_programs(o);
	err = err ? err : object_find_struct_ops(o);
	err = err ? err : object_collect_slots(o);
	return err ? err : object_make_entries(o);
}

static int finish(struct skep_object *o, int err, struct skep_object **out) {
	*out = err ? NULL : o;
	if (err)
		skep_object__close(o);
	return err;
}

int skep_object__open_mem(const void *data, size_t bytes, const struct skep_object_opts *opts,
			  struct skep_object **out) {
	int err;
	struct skep_object *o = new_object(
	    opts && opts->size >= offsetof(struct skep_object_opts, name) + sizeof opts->name && opts->name ? opts->name
													    : "object",
	    opts, &err);
	*out = NULL;
	return o ? finish(o, parse(o, data, bytes), out) : err;
}

static int map_file(struct skep_object *o, const char *path) {
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is refused, not waited for */
	if (fd < 0 || fstat(fd, &st)) {
		int err = -errno;
		if (fd >= 0)
			close(fd);
		return object_error(o, err, NULL, "%s cannot be read: %s", path, strerror(-err));
	}
	int err = 0;
	if (!S_ISREG(st.st_mode))
		err = object_error(o, -EINVAL, "Give an eBPF object file (.o)", "%s is not a file", path);
	else if (st.st_size > FILE_MAX)
		err = object_error(o, -E2BIG, NULL, "%s is larger than 1 GiB", path);
	if (!err && st.st_size) {
		/* A copy: a file that shrinks while it is mapped would be SIGBUS. */
		o->image = malloc((size_t)st.st_size);
		o->image_size = 0;
		while (o->image && o->image_size < (u64)st.st_size) {
			ssize_t n = read(fd, (u8 *)o->image + o->image_size, (size_t)st.st_size - o->image_size);
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				break;
			o->image_size += (u64)n;
		}
		err = o->image ? 0 : out_of_memory(o);
	}
	close(fd);
	return err;
}

int skep_object__open_file(const char *path, const struct skep_object_opts *opts, struct skep_object **out) {
	int err;
	struct skep_object *o = new_object(path, opts, &err);
	*out = NULL;
	if (!o)
		return err;
	err = map_file(o, path);
	return finish(o, err ? err : parse(o, o->image, o->image_size), out);
}

void skep_object__close(struct skep_object *o) {
	if (!o)
		return;
	object_unload(o);
	for (u32 i = 0; i < o->functions.n; i++) {
		struct function *f = &o->functions.at[i];
		vec_free(&f->refs);
		vec_free(&f->func_info);
		vec_free(&f->line_info);
		vec_free(&f->core);
		vec_free(&f->poisoned);
	}
	for (u32 i = 0; i < o->maps.n; i++)
		vec_free(&o->maps.at[i]->slots);
	vec_free(&o->sections);
	vec_free(&o->symbols);
	vec_free(&o->functions);
	vec_free(&o->externs);
	vec_free(&o->maps);
	vec_free(&o->programs);
	btf_core_free(o->core);
	btf_ext_free(o->ext);
	btf_put(o->btf);
	btf_put(o->target);
	if (o->elf)
		elf_end(o->elf);
	free(o->image);
	arena_free(&o->arena);
	free(o);
}

/* Types that CO-RE relocates against, read when first needed. A path may name a raw BTF file or an ELF file with one.
 */
static int read_elf_btf(struct skep_object *o, const char *path, struct btf_log *log, struct btf **out) {
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = -EINVAL;
	Elf *elf = fd >= 0 && elf_version(EV_CURRENT) != EV_NONE ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
	size_t names = 0;
	if (elf && elf_kind(elf) == ELF_K_ELF && !elf_getshdrstrndx(elf, &names))
		for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
			Elf64_Shdr *h = elf64_getshdr(scn);
			const char *name = h ? elf_strptr(elf, names, h->sh_name) : NULL;
			Elf_Data *d = name && !strcmp(name, ".BTF") ? elf_rawdata(scn, NULL) : NULL;
			if (d && d->d_buf) {
				err = btf_parse(d->d_buf, d->d_size, NULL, 0, log, out);
				break;
			}
		}
	if (elf)
		elf_end(elf);
	if (fd >= 0)
		close(fd);
	return err;
}

const struct btf *object_target_btf(struct skep_object *o) {
	struct btf_log log = {0};
	struct btf *btf = NULL;
	const char *path = o->opts.btf_path;
	int err;
	if (o->target)
		return o->target;
	if (!path && !object_is_kernel(o) && o->engine)
		return o->target = btf_get(engine_kernel_btf(o->engine));
	if (!path && !object_is_kernel(o))
		err = btf_parse(skep_btf_data, skep_btf_size, NULL, 0, &log, &btf);
	else
		err = btf_read_file(path, NULL, 0, &log, &btf);
	if (err && path)
		err = read_elf_btf(o, path, &log, &btf) ? err : 0;
	if (err)
		object_error(o, err,
		             path ? "Give raw BTF or an ELF file with a .BTF section: /sys/kernel/btf/vmlinux of a machine is one"
		                  : "Give some with --btf FILE: /sys/kernel/btf/vmlinux of a machine has them",
		             "the types of %s cannot be read: %s", path ? path : object_target_name(o),
		             *log.error ? log.error : strerror(-err));
	return o->target = btf;
}

const struct btf *object_ids_btf(struct skep_object *o) {
	return o->engine ? engine_kernel_btf(o->engine) : object_target_btf(o);
}

struct skep_program *skep_object__next_program(const struct skep_object *o, const struct skep_program *prev) {
	u32 i = prev ? o->functions.at[prev->function].program + 1 : 0;
	return i < o->programs.n ? o->programs.at[i] : NULL;
}
struct skep_map *skep_object__next_map(const struct skep_object *o, const struct skep_map *prev) {
	u32 i = 0;
	while (prev && i < o->maps.n && o->maps.at[i] != prev)
		i++;
	i += prev != NULL;
	return i < o->maps.n ? o->maps.at[i] : NULL;
}
struct skep_program *skep_object__find_program(const struct skep_object *o, const char *name) {
	for (u32 i = 0; i < o->programs.n; i++)
		if (!strcmp(o->programs.at[i]->name, name))
			return o->programs.at[i];
	return NULL;
}
struct skep_map *skep_object__find_map(const struct skep_object *o, const char *name) {
	for (u32 i = 0; i < o->maps.n; i++)
		if (!strcmp(o->maps.at[i]->name, name) || !strcmp(o->maps.at[i]->kernel_name, name))
			return o->maps.at[i];
	/* Data by section: «.bss» for «count.bss». */
	for (u32 i = 0; i < o->maps.n && *name == '.'; i++) {
		const char *have = o->maps.at[i]->name, *dot = strchr(have, '.');
		if (o->maps.at[i]->kind != MAP_DEFINED && dot && !strcmp(dot, name))
			return o->maps.at[i];
	}
	return NULL;
}
const struct btf *skep_object__btf(const struct skep_object *o) {
	return o->btf;
}

const char *skep_program__name(const struct skep_program *p) {
	return p->name;
}
const char *skep_program__section(const struct skep_program *p) {
	return p->section;
}
uint32_t skep_program__type(const struct skep_program *p) {
	return p->type;
}
uint32_t skep_program__expected_attach_type(const struct skep_program *p) {
	return p->attach_type;
}
int skep_program__set_type(struct skep_program *p, uint32_t type, uint32_t expected_attach_type) {
	if (p->fd >= 0)
		return -EBUSY;
	p->type = type, p->attach_type = expected_attach_type;
	return 0;
}
bool skep_program__autoload(const struct skep_program *p) {
	return p->autoload;
}
int skep_program__set_autoload(struct skep_program *p, bool autoload) {
	if (p->object->prepared)
		return -EBUSY;
	p->autoload = autoload;
	return 0;
}
int skep_program__fd(const struct skep_program *p) {
	return p->fd >= 0 ? p->fd : -EBADF;
}
const void *skep_program__insns(const struct skep_program *p, size_t *count) {
	struct skep_program *own = (struct skep_program *)p;
	if (!p->linked && program_link(own)) {
		*count = 0;
		return NULL;
	}
	*count = p->n;
	return p->insns;
}

const char *skep_map__name(const struct skep_map *m) {
	return m->name;
}
int skep_map__fd(const struct skep_map *m) {
	return m->fd >= 0 ? m->fd : -EBADF;
}
uint32_t skep_map__type(const struct skep_map *m) {
	return m->def.type;
}
uint32_t skep_map__key_size(const struct skep_map *m) {
	return m->def.key_size;
}
uint32_t skep_map__value_size(const struct skep_map *m) {
	return m->def.value_size;
}
uint32_t skep_map__max_entries(const struct skep_map *m) {
	return m->def.max_entries;
}
uint32_t skep_map__flags(const struct skep_map *m) {
	return m->def.map_flags;
}
uint32_t skep_map__key_type(const struct skep_map *m) {
	return m->def.key_type;
}
uint32_t skep_map__value_type(const struct skep_map *m) {
	return m->def.value_type;
}
bool skep_map__is_internal(const struct skep_map *m) {
	return m->kind != MAP_DEFINED && m->kind != MAP_STRUCT_OPS;
}
