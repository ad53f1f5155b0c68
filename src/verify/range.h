/* Ranges of 64 and 32 bits (range_width.h, expanded twice): struct range64, range64_add(), range32_add() … */
#ifndef SKEP_VERIFY_RANGE_H
#define SKEP_VERIFY_RANGE_H
#include "base/base.h"

#define RANGE(name) range64##name
#define RU u64
#define RS s64
#define RBITS 64
#include "verify/range_width.h"
#define RANGE(name) range32##name
#define RU u32
#define RS s32
#define RBITS 32
#include "verify/range_width.h"
#endif
