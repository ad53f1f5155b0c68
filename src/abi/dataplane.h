/* Numbers for the entry points of the data plane. */
#ifndef SKEP_ABI_DATAPLANE_H
#define SKEP_ABI_DATAPLANE_H
#include "abi/uapi.h"

enum dp_symbol {
#define DP(symbol) DP_##symbol,
#include "abi/dataplane.def"
#undef DP
	DP_SYMBOLS
};

/* The function's name: "helper_loop", "array_map_lookup_elem"; NULL when there is none. */
const char *dp_symbol_name(u32 symbol);
int dp_symbol_by_name(const char *name); /* enum dp_symbol, or -1 */
/* The entry point of a helper, or -1 when the user engine does not run it. */
int dp_of_helper(u32 helper);
#endif
