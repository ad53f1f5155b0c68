/* What the verbs share: the invocation, exit statuses, opening objects, reporting problems. */
#ifndef SKEP_CLI_H
#define SKEP_CLI_H
#include "base/base.h"
#include "runtime/engine.h"
#include <jansson.h>
#include <skep/skep.h>

/* Exit status: 0 yes, 1 the answer is no, 2 could not answer. */
enum { EXIT_YES = 0, EXIT_NO = 1, EXIT_CANNOT = 2 };

struct cli {
	const char *verb;
	bool json, pretty, debug;
	bool bpffs;                 /* --bpffs: show lists pins */
	bool verbose;               /* --verbose: the verifier's log with a refusal */
	struct skep_engine *engine; /* made by cli_engine when first asked for */
	bool interpreter;           /* programs run interpreted in this process */
	bool untrusted;             /* they are those of a user without capabilities */
	u64 verify_memory, verify_time_ns; /* limits of the engine, 0 none */
	u32 problems;               /* errors reported so far */
};

/* One parsed option: the verbs ask by name, in any order. */
struct option_value {
	const char *name;  /* long name */
	const char *value; /* or NULL */
};
struct arguments {
	struct option_value option[64];
	u32 options_n;
	char **word; /* what is no option, in order */
	u32 words_n;
	char **command; /* what follows --, NULL-terminated, or NULL */
};
/* Splits argv by the OPTION rows of the verb. PARSED, or the exit status to end with: EXIT_CANNOT after a sentence with
 * the nearest name, EXIT_YES after --help. */
enum { PARSED = -1 };
int cli_parse(struct cli *cli, int argc, char **argv, struct arguments *out);
const char *cli_option(const struct arguments *a, const char *name); /* last value, "" for one without; NULL: absent */
const char *cli_option_nth(const struct arguments *a, const char *name, u32 nth);
u32 cli_option_count(const struct arguments *a, const char *name);
/* The options before the verb: its index in argv, argc when there is none, or -1 after a sentence. */
int cli_parse_leading(struct cli *cli, int argc, char **argv);
bool cli_wants_json(int argc, char **argv);
bool cli_no_more(struct cli *cli, const struct arguments *a, u32 words); /* false, after a sentence, when there are more */
/* Seconds, with a fraction if need be: EXIT_YES, or EXIT_CANNOT after a sentence. */
int cli_seconds(struct cli *cli, const char *what, const char *text, double *seconds);
bool cli_number(struct cli *cli, const char *what, const char *text, u64 least, u64 most, u64 *out);

/* Problems go to standard error, in JSON mode as {"error":…,"code":…,"hint":…}. Returns EXIT_CANNOT. */
int cli_error(struct cli *cli, const char *hint, const char *fmt, ...) PRINTF(3, 4);
void cli_warn(struct cli *cli, const char *fmt, ...) PRINTF(2, 3);
void cli_json_problem(const char *level, unsigned code, const char *sentence, const char *hint);
void cli_diagnostic(void *cli, const struct skep_diagnostic *d); /* a skep_diagnostic_fn */

/* The user's engine with tmpfs backing; NULL after an error message. */
struct skep_engine *cli_engine(struct cli *cli);

/* Opens an object, or compiles a source first. EXIT_YES or EXIT_CANNOT with everything said. */
int cli_open(struct cli *cli, const char *path, const struct arguments *a, struct skep_object **out);
/* bpf NULL: by the engine that it is loaded with. */
int cli_open_with(struct cli *cli, const char *path, const struct arguments *a, skep_diagnostic_fn *diagnostic, void *owner,
                  skep_bpf_fn *bpf, struct skep_object **out);

/* There is no program of this name in this object (NULL: none at all): says so, with the nearest. EXIT_CANNOT. */
int cli_no_program(struct cli *cli, const struct skep_object *object, const char *path, const char *name);

/* The nearest of a list of words to a mistyped one, or NULL. */
const char *cli_nearest(const char *word, const char *const *list, u32 n);
/* "did you mean NEAREST?" in room, or `otherwise`. */
const char *cli_did_you_mean(const char *word, const char *const *list, u32 n, const char *otherwise, char room[256]);

/* May this file be read? False after a sentence that names the nearest file beside it. */
bool cli_readable(struct cli *cli, const char *path);
/* A path as the user would write it: without the current directory in front. */
const char *cli_shown_path(const char *path);

/* The code of a kernel's message, when there is exactly one: explain.c; else 0. */
u32 explain_code_of(const char *message);

#define VERB(name, arguments, summary, examples) int cmd_##name(struct cli *cli, int argc, char **argv);
#include "cli/cmd.def"
int help_verb(struct cli *cli, const char *name, bool to_stderr);
int help_noun(struct cli *cli, const char *name);
#endif
