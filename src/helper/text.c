/* The kernel checks a format first and prints later, from copies of the arguments in a buffer of 512 bytes; this does
 * both in one pass over the format, so the check runs once ahead with nothing printed, and the size of the copies is
 * counted as if they were made: a format that the kernel refuses is refused with the same error.
 *
 * Where the kernel prints a hash (%p, %pK) or a symbol (%ps …), this prints the number. */
#include "helper/text.h"
#include "abi/printf.h"
#include "helper/memory.h"

enum { ARGS_BYTES = 512, STRING_MAX = 512 };

struct out {
	char *to;
	u32 size;
	u64 n; /* length so far, also beyond size */
};

static void put(struct out *o, char c) {
	if (o->n + 1 < o->size)
		o->to[o->n] = c;
	o->n++;
}
static void pad(struct out *o, char c, u32 n) {
	while (n--)
		put(o, c);
}
static void put_text(struct out *o, const struct printf_spec *s, const char *text, u32 n) {
	u32 fill = s->width > n ? s->width - n : 0;
	if (!s->flag_left)
		pad(o, ' ', fill);
	for (u32 i = 0; i < n; i++)
		put(o, text[i]);
	if (s->flag_left)
		pad(o, ' ', fill);
}
static u32 digits_of(char *to, u64 value, u32 base, bool capital) {
	char reversed[24];
	u32 n = 0;
	do {
		u32 d = value % base;
		reversed[n++] = d < 10 ? '0' + d : (capital ? 'A' : 'a') + d - 10;
		value /= base;
	} while (value);
	for (u32 i = 0; i < n; i++)
		to[i] = reversed[n - 1 - i];
	return n;
}
static void put_number(struct out *o, const struct printf_spec *s, u64 value) {
	char digits[24], sign = 0;
	if (s->bytes == 4)
		value = s->kind == 'd' ? (u64)(s64)(s32)value : (u32)value;
	if (s->kind == 'd') {
		sign = (s64)value < 0 ? '-' : s->flag_plus ? '+' : s->flag_space ? ' ' : 0;
		if ((s64)value < 0)
			value = -value;
	}
	u32 n = digits_of(digits, value, s->kind == 'd' || s->kind == 'u' ? 10 : 16, s->kind == 'X');
	u32 length = n + !!sign, fill = s->width > length ? s->width - length : 0;
	if (!s->flag_left && !s->flag_zero)
		pad(o, ' ', fill);
	if (sign)
		put(o, sign);
	if (!s->flag_left && s->flag_zero)
		pad(o, '0', fill);
	for (u32 i = 0; i < n; i++)
		put(o, digits[i]);
	if (s->flag_left)
		pad(o, ' ', fill);
}
static u32 address_text(char *to, const struct printf_spec *s, const u8 *b) {
	u32 n = 0;
	if (s->kind == '4') {
		for (u32 i = 0; i < 4; i++) {
			if (i)
				to[n++] = '.';
			if (s->variant == 'i') {
				to[n++] = '0' + b[i] / 100, to[n++] = '0' + b[i] / 10 % 10, to[n++] = '0' + b[i] % 10;
			} else {
				n += digits_of(to + n, b[i], 10, false);
			}
		}
		return n;
	}
	for (u32 i = 0; i < 16; i++) {
		if (i && i % 2 == 0 && s->variant == 'I')
			to[n++] = ':';
		u32 high = b[i] >> 4, low = b[i] & 15;
		to[n++] = high < 10 ? '0' + high : 'a' + high - 10;
		to[n++] = low < 10 ? '0' + low : 'a' + low - 10;
	}
	return n;
}

/* room: of the kernel's copies. */
static int take(u32 *room, u32 bytes, u32 alignment) {
	u32 used = round_up(ARGS_BYTES - *room, alignment) + bytes;
	if (used > ARGS_BYTES)
		return -ENOSPC;
	*room = ARGS_BYTES - used;
	return 0;
}
static int put_argument(const struct skep_run *run, struct out *o, const struct printf_spec *s, u64 arg, u32 *room) {
	char text[STRING_MAX];
	u8 bytes[16];
	switch (s->kind) {
	case 's': {
		if (!*room)
			return -ENOSPC;
		s64 n = memory_read_string(run, s->variant == 'k' ? MEMORY_KERNEL : MEMORY_USER, text, arg, *room);
		if (n < 0) {
			text[0] = 0;
			n = 1;
		}
		put_text(o, s, text, n - 1);
		return take(room, n, 1);
	}
	case 'c': {
		char c = arg;
		put_text(o, s, &c, 1);
		return take(room, 1, 1);
	}
	case '4':
	case '6': {
		u32 size = s->kind == '4' ? 4 : 16;
		if (*room < size)
			return -ENOSPC;
		if (memory_read(run, MEMORY_KERNEL, bytes, arg, size))
			__builtin_memset(bytes, 0, size);
		u32 n = address_text(text, s, bytes);
		put_text(o, s, text, n);
		return take(room, n + 1, 1);
	}
	case 'p':
	case 'b': {
		struct printf_spec number = {.kind = 'x', .bytes = 8, .width = 16, .flag_zero = 1};
		struct out whole = {text, sizeof text, 0};
		if (s->kind == 'b')
			put(&whole, '0'), put(&whole, 'x');
		put_number(&whole, &number, arg);
		put_text(o, s, text, whole.n);
		return take(room, 8, 4);
	}
	default:
		put_number(o, s, arg);
		return take(room, s->bytes, 4);
	}
}

s64 text_format(const struct skep_run *run, char *to, u32 size, const char *fmt, u32 fmt_size, const u64_anywhere *args,
                u32 args_n) {
	struct printf_spec s;
	u32 length = 0, n = 0, room = ARGS_BYTES;
	while (length < fmt_size && fmt[length])
		length++;
	if (length == fmt_size)
		return -EINVAL;
	if (!printf_valid(fmt, length, args_n))
		return -EINVAL;
	struct out o = {to, size, 0};
	n = 0;
	for (u32 i = 0; i < length; i++) {
		if (fmt[i] != '%' || fmt[i + 1] == '%') {
			put(&o, fmt[i]);
			i += fmt[i] == '%';
			continue;
		}
		printf_parse(fmt + i, &s);
		int error = put_argument(run, &o, &s, args[n++], &room);
		if (error)
			return error;
		i += s.length - 1;
	}
	if (size)
		to[MIN(o.n, (u64)size - 1)] = 0;
	return o.n;
}
