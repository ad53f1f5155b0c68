/* From a C source to an object file, with the clang that is there.
 *
 *	X.bpf.c   as it is: vmlinux.h, <bpf/…> and <skep/…> are found
 *	X.c       in the BCC dialect: vmlinux.h, the records of system call tracepoints and <skep/bcc.bpf.h> come first
 *
 * vmlinux.h is made from the kernel's types where they can be read, else from those that skep ships. Generated headers
 *lie in the cache directory under a hash of what they are made from, so that a stale one is never used; they are
 *written to a temporary name and renamed, so that two compilations at once do not meet half a file.
 *
 * This is the one part of the library that reads the environment: SKEP_CLANG, SKEP_INCLUDE, PATH, XDG_CACHE_HOME, HOME.
*/
#include "lib/compile.h"
#include "abi/types_btf.h"
#include "btf/dump.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
enum { ARGS_MAX = 256, OUTPUT_MAX = 1 << 20 };

static int report(struct compiler *c, int err, int level, const char *suggestion, const char *fmt, ...) PRINTF(5, 6);
static int report(struct compiler *c, int err, int level, const char *suggestion, const char *fmt, ...) {
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *text = n < 0 ? NULL : malloc((size_t)n + 1);
	if (text)
		vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	struct skep_diagnostic d = {
	    .size = sizeof d, .level = level, .sentence = text ? text : "", .suggestion = suggestion, .insn = -1};
	if (c->opts.diagnostic)
		c->opts.diagnostic(c->opts.diagnostic_owner, &d);
	free(text);
	return err;
}
static int out_of_memory_here(struct compiler *c) {
	return report(c, -ENOMEM, 0, NULL, "out of memory");
}

/* ---- where things are ---- */

static bool is_program(const char *path) {
	struct stat st;
	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}
static bool is_directory(const char *path) {
	struct stat st;
	return path && !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* The first program of that name in PATH, or NULL. */
static const char *in_path(struct compiler *c, const char *name) {
	const char *path = getenv("PATH");
	if (strchr(name, '/'))
		return is_program(name) ? name : NULL;
	for (const char *p = path && *path ? path : "/usr/local/bin:/usr/bin:/bin"; *p;) {
		u64 n = strcspn(p, ":");
		char *full = arena_printf(&c->arena, "%.*s/%s", (int)n, p, name);
		if (n && full && is_program(full))
			return full;
		p += n + (p[n] != 0);
	}
	return NULL;
}

static const char *find_clang(struct compiler *c) {
	const char *wanted = c->opts.clang ? c->opts.clang : getenv("SKEP_CLANG");
	if (wanted && *wanted) {
		const char *found = in_path(c, wanted);
		if (!found)
			report(c, 0, 0, c->opts.clang ? NULL : "Set SKEP_CLANG to a clang, or unset it",
			       "%s is not a program that can be run", wanted);
		return found;
	}
	const char *found = in_path(c, "clang");
	for (u32 version = 19; !found && version >= 11; version--)
		found = in_path(c, arena_printf(&c->arena, "clang-%u", version));
	if (!found)
		report(c, 0, 0, "Install it: apt-get install clang",
		       "compiling C sources to eBPF needs clang, and there is none in PATH");
	return found;
}

/* Where <skep/…> lies: beside the library's source, or where it was installed. */
static const char *find_include(struct compiler *c) {
	char exe[512];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	const char *candidates[6];
	u32 k = 0;
	candidates[k++] = c->opts.include_dir;
	candidates[k++] = c->opts.include_dir ? NULL : getenv("SKEP_INCLUDE");
	if (n > 0 && !c->opts.include_dir) {
		exe[n] = 0;
		char *slash = strrchr(exe, '/');
		*slash = 0;
		candidates[k++] = arena_printf(&c->arena, "%s/../include", exe);
	}
	candidates[k++] = SKEP_SOURCE_INCLUDE;
	candidates[k++] = SKEP_PREFIX_INCLUDE;
	for (u32 i = 0; i < k; i++) {
		char *probe = candidates[i] ? arena_printf(&c->arena, "%s/skep/bcc.bpf.h", candidates[i]) : NULL;
		if (probe && !access(probe, R_OK))
			return candidates[i];
	}
	report(c, 0, 0, "Set SKEP_INCLUDE to the directory that holds skep/bcc.bpf.h",
	       "the headers <skep/…> are not where they were installed");
	return NULL;
}

/* ---- generated headers ---- */

static int make_directories(const char *path) {
	char part[4096];
	snprintf(part, sizeof part, "%s", path);
	for (char *p = part + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			if (mkdir(part, 0777) && errno != EEXIST)
				return -errno;
			*p = '/';
		}
	return mkdir(part, 0777) && errno != EEXIST ? -errno : 0;
}

/* The cache, or a private directory that goes when the compilation ends. */
static int find_cache(struct compiler *c) {
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (c->opts.cache_dir)
		c->cache = c->opts.cache_dir;
	else if (xdg && *xdg == '/')
		c->cache = arena_printf(&c->arena, "%s/skep", xdg);
	else if (home && *home == '/')
		c->cache = arena_printf(&c->arena, "%s/.cache/skep", home);
	if (c->cache && !make_directories(c->cache) && !access(c->cache, W_OK))
		return 0;
	c->temporary = arena_printf(&c->arena, "%s/skep-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!c->temporary)
		return out_of_memory_here(c);
	if (!mkdtemp(c->temporary))
		return report(c, -errno, 0, "Set XDG_CACHE_HOME or TMPDIR to a directory that can be written",
			      "no directory for generated headers: %s", strerror(errno));
	c->cache = c->temporary;
	return 0;
}

u64 compile_hash(u64 h, const void *data, u64 size) {
	const u8 *p = data;
	for (; size >= 8; p += 8, size -= 8) {
		u64 w;
		memcpy(&w, p, 8);
		h = (h ^ w) * 0x9fb21c651e98df25, h ^= h >> 32;
	}
	for (; size; size--)
		h = (h ^ *p++) * 0x100000001b3;
	return h ^ h >> 29;
}

struct file {
	int fd;
	VEC(char) buffer;
};
static int file_write(void *owner, const char *text, u64 size) {
	struct file *f = owner;
	if (!vec_reserve(&f->buffer, (u32)size))
		return -ENOMEM;
	memcpy(f->buffer.at + f->buffer.n, text, size);
	f->buffer.n += (u32)size;
	if (f->buffer.n < 1 << 16 && size)
		return 0;
	for (u32 at = 0; at < f->buffer.n;) {
		ssize_t n = write(f->fd, f->buffer.at + at, f->buffer.n - at);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (u32)n : 0;
	}
	f->buffer.n = 0;
	return 0;
}

/* A new file in the directory, if can be without a name: then a kill leaves nothing. */
static int new_file(const char *directory, char *temporary) {
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		*temporary = 0;
	return fd >= 0 ? fd : mkstemp(temporary);
}
/* Gives it its name. Whoever was first with the same name wrote the same. */
static int name_file(int fd, const char *temporary, const char *path) {
	char link[64];
	if (*temporary)
		return rename(temporary, path) ? -errno : 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) && errno != EEXIST ? -errno : 0;
}

/* Makes directory/name if it is not there. fill writes it. */
static int generate(struct compiler *c, const char *directory, const char *name,
		    int (*fill)(void *data, btf_write_fn *write, void *owner), void *data) {
	char *path = arena_printf(&c->arena, "%s/%s", directory, name),
	     *temporary = arena_printf(&c->arena, "%s/.XXXXXX", directory);
	if (!path || !temporary)
		return out_of_memory_here(c);
	if (!access(path, R_OK))
		return 0;
	int err = make_directories(directory);
	struct file f = {.fd = err ? -1 : new_file(directory, temporary)};
	if (f.fd < 0)
		return report(c, -errno, 0, "Make room, or set XDG_CACHE_HOME", "%s cannot be written: %s", path,
			      strerror(errno));
	err = fill(data, file_write, &f);
	err = err ? err : file_write(&f, "", 0);
	vec_free(&f.buffer);
	fchmod(f.fd, 0644);
	err = err ? err : name_file(f.fd, temporary, path);
	close(f.fd);
	if (err) {
		if (*temporary)
			unlink(temporary);
		report(c, err, 0, "Make room, or set XDG_CACHE_HOME", "%s cannot be written: %s", path, strerror(-err));
	}
	return err;
}

static int fill_vmlinux(void *btf, btf_write_fn *write, void *owner) {
	return btf_dump_c(btf, BTF_C_VMLINUX, write, owner);
}

static int make_vmlinux(struct compiler *c) {
	struct btf *btf = NULL;
	struct btf_log log = {0};
	if (btf_read_file(NULL, NULL, 0, &log, &btf) && btf_parse(skep_btf_data, skep_btf_size, NULL, 0, &log, &btf))
		return report(c, -EINVAL, 0, NULL, "vmlinux.h cannot be made: %s", log.error);
	c->vmlinux = arena_printf(&c->arena, "%s/btf-%016llx", c->cache,
				  (unsigned long long)compile_hash(COMPILE_FORMAT, btf->data, btf->data_size));
	int err = c->vmlinux ? generate(c, c->vmlinux, "vmlinux.h", fill_vmlinux, btf) : out_of_memory_here(c);
	btf_put(btf);
	return err;
}

static int fill_text(void *text, btf_write_fn *write, void *owner) {
	return write(owner, text, strlen(text));
}
static int make_tracepoints(struct compiler *c) {
	char *text = compile_tracepoints(&c->arena);
	if (!text)
		return out_of_memory_here(c);
	char *name = arena_printf(&c->arena, "tracepoints-%016llx.h",
				  (unsigned long long)compile_hash(COMPILE_FORMAT, text, strlen(text)));
	c->tracepoints = name ? arena_printf(&c->arena, "%s/%s", c->cache, name) : NULL;
	return c->tracepoints ? generate(c, c->cache, name, fill_text, text) : out_of_memory_here(c);
}

/* ---- the compiler ---- */

static void add(struct compiler *c, const char *arg) {
	if (c->args_n < ARGS_MAX - 1)
		c->args[c->args_n++] = arg;
}
static void add_pair(struct compiler *c, const char *option, const char *value) {
	add(c, option);
	add(c, value);
}

static bool ends_with(const char *s, const char *end) {
	u64 n = strlen(s), m = strlen(end);
	return n >= m && !strcmp(s + n - m, end);
}

static int make_arguments(struct compiler *c, const char *source, const char *output) {
	static const char multiarch[] = "/usr/include/x86_64-linux-gnu";
	bool dialect = !ends_with(source, ".bpf.c");
	c->args = arena_array(&c->arena, const char *, ARGS_MAX);
	if (!c->args)
		return out_of_memory_here(c);
	add(c, c->clang);
	static const char *const always[] = {"-O2",
					     "-g",
					     "-target",
					     "bpf",
					     "-mcpu=v3",
					     "-D__TARGET_ARCH_x86",
					     "-fno-stack-protector",
					     "-fno-crash-diagnostics",
					     "-Wno-unknown-attributes",
					     "-Wno-compare-distinct-pointer-types",
					     "-Wno-gnu-variable-sized-type-not-at-end"};
	for (u32 i = 0; i < ARRAY_SIZE(always); i++)
		add(c, always[i]);
	for (u32 i = 0; c->opts.flags && c->opts.flags[i]; i++)
		add(c, c->opts.flags[i]);
	add_pair(c, "-I", c->vmlinux);
	if (dialect)
		add_pair(c, "-I", arena_printf(&c->arena, "%s/skep/bcc", c->include));
	add_pair(c, "-I", c->include);
	if (is_directory(multiarch))
		add_pair(c, "-idirafter", multiarch);
	if (!dialect) {
		add_pair(c, "-include", "skep/events.bpf.h");
	} else {
		int err = make_tracepoints(c);
		if (err)
			return err;
		add_pair(c, "-include", "vmlinux.h");
		add_pair(c, "-include", c->tracepoints);
		add_pair(c, "-include", "skep/bcc.bpf.h");
	}
	add_pair(c, "-c", source);
	add_pair(c, "-o", output);
	return c->args_n < ARGS_MAX - 1 ? 0 : report(c, -E2BIG, 0, NULL, "too many compiler flags");
}

/* Runs the compiler; what it says on either output, as one text in c->arena. The exit status, or negative errno. */
static int run(struct compiler *c, char **said) {
	int ends[2], status = 0;
	pid_t pid;
	*said = arena_alloc(&c->arena, OUTPUT_MAX + 1);
	if (!*said || pipe2(ends, O_CLOEXEC))
		return *said ? -errno : -ENOMEM;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
	int err = posix_spawn(&pid, c->clang, &actions, NULL, (char *const *)c->args, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	for (u64 at = 0; !err;) {
		char drain[4096];
		bool room = at < OUTPUT_MAX;
		ssize_t n = read(ends[0], room ? *said + at : drain, room ? OUTPUT_MAX - at : sizeof drain);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += room ? (u64)n : 0;
	}
	close(ends[0]);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What is for people in the compiler's words: no trailing newlines; of a crash the sentence, not the stack dump; nothing
 * about output files that could not be removed, for they are descriptors. */
static void tidy_words(char *said) {
	static const char *const crash[] = {"PLEASE submit a bug report", "Stack dump:", "fatal error: error in backend"};
	for (u32 i = 0; i < ARRAY_SIZE(crash); i++) {
		char *at = strstr(said, crash[i]);
		if (at && at > said)
			*at = 0;
	}
	for (char *line; (line = strstr(said, "clang: error: unable to remove file"));) {
		u64 n = strcspn(line, "\n");
		memmove(line, line + n + (line[n] != 0), strlen(line + n) + 1 - (line[n] != 0));
	}
	for (u64 n = strlen(said); n && said[n - 1] == '\n';)
		said[--n] = 0;
}

static const char *hint_for(const char *said) {
	if (strstr(said, "signed division"))
		return "Divide unsigned numbers: signed division needs version 4 of the instructions";
	static const char *const libbpf[] = {"'bpf/bpf_helpers.h'", "'bpf/bpf_tracing.h'", "'bpf/bpf_core_read.h'",
	                                     "'bpf/bpf_endian.h'", "'bpf/usdt.bpf.h'"};
	for (u32 i = 0; i < ARRAY_SIZE(libbpf); i++)
		if (strstr(said, libbpf[i]) && strstr(said, "file not found"))
			return "Install libbpf's headers: apt-get install libbpf-dev";
	if (strstr(said, "'asm/") || strstr(said, "'linux/"))
		return strstr(said, "file not found")
			   ? "Install the kernel's headers for programs: apt-get install linux-libc-dev"
			   : NULL;
	return NULL;
}

static void remove_temporary(struct compiler *c) {
	if (!c->temporary)
		return;
	/* Two levels, made by us. */
	const char *directories[] = {c->vmlinux, c->temporary};
	for (u32 i = 0; i < ARRAY_SIZE(directories); i++) {
		DIR *d = directories[i] ? opendir(directories[i]) : NULL;
		for (struct dirent *e; d && (e = readdir(d));)
			unlinkat(dirfd(d), e->d_name, 0);
		if (d)
			closedir(d), rmdir(directories[i]);
	}
}

static int compile(struct compiler *c, const char *source, const char *output) {
	char *said = NULL;
	if (access(source, R_OK))
		return report(c, -errno, 0, NULL, "%s cannot be read: %s", source, strerror(errno));
	if (!(c->clang = find_clang(c)) || !(c->include = find_include(c)))
		return -ENOENT;
	int err = find_cache(c);
	err = err ? err : make_vmlinux(c);
	err = err ? err : make_arguments(c, source, output);
	if (err)
		return err;
	int status = run(c, &said);
	if (status < 0)
		return report(c, status, 0, NULL, "%s cannot be run: %s", c->clang, strerror(-status));
	tidy_words(said);
	if (status)
		return report(c, -EINVAL, 0, hint_for(said), "%s",
			      *said ? said : "clang failed without a word");
	if (*said)
		report(c, 0, 1, NULL, "%s", said);
	return 0;
}

int skep_compile(const char *source, const char *output, const struct skep_compile_opts *opts) {
	struct compiler c = {0};
	if (opts && opts->size < sizeof opts->size)
		return -EINVAL;
	if (opts)
		memcpy(&c.opts, opts, MIN(opts->size, sizeof c.opts));
	arena_init(&c.arena, 0);
	int err = compile(&c, source, output);
	remove_temporary(&c);
	arena_free(&c.arena);
	return err;
}
