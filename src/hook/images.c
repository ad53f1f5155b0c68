/* Images of a session: each file is looked at once, each island made once.
 *
 *   (device, inode, size, times, segment) ─► sites ─► placed islands, one for each distance to the image
 *
 * An island that stands at a fixed distance from its image has the same bytes in every process, so it is made once, lies
 * in the session's code segment, and is only mapped again by the next process. Images at low fixed addresses use it
 * where it lies: the window is within a jump of them.
 *
 * Patching. All windows are read from the process first, with a few vectored reads, and compared with the bytes that the
 * sites were found with; a site that differs is left alone. Then runs of neighbouring patches are written at once
 * (writing site by site costs four times as much). A jump that crosses a page is written by the kernel in two parts: if
 * skep is killed between them, that site of that process is torn; nothing better is known.
 *
 * Invariants: patches are sorted and disjoint; nobody executes the text while it is written, because the only thread that
 * could is asleep in its request. */
#include "hook/images.h"
#include "hook/site_cache.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { PAGE = 4096 };

static struct hooked_image *find(const struct images *im, const struct hooked_image *key, u64 off) {
	for (struct hooked_image *i = im->first; i; i = i->next)
		if (i->dev == key->dev && i->ino == key->ino && i->size == key->size && i->mtime == key->mtime &&
		    i->ctime == key->ctime && (off - i->file_off < i->sites.size || (!off && !i->file_off)))
			return i;
	return NULL;
}

static struct hooked_image *add(struct images *im, const struct hooked_image *like) {
	ASSERT(sites_valid(&like->sites));
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
	ASSERT(distance < page || !distance);
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

int image_island(struct hooked_image *im, struct session_state *s, u64 segment, u32 k, struct placed_island **out,
				 u64 *at) {
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
	ASSERT(im->placed_n < ISLANDS_MAX && *out);
	im->placed[im->placed_n++] = *out;
	*at = home ? s->base + (*out)->code_off : (segment & ~(PAGE - 1ull)) - distance;
	return 0;
}

/* ---- patching ---------------------------------------------------------------------------------------------------- */

enum { VECTORS = 512 }; /* below the kernel's limit for one call */

static u64 page_of(u64 address) {
	return address & ~(PAGE - 1ull);
}

static u32 window_of(const struct site *s, u32 *size) {
	*size = s->before + SYSCALL_BYTES + s->after;
	ASSERT(*size <= sizeof s->bytes && s->off >= s->before);
	return s->off - s->before;
}

/* The bytes of all windows, one behind the other, in a few calls; where that call is denied, one by one. */
static int read_windows(const struct sites *sites, const struct process *p, u64 segment, u8 *to) {
	struct iovec there[VECTORS];
	for (u32 i = 0; i < sites->n;) {
		u32 n = 0, size;
		u64 bytes = 0;
		for (; i + n < sites->n && n < VECTORS; n++) {
			u32 off = window_of(&sites->at[i + n], &size);
			there[n] = (struct iovec){(void *)(segment + off), size};
			bytes += size;
		}
		struct iovec here = {to, bytes};
		if (process_vm_readv(p->pid, &here, 1, there, n, 0) != (ssize_t)bytes)
			for (u32 k = 0, done = 0; k < n; done += (u32)there[k++].iov_len) {
				int err = process_read(p, (u64)there[k].iov_base, to + done, there[k].iov_len);
				if (err)
					return err;
			}
		ASSERT(n > 0 && n <= VECTORS);
		to += bytes, i += n;
	}
	return 0;
}

/* Compares all windows with the original bytes: usable[i] says whether site i may be patched. */
static int check_windows(const struct sites *sites, const struct process *p, u64 segment, u8 *usable) {
	u8 *bytes = malloc((u64)sites->n * sizeof sites->at[0].bytes + 1), *at = bytes;
	int err = bytes ? read_windows(sites, p, segment, bytes) : -ENOMEM;
	for (u32 i = 0, size; !err && i < sites->n; i++, at += size) {
		window_of(&sites->at[i], &size);
		usable[i] = !memcmp(at, sites->at[i].bytes, size);
	}
	free(bytes);
	return err;
}

/* Writes patches [from, to): all on one page or on neighbours. What lies between them is read first. */
static int write_run(const struct island *island, u32 from, u32 to, const u8 *usable, const struct process *p,
					 u64 segment) {
	u8 run[4 * PAGE];
	ASSERT(from < to && to <= island->patches);
	u64 base = island->patch[from].off, end = (u64)island->patch[to - 1].off + JUMP_BYTES;
	ASSERT(end > base && end - base <= sizeof run);
	int err = to - from > 1 ? process_read(p, segment + base, run, end - base) : 0;
	for (u32 i = from; !err && i < to; i++)
		if (usable[island->patch[i].site])
			memcpy(run + (island->patch[i].off - base), island->patch[i].bytes, JUMP_BYTES);
	return err ? err : process_write(p, segment + base, run, end - base);
}

int image_patch(const struct hooked_image *im, const struct placed_island *placed, const struct process *to, u64 segment,
                u64 *patched, u64 *skipped) {
	const struct island *island = &placed->island;
	u8 *usable = calloc(im->sites.n + 1, 1);
	int err = usable ? check_windows(&im->sites, to, segment, usable) : -ENOMEM;
	for (u32 i = 0, next; !err && i < island->patches; i = next) {
		u64 first = segment + island->patch[i].off;
		for (next = i + 1; next < island->patches; next++)
			if (page_of(segment + island->patch[next].off) > page_of(segment + island->patch[next - 1].off) + PAGE ||
			    segment + island->patch[next].off + JUMP_BYTES - first > 3 * PAGE ||
			    !usable[island->patch[next].site])
				break;
		if (!usable[island->patch[i].site])
			continue;
		err = write_run(island, i, next, usable, to, segment);
	}
	for (u32 i = 0, last = ~0u; !err && i < island->patches; i++)
		if (island->patch[i].site != last) {
			last = island->patch[i].site;
			++*(usable[last] ? patched : skipped);
		}
	free(usable);
	return err;
}
