/* How the loader speaks: one sentence and a remedy, through the caller's callback. */
#include "lib/object.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE = 512 };

void object_report(struct skep_object *o, struct skep_diagnostic *d) {
	d->size = sizeof *d;
	if (o->opts.diagnostic)
		o->opts.diagnostic(o->opts.diagnostic_owner, d);
}

static void say(struct skep_object *o, int level, const char *suggestion, const char *fmt, va_list ap) {
	char sentence[SENTENCE];
	vsnprintf(sentence, sizeof sentence, fmt, ap);
	struct skep_diagnostic d = {.level = level, .sentence = sentence, .suggestion = suggestion, .insn = -1};
	object_report(o, &d);
}

int object_error(struct skep_object *o, int err, const char *suggestion, const char *fmt, ...) {
	va_list ap;
	va_start(ap, fmt);
	say(o, 0, suggestion, fmt, ap);
	va_end(ap);
	return err;
}
void object_warn(struct skep_object *o, const char *suggestion, const char *fmt, ...) {
	va_list ap;
	va_start(ap, fmt);
	say(o, 1, suggestion, fmt, ap);
	va_end(ap);
}
int out_of_memory(struct skep_object *o) {
	return object_error(o, -ENOMEM, NULL, "%s: out of memory", o->path);
}

const char *nearest_word(const char *word, const char *const *words, u32 n) {
	u32 limit = MAX((u32)strlen(word) / 3, 1u);
	const char *best = NULL;
	for (u32 i = 0; i < n; i++) {
		u32 d = btf_name_distance(word, words[i], limit);
		if (d <= limit)
			best = words[i], limit = d ? d - 1 : 0;
	}
	return best;
}
