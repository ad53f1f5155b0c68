/* One small file for each executable segment, named BUILDID-SEGMENT or, for files without a build id, by device, inode and
 * times. A file is written under another name, then renamed: readers see all of it or nothing.
 *
 *     header (magic, version, sums, identity) │ sites
 *
 * What is read is checked like anything from outside: sizes, checksum, every site's ranges and order. A wrong build id
 * (somebody edited the file after linking) is found by size and time of the file; and before a jump is written into a
 * process the original bytes of its window are compared, so a stale entry hooks nothing rather than something wrong. */
#include "hook/site_cache.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SITES_MAX = 1 << 20, VERSION = 2 /* of the format and of the finder */ };
struct header {
	char magic[8];
	u32 version, site_size;
	u64 sum;                    /* of everything behind it */
	u64 file_size, mtime;       /* of the image's file */
	u64 address, size;          /* of the segment */
	u32 n, skipped;
	u32 is_go, pad;
};
static const char magic[8] = "skepsite";

static u64 sum_of(const void *data, u64 n, u64 sum) {
	const u8 *p = data;
	for (u64 i = 0; i < n; i++)
		sum = (sum ^ p[i]) * 0x100000001b3ull;
	return sum;
}
static u64 sum_all(const struct header *h, const struct site *at) {
	u64 sum = sum_of(&h->file_size, sizeof *h - offsetof(struct header, file_size), 0xcbf29ce484222325ull);
	return sum_of(at, (u64)h->n * sizeof *at, sum);
}

static u64 time_of(const struct stat *st) {
	return (u64)st->st_mtim.tv_sec * 1000000000u + (u64)st->st_mtim.tv_nsec;
}

static bool name_of(char *path, size_t room, const char *dir, const struct elf *e, u32 segment, const struct stat *st) {
	char id[2 * ELF_BUILD_ID_MAX + 64];
	size_t n = 0;
	if (!dir || !dir[0])
		return false;
	for (u32 i = 0; i < e->build_id_n; i++)
		n += (size_t)snprintf(id + n, sizeof id - n, "%02x", e->build_id[i]);
	if (!e->build_id_n)
		snprintf(id, sizeof id, "file-%llx-%llx-%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
		         (unsigned long long)st->st_ctim.tv_sec * 1000000000u + (unsigned long long)st->st_ctim.tv_nsec);
	return (size_t)snprintf(path, room, "%s/%s-%u", dir, id, segment) < room;
}

static int read_all(int fd, void *to, u64 n) {
	for (u64 done = 0; done < n;) {
		ssize_t got = read(fd, (u8 *)to + done, n - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EINVAL;
		done += (u64)got;
	}
	return 0;
}

static int load(int fd, const struct elf *e, u32 segment, const struct stat *st, struct sites *out) {
	struct header h;
	ASSERT(segment < e->segments);
	const Elf64_Phdr *p = &e->segment[segment];
	int err = read_all(fd, &h, sizeof h);
	if (err)
		return err;
	if (memcmp(h.magic, magic, sizeof magic) || h.version != VERSION || h.site_size != sizeof(struct site) ||
	    h.n > SITES_MAX || h.file_size != (u64)st->st_size || h.mtime != time_of(st) || h.address != p->p_vaddr ||
	    h.size != p->p_filesz)
		return -ESTALE;
	*out = (struct sites){.address = h.address, .size = h.size, .skipped = h.skipped, .is_go = h.is_go != 0};
	if (!vec_reserve(out, h.n))
		return -ENOMEM;
	err = read_all(fd, out->at, (u64)h.n * sizeof *out->at);
	out->n = h.n;
	if (!err && (sum_all(&h, out->at) != h.sum || !sites_valid(out)))
		err = -EINVAL;
	return err;
}

int site_cache_load(const char *dir, const struct elf *e, u32 segment, const struct stat *st, struct sites *out) {
	char path[4096];
	struct stat own;
	*out = (struct sites){0};
	if (!name_of(path, sizeof path, dir, e, segment, st))
		return -ENOENT;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	/* Somebody else's file says where we write into a process: no. */
	int err = fstat(fd, &own) ? -errno : 0;
	if (!err && (!S_ISREG(own.st_mode) || own.st_uid != geteuid() || own.st_mode & 022))
		err = -EPERM;
	if (!err)
		err = load(fd, e, segment, st, out);
	close(fd);
	if (err)
		sites_free(out);
	return err;
}

static bool make_directory(const char *dir) {
	char path[4096];
	if ((size_t)snprintf(path, sizeof path, "%s", dir) >= sizeof path)
		return false;
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			mkdir(path, 0700);
			*p = '/';
		}
	return !mkdir(path, 0700) || errno == EEXIST;
}

void site_cache_store(const char *dir, const struct elf *e, u32 segment, const struct stat *st, const struct sites *s) {
	char path[4096], fresh[4200];
	if (!name_of(path, sizeof path, dir, e, segment, st) || !make_directory(dir))
		return;
	struct header h = {.version = VERSION, .site_size = sizeof(struct site), .file_size = (u64)st->st_size,
	                   .mtime = time_of(st), .address = s->address, .size = s->size, .n = s->n, .skipped = s->skipped,
	                   .is_go = s->is_go};
	memcpy(h.magic, magic, sizeof magic);
	h.sum = sum_all(&h, s->at);
	/* A file without a name leaves nothing behind if we die; where there is none, one that a later try replaces. */
	int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	bool nameless = fd >= 0;
	snprintf(fresh, sizeof fresh, "%s.%d", path, getpid());
	if (!nameless)
		unlink(fresh), fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	u64 n = (u64)s->n * sizeof *s->at;
	ASSERT(sites_valid(s));
	bool ok = write(fd, &h, sizeof h) == (ssize_t)sizeof h && (!n || write(fd, s->at, n) == (ssize_t)n);
	if (ok && nameless) {
		char self[64];
		snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
		unlink(fresh);
		ok = !linkat(AT_FDCWD, self, AT_FDCWD, fresh, AT_SYMLINK_FOLLOW);
	}
	ok = !close(fd) && ok;
	if (!ok || rename(fresh, path))
		unlink(fresh);
}
