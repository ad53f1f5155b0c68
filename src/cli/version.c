#include "cli/cli.h"
#include "cli/out/out.h"
#include <stdio.h>

int cmd_version(struct cli *cli, int argc, char **argv) {
	struct arguments a;
	int parsed = cli_parse(cli, argc, argv, &a);
	if (parsed != PARSED)
		return parsed;
	if (!cli_no_more(cli, &a, 0))
		return EXIT_CANNOT;
	if (cli->json) {
		out_json(json_pack("{s:s,s:s,s:s}", "version", skep_version(), "abi", "Linux 6.18", "jansson",
		                   JANSSON_VERSION),
		         cli->pretty);
		return EXIT_YES;
	}
	printf("skep %s (the eBPF of Linux 6.18)\n", skep_version());
	return EXIT_YES;
}
