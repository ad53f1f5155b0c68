/* Pins: what hangs on a path, which paths an object has, and taking one away. The bpf file system that users name is a
 * directory of the engine (engine_pin_path); its names are read here, what they mean is asked of bpf(2). */
#include "cli/object.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PIN_PATH = 4096, DEPTH_MAX = 16 };

/* The id of the map or program that is pinned here, 0 for another kind. */
static u32 pinned_id(struct cli *cli, const char *path, bool is_map) {
	union bpf_attr attr = {.pathname = (u64)(uintptr_t)path};
	s64 fd = cli_bpf(cli, BPF_OBJ_GET, &attr);
	u32 id = 0;
	if (fd < 0)
		return 0;
	if (is_map && object_is(cli, (int)fd, true)) {
		struct bpf_map_info info;
		id = object_map_info(cli, (int)fd, &info) ? 0 : info.id;
	} else if (!is_map && object_is(cli, (int)fd, false)) {
		struct bpf_prog_info info = {0};
		id = object_prog_info(cli, (int)fd, &info) ? 0 : info.id;
	}
	engine_close(cli->engine, (int)fd);
	return id;
}

/* The paths at which this object is pinned; id 0: all that there are. */
static void find_pins(struct cli *cli, const char *folder, u32 id, bool is_map, json_t *found, u32 depth) {
	char real[PIN_PATH], path[PIN_PATH];
	DIR *d = engine_pin_path(cli->engine, folder, real, sizeof real) ? NULL : opendir(real);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.' || (u32)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path)
			continue;
		if (e->d_type == DT_DIR && depth < DEPTH_MAX)
			find_pins(cli, path, id, is_map, found, depth + 1);
		else if (e->d_type != DT_DIR && (!id || pinned_id(cli, path, is_map) == id))
			json_array_append_new(found, json_string(path));
	}
	if (d)
		closedir(d);
}

static int no_pin(struct cli *cli, const char *path) {
	enum { MOST = 256 };
	const char *names[MOST], *asked = path;
	char room[PIN_PATH + 64];
	json_t *all = json_array(), *item;
	u32 n = 0;
	size_t i, root = strlen("/sys/fs/bpf/");
	find_pins(cli, "/sys/fs/bpf", 0, false, all, 0);
	asked += strncmp(asked, "/sys/fs/bpf/", root) ? 0 : root;
	json_array_foreach(all, i, item)
		if (n < MOST)
			names[n++] = json_string_value(item) + root;
	cli_error(cli, cli_did_you_mean(asked, names, n, "skep prog show -f and skep map show -f list the pins", room),
	          "nothing is pinned at %s", path);
	json_decref(all);
	return EXIT_CANNOT;
}

int object_open_pin(struct cli *cli, const char *path) {
	union bpf_attr attr = {.pathname = (u64)(uintptr_t)path};
	s64 fd = cli_bpf(cli, BPF_OBJ_GET, &attr);
	if (fd >= 0)
		return (int)fd;
	if (fd == -ENOENT)
		no_pin(cli, path);
	else
		cli_error(cli, NULL, "%s cannot be opened: %s", path, strerror((int)-fd));
	return -EXIT_CANNOT;
}

int object_unpin(struct cli *cli, struct words *w) {
	const char *path = words_next(w);
	if (!path)
		return cli_error(cli, "skep prog unpin FILE", "which pin?");
	if (!words_end(cli, w) || !cli_engine(cli))
		return EXIT_CANNOT;
	int error = engine_unpin(cli->engine, path);
	if (error == -ENOENT)
		return no_pin(cli, path);
	return error ? object_failed(cli, path, error) : EXIT_YES;
}

json_t *object_pins(struct cli *cli, u32 id, bool is_map) {
	json_t *found = json_array();
	find_pins(cli, "/sys/fs/bpf", id, is_map, found, 0);
	return found;
}
