/* A system call changes rax, rcx and r11, and nothing else: general registers, flags, the red zone and the vector registers
 * are set to patterns around sites of four shapes, and compared. */
#include "target.h"
#include <cpuid.h>
#include <stdint.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 };
uint64_t in[16], out[16], in_flags, out_flags, in_zone[16], out_zone[16], next_address, stack_pointer;
uint8_t in_vector[16 * 32], out_vector[16 * 32];
int has_avx;

#define ALL(x) x(rdx, 2) x(rbx, 3) x(rbp, 5) x(rsi, 6) x(rdi, 7) x(r8, 8) x(r9, 9) x(r10, 10) x(r12, 12) x(r13, 13) x(r14, 14) x(r15, 15)
#define LOAD(r, i) " mov in+8*" #i "(%rip), %" #r "\n"
#define STORE(r, i) " mov %" #r ", out+8*" #i "(%rip)\n"
#define ZONE_IN(i) " mov in_zone+8*" #i "(%rip), %rax\n mov %rax, -8*" #i "-8(%rsp)\n"
#define ZONE_OUT(i) " mov -8*" #i "-8(%rsp), %rax\n mov %rax, out_zone+8*" #i "(%rip)\n"
#define ZONE(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)
#define VIN(i) " vmovdqu in_vector+32*" #i "(%rip), %ymm" #i "\n"
#define VOUT(i) " vmovdqu %ymm" #i ", out_vector+32*" #i "(%rip)\n"
#define XIN(i) " movdqu in_vector+32*" #i "(%rip), %xmm" #i "\n"
#define XOUT(i) " movdqu %xmm" #i ", out_vector+32*" #i "(%rip)\n"

/* The site stands between everything loaded (but rax, by `load`) and everything stored; 7: is directly behind it. */
#define SITE(name, load, site)                                                                                         \
	__asm__(".text\n .globl " #name "\n .type " #name ", @function\n" #name ":\n"                                  \
	        " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"                             \
	        " mov %rsp, stack_pointer(%rip)\n"                                                                     \
	        " lea 7f(%rip), %rax\n mov %rax, next_address(%rip)\n"                                                 \
	        " cmpl $0, has_avx(%rip)\n je 1f\n" ZONE(VIN) " jmp 2f\n1:\n" ZONE(XIN) "2:\n"                         \
	        " push in_flags(%rip)\n popfq\n" ALL(LOAD) " mov $0x1111, %ecx\n mov $0x2222, %r11d\n"                 \
	        ZONE(ZONE_IN) load site ALL(STORE)                                                                     \
	        " mov %rax, out(%rip)\n mov %rcx, out+8(%rip)\n mov %rsp, out+32(%rip)\n mov %r11, out+88(%rip)\n"     \
	        ZONE(ZONE_OUT) " lea -128(%rsp), %rsp\n pushfq\n popq out_flags(%rip)\n"                               \
	        " mov stack_pointer(%rip), %rsp\n cmpl $0, has_avx(%rip)\n je 1f\n" ZONE(VOUT) " jmp 2f\n1:\n"         \
	        ZONE(XOUT) "2:\n cld\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"        \
	        ".size " #name ", . - " #name "\n");                                                                   \
	void name(void);

/* known number, room on both sides; the number comes from elsewhere; nothing behind may be overwritten; a branch goes to
 * the syscall itself (never taken: rbp is not what it tests) */
SITE(in_place, " mov $110, %eax\n", " syscall\n7: mov %rdx, out+16(%rip)\n")
SITE(unknown, " mov number(%rip), %eax\n", " syscall\n7: mov %rdx, out+16(%rip)\n")
SITE(tight, " mov $110, %eax\n", " syscall\n7: jmp 6f\n6:\n")
SITE(targeted, " mov $110, %eax\n jmp 5f\n nop\n nop\n nop\n5:\n", " syscall\n7: mov %rdx, out+16(%rip)\n")
int number = SYS_getppid;

static void fill(void *p, size_t n, unsigned seed) {
	uint8_t *b = p;
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
}
static void check(void (*site)(void), const char *name, uint64_t flags) {
	static const int kept[] = {RDX, RBX, RBP, RSI, RDI, 8, 9, 10, 12, 13, 14, 15};
	fill(in, sizeof in, (unsigned)flags), fill(in_zone, sizeof in_zone, 2), fill(in_vector, sizeof in_vector, 3);
	memset(out, 0, sizeof out), memset(out_zone, 0, sizeof out_zone), memset(out_vector, 0, sizeof out_vector);
	in_flags = flags;
	site();
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if (in[kept[i]] != out[kept[i]])
			report("bad %s: register %d\n", name, kept[i]);
	if ((long)out[RAX] != getppid())
		report("bad %s: result %ld\n", name, (long)out[RAX]);
	if (out[RCX] != next_address)
		report("bad %s: rcx %lx, expected %lx\n", name, out[RCX], next_address);
	if (out[RSP] != stack_pointer)
		report("bad %s: rsp\n", name);
	if ((out_flags ^ flags) & 0xcd5)
		report("bad %s: flags %lx, were %lx\n", name, out_flags, flags);
	if ((out[11] ^ flags) & 0xcd5)
		report("bad %s: r11 %lx, flags were %lx\n", name, out[11], flags);
	if (memcmp(in_zone, out_zone, sizeof in_zone))
		report("bad %s: red zone\n", name);
	for (int i = 0; i < 16; i++)
		if (memcmp(in_vector + 32 * i, out_vector + 32 * i, has_avx ? 32 : 16))
			report("bad %s: vector %d\n", name, i);
}
int main(void) {
	unsigned a, b, c, d;
	has_avx = __get_cpuid(1, &a, &b, &c, &d) && c & bit_AVX && c & bit_OSXSAVE;
	static const uint64_t bits[] = {1, 4, 16, 64, 128, 2048}; /* carry, parity, adjust, zero, sign, overflow */
	long n = 0;
	for (unsigned k = 0; k < 64; k++) {
		uint64_t flags = 0x202;
		for (unsigned i = 0; i < 6; i++)
			flags |= k >> i & 1 ? bits[i] : 0;
		check(in_place, "in place", flags), check(unknown, "unknown number", flags);
		check(tight, "tight", flags), check(targeted, "targeted", flags);
		n += 8; /* and four getppid of libc */
	}
	report_count(SYS_getppid, n);
	report("ok %ld\n", n);
	return 0;
}
