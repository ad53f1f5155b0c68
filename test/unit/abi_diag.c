/* The table of diagnostics: codes are unique and in the block of their family, sentences can be filled in. */
#include "test.h"
#include "abi/dataplane.h"
#include "abi/diag.h"

static void rows(void) {
	const struct diag_row *r, *q;
	u32 last = 0, n = 0;
	for (u32 i = 0; (r = diag_row_at(i)); i++, n++) {
		EXPECT(r->code > last);
		last = r->code;
		EXPECT_EQ(r->code / 100, r->family + 1);
		EXPECT(r->name && *r->name && r->wording && r->sentence && *r->sentence);
		EXPECT(!strchr(r->wording, '\n'));
		EXPECT(diag_row(r->code) == r);
		for (u32 j = i + 1; (q = diag_row_at(j)); j++)
			EXPECT(strcmp(r->name, q->name));
		for (const char *p = r->sentence; *p; p++)
			if (*p == '{')
				EXPECT(strchr(p, '}') && strchr(p, '}') - p < 20);
	}
	EXPECT(n > 200);
	EXPECT(!diag_row(0) && !diag_row(9999));
	for (u32 i = 0; i < DIAG_FAMILIES; i++)
		EXPECT(diag_family_name(i));
}
static void format(void) {
	char text[64];
	struct diag_value v[] = {{"reg", "R3"}, {"max", "255"}, {"none", NULL}};
	EXPECT_EQ(diag_format("{reg} up to {max}, {none} {other}", v, 3, text, sizeof text), 17);
	EXPECT_STR(text, "R3 up to 255, ? ?");
	EXPECT_EQ(diag_format("{reg}{reg}{reg}", v, 3, text, 4), 6);
	EXPECT_STR(text, "R3R");
	EXPECT_EQ(diag_format("open { brace", v, 3, text, sizeof text), 12);
	EXPECT_STR(text, "open { brace");
}
static void symbols(void) {
	EXPECT_STR(dp_symbol_name(dp_of_helper(BPF_FUNC_loop)), "helper_loop");
	EXPECT_EQ(dp_symbol_by_name("array_map_lookup_elem"), DP_array_map_lookup_elem);
	EXPECT_EQ(dp_symbol_by_name("nothing"), -1);
	EXPECT_EQ(dp_of_helper(BPF_FUNC_setsockopt), -1);
	EXPECT_EQ(dp_of_helper(99999), -1);
	EXPECT(!dp_symbol_name(DP_SYMBOLS));
}
int main(void) {
	RUN(rows);
	RUN(format);
	RUN(symbols);
	return test_end();
}
