/* Addresses and names of the data plane's entry points in the library. */
#include "helper/helper.h"

dataplane_fn *dataplane_function(enum dp_symbol symbol) {
	static dataplane_fn *const table[DP_SYMBOLS] = {
#define DP(NAME) [DP_##NAME] = NAME,
#include "abi/dataplane.def"
	};
	ASSERT(symbol < DP_SYMBOLS);
	return table[symbol];
}
const char *dataplane_name(enum dp_symbol symbol) {
	static const char *const table[DP_SYMBOLS] = {
#define DP(NAME) [DP_##NAME] = #NAME,
#define DP_ENTRY(NAME) [DP_##NAME] = #NAME,
#include "abi/dataplane.def"
	};
	ASSERT(symbol < DP_SYMBOLS);
	return table[symbol];
}
