/* syscalls.def against the running kernel and the C library's header: every number's name, every symbol, and argument
 * names and types where the tracepoint formats can be read. */
#include "test.h"
#include "abi/abi.h"
#include <stdlib.h>
#include <unistd.h>

static void numbers(void) {
	FILE *f = fopen("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "r");
	char line[256], name[128];
	u32 nr, n = 0;
	if (!f)
		return;
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "#define __NR_%127s %u", name, &nr) != 2)
			continue;
		const struct abi_syscall *c = abi_syscall(nr);
		EXPECT(c != NULL);
		if (c)
			EXPECT_STR(c->name, name);
		n++;
	}
	fclose(f);
	printf("# %u numbers compared\n", n);
	EXPECT(n > 300);
}
/* Symbols __x64_sys_*: each of ours exists, but for parts of the kernel that are not configured. */
static void symbols(void) {
	FILE *f = fopen("/proc/kallsyms", "r");
	static u8 seen[1024];
	char line[512], symbol[256];
	u32 found = 0, ours = 0;
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%*s %*s __x64_%255s", symbol) != 1 || strncmp(symbol, "sys_", 4))
			continue;
		for (u32 nr = 0; nr < abi_syscalls(); nr++) {
			const struct abi_syscall *c = abi_syscall(nr);
			if (c && c->symbol && !strcmp(c->symbol, symbol))
				found += !seen[nr], seen[nr] = 1;
		}
	}
	if (f)
		fclose(f);
	for (u32 nr = 0; nr < abi_syscalls(); nr++) {
		const struct abi_syscall *c = abi_syscall(nr);
		ours += c && c->symbol;
		if (c && c->symbol && !seen[nr])
			printf("# the kernel has no __x64_%s\n", c->symbol);
	}
	printf("# %u of %u symbols found\n", found, ours);
	EXPECT(found + 10 >= ours);
}
static void format_of(const char *path, const struct abi_syscall *c) {
	FILE *f = fopen(path, "r");
	char line[512], type[256], name[128];
	u32 i = 0, off;
	while (f && fgets(line, sizeof line, f)) {
		char *field = strstr(line, "field:"), *end = field ? strchr(field, ';') : NULL;
		if (!end || sscanf(end, ";\toffset:%u", &off) != 1 || off < 16)
			continue;
		*end = 0;
		char *space = strrchr(field, ' ');
		snprintf(name, sizeof name, "%s", space + 1);
		*space = 0;
		snprintf(type, sizeof type, "%s", field + 6);
		EXPECT(i < c->args);
		if (i < c->args) {
			EXPECT_STR(c->arg[i].type, type);
			EXPECT_STR(c->arg[i].name, name);
		}
		i++;
	}
	EXPECT_EQ(i, c->args);
	if (f)
		fclose(f);
}
static void formats(void) {
	u32 n = 0;
	char path[256];
	for (u32 nr = 0; nr < abi_syscalls(); nr++) {
		const struct abi_syscall *c = abi_syscall(nr);
		if (!c || !c->symbol)
			continue;
		snprintf(path, sizeof path, "/sys/kernel/tracing/events/syscalls/sys_enter_%s/format", c->symbol + 4);
		if (access(path, R_OK))
			continue;
		n++;
		format_of(path, c);
	}
	printf("# %u formats compared\n", n);
}
int main(void) {
	RUN(numbers);
	if (access("/proc/kallsyms", R_OK))
		SKIP("symbols", "/proc/kallsyms cannot be read");
	else
		RUN(symbols);
	if (access("/sys/kernel/tracing/events/syscalls", R_OK))
		SKIP("formats", "tracefs is not mounted or cannot be read");
	else
		RUN(formats);
	return test_end();
}
