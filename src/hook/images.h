/* The images (programs, libraries, the vDSO) that a session has met: their sites, and the islands made for them. */
#ifndef SKEP_HOOK_IMAGES_H
#define SKEP_HOOK_IMAGES_H
#include "hook/process.h"
#include "hook/session.h"
#include <sys/stat.h>

enum { ISLANDS_MAX = 6 };
struct placed_island {
	u64 distance;      /* it stands that far below the segment's page; 0: at home in the window */
	u64 home_segment;  /* for islands at home: where the segment stands */
	u32 code_off;      /* in the code segment */
	struct island island;
};
struct hooked_image {
	struct hooked_image *next;
	u64 dev, ino, size, mtime, ctime; /* identity of the file; the vDSO has zeros */
	u32 segment;                      /* index */
	struct sites sites;
	u64 file_off;                     /* of the segment */
	struct placed_island *placed[ISLANDS_MAX];
	u32 placed_n;
};
struct images {
	struct hooked_image *first;
	const char *cache_dir; /* NULL: none */
};

/* The image whose executable segment contains file offset `off` of the open file, from memory, the cache on disk or by
 * searching it. 0 or negative errno; *out is NULL when there is nothing to hook. */
int images_of_file(struct images *im, int fd, u64 off, struct hooked_image **out);
/* The vDSO, when it was met before; else it is added. */
struct hooked_image *images_vdso(const struct images *im);
int images_add_vdso(struct images *im, const void *bytes, u64 size, struct hooked_image **out);
void images_free(struct images *im);

/* The island for an image whose segment stands at `segment`, at the k-th choice of place: makes it when needed. *at is its
 * address; with a distance it must be mapped there first, from code_off. -ENOSPC: no more choices. */
int image_island(struct hooked_image *im, struct session_state *s, u64 segment, u32 k, struct placed_island **out, u64 *at);
/* Writes the jumps of an island, which stands at `at`, into the process. Sites whose bytes are not the original ones are
 * left alone and counted in *skipped. 0 or negative errno; -EFAULT: the island does not stand there, or the image. */
int image_patch(const struct hooked_image *im, const struct placed_island *p, const struct process *to, u64 segment, u64 at,
                u64 *patched, u64 *skipped);
#endif
