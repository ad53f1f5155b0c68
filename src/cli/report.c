/* A problem as people read it: the sentence, the C line with a mark under the expression, what is needed and what is known,
 * the earlier lines that it comes from, the kernel's words, what to try. */
#include "cli/cli.h"
#include "cli/out/out.h"
#include <stdio.h>
#include <string.h>

/* How much of a C line an expression takes that starts at `from`: a word with the calls, indices and members that follow
 * it, or an operator. */
static u32 expression_length(const char *from) {
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	u32 n = (u32)strspn(from, name), deep = 0;
	if (!n)
		return MAX((u32)strspn(from, "+-*/%&|^<>=!"), 1u);
	for (; from[n]; n++) {
		char c = from[n];
		if (c == '(' || c == '[')
			deep++;
		else if (c == ')' || c == ']')
			deep -= deep > 0 ? 1 : 0;
		else if (c == '-' && from[n + 1] == '>')
			n++;
		else if (!deep && c != '.' && !strchr(name, c))
			break;
		if (!deep && (c == ')' || c == ']') && !strchr("([.-", from[n + 1]))
			return n + 1;
	}
	while (n && strchr(" \t;", from[n - 1]))
		n--;
	return MAX(n, 1u);
}

/*    12 |     *v += 1;
 *       |        ^~                */
static void put_line(const char *text, u32 line, u32 column, enum out_color color) {
	u32 indent = (u32)strspn(text, " \t"), width = (u32)strlen(text);
	column = column > indent && column <= width ? column : MIN(indent + 1, width);
	fprintf(stderr, "%5u | %s\n      | ", line, text + indent);
	for (u32 i = indent + 1; i < column; i++)
		fputc(text[i - 1] == '\t' ? '\t' : ' ', stderr);
	fprintf(stderr, "%s^", out_err(color));
	for (u32 i = column && column <= width ? expression_length(text + column - 1) : 1; i > 1; i--)
		fputc('~', stderr);
	fprintf(stderr, "%s\n", out_err(OUT_PLAIN));
}

static void put_place(const char *file, u32 line, u32 column) {
	if (file && line && !column)
		fprintf(stderr, "%s%s:%u:%s ", out_err(OUT_BOLD), cli_shown_path(file), line, out_err(OUT_PLAIN));
	else if (file && line)
		fprintf(stderr, "%s%s:%u:%u:%s ", out_err(OUT_BOLD), cli_shown_path(file), line, column, out_err(OUT_PLAIN));
	else
		fprintf(stderr, "%sskep:%s ", out_err(OUT_BOLD), out_err(OUT_PLAIN));
}

static void put_notes(const struct skep_diagnostic *d) {
	u32 shown = d->line;
	for (u32 i = 0; i < d->notes_count; i++) {
		const struct skep_note *n = &d->notes[i];
		put_place(n->file, n->line, n->column);
		fprintf(stderr, "%snote:%s %s\n", out_err(OUT_BLUE), out_err(OUT_PLAIN), n->text);
		if (n->line_text && n->line && n->line != shown)
			put_line(n->line_text, n->line, n->column, OUT_BLUE);
		shown = n->line;
	}
}

static void put_word(const char *word, const char *text) {
	if (text && text[0])
		fprintf(stderr, "  %s%s:%s %s\n", out_err(OUT_DIM), word, out_err(OUT_PLAIN), text);
}

/*  count.bpf.c:12:9: error: program «count» is refused: R0 may be NULL here … [SK0103]
 *     12 |     *v += 1;
 *        |        ^~
 *    needed: a pointer that is not NULL
 *    known: R0 holds a map value or NULL
 *  count.bpf.c:10:11: note: R0 is what bpf_map_lookup_elem returns here
 *     10 |     u64 *v = bpf_map_lookup_elem(&m, &key);
 *        |              ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~
 *    kernel: R0 invalid mem access 'map_value_or_null'
 *    try: Test the pointer first: if (!p) return 0;
 *    more: skep explain SK0103 */
void cli_diagnostic(void *owner, const struct skep_diagnostic *d) {
	struct cli *cli = owner;
	static const char *const level[] = {"error", "warning", "note"};
	int l = d->level < 0 || d->level > 2 ? 0 : d->level;
	if (l == 0)
		cli->problems++;
	fflush(stdout);
	if (l == 2 && !cli->debug) { /* of what was accepted the log is all there is to say */
		if (cli->verbose && d->log)
			fputs(d->log, stderr);
		return;
	}
	if (cli->json) {
		cli_json_problem(level[l], d->code, d->sentence, d->suggestion);
		return;
	}
	if (d->log && d->log[0] && cli->verbose)
		fprintf(stderr, "%s%s", d->log, d->log[strlen(d->log) - 1] == '\n' ? "" : "\n");
	put_place(d->file, d->line, d->column);
	fprintf(stderr, "%s%s%s%s%s", l == 0 ? out_err(OUT_RED) : "", d->file ? level[l] : "", d->file ? ": " : "",
	        d->sentence ? d->sentence : "", l == 0 ? out_err(OUT_PLAIN) : "");
	if (d->code)
		fprintf(stderr, " %s[SK%04u]%s", out_err(OUT_BOLD), d->code, out_err(OUT_PLAIN));
	fputc('\n', stderr);
	if (d->line_text && d->line)
		put_line(d->line_text, d->line, d->column, OUT_GREEN);
	put_word("needed", d->needed);
	put_word("known", d->known);
	put_notes(d);
	put_word("the kernel says", d->kernel_message);
	put_word("try", d->suggestion);
	if (d->code) {
		char more[32];
		snprintf(more, sizeof more, "skep explain SK%04u", d->code);
		put_word("more", more);
	}
}
