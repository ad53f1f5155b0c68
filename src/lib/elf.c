/* An ELF file as sections and symbols, or one sentence that says what the file is instead.
 *
 * libelf finds the sections; their bytes are taken raw (nothing is converted: only little-endian 64-bit objects get this
 * far). Symbols are copied into an array of our own, checked once: a name that ends, a section that exists. After this
 * file nobody reads ELF structures but relocation entries, and those through object_relocations, which checks symbols.
 * Sections and symbols are found by name through sorted indexes, because a hostile file may have many of both.
 * Section names decide what a section is (kind_of): these are libbpf's conventions. */
#include "lib/object.h"
#include <elf.h>
#include <errno.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

enum { EM_BPF_ = 247, SHT_LLVM_ADDRSIG_ = 0x6fff4c03 };

static const char *machine_name(u32 machine) {
	switch (machine) {
	case EM_X86_64:
		return "x86-64 ";
	case EM_386:
		return "i386 ";
	case EM_AARCH64:
		return "arm64 ";
	case EM_ARM:
		return "arm ";
	case EM_RISCV:
		return "risc-v ";
	case EM_S390:
		return "s390x ";
	case EM_PPC64:
		return "ppc64 ";
	}
	return "";
}

/* What a file that is no ELF may be, as a clause. */
static int not_elf(struct skep_object *o, const u8 *p, u64 size) {
	static const char compile[] = "Compile the C source with: clang -O2 -g -target bpf -c X.bpf.c -o X.bpf.o";
	if (!size)
		return object_error(o, -EINVAL, compile, "%s is empty", o->path);
	if (size >= 4 && !memcmp(p, "BC\xc0\xde", 4))
		return object_error(o, -EINVAL, "Make an object of it with: llc -march=bpf -filetype=obj X.bc -o X.o",
				    "%s is LLVM bitcode, not an eBPF object file", o->path);
	u64 text = 0, n = MIN(size, (u64)512);
	for (u64 i = 0; i < n; i++)
		text += (p[i] >= 0x20 && p[i] < 0x7f) || p[i] == '\n' || p[i] == '\t' || p[i] == '\r';
	if (text == n)
		return object_error(o, -EINVAL, compile,
				    "%s is text, not an eBPF object file; C sources have names that end in .c",
				    o->path);
	return object_error(o, -EINVAL, compile, "%s is not an eBPF object file (it does not begin as ELF files do)",
			    o->path);
}

static int check_header(struct skep_object *o, const u8 *data, u64 size) {
	Elf64_Ehdr h;
	if (size < EI_NIDENT || memcmp(data, ELFMAG, SELFMAG))
		return not_elf(o, data, size);
	if (data[EI_CLASS] == ELFCLASS32)
		return object_error(o, -EINVAL, "Rebuild it with clang -target bpf",
				    "%s is a 32-bit object; eBPF objects have 64 bits", o->path);
	if (size < sizeof h)
		return object_error(o, -EINVAL, "Copy or build it again",
				    "%s is cut short: %llu bytes are not even an ELF header", o->path,
				    (unsigned long long)size);
	memcpy(&h, data, sizeof h);
	u32 machine = h.e_machine, type = h.e_type;
	if (data[EI_DATA] == ELFDATA2MSB)
		machine = __builtin_bswap16(h.e_machine), type = __builtin_bswap16(h.e_type);
	if (machine != EM_BPF_ && machine != EM_NONE)
		return object_error(o, -EINVAL, "Build it with clang -target bpf",
				    "%s is an %sELF file (machine %u), not an eBPF object", o->path,
				    machine_name(machine), machine);
	if (data[EI_DATA] != ELFDATA2LSB)
		return object_error(o, -EINVAL, "Rebuild it with clang -target bpfel",
				    "%s is a big-endian eBPF object; this machine is little-endian", o->path);
	if (type != ET_REL)
		return object_error(o, -EINVAL, "Give the .o file that clang -target bpf -c makes",
				    "%s is not a relocatable object (ELF type %u)", o->path, type);
	if (h.e_shoff % sizeof(u64))
		return object_error(o, -EINVAL, "Copy or build it again", "%s is damaged: its section table is not aligned",
							o->path);
	u64 end = h.e_shoff + (u64)h.e_shnum * sizeof(Elf64_Shdr);
	if (h.e_shoff > size || end > size)
		return object_error(o, -EINVAL, "Copy or build it again",
				    "%s is cut short: its section table ends at byte %llu of %llu", o->path,
				    (unsigned long long)end, (unsigned long long)size);
	return 0;
}

static bool has_prefix(const char *s, const char *prefix) {
	return !strncmp(s, prefix, strlen(prefix));
}
/* ".data" and ".data.x", not ".datax". */
static bool is_or_below(const char *s, const char *name) {
	u64 n = strlen(name);
	return !strncmp(s, name, n) && (!s[n] || s[n] == '.');
}

static u32 kind_of(const struct section *s) {
	const char *name = s->name;
	if (s->type == SHT_NOBITS)
		return is_or_below(name, ".bss") ? SECTION_BSS : SECTION_OTHER;
	if (s->type != SHT_PROGBITS || !s->size)
		return SECTION_OTHER;
	if (s->flags & SHF_EXECINSTR)
		return SECTION_CODE;
	if (is_or_below(name, ".data"))
		return SECTION_DATA;
	if (is_or_below(name, ".rodata"))
		return SECTION_RODATA;
	if (!strcmp(name, ".maps"))
		return SECTION_MAPS;
	if (!strcmp(name, "maps"))
		return SECTION_LEGACY_MAPS;
	if (has_prefix(name + (*name == '?'), ".struct_ops"))
		return SECTION_STRUCT_OPS;
	if (has_prefix(name, ".addr_space.") || has_prefix(name, ".arena."))
		return SECTION_ARENA;
	return SECTION_OTHER;
}

/* A string of a string table, or NULL when it does not end inside. */
static const char *string_at(const u8 *table, u64 size, u64 off) {
	return table && off < size && memchr(table + off, 0, size - off) ? (const char *)table + off : NULL;
}

static int read_sections(struct skep_object *o, Elf *elf) {
	size_t names;
	if (elf_getshdrstrndx(elf, &names))
		return object_error(o, -EINVAL, "Build it again", "%s has no section names (%s)", o->path,
				    elf_errmsg(-1));
	if (!vec_push(&o->sections))
		return out_of_memory(o);
	o->sections.at[0] = (struct section){.name = "", .map = NONE};
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		Elf64_Shdr *h = elf64_getshdr(scn);
		Elf_Data *data = h ? elf_rawdata(scn, NULL) : NULL;
		u32 i = o->sections.n;
		if (!data)
			return object_error(o, -EINVAL, "Copy or build it again",
					    "%s is damaged: section %u cannot be read (%s)", o->path, i,
					    elf_errmsg(-1));
		struct section *s = vec_push(&o->sections);
		if (!s)
			return out_of_memory(o);
		*s = (struct section){
		    .type = h->sh_type, .flags = h->sh_flags, .link = h->sh_link, .info = h->sh_info, .map = NONE};
		s->size = h->sh_type == SHT_NOBITS ? h->sh_size : data->d_size;
		s->data = h->sh_type == SHT_NOBITS ? NULL : data->d_buf;
		if (!s->data && h->sh_type != SHT_NOBITS)
			s->size = 0;
		const char *name = elf_strptr(elf, names, h->sh_name);
		s->name = name ? name : "";
		s->kind = kind_of(s);
	}
	return 0;
}

static int read_symbols(struct skep_object *o) {
	const struct section *table = NULL;
	for (u32 i = 1; i < o->sections.n; i++)
		if (o->sections.at[i].type == SHT_SYMTAB && !table)
			table = &o->sections.at[i];
	if (!table)
		return object_error(o, -EINVAL, "Strip debug sections only (llvm-strip -g), or build it again",
				    "%s has no symbol table: it was stripped", o->path);
	const struct section *strings = table->link < o->sections.n ? &o->sections.at[table->link] : NULL;
	if (!strings || strings->type != SHT_STRTAB)
		return object_error(o, -EINVAL, "Build it again", "%s is damaged: its symbol table has no strings",
				    o->path);
	u64 n = table->size / sizeof(Elf64_Sym);
	if (n > UINT32_MAX || !vec_reserve(&o->symbols, (u32)n))
		return out_of_memory(o);
	for (u64 i = 0; i < n; i++) {
		Elf64_Sym sym;
		memcpy(&sym, table->data + i * sizeof sym, sizeof sym);
		const char *name = string_at(strings->data, strings->size, sym.st_name);
		if (!name)
			return object_error(o, -EINVAL, "Build it again", "%s is damaged: symbol %llu has no name",
					    o->path, (unsigned long long)i);
		if (sym.st_shndx < SHN_LORESERVE && sym.st_shndx >= o->sections.n)
			return object_error(o, -EINVAL, "Build it again",
					    "%s is damaged: symbol «%s» lies in section %u of %u", o->path, name,
					    sym.st_shndx, o->sections.n);
		*vec_push(&o->symbols) = (struct symbol){.name = name,
							 .value = sym.st_value,
							 .size = sym.st_size,
							 .section = sym.st_shndx,
							 .type = ELF64_ST_TYPE(sym.st_info),
							 .extern_ = NONE,
							 .bind = ELF64_ST_BIND(sym.st_info),
							 .visibility = ELF64_ST_VISIBILITY(sym.st_other)};
	}
	return 0;
}

/* ---- by name ---- */

static int by_section_name(const void *a, const void *b, void *object) {
	const struct skep_object *o = object;
	u32 x = *(const u32 *)a, y = *(const u32 *)b;
	int order = strcmp(o->sections.at[x].name, o->sections.at[y].name);
	return order ? order : x < y ? -1 : x > y;
}
static int by_symbol_name(const void *a, const void *b, void *object) {
	const struct skep_object *o = object;
	u32 x = *(const u32 *)a, y = *(const u32 *)b;
	int order = strcmp(o->symbols.at[x].name, o->symbols.at[y].name);
	return order ? order : x < y ? -1 : x > y;
}
static int index_names(struct skep_object *o) {
	o->sections_by_name = arena_array(&o->arena, u32, o->sections.n);
	o->symbols_by_name = arena_array(&o->arena, u32, o->symbols.n);
	if (!o->sections_by_name || !o->symbols_by_name)
		return out_of_memory(o);
	for (u32 i = 0; i < o->sections.n; i++)
		o->sections_by_name[i] = i;
	for (u32 i = 0; i < o->symbols.n; i++)
		o->symbols_by_name[i] = i;
	qsort_r(o->sections_by_name, o->sections.n, sizeof(u32), by_section_name, o);
	qsort_r(o->symbols_by_name, o->symbols.n, sizeof(u32), by_symbol_name, o);
	return 0;
}

static int read_license(struct skep_object *o) {
	u32 i = section_by_name(o, "license");
	if (i != NONE && o->sections.at[i].data) {
		u64 n = MIN(o->sections.at[i].size, (u64)sizeof o->license - 1);
		memcpy(o->license, o->sections.at[i].data, n);
	}
	i = section_by_name(o, "version");
	if (i == NONE || !o->sections.at[i].data)
		return 0;
	if (o->sections.at[i].size != sizeof o->kern_version)
		return object_error(o, -EINVAL,
				    "Declare it as: unsigned int _version SEC(\"version\") = LINUX_VERSION_CODE;",
				    "%s: section «version» has %llu bytes instead of 4", o->path,
				    (unsigned long long)o->sections.at[i].size);
	memcpy(&o->kern_version, o->sections.at[i].data, sizeof o->kern_version);
	return 0;
}

int object_parse_elf(struct skep_object *o, const void *data, u64 size) {
	int err = check_header(o, data, size);
	if (err)
		return err;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return object_error(o, -ENOSYS, NULL, "libelf is too old");
	o->elf = elf_memory((char *)data, size);
	if (!o->elf || elf_kind(o->elf) != ELF_K_ELF)
		return object_error(o, -EINVAL, "Copy or build it again", "%s is a damaged ELF file (%s)", o->path,
				    elf_errmsg(-1));
	err = read_sections(o, o->elf);
	err = err ? err : read_symbols(o);
	err = err ? err : index_names(o);
	return err ? err : read_license(o);
}

u32 section_by_name(const struct skep_object *o, const char *name) {
	u32 low = 0, high = o->sections.n;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (strcmp(o->sections.at[o->sections_by_name[middle]].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	u32 i = low < o->sections.n ? o->sections_by_name[low] : 0;
	return i && !strcmp(o->sections.at[i].name, name) ? i : NONE;
}

u32 symbol_of_variable(const struct skep_object *o, const char *name, u32 section) {
	u32 low = 0, high = o->symbols.n;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (strcmp(o->symbols.at[o->symbols_by_name[middle]].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* Local symbols of the same name may come first; their number is bounded so that hostile tables cost no more.
	 */
	for (u32 tries = 0; low < o->symbols.n && tries < 1024; low++, tries++) {
		u32 i = o->symbols_by_name[low];
		const struct symbol *s = &o->symbols.at[i];
		if (strcmp(s->name, name))
			break;
		if (s->type == STT_OBJECT && s->bind != STB_LOCAL && (section == NONE || s->section == section))
			return i;
	}
	return NONE;
}

int object_relocations(struct skep_object *o, u32 target,
		       int (*visit)(struct skep_object *o, u32 section, const struct relocation *r)) {
	int err = 0;
	for (u32 i = 1; i < o->sections.n && !err; i++) {
		const struct section *s = &o->sections.at[i];
		if ((s->type != SHT_REL && s->type != SHT_RELA) || s->info != target)
			continue;
		u64 each = s->type == SHT_REL ? sizeof(Elf64_Rel) : sizeof(Elf64_Rela);
		for (u64 at = 0; at + each <= s->size && !err; at += each) {
			Elf64_Rel rel;
			memcpy(&rel, s->data + at, sizeof rel);
			struct relocation r = {rel.r_offset, (u32)ELF64_R_TYPE(rel.r_info),
					       (u32)ELF64_R_SYM(rel.r_info)};
			if (r.symbol >= o->symbols.n)
				return object_error(o, -EINVAL, "Build it again",
						    "%s is damaged: a relocation of section «%s» names symbol %u of %u",
						    o->path, o->sections.at[target].name, r.symbol, o->symbols.n);
			err = visit(o, target, &r);
		}
	}
	return err;
}
