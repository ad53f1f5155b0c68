/* The engine's insides, private to this room.
 *
 *        descriptor ──fstat──► (device, inode) ──► struct object ◄── id
 *                                                     │ kind
 *             ┌──────────────┬──────────────┬─────────┴────┐
 *         object_map     object_prog    object_btf    object_link
 *
 * What keeps an object: a lease (somebody has a descriptor of its token open, in any process), a pin, another object
 * (holds), or a command that is looking at it (uses). The engine is not told when a descriptor is closed; it asks, in
 * collect.c, before a command would show the difference.
 *
 * Locks. engine.mutex guards the tables, the store and every change to an object's relations. Map elements and program
 * runs need no lock: a command takes a use of its object under the mutex and works without it. In the file backing
 * the store lock (an OFD lock on the directory's lock file) comes inside the mutex and excludes other processes. */
#ifndef SKEP_RUNTIME_STATE_H
#define SKEP_RUNTIME_STATE_H
#include "abi/limits.h"
#include "abi/uapi.h"
#include "base/vec.h"
#include "btf/btf.h"
#include "runtime/engine.h"
#include "runtime/store.h"
#include "verify/oracle.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ENOTSUPP = 524 }; /* the kernel's own; bpf(2) lets user space see it */
enum object_kind { OBJECT_MAP = 1, OBJECT_PROG, OBJECT_LINK, OBJECT_BTF, OBJECT_KINDS };

struct object {
	u32 kind, id;
	u32 uses;  /* commands in progress; atomic */
	u32 holds; /* other objects and callers of engine_*_get; the token carries the hold lease while it is not 0 */
	u32 got;   /* of them, callers of engine_*_get */
	u64 dev, ino;
	int token_fd;             /* the engine's own description; -1 with handles */
	u32 counted;              /* descriptors whose closing cannot be observed: handles, or without /proc */
	u32 pins;                 /* anonymous backing: names in engine.pins */
	bool unwatched;           /* the descriptors of this object are in `counted` */
	bool restricted;          /* some descriptor may be for reading or writing only */
	struct record_head *head; /* shared with other processes (files) or private */
	struct object *next_ino, *next_id;
};

struct object_btf {
	struct object o;
	const struct btf *btf;
	char name[16];
};

/* What a prog_array demands of its programs: fixed by the first one. */
struct slot_owner {
	u32 type, attach_type; /* type 0: none yet */
	bool xdp_has_frags, jited;
};

struct object_map {
	struct object o;
	struct engine_map m;
	struct object_btf *btf;
	u32 ifindex, vmlinux_value_type_id;
	u64 cookie;
	struct slot_owner owner;
	struct map_table *table;    /* m.map.objects, owned */
	VEC(struct object *) slots; /* what the table names: each with a hold */
	struct engine_map *meta;    /* m.inner, owned: facts only */
	struct object_btf *meta_btf;
};

struct object_prog {
	struct object o;
	struct engine_prog p;
	struct skep_engine *engine;
	struct object_btf *btf;
	VEC(struct object *) held; /* maps of the program and those bound later: each with a hold */
	u32 used_maps;             /* of held, the first are maps; what follows is BTF */
	u32 insns_n;
	struct bpf_insn *insns; /* as loaded, map references as indexes: what the record says */
	u8 tag[8];
	bool gpl, sleepable, xdp_has_frags, needs_epoch;
	u32 flags, attach_btf_id, verified_insns, nr_cpus;
	u32 lacks; /* enum verify_cap: what its loader did not have */
	char license[128];
	void *func_info, *line_info;
	u32 func_info_n, func_info_size, line_info_n, line_info_size;
	void *code; /* mapped executable, never writable; NULL: interpreted */
	u64 code_size;
	struct interp_env interp;
	struct interp_program interp_program; /* what tail calls jump to when interpreted */
	struct oracle *oracle;                /* with opts.oracle: what the verifier saw */
	struct xlated *unrun;                 /* of a program that cannot run, in the arena: for dumps */
	struct arena arena;
};

struct object_link {
	struct object o;
	struct object_prog *prog;
	const struct attach_ops *ops;
	void *attached; /* NULL once detached */
	u32 type, attach_type;
};

/* Retired memory: freed when every run that could have seen it is over (retire.c). */
struct retired {
	struct retired *next;
	void (*free)(struct skep_engine *e, void *what);
	void *what;
	u32 seen; /* phases that have been idle since */
};
enum { RUN_SLOTS = 64 };
struct run_slot {
	u64 running[2];
} __attribute__((aligned(64)));

struct handle {
	struct object *o; /* NULL: free */
	u32 mode;
};
struct pin {
	char *path;
	struct object *o;
};

enum { MODE_READ = 1, MODE_WRITE = 2 };
enum { OBJECT_BUCKETS = 1024, PROBLEMS = 16 };

struct skep_engine {
	struct engine_opts opts;
	pthread_mutex_t mutex;
	const struct skep_abi *abi;
	pthread_mutex_t btf_mutex;
	const struct btf *kernel_btf; /* behind btf_mutex; NULL: not parsed yet */
	struct store store;           /* open with BACKING_FILES only */
	struct object *by_ino[OBJECT_BUCKETS], *by_id[OBJECT_BUCKETS];
	u32 objects_n, made_since_collect;
	u32 last_id; /* anonymous backing */
	VEC(struct handle) handles;
	VEC(struct pin) pins;
	u32 loading;                         /* depth of object_load */
	VEC(struct object_map *) unresolved; /* maps whose slots wait for the end of it */
	u32 stats_on;                        /* ENABLE_STATS descriptors */
	const struct attach_ops *attach;
	struct run_env env;
	u64 counters[RUN_COUNTERS];
	struct engine_verdict verdict;
	struct arena verdict_arena;
	bool verdict_made;
	u32 nr_cpus;

	struct run_slot runs[RUN_SLOTS];
	u32 phase;
	struct retired *retired;

	pthread_mutex_t problem_mutex;
	struct {
		u32 tid;
		struct engine_problem problem;
	} problems[PROBLEMS];
	u32 problem_next;
	struct map trace;            /* a ring buffer: run_env.trace */
	pthread_mutex_t trace_mutex; /* one reader at a time */
};

/* One command on its way. */
struct call {
	struct skep_engine *e;
	const struct bpf_caller *caller;
	union bpf_attr attr;
	u64 uattr;
	u64 caps; /* enum verify_cap: what the caller may do */
	u32 size;
	bool explained;
	struct engine_problem problem;
};

#define SET(NAME) (1ull << BPF_MAP_TYPE_##NAME) /* of one map type */
#define CONTAINER(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define MAP_OF(object) CONTAINER(object, struct object_map, o)
#define PROG_OF(object) CONTAINER(object, struct object_prog, o)
#define BTF_OF(object) CONTAINER(object, struct object_btf, o)
#define LINK_OF(object) CONTAINER(object, struct object_link, o)

static inline struct object_map *map_of_facts(const struct map_facts *f) {
	return CONTAINER(f->owner, struct object_map, m);
}

/* A caller who has neither CAP_BPF nor CAP_SYS_ADMIN. The owner of an engine for untrusted programs is not one: types and
 * dumps are for whoever looks at the programs. */
static inline bool call_lacks_bpf(const struct call *c) {
	return c->caller && c->caller->lacks & VERIFY_BPF;
}

/* call.c: the caller's memory and the words for people. explain gives error back, so that one can return it. */
int call_read(const struct call *c, void *to, u64 from, u64 bytes);
int call_read_checked(const struct call *c, void *to, u64 from, u64 bytes);
int call_write(const struct call *c, u64 to, const void *from, u64 bytes);
int call_read_string(const struct call *c, char *to, u32 size, u64 from); /* length, or -EFAULT; cut at size - 1 */
int call_tail_zero(const struct call *c, u64 at, u32 known, u32 given);   /* 0, -E2BIG, -EFAULT */
int explain(struct call *c, int error, const char *fmt, ...) PRINTF(3, 4);
/* The store's directory has no room for so many bytes: to the caller it is memory that is not there, -ENOMEM. */
int explain_full(struct call *c, u64 bytes);
void explain_suggestion(struct call *c, u32 code, const char *fmt, ...) PRINTF(3, 4);
void engine_log(struct skep_engine *e, int level, const char *fmt, ...) PRINTF(3, 4);
int name_copy(char to[16], const char from[16]); /* 0 or -EINVAL, as bpf_obj_name_cpy */

/* token.c */
int token_create(struct call *c, struct object *o, u64 data_size, bool commit);
int token_open(struct call *c, struct object *o, u32 mode); /* a new descriptor of the caller, or negative errno */
bool token_leased(const struct object *o);
bool token_user_leased(const struct object *o); /* by descriptors, not by other objects */
void token_hold(struct object *o, bool on);
void token_close(struct object *o);
int token_lease(int fd, u32 mode); /* marks a description as a user's */

/* object.c */
void object_add(struct skep_engine *e, struct object *o);
struct object *object_by_id(struct skep_engine *e, u32 id); /* known in this process */
struct object *object_by_ino(struct skep_engine *e, u64 dev, u64 ino);
int object_find(struct call *c, u32 kind, u32 id, struct object **out); /* opens it from the store; mutex held */
int object_use(struct call *c, int fd, u32 kind, struct object **out, u32 *mode); /* takes the mutex itself */
int object_of_foreign(struct call *c, u64 ino, struct object **out); /* a token this process has not seen */
void object_unuse(struct object *o);
void object_hold(struct object *o); /* mutex held */
void object_release(struct object *o);
void object_drop(struct skep_engine *e, struct object *o); /* out of the tables, its relations ended, memory retired */
void object_free(struct skep_engine *e, struct object *o);
int object_new_id(struct call *c, struct object *o); /* and its files' token comes next */
int object_publish(struct call *c, struct object *o, struct record *r, u32 size,
				   u32 mode); /* facts, tables, descriptor */

/* collect.c: mutex held. */
void collect(struct skep_engine *e);
void collect_sometimes(struct skep_engine *e);

/* retire.c */
void retire(struct skep_engine *e, void (*free_it)(struct skep_engine *, void *), void *what);
void retire_poll(struct skep_engine *e);
static inline u32 run_enter(struct skep_engine *e, u32 cpu) {
	u32 phase = READ_ONCE(e->phase) & 1, slot = cpu % RUN_SLOTS;
	__atomic_add_fetch(&e->runs[slot].running[phase], 1, __ATOMIC_SEQ_CST);
	return slot * 2 + phase;
}
static inline void run_leave(struct skep_engine *e, u32 ticket) {
	__atomic_sub_fetch(&e->runs[ticket / 2].running[ticket & 1], 1, __ATOMIC_RELEASE);
}

/* map_create.c, map_check.c, map_area.c, map_slots.c */
bool map_is_percpu(u32 type);
int map_check_unrun(const struct skep_abi *abi,
					const struct map_facts *f); /* alloc_check of the types that have no ops */
bool map_may_be_inner(u32 type);
bool map_equals_template(const struct map_facts *t, const struct map_facts *m);
int map_find_fields(struct skep_engine *e, struct map_facts *f); /* special fields of the value type */
/* Can what the fields refer to be released when the value goes? */
bool fields_have_destructors(struct skep_engine *e, const struct btf *btf, const struct btf_fields *f);
int map_check_btf(struct call *c, struct object_map *m, s32 btf_fd);
int map_open(struct call *c, const struct record *r, struct object **out);
int map_opened(struct call *c, struct object_map *m); /* its id and token are known: map the areas */
void map_let_go(struct skep_engine *e, struct object_map *m);
void map_free(struct skep_engine *e, struct object_map *m);
int map_area_create(struct call *c, struct object_map *m);
int map_area_open(struct call *c, struct object_map *m);
void map_area_close(struct object_map *m);
bool map_has_slots(u32 type);
u32 map_slot_ids(struct skep_engine *e, const struct record *r, u32 **ids); /* of a map of the store, malloc'ed */
int map_slot_update(struct call *c, struct object_map *m, const void *key, const void *value, u64 flags);
int map_slot_lookup(struct call *c, struct object_map *m, const void *key, void *value);
int map_slot_delete(struct call *c, struct object_map *m, const void *key);
void map_slots_clear(struct skep_engine *e, struct object_map *m);
void map_slots_rebuild(struct call *c, struct object_map *m);
bool map_owner_fits(struct object_map *m, const struct object_prog *p); /* of a prog_array; the first one fixes it */
u64 map_value_bytes(const struct engine_map *m);

/* btf_object.c, prog_*.c, link.c */
int btf_open(struct call *c, const struct record *r, struct object **out);
void btf_object_free(struct object_btf *b);
int prog_open(struct call *c, const struct record *r, struct object **out);
const void *prog_tail_address(const struct object_prog *p); /* what tail calls jump to */
u32 prog_ctx_bytes(const struct object_prog *p);            /* what the program may read of a context of plain bytes */
u64 prog_record_ids(const struct record_prog *r);           /* where the ids stand, from the record's start */
void prog_let_go(struct skep_engine *e, struct object_prog *p);
void prog_free(struct skep_engine *e, struct object_prog *p);
void link_let_go(struct skep_engine *e, struct object_link *l);

/* info.c: the caller's information record, read with its length, and given back. */
int info_read(struct call *c, void *info, u32 size, u32 *given);
int info_write(struct call *c, const void *info, u32 given);
int prog_info(struct call *c, struct object_prog *p);

/* guard.c: runs fn(arg) with SIGBUS turned into -EFAULT. */
int guarded(bool needed, int (*fn)(void *arg), void *arg);
int guard_install(void);
void guard_remove(void);

/* trace.c */
int trace_create(struct skep_engine *e);
void trace_destroy(struct skep_engine *e);

/* The commands: cmd_X for every row of cmds.def that is carried out; CHECK_ATTR says which attributes it has. */
typedef s64 command(struct call *c);
command cmd_map_create, cmd_map_lookup_elem, cmd_map_update_elem, cmd_map_delete_elem, cmd_map_get_next_key,
	cmd_map_lookup_and_delete_elem, cmd_map_freeze, cmd_map_batch;
command cmd_prog_load, cmd_prog_test_run, cmd_prog_bind_map, cmd_enable_stats;
command cmd_obj_pin, cmd_obj_get, cmd_obj_get_info_by_fd, cmd_btf_load;
command cmd_prog_get_next_id, cmd_map_get_next_id, cmd_btf_get_next_id, cmd_link_get_next_id;
command cmd_prog_get_fd_by_id, cmd_map_get_fd_by_id, cmd_btf_get_fd_by_id, cmd_link_get_fd_by_id;
command cmd_link_create, cmd_link_update, cmd_link_detach, cmd_raw_tracepoint_open;
#endif
