/* skep explain: what a code means, with C that provokes it and C that does not.
 *
 * The pages are text files, one for each family of codes, which are part of this program (make/cli.mk):
 *
 *     @ 103 c _or_null         code; whether C provokes it; what a message must hold to be this one (! before: must not)
 *     A lookup can find …      for people
 *     --- bad                  the part of a C source that matters; `prelude` has what goes before all of them
 *     --- good
 *
 * The second word: c, its C is compiled and verified by the tests (test/cli/explain.sh); asm, an object can only provoke it
 * by instructions that no compiler makes; loader, by what is asked of bpf(2); reserved, the code waits for a check that is
 * still one of another code, or of «not yet». c16 is c with clang 16 or newer.
 *
 * A message from a kernel's log finds its page by the wording in diag.def, a printf format: the row whose constant text
 * agrees most with it. */
#include "abi/diag.h"
#include "cli/cli.h"
#include "cli/out/out.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char explain_texts[], explain_texts_end[];

struct page {
	const struct diag_row *row;
	char how[16], mark[64];
	const char *text, *bad, *good;   /* in explain_texts; "" where there is none */
	u32 text_n, bad_n, good_n;
};

/* == Pages == */

/* The lines from *at up to one that starts with `end` or a page. */
static const char *take_lines(const char **at, const char *end, u32 *n) {
	const char *from = *at;
	while (*at < explain_texts_end && **at != '@' && strncmp(*at, end, strlen(end))) {
		const char *line = memchr(*at, '\n', (size_t)(explain_texts_end - *at));
		*at = line ? line + 1 : explain_texts_end;
	}
	const char *last = *at;
	while (last > from && last[-1] == '\n')
		last--;
	*n = (u32)(last - from);
	return from;
}

static const char *next_line(const char *at) {
	const char *line = memchr(at, '\n', (size_t)(explain_texts_end - at));
	return line ? line + 1 : explain_texts_end;
}

static const char *take_part(const char **at, const char *title, const char *end, u32 *n) {
	*n = 0;
	if (*at >= explain_texts_end || strncmp(*at, title, strlen(title)))
		return "";
	*at = next_line(*at);
	return take_lines(at, end, n);
}

/* The page of a code, 0: the prelude. False: there is none. */
static bool find_page(u32 code, struct page *p) {
	for (const char *at = explain_texts; at < explain_texts_end; at = next_line(at)) {
		char head[128];
		unsigned number;
		memset(p, 0, sizeof *p);
		if (*at != '@')
			continue;
		snprintf(head, sizeof head, "%.*s", (int)strcspn(at, "\n"), at);
		if (sscanf(head, "@ %u %15s %63s", &number, p->how, p->mark) < 2 || number != code)
			continue;
		at = next_line(at);
		p->row = diag_row(code);
		p->text = take_lines(&at, "---", &p->text_n);
		p->bad = take_part(&at, "--- bad", "---", &p->bad_n);
		p->good = take_part(&at, "--- good", "---", &p->good_n);
		return true;
	}
	return false;
}

/* The whole source of an example. */
static char *source_of(const char *part, u32 n) {
	struct page prelude;
	char *out;
	bool licensed = memmem(part, n, "SEC(\"license\")", 14) != NULL;
	if (!n || !find_page(0, &prelude))
		return NULL;
	if (asprintf(&out, "%.*s\n\n%.*s\n%s", (int)prelude.good_n, prelude.good, (int)n, part,
	             licensed ? "" : "\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n") < 0)
		return NULL;
	return out;
}

/* == Messages == */

/* How much of the message is the wording's own text; -1: it is not of that form. */
static int match(const char *wording, const char *message) {
	int own = 0;
	for (; *wording && *wording != '%'; wording++, message++, own++)
		if (*wording != *message)
			return -1;
	if (!*wording)
		return *message ? -1 : own;
	wording += 1 + strspn(wording + 1, "0123456789lh#.");
	bool number = *wording && strchr("dux", *wording);
	wording++;
	int best = -1;
	for (size_t n = 0;; n++) { /* what the conversion stands for */
		int rest = n || !number ? match(wording, message + n) : -1;
		best = MAX(best, rest);
		if (!message[n] || (number && !isxdigit((unsigned char)message[n]) && message[n] != '-' && message[n] != 'x'))
			break;
	}
	return best < 0 ? -1 : own + best;
}

/* Letters and digits of words that both have, for what an older kernel said in other words. */
static int words_in_common(const char *wording, const char *message) {
	int common = 0, all = 0;
	while (*wording) {
		char word[64];
		size_t n = strcspn(wording, " %'(),.:=[]");
		snprintf(word, sizeof word, "%.*s", (int)MIN(n, sizeof word - 1), wording);
		if (n > 2) {
			all += (int)n;
			common += strstr(message, word) ? (int)n : 0;
		}
		wording += n + (wording[n] != 0);
	}
	return common > 12 && common * 10 >= all * 8 ? common : -1;
}

static bool mark_fits(const struct page *p, const char *message) {
	if (!p->mark[0])
		return true;
	return p->mark[0] == '!' ? !strstr(message, p->mark + 1) : strstr(message, p->mark) != NULL;
}

/* The codes of a line of a log, the best first; how many. */
static u32 codes_of(const char *line, u32 codes[8]) {
	u32 n = 0;
	for (int loose = 0; loose < 2 && !n; loose++) {
		int best = 0;
		for (u32 i = 0; diag_row_at(i); i++) {
			const struct diag_row *row = diag_row_at(i);
			struct page p;
			int own = !*row->wording ? -1 : loose ? words_in_common(row->wording, line) : match(row->wording, line);
			if (own < 4 || own < best || (find_page(row->code, &p) && !mark_fits(&p, line)))
				continue;
			n = own > best ? 0 : n;
			best = own;
			if (n < 8)
				codes[n++] = row->code;
		}
	}
	return n;
}

u32 explain_code_of(const char *message) {
	u32 codes[8];
	return message && codes_of(message, codes) == 1 ? codes[0] : 0;
}

/* == Showing == */

/* {name} as <name>. */
static void put_sentence(const char *s) {
	for (; *s; s++)
		putchar(*s == '{' ? '<' : *s == '}' ? '>' : *s);
	putchar('\n');
}
/* Conversions as … */
static void put_wording(const char *s) {
	for (; *s; s++) {
		if (*s != '%') {
			putchar(*s);
			continue;
		}
		s += 1 + strspn(s + 1, "0123456789lh#.");
		fputs("…", stdout);
	}
	putchar('\n');
}
static void put_code(const char *title, enum out_color color, const char *code, u32 n) {
	if (!n)
		return;
	printf("\n%s%s%s\n", out_c(color), title, out_c(OUT_PLAIN));
	for (const char *end = code + n; code < end;) {
		const char *line = memchr(code, '\n', (size_t)(end - code));
		int length = (int)((line ? line : end) - code);
		printf(length ? "    %.*s\n" : "\n", length, code);
		code += length + 1;
	}
}

static const char *how_text(const char *how) {
	if (!strcmp(how, "asm"))
		return "No compiler makes such instructions: inline assembly or a generator does.";
	if (!strcmp(how, "loader"))
		return "It depends on what the loader asks of bpf(2), not on the C source.";
	if (!strcmp(how, "reserved"))
		return "skep does not report it yet: what it stands for is refused as another code, or as SK0640.";
	return NULL;
}

static json_t *page_json(const struct diag_row *row) {
	struct page p;
	bool found = find_page(row->code, &p);
	char code[16], *bad = found ? source_of(p.bad, p.bad_n) : NULL, *good = found ? source_of(p.good, p.good_n) : NULL;
	snprintf(code, sizeof code, "SK%04u", row->code);
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s?}", "code", code, "name", row->name, "family",
						  diag_family_name(row->family), "sentence", row->sentence, "wording", row->wording,
						  "suggestion", row->suggestion);
	json_object_set_new(o, "provoked_by", found ? json_string(p.how) : json_null());
	json_object_set_new(o, "text", found ? json_stringn(p.text, p.text_n) : json_null());
	json_object_set_new(o, "bad", bad ? json_string(bad) : json_null());
	json_object_set_new(o, "good", good ? json_string(good) : json_null());
	free(bad);
	free(good);
	return o;
}

static void show_page(const struct diag_row *row) {
	struct page p;
	printf("%sSK%04u%s  %s\n\n", out_c(OUT_BOLD), row->code, out_c(OUT_PLAIN), diag_family_name(row->family));
	put_sentence(row->sentence);
	if (*row->wording) {
		printf("%sthe kernel says:%s ", out_c(OUT_DIM), out_c(OUT_PLAIN));
		put_wording(row->wording);
	}
	if (!find_page(row->code, &p))
		return;
	if (p.text_n)
		printf("\n%.*s\n", (int)p.text_n, p.text);
	if (how_text(p.how))
		printf("%s%s\n", p.text_n ? "" : "\n", how_text(p.how));
	put_code("Refused:", OUT_RED, p.bad, p.bad_n);
	put_code("Accepted:", OUT_GREEN, p.good, p.good_n);
	if (row->suggestion)
		printf("\n%stry:%s %s\n", out_c(OUT_DIM), out_c(OUT_PLAIN), row->suggestion);
	if (p.bad_n)
		printf("%smore:%s skep explain SK%04u --source bad > bad.bpf.c; skep verify bad.bpf.c\n", out_c(OUT_DIM),
		       out_c(OUT_PLAIN), row->code);
}

static int show_list(struct cli *cli) {
	json_t *all = json_array();
	for (u32 i = 0; diag_row_at(i); i++)
		json_array_append_new(all, page_json(diag_row_at(i)));
	if (cli->json)
		out_json(json_incref(all), cli->pretty);
	for (u32 i = 0, family = UINT32_MAX; !cli->json && diag_row_at(i); i++) {
		const struct diag_row *row = diag_row_at(i);
		if (row->family != family)
			printf("%s%s%s%s\n", i ? "\n" : "", out_c(OUT_BOLD), diag_family_name(row->family), out_c(OUT_PLAIN));
		family = row->family;
		printf("  SK%04u  ", row->code);
		put_sentence(row->sentence);
	}
	json_decref(all);
	return EXIT_YES;
}

static int show_source(struct cli *cli, const struct diag_row *row, const char *which) {
	struct page p;
	bool good = !strcmp(which, "good");
	if (!good && strcmp(which, "bad"))
		return cli_error(cli, "bad or good", "--source: there is no '%s' example", which);
	char *text = find_page(row->code, &p) ? source_of(good ? p.good : p.bad, good ? p.good_n : p.bad_n) : NULL;
	if (!text)
		return cli_error(cli, NULL, "there is no C for SK%04u", row->code);
	fputs(text, stdout);
	free(text);
	return EXIT_YES;
}

/* == The verb == */

/* SK0103, 103, MAYBE_NULL; NULL: none of these. */
static const struct diag_row *row_named(const char *word) {
	char *end;
	const char *digits = word + (strncasecmp(word, "SK", 2) ? 0 : 2);
	unsigned long code = strtoul(digits, &end, 10);
	if (*digits && !*end && isdigit((unsigned char)*digits))
		return diag_row((u32)code);
	for (u32 i = 0; diag_row_at(i); i++)
		if (!strcasecmp(diag_row_at(i)->name, word))
			return diag_row_at(i);
	return NULL;
}

/* A message, or a log with one in it: the last line that says something counts. */
static int show_message(struct cli *cli, const char *text) {
	u32 codes[8], n = 0;
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n"), indent = strspn(line, " \t");
		char *one = strndup(line + MIN(indent, length), length - MIN(indent, length));
		u32 found[8], count = one ? codes_of(one, found) : 0;
		free(one);
		if (count)
			memcpy(codes, found, sizeof codes), n = count;
		line += length + (line[length] != 0);
	}
	if (!n)
		return cli_error(cli, "skep explain --list has the codes; a whole line of the log finds the most",
		                 "no code has a message like that"), EXIT_NO;
	json_t *all = json_array();
	for (u32 i = 0; i < n; i++) {
		if (cli->json)
			json_array_append_new(all, page_json(diag_row(codes[i])));
		else
			printf("%s", i ? "\n--- or ---\n\n" : ""), show_page(diag_row(codes[i]));
	}
	if (cli->json)
		out_json(json_incref(all), cli->pretty);
	json_decref(all);
	return EXIT_YES;
}

static char *read_all(FILE *from) {
	char *text = NULL;
	size_t room = 0;
	return getdelim(&text, &room, 0, from) < 0 ? NULL : text;
}

int cmd_explain(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	if (cli_option(&a, "list"))
		return cli_no_more(cli, &a, 0) ? show_list(cli) : EXIT_CANNOT;
	if (!a.words_n)
		return cli_error(cli, "skep explain SK0103, or skep explain --list", "explain what?");
	if (!cli_no_more(cli, &a, 1))
		return EXIT_CANNOT;
	const struct diag_row *row = row_named(a.word[0]);
	if (row && cli_option(&a, "source"))
		return show_source(cli, row, cli_option(&a, "source"));
	if (row && cli->json)
		return out_json(page_json(row), cli->pretty), EXIT_YES;
	if (row)
		return show_page(row), EXIT_YES;
	if (!strncasecmp(a.word[0], "SK", 2) && isdigit((unsigned char)a.word[0][2]))
		return cli_error(cli, "skep explain --list", "there is no code %s", a.word[0]);
	char *log = strcmp(a.word[0], "-") ? NULL : read_all(stdin);
	int status = show_message(cli, log ? log : a.word[0]);
	free(log);
	return status;
}
