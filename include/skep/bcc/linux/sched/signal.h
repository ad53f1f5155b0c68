/* In the BCC dialect every kernel type comes from vmlinux.h, which is included before the source. */
