/* Inside the room: the steps of btf_parse, in the order in which they run. */
#ifndef SKEP_BTF_PARSE_H
#define SKEP_BTF_PARSE_H
#include "btf/btf.h"

enum { ENOTSUPP = 524 }; /* the kernel's own; user space sees it from bpf(2) */

/* Pieces of log text, and the line that refuses: the latter also lands in log->error. Lines end with \n. */
void btf_logf(struct btf_log *log, const char *fmt, ...) PRINTF(2, 3);
void btf_errorf(struct btf_log *log, const char *fmt, ...) PRINTF(2, 3);

/* The kernel's rules. meta: each type alone, in order, before anything is indexed (types, strings and start are set).
 * types: how they refer to each other. */
int btf_check_meta(const struct btf *btf, struct btf_log *log);
int btf_check_types(const struct btf *btf, struct btf_log *log);
void btf_log_type(const struct btf *btf, struct btf_log *log, u32 id, const struct btf_type *t, bool details,
		  const char *error);
/* type: what is printed as the member's type. */
void btf_log_member(const struct btf *btf, struct btf_log *log, u32 id, const struct btf_type *t, u32 i, u32 type,
		    const char *error);
void btf_log_secinfo(struct btf_log *log, u32 id, const struct btf_var_secinfo *v, const char *error);
bool btf_name_is_identifier(const struct btf *btf, u32 off);
bool btf_int_is_regular(const struct btf_type *t);

/* What accessors rely on, in both modes: references, then resolution (fills resolved). */
int btf_check_references(const struct btf *btf, struct btf_log *log);
int btf_resolve_all(struct btf *btf, struct btf_log *log);

void btf_names_free(struct btf_names *names);
#endif
