/* BTF.ext: function, line and CO-RE records of an object file, by ELF section. The layout is checked when parsed; what
 * records say (instruction offsets, type ids) is the loader's to check against code and types. */
#ifndef SKEP_BTF_EXT_H
#define SKEP_BTF_EXT_H
#include "btf/btf.h"

struct btf_ext_section {
	const char *name; /* of the ELF section, in the BTF's strings */
	const u8 *records;
	u32 n;
};
struct btf_ext_info {
	u32 record_size; /* at least that of the struct in format.h, multiple of 4 */
	struct btf_ext_section *sections;
	u32 sections_n;
};
struct btf_ext {
	struct btf_ext_info func, line, core;
	void *data; /* copy, owned */
};

/* 0 or -EINVAL, -ENOTSUPP, -ENOMEM. The BTF must outlive the result. */
int btf_ext_parse(const void *data, u64 size, const struct btf *btf, struct btf_log *log, struct btf_ext **out);
void btf_ext_free(struct btf_ext *ext);
/* Records of one ELF section, NULL when there are none. */
const struct btf_ext_section *btf_ext_find(const struct btf_ext_info *info, const char *section);

static inline const struct bpf_func_info *btf_func_info(const struct btf_ext_info *i, const struct btf_ext_section *s,
							u32 n) {
	return (const struct bpf_func_info *)(s->records + (u64)n * i->record_size);
}
static inline const struct bpf_line_info *btf_line_info(const struct btf_ext_info *i, const struct btf_ext_section *s,
							u32 n) {
	return (const struct bpf_line_info *)(s->records + (u64)n * i->record_size);
}
static inline const struct bpf_core_relo *btf_core_relo(const struct btf_ext_info *i, const struct btf_ext_section *s,
							u32 n) {
	return (const struct bpf_core_relo *)(s->records + (u64)n * i->record_size);
}
#endif
