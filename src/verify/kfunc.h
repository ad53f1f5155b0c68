/* Calls of kernel functions: what their parts share. Only files of this room include it.
 *
 *   kfunc.c        which function a call means, who may call it, what comes back
 *   kfunc_args.c   arguments, by their BTF types and the suffixes of their names
 *   section.c      sections that functions open and close: RCU, no preemption;   irq.c   no interrupts;   lock.c
 *   iter.c         iterators on the stack
 *   graph.c        objects that programs allocate, their references, lists and trees */
#ifndef SKEP_VERIFY_KFUNC_H
#define SKEP_VERIFY_KFUNC_H
#include "verify/env.h"

/* Functions that the verifier itself must know. */
enum kfunc_special {
	KF_PLAIN, KF_RCU_READ_LOCK, KF_RCU_READ_UNLOCK, KF_PREEMPT_DISABLE, KF_PREEMPT_ENABLE, KF_CAST_TO_KERN_CTX,
	KF_RDONLY_CAST, KF_CSS_TASK_NEW, KF_SESSION_COOKIE, KF_GET_KMEM_CACHE, KF_TRAP, KF_DYNPTR_FROM_SKB,
	KF_DYNPTR_FROM_XDP, KF_DYNPTR_FROM_SKB_META, KF_DYNPTR_CLONE, KF_DYNPTR_SLICE, KF_DYNPTR_SLICE_RDWR,
	KF_WQ_SET_CALLBACK, KF_TASK_WORK, KF_THROW, KF_IRQ_SAVE, KF_IRQ_RESTORE,
	KF_RES_LOCK, KF_RES_LOCK_IRQ, KF_RES_UNLOCK, KF_RES_UNLOCK_IRQ,
	KF_OBJ_NEW, KF_PERCPU_OBJ_NEW, KF_OBJ_DROP, KF_PERCPU_OBJ_DROP, KF_REFCOUNT_ACQUIRE,
	KF_LIST_PUSH, KF_LIST_POP, KF_LIST_PEEK, KF_RB_ADD, KF_RB_REMOVE, KF_RB_PEEK,
};

/* A function that the program names: found once, before the walk. */
struct kfunc {
	struct kfunc *next;
	u32 id;               /* of the FUNC in the kernel's BTF */
	u32 flags;            /* enum abi_kfunc_flag */
	enum kfunc_special special;
	bool known, allowed;  /* it has a row; programs like this one may call it */
	const char *name;
	const struct btf_type *proto;
	const struct btf_param *params;
	u32 params_n;
};

/* One call, while it is looked at. */
struct kfunc_call {
	const struct kfunc *f;
	u32 ref;              /* id of the reference among the arguments */
	u32 release_reg;      /* register whose reference ends, 0 none */
	bool has_constant;
	u64 constant;         /* of the argument that must be one */
	u32 mem_size;         /* of the memory that comes back, 0: by its type */
	bool mem_rdonly;
	u32 ctx_id;           /* of the kernel's own context */
	u32 iter_frame, iter_slot;
	struct { /* the last one in use among the arguments; id 0: none */
		u32 type, id, ref;
	} dynptr;
	const struct map_ref *map; /* among the arguments, or of the value to which one points; NULL: none */
	u32 map_uid;
	u32 buffer_frame;     /* frame + 1 in whose stack the memory lies that a slice may be; 0 none */
	bool packet_dynptr;   /* one of them is the packet */
	const struct btf *root_btf; /* graph.c: of the root among the arguments, NULL: none */
	struct btf_field root;
	const struct btf *object_btf; /* type of the object that is passed */
	u32 object_id;
	bool owned;           /* the reference that is counted once more is the program's own */
	s32 callback;         /* subprogram among the arguments, 0 none */
};

int check_kfunc_args(struct verifier *v, struct kfunc_call *call);
/* Of BTF_KIND_INT or an enumeration. */
bool kfunc_is_number(const struct btf_type *t);
bool kfunc_is_number_struct(struct verifier *v, const struct btf *btf, const struct btf_type *t, u32 depth);

/* Whoever cannot sleep, or holds a lock, is in one all the time. */
static inline bool in_rcu_section(const struct verifier *v) {
	return v->cur->active_rcu || v->cur->active_locks || !v->cur->in_sleepable;
}
int step_section(struct verifier *v, const struct kfunc *f);

enum graph_arg { GRAPH_NONE, GRAPH_OBJECT, GRAPH_COUNTED, GRAPH_ROOT, GRAPH_NODE };
/* What of that kind the argument wants; type: the struct's name behind the pointer, or "". */
enum graph_arg graph_arg_kind(const char *param, const struct btf *btf, const struct btf_type *t);
int check_graph_arg(struct verifier *v, u32 i, enum graph_arg kind, struct kfunc_call *call);
int step_graph(struct verifier *v, const struct kfunc_call *call);
/* r0: *done: it is set. */
int set_graph_result(struct verifier *v, const struct kfunc_call *call, struct reg *r, bool *done);
int check_res_lock_arg(struct verifier *v, u32 regno, const struct kfunc_call *call);
int push_failed_lock(struct verifier *v);
int check_irq_arg(struct verifier *v, u32 regno, const struct kfunc_call *call);

int check_iter_arg(struct verifier *v, u32 regno, struct kfunc_call *call);
int step_iter_next(struct verifier *v, const struct kfunc_call *call);
struct reg *iter_of(struct state *s, const struct kfunc_call *call);
#endif
