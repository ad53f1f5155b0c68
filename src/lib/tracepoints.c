/* The records of system call tracepoints as C structures, for TRACEPOINT_PROBE of the BCC dialect: eight bytes that
 * belong to the kernel, the number, then eight bytes for each argument. */
#include "abi/abi.h"
#include "lib/compile.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct out {
	struct arena *arena;
	VEC(char) s;
	bool failed;
};
static void add(struct out *o, const char *fmt, ...) PRINTF(2, 3);
static void add(struct out *o, const char *fmt, ...) {
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof text || !vec_reserve(&o->s, (u32)n + 1)) {
		o->failed = true;
		return;
	}
	memcpy(o->s.at + o->s.n, text, (size_t)n + 1);
	o->s.n += (u32)n;
}

/* An argument in its slot, with a type that needs no declaration. Numbers keep their width: the upper half of the
 * register may be anything. */
static void add_argument(struct out *o, const char *type, const char *name) {
	bool is_pointer = strchr(type, '*');
	if (is_pointer) {
		bool known = strstr(type, "char") || (strstr(type, "struct ") && !strchr(strchr(type, '*') + 1, '*'));
		add(o, "\t%s%s;\n", known ? type : "const void *", name);
		return;
	}
	static const char *const narrow[] = {"int",   "unsigned int", "unsigned", "pid_t",        "uid_t",   "gid_t",
					     "qid_t", "key_t",        "mqd_t",    "clockid_t",    "timer_t", "u32",
					     "s32",   "__u32",        "__s32",    "key_serial_t", "rwf_t"};
	static const char *const is_signed[] = {"int",   "pid_t",        "clockid_t", "timer_t", "s32",
						"__s32", "key_serial_t", "mqd_t",     "rwf_t",   "key_t"};
	bool four = false, sign = false;
	for (u32 i = 0; i < ARRAY_SIZE(narrow); i++)
		four |= !strcmp(type, narrow[i]);
	for (u32 i = 0; i < ARRAY_SIZE(is_signed); i++)
		sign |= !strcmp(type, is_signed[i]);
	if (four)
		add(o, "\t%s %s;\n\tint: 32;\n", sign ? "int" : "unsigned int", name);
	else if (!strcmp(type, "umode_t"))
		add(o, "\tunsigned short %s;\n\tshort: 16;\n\tint: 32;\n", name);
	else
		add(o, "\t%s %s;\n",
		    !strcmp(type, "long") || !strcmp(type, "loff_t") || !strcmp(type, "off_t") ? "long"
											       : "unsigned long",
		    name);
}

static void begin(struct out *o, const char *category, const char *event, const char *name) {
	add(o, "struct tracepoint__%s__%s%s {\n\tunsigned long __do_not_use__;\n", category, event, name);
}

char *compile_tracepoints(struct arena *arena) {
	struct out o = {.arena = arena};
	begin(&o, "raw_syscalls", "sys_enter", "");
	add(&o, "\tlong id;\n\tunsigned long args[6];\n};\n");
	begin(&o, "raw_syscalls", "sys_exit", "");
	add(&o, "\tlong id;\n\tlong ret;\n};\n");
	for (u32 nr = 0; nr < abi_syscalls(); nr++) {
		const struct abi_syscall *s = abi_syscall(nr);
		if (!s)
			continue;
		begin(&o, "syscalls", "sys_enter_", s->name);
		add(&o, "\tint __syscall_nr;\n\tint: 32;\n");
		for (u32 i = 0; i < s->args; i++)
			add_argument(&o, s->arg[i].type, s->arg[i].name);
		add(&o, "};\n");
		begin(&o, "syscalls", "sys_exit_", s->name);
		add(&o, "\tint __syscall_nr;\n\tint: 32;\n\tlong ret;\n};\n");
	}
	char *text = o.failed ? NULL : arena_copy(arena, o.s.at, (u64)o.s.n + 1);
	vec_free(&o.s);
	return text;
}
