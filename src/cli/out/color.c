#include "cli/out/out.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool on_stdout, on_stderr;

static const char *sequence(enum out_color c) {
	static const char *const s[] = {"\033[0m",  "\033[1m",  "\033[2m", "\033[31m",
	                                "\033[32m", "\033[33m", "\033[34m"};
	return s[c];
}

static bool automatic(int fd) {
	const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE"), *term = getenv("TERM");
	if (no && *no)
		return false;
	if (force && *force && strcmp(force, "0"))
		return true;
	return isatty(fd) && !(term && !strcmp(term, "dumb"));
}

bool out_color_choose(const char *when) {
	bool always = !strcmp(when, "always"), never = !strcmp(when, "never");
	if (!always && !never && strcmp(when, "auto"))
		return false;
	on_stdout = always || (!never && automatic(1));
	on_stderr = always || (!never && automatic(2));
	return true;
}

void out_color_plain_stdout(void) {
	on_stdout = false;
}

const char *out_c(enum out_color c) {
	return on_stdout ? sequence(c) : "";
}

const char *out_err(enum out_color c) {
	return on_stderr ? sequence(c) : "";
}
