/* Writes BTF: types and strings are appended, and come out as a blob. Failures (out of memory) are kept and reported by
 * btf_builder_blob. Ids and string offsets continue those of base, if there is one. */
#ifndef SKEP_BTF_BUILDER_H
#define SKEP_BTF_BUILDER_H
#include "btf/btf.h"
#include "base/vec.h"

struct btf_builder {
	VEC(u8) types;
	VEC(char) strings;
	u32 strings_start;
	u32 next_id; /* of the type that is added next */
	bool failed;
	VEC(u8) blob;
};

void btf_builder_init(struct btf_builder *b, const struct btf *base);
/* Starts from the types and strings of an existing BTF (same ids, same base). */
void btf_builder_copy(struct btf_builder *b, const struct btf *from);
void btf_builder_free(struct btf_builder *b);
/* Offset of a string; equal strings are stored again unless empty. */
u32 btf_builder_string(struct btf_builder *b, const char *s);
/* Adds the fixed part of a type and `extra_words` u32 behind it, given by the varargs; returns its id. */
u32 btf_builder_type(struct btf_builder *b, const char *name, u32 kind, u32 vlen, u32 size_or_type, u32 extra_words,
		     ...);
u32 btf_builder_int(struct btf_builder *b, const char *name, u32 size, u32 encoding);
/* One more word behind the type added last: members, parameters … vlen is not touched. */
void btf_builder_word(struct btf_builder *b, u32 word);
/* The type with this id, to be changed in place until the next addition. Its offset in types is found by walking. */
struct btf_type *btf_builder_at(struct btf_builder *b, u32 id, u32 start_id);
/* The finished blob, owned by the builder: 0 or -ENOMEM. */
int btf_builder_blob(struct btf_builder *b, const void **data, u32 *size);
#endif
