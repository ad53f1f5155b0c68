#include "btf/builder.h"
#include <errno.h>
#include <stdarg.h>
#include <string.h>

void btf_builder_init(struct btf_builder *b, const struct btf *base) {
	*b = (struct btf_builder){.next_id = base ? base->end : 1};
	b->strings_start = base ? base->strings_start + base->strings_size : 0;
	if (!base)
		b->failed = !vec_push(&b->strings);
}

static void append(struct btf_builder *b, const void *data, u32 size) {
	if (!vec_reserve(&b->types, size)) {
		b->failed = true;
		return;
	}
	memcpy(b->types.at + b->types.n, data, size);
	b->types.n += size;
}

void btf_builder_copy(struct btf_builder *b, const struct btf *from) {
	btf_builder_init(b, from->base);
	b->strings.n = 0;
	append(b, from->types, from->types_size);
	if (!vec_reserve(&b->strings, from->strings_size)) {
		b->failed = true;
		return;
	}
	if (from->strings_size)
		memcpy(b->strings.at, from->strings, from->strings_size);
	b->strings.n = from->strings_size;
	b->next_id = from->end;
}

void btf_builder_free(struct btf_builder *b) {
	vec_free(&b->types);
	vec_free(&b->strings);
	vec_free(&b->blob);
}

u32 btf_builder_string(struct btf_builder *b, const char *s) {
	if (!s || !*s)
		return 0;
	u32 size = (u32)strlen(s) + 1, off = b->strings_start + b->strings.n;
	if (b->failed || !vec_reserve(&b->strings, size)) {
		b->failed = true;
		return 0;
	}
	memcpy(b->strings.at + b->strings.n, s, size);
	b->strings.n += size;
	return off;
}

void btf_builder_word(struct btf_builder *b, u32 word) {
	append(b, &word, sizeof word);
}

u32 btf_builder_type(struct btf_builder *b, const char *name, u32 kind, u32 vlen, u32 size_or_type, u32 extra_words,
		     ...) {
	struct btf_type t = {btf_builder_string(b, name), kind << 24 | vlen, {size_or_type}};
	va_list ap;
	append(b, &t, sizeof t);
	va_start(ap, extra_words);
	while (extra_words--)
		btf_builder_word(b, va_arg(ap, u32));
	va_end(ap);
	return b->next_id++;
}

u32 btf_builder_int(struct btf_builder *b, const char *name, u32 size, u32 encoding) {
	return btf_builder_type(b, name, BTF_KIND_INT, 0, size, 1, encoding << 24 | size * 8);
}

struct btf_type *btf_builder_at(struct btf_builder *b, u32 id, u32 start_id) {
	u32 off = 0;
	for (u32 at = start_id; off < b->types.n; at++) {
		struct btf_type *t = (struct btf_type *)(b->types.at + off);
		if (at == id)
			return t;
		off += (u32)sizeof *t + btf_type_extra(t);
	}
	return NULL;
}

int btf_builder_blob(struct btf_builder *b, const void **data, u32 *size) {
	struct btf_header h = {.magic = BTF_MAGIC,
			       .version = BTF_VERSION,
			       .hdr_len = sizeof h,
			       .type_len = b->types.n,
			       .str_off = b->types.n,
			       .str_len = b->strings.n};
	b->blob.n = 0;
	if (b->failed || !vec_reserve(&b->blob, (u32)sizeof h + b->types.n + b->strings.n))
		return -ENOMEM;
	memcpy(b->blob.at, &h, sizeof h);
	if (b->types.n)
		memcpy(b->blob.at + sizeof h, b->types.at, b->types.n);
	if (b->strings.n)
		memcpy(b->blob.at + sizeof h + b->types.n, b->strings.at, b->strings.n);
	b->blob.n = (u32)sizeof h + b->types.n + b->strings.n;
	*data = b->blob.at, *size = b->blob.n;
	return 0;
}
