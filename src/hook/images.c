#include "hook/images.h"
#include "hook/site_cache.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

static struct hooked_image *find(const struct images *im, const struct hooked_image *key, u64 off) {
	for (struct hooked_image *i = im->first; i; i = i->next)
		if (i->dev == key->dev && i->ino == key->ino && i->size == key->size && i->mtime == key->mtime &&
		    i->ctime == key->ctime && (off - i->file_off < i->sites.size || (!off && !i->file_off)))
			return i;
	return NULL;
}

static struct hooked_image *add(struct images *im, const struct hooked_image *like) {
	struct hooked_image *i = malloc(sizeof *i);
	if (i) {
		*i = *like;
		i->next = im->first, im->first = i;
	}
	return i;
}

/* Index of the executable segment that holds the file offset (mmap rounds offsets down to pages), or -1. */
static int segment_at(const struct elf *e, u64 off) {
	for (u32 i = 0; i < e->segments; i++) {
		const Elf64_Phdr *p = &e->segment[i];
		if (p->p_type == PT_LOAD && p->p_flags & PF_X && off + PAGE > p->p_offset && off < p->p_offset + p->p_filesz)
			return (int)i;
	}
	return -1;
}

int images_of_file(struct images *im, int fd, u64 off, struct hooked_image **out) {
	struct stat st;
	struct elf e;
	*out = NULL;
	if (fstat(fd, &st))
		return -errno;
	struct hooked_image key = {.dev = st.st_dev, .ino = st.st_ino, .size = (u64)st.st_size,
	                           .mtime = (u64)st.st_mtim.tv_sec * 1000000000u + (u64)st.st_mtim.tv_nsec,
	                           .ctime = (u64)st.st_ctim.tv_sec * 1000000000u + (u64)st.st_ctim.tv_nsec};
	struct hooked_image *have = find(im, &key, off);
	if (have) {
		*out = have;
		return 0;
	}
	int err = elf_open_fd(&e, fd), segment = err ? -1 : segment_at(&e, off);
	if (!err && segment >= 0) {
		key.segment = (u32)segment, key.file_off = e.segment[segment].p_offset & ~(PAGE - 1ull);
		if (site_cache_load(im->cache_dir, &e, key.segment, &st, &key.sites)) {
			err = sites_find(&e, key.segment, &key.sites);
			if (!err)
				site_cache_store(im->cache_dir, &e, key.segment, &st, &key.sites);
		}
		if (!err && !(*out = add(im, &key)))
			sites_free(&key.sites), err = -ENOMEM;
	} else if (!err)
		err = -ENOEXEC;
	elf_close(&e);
	return err;
}

struct hooked_image *images_vdso(const struct images *im) {
	const struct hooked_image key = {0};
	return find(im, &key, 0);
}

int images_add_vdso(struct images *im, const void *bytes, u64 size, struct hooked_image **out) {
	struct hooked_image key = {0};
	struct elf e;
	int err = elf_open_memory(&e, bytes, size), segment = err ? -1 : segment_at(&e, 0);
	if (!err)
		err = segment < 0 ? -ENOEXEC : sites_find(&e, (u32)segment, &key.sites);
	if (!err && !(*out = add(im, &key)))
		sites_free(&key.sites), err = -ENOMEM;
	elf_close(&e);
	return err;
}

static void free_placed(struct placed_island *p) {
	island_free(&p->island);
	free(p);
}

void images_free(struct images *im) {
	for (struct hooked_image *i = im->first, *next; i; i = next) {
		next = i->next;
		for (u32 k = 0; k < i->placed_n; k++)
			free_placed(i->placed[k]);
		sites_free(&i->sites);
		free(i);
	}
	*im = (struct images){0};
}

/* Distances below a segment. Below a library come the libraries that are mapped after it; a quarter of a gigabyte is out of
 * their way, and leaves room for jumps over the image itself. */
static const u64 distances[ISLANDS_MAX] = {0x10000000, 0x18000000, 0x20000000, 0x0c000000, 0x2c000000, 0x38000000};

static int make_placed(struct hooked_image *im, struct session_state *s, u64 segment, u64 distance,
                       struct placed_island **out) {
	struct placed_island *p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	u64 page = segment & ~(PAGE - 1ull);
	p->distance = distance, p->home_segment = distance ? 0 : segment;
	/* An island at home must know its address before it is made: its place is the next free one. */
	u64 at = distance ? page - distance : s->base + round_up(s->code_used, PAGE);
	int err = island_make(&im->sites, segment, at, &s->calls, &p->island);
	if (!err) {
		s64 off = session_code_room(s, (u32)round_up(MAX(p->island.size, 1u), PAGE));
		err = off < 0 ? (int)off : session_write_code(s, (u32)off, p->island.code, p->island.size);
		p->code_off = off < 0 ? 0 : (u32)off;
	}
	if (err) {
		free_placed(p);
		return err;
	}
	ASSERT(distance || at == s->base + p->code_off);
	*out = p;
	return 0;
}

int image_island(struct hooked_image *im, struct session_state *s, u64 segment, u32 k, struct placed_island **out, u64 *at) {
	bool home = segment < 1u << 31;
	if (k >= ISLANDS_MAX || (home && k))
		return -ENOSPC;
	u64 distance = home ? 0 : distances[k];
	for (u32 i = 0; i < im->placed_n; i++)
		if (im->placed[i]->distance == distance && im->placed[i]->home_segment == (home ? segment : 0)) {
			*out = im->placed[i];
			*at = home ? s->base + (*out)->code_off : (segment & ~(PAGE - 1ull)) - distance;
			return 0;
		}
	if (im->placed_n == ISLANDS_MAX)
		return -ENOSPC;
	int err = make_placed(im, s, segment, distance, out);
	if (err)
		return err;
	im->placed[im->placed_n++] = *out;
	*at = home ? s->base + (*out)->code_off : (segment & ~(PAGE - 1ull)) - distance;
	return 0;
}

/* ---- patching ---------------------------------------------------------------------------------------------------- */

static u64 page_of(u64 address) {
	return address & ~(PAGE - 1ull);
}

/* Applies patches [from, to) to bytes, which stand at offset `base` of the segment. */
static void apply(const struct hooked_image *im, const struct island *island, u32 from, u32 to, u8 *bytes, u64 base,
                  u64 *patched, u64 *skipped) {
	u32 last = ~0u;
	bool original = false;
	for (u32 i = from; i < to; i++) {
		const struct patch *p = &island->patch[i];
		const struct site *s = &im->sites.at[p->site];
		if (p->site != last) {
			original = !memcmp(bytes + (s->off - s->before - base), s->bytes, s->before + SYSCALL_BYTES + s->after);
			last = p->site;
			++*(original ? patched : skipped);
		}
		if (original)
			memcpy(bytes + (p->off - base), p->bytes, JUMP_BYTES);
	}
}

int image_patch(const struct hooked_image *im, const struct placed_island *placed, const struct process *to, u64 segment,
                u64 *patched, u64 *skipped) {
	const struct island *island = &placed->island;
	u8 *run = malloc(im->sites.size + 1);
	int err = run ? 0 : -ENOMEM;
	for (u32 i = 0, next; !err && i < island->patches; i = next) {
		/* A run: patches on the same page or on neighbours; whole windows, so that their bytes can be compared. */
		const struct site *s = &im->sites.at[island->patch[i].site];
		u64 base = s->off - s->before, end = base;
		for (next = i; next < island->patches; next++) {
			s = &im->sites.at[island->patch[next].site];
			if (next > i && page_of(segment + s->off - s->before) > page_of(segment + end) + PAGE)
				break;
			end = (u64)s->off + SYSCALL_BYTES + s->after;
		}
		ASSERT(end > base && end <= im->sites.size && next > i);
		err = process_read(to, segment + base, run, end - base);
		if (err)
			break;
		apply(im, island, i, next, run, base, patched, skipped);
		err = process_write(to, segment + base, run, end - base);
	}
	free(run);
	return err;
}
