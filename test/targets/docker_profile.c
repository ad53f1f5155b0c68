/* Runs a command under the denials of container engines' default profile, as they are for a container without added
 * capabilities: what that profile does not allow fails with EPERM (clone3 with ENOSYS, so that clone is tried). ptrace and
 * process_vm_readv are allowed there. Needs no privilege. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const denied[] = {
	"acct", "add_key", "bpf", "chroot", "clock_settime", "delete_module", "fanotify_init", "finit_module", "fsconfig",
	"fsmount", "fsopen", "fspick", "get_mempolicy", "init_module", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load",
	"keyctl", "lookup_dcookie", "mbind", "migrate_pages", "mount", "mount_setattr", "move_mount", "move_pages",
	"open_by_handle_at", "open_tree", "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "quotactl", "reboot",
	"request_key", "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday", "swapoff", "swapon", "syslog",
	"umount2", "unshare", "userfaultfd", "vhangup",
};

int main(int argc, char **argv) {
	const unsigned long spaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
	                             CLONE_NEWCGROUP;
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int err = f ? 0 : -ENOMEM;
	for (unsigned i = 0; !err && i < sizeof denied / sizeof *denied; i++) {
		int nr = seccomp_syscall_resolve_name(denied[i]);
		if (nr != __NR_SCMP_ERROR)
			err = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	for (unsigned long bit = 1; !err && bit <= spaces; bit <<= 1)
		if (spaces & bit)
			err = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!err)
		err = seccomp_load(f);
	if (err || argc < 2) {
		fprintf(stderr, "docker_profile: %s\n", err ? strerror(-err) : "which command?");
		return 125;
	}
	seccomp_release(f);
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
