/* maps.def, links.def as tables. */
#include "abi/registry.h"
#include "abi/sets.h"

#define HELPERS(...) .helpers = (const u32[]){__VA_ARGS__}, .helpers_n = sizeof((u32[]){__VA_ARGS__}) / sizeof(u32)
static const struct abi_map_type maps[__MAX_BPF_MAP_TYPE] = {
#define MAP(NAME, ID, name_, ENGINE, KEY, VALUE, ...)                                                                  \
	[ID] = {.id = ID, .name = name_, .engine = ENGINE, .key = KEY, .value = VALUE, __VA_ARGS__},
#include "abi/maps.def"
#undef MAP
};
const struct abi_map_type *linux_map_type(u32 id) {
	return id && id < __MAX_BPF_MAP_TYPE ? &maps[id] : NULL;
}

bool abi_map_sleepable(u32 map_type) {
	const u64 set = M(HASH) | M(LRU_HASH) | M(ARRAY) | M(PERCPU_HASH) | M(PERCPU_ARRAY) | M(LRU_PERCPU_HASH) |
	                M(ARRAY_OF_MAPS) | M(HASH_OF_MAPS) | M(RINGBUF) | M(USER_RINGBUF) | M(INODE_STORAGE) |
	                M(SK_STORAGE) | M(TASK_STORAGE) | M(CGRP_STORAGE) | M(QUEUE) | M(STACK) | M(ARENA);
	return map_type < 64 && set >> map_type & 1;
}
bool abi_sockmap_update(u32 prog_type, u32 attach_type, bool remove) {
	const u64 set = P(SOCKET_FILTER) | T_TC | P(XDP) | P(SK_REUSEPORT) | P(FLOW_DISSECTOR) | P(SK_LOOKUP);
	if (prog_type == BPF_PROG_TYPE_TRACING)
		return attach_type == BPF_TRACE_ITER;
	if (prog_type == BPF_PROG_TYPE_SOCK_OPS)
		return remove;
	return prog_type < 64 && set >> prog_type & 1;
}

static const struct abi_link_type links[__MAX_BPF_LINK_TYPE] = {
#define LINK(NAME, ID, name_, SINCE) [ID] = {.id = ID, .name = name_, .since = SINCE},
#include "abi/links.def"
#undef LINK
};
const struct abi_link_type *linux_link_type(u32 id) {
	return id && id < __MAX_BPF_LINK_TYPE ? &links[id] : NULL;
}
