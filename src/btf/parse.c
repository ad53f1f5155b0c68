/* From a blob to a struct btf, in steps that each rely on the one before:
 *
 *	header        lengths inside the blob; the kernel wants both sections to fill it
 *	strings       end with NUL, begin with one
 *	check_meta    BTF_STRICT: the kernel's rules for each type, with its log
 *	index         where each type lies, by id
 *	check_types   BTF_STRICT: the kernel's rules for references
 *	references    ids and string offsets exist (resolve.c)
 *	resolve       what lies behind modifiers, sizes, alignment; nothing contains itself
 *	decl tags     sorted by what they tag
 *
 * The blob is copied, aligned, because headers may have any length. Everything is freed by the last btf_put. */
#include "btf/parse.h"
#include "base/vec.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct btf_type btf_void;

const char *btf_kind_name(u32 kind) {
	static const char *const names[NR_BTF_KINDS] = {
	    "UNKNOWN", "INT",     "PTR",      "ARRAY",    "STRUCT",   "UNION",  "ENUM",
	    "FWD",     "TYPEDEF", "VOLATILE", "CONST",    "RESTRICT", "FUNC",   "FUNC_PROTO",
	    "VAR",     "DATASEC", "FLOAT",    "DECL_TAG", "TYPE_TAG", "ENUM64",
	};
	return kind < NR_BTF_KINDS ? names[kind] : "UNKNOWN";
}

static void log_text(struct btf_log *log, bool is_error, const char *fmt, va_list ap) {
	if (!log || (!is_error && !(log->write && log->level)))
		return;
	char text[512];
	vsnprintf(text, sizeof text, fmt, ap);
	if (is_error) {
		snprintf(log->error, sizeof log->error, "%.*s", (int)sizeof log->error - 1, text);
		log->error[strcspn(log->error, "\n")] = 0;
	}
	if (log->write && log->level)
		log->write(log->owner, text);
}
void btf_logf(struct btf_log *log, const char *fmt, ...) {
	va_list ap;
	va_start(ap, fmt);
	log_text(log, false, fmt, ap);
	va_end(ap);
}
void btf_errorf(struct btf_log *log, const char *fmt, ...) {
	va_list ap;
	va_start(ap, fmt);
	log_text(log, true, fmt, ap);
	va_end(ap);
}

/* The kernel wants the two sections to fill the blob, types and strings in either order; a loader takes any that lie
 * inside. */
static int check_sections(const struct btf_header *h, u32 room, bool strict, struct btf_log *log) {
	struct {
		u32 off, len;
	} a = {h->type_off, h->type_len}, b = {h->str_off, h->str_len}, swap;
	if (!strict) {
		if (a.off > room || a.len > room - a.off || b.off > room || b.len > room - b.off)
			return btf_errorf(log, "Total section length too long"), -EINVAL;
		return 0;
	}
	/* Unsigned wrap-around in the comparison is the kernel's. */
	if ((s32)(a.off - b.off) > 0 || (a.off == b.off && (s32)(a.len - b.len) > 0))
		swap = a, a = b, b = swap;
	u32 total = 0;
	for (int i = 0; i < 2; i++) {
		u32 off = i ? b.off : a.off, len = i ? b.len : a.len;
		if (room < off)
			return btf_errorf(log, "Invalid section offset"), -EINVAL;
		if (total < off)
			return btf_errorf(log, "Unsupported section found"), -EINVAL;
		if (total > off)
			return btf_errorf(log, "Section overlap found"), -EINVAL;
		if (room - total < len)
			return btf_errorf(log, "Total section length too long"), -EINVAL;
		total += len;
	}
	if (room != total)
		return btf_errorf(log, "Unsupported section found"), -EINVAL;
	return 0;
}

static int parse_header(const u8 *data, u32 size, bool has_base, bool strict, struct btf_log *log,
			struct btf_header *h) {
	*h = (struct btf_header){0};
	if (size < offsetof(struct btf_header, type_off))
		return btf_errorf(log, "hdr_len not found"), -EINVAL;
	memcpy(h, data, offsetof(struct btf_header, type_off));
	if (size < h->hdr_len)
		return btf_errorf(log, "btf_header not found"), -EINVAL;
	for (u32 i = sizeof *h; i < h->hdr_len; i++)
		if (data[i])
			return btf_errorf(log, "Unsupported btf_header"), -E2BIG;
	struct btf_header full = {0};
	memcpy(&full, data, MIN(h->hdr_len, (u32)sizeof *h));
	*h = full;
	btf_logf(log, "magic: 0x%x\nversion: %u\nflags: 0x%x\nhdr_len: %u\n", h->magic, h->version, h->flags,
		 h->hdr_len);
	btf_logf(log, "type_off: %u\ntype_len: %u\nstr_off: %u\nstr_len: %u\nbtf_total_size: %u\n", h->type_off,
		 h->type_len, h->str_off, h->str_len, size);
	if (h->magic != BTF_MAGIC)
		return btf_errorf(log, "Invalid magic"), -EINVAL;
	if (h->version != BTF_VERSION)
		return btf_errorf(log, "Unsupported version"), -ENOTSUPP;
	if (h->flags)
		return btf_errorf(log, "Unsupported flags"), -ENOTSUPP;
	if (!has_base && size == h->hdr_len)
		return btf_errorf(log, "No data"), -EINVAL;
	return check_sections(h, size - h->hdr_len, strict, log);
}

static int parse_strings(struct btf *btf, const struct btf_header *h, bool strict, struct btf_log *log) {
	const u8 *rest = btf->data + h->hdr_len;
	if (strict && h->hdr_len + (u64)h->str_off + h->str_len != btf->data_size)
		return btf_errorf(log, "String section is not at the end"), -EINVAL;
	btf->strings = (const char *)rest + h->str_off;
	btf->strings_size = h->str_len;
	if (btf->base && !h->str_len)
		return 0;
	if (!h->str_len || h->str_len - 1 > BTF_MAX_NAME_OFFSET || btf->strings[h->str_len - 1])
		return btf_errorf(log, "Invalid string section"), -EINVAL;
	if (!btf->base && btf->strings[0])
		return btf_errorf(log, "Invalid string section"), -EINVAL;
	return 0;
}

/* Where each type lies. With BTF_STRICT this has been walked before and cannot fail but for memory. */
static int index_types(struct btf *btf, struct btf_log *log) {
	VEC(u32) at = {0};
	int err = 0;
	u32 guess = btf->types_size / 24;
	if (!vec_reserve(&at, guess))
		return -ENOMEM;
	for (u32 off = 0; off < btf->types_size && !err;) {
		const struct btf_type *t = (const struct btf_type *)(btf->types + off);
		u32 left = btf->types_size - off, id = btf->start + at.n;
		if (left < sizeof *t) {
			btf_errorf(log, "[%u] type is cut short: %u of %zu bytes\n", id, left, sizeof *t);
			err = -EINVAL;
		} else if (btf_kind(t) == BTF_KIND_UNKN || btf_kind(t) > BTF_KIND_MAX) {
			btf_errorf(log, "[%u] Invalid kind:%u\n", id, btf_kind(t));
			err = -EINVAL;
		} else if (left - sizeof *t < btf_type_extra(t)) {
			btf_errorf(log, "[%u] %s is cut short\n", id, btf_kind_name(btf_kind(t)));
			err = -EINVAL;
		} else if (id > BTF_MAX_TYPE) {
			btf_errorf(log, "Exceeded max num of types");
			err = -E2BIG;
		} else {
			u32 *slot = vec_push(&at);
			if (!slot) {
				err = -ENOMEM;
				break;
			}
			*slot = off;
			off += (u32)sizeof *t + btf_type_extra(t);
		}
	}
	btf->type_at = at.at, btf->end = btf->start + at.n;
	return err;
}

static int compare_tags(const void *a, const void *b, void *btf) {
	u32 x = *(const u32 *)a, y = *(const u32 *)b, tx = btf_type(btf, x)->type, ty = btf_type(btf, y)->type;
	return tx != ty ? (tx < ty ? -1 : 1) : x < y ? -1 : x > y;
}
static int index_decl_tags(struct btf *btf) {
	u32 n = 0;
	for (u32 id = btf->start; id < btf->end; id++)
		n += btf_kind(btf_type(btf, id)) == BTF_KIND_DECL_TAG;
	if (!n)
		return 0;
	u32 *tags = malloc(n * sizeof *tags);
	if (!tags)
		return -ENOMEM;
	btf->decl_tags = tags;
	for (u32 id = btf->start; id < btf->end; id++)
		if (btf_kind(btf_type(btf, id)) == BTF_KIND_DECL_TAG)
			tags[btf->decl_tags_n++] = id;
	qsort_r(tags, n, sizeof *tags, compare_tags, btf);
	return 0;
}

static int parse_types(struct btf *btf, const struct btf_header *h, bool strict, struct btf_log *log) {
	if (h->type_off & 3)
		return btf_errorf(log, "Unaligned type_off"), -EINVAL;
	if (!btf->base && !h->type_len)
		return btf_errorf(log, "No type found"), -EINVAL;
	btf->types = btf->data + h->hdr_len + h->type_off;
	btf->types_size = h->type_len;
	int err = strict ? btf_check_meta(btf, log) : 0;
	err = err ? err : index_types(btf, log);
	err = err || !strict ? err : btf_check_types(btf, log);
	err = err ? err : btf_check_references(btf, log);
	err = err ? err : btf_resolve_all(btf, log);
	err = err ? err : index_decl_tags(btf);
	return err || !strict ? err : btf_check_objects(btf, log);
}

int btf_parse(const void *data, u64 size, const struct btf *base, u32 flags, struct btf_log *log, struct btf **out) {
	bool strict = flags & BTF_STRICT;
	*out = NULL;
	if (log)
		log->error[0] = 0;
	if (size > (strict ? BTF_MAX_SIZE : 16 * (u64)BTF_MAX_SIZE))
		return btf_errorf(log, "BTF of %llu bytes is too large\n", (unsigned long long)size), -E2BIG;
	struct btf_header h;
	int err = parse_header(data, (u32)size, base, strict, log, &h);
	if (err)
		return err;
	/* The types must be aligned in memory whatever the length of the header. */
	u32 pad = -h.hdr_len & 3;
	struct btf *btf = calloc(1, sizeof *btf);
	u8 *copy = malloc(size + pad);
	if (!btf || !copy) {
		free(btf), free(copy);
		return -ENOMEM;
	}
	memcpy(copy + pad, data, size);
	btf->refs = 1, btf->allocation = copy, btf->data = copy + pad, btf->data_size = (u32)size;
	btf->base = base ? btf_get(base) : NULL;
	btf->start = btf->end = base ? base->end : 1;
	btf->strings_start = base ? base->strings_start + base->strings_size : 0;
	err = parse_strings(btf, &h, strict, log);
	err = err ? err : parse_types(btf, &h, strict, log);
	if (err) {
		btf_put(btf);
		return err;
	}
	*out = btf;
	return 0;
}

const struct btf *btf_get(const struct btf *btf) {
	__atomic_fetch_add(&((struct btf *)btf)->refs, 1, __ATOMIC_RELAXED);
	return btf;
}
void btf_put(const struct btf *shared) {
	struct btf *btf = (struct btf *)shared;
	while (btf && __atomic_fetch_sub(&btf->refs, 1, __ATOMIC_ACQ_REL) == 1) {
		struct btf *base = (struct btf *)btf->base;
		free(btf->allocation);
		free((void *)btf->type_at), free((void *)btf->resolved), free((void *)btf->align);
		free((void *)btf->decl_tags);
		btf_names_free(btf->names);
		free(btf);
		btf = base;
	}
}

int btf_read_file(const char *path, const struct btf *base, u32 flags, struct btf_log *log, struct btf **out) {
	*out = NULL;
	int fd = open(path ? path : "/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	VEC(u8) data = {0};
	struct stat st;
	int err = 0;
	bool sized = !fstat(fd, &st) && st.st_size > 0 && st.st_size < BTF_MAX_SIZE; /* a byte more shows the end */
	for (u32 more = sized ? (u32)st.st_size + 1 : 64 << 10;;) {
		if (data.n > 16 * (u64)BTF_MAX_SIZE || !vec_reserve(&data, more)) {
			err = data.n > 16 * (u64)BTF_MAX_SIZE ? -EFBIG : -ENOMEM;
			break;
		}
		ssize_t n = read(fd, data.at + data.n, data.room - data.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n ? -errno : 0;
			break;
		}
		data.n += (u32)n;
		more = data.n == data.room ? data.room : 1;
	}
	close(fd);
	err = err ? err : btf_parse(data.at, data.n, base, flags, log, out);
	vec_free(&data);
	return err;
}
