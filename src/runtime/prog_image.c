/* From verified bytecode to something that runs in this process, and the run itself.
 *
 * Code is written into a memfd through one mapping and executed through another: at no time is a page both writable and
 * executable, and the writable one is gone before the program is published. Where memfds are denied an anonymous
 * mapping changes its protection instead. The directory of the file backing never holds code (it may be mounted
 * noexec).
 *
 * Runs take no lock. A run whose program can reach other programs or inner maps through slots announces itself
 * (run_enter), so that those are not freed under it; a run of any other program uses only what the program itself
 * holds, which the caller's reference keeps. */
#include "abi/diag.h"
#include "base/large.h"
#include "helper/helper.h"
#include "runtime/prog.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BUDGET_DEFAULT = 1000000 };

/* == What cannot run == */

static void refuse(struct object_prog *p, u32 code, const char *name, const char *why) {
	const struct diag_row *row = diag_row(code);
	const struct diag_value values[] = {{"type", name}, {"name", name}, {"prog", name}, {"why", why}};
	char text[512];
	diag_format(row ? row->sentence : "{name}: {why}", values, ARRAY_SIZE(values), text, sizeof text);
	p->p.refusal = arena_printf(&p->arena, "%s", text);
	if (!p->p.refusal)
		p->p.refusal = "the program needs what the user engine does not run";
	p->p.refusal_code = code;
}
static const char *because(u32 engine) {
	bool kernel;
	const char *why = abi_refusal(engine, &kernel);
	return why ? why : "not implemented yet";
}

static bool helper_refused(struct skep_engine *e, struct object_prog *p, u32 id) {
	const struct abi_caller who = {.prog_type = p->p.type,
								   .attach_type = p->p.attach_type,
								   .bpf = true,
								   .perfmon = true,
								   .net_admin = true,
								   .sys_admin = true};
	const struct abi_helper *h = abi_helper_for(e->abi, id, &who, NULL);
	char name[64];
	if (!h)
		h = abi_helper(e->abi, id);
	if (h && ((h->flags & HELPER_HOST) || h->engine == ENGINE_RUNS))
		return false;
	snprintf(name, sizeof name, "bpf_%s", h ? h->name : "helper");
	refuse(p, DIAG_HELPER_NOT_RUN, name, because(h ? h->engine : ENGINE_UNSET));
	return true;
}

/* Kernel pointers, lists and trees in values are the kernel's: here nobody keeps them. */
static bool has_kernel_objects(const struct map_facts *f) {
	return f && (f->fields.kptrs || has_kernel_objects(f->inner));
}

/* Names the first thing that keeps the program from running, if any. */
static bool cannot_run(struct skep_engine *e, struct object_prog *p, const struct xlated *x) {
	for (u32 i = 0; i < x->maps_n; i++) {
		const struct abi_map_type *row = abi_map_type(e->abi, x->maps[i]->type);
		if (has_kernel_objects(x->maps[i])) {
			refuse(p, DIAG_HELPER_NOT_RUN, "a map with kernel pointers, lists or trees in its values",
				   "only the kernel has the objects");
			return true;
		}
		if (map_ops_of(x->maps[i]->type))
			continue;
		refuse(p, DIAG_MAP_NOT_RUN, row ? row->name : "unknown", because(row ? row->engine : ENGINE_UNSET));
		return true;
	}
	if (x->reads_map_fields) {
		refuse(p, DIAG_MAP_FIELDS_NOT_RUN, p->p.name, "");
		return true;
	}
	for (u32 i = 0; i < x->n; i++) {
		const struct bpf_insn *insn = &x->insns[i];
		if (insn_is_ldimm64(insn)) {
			if (insn->src_reg == BPF_PSEUDO_BTF_ID) {
				refuse(p, DIAG_HELPER_NOT_RUN, "an address of the kernel", "only the kernel has its variables");
				return true;
			}
			i++;
		} else if (insn_is_helper_call(insn)) {
			if (helper_refused(e, p, insn->imm))
				return true;
		} else if (insn_is_kfunc_call(insn)) {
			refuse(p, DIAG_HELPER_NOT_RUN, "a kernel function (kfunc)", "not implemented yet");
			return true;
		}
	}
	return false;
}

/* == Code == */

static u64 resolve(void *owner, u16 kind, u16 index, u64 addend) {
	struct object_prog *p = owner;
	const struct map *map;
	switch (kind) {
	case RELOC_DP:
		return (u64)(uintptr_t)dataplane_function(index) + addend;
	case RELOC_MAP:
		ASSERT(index < p->p.maps_n);
		return (u64)(uintptr_t)&p->p.maps[index]->map + addend;
	case RELOC_MAP_VALUE:
		ASSERT(index < p->p.maps_n);
		map = &p->p.maps[index]->map;
		return (u64)(uintptr_t)map_values(map) + addend;
	case RELOC_CODE:
		return (u64)(uintptr_t)p->code + addend;
	case RELOC_CONST:
		return index == CONST_NR_CPUS ? p->nr_cpus : (u64)(uintptr_t)p->p.image;
	}
	ASSERT(!"relocation kind");
	return 0;
}

static void *code_by_mprotect(const struct image *image, struct object_prog *p, u64 size) {
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	p->code = at;
	image_relocate(image, at, (u64)(uintptr_t)at, resolve, p);
	if (mprotect(at, size, PROT_READ | PROT_EXEC)) {
		munmap(at, size);
		return NULL;
	}
	return at;
}
/* The code is written, not mapped writable first: a second mapping with its page faults and the flush when it goes costs
 * four times as much as all the rest. */
static void *code_by_memfd(const struct image *image, struct object_prog *p, u64 size) {
	int fd = memfd_create("bpf-code", MFD_CLOEXEC);
	u8 *copy = large_alloc(image->code_size);
	void *rx = fd >= 0 && copy && !ftruncate(fd, size) ? mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0)
	                                                   : MAP_FAILED;
	if (rx != MAP_FAILED) {
		p->code = rx;
		image_relocate(image, copy, (u64)(uintptr_t)rx, resolve, p);
		u64 done = 0;
		for (s64 n; done < image->code_size; done += (u64)n)
			if ((n = pwrite(fd, copy + done, image->code_size - done, (off_t)done)) <= 0)
				break;
		if (done < image->code_size) {
			munmap(rx, size);
			rx = MAP_FAILED;
		}
	}
	free(copy);
	if (fd >= 0)
		close(fd);
	return rx == MAP_FAILED ? NULL : rx;
}
static int map_code(struct object_prog *p) {
	const struct image *image = p->p.image;
	u64 size = round_up(image->code_size, 4096);
	p->code = code_by_memfd(image, p, size);
	if (!p->code)
		p->code = code_by_mprotect(image, p, size);
	if (!p->code)
		return -EPERM;
	p->code_size = size;
	p->p.entry = (u64)(uintptr_t)p->code + image->entry;
	return 0;
}

/* A run whose registers lay outside of what the verifier had seen: a hole in the verifier, or a wrong engine. */
static void report(void *owner, const char *text) {
	const struct object_prog *p = owner;
	engine_log(p->engine, 0, "oracle: %s: %s", p->p.name, text);
}

static bool reaches_objects(const struct xlated *x) {
	if (x->has_tail_call)
		return true;
	for (u32 i = 0; i < x->maps_n; i++)
		if (map_has_slots(x->maps[i]->type))
			return true;
	return false;
}

static int keep_unrun(struct object_prog *p, const struct xlated *x) {
	struct xlated *c = arena_copy(&p->arena, x, sizeof *x);
	if (!c)
		return -ENOMEM;
	c->insns = arena_copy(&p->arena, x->insns, x->n * sizeof *x->insns);
	c->subprogs = arena_copy(&p->arena, x->subprogs, x->subprogs_n * sizeof *x->subprogs);
	c->facts = NULL, c->maps = NULL;
	p->unrun = c;
	return c->insns && c->subprogs ? 0 : -ENOMEM;
}

int prog_make_image(struct skep_engine *e, struct object_prog *p, const struct xlated *x) {
	p->nr_cpus = e->nr_cpus, p->engine = e;
	p->needs_epoch = reaches_objects(x);
	if (cannot_run(e, p, x))
		return keep_unrun(p, x);
	bool jit = !e->opts.interpreter_only && !e->opts.oracle;
	int err = image_build(x, e->opts.metered ? IMAGE_METERED : 0, jit, &p->p.image);
	if (err == -EOPNOTSUPP) {
		refuse(p, DIAG_PROG_NOT_RUN, p->p.name, "it needs an instruction that is not implemented yet");
		return keep_unrun(p, x);
	}
	if (err)
		return err;
	memcpy(&p->p.image->tag, p->tag, sizeof p->tag);
	p->p.image->generation = 1;
	p->interp = (struct interp_env){.resolve = resolve, .owner = p, .oracle = p->oracle, .oracle_report = report};
	p->interp_program = (struct interp_program){p->p.image, &p->interp};
	if (p->p.image->code && map_code(p)) {
		/* No executable memory in this process (a hardened system): the interpreter does the same. */
		engine_log(e, 1, "%s runs interpreted: this process may not have executable memory", p->p.name);
		p->code = NULL;
	}
	return 0;
}
void prog_set_id(struct object_prog *p, u32 id) {
	p->o.id = p->p.id = id;
	if (p->p.image)
		p->p.image->id = id;
}
const void *prog_tail_address(const struct object_prog *p) {
	ASSERT(p->p.image);
	return p->code ? (const u8 *)p->code + p->p.image->tail_entry : (const void *)&p->interp_program;
}
u32 prog_ctx_bytes(const struct object_prog *p) {
	return p->p.image ? p->p.image->xlated->max_ctx_offset : 0;
}

void prog_let_go(struct skep_engine *e, struct object_prog *p) {
	for (u32 i = 0; i < p->held.n; i++)
		object_release(p->held.at[i]);
	p->held.n = 0;
	if (p->btf)
		object_release(&p->btf->o);
	p->btf = NULL;
}
void prog_free(struct skep_engine *e, struct object_prog *p) {
	ASSERT(!p->held.n);
	if (p->code)
		munmap(p->code, p->code_size);
	if (p->p.image)
		image_free(p->p.image);
	if (p->oracle)
		oracle_destroy(p->oracle);
	vec_free(&p->held);
	arena_free(&p->arena);
	free(p->p.maps);
	free(p->insns);
	free(p->func_info);
	free(p->line_info);
	free(p);
}

/* == Runs == */

static u64 now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + t.tv_nsec;
}
static u32 current_cpu(const struct skep_engine *e) {
	int cpu = sched_getcpu();
	return cpu >= 0 && (u32)cpu < e->nr_cpus ? (u32)cpu : 0;
}

static u64 run_once(struct object_prog *p, void *ctx, struct skep_run *run) {
	typedef u64 entry(void *ctx, struct skep_run *run);
	u64 r0 = p->code ? ((entry *)p->p.entry)(ctx, run) : interp_run(p->p.image, &p->interp, ctx, run);
	if (unlikely(run->held_n || run->status))
		run_release(run);
	return r0;
}

int engine_run(struct skep_engine *e, struct engine_prog *prog, void *ctx, struct skep_run *run, u64 *r0) {
	struct object_prog *p = CONTAINER(prog, struct object_prog, p);
	const struct image *image = prog->image;
	if (unlikely(!image))
		return -EOPNOTSUPP;
	run->image = image, run->ctx = ctx, run->prog_type = prog->type;
	if (!run->env)
		run->env = &e->env;
	if (!run->budget && (image->flags & IMAGE_METERED))
		run->budget = BUDGET_DEFAULT;
	bool counted = READ_ONCE(e->stats_on);
	u64 start = counted ? now_ns() : 0;
	if (!p->needs_epoch) {
		if (image->xlated->uses_cpu)
			run->cpu = current_cpu(e);
		*r0 = run_once(p, ctx, run);
	} else {
		run->cpu = current_cpu(e);
		u32 ticket = run_enter(e, run->cpu);
		*r0 = run_once(p, ctx, run);
		run_leave(e, ticket);
	}
	if (counted) {
		__atomic_fetch_add(&p->o.head->run_count, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&p->o.head->run_time_ns, now_ns() - start, __ATOMIC_RELAXED);
		WRITE_ONCE(prog->run_count, READ_ONCE(p->o.head->run_count));
		WRITE_ONCE(prog->run_time_ns, READ_ONCE(p->o.head->run_time_ns));
	}
	return 0;
}
