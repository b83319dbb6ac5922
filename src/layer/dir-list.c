/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands in the directories of a layer of kind dir. */
#include "layer/dir-node.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

struct listing {
	struct dir_layer *self;
	int fd;
	dev_t dev; /* of the directory */
	layer_emit_fn emit;
	void *ctx;
};

/*
 * d_ino of a mountpoint is that of the directory below the mount, and some file
 * systems leave the type out: then stat says what getattr would.
 */
static int entry_attributes(const struct listing *listing, const struct dirent64 *d,
	mode_t *ret_type, uint64_t *ret_ino)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN && d->d_type != DT_DIR) {
		*ret_type = DTTOIF(d->d_type);
		*ret_ino = dir_inode_number(listing->self, listing->dev, d->d_ino);
		return 0;
	}
	if (TEMP_FAILURE_RETRY(fstatat(
		    listing->fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) < 0)
		return -errno;
	*ret_type = st.st_mode & S_IFMT;
	*ret_ino = dir_inode_number(listing->self, st.st_dev, st.st_ino);
	return 0;
}

/* 1: go on, 0: emit has had enough. */
static int emit_entry(const struct listing *listing, const struct dirent64 *d)
{
	uint64_t ino;
	mode_t type;
	int r;

	if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
		return 1;
	r = entry_attributes(listing, d, &type, &ino);
	if (r == -ENOENT) /* removed since getdents */
		return 1;
	if (r < 0)
		return r;
	return !listing->emit(listing->ctx, d->d_name, type, ino, (uint64_t)d->d_off);
}

/* Offsets are the kernel's: d_off of an entry is where the next one begins. */
static int list(const struct listing *listing, uint64_t offset)
{
	_Alignas(struct dirent64) char buf[32768];

	if (offset && lseek(listing->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	for (;;) {
		ssize_t n = TEMP_FAILURE_RETRY(getdents64(listing->fd, buf, sizeof(buf)));

		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (ssize_t i = 0; i < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(const void *)(buf + i);
			int r = emit_entry(listing, d);

			if (r <= 0)
				return r;
			i += d->d_reclen;
		}
	}
}

static int open_listing(int path_fd)
{
	return TEMP_FAILURE_RETRY(openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int dir_readdir(
	struct layer *layer, layer_node_t node, uint64_t offset, layer_emit_fn emit, void *ctx)
{
	struct dir_layer *self = dir_layer_of(layer);
	struct dir_node *dir = dir_node_of(node);
	struct listing listing = {.self = self, .emit = emit, .ctx = ctx};
	_cleanup_close_ int fd = -1;
	int path_fd, r = dir_node_get_fd(self, dir, &path_fd);
	struct stat st;

	if (r == -ENOTDIR)
		return r;
	if (r < 0)
		return (int)dir_node_failed(layer, "readdir", dir, NULL, -r);
	fd = open_listing(path_fd);
	if (fd < 0 && fdcache_make_room(errno))
		fd = open_listing(path_fd);
	r = fd < 0 || TEMP_FAILURE_RETRY(fstat(fd, &st)) < 0 ? -errno : 0;
	dir_node_put_fd(self, dir);
	if (!r) {
		listing.fd = fd;
		listing.dev = st.st_dev;
		r = list(&listing, offset);
	}
	return r < 0 ? (int)dir_node_failed(layer, "readdir", dir, NULL, -r) : 0;
}

static int count_one(void *ctx, const char *name, mode_t type, uint64_t ino, uint64_t next)
{
	*(uint32_t *)ctx += S_ISDIR(type);
	return 0;
}

/*
 * Each directory in another one has a link to it, "..", and so do ".", and its name. Not every
 * file system says so: others, and those that have stopped to count at 1, are listed.
 */
int dir_count_directories(struct layer *layer, layer_node_t node, uint32_t *ret_count)
{
	struct dir_layer *self = dir_layer_of(layer);
	struct stat st;
	uint32_t count = 0;
	int r;

	if (!S_ISDIR(dir_node_of(node)->type))
		return -ENOTDIR;
	r = dir_node_stat(self, dir_node_of(node), &st);
	if (r < 0)
		return (int)dir_node_failed(layer, "count", dir_node_of(node), NULL, -r);
	if (self->counts_links && st.st_dev == self->root_dev && st.st_nlink >= 2)
		count = (uint32_t)(st.st_nlink - 2);
	else
		r = dir_readdir(layer, node, 0, count_one, &count);
	if (r == 0)
		*ret_count = count;
	return r;
}
