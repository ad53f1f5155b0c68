/* BTF: the types that a program, a map or a kernel carries. One struct btf is one blob, checked once and never changed.
 *
 *      type id:  0     1 … base->end-1        start … end-1
 *              void    types of the base      own types: type_at[id - start] is where each lies in the blob
 *
 * A split BTF continues the ids and the string offsets of its base. Ids from outside go through btf_type(), which
 * answers NULL for one that does not exist; ids and offsets that stand inside a parsed BTF exist, so code that follows
 * them needs no checks. What btf_parse has made sure of, in both modes:
 *   - every type id, string offset and vlen is inside; strings end;
 *   - no type contains itself by value, no chain of modifiers is a ring; sizes fit 32 bits;
 *   - members lie inside their struct; array indexes are sized; FUNC names a FUNC_PROTO; a DECL_TAG's component exists;
 *   - DATASEC entries are VARs or FUNCs.
 * Without BTF_STRICT this is all: it is what a compiler emits and a loader still has to fix up. With BTF_STRICT the
 * kernel's own rules hold as well (names, order, linkage, depth), with the kernel's log.
 *
 * Thread safety: everything takes const; the name index is built at first use and published atomically. */
#ifndef SKEP_BTF_H
#define SKEP_BTF_H
#include "btf/format.h"

struct btf_names;
struct btf_resolved {
	u32 id;   /* the type behind modifiers and typedefs; of a VAR behind its type; of anything else itself */
	u32 size; /* bytes, BTF_NO_SIZE for what has none */
};
enum { BTF_NO_SIZE = 0xffffffff };

struct btf {
	const struct btf *base; /* NULL, or held by a reference */
	u32 start, end;         /* own ids; start is 1 without a base */
	const u8 *types;        /* type section */
	u32 types_size;
	const u32 *type_at;
	const struct btf_resolved *resolved; /* by id - start */
	const u8 *align;                     /* bytes, 0 for what has no size */
	const char *strings;
	u32 strings_start, strings_size; /* string offset of strings[0]; bytes */
	const u32 *decl_tags;            /* ids of own DECL_TAGs, sorted by the type they tag, then by id */
	u32 decl_tags_n;
	struct btf_names *names; /* NULL until somebody looks up a name */
	u8 *data;                /* the blob */
	void *allocation;        /* what holds it, owned */
	u32 data_size;
	u32 refs;
};

/* Where the log of BTF_LOAD goes: pieces of text as the kernel would write them. error always gets the line that says
 * why a BTF was refused. Zeroed by the caller. */
struct btf_log {
	void (*write)(void *owner, const char *text); /* NULL: only error is kept */
	void *owner;
	u32 level;
	char error[240];
};

enum { BTF_STRICT = 1 };
/* 0, or as BTF_LOAD: -EINVAL, -E2BIG, -ENOTSUPP (524), -ENOMEM … log may be NULL. The result is btf_put by the caller.
 * data is copied. */
int btf_parse(const void *data, u64 size, const struct btf *base, u32 flags, struct btf_log *log, struct btf **out);
/* Reads a raw BTF file; path NULL is the running kernel's, /sys/kernel/btf/vmlinux. */
int btf_read_file(const char *path, const struct btf *base, u32 flags, struct btf_log *log, struct btf **out);
const struct btf *btf_get(const struct btf *btf);
void btf_put(const struct btf *btf);

extern const struct btf_type btf_void;

/* Number of ids: valid ones are 0 … n-1. */
static inline u32 btf_types_n(const struct btf *btf) {
	return btf->end;
}
/* The type with this id, or NULL. */
static inline const struct btf_type *btf_type(const struct btf *btf, u32 id) {
	if (unlikely(id >= btf->end))
		return NULL;
	if (unlikely(!id))
		return &btf_void;
	while (id < btf->start)
		btf = btf->base;
	return (const struct btf_type *)(btf->types + btf->type_at[id - btf->start]);
}
/* A string by offset: "" for 0; NULL for an offset outside. */
static inline const char *btf_string(const struct btf *btf, u32 off) {
	while (off < btf->strings_start)
		btf = btf->base;
	off -= btf->strings_start;
	return off < btf->strings_size ? btf->strings + off : NULL;
}
/* Name of a type of this BTF, never NULL; "" without. */
static inline const char *btf_name(const struct btf *btf, const struct btf_type *t) {
	return btf_string(btf, t->name_off);
}
static inline const char *btf_name_of(const struct btf *btf, u32 id) {
	const struct btf_type *t = btf_type(btf, id);
	return t ? btf_string(btf, t->name_off) : "";
}
/* Both for ids that exist. */
static inline struct btf_resolved btf_resolved_of(const struct btf *btf, u32 id) {
	if (unlikely(!id))
		return (struct btf_resolved){0, BTF_NO_SIZE};
	while (id < btf->start)
		btf = btf->base;
	return btf->resolved[id - btf->start];
}
/* The id, or type, behind const, volatile, restrict, type tags and typedefs. */
static inline u32 btf_skip_modifiers(const struct btf *btf, u32 id) {
	return btf_resolved_of(btf, id).id;
}
static inline const struct btf_type *btf_skip_type(const struct btf *btf, u32 id) {
	return btf_type(btf, btf_skip_modifiers(btf, id));
}
/* Bytes of a value of this type, or -EINVAL for void, functions, forward declarations. */
s64 btf_size(const struct btf *btf, u32 id);
/* Natural alignment in bytes as a C compiler would choose (a packed struct is 1), or 0 for what has no size. */
u32 btf_align(const struct btf *btf, u32 id);

const char *btf_kind_name(u32 kind); /* "STRUCT" */

/* First type with that name and kind (BTF_KIND_UNKN: any kind), the base's first; 0 = none. */
u32 btf_find(const struct btf *btf, const char *name, u32 kind);
/* Every type whose name, less a flavour suffix (`___x`), is the first len bytes of name, in ascending order of ids per
 * BTF: start with *cursor = 0; returns 0 at the end. */
u32 btf_next_named(const struct btf *btf, const char *name, u32 len, u64 *cursor);
/* Bytes of the name without its flavour suffix: task_struct___old → 11. */
u32 btf_essential_len(const char *name);
/* The name nearest to a mistyped one among types of a kind (BTF_KIND_UNKN: all), or NULL when none is near. */
const char *btf_nearest_name(const struct btf *btf, const char *name, u32 kind);

/* Edits (insert, delete, replace) from a to b: at most limit + 1, which also stands for names over 64 characters. */
u32 btf_name_distance(const char *a, const char *b, u32 limit);

/* Declaration tags of one type: component -1 the type itself, else the index of a member or parameter; prefix may be
 * "". Returns the next tag's id after `after` (0: first), and the rest of its text behind the prefix; 0 at the end. */
u32 btf_decl_tag_next(const struct btf *btf, u32 target, s32 component, const char *prefix, u32 after,
		      const char **rest);

/* Index of the member with that name, -1 if none; anonymous members are not entered. */
s32 btf_member_index(const struct btf *btf, const struct btf_type *t, const char *name);
/* Value of the enumerator with that name in this enum; false if none. */
bool btf_enum_value(const struct btf *btf, const struct btf_type *t, const char *name, u64 *value);
/* Name of a value in an ENUM or ENUM64, or NULL. */
const char *btf_enum_name(const struct btf *btf, const struct btf_type *t, u64 value);

/* Which member, through any depth of structs, unions and arrays, an access of size bytes at off touches: what the
 * verifier asks of a BTF pointer. 0; -EINVAL: not a struct, or nothing is there (name NULL); -EACCES: outside the
 * struct (beyond), part of a pointer, or past the end of a member. */
enum btf_walk { BTF_WALK_SCALAR, BTF_WALK_PTR, BTF_WALK_STRUCT, BTF_WALK_MEM };
struct btf_access {
	enum btf_walk kind; /* PTR: a pointer to a struct or union; MEM: a pointer to anything else */
	u32 type_id;    /* PTR, MEM: the pointer's type; STRUCT: the struct hit exactly; SCALAR: the innermost type */
	u32 pointee_id; /* PTR, MEM: what it points to, behind its modifiers */
	u32 struct_id;  /* innermost struct or union that holds the member */
	u32 off;        /* of the access within struct_id */
	u32 member;     /* index in struct_id */
	u32 member_off, member_end; /* bytes in struct_id; in an array the element's start and the array's end */
	/* a union of several members, or an array of unknown length, was entered: a pointer from there is untrusted */
	bool in_union;
	bool beyond;
	const char *tag;  /* PTR: the type tag (user, rcu, percpu …), or NULL */
	const char *name; /* of the member, "" when anonymous */
};
int btf_walk(const struct btf *btf, u32 struct_id, u32 off, u32 size, struct btf_access *out);
/* The same, and on into structs that begin there: what a load gives. Never ends at a STRUCT. */
int btf_walk_through(const struct btf *btf, u32 struct_id, u32 off, u32 size, struct btf_access *out);

/* Special fields of a map value or of an object that a program allocates. -1 or 0 where there is none. 0, or negative
 * errno (misplaced, twice, roots without a lock …) with a sentence. */
enum btf_field_kind {
	BTF_FIELD_STRUCT,         /* a structure of the kernel's that is none of those below */
	BTF_FIELD_KPTR_UNTRUSTED, /* pointers, by their tag: kptr_untrusted */
	BTF_FIELD_KPTR,           /* kptr: holds a reference */
	BTF_FIELD_KPTR_PERCPU,    /* percpu_kptr */
	BTF_FIELD_UPTR,           /* uptr */
	BTF_FIELD_LIST_HEAD,      /* roots of lists and trees, whose nodes lie in objects of one type */
	BTF_FIELD_RB_ROOT,
	BTF_FIELD_LIST_NODE,
	BTF_FIELD_RB_NODE,
	BTF_FIELD_REFCOUNT,
};
struct btf_field {
	u32 off, size, kind;
	u32 type_id;      /* pointers: of what they point to; roots: of the objects that they hold */
	u32 node_off;     /* roots: where in the object its node lies */
	const char *name; /* as the kernel calls the field */
};
enum { BTF_FIELDS_MAX = 11 };
struct btf_fields {
	s32 spin_lock, timer, workqueue;
	u32 kptrs; /* kptrs, list heads and nodes, rb roots and nodes, refcounts: everything else that is special */
	u32 n;     /* all of them, by offset */
	u32 kinds; /* 1 << kind of each */
	struct btf_field list[BTF_FIELDS_MAX];
};
/* Where the field of that name is, which a value has once; -1: nowhere. */
s32 btf_field_off(const struct btf_fields *fields, const char *name);
int btf_find_fields(const struct btf *btf, u32 value_id, struct btf_fields *out, const char **why);
/* The same of a structure that programs may allocate; n is 0 for one without special members. */
int btf_object_fields(const struct btf *btf, u32 struct_id, struct btf_fields *out, const char **why);
/* What the roots among the fields hold, and pointers to users' memory: 0, -EFAULT (no objects), -ELOOP (what holds objects
 * itself), -EINVAL or -E2BIG (no size, or more than a page). */
int btf_check_held(const struct btf *btf, const struct btf_fields *fields);
/* What BTF_LOAD wants of all structures with special members. */
int btf_check_objects(const struct btf *btf, struct btf_log *log);

static inline bool btf_field_is_pointer(const struct btf_field *f) {
	return f->kind >= BTF_FIELD_KPTR_UNTRUSTED && f->kind <= BTF_FIELD_UPTR;
}
static inline bool btf_field_is_root(const struct btf_field *f) {
	return f->kind == BTF_FIELD_LIST_HEAD || f->kind == BTF_FIELD_RB_ROOT;
}
/* The field of that kind at off, or NULL; off -1: the first of that kind. */
static inline const struct btf_field *btf_field_at(const struct btf_fields *fields, u32 kind, s64 off) {
	for (u32 i = 0; i < fields->n; i++)
		if (fields->list[i].kind == kind && (off < 0 || fields->list[i].off == off))
			return &fields->list[i];
	return NULL;
}
#endif
