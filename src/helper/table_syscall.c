/* Addresses of the data plane's entry points in the library. */
#include "helper/helper.h"

dataplane_fn *dataplane_function(enum dp_symbol symbol) {
	static dataplane_fn *const table[DP_SYMBOLS] = {
#define DP(NAME) [DP_##NAME] = NAME,
#define DP_ENTRY(NAME)
#include "abi/dataplane.def"
#undef DP
	};
	ASSERT(symbol < DP_SYMBOLS);
	return table[symbol];
}
