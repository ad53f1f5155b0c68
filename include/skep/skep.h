/* libskep: eBPF outside the kernel, as a library.
 *
 * Conventions. Functions that return int give 0 (or a value ≥ 0 where it says so) or a negative errno; functions that
 * return pointers give NULL when there is nothing. Opaque objects are owned by the caller that opened them, unless it
 * says «borrowed»: then they live as long as the object they came from. Optional arguments come in a structure whose
 * first member is its size: `struct skep_object_opts o = {.size = sizeof o}`; bytes beyond the size the library knows
 * must be zero. Nothing here prints, exits or installs signal handlers.
 *
 * Threads. An engine may be used from any thread. An object (skep_object) belongs to one thread at a time. */
#ifndef SKEP_SKEP_H
#define SKEP_SKEP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef SKEP_BUILD
#define SKEP_API __attribute__((visibility("default")))
#else
#define SKEP_API
#endif

#define SKEP_VERSION_MAJOR 0
#define SKEP_VERSION_MINOR 1
#define SKEP_VERSION_PATCH 0

struct skep_engine;
struct skep_object;
struct skep_program;
struct skep_map;
struct btf;

/* "0.1.0". */
SKEP_API const char *skep_version(void);

/* An instruction before the problem that has to do with it. */
struct skep_note {
	const char *text;             /* "the index is read from the packet here" */
	const char *file, *line_text; /* the C line, or NULL */
	unsigned line, column;
	int insn;
};

/* A problem, for people: one clear sentence, what to do about it, and a stable code (SK0123; 0 = none). Strings are
 * borrowed for the duration of the callback. */
struct skep_diagnostic {
	size_t size;
	int level;              /* 0 error, 1 warning, 2 note */
	unsigned code;
	const char *sentence;
	const char *suggestion; /* or NULL */
	const char *program;    /* the program it is about, or NULL */
	const char *kernel_message; /* the verifier's line in the kernel's words, or NULL */
	const char *file, *line_text; /* the C line, or NULL */
	unsigned line, column;
	int insn;               /* or -1 */
	const char *log;        /* the whole verifier log, where a log_level asked for it, or NULL */
	const char *family;     /* "memory safety", or NULL */
	const char *needed, *known; /* what the instruction needs and what is known there, in values, or NULL */
	const struct skep_note *notes; /* where the problem comes from, the nearest first */
	unsigned notes_count;
};
typedef void skep_diagnostic_fn(void *owner, const struct skep_diagnostic *diagnostic);

/* How bpf(2) commands are carried out: value ≥ 0 or negative errno. */
typedef int64_t skep_bpf_fn(void *owner, unsigned cmd, void *attr, unsigned size);

struct skep_object_opts {
	size_t size;
	const char *name;          /* for messages; NULL = the file's */
	skep_bpf_fn *bpf;          /* NULL = the engine given to load */
	void *bpf_owner;
	const char *btf_path;      /* types that CO-RE relocates against; NULL = skep's own (or the kernel's with --kernel) */
	const char *kconfig;       /* contents of a kernel configuration; NULL = what skep stands for */
	unsigned log_level;        /* of the verifier: 1 failing path, 2 all, 4 statistics */
	skep_diagnostic_fn *diagnostic;
	void *diagnostic_owner;
	bool relaxed_maps;         /* keep going when a map cannot be created by this engine: verify only */
	const char *pin_root;      /* for LIBBPF_PIN_BY_NAME; NULL = /sys/fs/bpf */
};

/* Opens an object without loading it. Reports through the diagnostic callback and returns negative errno: -EINVAL for
 * what is no eBPF object, -ENOENT, -EACCES, -ENOTSUP for what is understood but not supported. */
SKEP_API int skep_object__open_file(const char *path, const struct skep_object_opts *opts, struct skep_object **out);
SKEP_API int skep_object__open_mem(const void *data, size_t bytes, const struct skep_object_opts *opts,
                                   struct skep_object **out);
/* Creates the maps and loads every program that is to be loaded (skep_program__set_autoload). The first refusal ends it;
 * everything made before it is released again. */
SKEP_API int skep_object__load(struct skep_object *object, struct skep_engine *engine);
SKEP_API void skep_object__close(struct skep_object *object);

SKEP_API struct skep_program *skep_object__next_program(const struct skep_object *object, const struct skep_program *prev);
/* Does it name functions or variables of a kernel, keep pointers to its objects or fill its structures? Then its verdict
 * depends on that kernel's types. */
SKEP_API bool skep_object__needs_kernel(const struct skep_object *object);
SKEP_API struct skep_map *skep_object__next_map(const struct skep_object *object, const struct skep_map *prev);
SKEP_API struct skep_program *skep_object__find_program(const struct skep_object *object, const char *name);
SKEP_API struct skep_map *skep_object__find_map(const struct skep_object *object, const char *name);
/* The object's own types, borrowed, or NULL. */
SKEP_API const struct btf *skep_object__btf(const struct skep_object *object);
/* The type of records of this size in a ring buffer (map NULL: in any): an id in the object's BTF, or 0 unknown. */
SKEP_API uint32_t skep_object__event_type(const struct skep_object *object, const struct skep_map *map, uint32_t bytes);

SKEP_API const char *skep_program__name(const struct skep_program *program);
SKEP_API const char *skep_program__section(const struct skep_program *program); /* "" for a function without section */
SKEP_API uint32_t skep_program__type(const struct skep_program *program);
SKEP_API uint32_t skep_program__expected_attach_type(const struct skep_program *program);
SKEP_API int skep_program__set_type(struct skep_program *program, uint32_t type, uint32_t expected_attach_type);
SKEP_API bool skep_program__autoload(const struct skep_program *program);
SKEP_API int skep_program__set_autoload(struct skep_program *program, bool autoload);
SKEP_API int skep_program__fd(const struct skep_program *program); /* -EBADF before load */
/* What is to be executed after relocation, as handed to the verifier: eight bytes an instruction, borrowed. */
SKEP_API const void *skep_program__insns(const struct skep_program *program, size_t *count);
/* Loads one program alone, its maps being there; for tools that go on after a refusal. */
SKEP_API int skep_program__load(struct skep_program *program, struct skep_engine *engine);
/* Gives it back: it can be loaded again. */
SKEP_API void skep_program__unload(struct skep_program *program);
/* Pins a loaded program or map at a path of the bpf file system (skep's own unless loaded into the kernel). */
SKEP_API int skep_program__pin(const struct skep_program *program, const char *path);

SKEP_API const char *skep_map__name(const struct skep_map *map);
SKEP_API int skep_map__fd(const struct skep_map *map);
SKEP_API uint32_t skep_map__type(const struct skep_map *map);
SKEP_API uint32_t skep_map__key_size(const struct skep_map *map);
SKEP_API uint32_t skep_map__value_size(const struct skep_map *map);
SKEP_API uint32_t skep_map__max_entries(const struct skep_map *map);
SKEP_API uint32_t skep_map__flags(const struct skep_map *map);
SKEP_API uint32_t skep_map__key_type(const struct skep_map *map);   /* id in the object's BTF, or 0 */
SKEP_API uint32_t skep_map__value_type(const struct skep_map *map);
SKEP_API bool skep_map__is_internal(const struct skep_map *map);    /* .data, .rodata, .bss, .kconfig */
SKEP_API bool skep_map__is_histogram(const struct skep_map *map);
SKEP_API int skep_map__pin(const struct skep_map *map, const char *path);

/* Compiles a C source to an object file at `output`: X.bpf.c as it is, other .c files in the BCC dialect. clang's own
 * messages go to the diagnostic callback as they are. -ENOENT when there is no clang. */
struct skep_compile_opts {
	size_t size;
	const char *clang;         /* NULL = $SKEP_CLANG, then clang, clang-19 … clang-11 in PATH */
	const char *const *flags;  /* further arguments, NULL-terminated, or NULL */
	const char *include_dir;   /* where <skep/…> lies; NULL = where it was installed or built */
	const char *cache_dir;     /* for vmlinux.h; NULL = $XDG_CACHE_HOME/skep or ~/.cache/skep */
	skep_diagnostic_fn *diagnostic;
	void *diagnostic_owner;
};
SKEP_API int skep_compile(const char *source, const char *output, const struct skep_compile_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
