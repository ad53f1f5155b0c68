/* progs.def as a table. The return rules of a type stand in one array in the order of the rows; each type refers to its
 * stretch of it. */
#include "abi/registry.h"
#include "abi/sets.h"

/* Return rules: the same rows expanded twice, once as values and once as the type that each belongs to. */
static const struct abi_return returns[] = {
#define PROG(...)
#define RETURN(NAME, ATTACH, MIN, MAX) {.attach = ATTACH, .min = MIN, .max = MAX},
#include "abi/progs.def"
#undef PROG
};
static const u8 returns_of[ARRAY_SIZE(returns)] = {
#define PROG(...)
#define RETURN(NAME, ATTACH, MIN, MAX) BPF_PROG_TYPE_##NAME,
#include "abi/progs.def"
#undef PROG
};
static const struct abi_prog_type progs[__MAX_BPF_PROG_TYPE] = {
#define PROG(NAME, ID, name_, ENGINE, CTX, ...)                                                                        \
	[ID] = {.id = ID, .name = name_, .engine = ENGINE, .ctx = CTX, __VA_ARGS__},
#include "abi/progs.def"
#undef PROG
};

const struct abi_prog_type *linux_prog_type(u32 id) {
	return id && id < __MAX_BPF_PROG_TYPE ? &progs[id] : NULL;
}
const struct abi_return *linux_return(u32 id, u32 attach_type) {
	for (u32 i = 0; i < ARRAY_SIZE(returns); i++)
		if (returns_of[i] == id &&
		    (!returns[i].attach || (attach_type < 64 && returns[i].attach >> attach_type & 1)))
			return &returns[i];
	return NULL;
}
