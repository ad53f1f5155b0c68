/* BTF as C: every type, in an order that compiles, laid out as it was. With BTF_C_VMLINUX it is a header for eBPF
 * programs (vmlinux.h): guarded, and accesses to its structures are recorded for CO-RE. */
#ifndef SKEP_BTF_DUMP_H
#define SKEP_BTF_DUMP_H
#include "btf/btf.h"

enum { BTF_C_VMLINUX = 1 };
typedef int btf_write_fn(void *owner, const char *text, u64 size); /* 0, or an error that ends the dump */

/* 0, what write returned, -E2BIG (nested too deeply, or too much), -ENOMEM. */
int btf_dump_c(const struct btf *btf, u32 flags, btf_write_fn *write, void *owner);
/* One type and what it needs before it. */
int btf_dump_c_type(const struct btf *btf, u32 id, btf_write_fn *write, void *owner);
/* The type as a declaration of `name` ("struct task_struct *t"; name may be ""), cut to size. Returns to. */
char *btf_declaration(const struct btf *btf, u32 id, const char *name, char *to, u32 size);
#endif
