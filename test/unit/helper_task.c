/* What programs ask about the thread they run on, and clocks, beside what libc says. */
#include "test.h"
#include "helper/helper.h"
#include "map/map.h"
#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct run_env env;
static struct skep_run run = {.env = &env};

static u64 now(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}
#define CLOCK(helper, id)                                                                                              \
	({                                                                                                             \
		u64 before = now(id), is = helper(0, 0, 0, 0, 0, &run), after = now(id);                               \
		EXPECT(before <= is && is <= after);                                                                   \
	})
static void clocks(void) {
	for (u32 i = 0; i < 100; i++) {
		CLOCK(helper_ktime_get_ns, CLOCK_MONOTONIC);
		CLOCK(helper_ktime_get_boot_ns, CLOCK_BOOTTIME);
		CLOCK(helper_ktime_get_coarse_ns, CLOCK_MONOTONIC_COARSE);
		CLOCK(helper_ktime_get_tai_ns, CLOCK_TAI);
	}
	env.fake_clock_ns = 4711;
	EXPECT_EQ(helper_ktime_get_tai_ns(0, 0, 0, 0, 0, &run), 4711);
	env.fake_clock_ns = 0;
}
static void ids(void) {
	EXPECT_EQ(helper_get_current_pid_tgid(0, 0, 0, 0, 0, &run), (u64)getpid() << 32 | (u32)syscall(SYS_gettid));
	EXPECT_EQ(helper_get_current_uid_gid(0, 0, 0, 0, 0, &run), (u64)getgid() << 32 | getuid());
	unsigned cpu, node;
	syscall(SYS_getcpu, &cpu, &node, NULL);
	EXPECT_EQ(helper_get_numa_node_id(0, 0, 0, 0, 0, &run), node);
	run.cookie = 99;
	EXPECT_EQ(helper_get_attach_cookie(0, 0, 0, 0, 0, &run), 99);
}
/* Numbers of a namespace, for who knows its device and inode; else the answer is cleared. */
static void namespace_ids(void) {
	struct stat st;
	struct bpf_pidns_info out = {7, 7};
	EXPECT_EQ(stat("/proc/self/ns/pid", &st), 0);
	u64 dev = (u64)major(st.st_dev) << 20 | minor(st.st_dev), to = (u64)&out;
	EXPECT_EQ(helper_get_ns_current_pid_tgid(dev, st.st_ino, to, sizeof out, 0, &run), 0);
	EXPECT_EQ(out.pid, syscall(SYS_gettid));
	EXPECT_EQ(out.tgid, getpid());
	EXPECT_EQ(helper_get_ns_current_pid_tgid(dev, st.st_ino + 1, to, sizeof out, 0, &run), -EINVAL);
	EXPECT(!out.pid && !out.tgid);
	EXPECT_EQ(helper_get_ns_current_pid_tgid(dev + 1, st.st_ino, to, sizeof out, 0, &run), -EINVAL);
	EXPECT_EQ(helper_get_ns_current_pid_tgid(dev | 1ull << 32, st.st_ino, to, sizeof out, 0, &run), -EINVAL);
	EXPECT_EQ(helper_get_ns_current_pid_tgid(dev, st.st_ino, to, 4, 0, &run), -EINVAL);
}
int main(void) {
	RUN(clocks);
	RUN(ids);
	RUN(namespace_ids);
	return test_end();
}
