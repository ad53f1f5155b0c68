/* Opening objects: what is found in good ones, and one clear sentence for each kind of bad one. Nothing here needs bpf(). */
#include "test.h"
#include "lib/object.h"
#include "runtime/engine.h"
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

static char sentence[1024], suggestion[512];
static u32 said;
static void say(void *owner, const struct skep_diagnostic *d) {
	said++;
	snprintf(sentence, sizeof sentence, "%s", d->sentence);
	snprintf(suggestion, sizeof suggestion, "%s", d->suggestion ? d->suggestion : "");
}
/* Takes everything; counts. */
static u32 created, programs_loaded, updates, frozen;
static int64_t take(void *owner, unsigned cmd, void *attr, unsigned size) {
	static int next = 100;
	created += cmd == BPF_MAP_CREATE, programs_loaded += cmd == BPF_PROG_LOAD, updates += cmd == BPF_MAP_UPDATE_ELEM;
	frozen += cmd == BPF_MAP_FREEZE;
	return cmd == BPF_MAP_UPDATE_ELEM || cmd == BPF_MAP_FREEZE || cmd == BPF_PROG_BIND_MAP ? 0
	       : cmd == BPF_OBJ_GET                                                           ? -ENOENT
	                                                                                      : next++;
}
static struct skep_object_opts opts = {.size = sizeof opts, .diagnostic = say, .bpf = take, .btf_path = TEST_OBJECTS "/core.bpf.o"};

static struct skep_object *open_object(const char *name) {
	struct skep_object *o = NULL;
	char path[512];
	snprintf(path, sizeof path, "%s/%s.bpf.o", TEST_OBJECTS, name);
	said = 0;
	EXPECT_EQ(skep_object__open_file(path, &opts, &o), 0);
	if (!o)
		printf("# %s\n", sentence);
	return o;
}
static u8 *read_object(const char *name, u64 *size) {
	char path[512];
	snprintf(path, sizeof path, "%s/%s.bpf.o", TEST_OBJECTS, name);
	FILE *f = fopen(path, "rb");
	u8 *data = malloc(1 << 20);
	*size = f ? fread(data, 1, 1 << 20, f) : 0;
	if (f)
		fclose(f);
	return data;
}
/* Opening these bytes gives that errno, one sentence with these words, and a remedy. */
static void refused(const void *data, u64 size, int err, const char *words) {
	struct skep_object *o = (void *)1;
	said = 0, *sentence = 0;
	EXPECT_EQ(skep_object__open_mem(data, size, &opts, &o), err);
	EXPECT(!o);
	EXPECT_EQ(said, 1);
	if (!strstr(sentence, words))
		EXPECT_STR(sentence, words);
	EXPECT(*suggestion);
}

static void bad_files(void) {
	u64 size;
	u8 *data = read_object("maps", &size);
	Elf64_Ehdr *h = (void *)data;
	static const char text[] = "int main(void) { return 0; }\n";
	refused("", 0, -EINVAL, "is empty");
	refused(text, sizeof text - 1, -EINVAL, "is text, not an eBPF object");
	refused("BC\xc0\xde....", 8, -EINVAL, "is LLVM bitcode");
	refused("\x7f" "ELF\x01\x01", 20, -EINVAL, "32-bit");
	for (u64 n = 0; n < size; n += 97)
		if (n != 0)
			refused(data, n, -EINVAL, "");
	refused(data, size - 100, -EINVAL, "is cut short: its section table ends");
	h->e_machine = EM_X86_64;
	refused(data, size, -EINVAL, "is an x86-64 ELF file");
	h->e_machine = __builtin_bswap16(247), h->e_ident[EI_DATA] = ELFDATA2MSB;
	refused(data, size, -EINVAL, "is a big-endian eBPF object");
	EXPECT(strstr(suggestion, "bpfel"));
	h->e_machine = 247, h->e_ident[EI_DATA] = ELFDATA2LSB, h->e_type = ET_EXEC;
	refused(data, size, -EINVAL, "is not a relocatable object");
	free(data);
	struct skep_object *o;
	EXPECT_EQ(skep_object__open_file("/no/such/file.o", &opts, &o), -ENOENT);
	EXPECT(strstr(sentence, "/no/such/file.o cannot be read"));
	EXPECT_EQ(skep_object__open_file("/", &opts, &o), -EINVAL);
	struct skep_object_opts newer[2] = {{.size = sizeof newer}};
	((u8 *)newer)[sizeof newer - 1] = 1;
	EXPECT_EQ(skep_object__open_mem("", 0, newer, &o), -E2BIG);
}

static void maps(void) {
	struct skep_object *o = open_object("maps");
	if (!o)
		return;
	struct skep_map *m = skep_object__find_map(o, "locked");
	EXPECT(m && skep_map__type(m) == BPF_MAP_TYPE_HASH && skep_map__key_size(m) == 16 && skep_map__value_size(m) == 48);
	EXPECT(skep_map__key_type(m) && skep_map__value_type(m) && !skep_map__is_internal(m));
	EXPECT_EQ(skep_map__max_entries(skep_object__find_map(o, "odd_ring")), 131072);
	m = skep_object__find_map(o, "outer_with_a_rather_long_name");
	EXPECT(m && m->inner && m->inner->type == BPF_MAP_TYPE_ARRAY && m->slots.n == 2);
	EXPECT_STR(m->kernel_name, "outer_with_a_ra");
	EXPECT_EQ(skep_object__find_map(o, "jumps")->slots.n, 2);
	EXPECT(!skep_object__find_map(o, "nothing"));
	EXPECT_EQ(skep_map__fd(m), -EBADF);
	created = programs_loaded = updates = 0;
	EXPECT_EQ(skep_object__load(o, NULL), 0);
	EXPECT_EQ(programs_loaded, 3);
	EXPECT(created >= 13); /* two inner templates among them; constants may lie in maps of their own */
	EXPECT(updates >= 5);
	EXPECT(skep_map__fd(m) >= 0);
	skep_object__close(o);
}

static void programs(void) {
	struct skep_object *o = open_object("sections");
	if (!o)
		return;
	struct skep_program *p = skep_object__find_program(o, "p");
	EXPECT(p && skep_program__type(p) == BPF_PROG_TYPE_XDP && p->def->flags & SECTION_FRAGS);
	EXPECT_STR(skep_program__section(p), "xdp.frags");
	EXPECT(!skep_program__autoload(skep_object__find_program(o, "au")));
	EXPECT_EQ(skep_program__expected_attach_type(skep_object__find_program(o, "y")), BPF_CGROUP_INET4_CONNECT);
	EXPECT_EQ(skep_program__type(skep_object__find_program(o, "g")), BPF_PROG_TYPE_KPROBE);
	/* A section nobody knows, when it comes to loading. */
	p = skep_object__find_program(o, "av");
	EXPECT_EQ(skep_program__load(p, NULL), -EINVAL);
	EXPECT(strstr(sentence, "section «no_such_section»"));
	EXPECT_EQ(skep_program__set_type(p, BPF_PROG_TYPE_XDP, 0), 0);
	EXPECT_EQ(skep_program__load(p, NULL), 0);
	EXPECT_EQ(skep_program__set_type(p, BPF_PROG_TYPE_XDP, 0), -EBUSY);
	skep_object__close(o);
}

static void subprograms(void) {
	struct skep_object *o = open_object("calls");
	if (!o)
		return;
	struct skep_program *p = skep_object__find_program(o, "first");
	size_t n = 0;
	const struct bpf_insn *in = p ? skep_program__insns(p, &n) : NULL;
	EXPECT(in && p->parts_n == 6); /* itself, each, step, global_one, middle, leaf */
	EXPECT_EQ(p->func_info_n, p->parts_n);
	for (u32 i = 0; in && i < n; i++) {
		bool call = insn_is_pseudo_call(&in[i]) || insn_is_pseudo_func(&in[i]), hit = !call;
		for (u32 k = 0; k < p->parts_n && call; k++)
			hit |= (s64)i + in[i].imm + 1 == p->parts[k].start;
		EXPECT(hit);
		i += insn_is_ldimm64(&in[i]);
	}
	/* Hidden functions are not verified for themselves. */
	u32 id = btf_find(o->btf, "hidden_one", BTF_KIND_FUNC);
	EXPECT(id && btf_vlen(btf_type(o->btf, id)) == BTF_FUNC_STATIC);
	EXPECT(!skep_program__autoload(skep_object__find_program(o, "optional")));
	EXPECT(!skep_object__find_program(o, "global_one"));
	skep_object__close(o);
}

static void data(void) {
	struct skep_object *o = open_object("data");
	if (!o)
		return;
	struct skep_map *m = skep_object__find_map(o, ".rodata");
	EXPECT(m && skep_map__is_internal(m) && skep_map__flags(m) & BPF_F_RDONLY_PROG && m->data);
	EXPECT_STR(skep_map__name(m), "data.rodata");
	EXPECT_STR(skep_map__name(skep_object__find_map(o, ".data.tables")), ".data.tables");
	EXPECT_EQ(skep_map__flags(skep_object__find_map(o, ".data.hidden")) & BPF_F_MMAPABLE, 0);
	EXPECT_STR(o->license, "Dual BSD/GPL");
	EXPECT_EQ(o->kern_version, 0x60c00);
	created = frozen = 0;
	EXPECT_EQ(skep_object__load(o, NULL), 0);
	EXPECT_EQ(frozen, 2);
	/* Offsets of variables come from the symbol table. */
	const struct btf_type *t = btf_type(o->btf, btf_find(o->btf, ".data.tables", BTF_KIND_DATASEC));
	EXPECT_EQ(t->size, 32);
	struct btf *strict;
	struct btf_log log = {0};
	EXPECT_EQ(btf_parse(o->btf->data, o->btf->data_size, NULL, BTF_STRICT, &log, &strict), 0);
	btf_put(strict);
	skep_object__close(o);
}

static void legacy_and_dialect(void) {
	struct skep_object *o = open_object("legacy");
	struct skep_map *m = o ? skep_object__find_map(o, "counts") : NULL;
	EXPECT(m && skep_map__type(m) == BPF_MAP_TYPE_HASH && skep_map__max_entries(m) == 100 && skep_map__value_type(m));
	EXPECT(o && skep_program__type(skep_object__next_program(o, NULL)) == BPF_PROG_TYPE_SOCKET_FILTER);
	skep_object__close(o);

	o = open_object("hand");
	if (!o)
		return;
	struct skep_program *p = skep_object__find_program(o, "syscall__openat");
	size_t n = 0;
	const struct bpf_insn *in = p ? skep_program__insns(p, &n) : NULL;
	EXPECT_STR(skep_program__section(p), "ksyscall/openat");
	EXPECT(in && in[1].off == 112 && p->parts_n == 3 && p->func_info_n == 3); /* the entry, the function, note */
	EXPECT_STR(skep_program__section(skep_object__find_program(o, "kprobe__vfs_read")), "kprobe/vfs_read");
	EXPECT_STR(skep_program__section(skep_object__find_program(o, "tracepoint__syscalls__sys_enter_close")),
	           "tracepoint/syscalls/sys_enter_close");
	p = skep_object__find_program(o, "attached_by_hand");
	EXPECT(p && p->by_hand && skep_program__autoload(p) && !*skep_program__section(p));
	EXPECT_EQ(skep_object__load(o, NULL), 0);
	skep_object__close(o);
}

static void values_of_the_configuration(void) {
	struct skep_object *o;
	char path[512];
	snprintf(path, sizeof path, "%s/externs.bpf.o", TEST_OBJECTS);
	opts.kconfig = "# CONFIG_X is not set\nCONFIG_BPF_SYSCALL=y\nCONFIG_NET=m\nCONFIG_HZ=250\nCONFIG_CC_VERSION_TEXT=\"gcc\"\n";
	EXPECT_EQ(skep_object__open_file(path, &opts, &o), 0);
	EXPECT_EQ(skep_object__load(o, NULL), 0);
	const u8 *data = skep_object__find_map(o, ".kconfig")->data;
	for (u32 i = 0; i < o->externs.n; i++) {
		const struct extern_ *e = &o->externs.at[i];
		u32 word = 0;
		if (e->kind == EXTERN_KCONFIG)
			memcpy(&word, data + e->kconfig.off, MIN(e->kconfig.size, 4u));
		if (!strcmp(e->name, "CONFIG_HZ"))
			EXPECT_EQ(word, 250);
		else if (!strcmp(e->name, "CONFIG_NET"))
			EXPECT_EQ(word, 2);
		else if (!strcmp(e->name, "CONFIG_BPF_SYSCALL"))
			EXPECT_EQ(word, 1);
		else if (!strcmp(e->name, "CONFIG_CC_VERSION_TEXT"))
			EXPECT_STR((const char *)data + e->kconfig.off, "gcc");
	}
	skep_object__close(o);
	opts.kconfig = "CONFIG_BPF_SYSCALL=12\n";
	EXPECT_EQ(skep_object__open_file(path, &opts, &o), 0);
	EXPECT_EQ(skep_object__load(o, NULL), -EINVAL);
	EXPECT(strstr(sentence, "CONFIG_BPF_SYSCALL=12"));
	skep_object__close(o);
	opts.kconfig = "CONFIG_BPF_SYSCALL=y\n";
	EXPECT_EQ(skep_object__open_file(path, &opts, &o), 0);
	EXPECT_EQ(skep_object__load(o, NULL), -ESRCH);
	EXPECT(strstr(sentence, "«CONFIG_NET»"));
	skep_object__close(o);
	opts.kconfig = NULL;
}

/* Programs that are functions of a structure of the kernel's: numbers by the kernel's types, not by the object's. */
static struct skep_engine *engine_with(const struct btf *types) {
	struct engine_opts engine_opts = {.size = sizeof engine_opts, .backing = BACKING_ANONYMOUS, .kernel_btf = types};
	struct skep_engine *e = NULL;
	EXPECT_EQ(engine_create(&engine_opts, &e), 0);
	return e;
}

static void struct_ops(void) {
	struct skep_object_opts own = {.size = sizeof own, .diagnostic = say};
	struct skep_object *kernel = open_object("struct_ops_kernel"), *o = open_object("struct_ops");
	struct skep_engine *typed, *plain;
	if (!kernel || !o)
		return;
	typed = engine_with(skep_object__btf(kernel)), plain = engine_with(NULL);
	o->opts = kernel->opts = own;
	EXPECT(skep_object__needs_kernel(o));
	EXPECT(!skep_program__autoload(skep_object__find_program(o, "on_demand")));
	EXPECT_EQ(skep_object__load(o, typed), 0);
	EXPECT(skep_program__fd(skep_object__find_program(o, "first")) >= 0);
	EXPECT(skep_program__fd(skep_object__find_program(o, "sleeps")) >= 0);
	EXPECT_EQ(skep_map__value_size(skep_object__find_map(o, "linked")), 32);
	EXPECT_EQ(skep_map__flags(skep_object__find_map(o, "linked")), BPF_F_LINK);
	EXPECT_EQ(skep_map__flags(skep_object__find_map(o, "plain")), 0);
	EXPECT(skep_map__fd(skep_object__find_map(o, "plain")) >= 0);
	EXPECT(skep_map__fd(skep_object__find_map(o, "later")) < 0);
	EXPECT(!skep_map__is_internal(skep_object__find_map(o, "plain")));
	EXPECT_EQ(skep_program__load(skep_object__find_program(o, "on_demand"), typed), 0);
	EXPECT_EQ(skep_program__load(skep_object__find_program(o, "unused"), typed), -EINVAL);
	EXPECT(strstr(sentence, "no variable of this object has it as a member"));
	EXPECT_EQ(skep_object__load(kernel, typed), -ENOTSUP);
	EXPECT(strstr(sentence, "sets member «more», which struct «bpf_dummy_ops» of the kernel's BTF does not have"));
	skep_object__close(o);
	o = open_object("struct_ops");
	o->opts = own;
	EXPECT_EQ(skep_object__load(o, plain), -EOPNOTSUPP);
	EXPECT(strstr(sentence, "it replaces a part of the kernel"));
	skep_object__close(o);
	engine_destroy(plain);
	engine_destroy(typed);
	skep_object__close(kernel);
}

static void compiler(void) {
	struct skep_compile_opts c = {.size = sizeof c, .diagnostic = say, .clang = "/no/such/clang"};
	said = 0;
	EXPECT_EQ(skep_compile("/no/such/source.c", "/dev/null", &c), -ENOENT);
	EXPECT(strstr(sentence, "/no/such/source.c cannot be read"));
	EXPECT_EQ(skep_compile("/etc/hostname", "/dev/null", &c), -ENOENT);
	EXPECT(strstr(sentence, "/no/such/clang is not a program"));
	EXPECT_EQ(said, 2);
}

int main(void) {
	RUN(bad_files);
	RUN(maps);
	RUN(programs);
	RUN(subprograms);
	RUN(data);
	RUN(legacy_and_dialect);
	RUN(values_of_the_configuration);
	RUN(struct_ops);
	RUN(compiler);
	return test_end();
}
