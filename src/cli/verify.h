/* skep verify: what its parts offer each other. A row is a JSON object, one for each program (and kernel); everything
 * that is shown is one rendering of the rows. docs/guides/refused-programs.md has the keys. */
#ifndef SKEP_CLI_VERIFY_H
#define SKEP_CLI_VERIFY_H
#include "cli/cli.h"

/* verify_table.c: columns, order and choice of rows, in veristat's words. False after a sentence. */
bool verify_table_valid(struct cli *cli, const struct arguments *a);
bool verify_wanted(const struct arguments *a, const char *file, const char *program); /* by the globs of --filter */
json_t *verify_chosen(const struct arguments *a, const json_t *rows); /* filtered by value, sorted: a new array */
void verify_table(const struct arguments *a, const json_t *rows);
int verify_compare(struct cli *cli, const struct arguments *a, const json_t *rows, const char *old_path);

/* verify_formats.c: what machines read. */
bool verify_format_known(struct cli *cli, const char *format);
void verify_print_gcc(const json_t *rows);
void verify_print_github(const json_t *rows);
json_t *verify_sarif(const json_t *rows);

/* predict.c: would an older kernel take the program, as far as the tables tell? An array of {"code","sentence",…}. */
json_t *verify_predict(struct cli *cli, const struct skep_object *o, const struct skep_program *p, u16 kernel);
/* The kernels of --kernel in order, NULL-terminated; NULL after a sentence. */
const struct abi_profile **verify_kernels(struct cli *cli, const char *list);
#endif
