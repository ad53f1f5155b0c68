/* The memory of a map: its area (private) and its data (the pages that descriptors can map).
 *
 *                     area                              data
 *   anonymous         shared anonymous mapping          the token, a sealed memfd
 *   anonymous, handles  the same                        the same: there is no token
 *   files             objects/ID.area                   the token
 *
 * In the file backing memory that another process will touch is allocated here and now, up to the engine's commit limit
 * (64 MiB): on a full tmpfs a sparse page would be SIGBUS in the process that touches it. Larger maps stay sparse, and
 * m->committed says so. */
#include "runtime/state.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static u64 pages(u64 size) {
	return round_up(size, 4096);
}
static int map_file(int fd, u64 size, u8 **at) {
	void *p = mmap(NULL, pages(size), PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS | MAP_NORESERVE : 0),
				   fd, 0);
	if (p == MAP_FAILED)
		return errno == EINVAL ? -ENOMEM : -errno;
	*at = p;
	return 0;
}

static int new_area_file(struct call *c, struct object_map *m, bool commit) {
	struct skep_engine *e = c->e;
	u64 size = pages(m->m.map.area_size);
	int fd = store_new_area(&e->store, m->o.id);
	int err = fd < 0 ? fd : 0;
	if (!err && ftruncate(fd, size))
		err = -errno;
	if (!err && commit && fallocate(fd, 0, 0, size) && errno != EOPNOTSUPP)
		err = -errno;
	if (err == -ENOSPC || err == -EDQUOT || err == -EFBIG) {
		/* What the failed attempt took is given back before the rest is counted. */
		if (fd >= 0 && ftruncate(fd, 0))
			err = -errno;
		err = explain_full(c, size + m->m.map.data_size);
	}
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

int map_area_create(struct call *c, struct object_map *m) {
	struct skep_engine *e = c->e;
	struct map *map = &m->m.map;
	if (!m->m.ops) /* facts only */
		return token_create(c, &m->o, 0, false);
	u64 total = pages(map->area_size) + pages(map->data_size);
	if (total < map->area_size)
		return -E2BIG;
	bool files = e->opts.backing == BACKING_FILES;
	bool commit = files && total <= (e->opts.commit_limit ? e->opts.commit_limit : 64ull << 20);
	int err = token_create(c, &m->o, map->data_size ? pages(map->data_size) : 0, commit);
	if (!err && map->area_size && files) {
		m->m.area_fd = new_area_file(c, m, commit);
		err = m->m.area_fd < 0 ? m->m.area_fd : 0;
	}
	if (!err && map->area_size)
		err = map_file(m->m.area_fd, map->area_size, &map->area);
	if (!err && map->data_size)
		err = map_file(m->o.token_fd, map->data_size, &map->data);
	if (err == -ENOMEM && !c->explained)
		explain(c, err, "the map needs %llu KiB, more than this process can have", (unsigned long long)total / 1024);
	if (!err)
		err = m->m.ops->init(map);
	m->m.token_fd = m->o.token_fd;
	m->m.committed = commit || !files ? total : 0;
	return err;
}

/* Of a map of the store. */
int map_area_open(struct call *c, struct object_map *m) {
	struct map *map = &m->m.map;
	int err = 0;
	m->m.token_fd = m->o.token_fd;
	if (!m->m.ops)
		return 0;
	if (map->area_size) {
		m->m.area_fd = store_open_area(&c->e->store, m->o.id);
		err = m->m.area_fd < 0 ? m->m.area_fd : map_file(m->m.area_fd, map->area_size, &map->area);
	}
	if (!err && map->data_size)
		err = map_file(m->o.token_fd, map->data_size, &map->data);
	return err;
}

void map_area_close(struct object_map *m) {
	if (m->m.map.area)
		munmap(m->m.map.area, pages(m->m.map.area_size));
	if (m->m.map.data)
		munmap(m->m.map.data, pages(m->m.map.data_size));
	if (m->m.area_fd >= 0)
		close(m->m.area_fd);
	m->m.map.area = m->m.map.data = NULL;
	m->m.area_fd = -1;
}
