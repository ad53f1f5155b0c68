/* The data plane as bytes: linked flat at build time (dataplane.ld), copied into the code segment of every session. */
#ifndef SKEP_HOOK_DATAPLANE_IMAGE_H
#define SKEP_HOOK_DATAPLANE_IMAGE_H
#include "base/base.h"

const u8 *dataplane_bytes(u32 *size);
/* Offset of a function or block in it, -1 when it has none of that name. */
s64 dataplane_offset(const char *name);
#endif
