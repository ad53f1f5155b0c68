/* What fields.c and objects.c offer each other. */
#ifndef SKEP_BTF_OBJECTS_H
#define SKEP_BTF_OBJECTS_H
#include "btf/btf.h"

enum { FIELDS_OF_VALUE = 1, FIELDS_OF_OBJECT = 2, FIELDS_OF_ALL = FIELDS_OF_VALUE | FIELDS_OF_OBJECT };
int btf_search_fields(const struct btf *btf, u32 id, u32 in, struct btf_fields *out, const char **why);
/* 1: a pointer with a kptr tag to a struct; 0: an ordinary type; -EINVAL with a sentence: a tag that is none. */
int btf_kptr_kind(const struct btf *btf, const struct btf_type *t, u32 in, u32 *kind, u32 *pointee, const char **why);
/* Does the structure have a special member, itself and not deeper? */
bool btf_is_object(const struct btf *btf, u32 id);
#endif
