/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "floor-inodes.h"

#include <err.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer/inode-hash.h"
#include "util/hash-table.h"
#include "util/lock.h"

/* One that another thread may still read stays with its inode. */
struct path {
	struct path *older;
	char text[];
};

struct inode {
	struct hash_link link; /* by its path, while it has one */
	uint64_t lookups;
	_Atomic(struct path *) path;
};

static struct mutex lock = {.native = PTHREAD_MUTEX_INITIALIZER};
static struct hash_table inodes guarded_by(lock);
static struct inode *root;

static uint64_t hash_of(const char *text)
{
	return inode_hash(INODE_HASH_SEED, text, strlen(text), 0);
}

static void set_path(struct inode *inode, const char *text)
{
	size_t size = strlen(text) + 1;
	struct path *path = malloc(sizeof(*path) + size);

	if (!path)
		err(1, "malloc");
	memcpy(path->text, text, size);
	path->older = inode->path;
	inode->path = path;
}

static struct inode *find_locked(const char *text) requires_lock(lock)
{
	struct hash_link *link = hash_table_find(&inodes, hash_of(text));

	while (link && strcmp(((struct inode *)link)->path->text, text) != 0)
		link = hash_link_next(link);
	return (struct inode *)link;
}

static struct inode *new_locked(const char *text) requires_lock(lock)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		err(1, "calloc");
	set_path(inode, text);
	hash_table_add(&inodes, &inode->link, hash_of(text));
	return inode;
}

static struct inode *inode_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? root
				   : (struct inode *)ino; /* NOLINT(performance-no-int-to-ptr) */
}

void inodes_init(void)
{
	mutex_lock(&lock);
	root = new_locked(".");
	mutex_unlock(&lock);
}

const char *inode_path(fuse_ino_t ino)
{
	return inode_of(ino)->path->text;
}

const char *inode_child(char buffer[PATH_MAX], fuse_ino_t parent, const char *name)
{
	snprintf(buffer, PATH_MAX, "%s/%s", inode_path(parent), name);
	return buffer;
}

fuse_ino_t inode_get(const char *path)
{
	struct inode *inode;

	mutex_lock(&lock);
	inode = find_locked(path);
	if (!inode)
		inode = new_locked(path);
	inode->lookups++;
	mutex_unlock(&lock);
	return (fuse_ino_t)inode;
}

static void free_inode(struct inode *inode)
{
	for (struct path *path = inode->path, *older; path; path = older) {
		older = path->older;
		free(path);
	}
	free(inode);
}

void inode_forget(fuse_ino_t ino, uint64_t lookups)
{
	struct inode *inode = inode_of(ino);

	if (inode == root)
		return;
	mutex_lock(&lock);
	inode->lookups -= lookups;
	if (inode->lookups == 0) {
		hash_table_remove(&inodes, &inode->link);
		free_inode(inode);
	}
	mutex_unlock(&lock);
}

static void remove_locked(const char *path) requires_lock(lock)
{
	struct inode *inode = find_locked(path);

	if (inode)
		hash_table_remove(&inodes, &inode->link);
}

void inode_gone(const char *path)
{
	mutex_lock(&lock);
	remove_locked(path);
	mutex_unlock(&lock);
}

void inode_moved(const char *from, const char *to)
{
	struct inode *inode;

	mutex_lock(&lock);
	remove_locked(to);
	inode = find_locked(from);
	if (inode) {
		hash_table_remove(&inodes, &inode->link);
		set_path(inode, to);
		hash_table_add(&inodes, &inode->link, hash_of(to));
	}
	mutex_unlock(&lock);
}
