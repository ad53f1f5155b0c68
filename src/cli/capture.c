#include "cli/capture.h"
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

struct capture {
	pcap_t *pcap;
	pcap_dumper_t *dumper;
};

struct capture *capture_read(const char *path, char *error) {
	char why[PCAP_ERRBUF_SIZE] = "";
	struct capture *c = calloc(1, sizeof *c);
	if (c && (c->pcap = pcap_open_offline(path, why)))
		return c;
	snprintf(error, 256, "%s is no capture: %.150s", path, c ? why : "out of memory");
	free(c);
	return NULL;
}

struct capture *capture_write(const char *path, const struct capture *like, char *error) {
	struct capture *c = calloc(1, sizeof *c);
	if (!c || !(c->pcap = pcap_open_dead(pcap_datalink(like->pcap), 262144))) {
		snprintf(error, 256, "out of memory");
		free(c);
		return NULL;
	}
	c->dumper = pcap_dump_open(c->pcap, path);
	if (c->dumper)
		return c;
	snprintf(error, 256, "%.60s cannot be written: %.150s", path, pcap_geterr(c->pcap));
	capture_close(c);
	return NULL;
}

bool capture_is_ethernet(const struct capture *c) {
	return pcap_datalink(c->pcap) == DLT_EN10MB;
}

const char *capture_link_name(const struct capture *c) {
	const char *name = pcap_datalink_val_to_name(pcap_datalink(c->pcap));
	return name ? name : "unknown";
}

int capture_next(struct capture *c, const u8 **data, u32 *bytes, struct timeval *when) {
	struct pcap_pkthdr *h;
	const u_char *at;
	int r = pcap_next_ex(c->pcap, &h, &at);
	if (r != 1)
		return r == PCAP_ERROR ? -1 : 0;
	*data = at, *bytes = h->caplen, *when = h->ts;
	return 1;
}

void capture_put(struct capture *c, const u8 *data, u32 bytes, const struct timeval *when) {
	struct pcap_pkthdr h = {.ts = *when, .caplen = bytes, .len = bytes};
	pcap_dump((u_char *)c->dumper, &h, data);
}

const char *capture_error(struct capture *c) {
	return pcap_geterr(c->pcap);
}

int capture_close(struct capture *c) {
	int error = 0;
	if (!c)
		return 0;
	if (c->dumper) {
		error = pcap_dump_flush(c->dumper) || ferror(pcap_dump_file(c->dumper)) ? -EIO : 0;
		pcap_dump_close(c->dumper);
	}
	if (c->pcap)
		pcap_close(c->pcap);
	free(c);
	return error;
}
