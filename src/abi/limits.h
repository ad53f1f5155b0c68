/* Limits as constants. */
#ifndef SKEP_ABI_LIMITS_H
#define SKEP_ABI_LIMITS_H
enum abi_limit {
#define LIMIT(NAME, value, what) NAME = value,
#include "abi/limits.def"
#undef LIMIT
};
#endif
