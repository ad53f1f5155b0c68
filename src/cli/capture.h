/* Captures, read and written with libpcap. A header of its own, because libpcap has another struct bpf_insn. */
#ifndef SKEP_CLI_CAPTURE_H
#define SKEP_CLI_CAPTURE_H
#include "base/base.h"
#include <sys/time.h>

struct capture;
/* NULL with a sentence in error (256 bytes). path "-" is standard input or output. */
struct capture *capture_read(const char *path, char *error);
struct capture *capture_write(const char *path, const struct capture *like, char *error);
bool capture_is_ethernet(const struct capture *c);
const char *capture_link_name(const struct capture *c);
/* 1: a packet, borrowed until the next call; 0: the end; -1: the file is damaged, capture_error says how. */
int capture_next(struct capture *c, const u8 **data, u32 *bytes, struct timeval *when);
void capture_put(struct capture *c, const u8 *data, u32 bytes, const struct timeval *when);
const char *capture_error(struct capture *c);
int capture_close(struct capture *c); /* 0, or -EIO when what was put could not be written */
#endif
