/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-pack.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fully.h"

#define INDEX_SUFFIX ".idx"
#define PACK_SUFFIX  ".pack"
#define PACK_MAGIC   "PACK"

struct pack_header {
	char magic[4];
	uint32_t version, count;
};

/* "pack-x.pack" for "pack-x.idx". */
static char *path_of_pack(const char *index_path)
{
	size_t stem = strlen(index_path) - strlen(INDEX_SUFFIX);
	char *path = malloc(stem + sizeof(PACK_SUFFIX));

	if (path) {
		memcpy(path, index_path, stem);
		memcpy(path + stem, PACK_SUFFIX, sizeof(PACK_SUFFIX));
	}
	return path;
}

/* 0, or -errno and where there is more to say than that the reason. */
static int map_index(struct held_pack *pack, int fd, const char **ret_fault)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_fault = "its index is cut off";
	if (st.st_size <= 0)
		return -EINVAL;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		*ret_fault = NULL;
		return -errno;
	}
	pages_add_map(&pack->map, map, (size_t)st.st_size);
	return pack_index_parse(map, (size_t)st.st_size, &pack->index, ret_fault);
}

/* Whether the pack is one, and the one that the index is of. */
static int check_pack(struct held_pack *pack, int fd, const char **ret_fault)
{
	uint8_t checksum[PACK_ID_SIZE];
	struct pack_header header;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_fault = "it is cut off";
	if (st.st_size < (off_t)(sizeof(header) + PACK_ID_SIZE))
		return -EINVAL;
	pack->end = (uint64_t)st.st_size - PACK_ID_SIZE;
	n = pread_fully(fd, &header, sizeof(header), 0);
	if (n == sizeof(header))
		n = pread_fully(fd, checksum, sizeof(checksum), pack->end);
	if (n != sizeof(checksum))
		return n < 0 ? (int)n : -EINVAL;
	*ret_fault = "it is no pack of version 2";
	if (memcmp(header.magic, PACK_MAGIC, sizeof(header.magic)) != 0 ||
		(be32toh(header.version) != 2 && be32toh(header.version) != 3))
		return -EINVAL;
	*ret_fault = "its index is of another pack";
	if (be32toh(header.count) != pack->index.count ||
		memcmp(checksum, pack->index.pack_checksum, sizeof(checksum)) != 0)
		return -EINVAL;
	return 0;
}

static int hold(struct held_pack *pack, const char **ret_fault)
{
	_cleanup_free_ char *pack_path = path_of_pack(pack->index_path);
	_cleanup_close_ int index_fd = -1, pack_fd = -1;
	int r;

	if (!pack_path)
		return -ENOMEM;
	index_fd = open(pack->index_path, O_RDONLY | O_CLOEXEC);
	if (index_fd < 0)
		return -errno;
	pack_fd = open(pack_path, O_RDONLY | O_CLOEXEC);
	if (pack_fd < 0)
		return -errno;
	r = map_index(pack, index_fd, ret_fault);
	if (r == 0)
		r = check_pack(pack, pack_fd, ret_fault);
	if (r == 0)
		pack->fd = steal_fd(&pack_fd);
	return r;
}

static struct held_pack *pack_new(const char *index_path)
{
	static atomic_uint numbers;
	struct held_pack *pack = calloc(1, sizeof(*pack));

	if (!pack)
		return NULL;
	pack->fd = -1;
	pack->number = atomic_fetch_add(&numbers, 1);
	pack->index_path = strdup(index_path);
	if (pack->index_path)
		return pack;
	held_pack_close(pack);
	return NULL;
}

int held_pack_open(
	const char *index_path, struct held_pack **ret_pack, struct object_cause *ret_cause)
{
	struct held_pack *pack = pack_new(index_path);
	const char *fault = NULL;
	int r = pack ? hold(pack, &fault) : -ENOMEM;

	ret_cause->text[0] = '\0';
	if (r == -ENOENT || r == -EMFILE || r == -ENFILE || r == -ENOMEM) {
		held_pack_close(pack);
		return r;
	}
	if (r < 0)
		snprintf(ret_cause->text, sizeof(ret_cause->text), "pack %s: %s",
			strrchr(index_path, '/') + 1, fault ? fault : strerror(-r));
	*ret_pack = pack;
	return 0;
}

void held_pack_close(struct held_pack *pack)
{
	if (!pack)
		return;
	if (pack->map.start) {
		pages_remove_map(&pack->map);
		munmap(pack->map.start, pack->map.size);
	}
	close_keep_errno(pack->fd);
	free(pack->index_path);
	free(pack);
}
