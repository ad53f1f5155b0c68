/* Inside the room: an object file on its way into an engine.
 *
 *   ELF ──elf.c──► sections, symbols          .BTF ──fixup.c──► object->btf, as the kernel will take it
 *        ──functions.c──► functions ◄──records of .BTF.ext (functions.c), relocations (relocate.c)
 *        ──maps_*.c──► maps          ──externs.c──► kconfig values, kernel symbols
 *        ──programs.c──► programs: which functions are entered from outside, and how ◄──struct_ops.c
 *
 *   load.c: BTF_LOAD, MAP_CREATE, initial contents; then for each program link.c: its function and all that it calls,
 * one behind the other, addresses filled in; PROG_LOAD.
 *
 * Everything is parsed into arrays of our own before it is used; nothing points into libelf's memory but section data.
 * All allocation is from object->arena or a VEC freed in skep_object__close. Indexes into arrays instead of pointers
 * while arrays still grow. An object file is hostile: every number in it is checked where it is read.
 *
 * Errors: a function that finds one says it through object_error (one sentence, what to do about it) and returns the
 * negative errno; callers pass it on without another word. */
#ifndef SKEP_LIB_OBJECT_H
#define SKEP_LIB_OBJECT_H
#include "abi/abi.h"
#include "base/arena.h"
#include "base/vec.h"
#include "btf/core.h"
#include "btf/ext.h"
#include "skep/skep.h"

enum { NONE = 0xffffffff };
enum { PAGE = 4096, INSNS_MAX = 1000 * 1000, FUNCTIONS_MAX = 1 << 20, MAP_NAME = 16 };

enum section_kind {
	SECTION_OTHER,
	SECTION_CODE,
	SECTION_DATA,
	SECTION_RODATA,
	SECTION_BSS,
	SECTION_MAPS,        /* .maps */
	SECTION_LEGACY_MAPS, /* maps */
	SECTION_STRUCT_OPS,
	SECTION_ARENA,
};
struct section {
	const char *name;
	u32 kind, type;
	u64 flags, size;
	const u8 *data; /* NULL for NOBITS */
	u32 link, info;
	u32 map;    /* the map that stands for its data, or NONE */
	u32 maps_n; /* maps declared in it */
};
struct symbol {
	const char *name;
	u64 value, size;
	u32 section; /* SHN_UNDEF 0; SHN_ABS and such as they are */
	u8 type, bind, visibility;
	u32 extern_; /* index, or NONE */
};

/* What an instruction refers to. */
enum ref_kind {
	REF_NONE,
	REF_MAP,      /* index: map; 64-bit immediate becomes its descriptor */
	REF_DATA,     /* index: map of a data section; off: added to the immediate */
	REF_CALL,     /* index: function */
	REF_FUNCTION, /* index: function, as an address for a callback */
	REF_EXTERN,   /* index: extern; 64-bit immediate */
	REF_EXTERN_CALL,
};
struct ref {
	u32 insn; /* in the function */
	u32 kind, index;
	u32 off;
};
/* Why an instruction was poisoned: told when the verifier reaches it. */
struct poison {
	u32 insn; /* in the function */
	const char *why;
};
struct function {
	const char *name;
	u32 section, start, n; /* instructions [start, start + n) of the section */
	u32 symbol;
	bool global, weak, hidden;
	bool referenced; /* by another function */
	bool relocated;  /* CO-RE done; or failed with error */
	int error;
	u32 btf_id;  /* of its FUNC, 0 unknown */
	u32 program; /* that begins here, or NONE */
	struct bpf_insn *insns;
	VEC(struct ref) refs;                /* sorted by insn */
	VEC(struct bpf_func_info) func_info; /* insn_off: instruction in the function */
	VEC(struct bpf_line_info) line_info;
	VEC(struct bpf_core_relo) core;
	VEC(struct poison) poisoned;
};

struct map_def {
	u32 type, key_size, value_size, max_entries, map_flags, numa_node, pinning;
	u64 map_extra;
	u32 key_type, value_type;
	u32 kernel_value_type; /* of a struct_ops: in the kernel's BTF */
	bool has_numa_node;
};
struct map_slot {
	u32 index;
	u32 target; /* map or program */
};
enum map_kind { MAP_DEFINED, MAP_DATA, MAP_RODATA, MAP_BSS, MAP_KCONFIG, MAP_STRUCT_OPS };
struct skep_map {
	struct skep_object *object;
	const char *name; /* as declared; of data sections what bpftool shows */
	char kernel_name[MAP_NAME];
	u32 kind;
	u32 section;
	u64 section_off;
	struct map_def def;
	struct map_def *inner; /* definition of inner maps, or NULL */
	VEC(struct map_slot) slots;
	u8 *data;             /* initial value of a data section, or of an arena's first arena_size bytes */
	u32 arena_size;
	const char *pin_path; /* or NULL */
	u32 legacy_id;        /* iproute2's id, or NONE */
	u32 ops_type;         /* MAP_STRUCT_OPS: the structure, in the object's BTF */
	bool not_made;        /* … is not created with the object */
	u32 legacy_inner;     /* index of the map that is the template of inner maps, or NONE */
	int fd;
	int error; /* relaxed_maps: why it is not there */
	bool reused;
};

enum extern_kind { EXTERN_KCONFIG, EXTERN_KSYM };
enum kconfig_kind { KCONFIG_UNKNOWN, KCONFIG_CHAR, KCONFIG_BOOL, KCONFIG_INT, KCONFIG_TRISTATE, KCONFIG_CHARS };
struct extern_ {
	const char *name;
	u32 symbol, btf_id, section_btf_id;
	u32 kind;
	bool weak, set;
	struct {
		u32 kind, size, align, off;
		bool is_signed;
	} kconfig;
	struct {
		u32 type_id;   /* behind modifiers; 0: an address without a type */
		u32 target_id; /* in the target BTF */
		u64 address;
	} ksym;
};

struct skep_program {
	struct skep_object *object;
	const char *name, *section; /* section: as written, less «?»; "" for none */
	const char *attach;         /* what follows the slash, or NULL */
	u32 function;
	const struct abi_section *def; /* NULL: not a known section */
	u32 type, attach_type;
	u32 ops_type, ops_member; /* of a struct_ops: the structure and its member, in the object's BTF; 0 none */
	bool autoload, by_hand;
	int fd;
	/* made by program_link, in the object's arena */
	struct bpf_insn *insns;
	u32 n;
	struct bpf_func_info *func_info;
	u32 func_info_n;
	struct bpf_line_info *line_info;
	u32 line_info_n;
	struct part {
		u32 function, start; /* where it begins in insns */
	} * parts;
	u32 parts_n;
	bool linked;
};

struct skep_object {
	struct arena arena;
	struct skep_object_opts opts;
	const char *name; /* of the file, without directory and suffix */
	const char *path;
	void *image; /* mapped file, or NULL */
	u64 image_size;
	void *elf; /* libelf's handle */

	VEC(struct section) sections;
	VEC(struct symbol) symbols;
	u32 *sections_by_name, *symbols_by_name; /* indexes, sorted by name, then index */
	char license[64];
	u32 kern_version;
	struct btf *btf; /* fixed up, or NULL */
	struct btf_ext *ext;
	u32 maps_btf_id;                /* DATASEC .maps */
	u32 first_defined;              /* index of the first map of .maps */
	VEC(struct function) functions; /* sorted by section and start */
	VEC(struct extern_) externs;
	VEC(struct skep_map *) maps;
	VEC(struct skep_program *) programs;

	struct skep_engine *engine; /* set by load */
	bool prepared;
	int btf_fd;
	const struct btf *target; /* types that CO-RE relocates against; loaded when first needed */
	struct btf_core *core;
	u32 *part_of; /* scratch of link.c */
};

/* Reports and returns err. suggestion may be NULL. */
int object_error(struct skep_object *o, int err, const char *suggestion, const char *fmt, ...) PRINTF(4, 5);
void object_warn(struct skep_object *o, const char *suggestion, const char *fmt, ...) PRINTF(3, 4);
/* Of a diagnostic about one program. */
void object_report(struct skep_object *o, struct skep_diagnostic *d);
int out_of_memory(struct skep_object *o);

/* Steps of opening, in order. */
int object_parse_elf(struct skep_object *o, const void *data, u64 size);
int object_find_functions(struct skep_object *o);
int object_parse_btf(struct skep_object *o);
int object_collect_externs(struct skep_object *o, const struct btf *raw);
int object_attach_records(struct skep_object *o);
int object_find_maps(struct skep_object *o);
int object_find_legacy_maps(struct skep_object *o);
int object_collect_refs(struct skep_object *o);
int object_find_programs(struct skep_object *o);
int object_find_struct_ops(struct skep_object *o);
int object_collect_slots(struct skep_object *o);
int object_make_entries(struct skep_object *o);

/* Steps of loading. */
const struct btf *object_target_btf(struct skep_object *o); /* NULL: none, reported */
/* Types whose ids programs name: what the engine verifies against, which --btf does not change. */
const struct btf *object_ids_btf(struct skep_object *o);
int object_resolve_externs(struct skep_object *o);
int function_relocate_core(struct skep_object *o, struct function *f);
int program_link(struct skep_program *p);
int program_find_ops(struct skep_program *p, u32 *btf_id, u32 *member);
int map_find_ops(struct skep_map *m);
int object_prepare(struct skep_object *o, struct skep_engine *engine);
int program_load(struct skep_program *p);
void object_unload(struct skep_object *o);
s64 object_bpf(struct skep_object *o, u32 cmd, union bpf_attr *attr);
void object_close_fd(struct skep_object *o, int fd);
bool object_is_kernel(const struct skep_object *o);
/* What the target is called in sentences. */
const char *object_target_name(const struct skep_object *o);
const char *object_ids_name(const struct skep_object *o);

/* Small things shared. */
u32 section_by_name(const struct skep_object *o, const char *name);                 /* NONE */
u32 function_at(const struct skep_object *o, u32 section, u64 insn);                /* that begins there, or NONE */
u32 function_around(const struct skep_object *o, u32 section, u64 insn);            /* NONE */
u32 symbol_of_variable(const struct skep_object *o, const char *name, u32 section); /* global variable, or NONE */
u32 object_map_at(const struct skep_object *o, u32 section, u64 off);               /* declared there, or NONE */
struct skep_map *object_add_map(struct skep_object *o, const char *name, u32 kind);
const char *nearest_word(const char *word, const char *const *words, u32 n); /* or NULL */
/* Relocation entries of a section, in file order; visits each. */
struct relocation {
	u64 off;
	u32 type, symbol;
};
int object_relocations(struct skep_object *o, u32 target_section,
		       int (*visit)(struct skep_object *o, u32 section, const struct relocation *r));
#endif
