/* The user engine's own BTF, ready for btf_parse: contexts, registers, flags, protocol headers, synthetic objects. */
#ifndef SKEP_ABI_TYPES_BTF_H
#define SKEP_ABI_TYPES_BTF_H
#include "base/base.h"

extern const u8 skep_btf_data[];
extern const u32 skep_btf_size;
#endif
