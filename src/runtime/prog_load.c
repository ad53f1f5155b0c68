/* BPF_PROG_LOAD, and programs of the store opened again.
 *
 *     attr ──checks──► struct load ──verify()──► xlated + facts ──► which parts cannot run? ──no──► image, machine code
 *                         ▲                                              └──yes──► facts and a refusal: one sentence
 *     record of the store ┘
 *
 * The verdict and the ability to run are apart: a program that uses a map type or helper that the user engine does not
 * run is loaded, shows in listings and can be pinned; running or attaching it is refused with the sentence.
 *
 * A record of the store holds what was loaded, not what was made of it: a process that opens a program verifies it
 * again, with the capabilities that its loader had. The directory is the user's own, so this is not for secrecy; it is
 * what keeps a damaged or forged record from becoming machine code. In the record maps are named by their place in the
 * list of ids (BPF_PSEUDO_MAP_IDX), which is also how they are verified again.
 *
 * Checks stand in the kernel's order, so that the first error is the kernel's. Verification runs without the engine's
 * lock; the maps it met are in use (object.uses) until they are held by the program. */
#include "runtime/prog.h"
#include <errno.h>

enum {
	LICENSE_SIZE = 128,
	RECORD_SIZE_MIN = 8,
	RECORD_SIZE_MAX = 252, /* MAX_FUNCINFO_REC_SIZE, MAX_LINEINFO_REC_SIZE */
	IDS_MAX = 4096,
};
static const u32 known_flags = BPF_F_STRICT_ALIGNMENT | BPF_F_ANY_ALIGNMENT | BPF_F_TEST_STATE_FREQ | BPF_F_SLEEPABLE |
							   BPF_F_TEST_RND_HI32 | BPF_F_XDP_HAS_FRAGS | BPF_F_XDP_DEV_BOUND_ONLY |
							   BPF_F_TEST_REG_INVARIANTS | BPF_F_TOKEN_FD;

static bool gpl_compatible(const char *license) {
	static const char *const names[] = {"GPL",          "GPL v2",       "GPL and additional rights",
										"Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(license, names[i]))
			return true;
	return false;
}

/* == Maps and BTFs that the verifier asks for == */

static struct object *used_as(struct load *l, s32 name, bool index) {
	for (u32 i = 0; i < l->used.n; i++)
		if (l->used.at[i].name == name && l->used.at[i].index == index)
			return l->used.at[i].o;
	return NULL;
}
static struct map_facts *facts_of(struct object *o) {
	ASSERT(o->kind == OBJECT_MAP);
	struct object_map *m = MAP_OF(o);
	m->m.facts.frozen = READ_ONCE(o->head->frozen);
	return &m->m.facts;
}
/* Notes that the program means this object by that name; takes over the use. */
static int note(struct load *l, s32 name, bool index, struct object *o) {
	struct used *u = vec_push(&l->used);
	if (!u) {
		object_unuse(o);
		return -ENOMEM;
	}
	*u = (struct used){name, index, o};
	return 0;
}
static struct map_facts *map_by_fd(void *owner, s32 fd) {
	struct load *l = owner;
	l->fd_error = -EBADF;
	if (l->record)
		return NULL; /* records know no descriptors */
	struct object *o = used_as(l, fd, false);
	if (!o && ((l->fd_error = object_use(l->c, fd, OBJECT_MAP, &o, NULL)) || (l->fd_error = note(l, fd, false, o))))
		return NULL;
	return facts_of(o);
}
static struct map_facts *map_by_index(void *owner, u32 i, int *error) {
	struct load *l = owner;
	struct object *o = used_as(l, (s32)i, true);
	*error = o && o->kind != OBJECT_MAP ? -EINVAL : 0; /* fd_array may name BTFs too */
	if (*error)
		return NULL;
	if (!o && l->record) {
		if (i >= l->ids_n)
			*error = -EINVAL;
		else if (!(*error = object_find(l->c, OBJECT_MAP, l->ids[i], &o)))
			__atomic_fetch_add(&o->uses, 1, __ATOMIC_ACQUIRE);
	} else if (!o) {
		s32 fd;
		*error = l->fd_array ? call_read_checked(l->c, &fd, l->fd_array + (u64)i * sizeof fd, sizeof fd) : -EPROTO;
		if (!*error)
			*error = object_use(l->c, fd, OBJECT_MAP, &o, NULL);
	}
	if (!*error && !used_as(l, (s32)i, true))
		*error = note(l, (s32)i, true, o);
	return *error ? NULL : facts_of(o);
}

/* == Reading the attributes == */

static int read_records(struct call *c, u64 from, u32 n, u32 size, void **to) {
	if (!n || size < RECORD_SIZE_MIN || size > RECORD_SIZE_MAX)
		return 0; /* the verifier says what is wrong with them */
	if (n > BPF_COMPLEXITY_LIMIT_INSNS)
		return -EINVAL;
	*to = malloc((u64)n * size);
	return *to ? call_read(c, *to, from, (u64)n * size) : -ENOMEM;
}

static int read_prog(struct call *c, struct load *l) {
	const union bpf_attr *a = &c->attr;
	struct object_prog *p = l->p;
	p->p.type = a->prog_type, p->p.attach_type = a->expected_attach_type, p->flags = a->prog_flags;
	p->attach_btf_id = a->attach_btf_id, p->insns_n = a->insn_cnt;
	p->func_info_n = a->func_info_cnt, p->func_info_size = a->func_info_rec_size;
	p->line_info_n = a->line_info_cnt, p->line_info_size = a->line_info_rec_size;
	p->insns = malloc((u64)a->insn_cnt * sizeof *p->insns);
	if (!p->insns)
		return -ENOMEM;
	int err = call_read(c, p->insns, a->insns, (u64)a->insn_cnt * sizeof *p->insns);
	if (!err && (err = call_read_string(c, l->license, LICENSE_SIZE, a->license)) > 0)
		err = 0;
	if (!err && !abi_prog_type(c->e->abi, a->prog_type))
		err = -EINVAL;
	if (!err)
		err = name_copy(p->p.name, a->prog_name);
	if (!err && (a->func_info_cnt || a->line_info_cnt)) {
		struct object *o;
		err = object_use(c, a->prog_btf_fd, OBJECT_BTF, &o, NULL);
		if (!err)
			l->btf = BTF_OF(o);
	}
	if (!err)
		err = read_records(c, a->func_info, p->func_info_n, p->func_info_size, &p->func_info);
	if (!err)
		err = read_records(c, a->line_info, p->line_info_n, p->line_info_size, &p->line_info);
	return err;
}

/* bpf_prog_load_check_attach: what expected_attach_type and attach_btf_id may be for this type. */
static int check_attach(const struct abi_prog_type *row, const union bpf_attr *a) {
	if (a->attach_btf_id) {
		if (a->attach_btf_id > 0xfffff)
			return -EINVAL;
		if (a->prog_type != BPF_PROG_TYPE_TRACING && a->prog_type != BPF_PROG_TYPE_LSM &&
			a->prog_type != BPF_PROG_TYPE_STRUCT_OPS && a->prog_type != BPF_PROG_TYPE_EXT)
			return -EINVAL;
	}
	u32 type = a->expected_attach_type;
	if (row && (row->flags & PROG_ATTACH_ZERO) && type)
		return -EINVAL;
	if (row && (row->flags & PROG_ATTACH_CHECKED) && !(type < 64 && row->attach >> type & 1))
		return -EINVAL;
	return 0;
}
static int needs(struct call *c, const struct abi_prog_type *row, const char *cap) {
	return explain(c, -EPERM, "programs of type %s take %s, which their loader does not have", row->name, cap);
}
static int check_attr(struct call *c) {
	union bpf_attr *a = &c->attr;
	const struct abi_prog_type *row = abi_prog_type(c->e->abi, a->prog_type);
	u64 caps = c->caps;
	if (a->prog_flags & ~known_flags)
		return -EINVAL;
	if (row && !a->expected_attach_type)
		a->expected_attach_type = row->attach_default;
	if (a->prog_flags & BPF_F_TOKEN_FD)
		return -EBADF; /* tokens cannot be made here */
	if (!a->insn_cnt || a->insn_cnt > (caps & (VERIFY_BPF | VERIFY_SYS_ADMIN) ? BPF_COMPLEXITY_LIMIT_INSNS : BPF_MAXINSNS))
		return -E2BIG;
	if (row && !(row->flags & PROG_UNPRIV) && !(caps & (VERIFY_BPF | VERIFY_SYS_ADMIN)))
		return needs(c, row, "CAP_BPF");
	if (row && (row->flags & PROG_NET_ADMIN) && !(caps & (VERIFY_NET_ADMIN | VERIFY_SYS_ADMIN)))
		return needs(c, row, "CAP_NET_ADMIN");
	if (row && (row->flags & PROG_PERFMON) && !(caps & (VERIFY_PERFMON | VERIFY_SYS_ADMIN)))
		return needs(c, row, "CAP_PERFMON");
	if (a->attach_prog_fd)
		return explain(c, -EOPNOTSUPP,
					   "programs that attach to another program are not available in the user engine: not "
					   "implemented yet");
	int err = check_attach(row, a);
	if (!err && a->prog_ifindex)
		err = explain(c, -EOPNOTSUPP, "programs bound to a network device exist in the kernel's engine only");
	return err;
}

/* == Verification == */

static bool log_is_sane(const union bpf_attr *a) {
	return !!a->log_buf == !!a->log_size && !(a->log_buf && !a->log_level) && !(a->log_level & ~15u) &&
		   a->log_size <= UINT32_MAX >> 2;
}

static int run_verifier(struct load *l, struct arena *arena, struct verify_output *out) {
	struct skep_engine *e = l->c->e;
	struct object_prog *p = l->p;
	if (e->opts.oracle && !(p->oracle = oracle_create(0)))
		return -ENOMEM;
	struct verify_input in = {
		.abi = e->abi,
		.insns = p->insns,
		.insns_n = p->insns_n,
		.prog_type = p->p.type,
		.expected_attach_type = p->p.attach_type,
		.prog_flags = p->flags,
		.license = l->license,
		.gpl_compatible = gpl_compatible(l->license),
		.caps = e->opts.caps & ~(u64)p->lacks,
		.map_by_fd = map_by_fd,
		.fd_error = &l->fd_error,
		.map_by_index = map_by_index,
		.owner = l,
		.btf = l->btf ? l->btf->btf : NULL,
		.func_info = p->func_info,
		.func_info_n = p->func_info_n,
		.func_info_size = p->func_info_size,
		.line_info = p->line_info,
		.line_info_n = p->line_info_n,
		.line_info_size = p->line_info_size,
		.attach_btf_id = p->attach_btf_id,
		.kernel = e->opts.kernel,
		.kernel_btf = engine_kernel_btf(e),
		.oracle = p->oracle,
		.log_level = l->log_level,
		.log = l->log,
		.log_size = l->log_size,
		.memory_limit = e->opts.verify_memory,
		.time_limit_ns = e->opts.verify_time_ns,
	};
	int err = verify(&in, arena, out);
	if (!err && p->oracle && !oracle_complete(p->oracle))
		engine_log(e, 2, "the oracle recorded only a part of the states of %s: its runs are not checked", p->p.name);
	return err;
}

/* The caller's log, and how long it would be in whole. */
static int give_log(struct call *c, const struct load *l, const struct verify_stats *s) {
	const union bpf_attr *a = &c->attr;
	int err = 0;
	if (l->log)
		err = call_write(c, a->log_buf, l->log, MIN(strlen(l->log) + 1, (size_t)l->log_size));
	if (!err && c->size >= offsetof(union bpf_attr, log_true_size) + sizeof a->log_true_size)
		err = call_write(c, c->uattr + offsetof(union bpf_attr, log_true_size), &s->log_true_size,
						 sizeof s->log_true_size);
	return err;
}

/* Keeps the verdict for engine_last_verdict; its strings live in the arena, which passes to the engine. */
static void keep_verdict(struct skep_engine *e, struct arena *arena, const struct verify_output *out, int error) {
	pthread_mutex_lock(&e->mutex);
	arena_free(&e->verdict_arena);
	e->verdict_arena = *arena;
	e->verdict = (struct engine_verdict){.error = error, .diag = out->diag, .stats = out->stats};
	e->verdict_made = true;
	pthread_mutex_unlock(&e->mutex);
}

/* The last load was refused before it was judged. */
static void forget_verdict(struct skep_engine *e) {
	pthread_mutex_lock(&e->mutex);
	e->verdict_made = false;
	pthread_mutex_unlock(&e->mutex);
}

static int verified(struct load *l, struct verify_output *out, struct arena *arena) {
	struct call *c = l->c;
	int err = run_verifier(l, arena, out);
	if (!l->record) {
		int log_err = give_log(c, l, &out->stats);
		err = log_err ? log_err : err;
	}
	if (err && out->diag.code) {
		const struct verify_diag *d = &out->diag;
		explain(c, err, "%s", d->sentence ? d->sentence : d->message ? d->message : "the program was refused");
		explain_suggestion(c, d->code, "%s", d->suggestion ? d->suggestion : "");
	}
	return err;
}

/* == The object == */

static void unuse_all(struct load *l) {
	for (u32 i = 0; i < l->used.n; i++)
		object_unuse(l->used.at[i].o);
	vec_free(&l->used);
}
static int hold(struct object_prog *p, struct object *o) {
	for (u32 i = 0; i < p->held.n; i++)
		if (p->held.at[i] == o)
			return (int)i;
	struct object **at = vec_push(&p->held);
	if (!at)
		return -ENOMEM;
	*at = o;
	object_hold(o);
	return (int)p->held.n - 1;
}
/* Holds the maps in the order of xlated->maps[], then what fd_array names beyond, and rewrites the program as loaded so
 * that it names them by their place. The engine's lock is held. */
static int hold_all(struct load *l, const struct xlated *x) {
	struct object_prog *p = l->p;
	for (u32 i = 0; i < x->maps_n; i++) {
		struct object_map *m = map_of_facts(x->maps[i]);
		int at = hold(p, &m->o);
		if (at < 0)
			return at;
		ASSERT(at == (int)i);
	}
	p->p.maps_n = x->maps_n;
	p->p.maps = calloc(x->maps_n + 1, sizeof *p->p.maps);
	if (!p->p.maps)
		return -ENOMEM;
	for (u32 i = 0; i < x->maps_n; i++)
		p->p.maps[i] = x->maps[i]->owner;
	for (u32 i = 0; i < l->used.n; i++) {
		int at = hold(p, l->used.at[i].o);
		if (at < 0)
			return at;
	}
	for (u32 i = 0; i + 1 < p->insns_n; i++) {
		struct bpf_insn *insn = &p->insns[i];
		if (!insn_is_ldimm64(insn))
			continue;
		bool fd = insn->src_reg == BPF_PSEUDO_MAP_FD || insn->src_reg == BPF_PSEUDO_MAP_VALUE;
		bool index = insn->src_reg == BPF_PSEUDO_MAP_IDX || insn->src_reg == BPF_PSEUDO_MAP_IDX_VALUE;
		struct object *o = fd || index ? used_as(l, insn->imm, index) : NULL;
		if (o) {
			bool value = insn->src_reg == BPF_PSEUDO_MAP_VALUE || insn->src_reg == BPF_PSEUDO_MAP_IDX_VALUE;
			insn->src_reg = value ? BPF_PSEUDO_MAP_IDX_VALUE : BPF_PSEUDO_MAP_IDX;
			insn->imm = hold(p, o);
		}
		i++;
	}
	return 0;
}

/* A prog_array takes programs of one kind only; the first program that uses it says which. */
static int check_prog_arrays(struct object_prog *p) {
	for (u32 i = 0; i < p->p.maps_n; i++) {
		struct object_map *m = CONTAINER(p->p.maps[i], struct object_map, m);
		if (m->m.facts.type == BPF_MAP_TYPE_PROG_ARRAY && !map_owner_fits(m, p))
			return -EINVAL;
	}
	return 0;
}

static int finish(struct load *l, const struct verify_output *out) {
	struct object_prog *p = l->p;
	struct skep_engine *e = l->c->e;
	p->gpl = gpl_compatible(l->license);
	p->sleepable = p->flags & BPF_F_SLEEPABLE, p->xdp_has_frags = p->flags & BPF_F_XDP_HAS_FRAGS;
	p->verified_insns = (u32)out->stats.insns_processed;
	if (!l->record)
		prog_tag(p->insns, p->insns_n, p->tag);
	if (l->btf) {
		object_hold(&l->btf->o);
		p->btf = l->btf;
	}
	memcpy(p->license, l->license, sizeof p->license);
	int err = hold_all(l, out->xlated);
	if (!err)
		err = prog_make_image(e, p, out->xlated);
	if (!err && p->p.image)
		err = check_prog_arrays(p);
	return err;
}

static s64 publish(struct load *l) {
	struct call *c = l->c;
	struct object_prog *p = l->p;
	struct skep_engine *e = c->e;
	u32 size;
	struct record *r = prog_record(p, &size);
	if (!r)
		return -ENOMEM;
	s64 fd = store_lock(&e->store);
	if (!fd) {
		fd = object_new_id(c, &p->o);
		if (!fd) {
			prog_set_id(p, p->o.id);
			fd = token_create(c, &p->o, 0, false);
		}
		if (!fd)
			fd = object_publish(c, &p->o, r, size, MODE_READ | MODE_WRITE);
		if (fd < 0 && p->o.id && e->opts.backing == BACKING_FILES)
			store_remove(&e->store, OBJECT_PROG, p->o.id);
		store_unlock(&e->store);
	}
	free(r);
	return fd;
}

static void unmap_head(struct skep_engine *e, void *head) {
	store_unmap_head(head);
}
/* Its record again, with what it holds now. */
int prog_rewrite_record(struct skep_engine *e, struct object_prog *p) {
	u32 size;
	struct record_head *head;
	struct record *r = prog_record(p, &size);
	if (!r)
		return -ENOMEM;
	int err = store_lock(&e->store);
	if (!err) {
		r->head = *p->o.head;
		r->head.size = size;
		err = store_write_facts(&e->store, p->o.id, r, size, &head);
		store_unlock(&e->store);
	}
	free(r);
	if (err)
		return err;
	retire(e, unmap_head, p->o.head); /* runs may be counting in it */
	p->o.head = head;
	return 0;
}

static struct object_prog *new_prog(void) {
	struct object_prog *p = calloc(1, sizeof *p);
	if (p) {
		p->o.kind = OBJECT_PROG, p->o.token_fd = -1;
		arena_init(&p->arena, 0);
	}
	return p;
}

s64 cmd_prog_load(struct call *c) {
	struct load l = {.c = c, .fd_array = c->attr.fd_array};
	struct verify_output out = {0};
	struct arena arena;
	forget_verdict(c->e);
	s64 r = check_attr(c);
	if (r)
		return r;
	if (!(l.p = new_prog()))
		return -ENOMEM;
	arena_init(&arena, 0);
	l.p->lacks = (u32)(c->e->opts.caps & ~c->caps);
	r = read_prog(c, &l);
	if (!r && !log_is_sane(&c->attr))
		r = -EINVAL;
	l.log_level = c->attr.log_level, l.log_size = c->attr.log_size;
	if (!r && c->attr.log_buf && !(l.log = malloc(l.log_size))) /* as large as the caller likes: not to be cleared */
		r = -ENOMEM;
	if (l.log)
		*l.log = 0;
	if (!r && c->attr.fd_array_cnt)
		r = load_bind_array(&l, c->attr.fd_array_cnt);
	bool judged = !r;
	if (judged)
		r = verified(&l, &out, &arena);
	pthread_mutex_lock(&c->e->mutex);
	collect_sometimes(c->e);
	if (!r)
		r = finish(&l, &out);
	if (!r)
		r = publish(&l);
	if (r < 0) {
		prog_let_go(c->e, l.p);
		object_free(c->e, &l.p->o);
	}
	pthread_mutex_unlock(&c->e->mutex);
	if (l.btf)
		object_unuse(&l.btf->o);
	unuse_all(&l);
	free(l.log);
	if (judged)
		keep_verdict(c->e, &arena, &out, r < 0 ? (int)r : 0);
	else
		arena_free(&arena), forget_verdict(c->e);
	return r;
}

/* fd_array_cnt: every entry is a map or a BTF and stays with the program, used or not. */
int load_bind_array(struct load *l, u32 n) {
	struct call *c = l->c;
	if (n >= UINT32_MAX / sizeof(s32) || n > IDS_MAX)
		return -EINVAL;
	for (u32 i = 0; i < n; i++) {
		s32 fd;
		struct object *o;
		int err = call_read(c, &fd, l->fd_array + (u64)i * sizeof fd, sizeof fd);
		if (!err)
			err = object_use(c, fd, 0, &o, NULL);
		if (err)
			return err;
		if (o->kind != OBJECT_MAP && o->kind != OBJECT_BTF) {
			object_unuse(o);
			return -EINVAL;
		}
		if ((err = note(l, (s32)i, true, o)))
			return err;
	}
	return 0;
}

/* A program of the store. The mutex is held: everything it names is found under it. */
int prog_open(struct call *c, const struct record *r, struct object **out) {
	struct load l = {.c = c, .record = r};
	struct verify_output v = {0};
	struct arena arena;
	if (!(l.p = new_prog()))
		return -ENOMEM;
	arena_init(&arena, 0);
	int err = prog_read_record(&l, r);
	if (!err && r->prog.btf_id) {
		struct object *o;
		err = object_find(c, OBJECT_BTF, r->prog.btf_id, &o);
		if (!err)
			l.btf = BTF_OF(o);
	}
	if (!err)
		err = verified(&l, &v, &arena);
	if (!err)
		err = finish(&l, &v);
	unuse_all(&l);
	arena_free(&arena);
	if (err) {
		prog_let_go(c->e, l.p);
		object_free(c->e, &l.p->o);
		return err;
	}
	prog_set_id(l.p, r->head.id);
	*out = &l.p->o;
	return 0;
}
