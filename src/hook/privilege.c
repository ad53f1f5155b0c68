#include "hook/privilege.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SCRIPTS_MAX = 6, PATH_ROOM = 4096 };

/* Opens as the process would: absolute paths and absolute links start at its root. */
static int open_as(int root, int cwd, const char *path) {
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT};
	if (path[0] == '/') {
		int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
		if (fd >= 0 || errno != ENOSYS)
			return fd;
		while (*path == '/')
			path++;
		return openat(root, *path ? path : ".", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	return openat(cwd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static bool file_gains(int fd) {
	struct stat st;
	if (fstat(fd, &st))
		return false;
	if (!S_ISREG(st.st_mode))
		return false;
	if (st.st_mode & S_ISUID || (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return true;
	return fgetxattr(fd, "security.capability", NULL, 0) > 0;
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
	char interpreter[PATH_ROOM];
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		int fd = open_as(root, cwd, path);
		if (fd < 0) {
			/* Executable but not readable: the kernel makes such a process private, so it cannot be hooked anyway.
			 * What cannot be looked at is taken for privileged. */
			return errno == EACCES;
		}
		bool gains = file_gains(fd), script = !gains && interpreter_of(fd, interpreter, sizeof interpreter);
		close(fd);
		if (!script)
			return gains;
		path = interpreter;
	}
	return false;
}
