/* Runs a command as in a container with the default profile of Docker or Kubernetes, as far as it matters to skep:
 *
 *     /dev/shm     tmpfs of 64 MiB, noexec (where mounting is allowed: as root, or in a user namespace)
 *     denied       pidfd_getfd, bpf, perf_event_open, mount, new namespaces, keyctl, userfaultfd, io_uring: EPERM
 *     allowed      ptrace, process_vm_readv, memfd_create, seccomp of one's own
 *
 * With --old also what kernels before 5.4 lack: pidfd_open, openat2, clone3, close_range: ENOSYS. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int deny(scmp_filter_ctx f, int error, const int *calls, size_t n) {
	for (size_t i = 0; i < n; i++)
		if (seccomp_rule_add(f, SCMP_ACT_ERRNO((unsigned)error), calls[i], 0))
			return -1;
	return 0;
}
int main(int argc, char **argv) {
	static const int container[] = {SCMP_SYS(pidfd_getfd), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(mount),
	                                SCMP_SYS(umount2), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(keyctl), SCMP_SYS(add_key),
	                                SCMP_SYS(request_key), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup),
	                                SCMP_SYS(open_by_handle_at), SCMP_SYS(init_module), SCMP_SYS(kcmp)};
	static const int old[] = {SCMP_SYS(pidfd_open), SCMP_SYS(openat2), SCMP_SYS(clone3), SCMP_SYS(close_range)};
	int at = 1, is_old = argc > 1 && !strcmp(argv[1], "--old");
	at += is_old;
	if (at >= argc)
		return 2;
	if (!unshare(CLONE_NEWNS)) {
		if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("shm", "/dev/shm", "tmpfs", MS_NOEXEC | MS_NOSUID | MS_NODEV, "size=64m"))
			perror("jail: mount");
	} else
		fprintf(stderr, "# jail: /dev/shm stays as it is: %s\n", strerror(errno));
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	if (!f || deny(f, EPERM, container, sizeof container / sizeof container[0]) ||
	    (is_old && deny(f, ENOSYS, old, sizeof old / sizeof old[0])) || seccomp_load(f)) {
		fprintf(stderr, "jail: the filter cannot be loaded\n");
		return 2;
	}
	seccomp_release(f);
	execvp(argv[at], argv + at);
	perror(argv[at]);
	return 127;
}
