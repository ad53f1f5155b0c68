/* Parsing and checking BTF: what is accepted, what is refused and in which words, lookups, sizes, split BTF, the
 * kernel's own BTF where it can be read. */
#include "test.h"
#include "btf/builder.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { ENOTSUPP = 524 };
static struct btf_log last;

static int build(struct btf_builder *b, const struct btf *base, u32 flags, struct btf **out) {
	const void *data;
	u32 size;
	EXPECT_EQ(btf_builder_blob(b, &data, &size), 0);
	return btf_parse(data, size, base, flags, &last, out);
}
/* The blob is refused with that errno and error text, and the builder freed. */
#define REFUSED(b, flags, errno_, text)                          \
	do {                                                     \
		struct btf *btf_;                                \
		EXPECT_EQ(build(b, NULL, flags, &btf_), errno_); \
		EXPECT(!btf_);                                   \
		EXPECT_STR(last.error, text);                    \
		btf_builder_free(b);                             \
	} while (0)

static void headers(void) {
	struct btf *btf;
	struct btf_header h = {BTF_MAGIC, 1, 0, sizeof h, 0, 0, 0, 0};
	u8 blob[64] = {0};
	EXPECT_EQ(btf_parse(blob, 0, NULL, 0, &last, &btf), -EINVAL);
	EXPECT_STR(last.error, "hdr_len not found");
	EXPECT_EQ(btf_parse(&h, sizeof h, NULL, 0, &last, &btf), -EINVAL);
	EXPECT_STR(last.error, "No data");
	h.version = 2;
	EXPECT_EQ(btf_parse(&h, sizeof h, NULL, 0, &last, &btf), -ENOTSUPP);
	h.version = 1, h.magic = 0x9feb;
	EXPECT_EQ(btf_parse(&h, sizeof h, NULL, 0, &last, &btf), -EINVAL);
	EXPECT_STR(last.error, "Invalid magic");
	h.magic = BTF_MAGIC, h.hdr_len = 1000;
	EXPECT_EQ(btf_parse(&h, sizeof h, NULL, 0, &last, &btf), -EINVAL);
	EXPECT_STR(last.error, "btf_header not found");
	h.hdr_len = sizeof h, h.type_len = 16, h.str_off = 16, h.str_len = 0xffffffff;
	memcpy(blob, &h, sizeof h);
	EXPECT_EQ(btf_parse(blob, 41, NULL, 0, &last, &btf), -EINVAL);
	EXPECT_STR(last.error, "Total section length too long");
	EXPECT_EQ(btf_parse(blob, 41, NULL, BTF_STRICT, &last, &btf), -EINVAL);
	EXPECT_STR(last.error, "Total section length too long");
}

/* Whatever the length of the header, types lie aligned in memory. */
static void odd_header(void) {
	struct {
		struct btf_header h;
		u8 pad[1];
		u8 types[16];
		char strings[8];
	} __attribute__((packed)) blob = {{BTF_MAGIC, 1, 0, 25, 0, 16, 16, 8}, {0}, {0}, "\0int"};
	struct btf_type t = {1, BTF_KIND_INT << 24, {4}};
	u32 data = 32;
	memcpy(blob.types, &t, sizeof t);
	memcpy(blob.types + sizeof t, &data, sizeof data);
	struct btf *btf;
	EXPECT_EQ(btf_parse(&blob, sizeof blob, NULL, BTF_STRICT, &last, &btf), 0);
	EXPECT_EQ((uintptr_t)btf->types % 4, 0);
	EXPECT_STR(btf_name_of(btf, 1), "int");
	btf_put(btf);
}

static void kinds_and_sizes(void) {
	struct btf_builder b;
	struct btf *btf;
	btf_builder_init(&b, NULL);
	u32 u32_ = btf_builder_int(&b, "unsigned int", 4, 0);
	u32 u64_ = btf_builder_int(&b, "unsigned long", 8, 0);
	u32 array = btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, u64_, u32_, 3);
	u32 s = btf_builder_type(&b, "s", BTF_KIND_STRUCT, 3, 48, 0);
	u32 a_name = btf_builder_string(&b, "a"), b_name = btf_builder_string(&b, "b"),
	    n_name = btf_builder_string(&b, "next");
	u32 td = s + 1, ptr = s + 2;
	for (u32 i = 0; i < 3; i++) {
		btf_builder_word(&b, i == 0 ? a_name : i == 1 ? b_name : n_name);
		btf_builder_word(&b, i == 0 ? u32_ : i == 1 ? array : ptr);
		btf_builder_word(&b, i == 0 ? 0 : i == 1 ? 64 : 256);
	}
	EXPECT_EQ(btf_builder_type(&b, "s_t", BTF_KIND_TYPEDEF, 0, s, 0), td);
	EXPECT_EQ(btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, td, 0), ptr);
	u32 con = btf_builder_type(&b, NULL, BTF_KIND_CONST, 0, td, 0);
	u32 flt = btf_builder_type(&b, "double", BTF_KIND_FLOAT, 0, 8, 0);
	u32 fwd = btf_builder_type(&b, "f", BTF_KIND_FWD, 0, 0, 0);
	u32 e64 = btf_builder_type(&b, "e", BTF_KIND_ENUM64, 1, 8, 3, btf_builder_string(&b, "E"), 5, 1);
	u32 proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 1, u32_, 2, a_name, ptr);
	u32 func = btf_builder_type(&b, "fn", BTF_KIND_FUNC, BTF_FUNC_GLOBAL, proto, 0);
	u32 tag1 = btf_builder_type(&b, "one:x", BTF_KIND_DECL_TAG, 0, s, 1, -1);
	u32 tag2 = btf_builder_type(&b, "two", BTF_KIND_DECL_TAG, 0, func, 1, 0);
	u32 var = btf_builder_type(&b, "v", BTF_KIND_VAR, 0, con, 1, BTF_VAR_STATIC);
	u32 sec = btf_builder_type(&b, ".data", BTF_KIND_DATASEC, 1, 48, 3, var, 0, 48);
	EXPECT_EQ(build(&b, NULL, BTF_STRICT, &btf), 0);
	btf_builder_free(&b);
	EXPECT_EQ(btf_types_n(btf), sec + 1);
	EXPECT_EQ(btf_size(btf, array), 24);
	EXPECT_EQ(btf_size(btf, con), 48);
	EXPECT_EQ(btf_size(btf, var), 48);
	EXPECT_EQ(btf_size(btf, ptr), 8);
	EXPECT_EQ(btf_size(btf, flt), 8);
	EXPECT_EQ(btf_size(btf, fwd), -EINVAL);
	EXPECT_EQ(btf_size(btf, 0), -EINVAL);
	EXPECT_EQ(btf_size(btf, sec + 1), -EINVAL);
	EXPECT_EQ(btf_align(btf, con), 8);
	EXPECT_EQ(btf_skip_modifiers(btf, con), s);
	EXPECT_EQ(btf_skip_modifiers(btf, ptr), ptr);
	EXPECT_EQ(btf_find(btf, "s_t", BTF_KIND_TYPEDEF), td);
	EXPECT_EQ(btf_find(btf, "s_t", BTF_KIND_STRUCT), 0);
	EXPECT_EQ(btf_find(btf, "fn", BTF_KIND_UNKN), func);
	EXPECT_STR(btf_nearest_name(btf, "s_tt", BTF_KIND_TYPEDEF), "s_t");
	EXPECT(!btf_nearest_name(btf, "wholly_other", BTF_KIND_UNKN));
	const char *rest;
	EXPECT_EQ(btf_decl_tag_next(btf, s, -1, "one:", 0, &rest), tag1);
	EXPECT_STR(rest, "x");
	EXPECT_EQ(btf_decl_tag_next(btf, s, -1, "one:", tag1, &rest), 0);
	EXPECT_EQ(btf_decl_tag_next(btf, func, 0, "", 0, &rest), tag2);
	EXPECT_EQ(btf_decl_tag_next(btf, func, -1, "", 0, &rest), 0);
	EXPECT_EQ(btf_member_index(btf, btf_type(btf, s), "next"), 2);
	EXPECT_STR(btf_enum_name(btf, btf_type(btf, e64), 0x100000005), "E");

	struct btf_access a;
	EXPECT_EQ(btf_walk(btf, td, 32, 8, &a), 0);
	EXPECT_EQ(a.kind, BTF_WALK_PTR);
	EXPECT_EQ(a.pointee_id, s);
	EXPECT_STR(a.name, "next");
	EXPECT_EQ(btf_walk(btf, s, 16, 8, &a), 0);
	EXPECT_EQ(a.kind, BTF_WALK_SCALAR);
	EXPECT_EQ(btf_walk(btf, s, 24, 16, &a), -EACCES); /* over the end of the array */
	EXPECT_EQ(btf_walk(btf, s, 36, 4, &a), -EACCES);  /* half a pointer */
	EXPECT_EQ(btf_walk(btf, s, 4, 4, &a), -EINVAL);   /* a hole */
	EXPECT_EQ(btf_walk(btf, s, 48, 1, &a), -EACCES);
	EXPECT(a.beyond);

	/* A split BTF goes on where its base ends. */
	struct btf *split;
	btf_builder_init(&b, btf);
	u32 own = btf_builder_type(&b, "mine", BTF_KIND_TYPEDEF, 0, td, 0);
	EXPECT_EQ(own, sec + 1);
	EXPECT_EQ(build(&b, btf, BTF_STRICT, &split), 0);
	btf_builder_free(&b);
	btf_put(btf);
	EXPECT_STR(btf_name_of(split, own), "mine");
	EXPECT_STR(btf_name_of(split, td), "s_t");
	EXPECT_EQ(btf_size(split, own), 48);
	EXPECT_EQ(btf_find(split, "mine", BTF_KIND_TYPEDEF), own);
	EXPECT_EQ(btf_find(split, "fn", BTF_KIND_FUNC), func);
	EXPECT_EQ(btf_decl_tag_next(split, s, -1, "one:", 0, &rest), tag1);
	btf_put(split);
}

static void refusals(void) {
	struct btf_builder b;
	btf_builder_init(&b, NULL);
	btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, 7, 0);
	REFUSED(&b, BTF_STRICT, -EINVAL, "[1] PTR (anon) Invalid type_id");
	btf_builder_init(&b, NULL);
	btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, 7, 0);
	REFUSED(&b, 0, -EINVAL, "[1] PTR  refers to a type that does not exist");
	for (u32 flags = 0; flags <= BTF_STRICT; flags++) {
		btf_builder_init(&b, NULL);
		btf_builder_type(&b, "a", BTF_KIND_TYPEDEF, 0, 2, 0);
		btf_builder_type(&b, "b", BTF_KIND_TYPEDEF, 0, 1, 0);
		REFUSED(&b, flags, -EINVAL + (flags ? -EEXIST + EINVAL : 0),
			flags ? "[1] TYPEDEF a Loop detected" : "[2] TYPEDEF b contains itself");
	}
	btf_builder_init(&b, NULL);
	btf_builder_type(&b, "s", BTF_KIND_STRUCT, 1, 8, 3, 0, 1, 0);
	REFUSED(&b, 0, -EINVAL, "[1] STRUCT s contains itself");
	btf_builder_init(&b, NULL); /* a section by way of its variable */
	btf_builder_type(&b, "v", BTF_KIND_VAR, 0, 2, 1, 0);
	btf_builder_type(&b, ".data", BTF_KIND_DATASEC, 1, 4, 3, 1, 0, 4);
	REFUSED(&b, 0, -EINVAL, "[1] VAR v contains a variable or a section");
	btf_builder_init(&b, NULL);
	btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	btf_builder_type(&b, "s", BTF_KIND_STRUCT, 1, 4, 3, 0, 1, 8);
	REFUSED(&b, 0, -EINVAL, "[2] STRUCT s has a member that does not fit in it");
	/* A bit field inside the struct, but wider than its type. */
	btf_builder_init(&b, NULL);
	btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	u32 wide = btf_builder_type(&b, "s", BTF_KIND_STRUCT, 1, 32, 3, btf_builder_string(&b, "m"), 1, 200u << 24);
	btf_builder_at(&b, wide, 1)->info |= 1u << 31;
	REFUSED(&b, 0, -EINVAL, "[2] STRUCT s has a member that does not fit in it");
	btf_builder_init(&b, NULL);
	btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	btf_builder_type(&b, "s", BTF_KIND_STRUCT, 1, 4, 3, 0, 1, 8);
	REFUSED(&b, BTF_STRICT, -EINVAL, "[2] member (anon) Member exceeds struct_size");
	btf_builder_init(&b, NULL);
	btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, 1, 1, 0x7fffffff);
	REFUSED(&b, 0, -EINVAL, "[2] ARRAY  is too large");
	btf_builder_init(&b, NULL);
	btf_builder_type(&b, "9x", BTF_KIND_FWD, 0, 0, 0);
	REFUSED(&b, BTF_STRICT, -EINVAL, "[1] FWD 9x Invalid name");
	btf_builder_init(&b, NULL);
	btf_builder_type(&b, "v", BTF_KIND_VAR, 0, 0, 1, BTF_VAR_GLOBAL_EXTERN);
	REFUSED(&b, BTF_STRICT, -EINVAL, "[1] VAR v Invalid type_id");
	/* Deeper than the kernel goes, and deeper than anybody does. */
	for (u32 depth = 33; depth < 300; depth += 200) {
		struct btf *btf;
		for (u32 flags = 0; flags <= BTF_STRICT; flags++) {
			btf_builder_init(&b, NULL);
			for (u32 i = 1; i <= depth; i++)
				btf_builder_type(&b, "s", BTF_KIND_STRUCT, 1, 4, 3, 0, i + 1, 0);
			btf_builder_int(&b, "int", 4, 0);
			int err = build(&b, NULL, flags, &btf);
			EXPECT_EQ(err, flags ? -E2BIG : depth > 192 ? -EINVAL : 0);
			btf_put(btf);
			btf_builder_free(&b);
		}
	}
}

static void special_fields(void) {
	struct btf_builder b;
	struct btf *btf;
	btf_builder_init(&b, NULL);
	u32 u32_ = btf_builder_int(&b, "unsigned int", 4, 0);
	u32 lock = btf_builder_type(&b, "bpf_spin_lock", BTF_KIND_STRUCT, 1, 4, 3, 0, u32_, 0);
	u32 value = btf_builder_type(&b, "value", BTF_KIND_STRUCT, 2, 8, 6, 0, u32_, 0, 0, lock, 32);
	u32 twice = btf_builder_type(&b, "twice", BTF_KIND_STRUCT, 2, 12, 6, 0, value, 0, 0, lock, 64);
	u32 tag = btf_builder_type(&b, "kptr", BTF_KIND_TYPE_TAG, 0, value, 0);
	u32 ptr = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, tag, 0);
	u32 kp = btf_builder_type(&b, "kp", BTF_KIND_STRUCT, 1, 8, 3, 0, ptr, 0);
	EXPECT_EQ(build(&b, NULL, BTF_STRICT, &btf), -E2BIG); /* an object with two locks */
	EXPECT_EQ(build(&b, NULL, 0, &btf), 0);
	btf_builder_free(&b);
	struct btf_fields f;
	const char *why;
	EXPECT_EQ(btf_find_fields(btf, value, &f, &why), 0);
	EXPECT_EQ(f.spin_lock, 4);
	EXPECT_EQ(f.timer, -1);
	EXPECT_EQ(btf_find_fields(btf, twice, &f, &why), -E2BIG);
	EXPECT_EQ(f.spin_lock, -1);
	EXPECT(why);
	EXPECT_EQ(btf_find_fields(btf, kp, &f, &why), 0);
	EXPECT_EQ(f.kptrs, 1);
	EXPECT(f.n == 1 && f.list[0].kind == BTF_FIELD_KPTR && f.list[0].type_id == value && !f.list[0].off);
	EXPECT_EQ(btf_find_fields(btf, u32_, &f, &why), 0);
	EXPECT_EQ(f.spin_lock, -1);
	btf_put(btf);
}

static void kernel_btf(void) {
	struct btf *btf;
	int err = btf_read_file(NULL, NULL, 0, &last, &btf);
	EXPECT_EQ(err, 0);
	if (err) {
		printf("# %s\n", last.error);
		return;
	}
	u32 task = btf_find(btf, "task_struct", BTF_KIND_STRUCT);
	EXPECT(task && btf_size(btf, task) > 1000);
	EXPECT_EQ(btf_size(btf, btf_find(btf, "list_head", BTF_KIND_STRUCT)), 16);
	EXPECT(btf_member_index(btf, btf_type(btf, task), "comm") > 0);
	EXPECT_STR(btf_nearest_name(btf, "task_strukt", BTF_KIND_STRUCT), "task_struct");
	u32 n = 0;
	u64 cursor = 0;
	for (u32 id; (id = btf_next_named(btf, "list_head", 9, &cursor)); n++)
		EXPECT_STR(btf_name_of(btf, id), "list_head");
	EXPECT(n >= 1);
	btf_put(btf);
}

static void flavours(void) {
	EXPECT_EQ(btf_essential_len("task_struct"), 11);
	EXPECT_EQ(btf_essential_len("task_struct___old"), 11);
	EXPECT_EQ(btf_essential_len("___x"), 4);
	EXPECT_EQ(btf_essential_len("a___b"), 1);
	EXPECT_EQ(btf_essential_len("a____b"), 6);
	EXPECT_EQ(btf_essential_len("a___"), 4);
	EXPECT_EQ(btf_essential_len(""), 0);
}

int main(void) {
	RUN(headers);
	RUN(odd_header);
	RUN(kinds_and_sizes);
	RUN(refusals);
	RUN(special_fields);
	RUN(flavours);
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		SKIP("kernel_btf", "/sys/kernel/btf/vmlinux is not readable");
	else
		RUN(kernel_btf);
	return test_end();
}
