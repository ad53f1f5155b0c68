/* Clocks, and what a program may ask without touching memory. */
#include "abi/dataplane.h"
#include "base/syscall.h"
#include "map/map.h"

/* Numbers of clocks (linux/time.h quarrels with libc's). */
enum { CLOCK_MONOTONIC = 1, CLOCK_MONOTONIC_COARSE = 6, CLOCK_BOOTTIME = 7, CLOCK_TAI = 11 };
struct timespec64 {
	s64 sec, nsec;
};

static u64 clock_ns(int clock, const struct skep_run *run) {
	const struct run_env *env = run->env;
	struct timespec64 t = {0, 0};
	if (env->fake_clock_ns)
		return env->fake_clock_ns;
	if (!env->clock_gettime || env->clock_gettime(clock, &t))
		raw_syscall(__NR_clock_gettime, clock, (u64)&t, 0, 0, 0, 0);
	return (u64)t.sec * 1000000000 + t.nsec;
}
u64 helper_ktime_get_ns(DP_ARGS) {
	return clock_ns(CLOCK_MONOTONIC, run);
}
u64 helper_ktime_get_boot_ns(DP_ARGS) {
	return clock_ns(CLOCK_BOOTTIME, run);
}
u64 helper_ktime_get_coarse_ns(DP_ARGS) {
	return clock_ns(CLOCK_MONOTONIC_COARSE, run);
}
u64 helper_ktime_get_tai_ns(DP_ARGS) {
	return clock_ns(CLOCK_TAI, run);
}
/* The kernel counts from five minutes before zero in 32 bits and adds the high ones; HZ is 250 on Debian's kernels. */
u64 helper_jiffies64(DP_ARGS) {
	enum { HZ = 250 };
	return (u64)(u32)(-300 * HZ) + clock_ns(CLOCK_MONOTONIC_COARSE, run) / (1000000000 / HZ);
}
