#include "common.h"
#include "abi/dataplane.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern const u8 count_start[], count_tracepoint[], count_raw[], count_regs[], count_helper[], count_map[], count_end[];

/* No engine here: nothing is reached through slots. */
struct engine_prog *engine_prog_by_id(struct skep_engine *e, u32 id) {
	(void)e, (void)id;
	return NULL;
}
struct engine_map *engine_map_by_id(struct skep_engine *e, u32 id) {
	(void)e, (void)id;
	return NULL;
}
void engine_prog_put(struct skep_engine *e, struct engine_prog *p) {
	(void)e, (void)p;
}
void engine_map_put(struct skep_engine *e, struct engine_map *m) {
	(void)e, (void)m;
}

struct counts *counts;
static struct engine_map map = {.name = "counts", .area_fd = -1};
char output[1 << 20];
struct launch_report last;
char last_error[256];

void common_make_map(void) {
	map.map.data_size = PIDS * sizeof(struct counts);
	map.token_fd = memfd_create("counts", MFD_CLOEXEC);
	if (ftruncate(map.token_fd, (off_t)map.map.data_size))
		exit(2);
	counts = mmap(NULL, map.map.data_size, PROT_READ | PROT_WRITE, MAP_SHARED, map.token_fd, 0);
	map.map.data = (u8 *)counts;
}

static void log_line(void *owner, const char *line) {
	(void)owner;
	if (getenv("SKEP_TEST_LOG"))
		fprintf(stderr, "# %s\n", line);
}

int common_run(char *const argv[], struct setup how) {
	struct xlated x = {.uses_run_task = true};
	struct reloc relocs[] = {{(u32)(count_helper - count_start), RELOC_DP, DP_helper_get_current_pid_tgid, 0},
	                         {(u32)(count_map - count_start), RELOC_MAP_VALUE, 0, 0}};
	const u8 *entry[] = {[LAUNCH_CTX_TRACEPOINT] = count_tracepoint, [LAUNCH_CTX_SYSCALL_TP] = count_tracepoint,
	                     [LAUNCH_CTX_RAW_TP] = count_raw, [LAUNCH_CTX_REGS] = count_regs};
	struct image image = {.id = 7, .xlated = &x, .code = (u8 *)count_start, .code_size = (u32)(count_end - count_start),
	                      .entry = (u32)(entry[how.ctx] - count_start), .relocs = relocs, .relocs_n = 2};
	struct engine_map *maps[] = {&map};
	struct engine_prog prog = {.image = &image, .maps = maps, .maps_n = 1, .id = 7, .name = "count"};
	struct launch_prog attached = {.prog = &prog, .point = how.point, .ctx = how.ctx, .nr = how.nr};
	struct launch_opts o = {.size = sizeof o, .argv = argv, .progs = &attached, .progs_n = 1, .log = log_line,
	                        .cache_dir = getenv("SKEP_TEST_CACHE")};
	struct launch *l;
	memset(counts, 0, map.map.data_size);
	int out = memfd_create("output", MFD_CLOEXEC), saved = dup(1);
	fflush(stdout);
	dup2(out, 1);
	int r = launch_start(NULL, &o, &l, last_error);
	dup2(saved, 1), close(saved);
	if (r) {
		close(out);
		return r;
	}
	while ((r = launch_serve(l, 1000)) > 0)
		;
	launch_report(l, &last);
	int status = launch_exit_status(l);
	launch_free(l);
	ssize_t n = pread(out, output, sizeof output - 1, 0);
	output[n < 0 ? 0 : n] = 0;
	close(out);
	return r < 0 ? r : status;
}
u64 common_counted(u32 pid, u32 nr) {
	for (u32 i = 0; i < PIDS; i++)
		if (counts[i].pid == pid)
			return counts[i].by_nr[nr];
	return 0;
}

u64 common_total(void) {
	u64 n = 0;
	for (u32 i = 0; i < PIDS; i++)
		for (u32 nr = 0; counts[i].pid && nr < NUMBERS; nr++)
			n += counts[i].by_nr[nr];
	return n;
}
