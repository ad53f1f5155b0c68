/* Reading a case file, and writing one back with other expectations. The format is in case.h. Keys are found line by
 * line; a value is what follows the colon and the indented lines after it. */
#include "case.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int number;
} errors[] = {{"EPERM", EPERM}, {"ENOENT", ENOENT}, {"E2BIG", E2BIG}, {"EBADF", EBADF}, {"ENOMEM", ENOMEM},
              {"EACCES", EACCES}, {"EFAULT", EFAULT}, {"EBUSY", EBUSY}, {"EINVAL", EINVAL}, {"ENOSPC", ENOSPC},
              {"ELOOP", ELOOP}, {"EPROTO", EPROTO}, {"EOPNOTSUPP", EOPNOTSUPP}, {"ENOTSUPP", 524}};

static const struct {
	const char *name;
	u32 number;
} map_types[] = {{"hash", 1}, {"array", 2}, {"prog_array", 3}, {"percpu_array", 6}, {"ringbuf", 27}, {"user_ringbuf", 31},
                 {"arena", 33}},
  prog_types[] = {{"socket_filter", 1}, {"kprobe", 2}, {"sched_cls", 3}, {"tracepoint", 5}, {"xdp", 6},
                  {"raw_tracepoint", 17}, {"syscall", 31}};

s32 case_map_type(const char *name, u32 length) {
	for (u32 i = 0; i < ARRAY_SIZE(map_types); i++)
		if (strlen(map_types[i].name) == length && !memcmp(map_types[i].name, name, length))
			return map_types[i].number;
	return -1;
}
s32 case_prog_type(const char *name) {
	for (u32 i = 0; i < ARRAY_SIZE(prog_types); i++)
		if (!strcmp(prog_types[i].name, name))
			return prog_types[i].number;
	return -1;
}

/* Helpers by name, with their prefix. */
static bool find_call(void *owner, const char *name, u32 length, u8 *src_reg, s32 *imm) {
	static const struct {
		const char *name;
		s32 id;
	} helpers[] = {
#define HELPER(name, id, ...) {"bpf_" #name, id},
#include "abi/helpers.def"
#undef HELPER
	};
	for (u32 i = 0; i < ARRAY_SIZE(helpers); i++) {
		if (strlen(helpers[i].name) == length && !memcmp(helpers[i].name, name, length)) {
			*src_reg = 0;
			*imm = helpers[i].id;
			return true;
		}
	}
	return false;
}
const struct asm_names case_asm_names = {.call = find_call};

struct reader {
	struct case_file *c;
	char *why;
	u32 why_size;
	bool failed;
};
static PRINTF(2, 3) bool wrong(struct reader *r, const char *format, ...) {
	va_list args;
	va_start(args, format);
	if (!r->failed)
		vsnprintf(r->why, r->why_size, format, args);
	va_end(args);
	r->failed = true;
	return false;
}

/* The next word of a value; NULL at its end. */
static const char *word(const char **at, u32 *length) {
	const char *p = *at + strspn(*at, " \t\n");
	*length = strcspn(p, " \t\n");
	*at = p + *length;
	return *length ? p : NULL;
}
static bool is(const char *w, u32 length, const char *literal) {
	return strlen(literal) == length && !memcmp(w, literal, length);
}
static bool add_bytes(struct case_bytes *b, u64 value, u32 size) {
	if (b->n + size > CASE_BYTES)
		return false;
	memcpy(b->at + b->n, &value, size);
	b->n += size;
	return true;
}
/* The unit that a word names, 0 when it is none. */
static u32 unit_of(const char *w, u32 n) {
	return is(w, n, "u8") ? 1 : is(w, n, "u16") ? 2 : is(w, n, "u32") ? 4 : is(w, n, "u64") ? 8 : 0;
}
static bool read_bytes(struct reader *r, struct case_bytes *b, const char *value) {
	u32 unit = 0, n;
	const char *at = value;
	b->given = true;
	b->words = strdup(value);
	for (const char *w; (w = word(&at, &n));) {
		char *end;
		u64 v;
		if (unit_of(w, n)) {
			unit = unit_of(w, n);
		} else if (is(w, n, "zero")) {
			v = (w = word(&at, &n)) ? strtoull(w, &end, 0) : CASE_BYTES + 1;
			if (b->n + v > CASE_BYTES)
				return wrong(r, "zero: how many?");
			b->n += v;
		} else {
			v = strtoull(w, &end, unit ? 0 : 16);
			if (end != w + n || (!unit && n != 2))
				return wrong(r, "not a number: %.*s", (int)n, w);
			if (!add_bytes(b, v, unit ? unit : 1))
				return wrong(r, "more than %d bytes", CASE_BYTES);
		}
	}
	return true;
}
static bool read_map(struct reader *r, const char *value) {
	struct case_file *c = r->c;
	if (c->maps_n == CASE_MAPS)
		return wrong(r, "more than %d maps", CASE_MAPS);
	struct case_map *m = &c->maps[c->maps_n++];
	u32 n;
	const char *at = value, *w = word(&at, &n);
	s32 type = w ? case_map_type(w, n) : -1;
	if (type < 0)
		return wrong(r, "unknown map type");
	m->type = type;
	while ((w = word(&at, &n))) {
		static const char *const keys[] = {"key=", "value=", "entries=", "flags=", "extra="};
		u32 *const to[] = {&m->key_size, &m->value_size, &m->entries, &m->flags};
		u32 k = 0;
		while (k < ARRAY_SIZE(keys) && strncmp(w, keys[k], strlen(keys[k])))
			k++;
		if (k == ARRAY_SIZE(keys))
			return wrong(r, "map: %.*s?", (int)n, w);
		u64 v = strtoull(w + strlen(keys[k]), NULL, 0);
		if (k < ARRAY_SIZE(to))
			*to[k] = v;
		else
			m->extra = v;
	}
	return true;
}
static bool read_error(struct reader *r, const char *value) {
	u32 n;
	const char *at = value, *w = word(&at, &n);
	r->c->has_error = true;
	for (u32 i = 0; w && i < ARRAY_SIZE(errors); i++)
		if (n == strlen(errors[i].name) + 1 && w[n - 1] == ':' && !memcmp(w, errors[i].name, n - 1))
			r->c->error = -errors[i].number;
	if (!r->c->error)
		return wrong(r, "error: begins with the name of an errno and a colon");
	at += strspn(at, " \t");
	r->c->message = strdup(strcmp(at, "-") ? at : "");
	return true;
}
static bool read_skip(struct reader *r, const char *value) {
	struct case_file *c = r->c;
	u32 n;
	const char *at = value, *w = word(&at, &n);
	if (!w || c->skips_n == CASE_SKIPS)
		return wrong(r, "skip: ENGINE why");
	c->skips[c->skips_n].engine = strndup(w, n);
	c->skips[c->skips_n++].why = strdup(at + strspn(at, " \t"));
	return true;
}
static bool read_lacks(struct reader *r, const char *value) {
	static const char *const names[] = {"bpf", "perfmon", "net_admin"}; /* in the order of enum case_cap */
	u32 n, i;
	const char *at = value;
	for (const char *w; (w = word(&at, &n));) {
		for (i = 0; i < ARRAY_SIZE(names) && !is(w, n, names[i]); i++)
			;
		if (i == ARRAY_SIZE(names))
			return wrong(r, "no capability: %.*s", (int)n, w);
		r->c->lacks |= 1u << i;
	}
	return true;
}
static bool read_number(struct reader *r, const char *value, u64 *to, bool *given) {
	char *end;
	*given = true;
	*to = strtoull(value, &end, 0);
	return *end ? wrong(r, "not a number: %s", value) : true;
}
static bool read_program(struct reader *r, const char *value) {
	struct asm_error e;
	if (asm_text(value, strlen(value), &case_asm_names, &r->c->program, &e))
		return wrong(r, "asm: line %u, column %u: %s", e.line, e.column, e.message);
	return true;
}
static bool read_key(struct reader *r, const char *key, const char *value) {
	struct case_file *c = r->c;
	if (!strcmp(key, "asm"))
		return read_program(r, value);
	if (!strcmp(key, "mem"))
		return read_bytes(r, &c->mem, value);
	if (!strcmp(key, "mem after"))
		return read_bytes(r, &c->mem_after, value);
	if (!strcmp(key, "packet"))
		return read_bytes(r, &c->packet, value);
	if (!strcmp(key, "map"))
		return read_map(r, value);
	if (!strcmp(key, "error"))
		return read_error(r, value);
	if (!strcmp(key, "lacks"))
		return read_lacks(r, value);
	if (!strcmp(key, "skip"))
		return read_skip(r, value);
	if (!strcmp(key, "result"))
		return read_number(r, value, &c->result, &c->has_result);
	if (!strcmp(key, "bare"))
		return read_number(r, value, &c->bare, &c->has_bare);
	if (!strcmp(key, "type")) {
		c->type = strdup(value);
		return case_prog_type(value) > 0 || wrong(r, "unknown program type %s", value);
	}
	return wrong(r, "unknown key %s", key);
}
static bool is_key_line(const char *line) {
	return *line && *line != ' ' && *line != '\t' && *line != '\n' && *line != '#';
}
/* End of the line, after its newline. */
static const char *next_line(const char *line) {
	const char *end = strchr(line, '\n');
	return end ? end + 1 : line + strlen(line);
}
/* One key with the indented lines that continue it; blank lines inside an indented part belong to it. */
static const char *read_section(struct reader *r, const char *line) {
	const char *colon = strpbrk(line, ":\n");
	if (!colon || *colon != ':') {
		wrong(r, "a key and a colon must stand here: %.30s", line);
		return NULL;
	}
	const char *end = next_line(line);
	while (*end && !is_key_line(end) && *end != '#')
		end = next_line(end);
	char *key = strndup(line, colon - line), *value;
	const char *start = colon + 1 + strspn(colon + 1, " \t"), *stop = end;
	while (stop > start && (stop[-1] == '\n' || stop[-1] == ' ' || stop[-1] == '\t'))
		stop--;
	value = strndup(start, stop - start);
	bool good = read_key(r, key, value);
	free(key);
	free(value);
	return good ? end : NULL;
}
int case_parse(struct case_file *c, const char *path, const char *name, char *text, char *why, u32 why_size) {
	*c = (struct case_file){.path = strdup(path), .name = strdup(name), .text = text};
	struct reader r = {.c = c, .why = why, .why_size = why_size};
	if (*text != '#')
		wrong(&r, "the first line says what the case checks, after #");
	else
		c->title = strndup(text + 1 + strspn(text + 1, " "), strcspn(text + 1 + strspn(text + 1, " "), "\n"));
	for (const char *line = text; !r.failed && line && *line;)
		line = is_key_line(line) ? read_section(&r, line) : next_line(line);
	if (!r.failed && !c->program.insns.n)
		wrong(&r, "no program");
	if (!r.failed && !c->type)
		c->type = strdup(c->packet.given ? "sched_cls" : "socket_filter");
	if (!r.failed && c->mem.given && (c->packet.given || !c->mem.n))
		wrong(&r, "mem and packet exclude each other, and mem is not empty");
	if (!r.failed && c->has_error && c->has_result)
		wrong(&r, "result and error exclude each other; bare is what the instruction set says of a refused program");
	return r.failed ? -EINVAL : 0;
}
void case_free(struct case_file *c) {
	free(c->path), free(c->name), free(c->text), free(c->title), free(c->type), free(c->message);
	free(c->mem.words), free(c->mem_after.words), free(c->packet.words);
	for (u32 i = 0; i < c->skips_n; i++)
		free(c->skips[i].engine), free(c->skips[i].why);
	asm_free(&c->program);
}
void case_end(struct case_outcome *o, enum case_end end, const char *format, ...) {
	va_list args;
	va_start(args, format);
	vsnprintf(o->message, sizeof o->message, format, args);
	va_end(args);
	o->end = end;
}
void case_first_message(const char *log, char *to, u32 size) {
	static const char *const others[] = {"from ", "; ", "processed ", "func#", "verification time", "stack depth",
	                                     "caller:", "callee:", " R", " frame"};
	for (const char *line = log; *line; line = next_line(line)) {
		u32 n = strcspn(line, "\n"), digits = strspn(line, "0123456789");
		bool other = !n || (digits && line[digits] == ':');
		for (u32 i = 0; i < ARRAY_SIZE(others) && !other; i++)
			other = !strncmp(line, others[i], strlen(others[i]));
		if (other)
			continue;
		snprintf(to, size, "%.*s", (int)n, line);
		return;
	}
	*to = 0;
}

/* == Blessing == */

/* The same words with other bytes. */
static void write_bytes(FILE *f, const char *words, const u8 *bytes) {
	u32 unit = 0, n, done = 0;
	const char *at = words;
	for (const char *w; (w = word(&at, &n));) {
		if (unit_of(w, n)) {
			unit = unit_of(w, n);
			fprintf(f, " u%u", unit * 8);
		} else if (is(w, n, "zero")) {
			w = word(&at, &n);
			u32 count = strtoul(w, NULL, 0), step = count % 8 ? 1 : 8, some = 0;
			for (u32 i = 0; i < count; i++)
				some |= bytes[done + i];
			if (some)
				fprintf(f, " u%u", step * 8);
			else
				fprintf(f, " zero %u", count);
			for (u32 i = 0; some && i < count; i += step) {
				u64 v = 0;
				memcpy(&v, bytes + done + i, step);
				fprintf(f, " 0x%llx", (unsigned long long)v);
			}
			if (some && unit && unit != step)
				fprintf(f, " u%u", unit * 8);
			done += count;
		} else {
			u64 v = 0;
			memcpy(&v, bytes + done, unit ? unit : 1);
			fprintf(f, unit ? " 0x%llx" : " %02llx", (unsigned long long)v);
			done += unit ? unit : 1;
		}
	}
}
static const char *error_name(int error) {
	for (u32 i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].number == -error)
			return errors[i].name;
	return "E?";
}
char *case_bless(const struct case_file *c, const struct case_outcome *o) {
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	bool skipping = false;
	for (const char *line = c->text; *line; line = next_line(line)) {
		if (is_key_line(line))
			skipping = !strncmp(line, "result:", 7) || !strncmp(line, "error:", 6) || !strncmp(line, "mem after:", 10);
		if (!skipping)
			fwrite(line, 1, next_line(line) - line, f);
	}
	if (o->end == CASE_REFUSED) {
		fprintf(f, "error: %s: %s\n", error_name(o->error), *o->message ? o->message : "-");
	} else {
		fprintf(f, "result: 0x%llx\n", (unsigned long long)o->r0);
		if (c->mem.given && memcmp(c->mem.at, o->mem, c->mem.n)) {
			fprintf(f, "mem after:");
			write_bytes(f, c->mem.words, o->mem);
			fprintf(f, "\n");
		}
	}
	fclose(f);
	if (text && !strcmp(text, c->text)) {
		free(text);
		return NULL;
	}
	return text;
}
