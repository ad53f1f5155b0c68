/* Is what the verifier accepts safe? Random and mutated programs are verified; every one that is accepted runs in the
 * interpreter with the oracle (each concrete register and stack slot must lie inside an abstract state that the verifier
 * saw there), under AddressSanitizer when built so; and the running kernel is asked as well: a program that we accept and
 * it refuses for a memory-safety reason is a finding.
 *
 *   soundness [--programs N] [--seed S] [--kernel] [--hole NAME] [--verbose]
 *
 * With --hole the verifier has that defect (test build), and the machine must find it: exit 0 when it did. Without, exit 0
 * when there was no finding. One line on standard output says what was done; findings are printed with the program. */
#include "abi/uapi.h"
#include "fuzz/generate.h"
#include "isa/disasm.h"
#include "runtime/engine.h"
#include "verify/holes.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PACKET = 128, RUNS = 3, LOG = 1 << 16, MAPS_MAX = 3 };

struct fuzz {
	struct skep_engine *engine;
	struct generate_maps ours, kernels;
	bool ask_kernel, verbose, hole;
	u64 accepted, run, kernel_asked, kernel_refused, findings;
	char oracle[1024]; /* the last report */
};

static void on_log(void *owner, int level, const char *line) {
	struct fuzz *f = owner;
	if (level == 0)
		snprintf(f->oracle, sizeof f->oracle, "%s", line);
}

static s64 kernel_bpf(u32 cmd, union bpf_attr *attr) {
	long r = syscall(SYS_bpf, cmd, attr, sizeof *attr);
	return r < 0 ? -errno : r;
}

static s32 make_map(struct fuzz *f, bool kernel, u32 type, u32 key, u32 value, u32 entries) {
	union bpf_attr attr = {.map_type = type, .key_size = key, .value_size = value, .max_entries = entries};
	return (s32)(kernel ? kernel_bpf(BPF_MAP_CREATE, &attr) : skep_bpf(f->engine, BPF_MAP_CREATE, &attr, sizeof attr));
}

static void make_maps(struct fuzz *f, bool kernel, struct generate_maps *m) {
	m->array = make_map(f, kernel, BPF_MAP_TYPE_ARRAY, 4, GENERATE_VALUE, 4);
	m->hash = make_map(f, kernel, BPF_MAP_TYPE_HASH, 4, GENERATE_VALUE, 8);
	m->ringbuf = make_map(f, kernel, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
}

static void print_program(const struct bpf_insn *insns, u32 n) {
	for (u32 i = 0; i < n; i++) {
		char text[128];
		insn_text(&insns[i], n - i, DISASM_OPCODE, NULL, text, sizeof text);
		printf("  %3u: %s\n", i, text);
		i += insn_is_ldimm64(&insns[i]);
	}
}

static void finding(struct fuzz *f, u64 seed, const char *what, const char *detail, const struct bpf_insn *insns, u32 n) {
	f->findings++;
	if (f->hole && !f->verbose)
		return;
	printf("finding in program %llu: %s\n  %s\n", (unsigned long long)seed, what, detail);
	print_program(insns, n);
	fflush(stdout);
}

static s64 load(struct fuzz *f, bool kernel, const struct bpf_insn *insns, u32 n, char *log) {
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_XDP, .insn_cnt = n, .insns = (u64)(uintptr_t)insns,
	                       .license = (u64)(uintptr_t)"GPL"};
	if (log) {
		attr.log_level = 1, attr.log_size = LOG, attr.log_buf = (u64)(uintptr_t)log;
		log[0] = 0;
	}
	return kernel ? kernel_bpf(BPF_PROG_LOAD, &attr) : skep_bpf(f->engine, BPF_PROG_LOAD, &attr, sizeof attr);
}

/* The kernel's maps have other numbers. */
static void with_maps(struct bpf_insn *insns, u32 n, const struct generate_maps *from, const struct generate_maps *to) {
	for (u32 i = 0; i < n; i++)
		if (insn_is_ldimm64(&insns[i]) && insns[i].src_reg == BPF_PSEUDO_MAP_FD)
			insns[i].imm = insns[i].imm == from->array ? to->array : insns[i].imm == from->hash ? to->hash : to->ringbuf;
}

/* A refusal for a reason that has to do with memory, as opposed to limits and the like. */
static const char *memory_reason(const char *log) {
	static const char *const reasons[] = {"invalid mem access", "invalid access to packet", "offset is outside of the packet",
	    "outside of the allowed memory range", "unbounded memory access", "min value is negative", "unbounded min value",
	    "invalid access to map value", "invalid read from stack", "invalid write to stack", "invalid bpf_context access", "!read_ok",
	    "pointer arithmetic", "invalid indirect", "invalid zero-sized", "misaligned", "make_ptr", "type=", "out of bounds",
	    "Unreleased reference"};
	for (u32 i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strstr(log, reasons[i]))
			return reasons[i];
	return NULL;
}

static void ask_kernel(struct fuzz *f, u64 seed, struct bpf_insn *insns, u32 n) {
	static char log[LOG];
	with_maps(insns, n, &f->ours, &f->kernels);
	s64 fd = load(f, true, insns, n, log);
	if (fd == -EACCES || fd == -EINVAL || fd == -EPERM) {
		f->kernel_refused++;
		const char *why = memory_reason(log);
		char *end = strstr(log, "\nprocessed ");
		if (end)
			*end = 0;
		if (why)
			finding(f, seed, "we accept, the kernel refuses", log + MAX((s64)strlen(log) - 300, 0), insns, n);
		else if (f->verbose)
			printf("program %llu: the kernel refuses: %s\n", (unsigned long long)seed, log + MAX((s64)strlen(log) - 200, 0));
	}
	f->kernel_asked++;
	if (fd >= 0)
		close((int)fd);
	with_maps(insns, n, &f->kernels, &f->ours);
}

static void one(struct fuzz *f, u64 seed) {
	static struct bpf_insn insns[GENERATED_MAX];
	struct random r;
	random_seed(&r, seed);
	u32 n = generate_program(&r, &f->ours, insns);
	if (seed & 1)
		n = generate_mutate(&r, insns, n);
	s64 fd = load(f, false, insns, n, NULL);
	if (fd < 0) {
		struct engine_problem problem;
		if (f->verbose)
			printf("program %llu: %lld %s\n", (unsigned long long)seed, (long long)fd, engine_explain(f->engine, &problem) ? problem.sentence : "?");
		return;
	}
	f->accepted++;
	u64 before = f->findings;
	for (u32 i = 0; i < RUNS && f->findings == before; i++) {
		u8 packet[PACKET], out[PACKET + 512];
		for (u32 b = 0; b < PACKET; b++)
			packet[b] = random_chance(&r, 30) ? (u8)random64(&r) : random_chance(&r, 50) ? 0xff : 0;
		union bpf_attr attr = {.test = {.prog_fd = (u32)fd, .data_in = (u64)(uintptr_t)packet,
		                                .data_size_in = 14 + random_below(&r, PACKET - 14), .data_out = (u64)(uintptr_t)out,
		                                .data_size_out = sizeof out, .repeat = 1}};
		f->oracle[0] = 0;
		s64 ran = skep_bpf(f->engine, BPF_PROG_TEST_RUN, &attr, sizeof attr);
		f->run++;
		if (f->oracle[0] || ran == -EFAULT)
			finding(f, seed, "a register left its abstract state", f->oracle, insns, n);
	}
	if (f->ask_kernel && f->findings == before)
		ask_kernel(f, seed, insns, n);
	engine_close(f->engine, (int)fd);
}

static bool open_hole(const char *name) {
#ifdef SKEP_HOLES
	static const char *const names[] = {"",
#define HOLE_ROW(hole, what) #hole,
#include "verify/holes.def"
#undef HOLE_ROW
	};
	for (int i = 1; i < (int)ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return verify_hole = i, true;
#endif
	return false;
}

static int usage(void) {
	fprintf(stderr, "soundness [--programs N] [--seed S] [--kernel] [--hole NAME] [--verbose]\n");
	return 2;
}

int main(int argc, char **argv) {
	struct fuzz f = {0};
	u64 programs = 20000, seed = 1, done = 0;
	const char *hole = NULL;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--kernel"))
			f.ask_kernel = true;
		else if (!strcmp(argv[i], "--verbose"))
			f.verbose = true;
		else if (i + 1 < argc && !strcmp(argv[i], "--programs"))
			programs = strtoull(argv[++i], NULL, 0);
		else if (i + 1 < argc && !strcmp(argv[i], "--seed"))
			seed = strtoull(argv[++i], NULL, 0);
		else if (i + 1 < argc && !strcmp(argv[i], "--hole"))
			hole = argv[++i];
		else
			return usage();
	}
	f.hole = hole != NULL;
	if (hole && !open_hole(hole)) {
		fprintf(stderr, "soundness: there is no hole %s in this build\n", hole);
		return 2;
	}
	struct engine_opts opts = {.size = sizeof opts, .backing = BACKING_ANONYMOUS, .oracle = true, .log = on_log, .log_owner = &f};
	int error = engine_create(&opts, &f.engine);
	if (error) {
		fprintf(stderr, "soundness: no engine: %s\n", strerror(-error));
		return 2;
	}
	make_maps(&f, false, &f.ours);
	if (f.ask_kernel) {
		make_maps(&f, true, &f.kernels);
		if (f.kernels.array < 0) {
			fprintf(stderr, "soundness: the kernel's bpf() is not granted: %s\n", strerror(-f.kernels.array));
			return 2;
		}
	}
	for (; done < programs && !(f.hole && f.findings); done++)
		one(&f, seed + done);
	printf("%s%s%llu programs, %llu accepted, %llu runs, %llu asked of the kernel (%llu refused), %llu findings\n", hole ? hole : "",
	       hole ? ": " : "", (unsigned long long)done, (unsigned long long)f.accepted, (unsigned long long)f.run,
	       (unsigned long long)f.kernel_asked, (unsigned long long)f.kernel_refused, (unsigned long long)f.findings);
	engine_destroy(f.engine);
	return f.hole ? !f.findings : f.findings != 0;
}
