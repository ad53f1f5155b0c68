/* Values by their type: a walk that calls back, from which text tables and JSON are made alike. begin and end enclose
 * structs, unions, arrays and data sections; everything else is one scalar. key is the member's or variable's name,
 * NULL in arrays and at the top; index is the element's. */
#ifndef SKEP_BTF_VALUE_H
#define SKEP_BTF_VALUE_H
#include "btf/btf.h"

enum btf_value_kind {
	BTF_VALUE_SIGNED,   /* v->i */
	BTF_VALUE_UNSIGNED, /* v->u */
	BTF_VALUE_BOOL,     /* v->u is 0 or 1 */
	BTF_VALUE_CHAR,     /* v->u: one character that is not part of a string */
	BTF_VALUE_FLOAT,    /* v->f */
	BTF_VALUE_STRING,   /* v->text, v->size: a char array up to its NUL, no control characters but \t \n \r */
	BTF_VALUE_ENUM,     /* v->text is the name, v->i the value */
	BTF_VALUE_POINTER,  /* v->u */
	BTF_VALUE_WIDE,     /* 128 bits: v->wide[0] low, [1] high */
	BTF_VALUE_BYTES,    /* v->text, v->size: bytes of a type without meaning here */
};
struct btf_value {
	enum btf_value_kind kind;
	union {
		s64 i;
		u64 u;
		double f;
		u64 wide[2];
	};
	const char *text;
	u32 size;
};
enum btf_value_group { BTF_GROUP_STRUCT, BTF_GROUP_UNION, BTF_GROUP_ARRAY };

struct btf_visitor {
	void *owner;
	void (*begin)(void *owner, enum btf_value_group group, const char *key, u32 index);
	void (*end)(void *owner, enum btf_value_group group);
	void (*scalar)(void *owner, const char *key, u32 index, const struct btf_value *v);
};
/* Visits the value of type type_id in data. 0; -EINVAL for a type without a size; -E2BIG when size is less than the
 * type's (nothing is visited) or the value has more than a million parts (begin and end still match). Members of
 * anonymous structs and unions appear in their parent, as bpftool prints them. */
int btf_visit(const struct btf *btf, u32 type_id, const void *data, u64 size, const struct btf_visitor *visitor);
#endif
