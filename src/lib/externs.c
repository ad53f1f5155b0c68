/* Extern variables and functions: values of the kernel's configuration (section .kconfig) and symbols of the kernel
 * (section .ksyms).
 *
 *	symbol table ──► externs, described by the object's BTF        (when opening; .kconfig is laid out here)
 *	configuration text, uname ──► bytes of the .kconfig map        (when loading)
 *	target BTF, kallsyms ──► type ids and addresses for .ksyms
 *
 * Values are laid out by alignment, then size, then name, as libbpf does. A weak extern that is absent is 0, NULL, or a
 * call that the verifier refuses when it is reached; any other one ends the loading with the nearest name there is. */
#include "lib/object.h"
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <zlib.h>

static u32 kconfig_kind(const struct btf *btf, u32 id, bool *is_signed) {
	const struct btf_type *t = btf_skip_type(btf, id);
	*is_signed = false;
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		if (BTF_INT_ENCODING(btf_int_data(t)) & BTF_INT_BOOL)
			return t->size == 1 ? KCONFIG_BOOL : KCONFIG_UNKNOWN;
		*is_signed = BTF_INT_ENCODING(btf_int_data(t)) & BTF_INT_SIGNED;
		return t->size == 1                               ? KCONFIG_CHAR
		       : t->size <= 8 && is_power_of_two(t->size) ? KCONFIG_INT
								  : KCONFIG_UNKNOWN;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return t->size == 4 && !strcmp(btf_name(btf, t), "libbpf_tristate") ? KCONFIG_TRISTATE
										    : KCONFIG_UNKNOWN;
	case BTF_KIND_ARRAY: {
		bool ignored;
		return btf_array(t)->nelems && kconfig_kind(btf, btf_array(t)->type, &ignored) == KCONFIG_CHAR
			   ? KCONFIG_CHARS
			   : KCONFIG_UNKNOWN;
	}
	}
	return KCONFIG_UNKNOWN;
}

static int by_layout(const void *a, const void *b) {
	const struct extern_ *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->kind == EXTERN_KCONFIG) {
		if (x->kconfig.align != y->kconfig.align)
			return x->kconfig.align > y->kconfig.align ? -1 : 1;
		if (x->kconfig.size != y->kconfig.size)
			return x->kconfig.size < y->kconfig.size ? -1 : 1;
	}
	int order = strcmp(x->name, y->name);
	return order ? order : x->symbol < y->symbol ? -1 : x->symbol > y->symbol;
}

/* Which of .kconfig and .ksyms lists an extern: entry by type id. */
struct owners {
	const struct btf *btf;
	u32 *section; /* DATASEC by type id */
};
static bool find_owners(struct owners *w, const struct btf *btf) {
	*w = (struct owners){btf, calloc(btf->end, sizeof(u32))};
	for (u32 id = 1; id < btf->end && w->section; id++) {
		const struct btf_type *t = btf_type(btf, id);
		for (u32 i = 0; btf_kind(t) == BTF_KIND_DATASEC && i < btf_vlen(t); i++)
			w->section[btf_var_secinfos(t)[i].type] = id;
	}
	return w->section;
}

static int describe_extern(struct skep_object *o, const struct btf *btf, const struct owners *w, struct extern_ *e) {
	e->btf_id = btf_find(btf, e->name, BTF_KIND_VAR);
	if (!e->btf_id)
		e->btf_id = btf_find(btf, e->name, BTF_KIND_FUNC);
	e->section_btf_id = e->btf_id ? w->section[e->btf_id] : 0;
	const struct btf_type *t = btf_type(btf, e->btf_id);
	if (!e->section_btf_id)
		return object_error(o, -EINVAL,
				    "Declare it in a section: extern … __kconfig; or extern … __ksym; (weak: __weak)",
				    "%s: «%s» is used but defined nowhere", o->path, e->name);
	const char *section = btf_name_of(btf, e->section_btf_id);
	if (!strcmp(section, ".ksyms")) {
		e->kind = EXTERN_KSYM;
		e->ksym.type_id = btf_kind(t) == BTF_KIND_FUNC ? t->type : btf_skip_modifiers(btf, t->type);
		return 0;
	}
	if (strcmp(section, ".kconfig") || btf_kind(t) == BTF_KIND_FUNC)
		return object_error(
		    o, -ENOTSUP, "Extern variables go to .kconfig or .ksyms, extern functions to .ksyms",
		    "%s: «%s» is extern in section «%s», which is not known", o->path, e->name, section);
	e->kind = EXTERN_KCONFIG;
	s64 size = btf_size(btf, t->type);
	e->kconfig.kind = kconfig_kind(btf, t->type, &e->kconfig.is_signed);
	if (size <= 0 || size > 1 << 20 || e->kconfig.kind == KCONFIG_UNKNOWN)
		return object_error(o, -ENOTSUP, "Use an integer, bool, char array or enum libbpf_tristate",
				    "%s: the type of the configuration value «%s» is not supported", o->path, e->name);
	e->kconfig.size = (u32)size, e->kconfig.align = MAX(btf_align(btf, t->type), 1u);
	return 0;
}

int object_collect_externs(struct skep_object *o, const struct btf *btf) {
	struct owners w = {0};
	int err = 0;
	for (u32 i = 1; i < o->symbols.n && !err; i++) {
		const struct symbol *s = &o->symbols.at[i];
		if (s->section != SHN_UNDEF || s->bind == STB_LOCAL || s->type != STT_NOTYPE || !*s->name)
			continue;
		if (!w.section && !find_owners(&w, btf))
			return out_of_memory(o);
		struct extern_ *e = vec_push(&o->externs);
		if (!e) {
			err = out_of_memory(o);
			break;
		}
		e->name = s->name, e->symbol = i, e->weak = s->bind == STB_WEAK;
		err = describe_extern(o, btf, &w, e);
	}
	free(w.section);
	if (err || !o->externs.n)
		return err;
	qsort(o->externs.at, o->externs.n, sizeof *o->externs.at, by_layout);
	u64 off = 0;
	for (u32 i = 0; i < o->externs.n; i++) {
		struct extern_ *e = &o->externs.at[i];
		o->symbols.at[e->symbol].extern_ = i;
		if (e->kind != EXTERN_KCONFIG)
			continue;
		off = (off + e->kconfig.align - 1) / e->kconfig.align * e->kconfig.align;
		e->kconfig.off = (u32)off;
		off += e->kconfig.size;
		if (off > 1 << 24)
			return object_error(o, -E2BIG, NULL, "%s: its configuration values take more than 16 MiB",
					    o->path);
	}
	return 0;
}

/* ---- values of the configuration ---- */

static int set_number(struct skep_object *o, struct extern_ *e, u8 *to, u64 v, bool negative) {
	u32 bits = e->kconfig.size * 8;
	bool fits =
	    bits == 64 || (e->kconfig.is_signed ? (u64)(v + (1ull << (bits - 1))) < 1ull << bits : v < 1ull << bits);
	if (negative && !e->kconfig.is_signed)
		fits = false;
	if (!fits)
		return object_error(o, -ERANGE, "Declare it with a wider type",
				    "%s: the configuration value of «%s» does not fit its type", o->path, e->name);
	memcpy(to, &v, e->kconfig.size); /* little-endian */
	e->set = true;
	return 0;
}

static int wrong_value(struct skep_object *o, struct extern_ *e, const char *value) {
	return object_error(o, -EINVAL, "Declare it with the type that the configuration has",
			    "%s: the configuration says %s=%.40s, which is not of the type of the extern variable",
			    o->path, e->name, value);
}

/* value: what follows the equals sign: y n m "text" 123 0x7b. */
static int set_value(struct skep_object *o, struct extern_ *e, u8 *data, const char *value) {
	u8 *to = data + e->kconfig.off;
	u64 len = strlen(value);
	char *end;
	if (len == 1 && strchr("ynm", *value)) {
		bool yes = *value == 'y', module = *value == 'm';
		switch (e->kconfig.kind) {
		case KCONFIG_BOOL:
			if (module)
				return wrong_value(o, e, value);
			*to = yes;
			break;
		case KCONFIG_CHAR:
			*to = (u8)*value;
			break;
		case KCONFIG_TRISTATE:
			*(u32 *)memset(to, 0, 4) = yes ? 1 : module ? 2 : 0;
			break;
		default:
			return wrong_value(o, e, value);
		}
		e->set = true;
		return 0;
	}
	if (*value == '"') {
		if (e->kconfig.kind != KCONFIG_CHARS || len < 2 || value[len - 1] != '"')
			return wrong_value(o, e, value);
		u64 n = MIN(len - 2, (u64)e->kconfig.size - 1);
		memcpy(to, value + 1, n);
		to[n] = 0, e->set = true;
		return 0;
	}
	errno = 0;
	bool negative = *value == '-';
	u64 v = negative ? (u64)strtoll(value, &end, 0) : strtoull(value, &end, 0);
	if (errno || end == value || *end || (e->kconfig.kind != KCONFIG_INT && e->kconfig.kind != KCONFIG_CHAR))
		return wrong_value(o, e, value);
	return set_number(o, e, to, v, negative);
}

static struct extern_ *find_kconfig(struct skep_object *o, const char *name, u64 len) {
	for (u32 i = 0; i < o->externs.n; i++) {
		struct extern_ *e = &o->externs.at[i];
		if (e->kind == EXTERN_KCONFIG && !strncmp(e->name, name, len) && !e->name[len])
			return e;
	}
	return NULL;
}

static int read_config(struct skep_object *o, u8 *data, const char *text) {
	int err = 0;
	for (const char *line = text, *next; *line && !err; line = next) {
		u64 n = strcspn(line, "\n");
		next = line + n + (line[n] != 0);
		const char *equals = memchr(line, '=', n);
		if (strncmp(line, "CONFIG_", 7) || !equals)
			continue;
		struct extern_ *e = find_kconfig(o, line, (u64)(equals - line));
		if (!e || e->set)
			continue;
		char *value = arena_alloc(&o->arena, n + 1);
		if (!value)
			return out_of_memory(o);
		memcpy(value, equals + 1, (u64)(line + n - equals - 1));
		for (u64 end = strlen(value); end && isspace((u8)value[end - 1]); end--)
			value[end - 1] = 0;
		err = set_value(o, e, data, value);
	}
	return err;
}

/* What skep stands for: a kernel of this version with the syscall wrappers and cookies that its hooks have. */
enum { VERSION_MAJOR = 6, VERSION_MINOR = 18 };
static const char own_config[] =
    "CONFIG_BPF=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\nCONFIG_BPF_EVENTS=y\nCONFIG_HZ=250\n"
    "CONFIG_HZ_250=y\nCONFIG_64BIT=y\nCONFIG_X86_64=y\nCONFIG_SMP=y\nCONFIG_NET=y\n"
    "CONFIG_DEBUG_INFO_BTF=y\nCONFIG_CGROUPS=y\nCONFIG_TRACEPOINTS=y\nCONFIG_FTRACE=y\n";

static u32 kernel_version(const struct skep_object *o) {
	u32 major = VERSION_MAJOR, minor = VERSION_MINOR, patch = 0;
	struct utsname u;
	if (object_is_kernel(o) && !uname(&u))
		sscanf(u.release, "%u.%u.%u", &major, &minor, &patch);
	return major << 16 | minor << 8 | MIN(patch, 255u);
}

/* A text file, compressed or not. */
static char *read_text(const char *path) {
	gzFile f = gzopen(path, "re");
	if (!f)
		return NULL;
	VEC(char) text = {0};
	while (vec_reserve(&text, 65536)) {
		int n = gzread(f, text.at + text.n, 65535);
		text.n += (u32)MAX(n, 0);
		if (n <= 0 || text.n > 64 << 20)
			break;
	}
	gzclose(f);
	if (text.at)
		text.at[text.n] = 0;
	return text.at;
}

static int read_system_config(struct skep_object *o, u8 *data) {
	struct utsname u;
	char path[sizeof u.release + 32];
	if (!object_is_kernel(o))
		return read_config(o, data, own_config);
	if (uname(&u))
		return 0;
	snprintf(path, sizeof path, "/boot/config-%s", u.release);
	char *text = read_text(path);
	text = text ? text : read_text("/proc/config.gz");
	int err = text ? read_config(o, data, text) : 0;
	free(text);
	return err;
}

static bool wants(const struct skep_object *o, u32 kind, const char *prefix) {
	for (u32 i = 0; i < o->externs.n; i++)
		if (o->externs.at[i].kind == kind && !strncmp(o->externs.at[i].name, prefix, strlen(prefix)))
			return true;
	return false;
}

static int resolve_kconfig(struct skep_object *o, u8 *data) {
	static const struct {
		const char *name;
		u32 value;
	} fixed[] = {{"LINUX_KERNEL_VERSION", 0}, {"LINUX_HAS_BPF_COOKIE", 1}, {"LINUX_HAS_SYSCALL_WRAPPER", 1}};
	int err = 0;
	for (u32 i = 0; i < ARRAY_SIZE(fixed) && !err; i++) {
		struct extern_ *e = find_kconfig(o, fixed[i].name, strlen(fixed[i].name));
		if (e && e->kconfig.kind == KCONFIG_BOOL)
			data[e->kconfig.off] = 1, e->set = true;
		else if (e)
			err = set_number(o, e, data + e->kconfig.off, i ? fixed[i].value : kernel_version(o), false);
	}
	if (!err && wants(o, EXTERN_KCONFIG, "CONFIG_"))
		err = o->opts.kconfig ? read_config(o, data, o->opts.kconfig) : read_system_config(o, data);
	for (u32 i = 0; i < o->externs.n && !err; i++) {
		const struct extern_ *e = &o->externs.at[i];
		if (e->kind == EXTERN_KCONFIG && !e->set && !e->weak)
			err = object_error(o, -ESRCH, "Declare it __weak, or give a configuration that has it",
					   "%s: the configuration of %s has no «%s»", o->path, object_target_name(o),
					   e->name);
	}
	return err;
}

/* ---- symbols of the kernel ---- */

static int resolve_typed(struct skep_object *o, struct extern_ *e, bool is_function) {
	const struct btf *target = object_ids_btf(o);
	u32 steps = 1000 * 1000;
	if (!target)
		return e->weak ? 0 : -ESRCH;
	char name[256];
	snprintf(name, sizeof name, "%.*s", (int)MIN(btf_essential_len(e->name), 255u), e->name);
	u32 id = btf_find(target, is_function ? name : e->name, is_function ? BTF_KIND_FUNC : BTF_KIND_VAR);
	if (!id && e->weak)
		return 0;
	if (!id) {
		const char *near = btf_nearest_name(target, name, is_function ? BTF_KIND_FUNC : BTF_KIND_VAR);
		char hint[160];
		snprintf(hint, sizeof hint,
			 near ? "Did you mean «%s»? Declare it __weak if it may be absent"
			      : "Declare it __weak if it may be absent",
			 near);
		return object_error(o, -ESRCH, hint, "%s: %s has no %s «%s»", o->path, object_ids_name(o),
				    is_function ? "kernel function" : "kernel variable", name);
	}
	u32 theirs = btf_type(target, id)->type;
	theirs = is_function ? theirs : btf_skip_modifiers(target, theirs);
	if (btf_core_types_compatible(o->btf, e->ksym.type_id, target, theirs, &steps) <= 0) {
		if (e->weak && is_function)
			return 0;
		return object_error(o, -EINVAL, "Take its declaration from vmlinux.h",
				    "%s: «%s» has another type in %s than declared", o->path, e->name,
				    object_ids_name(o));
	}
	e->ksym.target_id = id, e->set = true;
	return 0;
}

static bool is_function(const struct skep_object *o, const struct extern_ *e) {
	return btf_kind(btf_type(o->btf, e->btf_id)) == BTF_KIND_FUNC;
}

/* Addresses of the untyped ones, in one pass over the file; 0 addresses (not permitted) count as found, as for libbpf.
 */
static void resolve_addresses(struct skep_object *o) {
	FILE *f = object_is_kernel(o) ? fopen("/proc/kallsyms", "re") : NULL;
	char line[512], name[400], type;
	unsigned long long address;
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%llx %c %399s", &address, &type, name) != 3)
			continue;
		for (u32 i = 0; i < o->externs.n; i++) {
			struct extern_ *e = &o->externs.at[i];
			if (e->kind == EXTERN_KSYM && !e->ksym.type_id && !e->set && !strcmp(e->name, name))
				e->ksym.address = address, e->set = true;
		}
	}
	if (f)
		fclose(f);
}

static int resolve_ksyms(struct skep_object *o) {
	bool untyped = false;
	int err = 0;
	for (u32 i = 0; i < o->externs.n && !err; i++) {
		struct extern_ *e = &o->externs.at[i];
		if (e->kind != EXTERN_KSYM)
			continue;
		if (!e->ksym.type_id)
			untyped = true;
		else
			err = resolve_typed(o, e, is_function(o, e));
	}
	if (!err && untyped)
		resolve_addresses(o);
	for (u32 i = 0; i < o->externs.n && !err; i++) {
		const struct extern_ *e = &o->externs.at[i];
		if (e->kind == EXTERN_KSYM && !e->ksym.type_id && !e->set && !e->weak)
			err = object_error(o, -ESRCH, "Declare it __weak if it may be absent",
					   "%s: %s has no symbol «%s»", o->path, object_ids_name(o), e->name);
	}
	return err;
}

/* Pointers to a kernel's objects in map values. */
static bool has_kernel_pointers(const struct btf *btf) {
	for (u32 id = 1; btf && id < btf->end; id++) {
		const struct btf_type *t = btf_type(btf, id);
		const char *tag = btf_kind(t) == BTF_KIND_TYPE_TAG ? btf_name(btf, t) : "";
		if (!strcmp(tag, "kptr") || !strcmp(tag, "kptr_untrusted"))
			return true;
	}
	return false;
}

bool skep_object__needs_kernel(const struct skep_object *o) {
	if (has_kernel_pointers(o->btf))
		return true;
	for (u32 i = 0; i < o->maps.n; i++)
		if (o->maps.at[i]->kind == MAP_STRUCT_OPS)
			return true;
	for (u32 i = 0; i < o->externs.n; i++)
		if (o->externs.at[i].kind == EXTERN_KSYM && o->externs.at[i].ksym.type_id)
			return true;
	return false;
}

int object_resolve_externs(struct skep_object *o) {
	u8 *data = NULL;
	for (u32 i = 0; i < o->maps.n; i++)
		if (o->maps.at[i]->kind == MAP_KCONFIG)
			data = o->maps.at[i]->data;
	int err = data ? resolve_kconfig(o, data) : 0;
	return err ? err : resolve_ksyms(o);
}
