/* syscalls.def as a table. */
#include "abi/abi.h"
#include <string.h>

static const struct abi_syscall calls[] = {
#define SYSCALL(NR, NAME, SYMBOL, ARGS, ...)                                                                           \
	[NR] = {.nr = NR, .name = #NAME, .symbol = SYMBOL, .args = ARGS, .arg = {__VA_ARGS__}},
#include "abi/syscalls.def"
#undef SYSCALL
};

u32 abi_syscalls(void) {
	return ARRAY_SIZE(calls);
}
const struct abi_syscall *abi_syscall(u32 nr) {
	return nr < ARRAY_SIZE(calls) && calls[nr].name ? &calls[nr] : NULL;
}
const struct abi_syscall *abi_syscall_by_name(const char *name) {
	if (!strncmp(name, "__x64_", 6))
		name += 6;
	bool symbol = !strncmp(name, "sys_", 4);
	for (u32 nr = 0; nr < ARRAY_SIZE(calls); nr++) {
		const struct abi_syscall *c = &calls[nr];
		if (c->symbol && !strcmp(c->symbol + (symbol ? 0 : 4), name))
			return c;
	}
	if (symbol)
		name += 4;
	for (u32 nr = 0; nr < ARRAY_SIZE(calls); nr++)
		if (calls[nr].name && !strcmp(calls[nr].name, name))
			return &calls[nr];
	return NULL;
}
