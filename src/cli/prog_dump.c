/* skep prog dump and skep prog run. */
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

static void dump_xlated(struct cli *cli, const struct bpf_insn *insns, u32 n, bool opcodes) {
	json_t *list = listing_json(insns, n, DISASM_OPCODE, opcodes);
	if (cli->json)
		out_json(list, cli->pretty);
	else
		listing_text(list), json_decref(list);
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
	struct bpf_prog_info info = {0};
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
	const char *file = words_eat(w, "file") ? words_next(w) : NULL;
	bool opcodes = words_eat(w, "opcodes");
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
		dump_xlated(cli, (struct bpf_insn *)code, size / 8, opcodes);
	}
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

static bool write_data(struct cli *cli, const char *path, const u8 *bytes, u32 n) {
	FILE *f = strcmp(path, "-") ? fopen(path, "wb") : stdout;
	bool ok = f && fwrite(bytes, 1, n, f) == n;
	if (f && f != stdout)
		ok &= fclose(f) == 0;
	if (!ok)
		cli_error(cli, NULL, "%s cannot be written: %s", path, strerror(errno));
	return ok;
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
		status = cli_error(cli, NULL, "the program cannot be run: %s", strerror((int)-r));
	if (!status && data_out && !write_data(cli, data_out, out, attr.test.data_size_out))
		status = EXIT_CANNOT;
	if (!status && ctx_out && !write_data(cli, ctx_out, out + OUT_ROOM, attr.test.ctx_size_out))
		status = EXIT_CANNOT;
	if (!status && cli->json)
		out_json(
			json_pack("{s:I,s:I}", "retval", (json_int_t)attr.test.retval, "duration", (json_int_t)attr.test.duration),
			cli->pretty);
	else if (!status)
		printf("Return value: %u, duration%s: %uns\n", attr.test.retval, repeat > 1 ? " (average)" : "",
			   attr.test.duration);
	engine_close(cli->engine, fd);
	free(in.bytes), free(ctx.bytes), free(out);
	return status;
}
