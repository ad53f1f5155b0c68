/* helpers.def as a table. */
#include "abi/registry.h"
#include "abi/sets.h"

static const struct abi_helper helpers[__BPF_FUNC_MAX_ID] = {
#define HELPER(NAME, ID, ENGINE, ...) [ID] = {.id = ID, .name = #NAME, .engine = ENGINE, __VA_ARGS__},
#include "abi/helpers.def"
#undef HELPER
};
static const struct abi_helper variants[] = {
#define HELPER(...)
#define VARIANT(NAME, ENGINE, ...) {.id = BPF_FUNC_##NAME, .name = #NAME, .engine = ENGINE, __VA_ARGS__},
#include "abi/helpers.def"
#undef HELPER
};

const struct abi_helper *linux_helper(u32 id) {
	return id && id < __BPF_FUNC_MAX_ID ? &helpers[id] : NULL;
}
const struct abi_helper *linux_variant(u32 i) {
	return i < ARRAY_SIZE(variants) ? &variants[i] : NULL;
}
const struct abi_helper *abi_helper_at(u32 i) {
	return i + 1 < __BPF_FUNC_MAX_ID ? &helpers[i + 1] : linux_variant(i + 1 - __BPF_FUNC_MAX_ID);
}
