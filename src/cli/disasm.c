/* skep disasm: the instructions of an object's programs before loading, in the kernel's notation. */
#include "cli/object.h"
#include "cli/out/out.h"
#include "isa/disasm.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *helper_name(void *owner, const struct bpf_insn *insn, char *room, u32 size) {
	const struct abi_helper *h = insn_is_helper_call(insn) ? abi_helper(abi_linux(), (u32)insn->imm) : NULL;
	if (!h)
		return NULL;
	snprintf(room, size, "bpf_%s", h->name);
	return room;
}

static const char *loaded_name(void *owner, const struct bpf_insn *insn, char *room, u32 size) {
	if (insn_is_ldimm64(insn) && insn->src_reg == BPF_PSEUDO_MAP_FD)
		snprintf(room, size, "map[id:%d]", insn->imm);
	else if (insn_is_ldimm64(insn) && insn->src_reg == BPF_PSEUDO_MAP_VALUE)
		snprintf(room, size, "map[id:%d][0]+%d", insn->imm, insn[1].imm);
	else
		return helper_name(owner, insn, room, size);
	return room;
}

json_t *listing_json(const struct bpf_insn *insns, u32 n, struct listing how) {
	json_t *list = json_array();
	struct disasm_names names = {.name = how.loaded ? loaded_name : helper_name};
	for (u32 i = 0; i < n;) {
		char text[256], hex[48] = "";
		u32 slots = insn_is_ldimm64(&insns[i]) && i + 1 < n ? 2 : 1;
		insn_text(&insns[i], n - i, how.flags, &names, text, sizeof text);
		for (u32 b = 0; b < slots * 8; b++)
			snprintf(hex + 2 * b, sizeof hex - 2 * b, "%02x", ((const u8 *)&insns[i])[b]);
		json_t *o = json_pack("{s:i,s:s}", "insn", (int)i, "text", text);
		if (how.bytes)
			json_object_set_new(o, "bytes", json_string(hex));
		json_array_append_new(list, o);
		i += slots;
	}
	return list;
}

void listing_text(const json_t *list) {
	json_t *o;
	size_t i;
	json_array_foreach(list, i, o) {
		const char *hex = json_string_value(json_object_get(o, "bytes"));
		printf("%4lld: ", (long long)json_integer_value(json_object_get(o, "insn")));
		if (hex)
			printf("%s%-32s%s ", out_c(OUT_DIM), hex, out_c(OUT_PLAIN));
		printf("%s\n", json_string_value(json_object_get(o, "text")));
	}
}

/* Bytes in hexadecimal from standard input: what other tools print. */
static int disasm_stdin(struct cli *cli, bool bytes) {
	u8 *code = NULL;
	size_t n = 0, room = 0;
	int c, half = -1;
	while ((c = getchar()) != EOF) {
		if (!isxdigit(c)) {
			if (!isspace(c) && c != ',')
				return free(code), cli_error(cli, NULL, "standard input holds no hexadecimal bytes: '%c'", c);
			continue;
		}
		int v = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
		if (half < 0) {
			half = v;
			continue;
		}
		if (n == room) {
			u8 *grown = realloc(code, room = room * 2 + 4096);
			if (!grown)
				return free(code), cli_error(cli, NULL, "out of memory");
			code = grown;
		}
		code[n++] = (u8)(half << 4 | v), half = -1;
	}
	if (n % 8 || !n)
		return free(code), cli_error(cli, NULL, "an instruction has eight bytes; there are %zu", n);
	json_t *list = listing_json((struct bpf_insn *)code, (u32)(n / 8), (struct listing){.bytes = bytes});
	free(code);
	if (cli->json)
		out_json(list, cli->pretty);
	else
		listing_text(list), json_decref(list);
	return EXIT_YES;
}

int cmd_disasm(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	if (!a.words_n)
		return cli_error(cli, "skep disasm prog.bpf.o", "disassemble what?");
	if (!cli_no_more(cli, &a, 2))
		return EXIT_CANNOT;
	bool bytes = cli_option(&a, "bytes") != NULL;
	if (!strcmp(a.word[0], "-"))
		return disasm_stdin(cli, bytes);
	struct skep_object *object;
	int status = cli_open(cli, a.word[0], &a, &object);
	if (status)
		return status;
	json_t *all = json_array();
	u32 shown = 0;
	for (struct skep_program *p = NULL; (p = skep_object__next_program(object, p));) {
		if (a.words_n > 1 && strcmp(a.word[1], skep_program__name(p)))
			continue;
		size_t n;
		const struct bpf_insn *insns = skep_program__insns(p, &n);
		json_t *list = listing_json(insns, (u32)n, (struct listing){.bytes = bytes});
		if (!cli->json) {
			printf("%s%s%s%s%s (%zu instructions)\n", shown ? "\n" : "", out_c(OUT_BOLD), skep_program__name(p),
			       skep_program__section(p)[0] ? ", " : "", skep_program__section(p), n);
			fputs(out_c(OUT_PLAIN), stdout);
			listing_text(list);
		}
		json_array_append_new(all, json_pack("{s:s,s:s,s:o}", "name", skep_program__name(p), "section",
		                                     skep_program__section(p), "insns", list));
		shown++;
	}
	if (cli->json && shown)
		out_json(json_incref(all), cli->pretty);
	json_decref(all);
	if (!shown)
		status = cli_no_program(cli, object, a.word[0], a.words_n > 1 ? a.word[1] : NULL);
	skep_object__close(object);
	return status;
}
