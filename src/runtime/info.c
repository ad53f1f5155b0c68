/* BPF_OBJ_GET_INFO_BY_FD for maps, BTF and links; programs are in prog_info.c. */
#include "runtime/state.h"
#include <errno.h>

int info_read(struct call *c, void *info, u32 size, u32 *given) {
	*given = c->attr.info.info_len;
	int err = call_tail_zero(c, c->attr.info.info, size, *given);
	*given = MIN(*given, size);
	memset(info, 0, size);
	return err ? err : call_read(c, info, c->attr.info.info, *given);
}
int info_write(struct call *c, const void *info, u32 given) {
	int err = call_write(c, c->attr.info.info, info, given);
	return err ? err : call_write(c, c->uattr + offsetof(union bpf_attr, info.info_len), &given, sizeof given);
}

static int map_info(struct call *c, const struct object_map *m) {
	struct bpf_map_info info;
	u32 given;
	int err = info_read(c, &info, sizeof info, &given);
	if (err)
		return err;
	const struct map_facts *f = &m->m.facts;
	u64 hash = info.hash;
	u32 hash_size = info.hash_size;
	info = (struct bpf_map_info){
		.type = f->type,
		.id = m->o.id,
		.key_size = f->key_size,
		.value_size = f->value_size,
		.max_entries = f->max_entries,
		.map_flags = f->map_flags,
		.map_extra = f->map_extra,
		.btf_id = m->btf ? m->btf->o.id : 0,
		.btf_key_type_id = m->btf ? f->btf_key_type_id : 0,
		.btf_value_type_id = m->btf ? f->btf_value_type_id : 0,
		.btf_vmlinux_value_type_id = m->vmlinux_value_type_id,
		.ifindex = m->ifindex,
	};
	memcpy(info.name, m->m.name, sizeof info.name);
	if (hash || hash_size)
		return hash && hash_size ? -EOPNOTSUPP : -EINVAL; /* of maps bound to signed programs */
	return info_write(c, &info, given);
}

static int btf_info(struct call *c, const struct object_btf *b) {
	struct bpf_btf_info info;
	u32 given = MIN(c->attr.info.info_len, (u32)sizeof info);
	memset(&info, 0, sizeof info);
	int err = call_read(c, &info, c->attr.info.info, given);
	if (!err)
		err = call_write(c, info.btf, b->btf->data, MIN(b->btf->data_size, info.btf_size));
	if (err)
		return err;
	if (!info.name != !info.name_len)
		return -EINVAL;
	u32 len = strlen(b->name);
	if (info.name) {
		u32 n = MIN(len, info.name_len - 1);
		err = call_write(c, info.name, b->name, n);
		if (!err)
			err = call_write(c, info.name + n, "", 1);
		if (err)
			return err;
	}
	int result = info.name && info.name_len < len + 1 ? -ENOSPC : 0;
	info.id = b->o.id, info.btf_size = b->btf->data_size, info.name_len = len, info.kernel_btf = 0;
	err = info_write(c, &info, given);
	return err ? err : result;
}

static int link_info(struct call *c, const struct object_link *l) {
	struct bpf_link_info info;
	u32 given;
	int err = info_read(c, &info, sizeof info, &given);
	if (err)
		return err;
	memset(&info, 0, sizeof info);
	info.type = l->type, info.id = l->o.id, info.prog_id = l->prog ? l->prog->o.id : 0;
	if (l->type == BPF_LINK_TYPE_TRACING)
		info.tracing.attach_type = l->attach_type;
	return info_write(c, &info, given);
}

s64 cmd_obj_get_info_by_fd(struct call *c) {
	struct object *o;
	int err = object_use(c, c->attr.info.bpf_fd, 0, &o, NULL);
	if (err)
		return err == -EBADF ? -EBADFD : err; /* the kernel's own odd word */
	switch (o->kind) {
	case OBJECT_MAP:
		err = map_info(c, MAP_OF(o));
		break;
	case OBJECT_PROG:
		err = prog_info(c, PROG_OF(o));
		break;
	case OBJECT_BTF:
		err = btf_info(c, BTF_OF(o));
		break;
	case OBJECT_LINK:
		err = link_info(c, LINK_OF(o));
		break;
	default:
		err = -EINVAL;
	}
	object_unuse(o);
	return err;
}
