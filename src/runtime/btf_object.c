/* BPF_BTF_LOAD and the objects it makes. */
#include "runtime/state.h"
#include <errno.h>

enum { BTF_SIZE_MAX = 16 << 20, LOG_SIZE_MAX = UINT32_MAX >> 2, LOG_KEPT_MAX = 16 << 20 };

/* The log of the command. The whole of it is kept: a buffer that is too small gets its end, or its beginning when it is
 * marked as fixed. */
struct btf_text {
	VEC(char) all;
	u32 lost;
};
static void write_log(void *owner, const char *text) {
	struct btf_text *t = owner;
	u32 len = strlen(text);
	if (t->all.n + len > LOG_KEPT_MAX || !vec_reserve(&t->all, len + 1)) {
		t->lost += len;
		return;
	}
	memcpy(t->all.at + t->all.n, text, len);
	t->all.n += len;
}

static int check_log(const union bpf_attr *a) {
	if (!!a->btf_log_buf != !!a->btf_log_size || (a->btf_log_buf && !a->btf_log_level))
		return -EINVAL;
	return a->btf_log_level & ~(LOG_LEVEL1 | LOG_LEVEL2 | LOG_STATS | LOG_FIXED) || a->btf_log_size > LOG_SIZE_MAX
			   ? -EINVAL
			   : 0;
}
/* Hands the log over. -ENOSPC when it did not fit, as the verifier does. */
static int give_log(struct call *c, struct btf_text *t) {
	const union bpf_attr *a = &c->attr;
	u32 whole = a->btf_log_level ? t->all.n + t->lost + 1 : 0;
	int err = 0;
	if (a->btf_log_buf) {
		u32 n = MIN(t->all.n, a->btf_log_size - 1);
		const char *from = t->all.at + (a->btf_log_level & LOG_FIXED ? 0 : t->all.n - n);
		err = call_write(c, a->btf_log_buf, from, n);
		if (!err)
			err = call_write(c, a->btf_log_buf + n, "", 1);
		if (!err && whole > a->btf_log_size)
			err = -ENOSPC;
	}
	if (c->size >= offsetof(union bpf_attr, btf_log_true_size) + sizeof a->btf_log_true_size) {
		int e = call_write(c, c->uattr + offsetof(union bpf_attr, btf_log_true_size), &whole, sizeof whole);
		err = e ? e : err;
	}
	return err;
}

static int parse(struct call *c, const void *data, u32 size, const struct btf **out) {
	const union bpf_attr *a = &c->attr;
	struct btf_text text = {0};
	struct btf_log log = {.write = a->btf_log_level ? write_log : NULL, .owner = &text, .level = a->btf_log_level};
	struct btf *btf = NULL;
	int err = btf_parse(data, size, NULL, BTF_STRICT, &log, &btf);
	int log_err = give_log(c, &text);
	vec_free(&text.all);
	if (err == -EINVAL && *log.error)
		explain(c, err, "the BTF was refused: %s", log.error);
	if (!err && log_err) {
		btf_put(btf);
		return log_err;
	}
	*out = btf;
	return err == 0 ? 0 : log_err ? log_err : err;
}

/* From BTF to object; the BTF's reference passes over. */
static struct object_btf *new_object(const struct btf *btf) {
	struct object_btf *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->o.kind = OBJECT_BTF, b->o.token_fd = -1, b->btf = btf;
	return b;
}
void btf_object_free(struct object_btf *b) {
	btf_put(b->btf);
	free(b);
}

static s64 make(struct call *c, struct object_btf *b, const void *data, u32 size) {
	struct skep_engine *e = c->e;
	struct record *r = calloc(1, sizeof *r + size);
	if (!r)
		return -ENOMEM;
	r->btf.size = size;
	memcpy((u8 *)&r->btf + sizeof r->btf, data, size);
	u32 bytes = offsetof(struct record, btf) + sizeof r->btf + size;
	pthread_mutex_lock(&e->mutex);
	collect_sometimes(e);
	s64 fd = store_lock(&e->store);
	if (!fd) {
		fd = object_new_id(c, &b->o);
		if (!fd)
			fd = token_create(c, &b->o, 0, false);
		if (!fd)
			fd = object_publish(c, &b->o, r, bytes, MODE_READ | MODE_WRITE);
		if (fd < 0 && b->o.id && e->opts.backing == BACKING_FILES)
			store_remove(&e->store, OBJECT_BTF, b->o.id);
		store_unlock(&e->store);
	}
	pthread_mutex_unlock(&e->mutex);
	free(r);
	return fd;
}

/* Objects that hold references to the kernel's. */
static int check_destructors(struct call *c, const struct btf *btf) {
	struct btf_fields f;
	for (u32 id = btf->start; id < btf->end; id++)
		if (btf_kind(btf_type(btf, id)) == BTF_KIND_STRUCT && !btf_object_fields(btf, id, &f, NULL) && f.n &&
			!fields_have_destructors(c->e, btf, &f)) {
			explain(c, -ENOENT, "a kptr in struct %s refers to objects of the kernel's that nothing releases",
					btf_name_of(btf, id));
			return -ENOENT;
		}
	return 0;
}

s64 cmd_btf_load(struct call *c) {
	const union bpf_attr *a = &c->attr;
	if (a->btf_flags & ~BPF_F_TOKEN_FD)
		return -EINVAL;
	if (a->btf_flags & BPF_F_TOKEN_FD)
		return -EBADF;
	if (call_lacks_bpf(c))
		return -EPERM;
	if (a->btf_size > BTF_SIZE_MAX)
		return -E2BIG;
	int err = check_log(a);
	if (err)
		return err;
	void *data = malloc(a->btf_size + 1);
	const struct btf *btf = NULL;
	if (!data)
		return -ENOMEM;
	s64 r = call_read(c, data, a->btf, a->btf_size);
	if (!r)
		r = parse(c, data, a->btf_size, &btf);
	if (!r && (r = check_destructors(c, btf)))
		btf_put(btf);
	struct object_btf *b = r ? NULL : new_object(btf);
	if (!r && !b)
		btf_put(btf), r = -ENOMEM;
	if (!r)
		r = make(c, b, data, a->btf_size);
	free(data);
	if (r < 0 && b)
		object_free(c->e, &b->o);
	return r;
}

int btf_open(struct call *c, const struct record *r, struct object **out) {
	const u8 *data = (const u8 *)&r->btf + sizeof r->btf;
	struct btf *btf;
	if (r->head.size < offsetof(struct record, btf) + sizeof r->btf ||
		r->head.size - offsetof(struct record, btf) - sizeof r->btf != r->btf.size)
		return -EIO;
	int err = btf_parse(data, r->btf.size, NULL, BTF_STRICT, NULL, &btf);
	if (err)
		return -EIO;
	struct object_btf *b = new_object(btf);
	if (!b)
		return btf_put(btf), -ENOMEM;
	*out = &b->o;
	return 0;
}
