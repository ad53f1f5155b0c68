/* The head of an input of fuzz/libfuzzer.c. */
#ifndef SKEP_FUZZ_SHAPE_H
#define SKEP_FUZZ_SHAPE_H
#include "base/base.h"

enum { SHAPE_LOG = 7, SHAPE_NOT_GPL = 8 }; /* flags: the log's level, and whether it is without licence */
struct fuzz_shape {
	u8 prog_type, attach_type, flags, func_info_n;
	u16 insns_n, line_info_n;
	u32 btf_n, prog_flags, attach_btf_id;
};
#endif
