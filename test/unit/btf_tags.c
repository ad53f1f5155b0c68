/* Type tags of pointers in structs with special fields, as BPF_BTF_LOAD looks at them: each struct has one pointer with a
 * known tag or a spin lock, or neither, and one with the tag at hand. */
#include "test.h"
#include "btf/builder.h"
#include <errno.h>

static u32 tagged(struct btf_builder *b, const char *tag, u32 to) {
	u32 id = btf_builder_type(b, tag, BTF_KIND_TYPE_TAG, 0, to, 0);
	return btf_builder_type(b, NULL, BTF_KIND_PTR, 0, id, 0);
}
static int check(const char *first, const char *tag) {
	struct btf_builder b;
	struct btf *btf = NULL;
	const void *data;
	u32 size, object, one, other;
	btf_builder_init(&b, NULL);
	object = btf_builder_type(&b, "object", BTF_KIND_STRUCT, 0, 0, 0);
	if (!strcmp(first, "bpf_spin_lock"))
		one = btf_builder_type(&b, first, BTF_KIND_STRUCT, 0, 4, 0);
	else
		one = *first ? tagged(&b, first, object) : btf_builder_int(&b, "long", 8, BTF_INT_SIGNED);
	other = tagged(&b, tag, object);
	u32 name = btf_builder_string(&b, "a");
	btf_builder_type(&b, "value", BTF_KIND_STRUCT, 2, 16, 6, name, one, 0, name, other, 64);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	int err = btf_parse(data, size, NULL, BTF_STRICT, NULL, &btf);
	if (!err)
		btf_put(btf);
	btf_builder_free(&b);
	return err;
}

static void tags(void) {
	EXPECT_EQ(check("kptr", "kptr_untrusted"), 0);
	EXPECT_EQ(check("kptr", "kptr_ref"), -EINVAL);
	EXPECT_EQ(check("bpf_spin_lock", "kptr_ref"), -EINVAL);
	EXPECT_EQ(check("bpf_spin_lock", "percpu_kptr"), 0);
	EXPECT_EQ(check("", "kptr_ref"), 0); /* nothing special: nobody looks */
	EXPECT_EQ(check("", "user"), 0);
	EXPECT_EQ(check("", "kptr"), 0);
}

int main(void) {
	RUN(tags);
	return test_end();
}
