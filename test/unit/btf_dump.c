/* BTF as C: order, forward declarations, declarators, padding, packing, bit fields, names that collide. */
#include "test.h"
#include "btf/builder.h"
#include "btf/dump.h"
#include <errno.h>

static char out[8192];
static int add(void *owner, const char *text, u64 size) {
	u64 n = strlen(out);
	if (n + size >= sizeof out)
		return -ENOSPC;
	memcpy(out + n, text, size);
	out[n + size] = 0;
	return 0;
}
static struct btf *finish(struct btf_builder *b) {
	const void *data;
	u32 size;
	struct btf *btf;
	struct btf_log log = {0};
	EXPECT_EQ(btf_builder_blob(b, &data, &size), 0);
	int err = btf_parse(data, size, NULL, 0, &log, &btf);
	EXPECT_EQ(err, 0);
	if (err)
		printf("# %s\n", log.error);
	btf_builder_free(b);
	return btf;
}

static void declarations(void) {
	struct btf_builder b;
	char text[256];
	btf_builder_init(&b, NULL);
	u32 i32 = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED), ch = btf_builder_int(&b, "char", 1, BTF_INT_SIGNED);
	u32 con = btf_builder_type(&b, NULL, BTF_KIND_CONST, 0, ch, 0);
	u32 str = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, con, 0);
	u32 cstr = btf_builder_type(&b, NULL, BTF_KIND_CONST, 0, str, 0);
	u32 proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 2, i32, 4, 0, str, 0, 0);
	u32 fn = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, proto, 0);
	u32 arr = btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, fn, i32, 4);
	u32 arr2 = btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, arr, i32, 2);
	u32 parr = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, arr2, 0);
	u32 noargs = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, parr, 0);
	u32 rust = btf_builder_int(&b, "u8", 1, 0);
	struct btf *btf = finish(&b);
	EXPECT_STR(btf_declaration(btf, i32, "x", text, sizeof text), "int x");
	EXPECT_STR(btf_declaration(btf, str, "s", text, sizeof text), "const char *s");
	EXPECT_STR(btf_declaration(btf, cstr, "s", text, sizeof text), "const char *const s");
	EXPECT_STR(btf_declaration(btf, cstr, "", text, sizeof text), "const char *const ");
	EXPECT_STR(btf_declaration(btf, fn, "f", text, sizeof text), "int (*f)(const char *, ...)");
	EXPECT_STR(btf_declaration(btf, arr2, "t", text, sizeof text), "int (*t[2][4])(const char *, ...)");
	EXPECT_STR(btf_declaration(btf, parr, "p", text, sizeof text), "int (*(*p)[2][4])(const char *, ...)");
	EXPECT_STR(btf_declaration(btf, noargs, "g", text, sizeof text), "int (*(*g(void))[2][4])(const char *, ...)");
	EXPECT_STR(btf_declaration(btf, rust, "r", text, sizeof text), "unsigned char r");
	EXPECT_STR(btf_declaration(btf, 0, "v", text, sizeof text), "void v");
	EXPECT_STR(btf_declaration(btf, 999, "v", text, sizeof text), "?");
	btf_put(btf);
}

static void order_and_layout(void) {
	struct btf_builder b;
	btf_builder_init(&b, NULL);
	u32 i32 = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED), u64_ = btf_builder_int(&b, "long unsigned int", 8, 0);
	u32 a = btf_builder_string(&b, "a"), n = btf_builder_string(&b, "next"), x = btf_builder_string(&b, "x");
	/* list ─► list_p ─► list; holder has an inner by value that comes later. */
	u32 list = 8, listp = 9, ptr = 10, inner = 11;
	EXPECT_EQ(btf_builder_type(&b, "holder", BTF_KIND_STRUCT, 2, 32, 6, a, i32, 0, x, inner, 64), 3u);
	btf_builder_type(&b, "packed", BTF_KIND_STRUCT, 2, 12, 6, a, i32, 0, x, u64_, 32);
	u32 bits = btf_builder_type(&b, "bits", BTF_KIND_STRUCT, 2, 8, 6, a, i32, 3u << 24 | 0, x, i32, 5u << 24 | 40);
	btf_builder_at(&b, bits, 1)->info |= 1u << 31;
	btf_builder_type(&b, "E", BTF_KIND_ENUM, 1, 4, 2, a, 1);
	btf_builder_type(&b, NULL, BTF_KIND_ENUM, 1, 4, 2, a, 2);
	EXPECT_EQ(btf_builder_type(&b, "list", BTF_KIND_STRUCT, 1, 8, 3, n, listp, 0), list);
	EXPECT_EQ(btf_builder_type(&b, "list_p", BTF_KIND_TYPEDEF, 0, ptr, 0), listp);
	EXPECT_EQ(btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, list, 0), ptr);
	EXPECT_EQ(btf_builder_type(&b, "inner", BTF_KIND_STRUCT, 1, 24, 3, a, u64_, 0), inner);
	u32 anon = btf_builder_type(&b, NULL, BTF_KIND_UNION, 2, 8, 6, a, i32, 0, x, u64_, 0);
	btf_builder_type(&b, "list", BTF_KIND_TYPEDEF, 0, anon, 0);
	btf_builder_type(&b, "list", BTF_KIND_STRUCT, 1, 8, 3, 0, anon, 0);
	struct btf *btf = finish(&b);
	EXPECT_EQ(btf_dump_c(btf, 0, add, NULL), 0);
	EXPECT_STR(out,
		   "struct inner {\n\tlong unsigned int a;\n\tlong: 64;\n\tlong: 64;\n};\n\n"
		   "struct holder {\n\tint a;\n\tstruct inner x;\n};\n\n"
		   "struct packed {\n\tint a;\n\tlong unsigned int x;\n} __attribute__((packed));\n\n"
		   "struct bits {\n\tint a: 3;\n\tchar: 5;\n\tchar: 8;\n\tshort: 16;\n\tchar: 8;\n\tint x: 5;\n};\n\n"
		   "enum E {\n\ta = 1,\n};\n\n"
		   "enum {\n\ta___2 = 2,\n};\n\n"
		   "struct list;\n\n"
		   "typedef struct list *list_p;\n\n"
		   "struct list {\n\tlist_p next;\n};\n\n"
		   "typedef union {\n\tint a;\n\tlong unsigned int x;\n} list;\n\n"
		   "struct list___2 {\n\tunion {\n\t\tint a;\n\t\tlong unsigned int x;\n\t};\n};\n\n");
	btf_put(btf);
}

/* Depth that no stack could take ends in an error, not in a crash. */
static void depth(void) {
	struct btf_builder b;
	btf_builder_init(&b, NULL);
	btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	for (u32 i = 0; i < 200000; i++)
		btf_builder_type(&b, NULL, i % 2 ? BTF_KIND_PTR : BTF_KIND_FUNC_PROTO, 0, b.next_id - 1, 0);
	btf_builder_type(&b, "deep", BTF_KIND_TYPEDEF, 0, b.next_id - 1, 0);
	struct btf *btf = finish(&b);
	char text[64];
	EXPECT_EQ(btf_dump_c(btf, 0, add, NULL), -E2BIG);
	EXPECT_STR(btf_declaration(btf, btf_types_n(btf) - 2, "x", text, sizeof text), "?");
	btf_put(btf);
}

int main(void) {
	RUN(declarations);
	RUN(order_and_layout);
	RUN(depth);
	return test_end();
}
