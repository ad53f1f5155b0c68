/* Types as C writes them: declarators from the inside out, bodies of structs and enums.
 *
 *	chain of types                  left of the name   right of the name
 *	PTR → ARRAY 4 → PTR → proto     (*(*               )[4])(int)
 *
 * A declarator grows to both sides while the chain of pointers, arrays and prototypes is followed to its end; then the
 * base type goes in front. Qualifiers that stand before a pointer in the chain are the pointer's own. Unnamed structs are
 * written whole where they are used. Gaps that alignment does not explain become unnamed bit fields, which align nothing;
 * larger ones an array named __hole_N. Depth and length are limited: hostile chains end in -E2BIG. */
#include "btf/dump_c.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_add(struct text *t, const char *fmt, ...) {
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (t->failed || n < 0 || t->s.n > DUMP_MOST || !vec_reserve(&t->s, (u32)n + 1)) {
		t->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(t->s.at + t->s.n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->s.n += (u32)n;
}
static void tabs(struct text *t, u32 n) {
	while (n--)
		text_add(t, "\t");
}

static bool identifier_char(char c, bool first) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}
void dump_identifier(struct dump *d, struct text *t, const char *name) {
	u32 start = t->s.n;
	text_add(t, "%.500s", name);
	for (u32 i = start; i < t->s.n && !t->failed; i++)
		if (!identifier_char(t->s.at[i], i == start))
			t->s.at[i] = '_';
}
void dump_numbered(struct dump *d, struct text *t, u32 id, const char *name) {
	u32 low = 0, high = d->renamed.n;
	while (low < high) {
		u32 middle = (low + high) / 2;
		const struct renamed *r = &d->renamed.at[middle];
		if (r->id < id || (r->id == id && strcmp(r->text, name) < 0))
			low = middle + 1;
		else
			high = middle;
	}
	dump_identifier(d, t, name);
	if (low < d->renamed.n && d->renamed.at[low].id == id && !strcmp(d->renamed.at[low].text, name))
		text_add(t, "___%u", d->renamed.at[low].number);
}
void dump_name(struct dump *d, struct text *t, u32 id) {
	dump_numbered(d, t, id, btf_name_of(d->btf, id));
}

/* C's own integer types, by their words; others (Rust's «u8») are written by size. */
static bool is_c_type(const char *name) {
	static const char *const words[] = {"signed", "unsigned", "char", "short", "int", "long", "_Bool", "__int128"};
	if (!*name)
		return false;
	while (*name) {
		u64 n = strcspn(name, " ");
		bool known = false;
		for (u32 i = 0; i < ARRAY_SIZE(words) && !known; i++)
			known = strlen(words[i]) == n && !strncmp(words[i], name, n);
		if (!known)
			return false;
		name += n, name += strspn(name, " ");
	}
	return true;
}
static const char *int_by_size(u32 size, bool is_signed) {
	switch (size) {
	case 1:
		return is_signed ? "signed char" : "unsigned char";
	case 2:
		return is_signed ? "short" : "unsigned short";
	case 4:
		return is_signed ? "int" : "unsigned int";
	case 8:
		return is_signed ? "long" : "unsigned long";
	case 16:
		return is_signed ? "__int128" : "unsigned __int128";
	}
	return NULL;
}
static const char *tag_word(const struct btf_type *t) {
	switch (btf_kind(t)) {
	case BTF_KIND_UNION:
		return "union";
	case BTF_KIND_FWD:
		return btf_kflag(t) ? "union" : "struct";
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return "enum";
	}
	return "struct";
}

/* What a declaration begins with: the type at the end of the chain of pointers, arrays and functions. */
static void base_type(struct dump *d, struct text *t, u32 id, u32 indent) {
	const struct btf_type *b = btf_type(d->btf, id);
	const char *name = btf_name(d->btf, b), *word;
	switch (btf_kind(b)) {
	case BTF_KIND_UNKN:
		text_add(t, "void");
		return;
	case BTF_KIND_INT:
		word = int_by_size(b->size, BTF_INT_ENCODING(btf_int_data(b)) & BTF_INT_SIGNED);
		if (!is_c_type(name) && !word)
			text_add(t, "struct { unsigned char bytes[%u]; }", b->size);
		else
			text_add(t, "%s", is_c_type(name) ? name : word);
		return;
	case BTF_KIND_FLOAT:
		text_add(t, "%s",
			 b->size == 4   ? "float"
			 : b->size == 8 ? "double"
			 : b->size == 2 ? "__fp16"
					: "long double");
		return;
	case BTF_KIND_TYPEDEF:
		dump_name(d, t, id);
		return;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		text_add(t, "%s ", tag_word(b));
		if (*name)
			dump_name(d, t, id);
		else
			dump_struct_body(d, t, id, indent);
		return;
	case BTF_KIND_FWD:
		text_add(t, "%s ", tag_word(b));
		dump_name(d, t, id);
		return;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		/* Enumerators can be declared once only. */
		if (*name || !(d->state && d->state[id])) {
			text_add(t, "enum ");
			if (*name) {
				dump_name(d, t, id);
			} else {
				dump_enum_body(d, t, id, indent);
				if (d->state)
					d->state[id] = 1;
			}
		} else {
			text_add(t, "%s",
				 int_by_size(b->size, btf_kflag(b)) ? int_by_size(b->size, btf_kflag(b)) : "int");
		}
		return;
	}
	text_add(t, "void /* %s */", btf_kind_name(btf_kind(b)));
}

static void parameters(struct dump *d, struct text *t, const struct btf_type *proto, u32 indent) {
	u32 n = btf_vlen(proto);
	text_add(t, n ? "(" : "(void");
	for (u32 i = 0; i < n; i++) {
		const struct btf_param *p = &btf_params(proto)[i];
		if (i)
			text_add(t, ", ");
		if (!p->type && i == n - 1)
			text_add(t, "...");
		else
			dump_declaration(d, t, p->type, "", indent);
	}
	text_add(t, ")");
}

enum { QUAL_CONST = 1, QUAL_VOLATILE = 2 };
static void qualifiers(struct text *t, u32 quals) {
	text_add(t, "%s%s", quals & QUAL_CONST ? "const " : "", quals & QUAL_VOLATILE ? "volatile " : "");
}

void dump_declaration(struct dump *d, struct text *t, u32 id, const char *name, u32 indent) {
	/* The declarator grows to the left (pointers) and to the right (arrays, parameters). */
	struct text right = {0};
	char left[DECLARATOR];
	u32 at = sizeof left - 1, quals = 0;
	bool pointer = false; /* what the declarator is at its outermost so far */
	left[at] = 0;
	if (++d->depth > DUMP_DEPTH)
		d->error = d->error ? d->error : -E2BIG;
	for (u32 steps = 0; !d->error; steps++) {
		const struct btf_type *c = btf_type(d->btf, id);
		u32 kind = btf_kind(c);
		if (at < 32 || steps > DECLARATOR) {
			d->error = -E2BIG;
			break;
		}
		if (kind == BTF_KIND_CONST || kind == BTF_KIND_VOLATILE) {
			quals |= kind == BTF_KIND_CONST ? QUAL_CONST : QUAL_VOLATILE;
		} else if (kind == BTF_KIND_PTR) {
			/* Qualifiers met before it are the pointer's own. */
			if (quals & QUAL_VOLATILE)
				memcpy(left + (at -= 9), "volatile ", 9);
			if (quals & QUAL_CONST)
				memcpy(left + (at -= 6), "const ", 6);
			left[--at] = '*', quals = 0, pointer = true;
		} else if (kind == BTF_KIND_ARRAY || kind == BTF_KIND_FUNC_PROTO) {
			if (pointer) {
				left[--at] = '(';
				text_add(&right, ")");
			}
			pointer = false;
			if (kind == BTF_KIND_ARRAY)
				text_add(&right, "[%u]", btf_array(c)->nelems);
			else
				parameters(d, &right, c, indent), quals = 0;
		} else if (kind != BTF_KIND_RESTRICT && kind != BTF_KIND_TYPE_TAG) {
			break;
		}
		id = kind == BTF_KIND_ARRAY ? btf_array(c)->type : c->type;
	}
	qualifiers(t, quals);
	base_type(d, t, d->error ? 0 : id, indent);
	text_add(t, "%s%s", *name || left[at] || right.s.n ? " " : "", left + at);
	dump_identifier(d, t, name);
	if (right.s.n)
		text_add(t, "%s", right.s.at);
	t->failed |= right.failed;
	vec_free(&right.s);
	d->depth--;
}

/* Nothing at [cursor, cursor + gap). */
static void padding(struct text *t, u64 cursor, u64 gap, u32 indent) {
	while (gap) {
		u64 n = cursor % 8 ? MIN(8 - cursor % 8, gap) : gap < 8 ? gap : 0;
		const char *unit = "char";
		if (!n && gap >= 64 * 32 && cursor % 8 == 0) {
			tabs(t, indent);
			text_add(t, "char __hole_%llu[%llu];\n", (unsigned long long)cursor / 8,
				 (unsigned long long)gap / 8);
			cursor += gap / 8 * 8, gap %= 8;
			continue;
		}
		if (!n && cursor % 64 == 0 && gap >= 64)
			n = 64, unit = "long";
		else if (!n && cursor % 32 == 0 && gap >= 32)
			n = 32, unit = "int";
		else if (!n && cursor % 16 == 0 && gap >= 16)
			n = 16, unit = "short";
		else if (!n)
			n = 8;
		tabs(t, indent);
		text_add(t, "%s: %llu;\n", unit, (unsigned long long)n);
		cursor += n, gap -= n;
	}
}

void dump_struct_body(struct dump *d, struct text *t, u32 id, u32 indent) {
	const struct btf_type *s = btf_type(d->btf, id);
	bool packed = dump_layout(d, id) & LAYOUT_PACKED, is_union = btf_kind(s) == BTF_KIND_UNION;
	u32 align = dump_layout(d, id) & ~LAYOUT_PACKED;
	u64 cursor = 0, most = 0;
	text_add(t, "{\n");
	if (++d->depth > DUMP_DEPTH)
		d->error = -E2BIG;
	for (u32 i = 0; i < btf_vlen(s) && !d->error && !t->failed; i++) {
		const struct btf_member *m = &btf_members(s)[i];
		u64 off = btf_member_bit_offset(s, i);
		bool is_bit_field;
		u64 bits = dump_member_bits(d->btf, s, i, &is_bit_field);
		if (!is_union && dump_natural(d, s, i, cursor, packed) < off)
			padding(t, cursor, off - cursor, indent + 1);
		tabs(t, indent + 1);
		dump_declaration(d, t, m->type, btf_string(d->btf, m->name_off), indent + 1);
		if (is_bit_field)
			text_add(t, ": %llu", (unsigned long long)bits);
		text_add(t, ";\n");
		cursor = is_union ? 0 : off + bits;
		most = MAX(most, off + bits);
	}
	u64 size = (u64)s->size * 8;
	if (is_union && round_up(most, 8 * (u64)align) < size) {
		tabs(t, indent + 1);
		text_add(t, "char __pad[%u];\n", s->size);
	} else if (!is_union && round_up(cursor, 8 * (u64)align) < size) {
		padding(t, cursor, size - cursor, indent + 1);
	}
	tabs(t, indent);
	text_add(t, packed ? "} __attribute__((packed))" : "}");
	d->depth--;
}

void dump_enum_body(struct dump *d, struct text *t, u32 id, u32 indent) {
	const struct btf_type *e = btf_type(d->btf, id);
	bool wide = btf_kind(e) == BTF_KIND_ENUM64;
	text_add(t, "{\n");
	for (u32 i = 0; i < btf_vlen(e) && !t->failed; i++) {
		tabs(t, indent + 1);
		u32 name_off = wide ? btf_enums64(e)[i].name_off : btf_enums(e)[i].name_off;
		dump_numbered(d, t, id, btf_string(d->btf, name_off));
		if (wide)
			text_add(t, btf_kflag(e) ? " = %lldLL,\n" : " = %lluULL,\n",
				 (unsigned long long)btf_enum64_value(&btf_enums64(e)[i]));
		else
			text_add(t, btf_kflag(e) ? " = %d,\n" : " = %u,\n", btf_enums(e)[i].val);
	}
	if (!btf_vlen(e)) {
		tabs(t, indent + 1);
		text_add(t, "__enum_%u_is_empty,\n", id);
	}
	tabs(t, indent);
	text_add(t, e->size == 1   ? "} __attribute__((mode(byte)))"
		    : e->size == 2 ? "} __attribute__((mode(HI)))"
		    : e->size == 8 ? "} __attribute__((mode(DI)))"
				   : "}");
}

char *btf_declaration(const struct btf *btf, u32 id, const char *name, char *to, u32 size) {
	struct dump d = {.btf = btf, .layout = calloc(btf->end, 1)};
	struct text t = {0};
	if (d.layout && id < btf->end)
		dump_declaration(&d, &t, id, name, 0);
	snprintf(to, size, "%s", t.s.n && !d.error ? t.s.at : "?");
	vec_free(&t.s);
	free(d.layout);
	return to;
}
