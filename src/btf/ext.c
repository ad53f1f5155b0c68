#include "btf/ext.h"
#include "btf/parse.h"
#include "base/vec.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef VEC(struct btf_ext_section) section_vec;

static int bad(struct btf_log *log, const char *what, const char *why) {
	btf_errorf(log, ".BTF.ext: %s %s\n", what, why);
	return -EINVAL;
}

static int parse_info(const u8 *data, u64 size, const struct btf *btf, const char *what, u32 min,
		      struct btf_ext_info *info, struct btf_log *log) {
	if (!size)
		return 0;
	if (size < 4)
		return bad(log, what, "is cut short");
	memcpy(&info->record_size, data, 4);
	if (info->record_size < min || info->record_size % 4)
		return bad(log, what, "has records of an impossible size");
	section_vec sections = {0};
	int err = 0;
	for (u64 off = 4; off < size && !err;) {
		struct btf_ext_info_sec head;
		if (size - off < sizeof head) {
			err = bad(log, what, "is cut short");
			break;
		}
		memcpy(&head, data + off, sizeof head);
		off += sizeof head;
		const char *name = btf_string(btf, head.sec_name_off);
		u64 bytes = (u64)head.num_info * info->record_size;
		if (!name) {
			err = bad(log, what, "names a section outside the strings");
		} else if (bytes > size - off) {
			err = bad(log, what, "is cut short");
		} else {
			struct btf_ext_section *s = vec_push(&sections);
			if (s)
				*s = (struct btf_ext_section){name, data + off, head.num_info};
			else
				err = -ENOMEM;
			off += bytes;
		}
	}
	info->sections = sections.at, info->sections_n = sections.n;
	return err;
}

int btf_ext_parse(const void *data, u64 size, const struct btf *btf, struct btf_log *log, struct btf_ext **out) {
	struct btf_ext_header h = {0};
	*out = NULL;
	if (log)
		log->error[0] = 0;
	if (size < offsetof(struct btf_ext_header, core_relo_off) || size > UINT32_MAX)
		return bad(log, "header", "is cut short");
	memcpy(&h, data, MIN(size, sizeof h));
	if (h.magic != BTF_MAGIC)
		return bad(log, "header", "has the wrong magic number");
	if (h.version != BTF_VERSION || h.flags)
		return bad(log, "header", "is of an unknown version"), -ENOTSUPP;
	if (h.hdr_len < offsetof(struct btf_ext_header, core_relo_off) || h.hdr_len > size)
		return bad(log, "header", "has an impossible length");
	if (h.hdr_len < sizeof h)
		h.core_relo_off = h.core_relo_len = 0;
	u64 room = size - h.hdr_len;
	const u32 parts[][2] = {
	    {h.func_info_off, h.func_info_len}, {h.line_info_off, h.line_info_len}, {h.core_relo_off, h.core_relo_len}};
	for (u32 i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i][1] && (parts[i][0] % 4 || parts[i][0] > room || parts[i][1] > room - parts[i][0]))
			return bad(log, "header", "names a part outside");
	struct btf_ext *ext = calloc(1, sizeof *ext);
	u8 *copy = malloc(room + 1);
	if (!ext || !copy) {
		free(ext), free(copy);
		return -ENOMEM;
	}
	ext->data = memcpy(copy, (const u8 *)data + h.hdr_len, room);
	int err = parse_info(copy + h.func_info_off, h.func_info_len, btf, "func_info", sizeof(struct bpf_func_info),
			     &ext->func, log);
	err = err ? err
		  : parse_info(copy + h.line_info_off, h.line_info_len, btf, "line_info", sizeof(struct bpf_line_info),
			       &ext->line, log);
	err = err ? err
		  : parse_info(copy + h.core_relo_off, h.core_relo_len, btf, "core_relo", sizeof(struct bpf_core_relo),
			       &ext->core, log);
	if (err) {
		btf_ext_free(ext);
		return err;
	}
	*out = ext;
	return 0;
}

void btf_ext_free(struct btf_ext *ext) {
	if (!ext)
		return;
	free(ext->func.sections), free(ext->line.sections), free(ext->core.sections);
	free(ext->data);
	free(ext);
}

const struct btf_ext_section *btf_ext_find(const struct btf_ext_info *info, const char *section) {
	for (u32 i = 0; i < info->sections_n; i++)
		if (!strcmp(info->sections[i].name, section))
			return &info->sections[i];
	return NULL;
}
