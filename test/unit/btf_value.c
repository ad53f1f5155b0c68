/* Values by type, and CO-RE relocations between two small BTFs. */
#include "test.h"
#include "btf/builder.h"
#include "btf/core.h"
#include "btf/ext.h"
#include "btf/value.h"
#include <errno.h>

static char out[1024];
static void say(const char *s) {
	strncat(out, s, sizeof out - strlen(out) - 1);
}
static void begin(void *owner, enum btf_value_group group, const char *key, u32 index) {
	if (key)
		say(key), say("=");
	say(group == BTF_GROUP_ARRAY ? "[" : "{");
}
static void end(void *owner, enum btf_value_group group) {
	say(group == BTF_GROUP_ARRAY ? "]" : "}");
}
static void scalar(void *owner, const char *key, u32 index, const struct btf_value *v) {
	char text[128];
	if (key)
		say(key), say("=");
	switch (v->kind) {
	case BTF_VALUE_SIGNED:
		snprintf(text, sizeof text, "%lld ", (long long)v->i);
		break;
	case BTF_VALUE_STRING:
	case BTF_VALUE_ENUM:
		snprintf(text, sizeof text, "%.*s ", (int)v->size, v->text);
		break;
	case BTF_VALUE_POINTER:
		snprintf(text, sizeof text, "0x%llx ", (unsigned long long)v->u);
		break;
	case BTF_VALUE_FLOAT:
		snprintf(text, sizeof text, "%g ", v->f);
		break;
	case BTF_VALUE_WIDE:
		snprintf(text, sizeof text, "%llx:%llx ", (unsigned long long)v->wide[1],
			 (unsigned long long)v->wide[0]);
		break;
	case BTF_VALUE_BYTES:
		snprintf(text, sizeof text, "<%u> ", v->size);
		break;
	default:
		snprintf(text, sizeof text, "%llu ", (unsigned long long)v->u);
	}
	say(text);
}
static const struct btf_visitor visitor = {NULL, begin, end, scalar};
#define VALUE(id, data, text)                                                     \
	do {                                                                      \
		out[0] = 0;                                                       \
		EXPECT_EQ(btf_visit(btf, id, data, sizeof *(data), &visitor), 0); \
		EXPECT_STR(out, text);                                            \
	} while (0)

static struct btf *finish(struct btf_builder *b) {
	const void *data;
	u32 size;
	struct btf *btf;
	struct btf_log log = {0};
	EXPECT_EQ(btf_builder_blob(b, &data, &size), 0);
	int err = btf_parse(data, size, NULL, BTF_STRICT, &log, &btf);
	EXPECT_EQ(err, 0);
	if (err)
		printf("# %s\n", log.error);
	btf_builder_free(b);
	return btf;
}

enum colour { RED = 1, BLUE = -2 };
struct sample {
	char comm[8];
	s32 n;
	u32 a : 3;
	s32 b : 5;
	_Bool on : 1;
	u16 list[3];
	enum colour c;
	void *p;
	double d;
	union {
		u64 x;
		u8 y[8];
	};
};

static void values(void) {
	struct btf_builder b;
	btf_builder_init(&b, NULL);
	u32 ch = btf_builder_int(&b, "char", 1, BTF_INT_SIGNED), s32_ = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	u32 u32_ = btf_builder_int(&b, "unsigned int", 4, 0), u16_ = btf_builder_int(&b, "unsigned short", 2, 0);
	u32 u64_ = btf_builder_int(&b, "unsigned long", 8, 0), u8_ = btf_builder_int(&b, "unsigned char", 1, 0);
	u32 bool_ = btf_builder_int(&b, "_Bool", 1, BTF_INT_BOOL),
	    wide = btf_builder_int(&b, "__int128", 16, BTF_INT_SIGNED);
	u32 dbl = btf_builder_type(&b, "double", BTF_KIND_FLOAT, 0, 8, 0);
	u32 comm = btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, ch, u32_, 8);
	u32 list = btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, u16_, u32_, 3);
	u32 bytes = btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, u8_, u32_, 8);
	u32 ptr = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, 0, 0);
	u32 colour = btf_builder_type(&b, "colour", BTF_KIND_ENUM, 2, 4, 4, btf_builder_string(&b, "RED"), 1,
				      btf_builder_string(&b, "BLUE"), -2);
	btf_builder_at(&b, colour, 1)->info |= 1u << 31;
	u32 un = btf_builder_type(&b, NULL, BTF_KIND_UNION, 2, 8, 6, btf_builder_string(&b, "x"), u64_, 0,
				  btf_builder_string(&b, "y"), bytes, 0);
	static const char *const names[] = {"comm", "n", "a", "b", "on", "list", "c", "p", "d", ""};
	const u32 types[] = {comm, s32_, u32_, s32_, bool_, list, colour, ptr, dbl, un};
	const u32 offsets[] = {0, 64, 3 << 24 | 96, 5 << 24 | 99, 1 << 24 | 104, 112, 160, 192, 256, 320};
	u32 name_offs[10];
	for (u32 i = 0; i < 10; i++)
		name_offs[i] = btf_builder_string(&b, names[i]);
	u32 s = btf_builder_type(&b, "sample", BTF_KIND_STRUCT, 10, sizeof(struct sample), 0);
	for (u32 i = 0; i < 10; i++)
		btf_builder_word(&b, name_offs[i]), btf_builder_word(&b, types[i]), btf_builder_word(&b, offsets[i]);
	btf_builder_at(&b, s, 1)->info |= 1u << 31;
	struct btf *btf = finish(&b);
	if (!btf)
		return;

	struct sample v = {"bash", -5, 5, -3, 1, {1, 2, 3}, BLUE, (void *)0x1234, 1.5, {.x = 258}};
	VALUE(s, &v, "{comm=bash n=-5 a=5 b=-3 on=1 list=[1 2 3 ]c=BLUE p=0x1234 d=1.5 x=258 y=[2 1 0 0 0 0 0 0 ]}");
	v.comm[1] = 1, v.c = 7;
	VALUE(s, &v,
	      "{comm=[98 1 115 104 0 0 0 0 ]n=-5 a=5 b=-3 on=1 list=[1 2 3 ]c=7 p=0x1234 d=1.5 x=258 y=[2 1 0 0 0 0 0 "
	      "0 ]}");
	struct {
		u64 low, high;
	} w = {5, 1};
	VALUE(wide, &w, "1:5 ");
	EXPECT_EQ(btf_visit(btf, s, &v, sizeof v - 1, &visitor), -E2BIG);
	EXPECT_EQ(btf_visit(btf, 0, &v, sizeof v, &visitor), -EINVAL);
	EXPECT_EQ(btf_align(btf, s), 8);
	btf_put(btf);
}

/* struct task { int pid; struct { u32 flags; u64 extra[2]; }; } in the local BTF; elsewhere in the target. */
static struct btf *task_btf(bool target) {
	struct btf_builder b;
	btf_builder_init(&b, NULL);
	if (target)
		btf_builder_int(&b, "padding", 4, 0);
	u32 s32_ = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED), u32_ = btf_builder_int(&b, "unsigned int", 4, 0);
	u32 u64_ = btf_builder_int(&b, "unsigned long", 8, 0);
	u32 array = btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, u64_, u32_, 2);
	u32 flags_n = btf_builder_string(&b, "flags"), extra_n = btf_builder_string(&b, "extra");
	u32 pid_n = btf_builder_string(&b, "pid");
	u32 anon =
	    btf_builder_type(&b, NULL, BTF_KIND_STRUCT, 2, 24, 6, flags_n, target ? u64_ : u32_, 0, extra_n, array, 64);
	if (target)
		btf_builder_type(&b, "task", BTF_KIND_STRUCT, 2, 40, 6, 0, anon, 64, pid_n, s32_, 256);
	else
		btf_builder_type(&b, "task___mine", BTF_KIND_STRUCT, 2, 32, 6, pid_n, s32_, 0, 0, anon, 64);
	btf_builder_type(&b, "e", BTF_KIND_ENUM, 1, 4, 2, btf_builder_string(&b, "E_ONE"), target ? 7 : 1);
	btf_builder_type(&b, "0:0", BTF_KIND_TYPE_TAG, 0, u32_, 0);
	btf_builder_type(&b, "0:1:0", BTF_KIND_TYPE_TAG, 0, u32_, 0);
	btf_builder_type(&b, "0:1:1:1", BTF_KIND_TYPE_TAG, 0, u32_, 0);
	btf_builder_type(&b, "0", BTF_KIND_TYPE_TAG, 0, u32_, 0);
	btf_builder_type(&b, "0:9", BTF_KIND_TYPE_TAG, 0, u32_, 0);
	btf_builder_type(&b, "gone", BTF_KIND_STRUCT, 1, 4, 3, pid_n, s32_, 0);
	return finish(&b);
}

static u32 path(const struct btf *btf, const char *text) {
	u32 id = btf_find(btf, text, BTF_KIND_TYPE_TAG);
	EXPECT(id);
	return btf_type(btf, id)->name_off;
}

static void core(void) {
	struct btf *local = task_btf(false), *target = task_btf(true);
	struct btf_core *c = btf_core_create(local, target);
	struct btf_core_value v;
	u32 task = btf_find(local, "task___mine", BTF_KIND_STRUCT), gone = btf_find(local, "gone", BTF_KIND_STRUCT);
	struct bpf_core_relo r = {0, task, path(local, "0:0"), BPF_CORE_FIELD_BYTE_OFFSET};
	for (u32 again = 0; again < 2; again++) {
		EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
		EXPECT_EQ(v.local, 0);
		EXPECT_EQ(v.target, 32);
		EXPECT(v.validate && !v.poison && !v.size_conflict);
	}
	r.access_str_off = path(local, "0:1:0"); /* flags: 32 bits here, 64 there */
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT_EQ(v.local, 8);
	EXPECT_EQ(v.target, 8);
	EXPECT_EQ(v.local_size, 4);
	EXPECT_EQ(v.target_size, 8);
	EXPECT(!v.size_conflict);
	r.access_str_off = path(local, "0:1:1:1"); /* extra[1] */
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT_EQ(v.target, 24);
	r.kind = BPF_CORE_FIELD_SIGNED, r.access_str_off = path(local, "0:0");
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT_EQ(v.target, 1);
	r.kind = BPF_CORE_TYPE_SIZE, r.access_str_off = path(local, "0");
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT_EQ(v.local, 32);
	EXPECT_EQ(v.target, 40);
	r.kind = BPF_CORE_TYPE_MATCHES;
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT_EQ(v.target, 0); /* flags differs in size */
	r.kind = BPF_CORE_TYPE_EXISTS;
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT_EQ(v.target, 1);
	r.type_id = gone, r.kind = BPF_CORE_FIELD_BYTE_OFFSET, r.access_str_off = path(local, "0:0");
	/* The target has it as well here; ask for a type that only a name away exists. */
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT(!v.poison);
	r = (struct bpf_core_relo){0, btf_find(local, "e", BTF_KIND_ENUM), path(local, "0"), BPF_CORE_ENUMVAL_VALUE};
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT_EQ(v.local, 1);
	EXPECT_EQ(v.target, 7);
	r = (struct bpf_core_relo){0, task, path(local, "0:9"), BPF_CORE_FIELD_EXISTS};
	EXPECT_EQ(btf_core_resolve(c, &r, &v), -EINVAL);
	EXPECT(strstr(v.why, "0:9"));
	btf_core_free(c);

	/* Against a BTF without the type: poison for offsets, no for existence. */
	struct btf_builder b;
	btf_builder_init(&b, NULL);
	btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	struct btf *empty = finish(&b);
	c = btf_core_create(local, empty);
	r = (struct bpf_core_relo){0, task, path(local, "0:0"), BPF_CORE_FIELD_BYTE_OFFSET};
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT(v.poison);
	EXPECT_STR(v.why, "byte_off of struct task___mine.pid: it has no type of that name");
	r.kind = BPF_CORE_FIELD_EXISTS;
	EXPECT_EQ(btf_core_resolve(c, &r, &v), 0);
	EXPECT(!v.poison && !v.target);
	r.kind = 99;
	EXPECT_EQ(btf_core_resolve(c, &r, &v), -EINVAL);
	btf_core_free(c);
	btf_put(empty), btf_put(local), btf_put(target);
}

static void ext_layout(void) {
	struct btf *btf = task_btf(false);
	struct btf_ext *ext;
	struct btf_log log = {0};
	struct {
		struct btf_ext_header h;
		u32 func_size;
		struct btf_ext_info_sec sec;
		struct bpf_func_info f[2];
	} blob = {{BTF_MAGIC, 1, 0, sizeof blob.h, 0, 28, 28, 0, 28, 0}, 8, {path(btf, "0:0"), 2}, {{0, 1}, {8, 2}}};
	EXPECT_EQ(btf_ext_parse(&blob, sizeof blob, btf, &log, &ext), 0);
	const struct btf_ext_section *s = btf_ext_find(&ext->func, "0:0");
	EXPECT(s && s->n == 2);
	EXPECT_EQ(btf_func_info(&ext->func, s, 1)->type_id, 2);
	EXPECT(!btf_ext_find(&ext->line, "0:0"));
	btf_ext_free(ext);
	for (u64 size = 0; size < sizeof blob; size++)
		EXPECT(btf_ext_parse(&blob, size, btf, &log, &ext) < 0);
	blob.sec.num_info = 3;
	EXPECT_EQ(btf_ext_parse(&blob, sizeof blob, btf, &log, &ext), -EINVAL);
	EXPECT_STR(log.error, ".BTF.ext: func_info is cut short");
	blob.sec.num_info = 0x20000000;
	EXPECT_EQ(btf_ext_parse(&blob, sizeof blob, btf, &log, &ext), -EINVAL);
	blob.sec.num_info = 2, blob.func_size = 6;
	EXPECT_EQ(btf_ext_parse(&blob, sizeof blob, btf, &log, &ext), -EINVAL);
	btf_put(btf);
}

int main(void) {
	RUN(values);
	RUN(core);
	RUN(ext_layout);
	return test_end();
}
