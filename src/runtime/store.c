/* The private directory (picture in store.h).
 *
 * A token is made first, its area second, its facts last and by rename: an object exists from the moment its facts do,
 * and a process killed on the way leaves files without facts, which the next scan under the lock removes. Objects are
 * removed in the opposite order. Nothing waits longer than ten seconds for a lock holder that was stopped.
 *
 * The directory is the user's own: whoever can write here is the user. The checks at the door (owner, mode, not a
 * symbolic link) keep others from having prepared it. Contents of records are checked all the same before use: a full
 * disk, a crash of the machine or another version of skep must lead to a sentence and not to a fault. */
#include "runtime/store.h"
#include "runtime/state.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

struct store_lock_file {
	u32 magic, version, last_id, pad;
};
enum { LOCK_WAIT_MS = 10000, NAME_ROOM = 32, ERROR_ROOM = 512, RECORD_MAX = 256 << 20 };

const char *object_kind_name(u32 kind) {
	static const char *const names[OBJECT_KINDS] = {"", "bpf-map", "bpf-prog", "bpf-link", "bpf-btf"};
	return kind < OBJECT_KINDS ? names[kind] : "";
}
static void object_name(char to[NAME_ROOM], u32 id, const char *suffix) {
	snprintf(to, NAME_ROOM, "%u.%s", id, suffix);
}

static void PRINTF(2, 3) say(char *error, const char *fmt, ...) {
	va_list args;
	va_start(args, fmt);
	vsnprintf(error, ERROR_ROOM, fmt, args);
	va_end(args);
}

static int open_private(int at, const char *path, char *error) {
	if (mkdirat(at, path, 0700) && errno != EEXIST)
		return say(error, "cannot make the directory %s: %s", path, strerror(errno)), -errno;
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		int e = errno;
		say(error,
			e == ELOOP || e == ENOTDIR ? "%s is not a directory of its own: remove it (%s)"
									   : "cannot open the directory %s: %s",
			path, strerror(e));
		return -e;
	}
	struct stat st;
	int err = fstat(fd, &st) ? -errno : 0;
	if (!err && st.st_uid != geteuid())
		err = -EPERM,
		say(error, "%s belongs to user %u, not to %u: objects of skep cannot lie there", path, st.st_uid, geteuid());
	if (!err && (st.st_mode & 077))
		err = -EPERM,
		say(error, "%s is open to others (mode %o): chmod 700 it, or remove it", path, st.st_mode & 07777);
	if (err)
		return close(fd), err;
	return fd;
}

/* $XDG_RUNTIME_DIR counts when it is what its specification says: a directory of ours that others cannot write to. */
static void default_path(char *to, size_t size) {
	const char *xdg = secure_getenv("XDG_RUNTIME_DIR");
	struct stat st;
	if (xdg && *xdg == '/' && strlen(xdg) < size - 8 && !stat(xdg, &st) && S_ISDIR(st.st_mode) &&
		st.st_uid == geteuid() && !(st.st_mode & 022) && !access(xdg, W_OK))
		snprintf(to, size, "%s/skep", xdg);
	else
		snprintf(to, size, "/dev/shm/skep-%u", geteuid());
}

static int check_lock_file(struct store *s, char *error) {
	struct store_lock_file f;
	ssize_t n = pread(s->lock, &f, sizeof f, 0);
	if (n == 0) {
		f = (struct store_lock_file){RECORD_MAGIC, RECORD_VERSION, 0, 0};
		n = pwrite(s->lock, &f, sizeof f, 0);
		if (n != sizeof f)
			return say(error, "%s is full: %s", s->path, strerror(n < 0 ? errno : ENOSPC)), -ENOSPC;
	}
	if (n != sizeof f || f.magic != RECORD_MAGIC || f.version != RECORD_VERSION)
		return say(error, "%s was made by another version of skep: end its processes and remove it", s->path), -EPROTO;
	return 0;
}

int store_open(struct store *s, const char *directory, char *error) {
	*s = (struct store){.dir = -1, .objects = -1, .pins = -1, .lock = -1};
	if (directory && strlen(directory) >= sizeof s->path)
		return say(error, "the path of the directory is too long"), -ENAMETOOLONG;
	if (directory)
		memcpy(s->path, directory, strlen(directory) + 1);
	else
		default_path(s->path, sizeof s->path);
	int err;
	if ((err = s->dir = open_private(AT_FDCWD, s->path, error)) < 0 ||
		(err = s->objects = open_private(s->dir, "objects", error)) < 0 ||
		(err = s->pins = open_private(s->dir, "pins", error)) < 0)
		goto fail;
	s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->lock < 0) {
		err = -errno, say(error, "cannot make %s/lock: %s", s->path, strerror(errno));
		goto fail;
	}
	struct stat st;
	if (fstat(s->objects, &st)) {
		err = -errno;
		goto fail;
	}
	s->dev = st.st_dev;
	if ((err = store_lock(s))) {
		say(error, "%s is locked by a process that does not go on: %s", s->path, strerror(-err));
		goto fail;
	}
	err = check_lock_file(s, error);
	store_unlock(s);
	if (!err)
		return 0;
fail:
	store_close(s);
	return err;
}

void store_close(struct store *s) {
	ASSERT(!s->depth);
	int *fds[] = {&s->dir, &s->objects, &s->pins, &s->lock};
	for (u32 i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int store_lock(struct store *s) {
	if (s->lock < 0 || s->depth++)
		return 0;
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	for (u32 waited = 0;; waited++) {
		if (!fcntl(s->lock, F_OFD_SETLK, &l))
			return 0;
		int err = errno;
		if ((err != EAGAIN && err != EACCES && err != EINTR) || waited >= LOCK_WAIT_MS) {
			s->depth--;
			return err == EAGAIN || err == EACCES ? -EBUSY : -err;
		}
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

void store_unlock(struct store *s) {
	if (s->lock < 0)
		return;
	ASSERT(s->depth);
	if (--s->depth)
		return;
	struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	fcntl(s->lock, F_OFD_SETLK, &l);
}

int store_new_id(struct store *s, u32 *id) {
	struct store_lock_file f;
	if (pread(s->lock, &f, sizeof f, 0) != sizeof f || f.magic != RECORD_MAGIC)
		return -EIO;
	/* Ids wrap after two thousand million objects; those still in use are passed over. */
	char name[NAME_ROOM];
	do {
		f.last_id = f.last_id >= INT32_MAX - 1 ? 1 : f.last_id + 1;
		object_name(name, f.last_id, "facts");
	} while (!faccessat(s->objects, name, F_OK, 0));
	if (pwrite(s->lock, &f, sizeof f, 0) != sizeof f)
		return -EIO;
	*id = f.last_id;
	return 0;
}

static int create_file(struct store *s, u32 id, const char *suffix) {
	char name[NAME_ROOM];
	object_name(name, id, suffix);
	int fd = openat(s->objects, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST) { /* the rest of somebody's crash */
		unlinkat(s->objects, name, 0);
		fd = openat(s->objects, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	return fd < 0 ? -errno : fd;
}
static int open_file(struct store *s, u32 id, const char *suffix, int flags) {
	char name[NAME_ROOM];
	object_name(name, id, suffix);
	int fd = openat(s->objects, name, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}
int store_new_token(struct store *s, u32 kind, u32 id) {
	return create_file(s, id, object_kind_name(kind));
}
int store_open_token(struct store *s, u32 kind, u32 id, int flags) {
	return open_file(s, id, object_kind_name(kind), flags);
}
int store_new_area(struct store *s, u32 id) {
	return create_file(s, id, "area");
}
int store_open_area(struct store *s, u32 id) {
	return open_file(s, id, "area", O_RDWR);
}

static int map_head(int fd, struct record_head **head) {
	void *p = mmap(NULL, sizeof **head, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*head = p;
	return 0;
}
void store_unmap_head(struct record_head *head) {
	munmap(head, sizeof *head);
}

int store_write_facts(struct store *s, u32 id, const struct record *r, u32 size, struct record_head **head) {
	ASSERT(size >= sizeof r->head && r->head.id == id && r->head.size == size);
	int fd = create_file(s, id, "tmp");
	if (fd < 0)
		return fd;
	char tmp[NAME_ROOM], name[NAME_ROOM];
	object_name(tmp, id, "tmp");
	object_name(name, id, "facts");
	int err = 0;
	for (u32 done = 0; done < size && !err;) {
		ssize_t n = write(fd, (const u8 *)r + done, size - done);
		if (n <= 0)
			err = n < 0 ? -errno : -ENOSPC;
		else
			done += n;
	}
	if (!err)
		err = map_head(fd, head);
	if (!err && renameat(s->objects, tmp, s->objects, name)) {
		err = -errno;
		store_unmap_head(*head);
	}
	if (err)
		unlinkat(s->objects, tmp, 0);
	close(fd);
	return err;
}

int store_read_facts(struct store *s, u32 id, struct record **out, struct record_head **head) {
	int fd = open_file(s, id, "facts", O_RDWR);
	if (fd < 0)
		return fd;
	struct stat st;
	int err = fstat(fd, &st) ? -errno : 0;
	struct record *r = NULL;
	if (!err && (st.st_size < (off_t)sizeof r->head || st.st_size > RECORD_MAX))
		err = -EIO;
	if (!err && !(r = calloc(1, MAX((size_t)st.st_size, sizeof *r))))
		err = -ENOMEM;
	if (!err && pread(fd, r, st.st_size, 0) != st.st_size)
		err = -EIO;
	if (!err && (r->head.magic != RECORD_MAGIC || r->head.version != RECORD_VERSION || r->head.id != id ||
				 r->head.size != st.st_size || !r->head.kind || r->head.kind >= OBJECT_KINDS))
		err = -EIO;
	if (!err && head)
		err = map_head(fd, head);
	close(fd);
	if (err)
		return free(r), err;
	*out = r;
	return 0;
}

void store_remove(struct store *s, u32 kind, u32 id) {
	const char *suffix[] = {"facts", "area", object_kind_name(kind)};
	for (u32 i = 0; i < ARRAY_SIZE(suffix); i++) {
		char name[NAME_ROOM];
		object_name(name, id, suffix[i]);
		unlinkat(s->objects, name, 0);
	}
}

/* "17.bpf-map" → 17 and "bpf-map". */
static bool parse_name(const char *name, u32 *id, const char **suffix) {
	u64 n = 0;
	const char *p = name;
	for (; *p >= '0' && *p <= '9' && n <= INT32_MAX; p++)
		n = n * 10 + (*p - '0');
	if (p == name || *p != '.' || n > INT32_MAX)
		return false;
	*id = n, *suffix = p + 1;
	return true;
}

static int by_id(const void *a, const void *b) {
	const struct store_entry *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

int store_scan(struct store *s, struct store_entry **out, u32 *n) {
	VEC(struct store_entry) all = {0};
	int fd = openat(s->objects, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	int err = 0;
	for (struct dirent *e; (e = readdir(d));) {
		u32 id;
		const char *suffix;
		if (!parse_name(e->d_name, &id, &suffix)) {
			if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
				unlinkat(s->objects, e->d_name, 0);
			continue;
		}
		u32 kind = 1;
		while (kind < OBJECT_KINDS && strcmp(suffix, object_kind_name(kind)))
			kind++;
		char facts[NAME_ROOM];
		object_name(facts, id, "facts");
		bool committed = !faccessat(s->objects, facts, F_OK, 0);
		if (kind == OBJECT_KINDS) {
			if (!committed || !strcmp(suffix, "tmp"))
				unlinkat(s->objects, e->d_name, 0);
			continue;
		}
		if (!committed) {
			store_remove(s, kind, id);
			continue;
		}
		struct store_entry *entry = vec_push(&all);
		if (!entry) {
			err = -ENOMEM;
			break;
		}
		*entry = (struct store_entry){.id = id, .kind = kind, .ino = e->d_ino, .facts = true};
	}
	closedir(d);
	if (err)
		return vec_free(&all), err;
	if (all.n)
		qsort(all.at, all.n, sizeof *all.at, by_id);
	*out = all.at, *n = all.n;
	return 0;
}

u64 store_free_bytes(const struct store *s) {
	struct statvfs v;
	return fstatvfs(s->objects, &v) ? 0 : (u64)v.f_bavail * v.f_frsize;
}
