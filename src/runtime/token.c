/* Tokens: the descriptors that stand for objects.
 *
 *      user's descriptor ──► description A ──┐ read lock on byte 0 (user lease)
 *      (dup, fork, SCM_RIGHTS share A)       ├──► inode = the object
 *      engine's token_fd ──► description B ──┘ read lock on byte 1 while other objects hold it (hold lease)
 *
 * A lease is an open-file-description lock: it lives exactly as long as the description, so through dup, fork, exec and
 * passing, and while the file is mapped after close; it goes with the last process that has it, however that ends. The
 * engine asks through B whether anybody else has a lock (F_OFD_GETLK does not report B's own).
 *
 * A write-only description cannot take a read lock: it takes a write lock on a byte of its own beyond 15.
 *
 * In the file backing a token is a file of the store. In the anonymous backing it is a memfd, and a second description
 * of it comes from /proc/self/fd. Where there is no /proc the descriptors are duplicates, closing them cannot be
 * observed, and the object stays until engine_close or engine_destroy. With opts.handles there are no descriptors at
 * all. */
#include "runtime/state.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
enum { BYTE_USER = 0, BYTE_HOLD = 1, BYTE_WRITE_ONLY = 16, WRITE_ONLY_MAX = 1024 };

static int lock(int fd, int type, off_t start) {
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
	return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}
static bool locked(int fd, off_t start, off_t len) {
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	if (fcntl(fd, F_OFD_GETLK, &l))
		return true; /* not to be known: rather leak than take away */
	return l.l_type != F_UNLCK;
}

int token_lease(int fd, u32 mode) {
	if (mode & MODE_READ)
		return lock(fd, F_RDLCK, BYTE_USER);
	for (u32 i = 0; i < WRITE_ONLY_MAX; i++) {
		int err = lock(fd, F_WRLCK, BYTE_WRITE_ONLY + i);
		if (err != -EAGAIN && err != -EACCES)
			return err;
	}
	return -EMFILE;
}
bool token_leased(const struct object *o) {
	return o->counted || (o->token_fd >= 0 && !o->unwatched && locked(o->token_fd, 0, 0));
}
bool token_user_leased(const struct object *o) {
	return o->counted || (o->token_fd >= 0 && !o->unwatched &&
						  (locked(o->token_fd, BYTE_USER, 1) || locked(o->token_fd, BYTE_WRITE_ONLY, 0)));
}
void token_hold(struct object *o, bool on) {
	if (o->token_fd >= 0)
		lock(o->token_fd, on ? F_RDLCK : F_UNLCK, BYTE_HOLD);
}

/* A file without a name: memfd, or where the machine forbids that an unnamed temporary file. */
static int unnamed_file(u32 kind) {
	int fd = memfd_create(object_kind_name(kind), MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(object_kind_name(kind), MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return -errno;
	static const char *const places[] = {"/dev/shm", "/tmp"};
	for (u32 i = 0; i < ARRAY_SIZE(places) && fd < 0; i++)
		fd = open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int no_room(struct call *c, u64 bytes, int err) {
	return err == -ENOSPC || err == -EDQUOT ? explain_full(c, bytes) : err;
}

int token_create(struct call *c, struct object *o, u64 data_size, bool commit) {
	struct skep_engine *e = c->e;
	o->token_fd = -1;
	if (e->opts.handles)
		return 0;
	int fd = e->opts.backing == BACKING_FILES ? store_new_token(&e->store, o->kind, o->id) : unnamed_file(o->kind);
	if (fd == -EPERM || fd == -EACCES || fd == -ENOSYS)
		return explain(c, fd,
					   "this process may not make files in memory (memfd_create, O_TMPFILE), which descriptors "
					   "of skep need; an engine with handles works without");
	if (fd < 0)
		return no_room(c, 4096, fd);
	int err = 0;
	struct stat st;
	if (data_size && ftruncate(fd, data_size))
		err = -errno;
	if (!err && data_size && commit && fallocate(fd, 0, 0, data_size) && errno != EOPNOTSUPP)
		err = no_room(c, data_size, -errno);
	if (!err && e->opts.backing == BACKING_ANONYMOUS && data_size)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW); /* then no reader can meet SIGBUS */
	if (!err && fstat(fd, &st))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	o->token_fd = fd, o->dev = st.st_dev, o->ino = st.st_ino;
	o->restricted = e->opts.backing == BACKING_FILES; /* other processes open it as they like */
	return 0;
}

static int open_again(struct skep_engine *e, struct object *o, u32 mode) {
	int flags = O_CLOEXEC | (mode == MODE_READ ? O_RDONLY : mode == MODE_WRITE ? O_WRONLY : O_RDWR);
	if (e->opts.backing == BACKING_FILES)
		return store_open_token(&e->store, o->kind, o->id, flags);
	char path[48];
	snprintf(path, sizeof path, "/proc/self/fd/%d", o->token_fd);
	int fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

int token_open(struct call *c, struct object *o, u32 mode) {
	struct skep_engine *e = c->e;
	ASSERT(mode);
	o->restricted |= mode != (MODE_READ | MODE_WRITE);
	if (e->opts.handles) {
		struct handle *h = NULL;
		for (u32 i = 0; i < e->handles.n && !h; i++)
			if (!e->handles.at[i].o)
				h = &e->handles.at[i];
		if (!h && !(h = vec_push(&e->handles)))
			return -ENOMEM;
		*h = (struct handle){o, mode};
		o->counted++;
		return ENGINE_HANDLE + (int)(h - e->handles.at);
	}
	int fd = open_again(e, o, mode);
	if (fd == -EMFILE || fd == -ENFILE)
		return fd;
	int err = fd < 0 ? fd : token_lease(fd, mode);
	if (err && e->opts.backing == BACKING_ANONYMOUS && mode == (MODE_READ | MODE_WRITE)) {
		/* No /proc, or no such locks: a duplicate whose closing nobody notices. */
		if (fd >= 0)
			close(fd);
		fd = fcntl(o->token_fd, F_DUPFD_CLOEXEC, 0);
		err = fd < 0 ? -errno : 0;
		if (!err)
			o->unwatched = true, o->counted++;
	}
	if (err) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	return c->caller && c->caller->give_fd ? c->caller->give_fd(c->caller->owner, fd) : fd;
}

void token_close(struct object *o) {
	if (o->token_fd >= 0)
		close(o->token_fd);
	o->token_fd = -1;
}
