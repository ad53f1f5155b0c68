#include "judge.h"
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* == Loading == */

bool judge_has_kernel(void) {
	union bpf_attr nothing = {0};
	return syscall(SYS_bpf, BPF_MAP_CREATE, &nothing, sizeof nothing) < 0 && errno == EINVAL;
}

/* Takes capabilities away, all of those that bpf(2) asks for, and gives them back. */
static void drop(bool back) {
	static struct __user_cap_data_struct whole[2];
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct less[2];
	if (!back && syscall(SYS_capget, &head, whole))
		exit(2);
	memcpy(less, whole, sizeof less);
	less[0].effective &= ~(1u << CAP_SYS_ADMIN | 1u << CAP_NET_ADMIN);
	less[1].effective &= ~(1u << (CAP_BPF - 32) | 1u << (CAP_PERFMON - 32));
	if (syscall(SYS_capset, &head, back ? whole : less))
		exit(2);
}

s64 judge_bpf(const struct judge *j, u32 cmd, union bpf_attr *attr, u32 size) {
	bool lacks = j->unpriv && (j->maps_too || cmd == BPF_PROG_LOAD);
	struct bpf_caller caller = {.lacks = lacks ? VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN : 0};
	if (j->engine)
		return skep_bpf_for(j->engine, &caller, cmd, (u64)(uintptr_t)attr, size);
	if (lacks)
		drop(false);
	s64 r = syscall(SYS_bpf, cmd, attr, size);
	r = r < 0 ? -errno : r;
	if (lacks)
		drop(true);
	return r;
}

/* Maps whose sizes the program's own loader would set have room for one element. */
static s64 create_map(const struct judge *j, union bpf_attr *attr, u32 size) {
	union bpf_attr asked = *attr;
	s64 fd = judge_bpf(j, BPF_MAP_CREATE, attr, size);
	bool no_frames = asked.map_type == BPF_MAP_TYPE_STACK_TRACE && !asked.value_size;
	bool ring = asked.map_type == BPF_MAP_TYPE_RINGBUF || asked.map_type == BPF_MAP_TYPE_USER_RINGBUF;
	if (fd != -EINVAL || (asked.max_entries && !no_frames))
		return fd;
	asked.max_entries = MAX(asked.max_entries, ring ? 4096u : 1u);
	asked.value_size = no_frames ? 8 : asked.value_size;
	return judge_bpf(j, BPF_MAP_CREATE, &asked, size);
}

static int64_t on_command(void *owner, unsigned cmd, void *attr_, unsigned size) {
	struct judge *j = owner;
	union bpf_attr *attr = attr_;
	if (cmd == BPF_MAP_UPDATE_ELEM && j->engine) { /* slots of maps that do not run in the user engine stay empty */
		s64 r = judge_bpf(j, cmd, attr, size);
		return r == -EOPNOTSUPP ? 0 : r;
	}
	if (cmd == BPF_MAP_CREATE)
		return create_map(j, attr, MIN(size, (u32)sizeof *attr));
	if (cmd != BPF_PROG_LOAD || !j->watching)
		return judge_bpf(j, cmd, attr, size);
	if (j->asked && j->verdict < 0) /* the loader wants to see the log */
		return j->verdict;
	j->attr = (union bpf_attr){0};
	memcpy(&j->attr, attr, MIN(size, (u32)sizeof j->attr));
	j->attr.prog_flags |= j->flags;
	j->attr.log_level = j->level;
	j->attr.log_buf = (u64)(uintptr_t)j->log, j->attr.log_size = JUDGE_LOG;
	j->log[0] = 0;
	j->asked = true;
	union bpf_attr asked = j->attr;
	return j->verdict = judge_bpf(j, cmd, &asked, MIN((u32)sizeof asked, size));
}

static void on_diagnostic(void *owner, const struct skep_diagnostic *d) {
	struct judge *j = owner;
	if (!d->level)
		snprintf(j->why, sizeof j->why, "%s", d->sentence);
}

struct skep_object *judge_open(struct judge *j, const char *path) {
	struct skep_object_opts opts = {.size = sizeof opts, .bpf = on_command, .bpf_owner = j, .kconfig = j->kconfig,
	                                .diagnostic = on_diagnostic, .diagnostic_owner = j};
	struct skep_object *o;
	j->why[0] = j->log[0] = 0, j->asked = j->watching = false, j->verdict = -EINVAL;
	if (skep_object__open_file(path, &opts, &o))
		return NULL;
	for (struct skep_program *p = NULL; (p = skep_object__next_program(o, p));)
		skep_program__set_autoload(p, false);
	if (!skep_object__load(o, NULL))
		return o;
	skep_object__close(o);
	return NULL;
}

void judge_program(struct judge *j, struct skep_program *p) {
	j->why[0] = j->log[0] = 0, j->asked = false, j->verdict = -EINVAL;
	if (!skep_program__type(p)) /* tc takes programs from any section */
		skep_program__set_type(p, BPF_PROG_TYPE_SCHED_CLS, 0);
	j->watching = true;
	skep_program__load(p, NULL);
	j->watching = false;
}

bool judge_has_judged(const struct judge *j) {
	char line[16];
	last_line(j->log, line, sizeof line);
	bool looked = line[0] || (strstr(j->log, "processed ") && !strstr(j->log, "processed 0 insns"));
	return j->asked && !(j->verdict == -EPERM && !looked) && j->verdict != -EBUSY;
}

/* == Logs == */

void last_line(const char *log, char *to, u32 room) {
	static const char *const statistics[] = {"processed ", "verification time", "stack depth", "peak_states"};
	to[0] = 0;
	for (const char *line = log; *line;) {
		u32 n = (u32)strcspn(line, "\n"), skip = !n;
		for (u32 i = 0; i < ARRAY_SIZE(statistics); i++)
			skip |= !strncmp(line, statistics[i], strlen(statistics[i]));
		if (!skip)
			snprintf(to, room, "%.*s", (int)n, line);
		line += n + (line[n] != 0);
	}
}

void words_of(const struct judge *j, char *to, u32 room) {
	char line[400];
	last_line(j->log[0] ? j->log : j->why, line, sizeof line);
	snprintf(to, room, "%s: %s", j->verdict >= 0 ? "accepted" : strerror((int)-j->verdict), line);
}

void object_name(const char *path, char *to, u32 room) {
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	snprintf(to, room, "%.*s", (int)strcspn(name, "."), name);
}

/* == Known differences == */

struct known {
	char object[64], program[96], kind[16];
	bool met;
};
struct known_list {
	u32 n;
	struct known *at;
};

struct known_list *known_read(const char *path) {
	struct known_list *list = calloc(1, sizeof *list);
	FILE *f = fopen(path, "re");
	char line[512];
	struct known k;
	while (f && fgets(line, sizeof line, f)) {
		memset(&k, 0, sizeof k);
		if (line[0] == '#' || sscanf(line, "%63s %95s %15s", k.object, k.program, k.kind) != 3)
			continue;
		list->at = realloc(list->at, (list->n + 1) * sizeof k);
		list->at[list->n++] = k;
	}
	if (f)
		fclose(f);
	return list;
}
bool known_has(struct known_list *list, const char *object, const char *program, const char *kind) {
	for (u32 i = 0; list && i < list->n; i++) {
		struct known *k = &list->at[i];
		if (!strcmp(k->object, object) && !strcmp(k->program, program) && !strcmp(k->kind, kind))
			return k->met = true;
	}
	return false;
}
u32 known_left(const struct known_list *list, const char *unasked) {
	u32 left = 0;
	for (u32 i = 0; list && i < list->n; i++) {
		const struct known *k = &list->at[i];
		if (!k->met && !(unasked && strstr(k->program, unasked)))
			left++, printf("# %s %s %s: known, but it does not differ any more\n", k->object, k->program, k->kind);
	}
	return left;
}
