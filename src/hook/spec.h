/* What a program asks to be attached to, from its section name or from the name of a system call. */
#ifndef SKEP_HOOK_SPEC_H
#define SKEP_HOOK_SPEC_H
#include "hook/launch.h"

enum spec_answer {
	SPEC_OK,         /* out is filled but for prog and cookie */
	SPEC_BY_HAND,    /* the section names no place: say one (skep attach, --syscall) */
	SPEC_REFUSED,    /* understood, but the user engine has no such hook: error says why and what to do */
	SPEC_UNKNOWN,    /* no such system call or section: error names the nearest */
};
enum { SPEC_ERROR = 256 };

/* section: "tracepoint/syscalls/sys_enter_openat", "ksyscall/openat", "kprobe/__x64_sys_openat" … */
enum spec_answer spec_from_section(const struct skep_abi *abi, const char *section, u32 prog_type, struct launch_prog *out,
                                   char error[SPEC_ERROR]);
/* name: "openat", "sys_openat", "__x64_sys_openat", or "all". The context is what the program's type expects. */
enum spec_answer spec_from_syscall(const struct skep_abi *abi, const char *name, u32 prog_type, bool exit,
                                   struct launch_prog *out, char error[SPEC_ERROR]);
#endif
