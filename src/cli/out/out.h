/* How results look: colour, tables, histograms, JSON. Everything a verb prints goes through here, so that text and JSON
 * come from the same values: a result is a json_t, and text is one rendering of it. */
#ifndef SKEP_CLI_OUT_H
#define SKEP_CLI_OUT_H
#include "base/base.h"
#include <jansson.h>
#include <stdio.h>

enum out_color { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_RED, OUT_GREEN, OUT_YELLOW, OUT_BLUE };
/* "auto", "always", "never", false for another word. auto obeys NO_COLOR, CLICOLOR_FORCE, TERM=dumb and whether standard
 * output and standard error are terminals. */
bool out_color_choose(const char *when);
void out_color_plain_stdout(void); /* results go to a file from here on */
const char *out_c(enum out_color c);   /* escape sequence for standard output, or "" */
const char *out_err(enum out_color c); /* the same for standard error */

/* One JSON value, and a newline; takes the reference. */
void out_json(json_t *value, bool pretty);
/* A value in one line of text, as a person would write it: {a: 1, b: "x"}; numbers and strings bare. */
void out_brief(FILE *to, const json_t *value);

/* A table of rows that are JSON objects with the same keys: numbers to the right, text to the left, nested values brief.
 * title NULL = none. limit 0 = all rows. */
void out_table(FILE *to, const char *title, const json_t *rows, u32 limit);

/* A log2 histogram: slot i counts values in [2^(i-1), 2^i). unit NULL = none. linear: slots are the values. */
void out_histogram(FILE *to, const char *title, const u64 *slot, u32 n, bool linear);
#endif
