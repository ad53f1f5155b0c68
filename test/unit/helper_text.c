/* Formats, numbers, memory reads, trace lines: results and errors. */
#include "test.h"
#include "helper/helper.h"
#include "map/ops.h"
#include "map/ringbuf.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct run_env env;
static char text[2000];

static s64 format(const char *fmt, u32 n, u64 a, u64 b, u64 c) {
	struct skep_run run = {.env = &env};
	u64 args[3] = {a, b, c};
	memset(text, 'x', sizeof text);
	return helper_snprintf((u64)text, 600, (u64)fmt, (u64)args, n * 8, &run);
}
#define FORMAT(want, fmt, n, a, b, c)                                                                                  \
	do {                                                                                                           \
		EXPECT_EQ(format(fmt, n, a, b, c), sizeof(want));                                                      \
		EXPECT_STR(text, want);                                                                                \
	} while (0)

static void formats(void) {
	FORMAT("plain 100%", "plain 100%%", 0, 0, 0, 0);
	FORMAT("-1 4294967295 ffffffff", "%d %u %x", 3, -1, -1, -1);
	FORMAT("-1 18446744073709551615 FFFFFFFFFFFFFFFF", "%ld %llu %lX", 3, -1, -1, -1);
	FORMAT("[   42][42   ][00042]", "[%5d][%-5d][%05d]", 3, 42, 42, 42);
	FORMAT("[+42][ 42][-0042]", "[%+i][% d][%05d]", 3, 42, 42, -42);
	FORMAT("a=<abc> <  abc> <abc  >", "a=<%s> <%5s> <%-5s>", 3, (u64) "abc", (u64) "abc", (u64) "abc");
	FORMAT("x y  z", "%c %c %2c", 3, 'x', 'y', 'z');
	FORMAT("00000000deadbeef 0x0000000000001000", "%px %pS", 2, 0xdeadbeef, 0x1000, 0);
	/* Addresses are kernel memory: an own range here. */
	static const u8 address[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1}, home[4] = {127, 0, 0, 1};
	struct run_range own[2] = {{(u64)address, (u64)address + 16}, {(u64)home, (u64)home + 4}};
	env.own = own, env.own_n = 2;
	FORMAT("127.0.0.1 127.000.000.001", "%pI4 %pi4", 2, (u64)home, (u64)home, 0);
	FORMAT("2001:0db8:0000:0000:0000:0000:0000:0001", "%pI6", 1, (u64)address, 0, 0);
	FORMAT("20010db8000000000000000000000001", "%pi6", 1, (u64)address, 0, 0);
	env.own_n = 0;
	FORMAT("0.0.0.0", "%pI4", 1, (u64)home, 0, 0);
	FORMAT("", "%s", 1, 1, 0, 0); /* an address that cannot be read */
	FORMAT("\xc3\xa4", "\xc3\xa4", 0, 0, 0, 0);
	static const char *const bad[] = {"%", "%z", "%lld %q", "%hd", "%5.2d", "%*d", "%sx", "%pz", "%pI5", "\1", "%n", "%f"};
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(format(bad[i], 3, 1, 2, 3), -EINVAL);
	EXPECT_EQ(format("%d %d", 1, 1, 0, 0), -EINVAL);
	char big[600];
	memset(big, 'a', sizeof big);
	big[599] = 0;
	EXPECT_EQ(format("%s", 1, (u64)big, 0, 0), 512); /* the kernel's argument buffer */
	EXPECT_EQ(strlen(text), 511);
	EXPECT_EQ(format("%s%d", 2, (u64)big, 1, 0), -ENOSPC);
	struct skep_run run = {.env = &env};
	EXPECT_EQ(helper_snprintf((u64)text, 4, (u64) "abcdef", 0, 0, &run), 7);
	EXPECT_STR(text, "abc");
	EXPECT_EQ(helper_snprintf(0, 0, (u64) "abcdef", 0, 0, &run), 7);
	EXPECT_EQ(helper_snprintf((u64)text, 4, (u64) "a", (u64)text, 4, &run), -EINVAL);
}
static void trace_lines(void) {
	const struct map_ops *ops = map_ops_of(BPF_MAP_TYPE_RINGBUF);
	struct map ring = {.type = BPF_MAP_TYPE_RINGBUF, .max_entries = 4096, .spin_lock = -1};
	EXPECT_EQ(ops->geometry(&ring), 0);
	ring.area = aligned_alloc(4096, ring.area_size);
	ring.data = aligned_alloc(4096, ring.data_size);
	memset(ring.area, 0, ring.area_size);
	memset(ring.data, 0, ring.data_size);
	u64 counters[RUN_COUNTERS] = {0};
	struct run_env here = {.trace = &ring, .counters = counters};
	struct skep_run run = {.env = &here};
	static const char fmt[] = "hello %s %d";
	EXPECT_EQ(helper_trace_printk((u64)fmt, sizeof fmt, (u64) "you", 7, 0, &run), 11);
	EXPECT_EQ(helper_trace_printk((u64)fmt, sizeof fmt - 1, (u64) "you", 7, 0, &run), -EINVAL);
	u64 args[2] = {(u64) "me", 8};
	EXPECT_EQ(helper_trace_vprintk((u64)fmt, sizeof fmt, (u64)args, 16, 0, &run), 10);
	EXPECT(!memcmp(ring.data + 8192 + 8, "hello you 7", 11));
	EXPECT_EQ(ringbuf_map_pending(&ring), 24 + 24);
	EXPECT_EQ(counters[COUNT_LOST_TRACE], 0);
	while (ringbuf_map_pending(&ring) + 24 < 4096)
		helper_trace_vprintk((u64)fmt, sizeof fmt, (u64)args, 16, 0, &run);
	helper_trace_vprintk((u64)fmt, sizeof fmt, (u64)args, 16, 0, &run);
	EXPECT_EQ(counters[COUNT_LOST_TRACE], 1);
	free(ring.area);
	free(ring.data);
}
static void numbers(void) {
	static const struct {
		const char *text;
		u64 flags;
		s64 n, value;
	} cases[] = {
	    {"12", 10, 2, 12}, {"-12x", 10, 3, -12}, {"  7", 0, 3, 7}, {"0x1F", 0, 4, 31}, {"0x", 0, 1, 0}, {"017", 0, 3, 15},
	    {"0x1f", 16, 4, 31}, {"zz", 10, -EINVAL, 0}, {"", 10, -EINVAL, 0}, {"-", 10, -EINVAL, 0}, {"1", 7, -EINVAL, 0},
	    {"1", 0x20, -EINVAL, 0}, {"9223372036854775807", 10, 19, 0x7fffffffffffffff},
	    {"9223372036854775808", 10, -ERANGE, 0}, {"-9223372036854775808", 10, 20, (s64)1 << 63},
	    {"99999999999999999999", 10, -ERANGE, 0}, {"08", 0, 1, 0}, {"8", 8, -EINVAL, 0},
	};
	struct skep_run run = {.env = &env};
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		s64 value = 99;
		EXPECT_EQ(helper_strtol((u64)cases[i].text, strlen(cases[i].text), cases[i].flags, (u64)&value, 0, &run),
		          cases[i].n);
		EXPECT_EQ(value, cases[i].value);
	}
	u64 value;
	EXPECT_EQ(helper_strtoul((u64) "18446744073709551615", 20, 10, (u64)&value, 0, &run), 20);
	EXPECT_EQ(value, -1);
	EXPECT_EQ(helper_strtoul((u64) "-1", 2, 10, (u64)&value, 0, &run), -EINVAL);
	EXPECT_EQ(helper_strncmp((u64) "abc", 3, (u64) "abd", 0, 0, &run), -1);
	EXPECT_EQ(helper_strncmp((u64) "abc", 2, (u64) "abd", 0, 0, &run), 0);
	EXPECT_EQ(helper_strncmp((u64) "b", 2, (u64) "abd", 0, 0, &run), 1);
	EXPECT_EQ(helper_strncmp((u64) "ab", 8, (u64) "ab", 0, 0, &run), 0);
}
static void memory(void) {
	struct skep_run run = {.env = &env};
	long page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), to[64];
	munmap(two + page, page);
	memcpy(two + page - 6, "hello", 6);
	struct skep_run *r = &run;
	EXPECT_EQ(helper_probe_read_user((u64)to, 6, (u64)two + page - 6, 0, 0, r), 0);
	EXPECT_STR(to, "hello");
	memset(to, 'x', sizeof to);
	EXPECT_EQ(helper_probe_read_user((u64)to, 7, (u64)two + page - 6, 0, 0, r), -EFAULT);
	EXPECT(!memcmp(to, "\0\0\0\0\0\0\0x", 8));
	memset(to, 'x', sizeof to);
	EXPECT_EQ(helper_probe_read_user_str((u64)to, 64, (u64)two + page - 6, 0, 0, r), 6);
	EXPECT(!memcmp(to, "hello\0xx", 8));
	EXPECT_EQ(helper_probe_read_user_str((u64)to, 3, (u64)two + page - 6, 0, 0, r), 3);
	EXPECT_STR(to, "he");
	two[page - 1] = '!';
	EXPECT_EQ(helper_probe_read_user_str((u64)to, 64, (u64)two + page - 6, 0, 0, r), -EFAULT);
	EXPECT_EQ(helper_probe_read_user_str((u64)to, 6, (u64)two + page - 6, 0, 0, r), 6);
	EXPECT_STR(to, "hello");
	EXPECT_EQ(helper_probe_read_user((u64)to, 0, 1, 0, 0, r), 0);
	EXPECT_EQ(helper_probe_read_user((u64)to, 8, 0, 0, 0, r), -EFAULT);
	EXPECT_EQ(helper_copy_from_user((u64)to, 8, ~0ull - 3, 0, 0, r), -EFAULT);
	/* What counts as kernel memory: own ranges and the stack up to the run. */
	EXPECT_EQ(helper_probe_read_kernel((u64)to, 4, (u64)two, 0, 0, r), -EFAULT);
	struct run_range own = {(u64)two, (u64)two + page};
	struct run_env with = {.own = &own, .own_n = 1, .flags = RUN_NO_SYSCALLS};
	run.env = &with;
	EXPECT_EQ(helper_probe_read_kernel((u64)to, 4, (u64)two, 0, 0, r), 0);
	memcpy(two + page - 3, "hi", 3);
	EXPECT_EQ(helper_probe_read_kernel_str((u64)to, 64, (u64)two + page - 3, 0, 0, r), 3);
	EXPECT_EQ(helper_probe_read_user((u64)to, 4, (u64)environ, 0, 0, r), -EFAULT);
	EXPECT_EQ(helper_probe_read_kernel((u64)to, 4, (u64)&run.cpu, 0, 0, r), 0);
	munmap(two, page);
}
static void task(void) {
	struct run_task t = {.pid = 7, .tid = 8, .uid = 9, .gid = 10, .comm = "a-name"};
	struct skep_run run = {.env = &env, .cpu = 3, .cookie = 77};
	struct skep_run *r = &run;
	EXPECT_EQ(helper_get_current_pid_tgid(0, 0, 0, 0, 0, r), (u64)getpid() << 32 | (u32)gettid());
	EXPECT_EQ(helper_get_current_uid_gid(0, 0, 0, 0, 0, r), (u64)getgid() << 32 | getuid());
	run.task = &t;
	EXPECT_EQ(helper_get_current_pid_tgid(0, 0, 0, 0, 0, r), 7ull << 32 | 8);
	EXPECT_EQ(helper_get_current_uid_gid(0, 0, 0, 0, 0, r), 10ull << 32 | 9);
	char comm[20];
	memset(comm, 'x', sizeof comm);
	EXPECT_EQ(helper_get_current_comm((u64)comm, 16, 0, 0, 0, r), 0);
	EXPECT(!memcmp(comm, "a-name\0\0\0\0\0\0\0\0\0\0xxxx", 20));
	EXPECT_EQ(helper_get_current_comm((u64)comm, 4, 0, 0, 0, r), 0);
	EXPECT_STR(comm, "a-n");
	EXPECT_EQ(helper_get_smp_processor_id(0, 0, 0, 0, 0, r), 3);
	EXPECT_EQ(helper_get_attach_cookie(0, 0, 0, 0, 0, r), 77);
	u64 a = helper_ktime_get_ns(0, 0, 0, 0, 0, r), b = helper_ktime_get_ns(0, 0, 0, 0, 0, r);
	EXPECT(a && b >= a);
	struct run_env fake = {.fake_clock_ns = 5000000000};
	run.env = &fake;
	EXPECT_EQ(helper_ktime_get_boot_ns(0, 0, 0, 0, 0, r), 5000000000);
	EXPECT_EQ(helper_jiffies64(0, 0, 0, 0, 0, r), (u64)(u32)-75000 + 1250);
	u32 seen = 0;
	for (u32 i = 0; i < 1000; i++)
		seen |= 1u << (helper_get_prandom_u32(0, 0, 0, 0, 0, r) >> 27);
	EXPECT_EQ(seen, ~0u);
}
int main(void) {
	RUN(formats);
	RUN(trace_lines);
	RUN(numbers);
	RUN(memory);
	RUN(task);
	return test_end();
}
