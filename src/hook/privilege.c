#include "hook/privilege.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SCRIPTS_MAX = 6, PATH_ROOM = 4096 };

/* Opens as the process would: absolute paths and absolute links start at its root. */
static int open_as(int root, int cwd, const char *path, u64 flags) {
	struct open_how how = {.flags = flags, .resolve = RESOLVE_IN_ROOT};
	if (path[0] == '/') {
		int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
		if (fd >= 0 || errno != ENOSYS)
			return fd;
		while (*path == '/')
			path++;
		return openat(root, *path ? path : ".", (int)flags);
	}
	return openat(cwd, path, (int)flags);
}

static bool is_regular(int fd) {
	struct stat st;
	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}
/* fd: a path only, so that files that may be executed but not read can be looked at. */
static bool file_gains(int fd) {
	struct stat st;
	char self[64];
	if (fstat(fd, &st))
		return false;
	if (st.st_mode & S_ISUID || (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return true;
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	return getxattr(self, "security.capability", NULL, 0) > 0;
}

/* The interpreter of a script, cut out of its first line. */
static bool interpreter_of(int fd, char *path, size_t room) {
	char line[256];
	ssize_t n = pread(fd, line, sizeof line - 1, 0);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = 0;
	char *from = line + 2 + strspn(line + 2, " \t");
	size_t length = strcspn(from, " \t\n");
	if (!length || length >= room)
		return false;
	memcpy(path, from, length);
	path[length] = 0;
	return true;
}

bool exec_gains_privilege(int root, int cwd, const char *path) {
	char interpreter[PATH_ROOM], self[64];
	ASSERT(path || cwd);
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		int at = path ? open_as(root, cwd, path, O_PATH | O_CLOEXEC) : dup(cwd);
		bool exists = at >= 0 && is_regular(at), gains = exists && file_gains(at);
		/* Devices are not opened: that may set something off. Not by its path again: it may be another file by now. */
		snprintf(self, sizeof self, "/proc/self/fd/%d", at);
		int fd = exists && !gains ? open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
		if (at >= 0)
			close(at);
		if (!exists)
			return false; /* the exec will fail */
		bool script = fd >= 0 && interpreter_of(fd, interpreter, sizeof interpreter);
		if (fd >= 0)
			close(fd);
		if (!script)
			return gains;
		path = interpreter;
	}
	return false;
}
