/* bpf_strtol, bpf_strtoul, bpf_strncmp. */
#include "map/value.h"

enum { BASE_MASK = 0x1f, DIGITS_MAX = 63 };

static u32 digit_of(char c) {
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
}
/* Bytes consumed, or -EINVAL, -ERANGE. Like the kernel, it looks at no more than 63 bytes behind blanks and sign. */
static s64 parse(const char *text, u64 size, u64 flags, u64 *value, bool *negative) {
	u32 base = flags & BASE_MASK;
	u64 at = 0;
	if (!text || !size || (base != 0 && base != 8 && base != 10 && base != 16) || flags & ~(u64)BASE_MASK)
		return -EINVAL;
	while (at < size && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r') || (u8)text[at] == 0xa0))
		at++;
	*negative = at < size && text[at] == '-';
	at += *negative;
	if (at == size)
		return -EINVAL;
	u64 end = at + MIN(size - at, (u64)DIGITS_MAX), start;
	bool prefixed = end - at > 1 && text[at] == '0' && (text[at + 1] | 32) == 'x';
	if (!base)
		base = text[at] != '0' ? 10 : prefixed && end - at > 2 && digit_of(text[at + 2]) < 16 ? 16 : 8;
	if (base == 16 && prefixed)
		at += 2;
	*value = 0;
	bool overflow = false;
	for (start = at; at < end && digit_of(text[at]) < base; at++) {
		overflow |= __builtin_mul_overflow(*value, (u64)base, value);
		overflow |= __builtin_add_overflow(*value, (u64)digit_of(text[at]), value);
	}
	return overflow ? -ERANGE : at == start ? -EINVAL : (s64)at;
}
/* r1 = text, r2 = its size, r3 = base, r4 = result. */
u64 helper_strtol(DP_ARGS) {
	u64 value;
	bool negative;
	s64 *result = (s64 *)r4;
	*result = 0;
	s64 n = parse((const char *)r1, r2, r3, &value, &negative);
	if (n < 0)
		return n;
	if (negative ? (s64)-value > 0 : (s64)value < 0)
		return -ERANGE;
	*result = negative ? -value : value;
	return n;
}
u64 helper_strtoul(DP_ARGS) {
	u64 value, *result = (u64 *)r4;
	bool negative;
	*result = 0;
	s64 n = parse((const char *)r1, r2, r3, &value, &negative);
	if (n < 0)
		return n;
	if (negative)
		return -EINVAL;
	*result = value;
	return n;
}
/* r1 = text, r2 = its size, r3 = constant text: -1, 0, 1. */
u64 helper_strncmp(DP_ARGS) {
	const u8 *a = (const u8 *)r1, *b = (const u8 *)r3;
	for (u32 i = 0; i < (u32)r2; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
		if (!a[i])
			break;
	}
	return 0;
}
