/* Diagnostics: codes, families, and sentences with values in them. The rows are in diag.def. */
#ifndef SKEP_ABI_DIAG_H
#define SKEP_ABI_DIAG_H
#include "base/base.h"

enum diag_family {
	DIAG_REGISTER, DIAG_MEMORY, DIAG_LIFETIME, DIAG_CALL, DIAG_CONTEXT, DIAG_STRUCTURE, DIAG_POLICY,
	DIAG_RUNTIME,
	DIAG_FAMILIES
};
/* DIAG_NAME is the code: 101 prints as SK0101. */
enum diag_code {
	DIAG_NONE,
#define DIAG(code, NAME, ...) DIAG_##NAME = code,
#include "abi/diag.def"
#undef DIAG
};
/* DIAG_WORDING_NAME: the kernel's wording as a constant, so that the compiler checks it against its arguments when it is
 * given to a function with a format attribute. */
#define DIAG(code, NAME, FAMILY, wording, ...)                                                                         \
	static const char DIAG_WORDING_##NAME[] __attribute__((unused)) = wording;
#include "abi/diag.def"
#undef DIAG

struct diag_row {
	u32 code, family;
	const char *name; /* "MAYBE_NULL" */
	const char *wording, *sentence, *suggestion;
};
const struct diag_row *diag_row(u32 code);       /* NULL when there is none */
const struct diag_row *diag_row_at(u32 i);       /* all, by code; NULL at the end */
const char *diag_family_name(u32 family);        /* "memory safety" */

/* A value for a {name} of a sentence. */
struct diag_value {
	const char *name, *text;
};
/* Writes the sentence with its values into to (size bytes, always terminated; NULL values print as "?"). Returns the
 * length that the whole text has. */
u32 diag_format(const char *sentence, const struct diag_value *values, u32 n, char *to, u32 size);
#endif
