/* skep prog dump and skep prog run.
 *
 *   dump   OBJ_GET_INFO_BY_FD twice: how much there is, then the instructions or the machine code; the C lines come from
 *          the program's line information and the strings of its BTF, so that a dump reads beside the source
 *   run    BPF_PROG_TEST_RUN over the bytes of files
 *
 * Text, words and JSON keys are bpftool's; what it prints and we have not (a disassembly of machine code, the prototype of
 * a function) is left out, never replaced by something else under its key. A number that bpf(2) answers with is turned
 * into a sentence here, where the words of the command are known. */
#include "cli/object.h"
#include "cli/out/out.h"
#include "isa/disasm.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int prog_dump(struct cli *cli, struct words *w);
int prog_run(struct cli *cli, struct words *w);

/* ---- dump --------------------------------------------------------------------------------------------------------- */

/* The C lines of a program that was loaded with them; n 0: it was not. */
struct lines {
	struct bpf_line_info *at;
	u32 n;
	const struct btf *btf;
};

static struct lines read_lines(struct cli *cli, int fd) {
	struct bpf_prog_info info = {0};
	struct lines l = {0};
	if (object_prog_info(cli, fd, &info) || !info.nr_line_info || !(l.btf = object_btf(cli, info.btf_id)))
		return l;
	u32 n = info.nr_line_info;
	l.at = calloc(n, sizeof *l.at);
	info = (struct bpf_prog_info){
		.nr_line_info = n, .line_info = (u64)(uintptr_t)l.at, .line_info_rec_size = sizeof *l.at};
	if (l.at && !object_prog_info(cli, fd, &info))
		l.n = MIN(n, info.nr_line_info);
	return l;
}

static void free_lines(struct lines *l) {
	free(l->at);
	if (l->btf)
		btf_put(l->btf);
}

/* The line that begins with this instruction, without its indentation; NULL: none. */
static const char *line_at(const struct lines *l, u32 insn) {
	for (u32 i = 0; i < l->n; i++) {
		const char *text = l->at[i].insn_off == insn ? btf_string(l->btf, l->at[i].line_off) : NULL;
		text += text ? strspn(text, " \t") : 0;
		if (text && *text)
			return text;
	}
	return NULL;
}

static json_t *opcodes_json(const struct bpf_insn *insn, bool two) {
	char code[8], src[8], dst[8];
	snprintf(code, sizeof code, "0x%x", insn->code);
	snprintf(src, sizeof src, "0x%x", insn->src_reg);
	snprintf(dst, sizeof dst, "0x%x", insn->dst_reg);
	return json_pack("{s:s,s:s,s:s,s:o,s:o}", "code", code, "src_reg", src, "dst_reg", dst, "off",
					 bytes_json(&insn->off, 2), "imm", bytes_json(&insn->imm, two ? 12 : 4));
}

static void put_opcodes(const struct bpf_insn *insn, bool two) {
	const u8 *bytes = (const u8 *)insn;
	printf("      ");
	for (u32 i = 0; i < (two ? 16u : 8u); i++)
		printf(" %02x", bytes[i]);
	printf("\n");
}

/* bpftool's text and keys: the C line, the instruction, its bytes. */
static void dump_xlated(struct cli *cli, const struct bpf_insn *insns, u32 n, bool opcodes, const struct lines *lines) {
	json_t *list = listing_json(insns, n, (struct listing){.flags = DISASM_OPCODE, .loaded = true});
	json_t *out = json_array(), *o;
	size_t i;
	json_array_foreach(list, i, o) {
		u32 at = (u32)json_integer_value(json_object_get(o, "insn"));
		const char *src = line_at(lines, at), *text = json_string_value(json_object_get(o, "text"));
		bool two = insn_is_ldimm64(&insns[at]) && at + 1 < n;
		if (!cli->json) {
			if (src)
				printf("%s; %s%s\n", out_c(OUT_DIM), src, out_c(OUT_PLAIN));
			printf("%4u: %s\n", at, text);
			if (opcodes)
				put_opcodes(&insns[at], two);
			continue;
		}
		json_t *row = json_object();
		if (src)
			json_object_set_new(row, "src", json_string(src));
		json_object_set_new(row, "disasm", json_string(text));
		if (opcodes)
			json_object_set_new(row, "opcodes", opcodes_json(&insns[at], two));
		json_array_append_new(out, row);
	}
	if (cli->json)
		out_json(json_incref(out), cli->pretty);
	json_decref(out);
	json_decref(list);
}

static void dump_machine_code(struct cli *cli, const u8 *code, u32 n) {
	if (cli->json) {
		out_json(json_pack("{s:o}", "code", bytes_json(code, n)), cli->pretty);
		return;
	}
	for (u32 i = 0; i < n; i++)
		printf(i % 16 == 0 ? "%4x: %02x%s" : "%.0u%02x%s", i % 16 ? 0 : i, code[i],
			   i % 16 == 15 || i + 1 == n ? "\n" : " ");
}

int prog_dump(struct cli *cli, struct words *w) {
	bool jited = words_eat(w, "jited");
	if (!jited && !words_eat(w, "xlated"))
		return cli_error(cli, "skep prog dump xlated id 1", "dump xlated or jited?");
	int fd = object_prog(cli, w);
	if (fd < 0)
		return -fd;
	const char *file = words_eat(w, "file") ? words_next(w) : NULL;
	bool opcodes = !file && words_eat(w, "opcodes");
	if (!words_end(cli, w))
		return engine_close(cli->engine, fd), EXIT_CANNOT;
	struct bpf_prog_info info = {0};
	struct lines lines = jited ? (struct lines){0} : read_lines(cli, fd);
	int error = object_prog_info(cli, fd, &info), status = EXIT_YES;
	u32 size = jited ? info.jited_prog_len : info.xlated_prog_len;
	u8 *code = calloc(1, size + 8);
	info = (struct bpf_prog_info){0};
	if (jited)
		info.jited_prog_len = size, info.jited_prog_insns = (u64)(uintptr_t)code;
	else
		info.xlated_prog_len = size, info.xlated_prog_insns = (u64)(uintptr_t)code;
	if (!error && code)
		error = object_prog_info(cli, fd, &info);
	engine_close(cli->engine, fd);
	if (error || !code)
		status = cli_error(cli, NULL, "the program cannot be read: %s", strerror(-error));
	else if (!size)
		status = cli_error(cli, NULL,
						   jited ? "this program has no machine code: it runs in the interpreter" : "no instructions");
	else if (file) {
		FILE *f = fopen(file, "wb");
		bool written = f && fwrite(code, 1, size, f) == size;
		if (!f || fclose(f) || !written)
			status = cli_error(cli, NULL, "%s cannot be written: %s", file, strerror(errno));
	} else if (jited) {
		dump_machine_code(cli, code, size);
	} else {
		dump_xlated(cli, (struct bpf_insn *)code, size / 8, opcodes, &lines);
	}
	free_lines(&lines);
	free(code);
	return status;
}

/* ---- run ---------------------------------------------------------------------------------------------------------- */

struct data {
	u8 *bytes;
	u32 n;
};

static bool read_data(struct cli *cli, const char *path, struct data *d) {
	enum { MOST = 1 << 20 };
	FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	d->bytes = calloc(1, MOST);
	if (!f || !d->bytes)
		return cli_error(cli, NULL, "%s cannot be read: %s", path, strerror(errno)), false;
	d->n = (u32)fread(d->bytes, 1, MOST, f);
	if (f != stdin)
		fclose(f);
	return true;
}

/* To a file as it is; to standard output (-) in bpftool's words: rows of sixteen bytes, or a member of the JSON answer. */
static bool write_data(struct cli *cli, const char *path, const char *key, const u8 *bytes, u32 n, json_t *answer) {
	if (!strcmp(path, "-")) {
		json_t *list = json_array();
		for (u32 i = 0; i < n; i++)
			json_array_append_new(list, json_integer(bytes[i]));
		json_object_set_new(answer, key, list);
		for (u32 i = 0; i < n && !cli->json; i++)
			printf("%02x%s", bytes[i], i % 16 == 15 || i + 1 == n ? "\n" : " ");
		return true;
	}
	FILE *f = fopen(path, "wb");
	bool ok = f && fwrite(bytes, 1, n, f) == n;
	if (f)
		ok &= fclose(f) == 0;
	if (!ok)
		cli_error(cli, NULL, "%s cannot be written: %s", path, strerror(errno));
	return ok;
}

/* What bpf(2) says in one number, in words. */
static int run_refused(struct cli *cli, int fd, const union bpf_attr *attr, s64 error) {
	enum { ENOTSUPP = 524, ETHERNET = 14 };
	struct bpf_prog_info info = {0};
	object_prog_info(cli, fd, &info);
	const struct abi_prog_type *t = abi_prog_type(engine_abi(cli->engine), info.type);
	if (error == -ENOTSUPP)
		return cli_error(cli, "skep run or skep attach run it on a command's system calls",
						 "programs of type %s are not run over data, in the kernel neither", t ? t->name : "unknown");
	bool packets = info.type == BPF_PROG_TYPE_XDP || info.type == BPF_PROG_TYPE_SCHED_CLS ||
				   info.type == BPF_PROG_TYPE_SCHED_ACT || info.type == BPF_PROG_TYPE_SOCKET_FILTER;
	if (error == -EINVAL && packets && attr->test.data_size_in < ETHERNET)
		return cli_error(cli, "data_in FILE", "this program wants a packet of at least %d bytes; there are %u", ETHERNET,
						 attr->test.data_size_in);
	return object_failed(cli, "the program cannot be run", error);
}

int prog_run(struct cli *cli, struct words *w) {
	enum { OUT_ROOM = 1 << 20 };
	struct data in = {0}, ctx = {0};
	const char *data_out = NULL, *ctx_out = NULL;
	u64 repeat = 1;
	if (!cli_engine(cli))
		return EXIT_CANNOT;
	int fd = object_prog(cli, w), status = EXIT_YES;
	if (fd < 0)
		return -fd;
	while (!status && w->n) {
		const char *what = words_next(w), *value = words_next(w);
		if (!value)
			status = cli_error(cli, NULL, "%s what?", what);
		else if (!strcmp(what, "data_in"))
			status = read_data(cli, value, &in) ? EXIT_YES : EXIT_CANNOT;
		else if (!strcmp(what, "ctx_in"))
			status = read_data(cli, value, &ctx) ? EXIT_YES : EXIT_CANNOT;
		else if (!strcmp(what, "data_out"))
			data_out = value;
		else if (!strcmp(what, "ctx_out"))
			ctx_out = value;
		else if (!strcmp(what, "repeat"))
			status = cli_number(cli, what, value, 1, UINT32_MAX, &repeat) ? EXIT_YES : EXIT_CANNOT;
		else
			status = cli_error(cli, "data_in, data_out, ctx_in, ctx_out or repeat", "'%s' means nothing here", what);
	}
	u8 *out = calloc(2, OUT_ROOM);
	union bpf_attr attr = {.test = {.prog_fd = (u32)fd, .data_in = (u64)(uintptr_t)in.bytes, .data_size_in = in.n,
	                                .ctx_in = (u64)(uintptr_t)ctx.bytes, .ctx_size_in = ctx.n, .repeat = (u32)repeat}};
	if (data_out)
		attr.test.data_out = (u64)(uintptr_t)out, attr.test.data_size_out = OUT_ROOM;
	if (ctx_out)
		attr.test.ctx_out = (u64)(uintptr_t)(out + OUT_ROOM), attr.test.ctx_size_out = OUT_ROOM;
	s64 r = status || !out ? -EINVAL : cli_bpf(cli, BPF_PROG_TEST_RUN, &attr);
	if (!status && r < 0)
		status = run_refused(cli, fd, &attr, r);
	json_t *answer = json_object();
	if (!status && data_out && !write_data(cli, data_out, "data_out", out, attr.test.data_size_out, answer))
		status = EXIT_CANNOT;
	if (!status && ctx_out && !write_data(cli, ctx_out, "ctx_out", out + OUT_ROOM, attr.test.ctx_size_out, answer))
		status = EXIT_CANNOT;
	json_object_set_new(answer, "retval", json_integer((json_int_t)attr.test.retval));
	json_object_set_new(answer, "duration", json_integer((json_int_t)attr.test.duration));
	if (!status && cli->json)
		out_json(json_incref(answer), cli->pretty);
	else if (!status)
		printf("Return value: %u, duration%s: %uns\n", attr.test.retval, repeat > 1 ? " (average)" : "",
			   attr.test.duration);
	json_decref(answer);
	engine_close(cli->engine, fd);
	free(in.bytes), free(ctx.bytes), free(out);
	return status;
}
