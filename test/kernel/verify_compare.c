/* skep's verifier beside the running kernel's, program by program: verdict, first error line, instructions processed, and
 * the whole log at level 2.
 *
 *     verify_compare [-v] [-q] [-t] [-p NAME] OBJECT.bpf.o…       objects, loaded through libbpf
 *
 * libbpf issues its system calls through syscall(), which this program defines itself: map and BTF commands pass through
 * and are watched, BPF_PROG_LOAD goes to both verifiers. -v shows the first difference of the logs, -q only the totals;
 * -t compares without logs, and times both.
 * Skips (77) where bpf() is missing. */
#include "verify_ours.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOG = 64 << 20, FDS = 4096 };
static bool verbose, quiet, timing;
static const char *only, *object_name, *prog_name;
static int done; /* errno of the refusal: libbpf tries again with a log */
static char *kernel_log, *our_log;
static struct {
	unsigned same, verdicts, messages, total, accept_more, accept_less, not_yet, processed_same, both_ok;
	unsigned long long kernel_insns, our_insns;
	unsigned long long our_ns, kernel_ns;
} sum;

static unsigned long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000 + (unsigned long long)t.tv_nsec;
}

static long real_bpf(int cmd, void *attr, unsigned size) {
	static long (*real)(long, ...);
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(__NR_bpf, cmd, attr, size);
}

/* == BTF blobs by descriptor, read back from the kernel == */

static void *blob_of_fd(int fd, unsigned *size) {
	struct bpf_btf_info info = {0};
	unsigned len = sizeof info;
	void *data;
	if (fd <= 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return NULL;
	data = malloc(info.btf_size);
	*size = info.btf_size;
	memset(&info, 0, sizeof info);
	info.btf = (unsigned long)data;
	info.btf_size = *size;
	len = sizeof info;
	return bpf_obj_get_info_by_fd(fd, &info, &len) ? NULL : data;
}

static int read_value(int fd, unsigned off, void *to, unsigned size, unsigned value_size) {
	char *value = calloc(1, value_size + 8);
	unsigned key = 0;
	int r = bpf_map_lookup_elem(fd, &key, value);
	if (!r)
		memcpy(to, value + off, size);
	free(value);
	return r ? -EINVAL : 0;
}

static struct { int outer, inner; } inners[FDS];
static unsigned inners_n;
static bool frozen[FDS];

static bool fill_map(struct ours_map *m, int fd) {
	struct bpf_map_info info = {0};
	unsigned len = sizeof info;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || len < offsetof(struct bpf_map_info, map_extra))
		return false;
	*m = (struct ours_map){.fd = fd, .id = info.id, .type = info.type, .key_size = info.key_size, .value_size = info.value_size,
	                       .max_entries = info.max_entries, .flags = info.map_flags, .value_type_id = info.btf_value_type_id,
	                       .frozen = fd < FDS && frozen[fd]};
	memcpy(m->name, info.name, sizeof m->name);
	if (info.btf_id) {
		int btf = bpf_btf_get_fd_by_id(info.btf_id);
		m->btf = blob_of_fd(btf, &m->btf_size);
		close(btf);
	}
	for (unsigned i = 0; i < inners_n; i++)
		if (inners[i].outer == fd) {
			m->inner = calloc(1, sizeof *m->inner);
			if (!fill_map(m->inner, inners[i].inner))
				m->inner = NULL;
		}
	return true;
}

static unsigned gather_maps(const struct bpf_insn *insns, unsigned n, const int *fds, struct ours_map *maps) {
	unsigned maps_n = 0;
	for (unsigned i = 0; i + 1 < n; i++) {
		int fd = insns[i].imm;
		bool seen = false;
		if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		if (insns[i].src_reg == BPF_PSEUDO_MAP_IDX || insns[i].src_reg == BPF_PSEUDO_MAP_IDX_VALUE)
			fd = fds ? fds[insns[i].imm] : -1;
		else if (insns[i].src_reg != BPF_PSEUDO_MAP_FD && insns[i].src_reg != BPF_PSEUDO_MAP_VALUE)
			continue;
		for (unsigned k = 0; k < maps_n; k++)
			seen |= maps[k].fd == fd;
		if (!seen && maps_n < 128 && fill_map(&maps[maps_n], fd))
			maps_n++;
		i++;
	}
	return maps_n;
}

/* == Logs == */

/* "(0) frame 0 insn 10 +live -8": how the kernel's stack liveness grows; ours grows in another order. */
static bool is_liveness(const char *line, const char *end) {
	const char *p = memmem(line, (size_t)(end - line), ") frame ", 8);
	return *line == '(' && ((p && memmem(p, (size_t)(end - p), " insn ", 6)) || memmem(line, (size_t)(end - line), "live stack update", 17));
}

/* The next line, with what differs by nature made equal. */
static char *next_line(char **at, char *to, unsigned size) {
	char *line, *end, *p;
	for (;;) {
		line = *at;
		if (!*line)
			return NULL;
		end = strchrnul(line, '\n');
		*at = *end ? end + 1 : end;
		if (!strncmp(line, "verification time", 17) || !strncmp(line, "stack depth", 11) || is_liveness(line, end))
			continue;
		break;
	}
	snprintf(to, size, "%.*s", (int)(end - line), line);
	p = strstr(to, "(18) r");
	if (p && (p = strstr(p, " = ")))
		strcpy(p, " = …");
	for (p = to + strlen(to); p > to && isspace((unsigned char)p[-1]);)
		*--p = 0;
	return to;
}

static bool compare_logs(bool print) {
	char *k = kernel_log, *o = our_log, kl[8192], ol[8192], before[3][8192] = {"", "", ""};
	unsigned n = 0;
	for (;;) {
		char *a = next_line(&k, kl, sizeof kl), *b = next_line(&o, ol, sizeof ol);
		n++;
		if (!a && !b)
			return true;
		if (a && b && !strcmp(a, b)) {
			strcpy(before[0], before[1]);
			strcpy(before[1], before[2]);
			strcpy(before[2], a);
			continue;
		}
		if (print) {
			printf("    log differs at line %u, after\n", n);
			for (int i = 0; i < 3; i++)
				printf("      | %s\n", before[i]);
			printf("      kernel: %s\n      skep:   %s\n", a ? a : "(end)", b ? b : "(end)");
		}
		return false;
	}
}

/* The line with the reason: the last before the statistics, or the first of its group. */
static bool has_line(const char *log, const char *line) {
	size_t n = strlen(line);
	if (!n)
		return true;
	for (const char *p = log; (p = strstr(p, line)); p += n)
		if ((p == log || p[-1] == '\n') && (p[n] == '\n' || !p[n]))
			return true;
	return false;
}

static void last_lines(const char *log, char *to, unsigned size) {
	const char *stats = strstr(log, "processed "), *p = stats ? stats : log + strlen(log), *from = p;
	for (const char *q; (q = stats ? strstr(stats + 1, "\nprocessed ") : NULL); stats = q + 1)
		from = q + 1;
	for (int i = 0; i < 3 && from > log; i++)
		for (from--; from > log && from[-1] != '\n'; from--)
			;
	snprintf(to, size, "%.*s", (int)(p - from), from);
}

static int verify_both(union bpf_attr *attr, unsigned size) {
	static struct ours_map maps[128];
	union bpf_attr a = *attr;
	struct ours_result r;
	struct ours_prog p = {.insns = (void *)(unsigned long)a.insns, .insns_n = a.insn_cnt, .type = a.prog_type,
	                      .attach_type = a.expected_attach_type, .flags = a.prog_flags, .attach_btf_id = a.attach_btf_id,
	                      .license = (void *)(unsigned long)a.license, .func_info = (void *)(unsigned long)a.func_info,
	                      .func_info_n = a.func_info_cnt, .func_info_size = a.func_info_rec_size,
	                      .line_info = (void *)(unsigned long)a.line_info, .line_info_n = a.line_info_cnt,
	                      .line_info_size = a.line_info_rec_size, .fd_array = (void *)(unsigned long)a.fd_array,
	                      .log_level = 2, .kernel_types = 1, .read_value = read_value};
	unsigned long long t;
	int fd, error;
	bool same_log, same_message;
	unsigned long long kernel_insns = 0;
	char *stats, lines[1024];
	if (a.prog_btf_fd)
		p.btf = blob_of_fd(a.prog_btf_fd, &p.btf_size);
	p.maps = maps;
	p.maps_n = gather_maps(p.insns, p.insns_n, p.fd_array, maps);
	p.log_level = a.log_level = timing ? 4 : 2;
	a.log_buf = (unsigned long)kernel_log;
	a.log_size = LOG;
	*kernel_log = *our_log = 0;
	t = now();
	fd = (int)real_bpf(BPF_PROG_LOAD, &a, size);
	error = fd < 0 ? -errno : 0;
	t = now() - t;
	ours_verify(&p, our_log, LOG, &r);
	if (error == -EPERM && !*kernel_log) { /* this machine refuses the type as such */
		errno = EPERM;
		return -1;
	}
	sum.total++;
	if (strstr(kernel_log, "verification time ")) /* without the JIT and the rest of loading */
		t = strtoull(strstr(kernel_log, "verification time ") + 18, NULL, 10) * 1000;
	stats = strstr(kernel_log, "processed ");
	for (char *q = stats; q && (q = strstr(q + 1, "\nprocessed "));)
		stats = q + 1;
	if (stats)
		sscanf(stats, "processed %llu", &kernel_insns);
	same_log = compare_logs(false);
	same_message = !error || timing || has_line(kernel_log, r.message);
	sum.verdicts += !error == !r.error;
	sum.messages += !error == !r.error && same_message;
	sum.same += same_log;
	sum.accept_more += error && !r.error;
	sum.accept_less += !error && r.error;
	sum.not_yet += r.error == -EOPNOTSUPP;
	if (!error && !r.error) {
		sum.both_ok++;
		sum.processed_same += kernel_insns == r.processed;
		sum.kernel_insns += kernel_insns;
		sum.our_insns += r.processed;
		sum.our_ns += r.ns;
		sum.kernel_ns += t;
		if (timing && !quiet)
			printf("%8llu insns %8llu states: kernel %9.3f ms %7.3f us/insn, skep %9.3f ms %7.3f us/insn, ratio %5.2f  %s/%s%s\n", r.processed,
			       r.states, (double)t / 1e6, (double)t / 1e3 / (double)kernel_insns, (double)r.ns / 1e6,
			       (double)r.ns / 1e3 / (double)r.processed, (double)r.ns / (double)t, object_name, prog_name,
			       kernel_insns == r.processed ? "" : " *");
	}
	if (!quiet && ((!same_log && !timing) || !error != !r.error)) {
		last_lines(kernel_log, lines, sizeof lines);
		printf("%s %s/%s: kernel %d (%llu insns), skep %d (%llu insns)%s\n",
		       !error != !r.error ? (error ? "MORE" : r.error == -EOPNOTSUPP ? "NOTYET" : "LESS") : same_message ? "log" : "MESSAGE",
		       object_name, prog_name, error, kernel_insns, r.error, r.processed, kernel_insns == r.processed ? "" : " *");
		if (error && (!same_message || !r.error))
			printf("    kernel says: %s", lines);
		if (r.error)
			printf("    skep says: SK%04u %s\n      %s\n", r.code, r.message, r.sentence);
		if (verbose && !same_log)
			compare_logs(true);
	}
	errno = -error;
	return fd;
}

long syscall(long nr, ...) {
	long a[6];
	va_list args;
	static long (*real)(long, ...);
	va_start(args, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (nr == __NR_bpf && a[0] == BPF_PROG_LOAD) {
		union bpf_attr attr = {0};
		memcpy(&attr, (void *)a[1], (size_t)a[2] < sizeof attr ? (size_t)a[2] : sizeof attr);
		if (done && prog_name) {
			errno = done;
			return -1;
		}
		if (prog_name && (!only || !strcmp(only, attr.prog_name)) && attr.insn_cnt > 2) {
			long fd = verify_both(&attr, (unsigned)a[2]);
			done = fd < 0 ? errno : 0;
			return fd;
		}
	}
	if (nr == __NR_bpf && a[0] == BPF_MAP_CREATE) {
		long fd = real(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		int inner = ((union bpf_attr *)a[1])->inner_map_fd;
		if (fd >= 0 && inner && inners_n < FDS) {
			int keep = dup(inner);
			inners[inners_n].outer = (int)fd;
			inners[inners_n++].inner = keep;
		}
		if (fd >= 0 && fd < FDS)
			frozen[fd] = false;
		return fd;
	}
	if (nr == __NR_bpf && a[0] == BPF_MAP_FREEZE) {
		int fd = ((union bpf_attr *)a[1])->map_fd;
		if (fd >= 0 && fd < FDS)
			frozen[fd] = true;
	}
	return real(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int quiet_print(enum libbpf_print_level level, const char *fmt, va_list args) {
	return 0;
}

/* Each program by itself, so that one refusal does not hide the others. */
static void compare_object(const char *path) {
	struct bpf_object *o;
	struct bpf_program *p, *q;
	char names[512][64];
	unsigned n = 0;
	object_name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	o = bpf_object__open_file(path, NULL);
	if (!o) {
		if (!quiet)
			printf("cannot open %s\n", path);
		return;
	}
	bpf_object__for_each_program(p, o)
		if (n < 512)
			snprintf(names[n++], 64, "%s", bpf_program__name(p));
	bpf_object__close(o);
	for (unsigned i = 0; i < n; i++) {
		if (only && strncmp(names[i], only, 15))
			continue;
		o = bpf_object__open_file(path, NULL);
		inners_n = 0;
		bpf_object__for_each_program(q, o) {
			bpf_program__set_autoload(q, !strcmp(bpf_program__name(q), names[i]));
		}
		prog_name = names[i];
		done = 0;
		bpf_object__load(o);
		prog_name = NULL;
		bpf_object__close(o);
	}
}

/* Exit: 1 when skep accepts what the kernel refuses. */
int main(int argc, char **argv) {
	int c;
	while ((c = getopt(argc, argv, "vqtp:")) != -1) {
		verbose |= c == 'v';
		quiet |= c == 'q';
		timing |= c == 't';
		only = c == 'p' ? optarg : only;
	}
	kernel_log = malloc(LOG);
	our_log = malloc(LOG);
	libbpf_set_print(quiet_print);
	if (bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "probe", "GPL",
	                  (struct bpf_insn[]){{.code = 0xb7}, {.code = 0x95}}, 2, NULL) < 0) {
		printf("1..0 # SKIP bpf() cannot be used here: %s\n", strerror(errno));
		return 77;
	}
	for (int i = optind; i < argc; i++)
		compare_object(argv[i]);
	printf("%u programs: %u same verdict, %u same verdict and message, %u same log\n"
	       "  kernel refuses, skep accepts: %u; kernel accepts, skep refuses: %u; not supported yet: %u\n"
	       "  accepted by both: %u, as many instructions processed in %u (%llu / %llu); skep %.3f us per instruction, kernel %.3f\n",
	       sum.total, sum.verdicts, sum.messages, sum.same, sum.accept_more, sum.accept_less, sum.not_yet, sum.both_ok,
	       sum.processed_same, sum.our_insns, sum.kernel_insns, sum.our_insns ? (double)sum.our_ns / 1000 / (double)sum.our_insns : 0,
	       sum.kernel_insns ? (double)sum.kernel_ns / 1000 / (double)sum.kernel_insns : 0);
	return sum.accept_more != 0;
}
