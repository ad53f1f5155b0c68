/* The four functions that a compiler may call by itself, for the image of traced processes, which has no libc. String
 * instructions: short, and no vector registers. */
#ifdef SKEP_DATAPLANE_IMAGE
#include "base/base.h"

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#if defined(__x86_64__)
void *memcpy(void *to, const void *from, size_t n) {
	void *at = to;
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}
void *memset(void *to, int byte, size_t n) {
	void *at = to;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
	return to;
}
#else
void *memcpy(void *to, const void *from, size_t n) {
	for (size_t i = 0; i < n; i++)
		((volatile u8 *)to)[i] = ((const u8 *)from)[i];
	return to;
}
void *memset(void *to, int byte, size_t n) {
	for (size_t i = 0; i < n; i++)
		((volatile u8 *)to)[i] = byte;
	return to;
}
#endif
void *memmove(void *to, const void *from, size_t n) {
	if ((u64)to - (u64)from >= n)
		return memcpy(to, from, n);
	for (size_t i = n; i-- > 0;)
		((volatile u8 *)to)[i] = ((const u8 *)from)[i];
	return to;
}
int memcmp(const void *a, const void *b, size_t n) {
	const u8 *x = a, *y = b;
	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}
#else
extern int dataplane_mem_is_for_the_image;
#endif
