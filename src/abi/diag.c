/* The table of diagnostics and how its sentences get their values. */
#include "abi/diag.h"
#include <string.h>

static const struct diag_row rows[] = {
#define DIAG(code, NAME, FAMILY, wording, sentence, suggestion)                                                        \
	{code, DIAG_##FAMILY, #NAME, wording, sentence, suggestion},
#include "abi/diag.def"
#undef DIAG
};
static const char *const families[DIAG_FAMILIES] = {
    [DIAG_REGISTER] = "register type safety",
    [DIAG_MEMORY] = "memory safety",
    [DIAG_LIFETIME] = "resource lifetime safety",
    [DIAG_CALL] = "call type safety",
    [DIAG_CONTEXT] = "execution context safety",
    [DIAG_STRUCTURE] = "program structure",
    [DIAG_POLICY] = "policy",
    [DIAG_RUNTIME] = "runtime",
};

const struct diag_row *diag_row(u32 code) {
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}
const struct diag_row *diag_row_at(u32 i) {
	return i < ARRAY_SIZE(rows) ? &rows[i] : NULL;
}
const char *diag_family_name(u32 family) {
	return family < DIAG_FAMILIES ? families[family] : NULL;
}

static const char *value_of(const char *name, u64 len, const struct diag_value *values, u32 n) {
	for (u32 i = 0; i < n; i++)
		if (strlen(values[i].name) == len && !memcmp(values[i].name, name, len))
			return values[i].text ? values[i].text : "?";
	return "?";
}

u32 diag_format(const char *sentence, const struct diag_value *values, u32 n, char *to, u32 size) {
	u32 at = 0;
	ASSERT(size > 0);
	for (const char *p = sentence; *p;) {
		const char *text = p, *end = *p == '{' ? strchr(p, '}') : NULL;
		u64 len = 1;
		if (end) {
			text = value_of(p + 1, end - p - 1, values, n);
			len = strlen(text);
		}
		for (u64 i = 0; i < len; i++, at++)
			if (at < size - 1)
				to[at] = text[i];
		p = end ? end + 1 : p + 1;
	}
	to[MIN(at, size - 1)] = 0;
	return at;
}
