/* BTF as it lies in memory: kinds, records, constants, in the kernel's names.
 *
 *	header │ types: { name_off, info, size or type } + records … │ strings, NUL after each
 *
 * Records follow struct btf_type directly: arrays of vlen members, enumerators, parameters or variables, or one fixed
 * record. Type ids count from 1 in the order of the types; 0 is void. String offsets are into the strings, 0 is "".
 * Source: the kernel's Documentation/bpf/btf.rst; the same records go to the kernel in BPF_BTF_LOAD and BPF_PROG_LOAD. */
#ifndef SKEP_BTF_FORMAT_H
#define SKEP_BTF_FORMAT_H
#include "base/base.h"

enum { BTF_MAGIC = 0xeb9f, BTF_VERSION = 1 };
enum {
	BTF_MAX_TYPE = 0x000fffff,
	BTF_MAX_NAME_OFFSET = 0x00ffffff,
	BTF_MAX_VLEN = 0xffff,
	BTF_MAX_SIZE = 16 * 1024 * 1024
};

enum btf_kind {
	BTF_KIND_UNKN, /* void: type 0 */
	BTF_KIND_INT,
	BTF_KIND_PTR,
	BTF_KIND_ARRAY,
	BTF_KIND_STRUCT,
	BTF_KIND_UNION,
	BTF_KIND_ENUM,
	BTF_KIND_FWD,
	BTF_KIND_TYPEDEF,
	BTF_KIND_VOLATILE,
	BTF_KIND_CONST,
	BTF_KIND_RESTRICT,
	BTF_KIND_FUNC,
	BTF_KIND_FUNC_PROTO,
	BTF_KIND_VAR,
	BTF_KIND_DATASEC,
	BTF_KIND_FLOAT,
	BTF_KIND_DECL_TAG,
	BTF_KIND_TYPE_TAG,
	BTF_KIND_ENUM64,
	NR_BTF_KINDS,
	BTF_KIND_MAX = NR_BTF_KINDS - 1,
};

struct btf_header {
	u16 magic;
	u8 version, flags;
	u32 hdr_len;
	u32 type_off, type_len; /* from the end of the header */
	u32 str_off, str_len;
};

struct btf_type {
	u32 name_off;
	u32 info; /* 0-15 vlen, 24-28 kind, 31 kind_flag */
	union {
		u32 size; /* INT ENUM STRUCT UNION DATASEC FLOAT ENUM64 */
		u32 type; /* PTR TYPEDEF VOLATILE CONST RESTRICT FUNC FUNC_PROTO VAR DECL_TAG TYPE_TAG */
	};
};
struct btf_array {
	u32 type, index_type, nelems;
};
struct btf_member {
	u32 name_off, type;
	u32 offset; /* bits; with kind_flag the upper 8 bits are the size of a bit field */
};
struct btf_enum {
	u32 name_off;
	s32 val;
};
struct btf_enum64 {
	u32 name_off, val_lo32, val_hi32;
};
struct btf_param {
	u32 name_off, type;
};
struct btf_var {
	u32 linkage;
};
struct btf_var_secinfo {
	u32 type, offset, size;
};
struct btf_decl_tag {
	s32 component_idx;
};

#define BTF_INFO_KIND(info) (((info) >> 24) & 0x1f)
#define BTF_INFO_VLEN(info) ((info)&0xffff)
#define BTF_INFO_KFLAG(info) ((info) >> 31)
#define BTF_INT_ENCODING(val) (((val)&0x0f000000) >> 24)
#define BTF_INT_OFFSET(val) (((val)&0x00ff0000) >> 16)
#define BTF_INT_BITS(val) ((val)&0x000000ff)
#define BTF_MEMBER_BITFIELD_SIZE(val) ((val) >> 24)
#define BTF_MEMBER_BIT_OFFSET(val) ((val)&0xffffff)
enum { BTF_INT_SIGNED = 1, BTF_INT_CHAR = 2, BTF_INT_BOOL = 4 };
enum btf_func_linkage { BTF_FUNC_STATIC, BTF_FUNC_GLOBAL, BTF_FUNC_EXTERN };
enum { BTF_VAR_STATIC, BTF_VAR_GLOBAL_ALLOCATED, BTF_VAR_GLOBAL_EXTERN };

/* BTF.ext: after the header three sections, each a u32 record size and then, per ELF section, a btf_ext_info_sec and
 * its records. The loader's copies of these records go to the kernel with instruction numbers in insn_off. */
struct btf_ext_header {
	u16 magic;
	u8 version, flags;
	u32 hdr_len;
	u32 func_info_off, func_info_len;
	u32 line_info_off, line_info_len;
	u32 core_relo_off, core_relo_len; /* present when hdr_len reaches here */
};
struct btf_ext_info_sec {
	u32 sec_name_off, num_info;
};
struct bpf_func_info {
	u32 insn_off, type_id;
};
struct bpf_line_info {
	u32 insn_off, file_name_off, line_off;
	u32 line_col; /* line << 10 | column */
};
#define BPF_LINE_INFO_LINE_NUM(line_col) ((line_col) >> 10)
#define BPF_LINE_INFO_LINE_COL(line_col) ((line_col)&0x3ff)

enum bpf_core_relo_kind {
	BPF_CORE_FIELD_BYTE_OFFSET,
	BPF_CORE_FIELD_BYTE_SIZE,
	BPF_CORE_FIELD_EXISTS,
	BPF_CORE_FIELD_SIGNED,
	BPF_CORE_FIELD_LSHIFT_U64,
	BPF_CORE_FIELD_RSHIFT_U64,
	BPF_CORE_TYPE_ID_LOCAL,
	BPF_CORE_TYPE_ID_TARGET,
	BPF_CORE_TYPE_EXISTS,
	BPF_CORE_TYPE_SIZE,
	BPF_CORE_ENUMVAL_EXISTS,
	BPF_CORE_ENUMVAL_VALUE,
	BPF_CORE_TYPE_MATCHES,
	BPF_CORE_RELO_KINDS,
};
struct bpf_core_relo {
	u32 insn_off, type_id, access_str_off, kind;
};

static inline u32 btf_kind(const struct btf_type *t) {
	return BTF_INFO_KIND(t->info);
}
static inline u32 btf_vlen(const struct btf_type *t) {
	return BTF_INFO_VLEN(t->info);
}
static inline bool btf_kflag(const struct btf_type *t) {
	return BTF_INFO_KFLAG(t->info);
}
static inline u32 btf_int_data(const struct btf_type *t) {
	return *(const u32 *)(t + 1);
}
static inline const struct btf_array *btf_array(const struct btf_type *t) {
	return (const struct btf_array *)(t + 1);
}
static inline const struct btf_member *btf_members(const struct btf_type *t) {
	return (const struct btf_member *)(t + 1);
}
static inline const struct btf_enum *btf_enums(const struct btf_type *t) {
	return (const struct btf_enum *)(t + 1);
}
static inline const struct btf_enum64 *btf_enums64(const struct btf_type *t) {
	return (const struct btf_enum64 *)(t + 1);
}
static inline const struct btf_param *btf_params(const struct btf_type *t) {
	return (const struct btf_param *)(t + 1);
}
static inline const struct btf_var *btf_var(const struct btf_type *t) {
	return (const struct btf_var *)(t + 1);
}
static inline const struct btf_var_secinfo *btf_var_secinfos(const struct btf_type *t) {
	return (const struct btf_var_secinfo *)(t + 1);
}
static inline const struct btf_decl_tag *btf_decl_tag(const struct btf_type *t) {
	return (const struct btf_decl_tag *)(t + 1);
}
static inline u64 btf_enum64_value(const struct btf_enum64 *e) {
	return (u64)e->val_hi32 << 32 | e->val_lo32;
}
/* Of member i of a struct or union: its offset in bits, and the size in bits if it is a bit field, else 0. */
static inline u32 btf_member_bit_offset(const struct btf_type *t, u32 i) {
	u32 offset = btf_members(t)[i].offset;
	return btf_kflag(t) ? BTF_MEMBER_BIT_OFFSET(offset) : offset;
}
static inline u32 btf_member_bitfield_size(const struct btf_type *t, u32 i) {
	return btf_kflag(t) ? BTF_MEMBER_BITFIELD_SIZE(btf_members(t)[i].offset) : 0;
}
static inline bool btf_is_composite(const struct btf_type *t) {
	return btf_kind(t) == BTF_KIND_STRUCT || btf_kind(t) == BTF_KIND_UNION;
}
static inline bool btf_is_any_enum(const struct btf_type *t) {
	return btf_kind(t) == BTF_KIND_ENUM || btf_kind(t) == BTF_KIND_ENUM64;
}
/* Kinds that only qualify another type; as in the kernel this includes typedefs. */
static inline bool btf_is_modifier(const struct btf_type *t) {
	switch (btf_kind(t)) {
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return true;
	}
	return false;
}
/* Bytes of the records that follow the type. */
static inline u32 btf_type_extra(const struct btf_type *t) {
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return btf_vlen(t) * (u32)sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return btf_vlen(t) * (u32)sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return btf_vlen(t) * (u32)sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return btf_vlen(t) * (u32)sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return btf_vlen(t) * (u32)sizeof(struct btf_var_secinfo);
	}
	return 0;
}
#endif
