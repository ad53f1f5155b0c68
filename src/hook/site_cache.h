/* Sites on disk, by build id: searching libc takes tens of milliseconds, reading what was found half of one. */
#ifndef SKEP_HOOK_SITE_CACHE_H
#define SKEP_HOOK_SITE_CACHE_H
#include "hook/sites.h"
#include <sys/stat.h>

/* dir NULL or "": no cache. st is of the file that e reads. 0, or negative errno: not there, or not to be trusted. */
int site_cache_load(const char *dir, const struct elf *e, u32 segment, const struct stat *st, struct sites *out);
/* Best effort, atomic. */
void site_cache_store(const char *dir, const struct elf *e, u32 segment, const struct stat *st, const struct sites *s);
#endif
