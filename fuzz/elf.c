/* Object files, mutated: a million of them must neither crash the loader nor make it say nothing.
 *
 *     elf ITERATIONS [--seed N] [--canary] OBJECT…
 *     elf --one FILE           runs one file that was kept
 *
 * Built with AddressSanitizer and UndefinedBehaviorSanitizer. A valid object is changed where changes matter: fields of
 * the ELF header, of section headers, symbols and relocations; words of BTF and BTF.ext (types, vlen, sizes, offsets),
 * of map definitions and instructions; bits, bytes and lengths anywhere; or it is cut short. Then it is opened; if it
 * opens, it is loaded into an engine that takes everything (a bpf function that hands out numbers), every program is
 * linked, every type is printed, values are walked, the BTF also goes through the kernel's rules. Every refusal must
 * have said a sentence. The input that is being looked at lies in a shared mapping of the file `elf.crash`, which a
 * crash leaves behind. */
#include "btf/btf.h"
#include "btf/dump.h"
#include "btf/value.h"
#include "lib/object.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 1 << 16, CORPUS = 1024 };
static struct seed {
	u8 *data;
	u32 size;
} corpus[CORPUS];
static u32 corpus_n;
static u64 state = 0x9e3779b97f4a7c15;
static struct {
	u32 size;
	u8 data[LARGEST + 64];
} * input; /* what is being looked at, kept when we crash */
static bool canary;
static u64 opened, loaded, refused, sentences;

static u32 pick(u32 n) {
	state ^= state << 13, state ^= state >> 7, state ^= state << 17;
	return n ? (u32)((state * 0x2545f4914f6cdd1d >> 32) % n) : 0;
}
NORETURN static void failed(const char *what) {
	fprintf(stderr, "fuzz: %s; the input is in elf.crash\n", what);
	abort();
}

/* ---- what is done with an input ---- */

static u32 said;
static void say(void *owner, const struct skep_diagnostic *d) {
	if (!d->sentence || !*d->sentence)
		failed("an empty sentence");
	said++, sentences++;
}
/* An engine that takes everything: descriptors are numbers. Reads what it is given, as the kernel would. */
static int64_t take(void *owner, unsigned cmd, void *attr, unsigned size) {
	union bpf_attr *a = attr;
	volatile u64 sum = 0;
	const u8 *p;
	u64 n = 0;
	static int next = 1000;
	switch (cmd) {
	case BPF_MAP_CREATE:
	case BPF_BTF_LOAD:
		p = cmd == BPF_BTF_LOAD ? (const u8 *)(uintptr_t)a->btf : NULL, n = a->btf_size;
		for (u64 i = 0; p && i < n; i += 64)
			sum += p[i];
		return next++;
	case BPF_PROG_LOAD:
		for (p = (const u8 *)(uintptr_t)a->insns, n = a->insn_cnt * 8ull; n--;)
			sum += p[n];
		for (p = (const u8 *)(uintptr_t)a->func_info, n = (u64)a->func_info_cnt * a->func_info_rec_size; n--;)
			sum += p[n];
		for (p = (const u8 *)(uintptr_t)a->line_info, n = (u64)a->line_info_cnt * a->line_info_rec_size; n--;)
			sum += p[n];
		if (pick(8))
			return next++;
		if (a->log_size)
			snprintf((char *)(uintptr_t)a->log_buf, a->log_size,
					 "%u: (85) call unknown#195896080\ninvalid func unknown#195896080\n", pick(a->insn_cnt + 2));
		return -EINVAL;
	case BPF_OBJ_GET:
		return -ENOENT;
	case BPF_OBJ_GET_INFO_BY_FD:
		return -EBADF;
	}
	return 0;
}

static int drop(void *owner, const char *text, u64 size) {
	u64 *left = owner;
	*left -= MIN(size, *left);
	return *left ? 0 : -ENOSPC;
}
static void begin(void *owner, enum btf_value_group group, const char *key, u32 index) {
}
static void end(void *owner, enum btf_value_group group) {
}
static void scalar(void *owner, const char *key, u32 index, const struct btf_value *v) {
	volatile u64 sum = 0;
	for (u32 i = 0; (v->kind == BTF_VALUE_STRING || v->kind == BTF_VALUE_BYTES) && i < v->size; i++)
		sum += (u8)v->text[i];
}

static void use_types(const struct btf *btf) {
	static u8 zeroes[4096];
	static const struct btf_visitor visitor = {NULL, begin, end, scalar};
	struct btf_fields fields;
	struct btf_access access;
	const char *why;
	char text[128];
	for (u32 n = 0; n < 12; n++) {
		u32 id = pick(btf->end);
		btf_visit(btf, id, zeroes, sizeof zeroes, &visitor);
		btf_find_fields(btf, id, &fields, &why);
		btf_declaration(btf, id, "x", text, sizeof text);
		if (btf_is_composite(btf_skip_type(btf, id)))
			btf_walk(btf, id, pick(64), 1u << pick(4), &access);
		btf_nearest_name(btf, btf_name_of(btf, id), BTF_KIND_UNKN);
	}
	if (pick(16) == 0) {
		u64 left = 1 << 20;
		btf_dump_c(btf, 0, drop, &left);
	}
	struct btf *strict;
	struct btf_log log = {0};
	if (btf_parse(btf->data, btf->data_size, NULL, BTF_STRICT, &log, &strict) && !*log.error)
		failed("a BTF refused without a word");
	btf_put(strict);
}

static void look_at(const u8 *data, u32 size, const char *btf_path) {
	struct skep_object_opts opts = {
		.size = sizeof opts,
		.bpf = take,
		.diagnostic = say,
		.btf_path = btf_path,
		.kconfig = "CONFIG_NET=y\nCONFIG_BPF_SYSCALL=m\nCONFIG_HZ=250\nCONFIG_CC_VERSION_TEXT=\"x\"\n"};
	struct skep_object *o;
	/* Exactly as large as it is, so that a byte too many is seen. */
	u8 *copy = malloc(size);
	memcpy(copy, data, size);
	said = 0;
	int err = skep_object__open_mem(copy, size, &opts, &o);
	if (err) {
		refused++;
		if (!said)
			failed("refused without a word");
		free(copy);
		return;
	}
	opened++;
	if (canary && o->symbols.n && o->symbols.at[o->symbols.n - 1].size == 0x1234)
		failed("the canary");
	if (o->btf)
		use_types(o->btf);
	struct skep_program *p = NULL;
	u32 programs = 0;
	while ((p = skep_object__next_program(o, p)) && programs++ < 64) {
		size_t n;
		skep_program__insns(p, &n);
	}
	struct skep_map *m = NULL;
	while ((m = skep_object__next_map(o, m)) && programs++ < 128) {
		skep_map__is_histogram(m);
		skep_object__event_type(o, m, 8);
	}
	said = 0;
	err = skep_object__load(o, NULL);
	if (!err)
		loaded++;
	else if (!said)
		failed("not loaded without a word");
	skep_object__close(o);
	free(copy);
}

/* ---- mutations ---- */

static u64 interesting(u64 old) {
	static const u64 values[] = {0,          1,          2,      7,          8,          0x7f,       0x80,
								 0xff,       0xffff,     0x7fff, 0x10000,    0x7fffffff, 0x80000000, 0xffffffff,
								 0xfffffff8, 1ull << 32, ~0ull,  1ull << 63, 64,         4096};
	switch (pick(5)) {
	case 0:
		return values[pick(ARRAY_SIZE(values))];
	case 1:
		return old + 1;
	case 2:
		return old - 1;
	case 3:
		return old ^ 1ull << pick(64);
	}
	return pick(64);
}
static void change(u8 *p, u32 bytes) {
	u64 v = 0;
	memcpy(&v, p, bytes);
	v = interesting(v);
	memcpy(p, &v, bytes);
}
static void change_word(u8 *data, u64 size, u32 bytes) {
	if (size >= bytes)
		change(data + pick((u32)((size - bytes) / bytes + 1)) * bytes, bytes);
}

/* A section of the (possibly already broken) file, inside it. */
static bool section(const u8 *data, u32 size, u32 i, Elf64_Shdr *h) {
	Elf64_Ehdr e;
	memcpy(&e, data, sizeof e);
	if (e.e_shoff > size || (u64)e.e_shoff + (i + 1) * sizeof *h > size)
		return false;
	memcpy(h, data + e.e_shoff + i * sizeof *h, sizeof *h);
	return h->sh_type != SHT_NOBITS && h->sh_offset < size && h->sh_size <= size - h->sh_offset && h->sh_size;
}

/* A type's own fields: kind, vlen, size or type, and the words behind it. */
static void change_btf(u8 *data, u64 size) {
	struct btf_header b;
	if (size < sizeof b)
		return;
	memcpy(&b, data, sizeof b);
	if (b.hdr_len > size || b.type_off > size - b.hdr_len || b.type_len > size - b.hdr_len - b.type_off)
		return change_word(data, size, 4);
	u8 *types = data + b.hdr_len + b.type_off;
	switch (pick(8)) {
	case 0:
		return change_word(data, sizeof b, 4);
	case 1:   /* a kind */
	case 2: { /* a vlen */
		u32 at = 0, wanted = pick(200);
		struct btf_type t;
		for (u32 i = 0; i < wanted && at + sizeof t <= b.type_len; i++) {
			memcpy(&t, types + at, sizeof t);
			if (i + 1 == wanted) {
				t.info = pick(2) ? (t.info & ~0x1f000000u) | pick(22) << 24
								 : (t.info & ~0xffffu) | (u16)interesting(t.info & 0xffff);
				memcpy(types + at, &t, sizeof t);
			}
			at += (u32)sizeof t + btf_type_extra(&t);
		}
		return;
	}
	case 3: { /* another type's word */
		u32 words = b.type_len / 4;
		if (words)
			memmove(types + pick(words) * 4, types + pick(words) * 4, 4);
		return;
	}
	}
	change_word(types, b.type_len, 4);
}

static void mutate_section(u8 *data, u32 size) {
	Elf64_Ehdr e;
	Elf64_Shdr h;
	memcpy(&e, data, sizeof e);
	u32 i = pick(MIN(e.e_shnum, 256u));
	if (!section(data, size, i, &h))
		return;
	u8 *p = data + h.sh_offset;
	switch (h.sh_type) {
	case SHT_SYMTAB:
	case SHT_REL: {
		u32 each = h.sh_type == SHT_REL ? sizeof(Elf64_Rel) : sizeof(Elf64_Sym), n = (u32)(h.sh_size / each);
		u8 *entry = n ? p + pick(n) * each : p;
		if (n && h.sh_type == SHT_REL)
			change(entry + (pick(2) ? 0 : 8 + 4 * pick(2)), pick(2) ? 4 : 8 - 4 * pick(2)); /* offset, type, symbol */
		else if (n)
			change(entry + (u32[]){0, 4, 5, 6, 8, 16}[pick(6)], 1u << pick(3));
		return;
	}
	case SHT_STRTAB:
		p[pick((u32)h.sh_size)] = (u8)pick(128);
		return;
	}
	/* BTF is recognised by its magic number, and by the length of its header. */
	if (h.sh_size > sizeof(struct btf_header) && p[0] == 0x9f && p[1] == 0xeb && p[4] == sizeof(struct btf_header))
		change_btf(p, h.sh_size);
	else
		change_word(p, h.sh_size, 1u << pick(4));
}

static u32 mutate(u8 *data, u32 size) {
	for (u32 n = 1 + pick(3); n--;) {
		Elf64_Ehdr e;
		if (size < sizeof e)
			return size;
		memcpy(&e, data, sizeof e);
		switch (pick(16)) {
		case 0:
			change(data + pick(sizeof e - 8), 1u << pick(4));
			break;
		case 1:
		case 2: { /* a field of a section header */
			u64 at = e.e_shoff + pick(MIN(e.e_shnum, 256u)) * sizeof(Elf64_Shdr);
			u32 field = (u32[]){0, 4, 8, 24, 32, 40, 44, 48, 56}[pick(9)];
			if (at + sizeof(Elf64_Shdr) <= size)
				change(data + at + field, pick(2) ? 4 : 8);
			break;
		}
		case 3:
			data[pick(size)] ^= 1u << pick(8);
			break;
		case 4:
			data[pick(size)] = (u8)pick(256);
			break;
		case 5:
			if (pick(8) == 0)
				size = pick(size);
			break;
		default:
			mutate_section(data, size);
		}
	}
	return size;
}

static void read_corpus(const char *path) {
	int fd = open(path, O_RDONLY);
	u8 *data = malloc(LARGEST + 1);
	ssize_t n = fd >= 0 ? read(fd, data, LARGEST + 1) : -1;
	if (n > 0 && n <= LARGEST && corpus_n < CORPUS)
		corpus[corpus_n++] = (struct seed){data, (u32)n};
	else
		free(data);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv) {
	u64 rounds = 0;
	const char *one = NULL;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			state = strtoull(argv[++i], NULL, 0) * 2 + 1;
		else if (!strcmp(argv[i], "--canary"))
			canary = true;
		else if (!strcmp(argv[i], "--one") && i + 1 < argc)
			one = argv[++i];
		else if (!rounds)
			rounds = strtoull(argv[i], NULL, 0);
		else
			read_corpus(argv[i]);
	}
	int fd = open(one ? one : "elf.crash", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || (!one && ftruncate(fd, sizeof *input)) ||
		(input = mmap(NULL, sizeof *input, PROT_READ | PROT_WRITE, one ? MAP_PRIVATE : MAP_SHARED, fd, 0)) ==
			MAP_FAILED) {
		perror("elf.crash");
		return 2;
	}
	/* The target of CO-RE: the object that stands first. */
	const char *btf_path = getenv("FUZZ_BTF");
	if (one) {
		look_at(input->data, input->size, btf_path);
		return 0;
	}
	if (!corpus_n) {
		fprintf(stderr, "fuzz: no objects\n");
		return 2;
	}
	for (u32 i = 0; i < corpus_n; i++) {
		input->size = corpus[i].size;
		memcpy(input->data, corpus[i].data, corpus[i].size);
		look_at(input->data, input->size, btf_path);
	}
	for (u64 i = 0; i < rounds; i++) {
		if (i && i % 50000 == 0)
			fprintf(stderr, "fuzz: %llu of %llu inputs\n", (unsigned long long)i, (unsigned long long)rounds);
		const struct seed *s = &corpus[pick(corpus_n)];
		memcpy(input->data, s->data, s->size);
		input->size = mutate(input->data, s->size);
		if (canary && i == rounds / 2 && s->size > 100) { /* a planted defect: the last symbol's size */
			Elf64_Shdr h;
			memcpy(input->data, s->data, s->size), input->size = s->size;
			for (u32 k = 0; k < 64; k++)
				if (section(input->data, input->size, k, &h) && h.sh_type == SHT_SYMTAB)
					memcpy(input->data + h.sh_offset + h.sh_size - 8, &(u64){0x1234}, 8);
		}
		look_at(input->data, input->size, btf_path);
	}
	printf("fuzz: %llu inputs of %u objects: %llu opened, %llu loaded, %llu refused, %llu sentences; nothing found\n",
		   (unsigned long long)rounds, corpus_n, (unsigned long long)opened, (unsigned long long)loaded,
		   (unsigned long long)refused, (unsigned long long)sentences);
	munmap(input, sizeof *input);
	close(fd);
	unlink("elf.crash");
	return 0;
}
