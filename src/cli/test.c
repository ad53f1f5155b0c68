/* skep test: a packet program over the packets of a capture, one BPF_PROG_TEST_RUN each.
 *
 *   capture ─► packet ─► BPF_PROG_TEST_RUN ─► verdict ─► counted by name
 *                                    └─ packet as the program left it ─► --out, when the verdict lets it pass
 *
 * What passes is: XDP_PASS, XDP_TX and XDP_REDIRECT; any tc verdict but TC_ACT_SHOT; a socket filter that keeps something.
 * A packet shorter than an Ethernet header is not run, as in the kernel, and counted as «too short». With --expect the
 * exit status is 1 unless every packet got that verdict. */
#include "cli/capture.h"
#include "cli/object.h"
#include "cli/out/out.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>

enum { PACKET_MAX = 65536, ROOM = PACKET_MAX + 4096 };

struct testing {
	struct cli *cli;
	const struct arguments *a;
	int fd;
	u32 type;
	u64 repeat;
	struct capture *out;
	u64 count[256], packets, passed, other, refused, duration_ns;
	const char *expect;
	u64 unexpected;
	u8 *packet, *left; /* in and out */
};

static const char *const xdp_verdicts[] = {"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"};
static const char *const tc_verdicts[] = {"TC_ACT_UNSPEC", "TC_ACT_OK",     "TC_ACT_RECLASSIFY",
										  "TC_ACT_SHOT",   "TC_ACT_PIPE",   "TC_ACT_STOLEN",
										  "TC_ACT_QUEUED", "TC_ACT_REPEAT", "TC_ACT_REDIRECT"};

static const char *verdict_name(const struct testing *t, u32 value, char room[16]) {
	if (t->type == BPF_PROG_TYPE_XDP && value < ARRAY_SIZE(xdp_verdicts))
		return xdp_verdicts[value];
	bool tc = t->type == BPF_PROG_TYPE_SCHED_CLS || t->type == BPF_PROG_TYPE_SCHED_ACT;
	if (tc && value + 1 < ARRAY_SIZE(tc_verdicts))
		return tc_verdicts[(u32)(value + 1)];
	if (t->type == BPF_PROG_TYPE_SOCKET_FILTER)
		return value ? "keep" : "drop";
	snprintf(room, 16, "%u", value);
	return room;
}

static bool passes(const struct testing *t, u32 value) {
	if (t->type == BPF_PROG_TYPE_XDP)
		return value == 2 || value == 3 || value == 4;
	if (t->type == BPF_PROG_TYPE_SOCKET_FILTER)
		return value != 0;
	return value != 2; /* TC_ACT_SHOT */
}

/* --expect is one of the verdicts that this type of program has, or a number. */
static int check_expected(const struct testing *t) {
	const char *names[64], *text = t->expect;
	char room[ARRAY_SIZE(names)][16], hint[256], all[256] = "";
	u32 n = 0;
	if (!text || (*text && !text[strspn(text, "0123456789")]))
		return EXIT_YES;
	for (u32 value = UINT32_MAX; n < 16; value++) {
		const char *name = verdict_name(t, value, room[n]);
		if (!strcmp(name, text))
			return EXIT_YES;
		if (name != room[n])
			names[n++] = name, snprintf(all + strlen(all), sizeof all - strlen(all), n > 1 ? ", %s" : "%s", name);
		else if (value != UINT32_MAX)
			break;
	}
	return cli_error(t->cli, cli_did_you_mean(text, names, n, all, hint),
					 "--expect: this program has no verdict '%s'", text);
}

static int one_packet(struct testing *t, u32 bytes, const struct timeval *when) {
	struct cli *cli = t->cli;
	union bpf_attr attr = {.test = {.prog_fd = (u32)t->fd, .data_in = (u64)(uintptr_t)t->packet, .data_size_in = bytes,
	                                .data_out = (u64)(uintptr_t)t->left, .data_size_out = ROOM, .repeat = (u32)t->repeat}};
	t->packets++;
	s64 r = cli_bpf(cli, BPF_PROG_TEST_RUN, &attr);
	if (r == -EINVAL && bytes < 14) {
		t->refused++; /* the kernel, too, runs no program on less than an Ethernet header */
		t->unexpected += t->expect != NULL;
		return 0;
	}
	if (r < 0)
		return cli_error(cli, NULL, "packet %llu cannot be run: %s", (unsigned long long)t->packets, strerror((int)-r));
	u32 verdict = attr.test.retval, slot = verdict + 1;
	char room[16];
	const char *name = verdict_name(t, verdict, room);
	if (slot < ARRAY_SIZE(t->count))
		t->count[slot]++;
	else
		t->other++;
	t->duration_ns += (u64)attr.test.duration * t->repeat;
	t->passed += passes(t, verdict);
	if (t->expect && strcmp(t->expect, name))
		t->unexpected++;
	if (cli_option(t->a, "verbose") && !cli->json)
		printf("%6llu  %5u bytes  %s\n", (unsigned long long)t->packets, bytes, name);
	if (t->out && passes(t, verdict))
		capture_put(t->out, t->left, attr.test.data_size_out, when);
	return 0;
}

static bool same_file(const char *a, const char *b) {
	struct stat x, y;
	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The one packet of --packet or --file. */
static int the_packet(struct testing *t, u32 bytes) {
	struct timeval when = {0};
	int status = one_packet(t, bytes, &when);
	if (!status && t->refused)
		status = cli_error(t->cli, NULL, "the packet is shorter than an Ethernet header: %u of 14 bytes", bytes);
	return status;
}

static int from_pcap(struct testing *t, const char *path, const char *out) {
	char error[256];
	const u8 *data;
	u32 bytes;
	struct timeval when;
	int r = 0, status = 0;
	if (strcmp(path, "-") && !cli_readable(t->cli, path))
		return EXIT_CANNOT;
	struct capture *in = capture_read(path, error);
	if (!in)
		return cli_error(t->cli, "tcpdump -w FILE writes one", "%s", error);
	if (out && same_file(path, out)) {
		capture_close(in);
		return cli_error(t->cli, "name another file", "--out would overwrite the capture that is read, %s", path);
	}
	if (!capture_is_ethernet(in) && t->type != BPF_PROG_TYPE_SOCKET_FILTER)
		status = cli_error(t->cli, NULL, "%s holds %s frames; this program wants Ethernet", path, capture_link_name(in));
	else if (out && !(t->out = capture_write(out, in, error)))
		status = cli_error(t->cli, NULL, "%s", error);
	while (!status && (r = capture_next(in, &data, &bytes, &when)) == 1) {
		bytes = MIN(bytes, (u32)PACKET_MAX);
		memcpy(t->packet, data, bytes);
		status = one_packet(t, bytes, &when);
	}
	if (!status && r < 0)
		cli_warn(t->cli, "%s ends early: %s", path, capture_error(in));
	if (capture_close(t->out) && !status)
		status = cli_error(t->cli, NULL, "%s could not be written to its end", out);
	capture_close(in);
	return status;
}

static int from_hex(struct testing *t, const char *hex) {
	u32 n = 0;
	for (; *hex; hex += *hex == ' ' || *hex == ':' ? 1 : 2) {
		if (*hex == ' ' || *hex == ':')
			continue;
		if (!isxdigit((u8)hex[0]) || !isxdigit((u8)hex[1]))
			return cli_error(t->cli, "two digits a byte", "--packet: '%.2s' is no hexadecimal byte", hex);
		if (n == PACKET_MAX)
			return cli_error(t->cli, NULL, "--packet: more than %d bytes", PACKET_MAX);
		const char digits[3] = {hex[0], hex[1], 0};
		t->packet[n++] = (u8)strtoul(digits, NULL, 16);
	}
	return the_packet(t, n);
}

static int from_file(struct testing *t, const char *path) {
	if (!cli_readable(t->cli, path))
		return EXIT_CANNOT;
	FILE *f = fopen(path, "rb");
	u32 n = f ? (u32)fread(t->packet, 1, PACKET_MAX, f) : 0;
	bool more = f && n == PACKET_MAX && fgetc(f) != EOF;
	int error = !f || ferror(f) ? errno : 0;
	if (f)
		fclose(f);
	if (error)
		return cli_error(t->cli, NULL, "%s cannot be read: %s", path, strerror(error));
	if (more)
		return cli_error(t->cli, NULL, "%s is no packet: more than %d bytes", path, PACKET_MAX);
	return the_packet(t, n);
}

static int report(struct testing *t) {
	struct cli *cli = t->cli;
	json_t *rows = json_array(), *verdicts = json_object();
	for (u32 i = 0; i < ARRAY_SIZE(t->count); i++) {
		char room[16];
		const char *name = verdict_name(t, i - 1, room);
		if (!t->count[i])
			continue;
		json_object_set_new(
			verdicts, name,
			json_integer((json_int_t)t->count[i] + json_integer_value(json_object_get(verdicts, name))));
	}
	if (t->other)
		json_object_set_new(verdicts, "other", json_integer((json_int_t)t->other));
	if (t->refused)
		json_object_set_new(verdicts, "too short", json_integer((json_int_t)t->refused));
	const char *name;
	json_t *n;
	json_object_foreach(verdicts, name, n)
		json_array_append_new(rows, json_pack("{s:s,s:O}", "verdict", name, "packets", n));
	double ns = t->packets ? (double)t->duration_ns / (double)(t->packets * t->repeat) : 0;
	if (cli->json) {
		out_json(json_pack("{s:I,s:I,s:O,s:f}", "packets", (json_int_t)t->packets, "passed", (json_int_t)t->passed,
						   "verdicts", verdicts, "ns_per_run", ns),
				 cli->pretty);
	} else {
		out_table(stdout, NULL, rows, 0);
		printf("%llu packet%s, %llu passed", (unsigned long long)t->packets, t->packets == 1 ? "" : "s",
			   (unsigned long long)t->passed);
		if (t->repeat > 1)
			printf(", %.1f ns a run", ns);
		printf("\n");
	}
	json_decref(rows);
	json_decref(verdicts);
	if (t->unexpected)
		return cli_warn(cli, "%llu packet%s did not get the verdict %s", (unsigned long long)t->unexpected,
						t->unexpected == 1 ? "" : "s", t->expect),
			   EXIT_NO;
	return EXIT_YES;
}

static bool packet_type(u32 type) {
	return type == BPF_PROG_TYPE_XDP || type == BPF_PROG_TYPE_SCHED_CLS || type == BPF_PROG_TYPE_SCHED_ACT ||
	       type == BPF_PROG_TYPE_SOCKET_FILTER;
}

/* The program that was named, or the only one that takes packets. */
static struct skep_program *choose(struct testing *t, struct skep_object *object) {
	const char *name = cli_option(t->a, "program");
	struct skep_program *found = NULL, *p = NULL;
	u32 matches = 0;
	while ((p = skep_object__next_program(object, p))) {
		bool fits = name ? !strcmp(name, skep_program__name(p)) : packet_type(skep_program__type(p));
		if (fits && !matches++)
			found = p;
	}
	if (name && !found)
		cli_no_program(t->cli, object, t->a->word[0], name);
	else if (!found)
		cli_error(t->cli, "XDP, tc and socket filter programs do", "no program in %s takes packets", t->a->word[0]);
	else if (matches > 1)
		cli_error(t->cli, "choose one with --program NAME", "%u programs in %s take packets", matches, t->a->word[0]),
			found = NULL;
	else if (!packet_type(skep_program__type(found)))
		cli_error(t->cli, NULL, "program %s takes no packets", skep_program__name(found)), found = NULL;
	return found;
}

static int run_tests(struct testing *t, struct skep_object *object) {
	struct cli *cli = t->cli;
	struct skep_program *p = choose(t, object);
	const char *in = cli_option(t->a, "pcap"), *hex = cli_option(t->a, "packet"), *file = cli_option(t->a, "file");
	if (!p)
		return EXIT_CANNOT;
	u32 before = cli->problems;
	int error = skep_object__load(object, cli->engine), status;
	if (error)
		return cli->problems > before ? EXIT_CANNOT : cli_error(cli, NULL, "%s: %s", t->a->word[0], strerror(-error));
	t->fd = skep_program__fd(p), t->type = skep_program__type(p);
	struct engine_prog *prog = engine_prog_get(cli->engine, t->fd);
	if (prog && prog->refusal) {
		status = cli_error(cli, NULL, "program %s cannot run here: %s [SK%04u]", skep_program__name(p), prog->refusal,
						   prog->refusal_code);
		engine_prog_put(cli->engine, prog);
		return status;
	}
	engine_prog_put(cli->engine, prog);
	if (check_expected(t))
		return EXIT_CANNOT;
	status = in ? from_pcap(t, in, cli_option(t->a, "out")) : hex ? from_hex(t, hex) : from_file(t, file);
	return status ? status : report(t);
}

int cmd_test(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	struct testing t = {.cli = cli, .a = &a, .repeat = 1};
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	if (!a.words_n)
		return cli_error(cli, "skep test filter.bpf.o --pcap in.pcap", "which object is to be tested?");
	if (!cli_no_more(cli, &a, 1))
		return EXIT_CANNOT;
	if (!cli_option(&a, "pcap") && !cli_option(&a, "packet") && !cli_option(&a, "file"))
		return cli_error(cli, "--pcap FILE, --packet HEX or --file RAW", "over which packets?");
	if (!!cli_option(&a, "pcap") + !!cli_option(&a, "packet") + !!cli_option(&a, "file") > 1)
		return cli_error(cli, "--pcap FILE, --packet HEX or --file RAW", "packets from one place at a time");
	if (cli_option(&a, "out") && !cli_option(&a, "pcap"))
		return cli_error(cli, "--pcap IN --out OUT", "--out goes with --pcap: it writes a capture of the same kind");
	const char *repeat = cli_option(&a, "repeat");
	if (repeat && !cli_number(cli, "--repeat", repeat, 1, 1000000000, &t.repeat))
		return EXIT_CANNOT;
	cli->interpreter = cli_option(&a, "interpreter") != NULL;
	cli->untrusted = cli_option(&a, "untrusted") != NULL;
	t.expect = cli_option(&a, "expect");
	struct skep_object *object;
	if (!cli_engine(cli))
		return EXIT_CANNOT;
	int status = cli_open(cli, a.word[0], &a, &object);
	if (status)
		return status;
	t.packet = calloc(1, ROOM), t.left = calloc(1, ROOM);
	status = t.packet && t.left ? run_tests(&t, object) : cli_error(cli, NULL, "out of memory");
	free(t.packet);
	free(t.left);
	skep_object__close(object);
	return status;
}
