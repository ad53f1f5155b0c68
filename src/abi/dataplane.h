/* Numbers for the entry points of the data plane. */
#ifndef SKEP_ABI_DATAPLANE_H
#define SKEP_ABI_DATAPLANE_H
#include "abi/run.h"
#include "abi/uapi.h"

enum dp_symbol {
#define DP(symbol) DP_##symbol,
#include "abi/dataplane.def"
#undef DP
	DP_SYMBOLS
};

/* All have the signature of helpers; those of hook/target (DP_ENTRY) have their own. */
typedef u64 dataplane_fn(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, struct skep_run *run);
#define DP(symbol) dataplane_fn symbol;
#define DP_ENTRY(symbol)
#include "abi/dataplane.def"
#undef DP

/* The function's name: "helper_loop", "array_map_lookup_elem"; NULL when there is none. */
const char *dp_symbol_name(u32 symbol);
int dp_symbol_by_name(const char *name); /* enum dp_symbol, or -1 */
/* The entry point of a helper, or -1 when the user engine does not run it. */
int dp_of_helper(u32 helper);
#endif
