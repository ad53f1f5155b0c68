/* Inside the room: the registry's representation and the constant tables behind it. */
#ifndef SKEP_ABI_REGISTRY_H
#define SKEP_ABI_REGISTRY_H
#include "abi/abi.h"
#include "base/vec.h"

/* Row i of a host has the number ABI_HOST_x + i. */
struct skep_abi {
	VEC(const struct abi_helper *) helpers;
	VEC(const struct abi_ctx *) ctxs;
	VEC(const struct abi_prog_type *) progs;
};

/* Each returns NULL for a number that has no row; by index, at the end. */
const struct abi_helper *linux_helper(u32 id);
const struct abi_helper *linux_variant(u32 i);
const struct abi_prog_type *linux_prog_type(u32 id);
const struct abi_return *linux_return(u32 prog_type, u32 attach_type);
const struct abi_ctx *linux_ctx(u32 id);
const struct abi_map_type *linux_map_type(u32 id);
const struct abi_attach *linux_attach(u32 id);
const struct abi_link_type *linux_link_type(u32 id);
const struct abi_cmd *linux_cmd(u32 id);
const struct abi_kfunc *linux_kfunc(u32 i);
#endif
