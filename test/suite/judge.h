/* The two who judge a program, skep's engine and the running kernel, reached by skep's loader; what their logs say; and
 * the list of what is known to differ. For annotated.c and corpus.c. */
#ifndef SKEP_TEST_JUDGE_H
#define SKEP_TEST_JUDGE_H
#include "abi/uapi.h"
#include "base/base.h"
#include "runtime/engine.h"
#include "skep/skep.h"

enum { JUDGE_LOG = 8 << 20 };

struct judge {
	struct skep_engine *engine; /* NULL: the kernel */
	bool unpriv, maps_too;      /* without capabilities: programs are loaded; maps are made as well */
	const char *kconfig;        /* configuration for objects that want one, NULL: the judge's own */
	char *log;                  /* JUDGE_LOG bytes */
	u32 flags, level;           /* for the program that is being judged, beside its own */
	bool watching;              /* a program is being judged: another one only if it is needed for it */
	bool asked;
	s64 verdict;                /* of BPF_PROG_LOAD */
	union bpf_attr attr;        /* as it was asked, while the object is open */
	char why[256];              /* what the loader said last */
};

bool judge_has_kernel(void);
s64 judge_bpf(const struct judge *j, u32 cmd, union bpf_attr *attr, u32 size);
/* The object with its maps and no programs, to be closed by the caller; NULL: it cannot be loaded, see why. */
struct skep_object *judge_open(struct judge *j, const char *path);
/* Fills asked, verdict and log. */
void judge_program(struct judge *j, struct skep_program *p);
/* Did it look at the program? Not if it gave EPERM without a word, or with statistics alone. */
bool judge_has_judged(const struct judge *j);

/* The line that says why: the last one that is not about statistics. */
void last_line(const char *log, char *to, u32 room);
/* The verdict with that line, or with what the loader said. */
void words_of(const struct judge *j, char *to, u32 room);
void object_name(const char *path, char *to, u32 room);

/* Known differences: a file with lines «object program kind», and comments that say why. */
struct known_list;
struct known_list *known_read(const char *path);
bool known_has(struct known_list *list, const char *object, const char *program, const char *kind);
/* Prints those that were never asked for: they must go. Returns how many. unasked: programs with this in their name were
 * left out, NULL: none. */
u32 known_left(const struct known_list *list, const char *unasked);
#endif
