/* Tables and histograms in plain text. */
#include "cli/out/out.h"
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 32, CELL_MAX = 72 };

static char *cell_text(const json_t *v) {
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);
	if (!f)
		return NULL;
	if (v)
		out_brief(f, v);
	fclose(f);
	return text;
}

/* Columns a terminal shows: bytes of UTF-8 that do not continue a character. */
static u32 width_of(const char *s) {
	u32 n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void put_cell(FILE *to, const char *text, u32 width, bool right, bool last) {
	u32 w = width_of(text), pad = width > w ? width - w : 0;
	fprintf(to, "%*s%s%*s%s", right ? (int)pad : 0, "", text, right || last ? 0 : (int)pad, "", last ? "\n" : "  ");
}

void out_table(FILE *to, const char *title, const json_t *rows, u32 limit) {
	const char *name[COLUMNS_MAX];
	u32 width[COLUMNS_MAX], columns = 0;
	bool number[COLUMNS_MAX];
	const json_t *first = json_array_get(rows, 0);
	const char *key;
	json_t *item;
	if (title)
		fprintf(to, "%s%s%s\n", out_c(OUT_BOLD), title, out_c(OUT_PLAIN));
	if (!first) {
		fprintf(to, "(empty)\n");
		return;
	}
	json_object_foreach((json_t *)first, key, item) {
		if (columns == COLUMNS_MAX)
			break;
		name[columns] = key, width[columns] = width_of(key), number[columns] = json_is_number(item);
		columns++;
	}
	size_t n = json_array_size(rows), shown = limit && n > limit ? limit : n;
	char **text = calloc(shown * columns + 1, sizeof *text);
	if (!text)
		return;
	for (size_t r = 0; r < shown; r++)
		for (u32 c = 0; c < columns; c++) {
			text[r * columns + c] = cell_text(json_object_get(json_array_get(rows, r), name[c]));
			u32 w = text[r * columns + c] ? width_of(text[r * columns + c]) : 0;
			width[c] = MAX(width[c], MIN(w, (u32)CELL_MAX));
		}
	fputs(out_c(OUT_DIM), to);
	for (u32 c = 0; c < columns; c++)
		put_cell(to, name[c], width[c], number[c], c + 1 == columns);
	fputs(out_c(OUT_PLAIN), to);
	for (size_t i = 0; i < shown * columns; i++) {
		put_cell(to, text[i] ? text[i] : "", width[i % columns], number[i % columns], (i + 1) % columns == 0);
		free(text[i]);
	}
	free(text);
	if (shown < n)
		fprintf(to, "… %zu more\n", n - shown);
}

static void histogram_label(char *to, size_t room, u32 i, bool linear) {
	if (linear)
		snprintf(to, room, "%u", i);
	else if (i == 0)
		snprintf(to, room, "0");
	else if (i == 1)
		snprintf(to, room, "1");
	else
		snprintf(to, room, "%llu..%llu", 1ull << (i - 1), (1ull << (i - 1)) * 2 - 1);
}

void out_histogram(FILE *to, const char *title, const u64 *slot, u32 n, bool linear) {
	u32 from = 0, end = n, label_width = 5;
	u64 most = 1;
	while (end > 0 && !slot[end - 1])
		end--;
	while (from < end && !slot[from])
		from++;
	char label[48];
	for (u32 i = from; i < end; i++) {
		most = MAX(most, slot[i]);
		histogram_label(label, sizeof label, i, linear);
		label_width = MAX(label_width, (u32)strlen(label));
	}
	if (title)
		fprintf(to, "%s%s%s\n", out_c(OUT_BOLD), title, out_c(OUT_PLAIN));
	if (from == end) {
		fprintf(to, "(empty)\n");
		return;
	}
	fprintf(to, "%s%*s  %10s%s\n", out_c(OUT_DIM), (int)label_width, "value", "count", out_c(OUT_PLAIN));
	for (u32 i = from; i < end; i++) {
		enum { BAR = 50 };
		histogram_label(label, sizeof label, i, linear);
		u32 eighths = (u32)(slot[i] * (BAR * 8) / most);
		static const char *const part[8] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
		fprintf(to, "%*s  %10llu  %s", (int)label_width, label, (unsigned long long)slot[i], out_c(OUT_BLUE));
		for (u32 b = 0; b < eighths / 8; b++)
			fputs("█", to);
		fprintf(to, "%s%s\n", part[eighths % 8], out_c(OUT_PLAIN));
	}
}
