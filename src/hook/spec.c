#include "hook/spec.h"
#include <stdio.h>
#include <string.h>

static bool after(const char *s, const char *prefix, const char **rest) {
	size_t n = strlen(prefix);
	if (strncmp(s, prefix, n))
		return false;
	*rest = s + n;
	return true;
}

/* Letters that two names share at both ends: enough to find the one that was meant. */
static u32 likeness(const char *a, const char *b) {
	u32 n = 0, m = 0, la = (u32)strlen(a), lb = (u32)strlen(b);
	while (a[n] && a[n] == b[n])
		n++;
	while (m + n < la && m + n < lb && a[la - 1 - m] == b[lb - 1 - m])
		m++;
	return (n + m) * 2 >= MAX(la, lb) ? (n + m) * 4 - MAX(la, lb) : 0;
}

static enum spec_answer no_such_call(const char *name, char error[SPEC_ERROR]) {
	const char *best = NULL;
	u32 most = 0;
	for (u32 nr = 0; nr < abi_syscalls(); nr++) {
		const struct abi_syscall *s = abi_syscall(nr);
		u32 l = s ? likeness(name, s->name) : 0;
		if (l > most)
			most = l, best = s->name;
	}
	snprintf(error, SPEC_ERROR, "there is no system call '%s' on x86-64%s%s%s", name, best ? "; did you mean " : "",
	         best ? best : "", best ? "?" : "");
	return SPEC_UNKNOWN;
}

static enum launch_ctx ctx_of(u32 prog_type) {
	switch (prog_type) {
	case BPF_PROG_TYPE_TRACEPOINT:
		return LAUNCH_CTX_SYSCALL_TP;
	case BPF_PROG_TYPE_RAW_TRACEPOINT:
	case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
	case BPF_PROG_TYPE_TRACING:
		return LAUNCH_CTX_RAW_TP;
	default:
		return LAUNCH_CTX_REGS;
	}
}

enum spec_answer spec_from_syscall(const struct skep_abi *abi, const char *name, u32 prog_type, bool exit,
                                   struct launch_prog *out, char error[SPEC_ERROR]) {
	out->point = exit ? LAUNCH_EXIT : LAUNCH_ENTER;
	out->ctx = ctx_of(prog_type);
	out->nr = -1;
	const struct abi_prog_type *t = abi_prog_type(abi, prog_type);
	if (prog_type != BPF_PROG_TYPE_KPROBE && prog_type != BPF_PROG_TYPE_TRACEPOINT &&
	    prog_type != BPF_PROG_TYPE_RAW_TRACEPOINT && prog_type != BPF_PROG_TYPE_TRACING) {
		snprintf(error, SPEC_ERROR, "a program of type %s cannot be attached to a system call", t ? t->name : "unknown");
		return SPEC_REFUSED;
	}
	if (!strcmp(name, "all"))
		return SPEC_OK;
	const struct abi_syscall *s = abi_syscall_by_name(name);
	if (!s)
		return no_such_call(name, error);
	out->nr = (s32)s->nr;
	return SPEC_OK;
}

/* tracepoint/syscalls/sys_enter_X, tracepoint/raw_syscalls/sys_enter */
static enum spec_answer from_tracepoint(const struct skep_abi *abi, const char *event, struct launch_prog *out,
                                        char error[SPEC_ERROR]) {
	const char *rest;
	bool leave = strstr(event, "/sys_exit") != NULL;
	if (!strcmp(event, "raw_syscalls/sys_enter") || !strcmp(event, "raw_syscalls/sys_exit")) {
		*out = (struct launch_prog){.point = leave ? LAUNCH_EXIT : LAUNCH_ENTER, .ctx = LAUNCH_CTX_TRACEPOINT, .nr = -1};
		return SPEC_OK;
	}
	if (after(event, "syscalls/sys_enter_", &rest) || after(event, "syscalls/sys_exit_", &rest))
		return spec_from_syscall(abi, rest, BPF_PROG_TYPE_TRACEPOINT, leave, out, error);
	snprintf(error, SPEC_ERROR,
	         "the tracepoint %s is the kernel's; in user space there are syscalls/sys_enter_* and sys_exit_* and "
	         "raw_syscalls/sys_enter and sys_exit",
	         event);
	return SPEC_REFUSED;
}

static enum spec_answer from_raw(const char *event, struct launch_prog *out, char error[SPEC_ERROR]) {
	bool enter = !strcmp(event, "sys_enter");
	if (!enter && strcmp(event, "sys_exit")) {
		snprintf(error, SPEC_ERROR, "the raw tracepoint %s is the kernel's; in user space there are sys_enter and sys_exit",
		         event);
		return SPEC_REFUSED;
	}
	*out = (struct launch_prog){.point = enter ? LAUNCH_ENTER : LAUNCH_EXIT, .ctx = LAUNCH_CTX_RAW_TP, .nr = -1};
	return SPEC_OK;
}

static enum spec_answer from_kprobe(const struct skep_abi *abi, const char *function, bool leave, struct launch_prog *out,
                                    char error[SPEC_ERROR]) {
	const char *rest;
	if (after(function, "__x64_sys_", &rest) || after(function, "sys_", &rest) || after(function, "__se_sys_", &rest) ||
	    after(function, "__do_sys_", &rest))
		return spec_from_syscall(abi, rest, BPF_PROG_TYPE_KPROBE, leave, out, error);
	snprintf(error, SPEC_ERROR,
	         "%s is a function of the kernel; in user space kprobes reach the system calls: __x64_sys_openat and so on",
	         function);
	return SPEC_REFUSED;
}

enum spec_answer spec_from_section(const struct skep_abi *abi, const char *section, u32 prog_type, struct launch_prog *out,
                                   char error[SPEC_ERROR]) {
	const char *rest;
	*out = (struct launch_prog){.nr = -1};
	error[0] = 0;
	if (*section == '?')
		section++;
	if (after(section, "tracepoint/", &rest) || after(section, "tp/", &rest))
		return from_tracepoint(abi, rest, out, error);
	if (after(section, "raw_tracepoint/", &rest) || after(section, "raw_tp/", &rest) || after(section, "tp_btf/", &rest))
		return from_raw(rest, out, error);
	if (after(section, "ksyscall/", &rest) || after(section, "kretsyscall/", &rest))
		return spec_from_syscall(abi, rest, BPF_PROG_TYPE_KPROBE, section[1] == 'r', out, error);
	if (after(section, "kprobe/", &rest) || after(section, "kretprobe/", &rest))
		return from_kprobe(abi, rest, section[1] == 'r', out, error);
	if (!*section || !strchr(section, '/')) {
		switch (prog_type) {
		case BPF_PROG_TYPE_KPROBE:
		case BPF_PROG_TYPE_TRACEPOINT:
		case BPF_PROG_TYPE_RAW_TRACEPOINT:
			return SPEC_BY_HAND;
		}
	}
	snprintf(error, SPEC_ERROR, "the hook of section \"%s\" does not exist in the user engine%s", section,
			 prog_type == BPF_PROG_TYPE_XDP || prog_type == BPF_PROG_TYPE_SCHED_CLS ||
					 prog_type == BPF_PROG_TYPE_SOCKET_FILTER
				 ? "; run it over packets: skep test OBJECT --pcap FILE"
				 : "");
	return SPEC_REFUSED;
}
