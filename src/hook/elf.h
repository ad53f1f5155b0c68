/* The parts of an ELF image that hooks need, from a file or from memory (the vDSO). Everything read is hostile: every
 * offset, size and count is checked against the size of the source, and the source may change while we read it. */
#ifndef SKEP_HOOK_ELF_H
#define SKEP_HOOK_ELF_H
#include "base/base.h"
#include "base/vec.h"
#include <elf.h>

enum { ELF_BUILD_ID_MAX = 64, ELF_SEGMENTS_MAX = 64, ELF_SECTIONS_MAX = 4096 };

struct elf_span { /* addresses as in the file: the load bias is not added */
	u64 start, end;
};
struct elf {
	int fd;         /* or */
	const u8 *mem;  /* the image in memory */
	u64 size;
	Elf64_Ehdr head;
	Elf64_Phdr segment[ELF_SEGMENTS_MAX];
	u32 segments;
	Elf64_Shdr *section; /* NULL when absent or unreadable */
	u32 sections;
	u8 build_id[ELF_BUILD_ID_MAX];
	u32 build_id_n;
	bool is_go;     /* has Go's build id note or section */
};
struct elf_spans {
	struct elf_span *at;
	u32 n, room;
};

/* 0, -ENOEXEC for what is no x86-64 ELF image, or what reading gave. The descriptor stays the caller's. */
int elf_open_fd(struct elf *e, int fd);
int elf_open_memory(struct elf *e, const void *mem, u64 size);
void elf_close(struct elf *e);

/* Reads exactly n bytes at a file offset; 0, -ENOEXEC beyond the end, or -errno. */
int elf_read(const struct elf *e, u64 off, u64 n, void *to);
/* n bytes at an address, which must lie in the file part of one segment. */
int elf_read_address(const struct elf *e, u64 address, u64 n, void *to);

/* Code that belongs to a function, sorted, not overlapping: from both symbol tables and the unwind tables. */
int elf_functions(const struct elf *e, struct elf_spans *out);
/* Address of a dynamic symbol, 0 = absent. */
u64 elf_symbol(const struct elf *e, const char *name);
#endif
