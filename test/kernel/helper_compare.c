/* Helpers beside the kernel's: the same call in a program under BPF_PROG_TEST_RUN and as a function here. Formats, numbers,
 * comparisons, checksums, bounds of packets. Where bpf() is missing this skips. */
#include "kernel.h"
#include "abi/context.h"
#include "helper/helper.h"
#include "isa/insn.h"
#include "map/map.h"
#include "test.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { INPUT = 0, MORE = 256, OUTPUT = 512, RESULT = 1016, BYTES = 1024, PROG_INSNS = 64, SCHED_CLS = 3 };
static struct bpf_insn insns[PROG_INSNS];
static u32 n;
static int memory_fd, text_fd;
static u8 memory[BYTES];
static struct run_env env;
static struct skep_run run = {.env = &env};
static u64 state = 1;

static u64 any(void) {
	state += 0x9e3779b97f4a7c15ull;
	u64 x = state;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}
static void insn(u8 code, u8 dst, u8 src, s16 off, s32 imm) {
	insns[n++] = (struct bpf_insn){.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}
/* reg = address of byte `off` of the map's value */
static void address(u8 reg, int map, u32 off) {
	insn(BPF_LD_IMM64, reg, 2, 0, map);
	insn(0, 0, 0, 0, off);
}
static void number(u8 reg, s32 value) {
	insn(0xb7, reg, 0, 0, value);
}
/* Ends the program: calls, keeps the result; runs it. What the helper left is in memory afterwards. */
static s64 call(u32 helper) {
	insn(0x85, 0, 0, 0, helper);
	address(1, memory_fd, RESULT);
	insn(0x7b, 1, 0, 0, 0);
	number(0, 0);
	insn(0x95, 0, 0, 0, 0);
	static char log[KERNEL_LOG];
	int fd = kernel_load(&(struct kernel_prog){.insns = insns, .n = n, .type = SCHED_CLS, .log_level = 1}, log);
	n = 0;
	if (fd < 0)
		printf("# %s\n", log);
	EXPECT(fd >= 0);
	u8 packet[64] = {0};
	u32 verdict;
	EXPECT_EQ(kernel_run(fd, packet, sizeof packet, &verdict), 0);
	close(fd);
	EXPECT_EQ(kernel_map_read(memory_fd, 0, memory), 0);
	s64 result;
	memcpy(&result, memory + RESULT, 8);
	return result;
}
static s64 map_command(u32 cmd, int fd, const void *value) {
	union bpf_attr a;
	u32 key = 0;
	memset(&a, 0, sizeof a);
	a.map_fd = fd;
	if (value) {
		a.key = (u64)&key;
		a.value = (u64)value;
	}
	return kernel_bpf(cmd, &a, sizeof a);
}
static void give_memory(void) {
	EXPECT_EQ(map_command(BPF_MAP_UPDATE_ELEM, memory_fd, memory), 0);
}

static void format(const char *fmt, u32 args, u32 size) {
	char text[64] = {0}, ours[512];
	strncpy(text, fmt, sizeof text - 1);
	text_fd = kernel_map(BPF_MAP_TYPE_ARRAY, 4, sizeof text, 1, BPF_F_RDONLY_PROG, 0);
	EXPECT_EQ(map_command(BPF_MAP_UPDATE_ELEM, text_fd, text), 0);
	EXPECT_EQ(map_command(BPF_MAP_FREEZE, text_fd, NULL), 0);
	memset(memory + OUTPUT, 'x', 400);
	memset(ours, 'x', sizeof ours);
	give_memory();
	s64 want = helper_snprintf((u64)ours, size, (u64)text, (u64)memory, args * 8, &run);
	address(1, memory_fd, OUTPUT);
	number(2, size);
	address(3, text_fd, 0);
	address(4, memory_fd, INPUT);
	number(5, args * 8);
	insn(0x85, 0, 0, 0, BPF_FUNC_snprintf);
	address(1, memory_fd, RESULT);
	insn(0x7b, 1, 0, 0, 0);
	number(0, 0);
	insn(0x95, 0, 0, 0, 0);
	/* A format that is wrong is refused when the program is loaded: the verifier asks the same code. */
	static char log[KERNEL_LOG];
	int fd = kernel_load(&(struct kernel_prog){.insns = insns, .n = n, .type = SCHED_CLS, .log_level = 1}, log);
	n = 0;
	if (fd < 0) {
		if (want >= 0 || !strstr(log, "Invalid format"))
			printf("# '%s': %lld here, refused by the kernel: %s\n", fmt, (long long)want, log);
		EXPECT(want < 0 && strstr(log, "Invalid format"));
	} else {
		u8 packet[64] = {0};
		u32 verdict;
		s64 got;
		EXPECT_EQ(kernel_run(fd, packet, sizeof packet, &verdict), 0);
		close(fd);
		EXPECT_EQ(kernel_map_read(memory_fd, 0, memory), 0);
		memcpy(&got, memory + RESULT, 8);
		if (want != got || (size && strcmp(ours, (char *)memory + OUTPUT)))
			printf("# '%s': '%s' here, '%s' in the kernel\n", fmt, ours, memory + OUTPUT);
		EXPECT_EQ(want, got);
		EXPECT(want < 0 || !size || !strcmp(ours, (char *)memory + OUTPUT));
	}
	close(text_fd);
}
static void formats(void) {
	static const char string[] = "a string in user memory";
	static const char *const fixed[] = {
	    "plain", "100%%", "%s!", "[%5s]", "[%-30s]", "%pks", "%pus", "%c%c%c", "[%3c]", "[%-3c]", "%", "%%%", "%d%", "% d", "%px",
	    "%px ", "%pK", "%pi4", "%pI4", "%pI6", "%pi6", "%pI5", "%p", "%ps", "%llld", "%hd", "%n", "%5.3d", "%*d", "%sx", "%s%", "%02x",
	    "%+d", "%+u", "%+x", "% x", "%-05d|", "%0-5d|", "%lu %li", "%lls", "%lc", "%X", "%I", "\xc3\xa9 %d", "%\xc3", "\x01", "\t%d\n",
	    "%020llu", "%-20llx|", "%i", "%li", "%5%", "%l", "%ll", "%0", "%-", "%10", "%99d", "%p4",
	};
	for (u32 i = 0; i < ARRAY_SIZE(fixed); i++) {
		memset(memory, 0, sizeof memory);
		bool text = strchr(fixed[i], 's') != NULL;
		u64 args[3] = {text ? (u64)string : 'q' + (1ull << 40), text ? (u64)string : -5ull, text ? 0 : 'z'};
		/* Pointers that the kernel hashes, names, or reads from kernel memory would differ: NULL tells nothing. */
		if (fixed[i][0] == '%' && fixed[i][1] == 'p' && strncmp(fixed[i], "%px", 3) && strncmp(fixed[i], "%pus", 4))
			memset(args, 0, sizeof args);
		if (!strcmp(fixed[i], "%p") || !strcmp(fixed[i], "%pK") || !strcmp(fixed[i], "%ps"))
			continue;
		memcpy(memory, args, sizeof args);
		u32 specs = 0;
		for (const char *p = fixed[i]; *p; p++)
			specs += *p == '%' && (p[1] == '%' ? (p++, 0) : 1);
		format(fixed[i], MIN(specs, 3u), 100);
	}
	static const char *const flags[] = {"", "0", "-", "+", " ", "0-", "+0", "-+"}, *const sizes[] = {"", "l", "ll"};
	static const char kinds[] = "diuxX";
	for (u32 i = 0; i < 120 && !test_bad; i++) {
		char fmt[40];
		u64 r = any(), args[2] = {any() >> (any() % 64), -(any() >> (any() % 64))};
		snprintf(fmt, sizeof fmt, "%%%s%.0u%s%c|%%%s%u%s%c", flags[r & 7], (u32)(r >> 3 & 1) * 9, sizes[(r >> 4) % 3],
		         kinds[(r >> 8) % 5], flags[r >> 16 & 7], (u32)(r >> 20 & 31) + 1, sizes[(r >> 25) % 3],
		         kinds[(r >> 30) % 5]);
		memset(memory, 0, sizeof memory);
		memcpy(memory, args, sizeof args);
		format(fmt, 2, r >> 40 & 7 ? 100 : r >> 44 & 15);
	}
}

static void numbers(void) {
	static const char *const texts[] = {"12", "-12x", "  7", "0x1F", "0x", "017", "zz", "-", "1", "9223372036854775807",
	                                    "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
	                                    "18446744073709551615", "18446744073709551616", "08", "8", "0xg", "0", "-0", "+5",
	                                    "\t\n 3", "- 3", "0X1f", "ff", "1 2"};
	static const u32 bases[] = {0, 8, 10, 16, 7, 32};
	for (u32 i = 0; i < ARRAY_SIZE(texts) && !test_bad; i++) {
		for (u32 b = 0; b < 6; b++) {
			for (u32 is_signed = 0; is_signed < 2; is_signed++) {
				u32 size = strlen(texts[i]), flags = bases[(b + i) % 6];
				u64 ours = 77, theirs;
				memset(memory, 0, sizeof memory);
				memcpy(memory, texts[i], size);
				memset(memory + OUTPUT, 77, 8);
				give_memory();
				s64 want = is_signed ? helper_strtol((u64)texts[i], size, flags, (u64)&ours, 0, &run)
				                     : helper_strtoul((u64)texts[i], size, flags, (u64)&ours, 0, &run);
				address(1, memory_fd, INPUT);
				number(2, size);
				number(3, flags);
				address(4, memory_fd, OUTPUT);
				s64 got = call(is_signed ? BPF_FUNC_strtol : BPF_FUNC_strtoul);
				memcpy(&theirs, memory + OUTPUT, 8);
				if (want != got || ours != theirs)
					printf("# '%s' base %u\n", texts[i], flags);
				EXPECT_EQ(want, got);
				EXPECT_EQ(ours, theirs);
			}
			if (b == 2 && i > 8)
				break;
		}
	}
}
static void checksums(void) {
	if (kernel_older_than(6, 13)) {
		printf("# older kernels do not fold\n");
		return;
	}
	for (u32 i = 0; i < 120 && !test_bad; i++) {
		for (u32 k = 0; k < OUTPUT; k++)
			memory[k] = i % 10 == 0 ? 0 : i % 10 == 1 ? 0xff : any();
		u32 from = any() % 4 ? any() % 250 : 0, to = any() % 4 ? any() % 250 : 0, seed = i % 3 ? any() : 0;
		memcpy(memory + OUTPUT, &seed, 4);
		give_memory();
		s64 want = helper_csum_diff(from ? (u64)memory : 0, from, to ? (u64)memory + MORE : 0, to, seed, &run);
		if (from)
			address(1, memory_fd, INPUT);
		else
			number(1, 0);
		number(2, from);
		if (to)
			address(3, memory_fd, MORE);
		else
			number(3, 0);
		number(4, to);
		address(5, memory_fd, OUTPUT);
		insn(0x61, 5, 5, 0, 0);
		s64 got = call(BPF_FUNC_csum_diff);
		if (want != got)
			printf("# from %u, to %u, seed %u\n", from, to, seed);
		EXPECT_EQ(want, got);
	}
}
static void packets(void) {
	struct skep_sk_buff skb;
	static u8 packet[64];
	memset(&skb, 0, sizeof skb);
	skb.hard_start = skb.data = skb.data_meta = packet;
	skb.data_end = packet + 64;
	skb.frame_end = packet + 64;
	skb.mac_len = 14;
	static const u32 offsets[] = {0, 1, 30, 47, 48, 49, 50, 63, 64, 65, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff};
	for (u32 i = 0; i < ARRAY_SIZE(offsets); i++) {
		for (u32 start = 0; start < 4; start++) {
			u8 ours[16];
			memset(memory, 0, sizeof memory);
			memset(memory + OUTPUT, 9, 16);
			memset(ours, 9, 16);
			give_memory();
			s64 want = start < 3 ? helper_skb_load_bytes_relative((u64)&skb, offsets[i], (u64)ours, 16, start, &run)
			                     : helper_skb_load_bytes((u64)&skb, offsets[i], (u64)ours, 16, 0, &run);
			number(2, offsets[i]);
			address(3, memory_fd, OUTPUT);
			number(4, 16);
			number(5, start);
			s64 got = call(start < 3 ? BPF_FUNC_skb_load_bytes_relative : BPF_FUNC_skb_load_bytes);
			if (want != got)
				printf("# offset %u from %u\n", offsets[i], start);
			EXPECT_EQ(want, got);
			EXPECT(!memcmp(ours, memory + OUTPUT, 16));
		}
	}
}
int main(void) {
	if (kernel_missing()) {
		SKIP("all", kernel_missing());
		return test_end();
	}
	memory_fd = kernel_array(BYTES, 1, NULL);
	RUN(formats);
	RUN(numbers);
	RUN(checksums);
	RUN(packets);
	return test_end();
}
