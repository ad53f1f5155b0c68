/* Inside the dump: order.c decides what is written when, declare.c writes types, layout.c says where members lie. */
#ifndef SKEP_BTF_DUMP_C_H
#define SKEP_BTF_DUMP_C_H
#include "base/vec.h"
#include "btf/dump.h"

enum { DUMP_DEPTH = 1000, DUMP_MOST = 256 * 1024 * 1024, DECLARATOR = 4096 };

struct text {
	VEC(char) s;
	bool failed;
};
/* A name that is not the first of its kind: type `id`, or its enumerator, gets the number. */
struct renamed {
	u32 id, number;
	const char *text;
};
struct dump {
	const struct btf *btf;
	u8 *state;                   /* by id: see order.c */
	u8 *layout;                  /* by id: alignment as written, LAYOUT_PACKED; 0 not known yet */
	VEC(struct renamed) renamed; /* sorted by id and text */
	struct text out;
	u64 written;
	btf_write_fn *write;
	void *owner;
	int error;
	u32 depth;
};

void text_add(struct text *t, const char *fmt, ...) PRINTF(2, 3);
/* A name of this type as C may have it: invalid characters replaced, a number behind the second and later of that name.
 */
void dump_name(struct dump *d, struct text *t, u32 id);
void dump_identifier(struct dump *d, struct text *t, const char *name);
void dump_numbered(struct dump *d, struct text *t, u32 id, const char *name);

/* «int (*name[3])(void)». Structs, unions and enums without a name are written whole, at this indentation. */
void dump_declaration(struct dump *d, struct text *t, u32 id, const char *name, u32 indent);
void dump_struct_body(struct dump *d, struct text *t, u32 id, u32 indent);
void dump_enum_body(struct dump *d, struct text *t, u32 id, u32 indent);

enum { LAYOUT_PACKED = 0x80 };
/* Alignment of the type as we write it, in bytes; LAYOUT_PACKED when it needs the attribute. */
u32 dump_layout(struct dump *d, u32 id);
/* Where the next member would come to lie by itself, in bits. */
u64 dump_natural(struct dump *d, const struct btf_type *s, u32 i, u64 cursor, bool packed);
/* Bits of a member as it is written: of a bit field its width. */
u64 dump_member_bits(const struct btf *btf, const struct btf_type *s, u32 i, bool *is_bit_field);
#endif
