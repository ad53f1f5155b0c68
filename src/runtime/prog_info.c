/* BPF_OBJ_GET_INFO_BY_FD for programs, BPF_PROG_BIND_MAP, BPF_ENABLE_STATS.
 *
 * The record is read first: a member that counts says how much room the caller has for the array beside it, and comes
 * back as how much there is. Dumps are what the kernel gives: rewritten bytecode in which map references carry ids,
 * machine code, per function its address, length and tag, line information with offsets into the rewritten program.
 * Addresses are of this process; a program that is interpreted, or cannot run here, has no machine code. */
#include "runtime/prog.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Copies at most *n records of size bytes to the caller and says in *n how many there are. */
static int give(struct call *c, u64 to, u32 *n, const void *from, u32 there, u32 size) {
	u32 wanted = MIN(*n, there);
	*n = there;
	return wanted && from ? call_write(c, to, from, (u64)wanted * size) : 0;
}

static const struct xlated *xlated_of(const struct object_prog *p) {
	return p->p.image ? p->p.image->xlated : p->unrun;
}

/* The rewritten program as bpftool wants it: map references carry ids again. */
static int give_xlated(struct call *c, const struct object_prog *p, struct bpf_prog_info *info) {
	const struct xlated *x = xlated_of(p);
	u32 bytes = x->n * sizeof *x->insns, wanted = MIN(info->xlated_prog_len, bytes);
	info->xlated_prog_len = bytes;
	if (!wanted)
		return 0;
	struct bpf_insn *copy = malloc(bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, x->insns, bytes);
	for (u32 i = 0; i + 1 < x->n; i++) {
		if (!insn_is_ldimm64(&copy[i]))
			continue;
		u8 src = copy[i].src_reg;
		if (src >= BPF_PSEUDO_MAP_FD && src != BPF_PSEUDO_BTF_ID && src != BPF_PSEUDO_FUNC &&
			(u32)copy[i].imm < p->p.maps_n) {
			bool value = src == BPF_PSEUDO_MAP_VALUE || src == BPF_PSEUDO_MAP_IDX_VALUE;
			copy[i].src_reg = value ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD;
			copy[i].imm = p->p.maps[copy[i].imm]->facts.id;
		}
		i++;
	}
	int err = call_write(c, info->xlated_prog_insns, copy, wanted);
	free(copy);
	return err;
}

/* Where each function's machine code starts: its first instruction's first byte. */
static u32 function_at(const struct image *image, u32 i) {
	const struct xlated *x = image->xlated;
	for (u32 l = 0; l < image->lines_n; l++)
		if (image->lines[l].insn >= x->subprogs[i].start && image->lines[l].insn < x->subprogs[i].end)
			return image->lines[l].code_off;
	return i ? image->code_size : 0;
}
static int give_functions(struct call *c, const struct object_prog *p, struct bpf_prog_info *info) {
	const struct xlated *x = xlated_of(p);
	const struct image *image = p->p.image;
	u32 n = x->subprogs_n;
	u64 *at = calloc(n + 1, sizeof *at);
	u32 *len = calloc(n + 1, sizeof *len);
	u8(*tags)[8] = calloc(n + 1, sizeof *tags);
	int err = at && len && tags ? p->code ? image_lines(p->p.image) : 0 : -ENOMEM;
	for (u32 i = 0; !err && i < n; i++) {
		u32 start = p->code ? function_at(image, i) : 0,
			end = p->code ? i + 1 < n ? function_at(image, i + 1) : image->code_size : 0;
		at[i] = p->code ? (u64)(uintptr_t)p->code + start : 0;
		len[i] = end > start ? end - start : 0;
		if (i)
			prog_tag(x->insns + x->subprogs[i].start, x->subprogs[i].end - x->subprogs[i].start, tags[i]);
		else
			memcpy(tags[i], p->tag, sizeof p->tag);
	}
	if (!err)
		err = give(c, info->jited_ksyms, &info->nr_jited_ksyms, at, n, sizeof *at);
	if (!err)
		err = give(c, info->jited_func_lens, &info->nr_jited_func_lens, len, n, sizeof *len);
	if (!err)
		err = give(c, info->prog_tags, &info->nr_prog_tags, tags, n, sizeof *tags);
	free(at), free(len), free(tags);
	return err;
}

/* Line information of what is left of the program, with offsets into the rewritten one, as the kernel keeps it. */
static int give_lines(struct call *c, const struct object_prog *p, struct bpf_prog_info *info) {
	const struct image *image = p->p.image;
	const struct xlated *x = xlated_of(p);
	u32 size = sizeof(struct bpf_line_info), n = 0;
	struct bpf_line_info *lines = calloc(p->line_info_n + 1, sizeof *lines);
	u64 *jited = calloc(p->line_info_n + 1, sizeof *jited);
	int err = lines && jited ? p->code ? image_lines(p->p.image) : 0 : -ENOMEM;
	u32 from = 0; /* into line_info: both are sorted by instruction */
	for (u32 i = 0, code = 0; !err && image && p->line_info && i < x->n; i++) {
		const u8 *at = NULL;
		u32 off = 0;
		for (; from < p->line_info_n; from++) {
			const u8 *record = (const u8 *)p->line_info + (u64)from * p->line_info_size;
			memcpy(&off, record, sizeof off);
			if (off > x->facts[i].orig)
				break;
			at = record;
		}
		if (!at)
			continue;
		memcpy(&lines[n], at, MIN(size, p->line_info_size));
		lines[n].insn_off = i;
		while (code < image->lines_n && image->lines[code].insn < i)
			code++;
		jited[n] = p->code && code < image->lines_n ? (u64)(uintptr_t)p->code + image->lines[code].code_off : 0;
		n++;
	}
	if (!err)
		err = give(c, info->line_info, &info->nr_line_info, lines, n, size);
	if (!err)
		err = give(c, info->jited_line_info, &info->nr_jited_line_info, jited, p->code ? n : 0, sizeof *jited);
	info->line_info_rec_size = size, info->jited_line_info_rec_size = sizeof *jited;
	free(lines), free(jited);
	return err;
}
static int give_func_info(struct call *c, const struct object_prog *p, struct bpf_prog_info *info) {
	const struct xlated *x = xlated_of(p);
	u32 size = sizeof(struct bpf_func_info), n = p->func_info ? MIN(p->func_info_n, x->subprogs_n) : 0;
	struct bpf_func_info *f = calloc(n + 1, sizeof *f);
	if (!f)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		memcpy(&f[i], (const u8 *)p->func_info + (u64)i * p->func_info_size, MIN(size, p->func_info_size));
		f[i].insn_off = x->subprogs[i].start;
	}
	info->func_info_rec_size = size;
	int err = give(c, info->func_info, &info->nr_func_info, f, n, size);
	free(f);
	return err;
}

static int give_map_ids(struct call *c, struct object_prog *p, struct bpf_prog_info *info) {
	u32 n = 0, *ids = calloc(p->held.n + 1, sizeof *ids);
	if (!ids)
		return -ENOMEM;
	pthread_mutex_lock(&c->e->mutex);
	for (u32 i = 0; i < p->held.n; i++)
		if (p->held.at[i]->kind == OBJECT_MAP)
			ids[n++] = p->held.at[i]->id;
	pthread_mutex_unlock(&c->e->mutex);
	int err = give(c, info->map_ids, &info->nr_map_ids, ids, n, sizeof *ids);
	free(ids);
	return err;
}

int prog_info(struct call *c, struct object_prog *p) {
	struct bpf_prog_info info;
	u32 given;
	int err = info_read(c, &info, sizeof info, &given);
	if (err)
		return err;
	info.type = p->p.type, info.id = p->o.id;
	memcpy(info.tag, p->tag, sizeof info.tag);
	info.load_time = p->o.head->created_ns, info.created_by_uid = p->o.head->uid;
	memcpy(info.name, p->p.name, sizeof info.name);
	info.ifindex = 0, info.netns_dev = 0, info.netns_ino = 0, info.gpl_compatible = p->gpl;
	info.btf_id = p->btf ? p->btf->o.id : 0;
	info.run_time_ns = READ_ONCE(p->o.head->run_time_ns), info.run_cnt = READ_ONCE(p->o.head->run_count);
	info.recursion_misses = READ_ONCE(p->o.head->recursion_misses);
	info.verified_insns = p->verified_insns;
	info.attach_btf_obj_id = 0, info.attach_btf_id = p->attach_btf_id;
	err = give_map_ids(c, p, &info);
	if (call_lacks_bpf(c)) { /* its code is not told */
		info.xlated_prog_len = info.jited_prog_len = info.nr_jited_ksyms = info.nr_jited_func_lens = 0;
		info.nr_func_info = info.nr_line_info = info.nr_jited_line_info = info.nr_prog_tags = 0;
		return err ? err : info_write(c, &info, given);
	}
	if (!err)
		err = give_xlated(c, p, &info);
	if (!err)
		err = give(c, info.jited_prog_insns, &info.jited_prog_len, p->code, p->code ? p->p.image->code_size : 0, 1);
	if (!err)
		err = give_functions(c, p, &info);
	if (!err)
		err = give_func_info(c, p, &info);
	if (!err)
		err = give_lines(c, p, &info);
	return err ? err : info_write(c, &info, given);
}

s64 cmd_prog_bind_map(struct call *c) {
	struct skep_engine *e = c->e;
	struct object *prog, *map;
	if (c->attr.prog_bind_map.flags)
		return -EINVAL;
	int err = object_use(c, c->attr.prog_bind_map.prog_fd, OBJECT_PROG, &prog, NULL);
	if (err)
		return err;
	err = object_use(c, c->attr.prog_bind_map.map_fd, OBJECT_MAP, &map, NULL);
	if (!err) {
		struct object_prog *p = PROG_OF(prog);
		bool there = false;
		pthread_mutex_lock(&e->mutex);
		for (u32 i = 0; i < p->held.n; i++)
			there |= p->held.at[i] == map;
		struct object **at = there ? NULL : vec_push(&p->held);
		if (at)
			*at = map, object_hold(map);
		else if (!there)
			err = -ENOMEM;
		if (at && e->opts.backing == BACKING_FILES && (err = prog_rewrite_record(e, p))) {
			p->held.n--;
			object_release(map);
		}
		pthread_mutex_unlock(&e->mutex);
		object_unuse(map);
	}
	object_unuse(prog);
	return err;
}

/* The kernel counts while a descriptor is open. Closing this one is not observed: counting stays on until the engine
 * ends. */
s64 cmd_enable_stats(struct call *c) {
	if (c->attr.enable_stats.type != BPF_STATS_RUN_TIME)
		return -EINVAL;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	WRITE_ONCE(c->e->stats_on, 1);
	return c->caller && c->caller->give_fd ? c->caller->give_fd(c->caller->owner, fd) : fd;
}
