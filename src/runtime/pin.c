/* Pins: names under the bpf file system's path that keep an object.
 *
 *     /sys/fs/bpf/fw/blocked ──► DIR/pins/fw/blocked, a hard link to the token
 *     blocked                ──► DIR/pins/blocked
 *
 * As in the kernel directories are made by mkdir and not by a pin, an existing name is -EEXIST, and a path elsewhere is
 * -EPERM. Walking is done from the pins directory with openat2(RESOLVE_BENEATH) where the kernel has it; «..» is
 * refused in any case. With the anonymous backing pins are names in a list of the engine. */
#include "runtime/state.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = PATH_MAX };
static const char bpffs[] = "/sys/fs/bpf";

/* The part of a user's path behind the root of the file system it stands for, or NULL. */
static const char *behind(const char *path, const char *root) {
	size_t n = strlen(root);
	if (strncmp(path, root, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n;
}
static int relative(struct skep_engine *e, const char *path, char *out, u32 size) {
	const char *p = path;
	if (*p == '/') {
		char own[PATH_SIZE];
		snprintf(own, sizeof own, "%s/pins", e->store.path);
		p = behind(path, bpffs);
		if (!p && e->opts.backing == BACKING_FILES)
			p = behind(path, own);
		if (!p)
			return -EPERM;
	}
	u32 n = 0;
	while (*p) {
		while (*p == '/')
			p++;
		u32 len = strcspn(p, "/");
		if (!len || (len == 1 && *p == '.')) {
			p += len;
			continue;
		}
		if (len == 2 && p[0] == '.' && p[1] == '.')
			return -EPERM;
		if (n + len + 2 > size)
			return -ENAMETOOLONG;
		if (n)
			out[n++] = '/';
		memcpy(out + n, p, len);
		n += len, p += len;
	}
	out[n] = 0;
	return 0;
}

int engine_pin_path(struct skep_engine *e, const char *path, char *out, u32 size) {
	char rel[PATH_SIZE];
	if (e->opts.backing != BACKING_FILES)
		return -EOPNOTSUPP;
	int err = relative(e, path, rel, sizeof rel);
	if (!err && (u32)snprintf(out, size, "%s/pins%s%s", e->store.path, *rel ? "/" : "", rel) >= size)
		err = -ENAMETOOLONG;
	return err;
}

static struct pin *find_pin(struct skep_engine *e, const char *rel) {
	for (u32 i = 0; i < e->pins.n; i++)
		if (!strcmp(e->pins.at[i].path, rel))
			return &e->pins.at[i];
	return NULL;
}
static int pin_in_memory(struct skep_engine *e, struct object *o, const char *rel) {
	if (find_pin(e, rel))
		return -EEXIST;
	char *copy = strdup(rel);
	struct pin *p = copy ? vec_push(&e->pins) : NULL;
	if (!p)
		return free(copy), -ENOMEM;
	*p = (struct pin){copy, o};
	o->pins++;
	return 0;
}

static int read_path(struct call *c, char rel[PATH_SIZE]) {
	char path[PATH_SIZE];
	int n = call_read_string(c, path, sizeof path, c->attr.pathname);
	if (n < 0)
		return n;
	if (n == sizeof path - 1)
		return -ENAMETOOLONG;
	if (!n)
		return -ENOENT;
	int err = relative(c->e, path, rel, PATH_SIZE);
	if (err == -EPERM)
		return explain(c, err, "%s is not in the bpf file system: pins are names, or paths under %s", path, bpffs);
	return err ? err : *rel ? 0 : -EEXIST;
}
static int check_path_fd(struct call *c, u32 flags) {
	if (c->attr.file_flags & ~flags)
		return -EINVAL;
	if (!(c->attr.file_flags & BPF_F_PATH_FD))
		return c->attr.path_fd ? -EINVAL : 0;
	return explain(c, -EOPNOTSUPP,
				   "pins relative to a directory descriptor (BPF_F_PATH_FD) are not available in the user "
				   "engine: not implemented yet");
}

s64 cmd_obj_pin(struct call *c) {
	struct skep_engine *e = c->e;
	struct object *o;
	char rel[PATH_SIZE];
	int err = check_path_fd(c, BPF_F_PATH_FD);
	if (!err)
		err = object_use(c, c->attr.bpf_fd, 0, &o, NULL);
	if (err)
		return err == -EBADF ? -EINVAL : err; /* the kernel tries one kind after the other and says this */
	if (o->kind == OBJECT_BTF)
		err = -EINVAL;
	if (!err)
		err = read_path(c, rel);
	pthread_mutex_lock(&e->mutex);
	if (!err && e->opts.backing != BACKING_FILES) {
		err = pin_in_memory(e, o, rel);
	} else if (!err && !(err = store_lock(&e->store))) {
		char token[32];
		snprintf(token, sizeof token, "%u.%s", o->id, object_kind_name(o->kind));
		if (linkat(e->store.objects, token, e->store.pins, rel, 0))
			err = -errno;
		store_unlock(&e->store);
		if (err == -ENOENT)
			explain(c, err, "the directory for %s does not exist: make it in %s/pins", rel, e->store.path);
	}
	pthread_mutex_unlock(&e->mutex);
	object_unuse(o);
	return err;
}

static int access_mode(u32 flags, u32 *mode) {
	if ((flags & BPF_F_RDONLY) && (flags & BPF_F_WRONLY))
		return -EINVAL;
	*mode = flags & BPF_F_RDONLY ? MODE_READ : flags & BPF_F_WRONLY ? MODE_WRITE : MODE_READ | MODE_WRITE;
	return 0;
}

/* Which object a pin names; the pin's inode says so. */
static int object_of_pin(struct call *c, const char *rel, struct object **out) {
	struct skep_engine *e = c->e;
	if (e->opts.backing != BACKING_FILES) {
		struct pin *p = find_pin(e, rel);
		*out = p ? p->o : NULL;
		return p ? 0 : -ENOENT;
	}
	struct stat st;
	if (fstatat(e->store.pins, rel, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_dev != e->store.dev)
		return -EACCES;
	*out = object_by_ino(e, st.st_dev, st.st_ino);
	return *out ? 0 : object_of_foreign(c, st.st_ino, out);
}

s64 cmd_obj_get(struct call *c) {
	struct skep_engine *e = c->e;
	char rel[PATH_SIZE];
	u32 mode, flags = c->attr.file_flags;
	int err = c->attr.bpf_fd ? -EINVAL : check_path_fd(c, BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_PATH_FD);
	if (!err)
		err = access_mode(flags, &mode);
	if (!err)
		err = read_path(c, rel);
	if (err)
		return err == -EEXIST ? -EACCES : err;
	pthread_mutex_lock(&e->mutex);
	struct object *o = NULL;
	if (!(err = store_lock(&e->store))) {
		err = object_of_pin(c, rel, &o);
		if (!err && o->kind != OBJECT_MAP && mode != (MODE_READ | MODE_WRITE))
			err = -EINVAL; /* as the kernel: programs and links have no access mode */
		if (!err)
			err = token_open(c, o, mode);
		store_unlock(&e->store);
	}
	if (err == -ENOENT)
		explain(c, err, "nothing is pinned as %s", rel);
	pthread_mutex_unlock(&e->mutex);
	return err;
}

int engine_unpin(struct skep_engine *e, const char *path) {
	char rel[PATH_SIZE];
	int err = relative(e, path, rel, sizeof rel);
	pthread_mutex_lock(&e->mutex);
	if (!err && e->opts.backing == BACKING_FILES) {
		if (unlinkat(e->store.pins, rel, 0))
			err = -errno;
	} else if (!err) {
		struct pin *p = find_pin(e, rel);
		if (p) {
			p->o->pins--;
			free(p->path);
			*p = e->pins.at[--e->pins.n];
		} else {
			err = -ENOENT;
		}
	}
	pthread_mutex_unlock(&e->mutex);
	return err;
}
