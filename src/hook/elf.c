/* Reading ELF images of strangers.
 *
 *   header ─► segments (what is mapped), notes (build id, Go)
 *          └► sections ─► symbol tables ┐
 *                       └► .eh_frame    ┴─► functions: sorted spans that do not overlap
 *
 * The unwind table is walked record by record from its start; the sorted index (.eh_frame_hdr) has starts only, and static
 * programs lack it. Each FDE says where its code begins and how long it is, in the encoding that its CIE states. FDEs of
 * signal frames are left out: they begin one byte before the code, so decoding from there goes astray.
 *
 * Invariants: nothing is read outside [0, size) of the source, elf_read sees to it; sizes from the file are bounded before
 * memory is taken; a source that shrinks meanwhile gives an error, not a signal, because nothing is mapped. Tables that
 * cannot be read count as absent. Sources: gABI, x86-64 psABI, LSB's exception frames. */
#include "hook/elf.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int elf_read(const struct elf *e, u64 off, u64 n, void *to) {
	ASSERT(to || !n);
	if (off > e->size || n > e->size - off)
		return -ENOEXEC;
	if (e->mem) {
		memcpy(to, e->mem + off, n);
		return 0;
	}
	for (u64 done = 0; done < n;) {
		ssize_t got = pread(e->fd, (u8 *)to + done, n - done, (off_t)(off + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ENOEXEC; /* it shrank */
		done += (u64)got;
	}
	return 0;
}

int elf_read_address(const struct elf *e, u64 address, u64 n, void *to) {
	for (u32 i = 0; i < e->segments; i++) {
		const Elf64_Phdr *s = &e->segment[i];
		if (s->p_type == PT_LOAD && address >= s->p_vaddr && address - s->p_vaddr <= s->p_filesz &&
		    n <= s->p_filesz - (address - s->p_vaddr))
			return elf_read(e, s->p_offset + (address - s->p_vaddr), n, to);
	}
	return -ENOEXEC;
}

static void read_notes(struct elf *e, const Elf64_Phdr *p) {
	u8 note[2048];
	u64 n = MIN(p->p_filesz, sizeof note);
	if (elf_read(e, p->p_offset, n, note))
		return;
	for (u64 at = 0; at + sizeof(Elf64_Nhdr) <= n;) {
		Elf64_Nhdr h;
		memcpy(&h, note + at, sizeof h);
		u64 name = at + sizeof h, desc = name + round_up(h.n_namesz, 4), next = desc + round_up(h.n_descsz, 4);
		if (desc > n || next > n || next <= at)
			return;
		if (h.n_namesz == 4 && !memcmp(note + name, "GNU", 4) && h.n_type == NT_GNU_BUILD_ID &&
		    h.n_descsz <= ELF_BUILD_ID_MAX) {
			memcpy(e->build_id, note + desc, h.n_descsz);
			e->build_id_n = h.n_descsz;
		} else if (h.n_namesz == 4 && !memcmp(note + name, "Go\0", 4))
			e->is_go = true;
		at = next;
	}
}

static void read_sections(struct elf *e) {
	u32 n = e->head.e_shnum;
	if (!n || n > ELF_SECTIONS_MAX || e->head.e_shentsize != sizeof(Elf64_Shdr))
		return;
	e->section = malloc(n * sizeof(Elf64_Shdr));
	if (!e->section || elf_read(e, e->head.e_shoff, n * sizeof(Elf64_Shdr), e->section)) {
		free(e->section), e->section = NULL;
		return;
	}
	ASSERT(n <= ELF_SECTIONS_MAX);
	e->sections = n;
}

static int elf_open(struct elf *e) {
	int err = elf_read(e, 0, sizeof e->head, &e->head);
	if (err)
		return err;
	if (memcmp(e->head.e_ident, ELFMAG, SELFMAG) || e->head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    e->head.e_ident[EI_DATA] != ELFDATA2LSB || e->head.e_machine != EM_X86_64 ||
	    (e->head.e_type != ET_EXEC && e->head.e_type != ET_DYN) || e->head.e_phentsize != sizeof(Elf64_Phdr) ||
	    e->head.e_phnum == 0 || e->head.e_phnum > ELF_SEGMENTS_MAX)
		return -ENOEXEC;
	e->segments = e->head.e_phnum;
	ASSERT(e->segments && e->segments <= ELF_SEGMENTS_MAX);
	err = elf_read(e, e->head.e_phoff, e->segments * sizeof(Elf64_Phdr), e->segment);
	if (err)
		return err;
	for (u32 i = 0; i < e->segments; i++)
		if (e->segment[i].p_type == PT_NOTE)
			read_notes(e, &e->segment[i]);
	read_sections(e);
	return 0;
}

int elf_open_fd(struct elf *e, int fd) {
	*e = (struct elf){.fd = fd};
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return -errno;
	e->size = (u64)size;
	return elf_open(e);
}

int elf_open_memory(struct elf *e, const void *mem, u64 size) {
	*e = (struct elf){.fd = -1, .mem = mem, .size = size};
	return elf_open(e);
}

void elf_close(struct elf *e) {
	free(e->section);
	*e = (struct elf){.fd = -1};
}

/* A whole section, malloc'ed; NULL when it cannot be had. */
static void *section_bytes(const struct elf *e, const Elf64_Shdr *s) {
	if (s->sh_type == SHT_NOBITS || s->sh_size == 0 || s->sh_size > e->size)
		return NULL;
	void *p = malloc(s->sh_size);
	if (p && elf_read(e, s->sh_offset, s->sh_size, p))
		free(p), p = NULL;
	return p;
}

static bool add_span(struct elf_spans *v, u64 start, u64 size) {
	if (!size || start + size < start)
		return true;
	struct elf_span *s = vec_push(v);
	if (!s)
		return false;
	*s = (struct elf_span){start, start + size};
	return true;
}

static bool add_symbols(const struct elf *e, const Elf64_Shdr *s, struct elf_spans *out) {
	ASSERT(s >= e->section && s < e->section + e->sections);
	Elf64_Sym *sym = section_bytes(e, s);
	bool ok = true;
	for (u64 i = 0; sym && ok && i < s->sh_size / sizeof *sym; i++)
		if (ELF64_ST_TYPE(sym[i].st_info) == STT_FUNC && sym[i].st_shndx != SHN_UNDEF)
			ok = add_span(out, sym[i].st_value, sym[i].st_size);
	free(sym);
	return ok;
}

/* ---- unwind tables ----------------------------------------------------------------------------------------------- */

struct reader { /* of one record of .eh_frame; never goes beyond end */
	const u8 *at, *end;
	bool bad;
};
static u64 read_bytes(struct reader *r, u32 n) {
	u64 v = 0;
	ASSERT(n <= sizeof v && r->at <= r->end);
	if ((u64)(r->end - r->at) < n) {
		r->bad = true;
		return 0;
	}
	memcpy(&v, r->at, n);
	r->at += n;
	return v;
}
static u64 read_uleb(struct reader *r) {
	u64 v = 0;
	for (u32 shift = 0; shift < 64; shift += 7) {
		u64 b = read_bytes(r, 1);
		v |= (b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

/* A pointer in DWARF's encoding; only the forms that compilers use for code: absolute and relative to itself. */
enum { PE_ABSPTR = 0, PE_UDATA4 = 3, PE_UDATA8 = 4, PE_SDATA4 = 11, PE_SDATA8 = 12, PE_PCREL = 0x10 };
static u64 read_encoded(struct reader *r, u8 encoding, u64 here, bool only_size) {
	u64 v;
	switch (encoding & 0x0f) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		v = read_bytes(r, 8);
		break;
	case PE_UDATA4:
		v = read_bytes(r, 4);
		break;
	case PE_SDATA4:
		v = (u64)(s64)(s32)read_bytes(r, 4);
		break;
	default:
		r->bad = true;
		return 0;
	}
	if (only_size)
		return v;
	if ((encoding & 0x70) == PE_PCREL)
		return v + here;
	r->bad |= (encoding & 0x70) != 0;
	return v;
}

/* The pointer encoding that a CIE states for its FDEs; -1 when it cannot be read, or for signal frames: their FDEs begin
 * one byte before the code, so that unwinders find them from the return address of a signal handler. */
static int cie_encoding(const u8 *frame, u64 size, u64 cie) {
	if (cie + 8 > size)
		return -1;
	u32 length;
	memcpy(&length, frame + cie, 4);
	if (length == 0xffffffff || length > size - cie - 4)
		return -1;
	struct reader r = {frame + cie + 8, frame + cie + 4 + length, false};
	read_bytes(&r, 1); /* version */
	const u8 *augmentation = r.at;
	while (read_bytes(&r, 1) && !r.bad)
		;
	if (r.bad)
		return -1;
	read_uleb(&r), read_uleb(&r), read_uleb(&r); /* alignments, return register */
	if (augmentation[0] != 'z')
		return PE_ABSPTR;
	read_uleb(&r);
	for (const u8 *a = augmentation + 1; *a; a++)
		if (*a == 'R')
			return r.bad ? -1 : (int)read_bytes(&r, 1);
		else if (*a == 'L')
			read_bytes(&r, 1);
		else if (*a == 'P') {
			u8 encoding = (u8)read_bytes(&r, 1);
			read_encoded(&r, encoding, 0, true);
		} else if (*a != 'B')
			return -1;
	return r.bad ? -1 : PE_ABSPTR;
}

/* Walks .eh_frame from its start: the table in .eh_frame_hdr gives starts only, and static programs have none. */
static bool add_unwind(const struct elf *e, const Elf64_Shdr *s, struct elf_spans *out) {
	u8 *frame = section_bytes(e, s);
	u64 last_cie = ~0ull;
	int encoding = -1;
	bool ok = true;
	for (u64 at = 0; frame && ok && at + 8 <= s->sh_size;) {
		u32 length, back;
		memcpy(&length, frame + at, 4);
		memcpy(&back, frame + at + 4, 4);
		if (length < 4 || length > s->sh_size - at - 4)
			break; /* the terminator, or nonsense */
		if (back) {
			u64 cie = at + 4 - back;
			if (back <= at + 4 && cie != last_cie)
				encoding = cie_encoding(frame, s->sh_size, last_cie = cie);
			struct reader r = {frame + at + 8, frame + at + 4 + length, encoding < 0 || back > at + 4};
			u64 start = read_encoded(&r, (u8)encoding, s->sh_addr + at + 8, false);
			u64 size = read_encoded(&r, (u8)encoding, 0, true);
			if (!r.bad)
				ok = add_span(out, start, size);
		}
		at += 4 + (u64)length;
	}
	free(frame);
	return ok;
}

static int by_start(const void *a, const void *b) {
	const struct elf_span *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end > y->end ? -1 : x->end < y->end; /* the longer first */
}

/* Sorts and cuts: where spans overlap the one that starts first keeps its start, the next begins where it ends only when
 * it is not inside. Starts are what matters: decoding begins there. */
static void make_disjoint(struct elf_spans *v) {
	if (v->n)
		qsort(v->at, v->n, sizeof *v->at, by_start);
	u32 n = 0;
	for (u32 i = 0; i < v->n; i++) {
		struct elf_span s = v->at[i];
		if (n && v->at[n - 1].start == s.start)
			continue;
		if (n && v->at[n - 1].end > s.start)
			v->at[n - 1].end = s.start; /* both starts are true: an entry in the middle of a function */
		v->at[n++] = s;
	}
	v->n = n;
	for (u32 i = 1; i < n; i++)
		ASSERT(v->at[i - 1].start < v->at[i].start && v->at[i - 1].end <= v->at[i].start);
}

static bool section_is(const struct elf *e, const Elf64_Shdr *s, const char *name) {
	char buf[32];
	u64 n = strlen(name) + 1;
	if (e->head.e_shstrndx >= e->sections || n > sizeof buf)
		return false;
	const Elf64_Shdr *names = &e->section[e->head.e_shstrndx];
	return s->sh_name < names->sh_size && n <= names->sh_size - s->sh_name &&
	       !elf_read(e, names->sh_offset + s->sh_name, n, buf) && !memcmp(buf, name, n);
}

int elf_functions(const struct elf *e, struct elf_spans *out) {
	bool ok = true;
	*out = (struct elf_spans){0};
	for (u32 i = 0; ok && i < e->sections; i++) {
		const Elf64_Shdr *s = &e->section[i];
		if (s->sh_type == SHT_SYMTAB || s->sh_type == SHT_DYNSYM)
			ok = add_symbols(e, s, out);
		else if ((s->sh_type == SHT_PROGBITS || s->sh_type == SHT_X86_64_UNWIND) && s->sh_flags & SHF_ALLOC &&
		         section_is(e, s, ".eh_frame"))
			ok = add_unwind(e, s, out);
	}
	if (!ok) {
		vec_free(out);
		return -ENOMEM;
	}
	make_disjoint(out);
	return 0;
}

u64 elf_symbol(const struct elf *e, const char *name) {
	u64 found = 0;
	ASSERT(name && *name);
	for (u32 i = 0; i < e->sections && !found; i++) {
		const Elf64_Shdr *s = &e->section[i];
		if (s->sh_type != SHT_DYNSYM || s->sh_link >= e->sections)
			continue;
		Elf64_Sym *sym = section_bytes(e, s);
		char *names = section_bytes(e, &e->section[s->sh_link]);
		u64 n = strlen(name) + 1, names_n = e->section[s->sh_link].sh_size;
		for (u64 k = 0; sym && names && k < s->sh_size / sizeof *sym && !found; k++)
			if (sym[k].st_shndx != SHN_UNDEF && sym[k].st_name < names_n && n <= names_n - sym[k].st_name &&
			    !memcmp(names + sym[k].st_name, name, n))
				found = sym[k].st_value;
		free(names), free(sym);
	}
	return found;
}
