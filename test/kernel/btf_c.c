/* The kernel's types as C, through the compiler and back: every structure must have every member where the kernel has
 * it. btf_c CLANG */
#include "btf/btf.h"
#include "btf/dump.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVERY = 4 }; /* one in so many structures: the compiler takes its time */

static int write_text(void *file, const char *text, u64 size) {
	return fwrite(text, 1, size, file) == size ? 0 : -EIO;
}
/* The first of its name, and nothing else has the tag. */
static bool unique(const struct btf *btf, u32 id) {
	const struct btf_type *t = btf_type(btf, id);
	const char *name = btf_name(btf, t);
	static const u32 tags[] = {BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_ENUM, BTF_KIND_ENUM64};
	for (u32 i = 0; i < ARRAY_SIZE(tags); i++) {
		u32 other = btf_find(btf, name, tags[i]);
		if (other && other != id)
			return false;
	}
	for (; *name; name++)
		if (!(*name >= '0' && *name <= '9') && !((*name | 0x20) >= 'a' && (*name | 0x20) <= 'z') && *name != '_')
			return false;
	return *btf_name(btf, t);
}
static bool same_layout(const struct btf *a, const struct btf_type *x, const struct btf *b, const struct btf_type *y) {
	u32 j = 0;
	if (x->size != y->size)
		return false;
	for (u32 i = 0; i < btf_vlen(x); i++, j++) {
		while (j < btf_vlen(y) && !strncmp(btf_string(b, btf_members(y)[j].name_off), "__hole_", 7))
			j++;
		if (j == btf_vlen(y) || btf_member_bit_offset(x, i) != btf_member_bit_offset(y, j) ||
			btf_member_bitfield_size(x, i) != btf_member_bitfield_size(y, j) ||
			strcmp(btf_string(a, btf_members(x)[i].name_off), btf_string(b, btf_members(y)[j].name_off)))
			return false;
	}
	return true;
}
/* The BTF of an object file, by its magic number: the file is the compiler's, not an enemy's. */
static int read_object(const char *path, struct btf **out) {
	FILE *f = fopen(path, "rb");
	static u8 data[64 << 20];
	size_t n = f ? fread(data, 1, sizeof data, f) : 0;
	if (f)
		fclose(f);
	for (size_t i = 0; i + sizeof(struct btf_header) < n; i += 4) {
		struct btf_header h;
		memcpy(&h, data + i, sizeof h);
		if (h.magic == BTF_MAGIC && h.version == 1 && h.hdr_len == sizeof h && h.str_len &&
			!btf_parse(data + i, sizeof h + (u64)h.str_off + h.str_len, NULL, 0, NULL, out))
			return 0;
	}
	return -EINVAL;
}

int main(int argc, char **argv) {
	struct btf *kernel, *back = NULL;
	struct btf_log log = {0};
	char dir[] = "/tmp/skep-btf-XXXXXX", path[64], object[64];
	if (btf_read_file(NULL, NULL, 0, &log, &kernel)) {
		printf("ok 1 - btf_c # SKIP /sys/kernel/btf/vmlinux cannot be read\n1..1\n");
		return 0;
	}
	if (!mkdtemp(dir))
		return 2;
	snprintf(path, sizeof path, "%s/types.c", dir), snprintf(object, sizeof object, "%s/types.o", dir);
	FILE *f = fopen(path, "w");
	int err = f ? btf_dump_c(kernel, BTF_C_VMLINUX, write_text, f) : -errno;
	u32 asked = 0, same = 0;
	for (u32 id = 1; id < kernel->end && !err; id++) {
		const struct btf_type *t = btf_type(kernel, id);
		if (btf_is_composite(t) && unique(kernel, id) && id % EVERY == 0 && strcmp(btf_name(kernel, t), "warn_args")) {
			const char *tag = btf_kind(t) == BTF_KIND_UNION ? "union" : "struct", *name = btf_name(kernel, t);
			fprintf(f, "_Static_assert(sizeof(%s %s) == %u, \"size of %s\");\n%s %s v%u;\n", tag, name, t->size, name,
					tag, name, id);
			asked++;
		}
	}
	fclose(f);
	pid_t pid = fork();
	if (!pid) {
		execlp(argc > 1 ? argv[1] : "clang", "clang", "-target", "bpf", "-g", "-O0", "-w", "-fno-common", "-c", path,
			   "-o", object, (char *)NULL);
		_exit(127);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	if (!err && !status)
		err = read_object(object, &back);
	for (u32 id = 1; id < kernel->end && back; id++) {
		const struct btf_type *t = btf_type(kernel, id);
		if (!btf_is_composite(t) || !unique(kernel, id) || id % EVERY || !strcmp(btf_name(kernel, t), "warn_args"))
			continue;
		u32 other = btf_find(back, btf_name(kernel, t), btf_kind(t));
		if (other && same_layout(kernel, t, back, btf_type(back, other)))
			same++;
		else
			printf("# %s %s differs\n", btf_kind_name(btf_kind(t)), btf_name(kernel, t));
	}
	unlink(path), unlink(object), rmdir(dir);
	bool good = !err && !status && asked && same == asked;
	printf("%s 1 - btf_c: %u of %u structures have every member in its place; dump %d, compiler %d\n1..1\n",
		   good ? "ok" : "not ok", same, asked, err, status);
	btf_put(back);
	btf_put(kernel);
	return !good;
}
