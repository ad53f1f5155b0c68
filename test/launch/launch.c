/* Launch mode from end to end: programs of test/targets run with counting programs attached to all their system calls, and
 * what was counted by (process, number) is compared with what each says of itself and, where bpf() is allowed, with the
 * kernel's raw tracepoint. Run with the folder of the built targets, and perhaps the name of one of them. */
#include "common.h"
#include "oracle.h"
#include "test.h"
#include <asm/unistd.h>
#include <unistd.h>

static const char *folder, *only;
static bool oracle;

static const struct setup enter_all = {LAUNCH_ENTER, LAUNCH_CTX_TRACEPOINT, -1};

/* Every line of the report. */
static void check_output(const char *name) {
	u32 lines = 0;
	for (char *line = output, *end; *line; line = end + 1) {
		int pid, nr;
		long n;
		end = strchr(line, '\n');
		if (!end)
			break;
		*end = 0;
		lines++;
		if (sscanf(line, "count %d %d %ld", &pid, &nr, &n) == 3) {
			u64 got = common_counted((u32)pid, (u32)nr);
			if (got != (u64)n)
				test_bad++, printf("# %s: process %d made %ld calls of number %d, %llu were counted\n", name, pid, n,
				                   nr, (unsigned long long)got);
		} else if (strncmp(line, "ok ", 3))
			test_bad++, printf("# %s: %s\n", name, line);
		*end = '\n';
	}
	if (!lines)
		test_bad++, printf("# %s: it reported nothing\n", name);
}

/* The numbers that skep's own code calls in targets, and those that a process calls before its first exec. */
static bool is_ours(u32 nr) {
	static const u32 ours[] = {__NR_read, __NR_open, __NR_process_vm_readv, __NR_close, __NR_fcntl, __NR_mmap, __NR_mremap, __NR_madvise, __NR_rt_sigprocmask, __NR_getpid, __NR_gettid,
	                           __NR_getuid, __NR_getgid, __NR_prctl, __NR_futex, __NR_socketpair, __NR_recvmsg,
	                           __NR_nanosleep, __NR_execve, __NR_set_robust_list, __NR_restart_syscall};
	for (u32 i = 0; i < ARRAY_SIZE(ours); i++)
		if (ours[i] == nr)
			return true;
	return false;
}
static void check_oracle(const char *name) {
	u32 compared = 0;
	for (u32 i = 0; oracle && i < PIDS; i++)
		for (u32 nr = 0; counts[i].pid && nr < NUMBERS; nr++) {
			u64 theirs = oracle_count((u32)counts[i].pid, nr), here = counts[i].by_nr[nr];
			bool alone = nr == __NR_munmap || nr == __NR_exit; /* of musl's detached threads: sites.c */
			if (is_ours(nr) || (alone && strstr(name, "musl")) ? here > theirs : here != theirs)
				test_bad++, printf("# %s: process %d, number %d: counted %llu, kernel %llu\n", name, (int)counts[i].pid, nr,
				                   (unsigned long long)here, (unsigned long long)theirs);
			compared += here != 0;
		}
	if (oracle && !compared)
		test_bad++, printf("# %s: nothing to compare\n", name);
}

static void run_target(const char *name, struct setup how, bool restarts) {
	char path[4096], label[128];
	char *argv[] = {path, NULL};
	if (only && strcmp(name, only))
		return;
	test_bad = 0;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	snprintf(label, sizeof label, "%s %s %s", name, how.point == LAUNCH_ENTER ? "enter" : "exit",
	         (const char *[]){"tracepoint", "tracepoint", "raw", "registers"}[how.ctx]);
	if (access(path, X_OK)) {
		SKIP(label, "not built here");
		return;
	}
	if (oracle)
		oracle_clear();
	EXPECT_EQ(common_run(argv, how), 0);
	if (!strstr(name, "musl-static")) /* that has cancellation points only when the program cancels */
		EXPECT_EQ(last.sites_enter_only != 0, how.point == LAUNCH_EXIT && strstr(name, "musl") != NULL);
	check_output(name);
	if (how.point == LAUNCH_ENTER && how.nr < 0 && !restarts)
		check_oracle(name);
	test_report(label);
}

static void targets(void) {
	static const char *const names[] = {"loop", "threads", "children", "signals", "restart", "cancel", "storm", "later",
	                                    "untouched", "odd"};
	static const char *const forms[] = {"", ".static", ".static-pie", ".musl", ".musl-static"};
	for (u32 f = 0; f < ARRAY_SIZE(forms); f++)
		for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
			char name[64];
			snprintf(name, sizeof name, "%s%s", names[i], forms[f]);
			bool restarts = !strcmp(names[i], "restart") || !strcmp(names[i], "cancel") || !strcmp(names[i], "signals");
			run_target(name, enter_all, restarts);
			if (strcmp(names[i], "restart"))
				run_target(name, (struct setup){LAUNCH_EXIT, LAUNCH_CTX_TRACEPOINT, -1}, restarts);
		}
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		for (enum launch_point p = LAUNCH_ENTER; p <= LAUNCH_EXIT; p++) {
			run_target(names[i], (struct setup){p, LAUNCH_CTX_RAW_TP, -1}, true);
			run_target(names[i], (struct setup){p, LAUNCH_CTX_REGS, -1}, true);
		}
}

/* Commands that people run: what was counted for every process of theirs is what the kernel counted. */
static void commands(void) {
	static char *const lines[][6] = {
	    {"ls", "-la", "/usr/lib"},
	    {"busybox", "ls", "-la", "/usr/bin"},
	    {"python3", "-c", "import threading as t; x = [t.Thread(target=lambda: [open('/dev/null').close() for _ in range(500)]) "
	                      "for _ in range(8)]; [i.start() for i in x]; [i.join() for i in x]"},
	    {"bash", "-c", "for i in $(seq 100); do echo $i | cat > /dev/null; done"},
	    {"sh", "-c", "tar cf - /usr/share/doc/bash 2> /dev/null | gzip | wc -c"},
	};
	for (u32 i = 0; i < ARRAY_SIZE(lines); i++) {
		char label[64];
		snprintf(label, sizeof label, "%s as the kernel counts", lines[i][0]);
		test_bad = 0;
		if (!oracle) {
			SKIP(label, "bpf() is not permitted here");
			continue;
		}
		oracle_clear();
		EXPECT_EQ(common_run((char **)lines[i], enter_all), 0);
		check_oracle(lines[i][0]);
		printf("# %s: %llu processes\n", lines[i][0], (unsigned long long)last.processes);
		test_report(label);
	}
}

int main(int argc, char **argv) {
	folder = argc > 1 ? argv[1] : ".";
	common_make_map();
	oracle = !oracle_start() && oracle_attach() >= 0;
	if (!oracle)
		SKIP("comparison with the kernel", "bpf() is not allowed here");
	only = argc > 2 ? argv[2] : NULL;
	targets();
	if (!only)
		commands();
	return test_end();
}
