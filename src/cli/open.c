/* The engine of this invocation, and objects from files: .o as they are, .c through the compiler. */
#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void engine_log(void *owner, int level, const char *line) {
	struct cli *cli = owner;
	if (level == 0)
		cli_error(cli, NULL, "%s", line);
	else if (level == 1)
		cli_warn(cli, "%s", line);
	else if (cli->debug)
		fprintf(stderr, "skep: %s\n", line);
}

struct skep_engine *cli_engine(struct cli *cli) {
	if (cli->engine)
		return cli->engine;
	struct engine_opts opts = {.size = sizeof opts, .backing = BACKING_FILES, .log = engine_log, .log_owner = cli,
	                           .interpreter_only = cli->interpreter, .untrusted = cli->untrusted,
	                           .verify_memory = cli->verify_memory, .verify_time_ns = cli->verify_time_ns};
	u32 before = cli->problems;
	int error = engine_create(&opts, &cli->engine);
	if (error && cli->problems == before)
		cli_error(cli, "set XDG_RUNTIME_DIR to a private directory on a tmpfs", "no place for maps: %s", strerror(-error));
	return cli->engine;
}

static bool ends_with(const char *s, const char *end) {
	size_t n = strlen(s), m = strlen(end);
	return n >= m && !strcmp(s + n - m, end);
}

/* The compiler's words as they are, in the form file:line:column that editors read; but for the complaint that it may not
 * remove its output, a descriptor of ours, which would be the last line of every error. */
static void on_compiler_words(void *owner, const struct skep_diagnostic *d) {
	static const char noise[] = "clang: error: unable to remove file";
	struct cli *cli = owner;
	char *text = d->sentence ? strdup(d->sentence) : NULL;
	for (char *at; text && (at = strstr(text, noise));) {
		char *end = strchr(at, '\n');
		if (end)
			memmove(at, end + 1, strlen(end));
		else
			*at = 0;
	}
	for (size_t n = text ? strlen(text) : 0; n && text[n - 1] == '\n';)
		text[--n] = 0;
	struct skep_diagnostic clean = *d;
	clean.sentence = text ? text : d->sentence;
	if (d->level || cli->json || !strstr(clean.sentence, "error: ")) {
		cli_diagnostic(cli, &clean);
	} else {
		cli->problems++;
		fprintf(stderr, "%s\n", clean.sentence);
		if (d->suggestion && d->suggestion[0])
			fprintf(stderr, "  try: %s\n", d->suggestion);
	}
	free(text);
}

/* Compiles to a file without a name, which a kill cannot leave behind: *fd holds it, path is /proc/self/fd/N, for the
 * compiler too, which inherits the descriptor. */
static int compile(struct cli *cli, const char *source, const struct arguments *a, char *path, size_t room, int *fd) {
	const char *flags[64 + 1];
	char *flag[64];
	u32 n = 0;
	int out = memfd_create("skep-object", 0);
	if (out < 0)
		return cli_error(cli, NULL, "no memory for the object: %s", strerror(errno));
	snprintf(path, room, "/proc/self/fd/%d", out);
	for (const char *dir; n < 64 && (dir = cli_option_nth(a, "include", n)); n++)
		flags[n] = flag[n] = asprintf(&flag[n], "-I%s", dir) < 0 ? NULL : flag[n];
	flags[n] = NULL;
	struct skep_compile_opts opts = {.size = sizeof opts, .flags = flags, .diagnostic = on_compiler_words,
	                                 .diagnostic_owner = cli};
	u32 before = cli->problems;
	int error = skep_compile(source, path, &opts);
	while (n--)
		free(flag[n]);
	fcntl(out, F_SETFD, FD_CLOEXEC);
	if (error)
		close(out);
	if (error)
		return cli->problems > before ? EXIT_CANNOT
		                              : cli_error(cli, NULL, "%s cannot be compiled: %s", source, strerror(-error));
	*fd = out;
	return EXIT_YES;
}

int cli_open(struct cli *cli, const char *path, const struct arguments *a, struct skep_object **out) {
	return cli_open_with(cli, path, a, cli_diagnostic, cli, NULL, out);
}

int cli_open_with(struct cli *cli, const char *path, const struct arguments *a, skep_diagnostic_fn *diagnostic, void *owner,
                  skep_bpf_fn *bpf, struct skep_object **out) {
	char compiled[64];
	int fd = -1;
	const char *file = path;
	if (!cli_readable(cli, path))
		return EXIT_CANNOT;
	if (ends_with(path, ".c")) {
		int status = compile(cli, path, a, compiled, sizeof compiled, &fd);
		if (status)
			return status;
		file = compiled;
	}
	const char *verbose = cli_option(a, "verbose");
	struct skep_object_opts opts = {
	    .size = sizeof opts,
	    .name = path,
	    .btf_path = cli_option(a, "btf"),
	    .bpf = bpf,
	    .log_level = verbose ? cli_option_count(a, "verbose") > 1 ? 2 | 4 : 1 | 4 : bpf ? 1 | 4 : 0,
	    .diagnostic = diagnostic,
	    .diagnostic_owner = owner,
	    .relaxed_maps = true,
	};
	u32 before = cli->problems;
	int error = skep_object__open_file(file, &opts, out);
	if (fd >= 0)
		close(fd);
	if (error && cli->problems == before)
		return cli_error(cli, NULL, "%s: %s", path, strerror(-error));
	return error ? EXIT_CANNOT : EXIT_YES;
}

int cli_no_program(struct cli *cli, const struct skep_object *object, const char *path, const char *name) {
	const char *names[256];
	char room[256];
	u32 n = 0;
	for (struct skep_program *p = NULL; (p = skep_object__next_program(object, p)) && n < ARRAY_SIZE(names);)
		names[n++] = skep_program__name(p);
	if (!name || !n)
		return cli_error(cli, "a program is a function with SEC(\"…\")", "%s has no program", path);
	return cli_error(cli, cli_did_you_mean(name, names, n, "skep disasm lists what an object holds", room),
					 "%s has no program %s", path, name);
}
