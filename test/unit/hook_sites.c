/* The site finder on the libraries of this machine, and on text made to mislead it. */
#include "hook/sites.h"
#include "hook/site_cache.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static u32 sites_of(const char *path, struct sites *all) {
	struct elf e;
	u32 n = 0;
	int fd = open(path, O_RDONLY);
	*all = (struct sites){0};
	if (fd < 0)
		return ~0u;
	EXPECT_EQ(elf_open_fd(&e, fd), 0);
	for (u32 i = 0; i < e.segments; i++)
		if (e.segment[i].p_type == PT_LOAD && e.segment[i].p_flags & PF_X) {
			EXPECT_EQ(sites_find(&e, i, all), 0);
			EXPECT(sites_valid(all));
			n += all->n;
		}
	elf_close(&e);
	close(fd);
	return n;
}

/* In C libraries nearly all are usable, and most numbers are known. */
static void libraries(void) {
	static const char *const paths[] = {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/bin/busybox",
	                                    "/lib/ld-musl-x86_64.so.1"};
	for (u32 i = 0; i < ARRAY_SIZE(paths); i++) {
		struct sites s;
		u32 n = sites_of(paths[i], &s), known = 0, in_place = 0;
		if (n == ~0u)
			continue;
		for (u32 k = 0; k < s.n; k++)
			known += s.at[k].nr >= 0, in_place += s.at[k].before >= JUMP_BYTES;
		EXPECT(n >= 40);
		EXPECT(s.skipped <= n / 40);
		EXPECT(known >= n * 2 / 3);
		EXPECT(in_place >= n * 9 / 10);
		sites_free(&s);
	}
}

/* Constants that look like a syscall must be left alone. */
static void libraries_without_sites(void) {
	static const char *const paths[] = {"/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/libm.so.6",
	                                    "/usr/lib/x86_64-linux-gnu/libZydis.so.4.0"};
	for (u32 i = 0; i < ARRAY_SIZE(paths); i++) {
		struct sites s;
		u32 n = sites_of(paths[i], &s);
		if (n != ~0u)
			EXPECT_EQ(n, 0);
		sites_free(&s);
	}
}

/* ---- made images ------------------------------------------------------------------------------------------------- */

enum { TEXT = 0x1000, ROOM = 0x3000 };
struct made {
	u8 bytes[ROOM];
	u32 n;
};
/* One executable segment at 0x1000 with one section and one function symbol for each span given. */
static void make(struct made *m, const u8 *text, u32 n, const u32 (*functions)[2], u32 functions_n) {
	memset(m, 0, sizeof *m);
	Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1}, .e_type = ET_DYN, .e_machine = EM_X86_64,
	                .e_phoff = 64, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1, .e_shoff = 256,
	                .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3};
	Elf64_Phdr p = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = TEXT, .p_vaddr = TEXT, .p_filesz = n, .p_memsz = n};
	Elf64_Shdr s[3] = {{0},
	                   {.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addr = TEXT, .sh_offset = TEXT, .sh_size = n},
	                   {.sh_type = SHT_SYMTAB, .sh_offset = 0x2000, .sh_size = functions_n * sizeof(Elf64_Sym)}};
	memcpy(m->bytes, &h, sizeof h), memcpy(m->bytes + 64, &p, sizeof p), memcpy(m->bytes + 256, s, sizeof s);
	memcpy(m->bytes + TEXT, text, n);
	for (u32 i = 0; i < functions_n; i++) {
		Elf64_Sym sym = {.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1, .st_value = TEXT + functions[i][0],
		                 .st_size = functions[i][1] - functions[i][0]};
		memcpy(m->bytes + 0x2000 + i * sizeof sym, &sym, sizeof sym);
	}
	m->n = ROOM;
}
static struct sites find_in(const u8 *text, u32 n, const u32 (*functions)[2], u32 functions_n) {
	static struct made m;
	struct elf e;
	struct sites s = {0};
	make(&m, text, n, functions, functions_n);
	EXPECT_EQ(elf_open_memory(&e, m.bytes, m.n), 0);
	EXPECT_EQ(sites_find(&e, 0, &s), 0);
	elf_close(&e);
	return s;
}
#define FIND(functions, ...)                                                                                           \
	find_in((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}), functions, ARRAY_SIZE(functions))

static void windows(void) {
	static const u32 one[][2] = {{0, 16}};
	/* mov $39,%eax; syscall; cmp $-4096,%rax; ret; nop; nop */
	struct sites s = FIND(one, 0xb8, 39, 0, 0, 0, 0x0f, 5, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0xc3, 0x90, 0x90);
	EXPECT_EQ(s.n, 1);
	EXPECT_EQ(s.at[0].off, 5);
	EXPECT_EQ(s.at[0].nr, 39);
	EXPECT_EQ(s.at[0].before, 5);
	EXPECT_EQ(s.at[0].after, 6);
	EXPECT_EQ(s.at[0].flags, 0);
	sites_free(&s);
	/* je goes to the syscall: nothing before it may be overwritten, and the number is not known */
	s = FIND(one, 0x74, 5, 0xb8, 39, 0, 0, 0, 0x0f, 5, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0xc3);
	EXPECT_EQ(s.n, 1);
	EXPECT_EQ(s.at[0].nr, -1);
	EXPECT_EQ(s.at[0].before, 0);
	EXPECT_EQ(s.at[0].flags, SITE_TARGET);
	sites_free(&s);
	/* a jump from behind into the after part, at its second instruction */
	s = FIND(one, 0xb8, 39, 0, 0, 0, 0x0f, 5, 0x90, 0x90, 0x90, 0x90, 0x90, 0xeb, 0xfb, 0xc3, 0x90);
	EXPECT_EQ(s.at[0].after, 2);
	sites_free(&s);
	/* no room: ret before and behind */
	s = FIND(one, 0xc3, 0x0f, 5, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90);
	EXPECT_EQ(s.n, 0);
	EXPECT_EQ(s.skipped, 1);
	sites_free(&s);
}

static void data_is_left_alone(void) {
	static const u32 one[][2] = {{0, 8}};
	/* a constant whose bytes are 0f 05: mov $0x050f,%eax */
	struct sites s = FIND(one, 0xb8, 0x0f, 5, 0, 0, 0xc3, 0x90, 0x90);
	EXPECT_EQ(s.n, 0);
	sites_free(&s);
	/* a table outside any function, in a section that does not decode */
	static const u32 first[][2] = {{0, 4}};
	s = FIND(first, 0x90, 0x90, 0x90, 0xc3, 0x06, 0x07, 0xb8, 1, 0, 0, 0, 0x0f, 5, 0x90, 0x90, 0x90, 0x90, 0xc3);
	EXPECT_EQ(s.n, 0);
	EXPECT_EQ(s.skipped, 1);
	sites_free(&s);
	/* the same outside any function, in one that does */
	s = FIND(first, 0x90, 0x90, 0x90, 0xc3, 0x90, 0x90, 0xb8, 1, 0, 0, 0, 0x0f, 5, 0x90, 0x90, 0x90, 0x90, 0xc3);
	EXPECT_EQ(s.n, 1);
	sites_free(&s);
	/* a sweep that disagrees with a symbol: the symbol stands inside an instruction */
	static const u32 inside[][2] = {{0, 4}, {7, 8}};
	s = FIND(inside, 0x90, 0x90, 0x90, 0xc3, 0x90, 0xb8, 1, 0, 0, 0, 0x0f, 5, 0x90, 0x90, 0x90, 0x90, 0xc3, 0x90);
	EXPECT_EQ(s.n, 0);
	sites_free(&s);
}

/* Long branches from a part that nobody decodes. */
static void long_branches(void) {
	static u8 text[1024];
	static const u32 f[][2] = {{0, 16}, {900, 910}};
	memset(text, 0x90, sizeof text);
	static const u8 body[] = {0x90, 0x90, 0x90, 0xb8, 39, 0, 0, 0, 0x0f, 5, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc3};
	memcpy(text, body, sizeof body);
	s32 rel = 8 - (900 + 5);
	text[900] = 0xe9, memcpy(text + 901, &rel, 4), text[905] = 0xc3;
	struct sites s = find_in(text, sizeof text, f, 2);
	EXPECT_EQ(s.n, 1);
	EXPECT_EQ(s.at[0].flags & SITE_TARGET, SITE_TARGET);
	EXPECT_EQ(s.at[0].before, 0);
	sites_free(&s);
}

/* musl: munmap, then exit, without a stack. */
static void stackless_exit(void) {
	static const u32 one[][2] = {{0, 22}};
	struct sites s = FIND(one, 0xb8, 11, 0, 0, 0, 0x0f, 5, 0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 5, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc3);
	EXPECT_EQ(s.n, 2);
	EXPECT_EQ(s.at[0].flags & SITE_ALONE, SITE_ALONE);
	EXPECT_EQ(s.at[1].flags & SITE_ALONE, SITE_ALONE);
	sites_free(&s);
}

/* ---- cache ------------------------------------------------------------------------------------------------------- */

static u32 random_state = 12345;
static u32 next_random(void) {
	random_state = random_state * 1664525u + 1013904223u;
	return random_state >> 8;
}

static void cache_round_trip_and_hostile_content(void) {
	char dir[] = "/tmp/skep-test-XXXXXX", path[512] = "", id[2 * ELF_BUILD_ID_MAX + 1] = "";
	struct elf e;
	struct stat st;
	struct sites s, again;
	int fd = open("/lib64/ld-linux-x86-64.so.2", O_RDONLY);
	if (fd < 0 || !mkdtemp(dir))
		return;
	EXPECT_EQ(elf_open_fd(&e, fd), 0);
	EXPECT_EQ(fstat(fd, &st), 0);
	u32 segment = 0;
	while (!(e.segment[segment].p_flags & PF_X) || e.segment[segment].p_type != PT_LOAD)
		segment++;
	EXPECT_EQ(sites_find(&e, segment, &s), 0);
	EXPECT_EQ(site_cache_load(dir, &e, segment, &st, &again), -ENOENT);
	site_cache_store(dir, &e, segment, &st, &s);
	EXPECT_EQ(site_cache_load(dir, &e, segment, &st, &again), 0);
	EXPECT_EQ(again.n, s.n);
	EXPECT(again.n && !memcmp(again.at, s.at, s.n * sizeof *s.at));
	sites_free(&again);
	struct stat older = st;
	older.st_mtim.tv_sec--;
	EXPECT_EQ(site_cache_load(dir, &e, segment, &older, &again), -ESTALE);
	for (u32 i = 0; i < e.build_id_n; i++)
		snprintf(id + 2 * i, 3, "%02x", e.build_id[i]);
	snprintf(path, sizeof path, "%s/%s-%u", dir, id, segment);
	int file = open(path, O_RDWR);
	static u8 good[1 << 17], bad[1 << 17];
	ssize_t n = file < 0 ? -1 : read(file, good, sizeof good);
	EXPECT(n > 100);
	for (int i = 0; i < 2000 && n > 100; i++) { /* any change is found, no change crashes */
		memcpy(bad, good, (size_t)n);
		u32 changes = 1 + next_random() % 4;
		for (u32 k = 0; k < changes; k++)
			bad[next_random() % (u32)n] ^= (u8)(1 + next_random() % 255);
		size_t keep = next_random() % 4 ? (size_t)n : next_random() % (size_t)n;
		EXPECT_EQ(ftruncate(file, 0), 0);
		EXPECT_EQ(pwrite(file, bad, keep, 0), keep);
		int err = site_cache_load(dir, &e, segment, &st, &again);
		EXPECT(err < 0 || (keep == (size_t)n && !memcmp(bad, good, keep)));
		if (!err)
			sites_free(&again);
	}
	EXPECT_EQ(fchmod(file, 0666), 0);
	EXPECT_EQ(site_cache_load(dir, &e, segment, &st, &again), -EPERM); /* others could have written it */
	close(file);
	unlink(path);
	symlink("/etc/passwd", path);
	EXPECT(site_cache_load(dir, &e, segment, &st, &again) < 0);
	unlink(path), rmdir(dir);
	sites_free(&s);
	elf_close(&e);
	close(fd);
}

/* Mutated images: no crash, and whatever is found is in range. */
static void hostile_images(void) {
	int fd = open("/lib64/ld-linux-x86-64.so.2", O_RDONLY);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	u8 *good = malloc((size_t)size + 1), *bad = malloc((size_t)size + 1);
	if (size <= 0 || pread(fd, good, (size_t)size, 0) != size)
		size = 0;
	for (int i = 0; i < 60 && size; i++) {
		struct elf e;
		struct sites s;
		memcpy(bad, good, (size_t)size);
		for (u32 k = 0; k < 8; k++) /* headers and tables at both ends, and anywhere */
			bad[k < 3 ? next_random() % 1024 : k < 6 ? (u32)size - 1 - next_random() % 4096 : next_random() % (u32)size] = (u8)next_random();
		if (elf_open_memory(&e, bad, next_random() % 3 ? (u64)size : next_random() % (u64)size))
			continue;
		for (u32 k = 0; k < e.segments; k++)
			if (e.segment[k].p_type == PT_LOAD && e.segment[k].p_flags & PF_X && !sites_find(&e, k, &s)) {
				EXPECT(sites_valid(&s));
				sites_free(&s);
			}
		elf_close(&e);
	}
	free(good), free(bad);
	if (fd >= 0)
		close(fd);
}

int main(void) {
	RUN(libraries);
	RUN(libraries_without_sites);
	RUN(windows);
	RUN(data_is_left_alone);
	RUN(long_branches);
	RUN(stackless_exit);
	RUN(cache_round_trip_and_hostile_content);
	RUN(hostile_images);
	return test_end();
}
