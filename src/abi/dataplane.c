/* Names and helper ids of the data plane's entry points. */
#include "abi/dataplane.h"
#include <string.h>

static const char *const names[] = {
#define DP(symbol) [DP_##symbol] = #symbol,
#include "abi/dataplane.def"
#undef DP
};
static const u16 by_helper[__BPF_FUNC_MAX_ID] = { /* entry point + 1 */
#define DP(symbol)
#define DP_HELPER(name) [BPF_FUNC_##name] = DP_helper_##name + 1,
#include "abi/dataplane.def"
#undef DP
};

const char *dp_symbol_name(u32 symbol) {
	return symbol < DP_SYMBOLS ? names[symbol] : NULL;
}
int dp_symbol_by_name(const char *name) {
	for (u32 i = 0; i < DP_SYMBOLS; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}
int dp_of_helper(u32 helper) {
	return helper < __BPF_FUNC_MAX_ID ? by_helper[helper] - 1 : -1;
}
