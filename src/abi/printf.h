/* The format language of bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf: what the verifier checks and helpers print.
 *
 * %% %c %s %d %i %u %x %X with l or ll, flags 0 + - space and a width; %p %px %pK %ps %pS %pB; %pks %pus (strings in
 * kernel and user memory); %pI4 %pi4 %pI6 %pi6. Header-only: it is also compiled into the data plane. */
#ifndef SKEP_ABI_PRINTF_H
#define SKEP_ABI_PRINTF_H
#include "base/base.h"

struct printf_spec {
	char flag_zero, flag_plus, flag_left, flag_space;
	u32 width;
	char kind;     /* c s d u x X p, 4 and 6 for addresses, b for numbers with 0x */
	char variant;  /* s: k u or s; 4, 6: i or I */
	u8 bytes;      /* of an integer */
	u32 length;    /* of the specification, with the % */
};

static inline bool printf_is_space(char c) {
	return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline bool printf_is_printable(char c) {
	return c >= ' ' && c <= '~';
}
static inline bool printf_is_punctuation(char c) {
	return printf_is_printable(c) && c != ' ' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
	       !(c >= 'A' && c <= 'Z');
}
static inline bool printf_ends_word(char c) {
	return !c || printf_is_space(c) || printf_is_punctuation(c);
}

/* p is behind the 'p' of a pointer specification. */
static inline bool printf_parse_pointer(const char *p, struct printf_spec *s, u32 *used) {
	s->bytes = 8;
	if (printf_ends_word(*p))
		return true;
	if ((*p == 'k' || *p == 'u') && p[1] == 's') {
		s->kind = 's', s->variant = *p;
		*used = 2;
		return printf_ends_word(p[2]);
	}
	if (*p == 'K' || *p == 'x') {
		*used = 1;
		return true;
	}
	if (*p == 's' || *p == 'S' || *p == 'B') {
		s->kind = 'b';
		*used = 1;
		return true;
	}
	if ((*p == 'i' || *p == 'I') && (p[1] == '4' || p[1] == '6')) {
		s->kind = p[1], s->variant = *p;
		*used = 2;
		return true;
	}
	return false;
}
/* p is at a % that is not %%. */
static inline bool printf_parse(const char *p, struct printf_spec *s) {
	const char *start = p++;
	*s = (struct printf_spec){.bytes = 4};
	for (;; p++) {
		if (*p == '0')
			s->flag_zero = 1;
		else if (*p == '+')
			s->flag_plus = 1;
		else if (*p == '-')
			s->flag_left = 1;
		else if (*p == ' ')
			s->flag_space = 1;
		else
			break;
	}
	for (; *p >= '0' && *p <= '9'; p++)
		s->width = MIN(s->width * 10 + (*p - '0'), 32767u);
	s->kind = *p;
	u32 used = 0;
	if (*p == 'p') {
		if (!printf_parse_pointer(p + 1, s, &used))
			return false;
	} else if (*p == 's') {
		s->variant = 's';
		if (!printf_ends_word(p[1]))
			return false;
	} else if (*p != 'c') {
		if (*p == 'l')
			s->bytes = 8, p++;
		if (*p == 'l')
			p++;
		s->kind = *p == 'i' ? 'd' : *p;
		if (s->kind != 'd' && s->kind != 'u' && s->kind != 'x' && s->kind != 'X')
			return false;
	}
	s->length = p + 1 + used - start;
	return true;
}

/* May the text of that length be printed with so many arguments? */
static inline bool printf_valid(const char *fmt, u32 length, u32 args_n) {
	struct printf_spec s;
	u32 n = 0;
	for (u32 i = 0; i < length; i++) {
		if ((u8)fmt[i] < 0x80 && !printf_is_printable(fmt[i]) && !printf_is_space(fmt[i]))
			return false;
		if (fmt[i] != '%')
			continue;
		if (fmt[i + 1] == '%') {
			i++;
			continue;
		}
		if (n++ >= args_n || !printf_parse(fmt + i, &s))
			return false;
		i += s.length - 1;
	}
	return true;
}
#endif
