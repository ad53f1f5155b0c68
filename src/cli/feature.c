/* skep feature: what this machine grants to this user, each line with the way to get more.
 *
 * Nothing is concluded from versions or settings where it can be tried: a child is seized as a launch would seize it, a
 * page of a memfd is mapped executable, bpf(2) is asked for a map. A probe leaves nothing behind and needs no right that
 * it does not test. A row of `probes` is a name (the JSON key), what it is good for, how to get it, and the function. */
#include "cli/cli.h"
#include "cli/object.h"
#include "cli/out/out.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

struct probe {
	char value[160];
	bool good;
};

static s64 read_number(const char *path, s64 otherwise) {
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return otherwise;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	return n > 0 ? strtoll(text, NULL, 10) : otherwise;
}

/* A child that waits is seized, as the child of a launch would be. */
static void probe_launch(struct probe *p) {
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	bool ok = child > 0 && ptrace(PTRACE_SEIZE, child, 0, 0) == 0;
	snprintf(p->value, sizeof p->value, ok ? "yes" : "no: ptrace of own children is denied (%s)", strerror(errno));
	p->good = ok;
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

static void probe_yama(struct probe *p) {
	s64 scope = read_number("/proc/sys/kernel/yama/ptrace_scope", 0);
	static const char *const words[] = {"any process of this user", "descendants only: launch the command under skep",
	                                    "administrators only", "nobody"};
	p->good = scope == 0;
	snprintf(p->value, sizeof p->value, "%s", words[scope >= 0 && scope < 4 ? scope : 3]);
}

static void probe_pidfd(struct probe *p) {
	int fd = (int)syscall(434 /* pidfd_open */, getpid(), 0), got = -1;
	if (fd >= 0)
		got = (int)syscall(438 /* pidfd_getfd */, fd, 0, 0);
	p->good = got >= 0 || errno == EBADF;
	snprintf(p->value, sizeof p->value, p->good ? "yes" : "no (%s): descriptors travel through /proc", strerror(errno));
	if (got >= 0)
		close(got);
	if (fd >= 0)
		close(fd);
}

static void probe_code(struct probe *p) {
	int fd = (int)syscall(SYS_memfd_create, "skep", 1 /* MFD_CLOEXEC */);
	void *at = fd >= 0 && !ftruncate(fd, 4096) ? mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) : MAP_FAILED;
	p->good = at != MAP_FAILED;
	snprintf(p->value, sizeof p->value, p->good ? "yes" : "no (%s): programs run in the interpreter", strerror(errno));
	if (at != MAP_FAILED)
		munmap(at, 4096);
	if (fd >= 0)
		close(fd);
}

static void probe_memory(struct probe *p) {
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *dir = runtime && *runtime ? runtime : "/dev/shm";
	struct statvfs fs;
	if (statvfs(dir, &fs)) {
		snprintf(p->value, sizeof p->value, "%s: %s", dir, strerror(errno));
		return;
	}
	u64 mib = (u64)fs.f_bavail * fs.f_bsize >> 20;
	p->good = mib >= 16 && !access(dir, W_OK);
	snprintf(p->value, sizeof p->value, "%s, %llu MiB free%s", dir, (unsigned long long)mib,
	         access(dir, W_OK) ? ", not writable" : "");
}

static void probe_kernel_bpf(struct probe *p) {
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
	p->good = fd >= 0;
	snprintf(p->value, sizeof p->value, fd >= 0 ? "granted" : "denied (%s)", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void probe_kernel_btf(struct probe *p) {
	p->good = !access("/sys/kernel/btf/vmlinux", R_OK);
	snprintf(p->value, sizeof p->value, p->good ? "readable" : "not readable: skep's own types are used");
}

static void probe_compiler(struct probe *p) {
	const char *own = getenv("SKEP_CLANG"), *path = getenv("PATH");
	char at[4096], name[32];
	if (own && *own) {
		p->good = !access(own, X_OK);
		snprintf(p->value, sizeof p->value, "%.140s", own);
		return;
	}
	for (int version = 0; version <= 20 && path; version = version ? version + 1 : 11) {
		snprintf(name, sizeof name, version ? "clang-%d" : "clang", version);
		for (const char *from = path; *from;) {
			int n = (int)strcspn(from, ":");
			snprintf(at, sizeof at, "%.*s/%s", n, from, name);
			if (!access(at, X_OK)) {
				p->good = true;
				snprintf(p->value, sizeof p->value, "%.140s", at);
				return;
			}
			from += n + (from[n] == ':');
		}
	}
	snprintf(p->value, sizeof p->value, "none found: C sources cannot be compiled");
}

static void probe_perf(struct probe *p) {
	s64 level = read_number("/proc/sys/kernel/perf_event_paranoid", 4);
	p->good = level < 3 || geteuid() == 0;
	snprintf(p->value, sizeof p->value, "perf_event_paranoid is %lld", (long long)level);
}

static bool cpu_has(const char *flag) {
	char line[8192];
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f)) {
		if (strncmp(line, "flags", 5))
			continue;
		for (char *rest = line, *word; (word = strsep(&rest, " \n"));)
			found |= !strcmp(word, flag);
		break;
	}
	if (f)
		fclose(f);
	return found;
}

static void probe_cpu(struct probe *p) {
	p->good = cpu_has("fsgsbase") && cpu_has("rdpid");
	snprintf(p->value, sizeof p->value, "%s",
			 p->good ? "x86-64 with FSGSBASE and RDPID" : "x86-64 without FSGSBASE or RDPID");
}

static const struct {
	const char *name, *what, *more;
	void (*probe)(struct probe *);
} probes[] = {
	{"launch", "system call hooks for commands that skep starts", "allow ptrace in the container's seccomp profile",
	 probe_launch},
	{"attach", "hooks for processes that already run (a later version)", "sysctl kernel.yama.ptrace_scope=0",
	 probe_yama},
	{"descriptors", "pidfd_getfd", "containers: seccomp profile", probe_pidfd},
	{"machine_code", "executable memory for compiled programs", "allow memfd_create and executable mappings",
	 probe_code},
	{"memory", "room for maps", "docker run --shm-size=1g, or XDG_RUNTIME_DIR on a larger tmpfs", probe_memory},
	{"compiler", "clang for C sources", "apt-get install clang", probe_compiler},
	{"cpu", "processor features of the hooks", "none: the slower ways are used", probe_cpu},
	{"kernel_btf", "the kernel's types", "none needed for user space", probe_kernel_btf},
	{"kernel_bpf", "the kernel's own bpf(2), for --kernel (a later version)",
	 "run as root, or with CAP_BPF and CAP_PERFMON", probe_kernel_bpf},
	{"perf_events", "the kernel's events (a later version)", "sysctl kernel.perf_event_paranoid=2", probe_perf},
};

int cmd_feature(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	if (a.words_n && strcmp(a.word[0], "probe"))
		return cli_error(cli, "skep feature", "feature has no action '%s'", a.word[0]);
	if (!cli_no_more(cli, &a, 1))
		return EXIT_CANNOT;
	struct utsname u;
	uname(&u);
	json_t *all = json_object();
	json_object_set_new(all, "kernel", json_string(u.release));
	if (!cli->json)
		printf("Linux %s, user %u\n\n", u.release, geteuid());
	for (u32 i = 0; i < ARRAY_SIZE(probes); i++) {
		struct probe p = {0};
		errno = 0;
		probes[i].probe(&p);
		if (cli->json) {
			json_t *o = json_pack("{s:b,s:s,s:s}", "granted", p.good, "value", p.value, "what", probes[i].what);
			json_object_set_new(o, "more", p.good ? json_null() : json_string(probes[i].more));
			json_object_set_new(all, probes[i].name, o);
			continue;
		}
		printf("%s%s%s %-12s %s\n", out_c(p.good ? OUT_GREEN : OUT_YELLOW), p.good ? "yes" : "no ", out_c(OUT_PLAIN),
		       probes[i].name, probes[i].what);
		if (strcmp(p.value, "yes"))
			printf("    %s%s%s\n", out_c(OUT_DIM), p.value, out_c(OUT_PLAIN));
		if (!p.good)
			printf("    more: %s\n", probes[i].more);
	}
	if (cli->json)
		out_json(json_incref(all), cli->pretty);
	json_decref(all);
	return EXIT_YES;
}
