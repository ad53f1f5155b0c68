/* The making of programs, between prog_load.c (commands and checks), prog_record.c (as the store keeps them) and
 * prog_image.c (as they run). */
#ifndef SKEP_RUNTIME_PROG_H
#define SKEP_RUNTIME_PROG_H
#include "runtime/state.h"

/* An object that the program names: by descriptor, or by place in fd_array (or in the record's ids). In use. */
struct used {
	s32 name;
	bool index;
	struct object *o;
};
struct load {
	struct call *c;
	struct object_prog *p;
	VEC(struct used) used;
	u64 fd_array;
	int fd_error;                /* of the last descriptor that the verifier asked for */
	const struct record *record; /* opened from the store, else NULL */
	const u32 *ids;              /* of the record */
	u32 ids_n;
	struct object_btf *btf;
	char license[128];
	u32 log_level, log_size;
	char *log;
};
int load_bind_array(struct load *l, u32 n);

/* prog_record.c */
struct record *prog_record(const struct object_prog *p, u32 *size);    /* malloc'ed */
int prog_rewrite_record(struct skep_engine *e, struct object_prog *p); /* prog_load.c */
int prog_read_record(struct load *l, const struct record *r);
void prog_tag(const struct bpf_insn *insns, u32 n, u8 tag[8]);

/* prog_image.c: an image in memory that can be executed, or p->refusal. */
int prog_make_image(struct skep_engine *e, struct object_prog *p, const struct xlated *x);
void prog_set_id(struct object_prog *p, u32 id);
#endif
