/* Images of a session: each file is looked at once, each island made once.
 *
 *   (device, inode, size, times, segment) ─► sites ─► placed islands, one for each distance to the image
 *
 * An island that stands at a fixed distance from its image has the same bytes in every process, so it is made once, lies
 * in the session's code segment, and is only mapped again by the next process. Images at low fixed addresses use it
 * where it lies: the window is within a jump of them.
 *
 * Patching. Windows are read from the process first, in a few vectored calls, and compared with the bytes that the sites
 * were found with; a site that differs is left alone. So are all when the stubs do not stand where they should: what a
 * target says is not believed. Then patches on neighbouring pages are written at once (writing site by site costs four
 * times as much). A jump that crosses a page is written by the kernel in two parts: if skep is killed between them, that
 * site of that process is torn; nothing better is known.
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

enum { RUN_MAX = 6 * PAGE, RUNS_MAX = 16, WINDOW_MAX = 64, STUBS_LOOK = 16 };

/* Patches on pages that follow each other: they are read at once, with the whole windows of their sites, and written at
 * once, from the first jump to the end of the last. */
struct run {
	u32 from, to; /* patches */
	u32 low, high; /* bytes of the segment that are read */
	u8 *bytes;    /* of [low, high) */
};
struct runs { /* read by one call; a few pages that are used again and again: fresh memory costs more than calls */
	struct run at[RUNS_MAX];
	u32 n;
	u8 bytes[2 * RUN_MAX + WINDOW_MAX];
};

static u64 page_of(u64 address) {
	return address & ~(PAGE - 1ull);
}

static u32 window_of(const struct site *s, u32 *size) {
	*size = s->before + SYSCALL_BYTES + s->after;
	ASSERT(*size <= sizeof s->bytes && s->off >= s->before);
	return s->off - s->before;
}

/* The next run, from patch i on; at most RUN_MAX bytes of windows and what lies between. */
static struct run next_run(const struct sites *sites, const struct island *island, u64 segment, u32 i) {
	u32 size, low = window_of(&sites->at[island->patch[i].site], &size);
	struct run r = {.from = i, .low = low};
	for (; i < island->patches; i++) {
		const struct patch *p = &island->patch[i];
		low = window_of(&sites->at[p->site], &size);
		u32 high = MAX(low + size, p->off + JUMP_BYTES);
		if (i > r.from && p->site != p[-1].site && /* a site is read before any of it is written */
		    (page_of(segment + p->off) > page_of(segment + p[-1].off + JUMP_BYTES - 1) + PAGE ||
		     high - r.low > RUN_MAX))
			break;
		r.high = high;
	}
	r.to = i;
	ASSERT(r.to > r.from && r.high > r.low && r.high - r.low <= RUN_MAX + WINDOW_MAX);
	return r;
}

/* Fills the runs with what stands there now, and `stubs` with the first bytes at address `at`: in one call, where that is
 * allowed and all of it is there. */
static int read_runs(const struct process *p, u64 segment, struct runs *runs, u8 *stubs, u64 at) {
	struct iovec there[RUNS_MAX + 1] = {{(void *)at, STUBS_LOOK}}, here[2] = {{stubs, STUBS_LOOK}, {runs->bytes, 0}};
	u64 n = 0;
	for (u32 i = 0; i < runs->n; i++) {
		struct run *r = &runs->at[i];
		r->bytes = runs->bytes + n, n += r->high - r->low;
		there[i + 1] = (struct iovec){(void *)(segment + r->low), r->high - r->low};
	}
	ASSERT(n <= sizeof runs->bytes);
	here[1].iov_len = n;
	if (process_vm_readv(p->pid, here, 2, there, runs->n + 1, 0) == (ssize_t)(n + STUBS_LOOK))
		return 0;
	int err = process_read(p, at, stubs, STUBS_LOOK);
	for (u32 i = 0; i < runs->n && !err; i++)
		err = process_read(p, segment + runs->at[i].low, runs->at[i].bytes, runs->at[i].high - runs->at[i].low);
	return err;
}

static bool as_found(const struct run *r, const struct site *s) {
	u32 size, off = window_of(s, &size);
	ASSERT(off >= r->low && off + size <= r->high);
	return !memcmp(r->bytes + (off - r->low), s->bytes, size);
}

/* Puts the jumps of one run into the process, but for sites whose window is not as it was found. All windows are compared
 * before the first jump is put in: both jumps of a site lie in its window. */
static int write_run(const struct sites *sites, const struct island *island, const struct run *r, const struct process *p,
                     u64 segment, u8 *usable) {
	u32 first = r->to, last = r->from;
	for (u32 i = r->from; i < r->to; i++)
		if ((usable[island->patch[i].site] = as_found(r, &sites->at[island->patch[i].site])))
			first = MIN(first, i), last = i;
	for (u32 i = r->from; i < r->to; i++)
		if (usable[island->patch[i].site])
			memcpy(r->bytes + (island->patch[i].off - r->low), island->patch[i].bytes, JUMP_BYTES);
	if (first == r->to)
		return 0;
	u32 off = island->patch[first].off;
	return process_write(p, segment + off, r->bytes + (off - r->low), island->patch[last].off + JUMP_BYTES - off);
}

static int patch_runs(const struct hooked_image *im, const struct island *island, const struct process *to, u64 segment,
                      u64 at, struct runs *runs, u8 *usable) {
	u8 stubs[STUBS_LOOK] = {0};
	int err = 0;
	for (u32 i = 0; i < island->patches && !err;) {
		u64 bytes = 0;
		for (runs->n = 0; i < island->patches && runs->n < RUNS_MAX; i = runs->at[runs->n++].to) {
			struct run r = next_run(&im->sites, island, segment, i);
			if (bytes + (r.high - r.low) > sizeof runs->bytes)
				break;
			bytes += r.high - r.low, runs->at[runs->n] = r;
		}
		err = read_runs(to, segment, runs, stubs, at);
		if (!err && memcmp(stubs, island->code, MIN(island->size, (u32)STUBS_LOOK)))
			err = -EFAULT;
		for (u32 k = 0; k < runs->n && !err; k++)
			err = write_run(&im->sites, island, &runs->at[k], to, segment, usable);
	}
	return err;
}

int image_patch(const struct hooked_image *im, const struct placed_island *placed, const struct process *to, u64 segment,
                u64 at, u64 *patched, u64 *skipped) {
	const struct island *island = &placed->island;
	struct runs runs;
	u8 *usable = calloc(im->sites.n + 1, 1);
	int err = usable ? patch_runs(im, island, to, segment, at, &runs, usable) : -ENOMEM;
	for (u32 i = 0, last = ~0u; !err && i < island->patches; i++)
		if (island->patch[i].site != last) {
			last = island->patch[i].site;
			++*(usable[last] ? patched : skipped);
		}
	free(usable);
	return err;
}
