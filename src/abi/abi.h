/* The eBPF ABI as a registry: what exists, for whom, since when, and what the user engine can do of it.
 *
 *    helpers.def progs.def ctx_*.def maps.def attach.def …      one fact, one row
 *              │ expanded at compile time
 *              ▼
 *    constant tables ──────────┐
 *    rows that a host adds ────┴──► struct skep_abi ──► verifier, runtime, loader, JIT, command line
 *
 * Every engine has a registry. Its own rows are constant; a host's (program types, contexts, helpers) are appended at
 * run time under numbers that the kernel will not reach, and are found by the same functions. Code that decides by
 * program type or helper id should ask here instead, so that a host's types need no new code.
 *
 * «Verifies» and «runs» are apart: every row is a fact that the verifier uses, and `engine` says whether the user engine
 * also executes or attaches it: ENGINE_RUNS, or a row of refusals.def, which is a sentence for people.
 *
 * Rules for changing: rows use designated initialisers, so a new member does not touch them; zero must mean «nothing
 * special». Sets of program types and attach types are u64 masks of the kernel's numbers. */
#ifndef SKEP_ABI_ABI_H
#define SKEP_ABI_ABI_H
#include "abi/kinds.h"
#include "abi/uapi.h"

struct skep_abi;
struct skep_run;

/* Kernel versions compare as numbers. */
#define KV(major, minor) ((major) << 8 | (minor))

enum abi_engine {
	ENGINE_UNSET, /* a row without a word about it fails the tests */
	ENGINE_RUNS,
#define REFUSAL(NAME, ...) REFUSE_##NAME,
#include "abi/refusals.def"
#undef REFUSAL
	ENGINE_STATES
};
/* Why the user engine refuses it: a clause that completes «bpf_x is not available in the user engine: …». NULL if it
 * runs. *kernel says whether --kernel would help. */
const char *abi_refusal(u32 engine, bool *kernel);

/* == Helpers == */

enum abi_helper_flag {
	HELPER_GPL = 1 << 0,          /* for programs with a GPL-compatible licence only */
	HELPER_PKT_ACCESS = 1 << 1,   /* memory arguments may be packet pointers */
	HELPER_MIGHT_SLEEP = 1 << 2,  /* sleepable programs only */
	HELPER_CHANGES_PKT = 1 << 3,  /* packet pointers are invalid afterwards */
	HELPER_FASTCALL = 1 << 4,     /* may be called without clobbering more than it must */
	HELPER_ACQUIRES = 1 << 5,     /* the result is a reference that must be released */
	HELPER_RELEASES = 1 << 6,     /* ends the reference in the argument that says OBJ_RELEASE */
	HELPER_CALLBACK = 1 << 7,     /* runs a program's function during the call */
	HELPER_ASYNC_CALLBACK = 1 << 8, /* stores a program's function for later */
	HELPER_MAY_ABORT = 1 << 9,    /* ours: run->status must be tested after the call */
	HELPER_READS_TASK = 1 << 10,  /* ours: reads run->task */
	HELPER_READS_CPU = 1 << 11,   /* ours: reads run->cpu */
	HELPER_PTR_CAST = 1 << 12,    /* the result is the argument under another type: it shares its reference */
	HELPER_STORAGE_GET = 1 << 13, /* returns local storage of an object */
	HELPER_HOST = 1 << 14,        /* a host's row: fn is its address */
	HELPER_DYNPTR_REF = 1 << 15,  /* the result is a slice of the dynptr argument and shares its reference */
};
/* Capability a program must have been loaded with for the helper to exist for it. */
enum abi_need { NEED_NOTHING, NEED_BPF, NEED_PERFMON, NEED_NET_ADMIN, NEED_SYS_ADMIN };

struct abi_helper {
	u32 id;
	u32 ret;                /* enum bpf_return_type */
	u32 arg[5];             /* enum bpf_arg_type */
	u32 flags;              /* enum abi_helper_flag */
	u32 size[5];            /* MEM_FIXED_SIZE arguments: bytes */
	const char *btf[5];     /* ARG_PTR_TO_BTF_ID arguments: the structure's name */
	const char *ret_btf;    /* RET_PTR_TO_BTF_ID: the structure's name */
	u64 types;              /* program types that may call it (host types: see abi_prog_type.helpers) */
	u64 attach;             /* of those, with these expected attach types only; 0 = any */
	u64 maps;               /* types that its map argument may have; 0 = the map types decide */
	u16 since;              /* KV of the first kernel */
	u8 need;                /* enum abi_need */
	u8 engine;              /* enum abi_engine */
	const char *name;       /* without bpf_ */
	u64 (*fn)(u64, u64, u64, u64, u64, struct skep_run *); /* HELPER_HOST */
};

/* Who asks. */
struct abi_caller {
	u32 prog_type, attach_type;
	bool bpf, perfmon, net_admin, sys_admin; /* capabilities; sys_admin includes the others */
};
enum abi_why { ABI_OK, ABI_UNKNOWN, ABI_WRONG_TYPE, ABI_WRONG_ATTACH, ABI_NO_CAPABILITY };

const struct abi_helper *abi_helper(const struct skep_abi *abi, u32 id); /* first row of the id, or NULL */
const struct abi_helper *abi_helper_by_name(const struct skep_abi *abi, const char *name); /* with or without bpf_ */
/* The row that holds for this caller, or NULL with the reason in *why (may be NULL): one helper has different prototypes
 * for different program types. An extension program (EXT) asks as its target. Sleeping is not checked here. */
const struct abi_helper *abi_helper_for(const struct skep_abi *abi, u32 id, const struct abi_caller *who,
                                        enum abi_why *why);
/* All rows of Linux, variants included, for lists; NULL at the end. */
const struct abi_helper *abi_helper_at(u32 i);

/* == Contexts == */

enum abi_ctx_kind {
	CTX_NONE,
	CTX_FIELDS,   /* a table of fields, rewritten to the internal layout */
	CTX_IN_PLACE, /* any aligned load from first to size (stores if writable), never rewritten */
	CTX_ARGS,     /* the same, and it is an array of u64: raw tracepoints, arguments by BTF */
};
enum abi_ctx_flag {
	CTX_READ = 1 << 0,
	CTX_WRITE = 1 << 1,
	CTX_NARROW = 1 << 2,       /* loads smaller than unit are allowed */
	CTX_NARROW_WRITE = 1 << 3, /* stores too */
	CTX_WIDE = 1 << 4,         /* an aligned eight-byte access to two units is allowed */
	CTX_WIDE_WRITE = 1 << 5,
	CTX_ZERO = 1 << 6,         /* padding that reads as zero */
	CTX_NO_SIGN = 1 << 7,      /* no sign-extending loads */
	CTX_CAP_BPF = 1 << 8,      /* CGROUP_SKB programs need CAP_BPF for it */
	CTX_FOUR = 1 << 9,         /* two bytes wide, but a four-byte load is allowed and reads 0 above */
	CTX_NARROW_START = 1 << 10, /* narrow loads at its first byte only */
	CTX_NARROW_HALF = 1 << 11, /* narrow loads of two bytes only */
	CTX_START_ONLY = 1 << 12,  /* accesses at other bytes of it are not the field's */
};
struct abi_ctx_field {
	const char *name;
	u16 off, size;        /* place in the context that the program sees */
	u16 unit;             /* full access width; 0 = size */
	u16 in_off, in_size;  /* place in the internal context (of one unit); in_size 0 = not there: reads as 0 */
	u16 flags;            /* enum abi_ctx_flag */
	u32 reg;              /* what a load gives: 0 and SCALAR_VALUE = a number; PTR_TO_PACKET … with flags */
	const char *btf;      /* PTR_TO_BTF_ID: the structure's name */
	u64 read, write;      /* program types that may; 0 = all that have the context (and flags allow it) */
	u64 read_attach, write_attach; /* expected attach types that may; 0 = any */
};
struct abi_ctx {
	u32 id;               /* enum abi_ctx_id, or a host's */
	u32 kind;             /* enum abi_ctx_kind */
	const char *name;     /* of the structure, as in BTF: "__sk_buff" */
	u32 size;             /* bytes that the program sees */
	u32 in_size;          /* bytes of the internal context; 0 = the same */
	u16 first;            /* not CTX_FIELDS: lowest offset that may be accessed */
	bool writable;        /* not CTX_FIELDS: outside fields, too */
	const struct abi_ctx_field *fields;
	u32 fields_n;
};
enum abi_ctx_id {
	CTX_ID_NONE,
#define CTX(NAME, ...) CTX_##NAME,
#include "abi/ctx.def"
#undef CTX
	CTX_IDS
};
enum abi_ctx_why { CTX_OK, CTX_NO_FIELD, CTX_BAD_SIZE, CTX_MISALIGNED, CTX_READ_ONLY, CTX_WRITE_ONLY, CTX_WRONG_TYPE,
                   CTX_WRONG_ATTACH, CTX_ACROSS, CTX_TOO_NEW };
const struct abi_ctx *abi_ctx(const struct skep_abi *abi, u32 ctx_id);
const struct abi_ctx *abi_ctx_by_name(const struct skep_abi *abi, const char *name);
/* The field that an access of the context hits, checked against the program's type, or NULL with the reason in *why.
 * For CTX_IN_PLACE and CTX_ARGS an allowed access that hits no field returns one with name NULL. */
const struct abi_ctx_field *abi_ctx_field(const struct skep_abi *abi, u32 prog_type, u32 attach_type, s64 off, u32 size,
                                          bool write, enum abi_ctx_why *why);

/* The same for a structure that is not the program's context: what PTR_TO_SOCKET and its like point to. */
const struct abi_ctx_field *abi_field(const struct abi_ctx *ctx, u32 prog_type, u32 attach_type, s64 off, u32 size,
                                      bool write, enum abi_ctx_why *why);

/* == Program types == */

enum abi_prog_flag {
	PROG_TRACING = 1 << 0,        /* may read kernel memory */
	PROG_PKT_READ = 1 << 1,       /* direct packet access */
	PROG_PKT_WRITE = 1 << 2,
	PROG_LD_ABS = 1 << 3,         /* BPF_LD | BPF_ABS and BPF_IND */
	PROG_NET_ADMIN = 1 << 4,      /* loading needs CAP_NET_ADMIN */
	PROG_PERFMON = 1 << 5,        /* loading needs CAP_PERFMON */
	PROG_UNPRIV = 1 << 6,         /* may be loaded without CAP_BPF where the machine allows that at all */
	PROG_SLEEPABLE = 1 << 7,      /* BPF_F_SLEEPABLE is allowed (for some attach types: sleepable_attach) */
	PROG_NEEDS_BTF = 1 << 8,      /* attach_btf_id is mandatory */
	PROG_TEST_RUN = 1 << 9,       /* the kernel has BPF_PROG_TEST_RUN for it */
	PROG_CTX_SIZE = 1 << 10,      /* ... with ctx_in */
	PROG_ATTACH_CHECKED = 1 << 11, /* expected_attach_type must be one of `attach` */
	PROG_ATTACH_ZERO = 1 << 12,   /* expected_attach_type must be 0 */
	PROG_PKT_META = 1 << 13,      /* has data_meta */
	PROG_GPL = 1 << 14,           /* the licence must be GPL-compatible */
	PROG_FRAGS = 1 << 15,         /* BPF_F_XDP_HAS_FRAGS is allowed */
	PROG_HOST = 1 << 16,
	PROG_SPIN_LOCK = 1 << 17,     /* may use maps with bpf_spin_lock */
	PROG_TIMER = 1 << 18,         /* may use maps with timers */
	PROG_SLEEPABLE_ALWAYS = 1 << 19, /* must be loaded with BPF_F_SLEEPABLE */
};
/* Values that a program may return. Without a row: anything, but r0 must be readable. */
struct abi_return {
	u64 attach; /* expected attach types; 0 = all */
	s64 min, max;
};
struct abi_prog_type {
	u32 id;
	u32 ctx;                 /* enum abi_ctx_id */
	u32 flags;               /* enum abi_prog_flag */
	u64 attach;              /* expected attach types it may name */
	u64 sleepable_attach;    /* PROG_SLEEPABLE: of these only; 0 = all */
	u32 attach_default;      /* what an expected attach type of 0 is taken for */
	const char *name;        /* as bpftool and libbpf write it: "socket_filter" */
	const struct abi_return *returns;
	u32 returns_n;
	u16 since;
	u8 engine;
	/* PROG_HOST: the helpers it may call, besides all that the program type `like` may (0 = none). */
	const u32 *helpers;
	u32 helpers_n;
	u32 like;
};
const struct abi_prog_type *abi_prog_type(const struct skep_abi *abi, u32 id);
const struct abi_prog_type *abi_prog_type_by_name(const struct skep_abi *abi, const char *name);
/* The range for this attach type, or NULL. */
const struct abi_return *abi_return(const struct skep_abi *abi, u32 prog_type, u32 attach_type);

/* == Map types == */

enum abi_map_rule { /* what key_size and value_size must be; other values: exactly so many bytes */
	MAP_NONE = 0,
	MAP_ANY = 254,     /* more than 0 */
	MAP_SPECIAL = 255, /* a rule of the type's own, stated in the row's comment */
};
enum abi_map_flag {
	MAP_PERCPU = 1 << 0,       /* one value per possible CPU */
	MAP_MMAP = 1 << 1,         /* can be mapped into user space */
	MAP_BTF = 1 << 2,          /* may have key and value types */
	MAP_NEEDS_BTF = 1 << 3,
	MAP_INNER = 1 << 4,        /* values are maps */
	MAP_PROGS = 1 << 5,        /* values are programs */
	MAP_NO_LOOKUP = 1 << 6,    /* no lookup by bpf(2) */
	MAP_CONST_KEY = 1 << 7,    /* keys are 0 to max_entries - 1 */
	MAP_NET_ADMIN = 1 << 8,    /* creating needs CAP_NET_ADMIN */
	MAP_LOCAL_STORAGE = 1 << 9,
	MAP_BPF = 1 << 10,         /* creating needs CAP_BPF even where others may create maps */
	MAP_DIRECT_VALUE = 1 << 11, /* BPF_PSEUDO_MAP_VALUE works */
	MAP_NO_MAX_ENTRIES = 1 << 12, /* max_entries must be 0 */
	MAP_ITER = 1 << 13,        /* for_each_map_elem */
	MAP_BATCH = 1 << 14,
	MAP_EXTRA = 1 << 15,       /* map_extra has a meaning; others want 0 */
	MAP_NO_PROGRAM = 1 << 16,  /* programs cannot use it */
};
struct abi_map_type {
	u32 id;
	u32 flags;               /* enum abi_map_flag */
	u32 allowed;             /* BPF_F_* that BPF_MAP_CREATE takes */
	u32 required;            /* BPF_F_* that must be given */
	u8 key, value;           /* enum abi_map_rule */
	u8 engine;
	u16 since;
	u32 fields;              /* special fields its values may have: enum btf_field_type */
	const u32 *helpers;      /* the only ones that may take it; none = any whose row allows it */
	u32 helpers_n;
	const char *btf;         /* the kernel's structure for it, which programs may read: "bpf_htab" */
	const char *name;        /* as bpftool writes it: "percpu_hash" */
};
const struct abi_map_type *abi_map_type(const struct skep_abi *abi, u32 id);
const struct abi_map_type *abi_map_type_by_name(const struct skep_abi *abi, const char *name);
/* May this helper take a map of this type? Both directions are asked, as the kernel does. */
bool abi_map_helper(const struct skep_abi *abi, u32 map_type, u32 helper);
/* May a program of this kind update (or, remove = true, delete from) socket maps with the plain map helpers? */
bool abi_sockmap_update(u32 prog_type, u32 attach_type, bool remove);
/* May a sleepable program use a map of this type? */
bool abi_map_sleepable(u32 map_type);

/* == Attaching == */

struct abi_attach {
	u32 id;
	u64 types;               /* program types that use it */
	u32 link;                /* enum bpf_link_type, 0 = none */
	u16 since;
	u8 engine;
	const char *name;        /* as bpftool writes it: "cgroup_inet_ingress" */
};
const struct abi_attach *abi_attach(const struct skep_abi *abi, u32 id);
const struct abi_attach *abi_attach_by_name(const struct skep_abi *abi, const char *name);

/* Section names of objects, as libbpf reads them. */
enum abi_section_flag {
	SECTION_EXTRA = 1 << 0,      /* "name/…" may follow */
	SECTION_ATTACH_BTF = 1 << 1, /* what follows is a kernel function or type: attach_btf_id */
	SECTION_ATTACHABLE = 1 << 2, /* the attach type is also that of BPF_PROG_ATTACH and links */
	SECTION_EXP_OPT = 1 << 3,    /* ... and may be left out on kernels that do not know it */
	SECTION_SLEEPABLE = 1 << 4,
	SECTION_FRAGS = 1 << 5,
	SECTION_USDT = 1 << 6,
};
struct abi_section {
	const char *name;
	u32 prog_type, attach_type, flags;
	u8 engine;               /* attaching in the user engine */
};
/* The row for a section of this name, or NULL; *extra is what follows the slash, or NULL. */
const struct abi_section *abi_section(const struct skep_abi *abi, const char *section, const char **extra);
const struct abi_section *abi_section_at(u32 i); /* all, for lists and «did you mean»; NULL at the end */

struct abi_link_type {
	u32 id;
	u16 since;
	const char *name; /* as bpftool writes it */
};
const struct abi_link_type *abi_link_type(const struct skep_abi *abi, u32 id);

/* == Commands of bpf(2) == */

struct abi_cmd {
	u32 id;
	u16 end;   /* bytes of attr that the command knows: the rest must be zero */
	u16 since;
	u8 engine;
	const char *name; /* "BPF_MAP_CREATE" */
};
const struct abi_cmd *abi_cmd(const struct skep_abi *abi, u32 id);

/* == Kernel functions == */

enum abi_kfunc_flag {
	KFUNC_ACQUIRE = 1 << 0, KFUNC_RELEASE = 1 << 1, KFUNC_RET_NULL = 1 << 2, KFUNC_SLEEPABLE = 1 << 5,
	KFUNC_DESTRUCTIVE = 1 << 6, KFUNC_RCU = 1 << 7, KFUNC_ITER_NEW = 1 << 8, KFUNC_ITER_NEXT = 1 << 9,
	KFUNC_ITER_DESTROY = 1 << 10, KFUNC_RCU_PROTECTED = 1 << 11, KFUNC_FASTCALL = 1 << 12,
	KFUNC_ITER = KFUNC_ITER_NEW | KFUNC_ITER_NEXT | KFUNC_ITER_DESTROY,
	/* our own, not KF_ bits: kfuncs.def */
	KFUNC_UNDER_LOCK = 1 << 24, KFUNC_SESSION = 1 << 25, KFUNC_BPF_ITER = 1 << 26, KFUNC_DEVICE_BOUND = 1 << 27,
	KFUNC_CHANGES_PKT = 1 << 28, KFUNC_FILLS_DYNPTR = 1 << 29,
};
struct abi_kfunc {
	const char *name;
	u32 flags;   /* enum abi_kfunc_flag */
	u64 types;   /* program types that may call it */
	u16 since;
	u8 engine;
};
const struct abi_kfunc *abi_kfunc(const struct skep_abi *abi, const char *name);

/* == What programs are attached to by BTF == */

enum abi_target_kind { TARGET_HOOK, TARGET_FUNCTION, TARGET_TRACEPOINT, TARGET_ITERATOR };
enum abi_target_flag {
	TARGET_DENIED = 1 << 0,     /* nothing may be attached */
	TARGET_SLEEPABLE = 1 << 1,  /* sleepable programs may */
	TARGET_UNTRUSTED = 1 << 2,  /* hook: its arguments may be half made or half gone */
	TARGET_BOOL = 1 << 3,       /* hook: returns 0 or 1 */
	TARGET_SOCKOPT = 1 << 4,    /* hook: socket options may be got and set */
	TARGET_NORETURN = 1 << 5,   /* nothing that waits for its end */
	TARGET_MODIFIABLE = 1 << 6, /* its result may be replaced */
	TARGET_D_PATH = 1 << 7,     /* bpf_d_path works in it */
};
struct abi_target {
	const char *name;
	u8 kind;
	u16 flags;          /* enum abi_target_flag */
	u64 args;           /* tracepoint: four bits an argument: 1 may be NULL, 2 may be an error number */
	struct {
		u32 reg;        /* iterator: what an argument is; 0 = what its type says */
		const char *btf;
	} arg[4];
};
const struct abi_target *abi_target(enum abi_target_kind kind, const char *name); /* NULL: nothing special */

/* == Structures whose functions programs can be == */

struct abi_struct_ops {
	const char *name;
	const char *unsupported, *sleepable, *no_sockopt; /* members, separated by blanks */
	bool helpers;
	const char *given, *taken;     /* types of an argument: as declared, and as it is */
	const char *writable, *refusal;
	struct {
		const char *type, *member; /* «*» behind it: in parts, too */
	} written[10];
};
const struct abi_struct_ops *abi_struct_ops(const char *name); /* NULL: not understood */

/* Is a reference to such an object of the kernel's released by itself, so that a map may hold it? Those that may are freed
 * by RCU. */
bool abi_has_destructor(const char *type);

/* == System calls of x86-64 == */

struct abi_syscall {
	u32 nr;
	const char *name;    /* "openat" */
	const char *symbol;  /* what follows __x64_ in the kernel's symbol: "sys_openat"; NULL = never implemented */
	u8 args;             /* number of arguments */
	struct {
		const char *type, *name; /* as the tracepoint's format prints them: "const char *", "filename" */
	} arg[6];
};
const struct abi_syscall *abi_syscall(u32 nr);                 /* NULL when there is none */
/* "openat", "sys_openat", "__x64_sys_openat", also by the word of tracepoints ("newfstat"); or NULL. */
const struct abi_syscall *abi_syscall_by_name(const char *name);
u32 abi_syscalls(void);                                        /* highest number + 1 */

/* == Limits, kernels == */

/* Limits are constants of limits.h; these are for lists. NULL at the end. */
struct abi_limit_row {
	const char *name, *what;
	u64 value;
};
const struct abi_limit_row *abi_limit_at(u32 i);

enum abi_profile_flag { PROFILE_LTS = 1, PROFILE_DEBIAN = 2, PROFILE_ENTERPRISE = 4 };
struct abi_profile {
	const char *name; /* "5.15" */
	u16 version;      /* KV */
	u16 flags;        /* enum abi_profile_flag */
};
u16 abi_version(const char *text); /* "6.1", "v6.1", "6.1.0-18-amd64" as KV; 0 when it is none */
const struct abi_profile *abi_profile(const char *name); /* a version that has a row, or NULL */
const struct abi_profile *abi_profile_at(u32 i);

/* What else came after 4.9: features.def. */
struct abi_feature {
	const char *name, *what, *source; /* "JMP32", "32-bit comparisons", the commit that brought it */
	u16 since;
};
enum abi_features {
#define FEATURE(NAME, ...) FEATURE_##NAME,
#include "abi/features.def"
	ABI_FEATURES
};
const struct abi_feature *abi_feature(u32 feature); /* enum abi_features; NULL beyond them */
u16 abi_field_since(const char *structure, const char *member); /* 0: as old as the structure, or not known */

/* == The registry == */

/* Numbers of a host's rows start here; the kernel's tables will not reach them. */
enum { ABI_HOST_PROG_TYPE = 0x100, ABI_HOST_CTX = 0x100, ABI_HOST_HELPER = 0x10000 };

/* Linux's ABI alone: constant, for everyone. */
const struct skep_abi *abi_linux(void);
/* A registry that can grow. Rows are referred to, not copied: they must outlive it. */
struct skep_abi *abi_create(void);
void abi_destroy(struct skep_abi *abi);
/* Each returns 0, or -EINVAL for a row that contradicts itself, -EEXIST for a name or number already there, -ENOMEM; and
 * writes the number given into *id when that is not NULL and the row's is 0. */
int abi_add_ctx(struct skep_abi *abi, const struct abi_ctx *ctx);
int abi_add_helper(struct skep_abi *abi, const struct abi_helper *helper);
int abi_add_prog_type(struct skep_abi *abi, const struct abi_prog_type *type);
#endif
