/* A command's way in: its attributes, the caller's memory, and the sentence when it fails.
 *
 *     skep_bpf ──► size, zero tail, copy ──► cmds.def: bytes beyond the command's last field ──► commands[cmd]
 *                    -E2BIG                    -EINVAL                                            │
 *     engine_explain ◄── the sentence, kept by thread ◄───────────────── explain() ◄── errno ──────┘
 *
 * A command never follows a pointer of its attributes itself: call_read and call_write do, because the caller may be
 * another process. Errors are the kernel's; where the user engine refuses what the kernel would do the errno is
 * -EOPNOTSUPP (or -ENOTSUPP where the kernel says that too) and a sentence says why. */
#include "runtime/state.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Pointers of this process are followed as in any library call: a wrong one is the caller's crash. Only those that can
 * not be meant (the first page, kernel addresses, ranges that wrap) give the kernel's -EFAULT. */
static bool plausible(u64 at, u64 bytes) {
	return at >= 4096 && at < 1ull << 47 && bytes <= (1ull << 47) - at;
}
int call_read(const struct call *c, void *to, u64 from, u64 bytes) {
	if (!bytes)
		return 0;
	if (!plausible(from, bytes))
		return -EFAULT;
	if (c->caller && c->caller->read)
		return c->caller->read(c->caller->owner, to, from, bytes) ? -EFAULT : 0;
	memcpy(to, (const void *)(uintptr_t)from, bytes);
	return 0;
}
/* For places that the program and not the caller chooses (an index into fd_array): through the system, which knows what
 * is mapped. Where a filter forbids that the address is followed. */
int call_read_checked(const struct call *c, void *to, u64 from, u64 bytes) {
	if (!plausible(from, bytes))
		return -EFAULT;
	if (c->caller && c->caller->read)
		return call_read(c, to, from, bytes);
	struct iovec mine = {to, bytes}, theirs = {(void *)(uintptr_t)from, bytes};
	ssize_t n = process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0);
	if (n < 0 && (errno == ENOSYS || errno == EPERM))
		return call_read(c, to, from, bytes);
	return n == (ssize_t)bytes ? 0 : -EFAULT;
}
int call_write(const struct call *c, u64 to, const void *from, u64 bytes) {
	if (!bytes)
		return 0;
	if (!plausible(to, bytes))
		return -EFAULT;
	if (c->caller && c->caller->write)
		return c->caller->write(c->caller->owner, to, from, bytes) ? -EFAULT : 0;
	memcpy((void *)(uintptr_t)to, from, bytes);
	return 0;
}

int call_read_string(const struct call *c, char *to, u32 size, u64 from) {
	ASSERT(size);
	u32 n = 0;
	/* Page by page: the string may end just before a page that is not there. */
	while (n < size - 1) {
		u32 piece = MIN((u32)(4096 - ((from + n) & 4095)), size - 1 - n);
		if (!c->caller || !c->caller->read)
			piece = 1;
		int err = call_read(c, to + n, from + n, piece);
		if (err)
			return err;
		char *end = memchr(to + n, 0, piece);
		if (end)
			return (int)(end - to);
		n += piece;
	}
	to[n] = 0;
	return (int)n;
}

int call_tail_zero(const struct call *c, u64 at, u32 known, u32 given) {
	if (given > 4096)
		return -E2BIG;
	for (u32 i = known; i < given;) {
		u8 piece[256];
		u32 n = MIN((u32)sizeof piece, given - i);
		int err = call_read(c, piece, at + i, n);
		if (err)
			return err;
		for (u32 j = 0; j < n; j++)
			if (piece[j])
				return -E2BIG;
		i += n;
	}
	return 0;
}

int explain(struct call *c, int error, const char *fmt, ...) {
	va_list args;
	va_start(args, fmt);
	vsnprintf(c->problem.sentence, sizeof c->problem.sentence, fmt, args);
	va_end(args);
	c->problem.suggestion[0] = 0;
	c->problem.code = 0;
	c->explained = true;
	return error;
}
int explain_full(struct call *c, u64 bytes) {
	const struct store *s = &c->e->store;
	int err = explain(c, -ENOMEM, "%s is full: %llu KiB are needed and %llu KiB are free", s->path,
					  (unsigned long long)(bytes + 1023) / 1024, (unsigned long long)store_free_bytes(s) / 1024);
	explain_suggestion(c, 0, "free some there, or set XDG_RUNTIME_DIR to a private directory on a larger tmpfs");
	return err;
}
void explain_suggestion(struct call *c, u32 code, const char *fmt, ...) {
	ASSERT(c->explained);
	va_list args;
	va_start(args, fmt);
	vsnprintf(c->problem.suggestion, sizeof c->problem.suggestion, fmt, args);
	va_end(args);
	c->problem.code = code;
}

/* Problems are kept by thread, in a few slots: the sentence is asked for at once or never. */
static void keep_problem(struct call *c, int error) {
	struct skep_engine *e = c->e;
	u32 tid = (u32)syscall(SYS_gettid), slot = PROBLEMS;
	pthread_mutex_lock(&e->problem_mutex);
	for (u32 i = 0; i < PROBLEMS; i++)
		if (e->problems[i].tid == tid)
			slot = i;
	if (slot == PROBLEMS && c->explained)
		slot = e->problem_next++ % PROBLEMS;
	if (slot < PROBLEMS) {
		e->problems[slot].tid = c->explained ? tid : 0;
		c->problem.error = error;
		if (c->explained)
			e->problems[slot].problem = c->problem;
	}
	pthread_mutex_unlock(&e->problem_mutex);
}
bool engine_explain(struct skep_engine *e, struct engine_problem *out) {
	u32 tid = (u32)syscall(SYS_gettid);
	bool found = false;
	pthread_mutex_lock(&e->problem_mutex);
	for (u32 i = 0; i < PROBLEMS; i++)
		if (e->problems[i].tid == tid)
			*out = e->problems[i].problem, found = true;
	pthread_mutex_unlock(&e->problem_mutex);
	return found;
}

void engine_log(struct skep_engine *e, int level, const char *fmt, ...) {
	if (!e->opts.log)
		return;
	char line[640];
	va_list args;
	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	e->opts.log(e->opts.log_owner, level, line);
}

int name_copy(char to[16], const char from[16]) {
	memset(to, 0, 16);
	u32 i = 0;
	for (; i < 16 && from[i]; i++) {
		char ch = from[i];
		if (!(ch >= '0' && ch <= '9') && !((ch | 32) >= 'a' && (ch | 32) <= 'z') && ch != '_' && ch != '.')
			return -EINVAL;
		to[i] = ch;
	}
	return i == 16 ? -EINVAL : 0;
}

/* What is known of the commands but not carried out in this engine. */
static s64 refuse(struct call *c, const struct abi_cmd *cmd) {
	bool kernel = false;
	const char *why = abi_refusal(cmd->engine, &kernel);
	explain(c, -EOPNOTSUPP, "%s is not available in the user engine: %s", cmd->name, why ? why : "not implemented yet");
	if (kernel)
		explain_suggestion(c, 0, "use the kernel's engine: --kernel");
	return -EOPNOTSUPP;
}

static command *const commands[__MAX_BPF_CMD] = {
	[BPF_MAP_CREATE] = cmd_map_create,
	[BPF_MAP_LOOKUP_ELEM] = cmd_map_lookup_elem,
	[BPF_MAP_UPDATE_ELEM] = cmd_map_update_elem,
	[BPF_MAP_DELETE_ELEM] = cmd_map_delete_elem,
	[BPF_MAP_GET_NEXT_KEY] = cmd_map_get_next_key,
	[BPF_MAP_LOOKUP_AND_DELETE_ELEM] = cmd_map_lookup_and_delete_elem,
	[BPF_MAP_FREEZE] = cmd_map_freeze,
	[BPF_MAP_LOOKUP_BATCH] = cmd_map_batch,
	[BPF_MAP_LOOKUP_AND_DELETE_BATCH] = cmd_map_batch,
	[BPF_MAP_UPDATE_BATCH] = cmd_map_batch,
	[BPF_MAP_DELETE_BATCH] = cmd_map_batch,
	[BPF_PROG_LOAD] = cmd_prog_load,
	[BPF_PROG_TEST_RUN] = cmd_prog_test_run,
	[BPF_PROG_BIND_MAP] = cmd_prog_bind_map,
	[BPF_ENABLE_STATS] = cmd_enable_stats,
	[BPF_OBJ_PIN] = cmd_obj_pin,
	[BPF_OBJ_GET] = cmd_obj_get,
	[BPF_OBJ_GET_INFO_BY_FD] = cmd_obj_get_info_by_fd,
	[BPF_BTF_LOAD] = cmd_btf_load,
	[BPF_PROG_GET_NEXT_ID] = cmd_prog_get_next_id,
	[BPF_MAP_GET_NEXT_ID] = cmd_map_get_next_id,
	[BPF_BTF_GET_NEXT_ID] = cmd_btf_get_next_id,
	[BPF_LINK_GET_NEXT_ID] = cmd_link_get_next_id,
	[BPF_PROG_GET_FD_BY_ID] = cmd_prog_get_fd_by_id,
	[BPF_MAP_GET_FD_BY_ID] = cmd_map_get_fd_by_id,
	[BPF_BTF_GET_FD_BY_ID] = cmd_btf_get_fd_by_id,
	[BPF_LINK_GET_FD_BY_ID] = cmd_link_get_fd_by_id,
	[BPF_LINK_CREATE] = cmd_link_create,
	[BPF_LINK_UPDATE] = cmd_link_update,
	[BPF_LINK_DETACH] = cmd_link_detach,
	[BPF_RAW_TRACEPOINT_OPEN] = cmd_raw_tracepoint_open,
};

s64 skep_bpf_for(struct skep_engine *e, const struct bpf_caller *caller, u32 cmd, u64 attr, u32 size) {
	struct call c;
	c.e = e, c.caller = caller, c.uattr = attr, c.size = size, c.explained = false;
	c.caps = e->opts.untrusted ? 0 : e->opts.caps & ~(caller ? caller->lacks : 0);
	memset(&c.attr, 0, sizeof c.attr);
	s64 result = call_tail_zero(&c, attr, sizeof c.attr, size);
	c.size = MIN(size, (u32)sizeof c.attr);
	if (!result)
		result = call_read(&c, &c.attr, attr, c.size);
	if (!result) {
		const struct abi_cmd *row = abi_cmd(e->abi, cmd);
		if (!row)
			result = -EINVAL;
		for (u32 i = row ? row->end : sizeof c.attr; i < sizeof c.attr && !result; i++)
			if (((u8 *)&c.attr)[i])
				result = -EINVAL;
		if (!result)
			result = commands[cmd] ? commands[cmd](&c) : refuse(&c, row);
	}
	if (result < 0)
		keep_problem(&c, (int)result);
	return result;
}

s64 skep_bpf(struct skep_engine *e, u32 cmd, void *attr, u32 size) {
	return skep_bpf_for(e, NULL, cmd, (uintptr_t)attr, size);
}
