/* Constants that kernel headers define as macros, which vmlinux.h therefore lacks: in bcc they come with nearly every
 * header. They are the system's own, from linux-libc-dev; its structures, which vmlinux.h has in the kernel's form, get
 * names that nobody uses, and so do those of its types that the vmlinux.h of another kernel may lack. */
#ifndef SKEP_BCC_CONSTANTS_H
#define SKEP_BCC_CONSTANTS_H

typedef int bcc_unused_pid_t;
typedef long bcc_unused_off_t;
typedef long long bcc_unused_loff_t;
#define __kernel_pid_t bcc_unused_pid_t
#define __kernel_off_t bcc_unused_off_t
#define __kernel_loff_t bcc_unused_loff_t
#define flock bcc_unused_flock
#define flock64 bcc_unused_flock64
#define f_owner_ex bcc_unused_f_owner_ex
#define open_how bcc_unused_open_how
#define sigset_t bcc_unused_sigset_t
#define sigaction bcc_unused_sigaction
#define sigaltstack bcc_unused_sigaltstack
#define stack_t bcc_unused_stack_t
#define siginfo bcc_unused_siginfo
#define statx bcc_unused_statx
#define statx_timestamp bcc_unused_statx_timestamp
#if __has_include(<asm/fcntl.h>)
#include <asm/errno.h>
#include <asm/mman.h>
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/stat.h>
#endif
#undef __kernel_pid_t
#undef __kernel_off_t
#undef __kernel_loff_t
#undef flock
#undef flock64
#undef f_owner_ex
#undef open_how
#undef sigset_t
#undef sigaction
#undef sigaltstack
#undef stack_t
#undef siginfo
#undef statx
#undef statx_timestamp
#undef sa_handler
#undef sa_sigaction

/* Of the kernel's linux/socket.h and linux/version.h; the version is the one whose eBPF skep is. */
#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 18, 0)

#endif
