/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/mem-tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define NAME_LENGTH_MAX 255

static int grow(void *array, size_t element, size_t count, size_t *space)
{
	void *bigger;

	if (count < *space)
		return 0;
	bigger = reallocarray(*(void **)array, *space ? *space * 2 : 8, element);
	if (!bigger)
		return -ENOMEM;
	*space = *space ? *space * 2 : 8;
	*(void **)array = bigger;
	return 0;
}

void mem_content_unref(struct mem_content *content)
{
	if (content && atomic_fetch_sub(&content->references, 1) == 1)
		free(content);
}

static struct mem_content *content_new(const void *data, size_t length)
{
	/* One byte more: the data of an empty file must not be NULL. */
	struct mem_content *content = calloc(1, sizeof(*content) + length + 1);

	if (!content)
		return NULL;
	content->references = 1;
	content->length = length;
	if (length)
		memcpy(content->bytes, data, length);
	return content;
}

static void inode_free(struct mem_inode *inode)
{
	if (!inode)
		return;
	for (size_t i = 0; i < inode->child_count; i++)
		free(inode->children[i].name);
	for (size_t i = 0; i < inode->xattr_count; i++) {
		free(inode->xattrs[i].name);
		free(inode->xattrs[i].value);
	}
	free(inode->children);
	free(inode->xattrs);
	mem_content_unref(inode->content);
	free(inode);
}

static void cleanup_inodep(struct mem_inode **inode)
{
	inode_free(*inode);
}

/* A new inode that is in no table yet. */
static struct mem_inode *inode_new(const struct mem_entry *entry)
{
	_cleanup_(cleanup_inodep) struct mem_inode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		return NULL;
	inode->mode = entry->mode;
	inode->links = 1;
	inode->uid = entry->uid;
	inode->gid = entry->gid;
	inode->mtime = entry->mtime;
	inode->rdev = entry->rdev;
	if (S_ISREG(entry->mode) || S_ISLNK(entry->mode)) {
		inode->content = content_new(entry->data, entry->length);
		if (!inode->content)
			return NULL;
		inode->size = entry->size > entry->length ? entry->size : entry->length;
	}
	return steal_ptr(&inode);
}

/* Takes the inode over on success. */
static int tree_adopt(struct mem_tree *tree, struct mem_inode *inode)
{
	int r = grow(&tree->inodes, sizeof(*tree->inodes), tree->count, &tree->space);

	if (r < 0)
		return r;
	inode->number = tree->count;
	tree->inodes[tree->count++] = inode;
	return 0;
}

struct mem_tree *mem_tree_new(void)
{
	const struct mem_entry root = {.mode = S_IFDIR | 0755};
	struct mem_tree *tree = calloc(1, sizeof(*tree));
	struct mem_inode *inode = inode_new(&root);

	if (!tree || !inode || tree_adopt(tree, inode) < 0) {
		inode_free(inode);
		free(tree);
		return NULL;
	}
	mutex_init(&tree->lock);
	return tree;
}

void mem_tree_free(struct mem_tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++)
		inode_free(tree->inodes[i]);
	free(tree->inodes);
	mutex_destroy(&tree->lock);
	free(tree);
}

size_t mem_find_child(const struct mem_inode *dir, const char *name, bool *ret_found)
{
	size_t low = 0, high = dir->child_count;

	/* Trees are mostly built in order: look at the end first. */
	if (high && strcmp(dir->children[high - 1].name, name) < 0)
		low = high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(dir->children[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < dir->child_count && !strcmp(dir->children[low].name, name);
	return low;
}

/*
 * The directory that `path` is to stand in, and its last component. An empty
 * path has neither.
 */
static int resolve_parent(struct mem_tree *tree, const char *path, struct mem_inode **ret_dir,
	char name[NAME_LENGTH_MAX + 1])
{
	struct mem_inode *dir = tree->inodes[0];

	for (;;) {
		const char *slash = strchrnul(path, '/');
		size_t length = (size_t)(slash - path), i;
		bool found;

		if (length == 0 || length > NAME_LENGTH_MAX)
			return -EINVAL;
		if (!S_ISDIR(dir->mode))
			return -ENOTDIR;
		memcpy(name, path, length);
		name[length] = '\0';
		if (!*slash)
			break;
		i = mem_find_child(dir, name, &found);
		if (!found)
			return -ENOENT;
		dir = dir->children[i].inode;
		path = slash + 1;
	}
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	*ret_dir = dir;
	return 0;
}

static int resolve(struct mem_tree *tree, const char *path, struct mem_inode **ret_inode)
{
	char name[NAME_LENGTH_MAX + 1];
	struct mem_inode *dir;
	bool found;
	size_t i;
	int r;

	if (!*path) {
		*ret_inode = tree->inodes[0];
		return 0;
	}
	r = resolve_parent(tree, path, &dir, name);
	if (r < 0)
		return r;
	i = mem_find_child(dir, name, &found);
	if (!found)
		return -ENOENT;
	*ret_inode = dir->children[i].inode;
	return 0;
}

static int dir_insert(struct mem_inode *dir, const char *name, struct mem_inode *inode)
{
	_cleanup_free_ char *copy = strdup(name);
	bool found;
	size_t i = mem_find_child(dir, name, &found);

	if (found)
		return -EEXIST;
	if (!copy || grow(&dir->children, sizeof(*dir->children), dir->child_count,
			     &dir->child_space) < 0)
		return -ENOMEM;
	memmove(dir->children + i + 1, dir->children + i,
		(dir->child_count - i) * sizeof(*dir->children));
	dir->children[i] = (struct mem_child){steal_ptr(&copy), inode};
	dir->child_count++;
	return 0;
}

static bool type_is_valid(mode_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISFIFO(mode) ||
	       S_ISSOCK(mode) || S_ISCHR(mode) || S_ISBLK(mode);
}

int mem_tree_add(struct mem_tree *tree, const struct mem_entry *entry)
{
	_cleanup_(cleanup_inodep) struct mem_inode *inode = NULL;
	char name[NAME_LENGTH_MAX + 1];
	struct mem_inode *dir;
	int r = resolve_parent(tree, entry->path, &dir, name);

	if (r < 0)
		return r;
	if (!type_is_valid(entry->mode))
		return -EINVAL;
	inode = inode_new(entry);
	if (!inode)
		return -ENOMEM;
	r = dir_insert(dir, name, inode);
	if (r < 0)
		return r;
	r = tree_adopt(tree, inode);
	if (r < 0) {
		bool found;
		size_t i = mem_find_child(dir, name, &found);

		free(dir->children[i].name);
		dir->child_count--;
		memmove(dir->children + i, dir->children + i + 1,
			(dir->child_count - i) * sizeof(*dir->children));
		return r;
	}
	inode = NULL;
	return 0;
}

int mem_tree_add_file(struct mem_tree *tree, const char *path, mode_t permissions, const char *text)
{
	return mem_tree_add(tree, &(struct mem_entry){.path = path,
					  .mode = S_IFREG | permissions,
					  .data = text,
					  .length = strlen(text)});
}

int mem_tree_add_dir(struct mem_tree *tree, const char *path, mode_t permissions)
{
	return mem_tree_add(tree, &(struct mem_entry){.path = path, .mode = S_IFDIR | permissions});
}

int mem_tree_add_symlink(struct mem_tree *tree, const char *path, const char *target)
{
	return mem_tree_add(tree, &(struct mem_entry){.path = path,
					  .mode = S_IFLNK | 0777,
					  .data = target,
					  .length = strlen(target)});
}

int mem_tree_add_whiteout(struct mem_tree *tree, const char *path)
{
	return mem_tree_add(tree, &(struct mem_entry){.path = path, .mode = S_IFCHR});
}

int mem_tree_link(struct mem_tree *tree, const char *existing, const char *path)
{
	char name[NAME_LENGTH_MAX + 1];
	struct mem_inode *inode, *dir;
	int r = resolve(tree, existing, &inode);

	if (!r && S_ISDIR(inode->mode))
		r = -EPERM;
	if (!r)
		r = resolve_parent(tree, path, &dir, name);
	if (!r)
		r = dir_insert(dir, name, inode);
	if (!r)
		inode->links++;
	return r;
}

static struct mem_xattr *find_xattr(struct mem_inode *inode, const char *name)
{
	for (size_t i = 0; i < inode->xattr_count; i++)
		if (!strcmp(inode->xattrs[i].name, name))
			return &inode->xattrs[i];
	return NULL;
}

int mem_tree_set_xattr(
	struct mem_tree *tree, const char *path, const char *name, const void *value, size_t length)
{
	_cleanup_free_ char *name_copy = strdup(name);
	_cleanup_free_ char *copy = malloc(length + 1);
	struct mem_xattr *xattr;
	struct mem_inode *inode;
	int r = resolve(tree, path, &inode);

	if (r < 0)
		return r;
	if (!name_copy || !copy)
		return -ENOMEM;
	xattr = find_xattr(inode, name);
	if (!xattr) {
		struct mem_xattr *more =
			reallocarray(inode->xattrs, inode->xattr_count + 1, sizeof(*inode->xattrs));

		if (!more)
			return -ENOMEM;
		inode->xattrs = more;
		xattr = &more[inode->xattr_count++];
		*xattr = (struct mem_xattr){.name = steal_ptr(&name_copy)};
	}
	if (length)
		memcpy(copy, value, length);
	free(xattr->value);
	xattr->value = steal_ptr(&copy);
	xattr->length = length;
	return 0;
}

int mem_tree_set_flags(struct mem_tree *tree, const char *path, uint32_t flags)
{
	struct mem_inode *inode;
	int r = resolve(tree, path, &inode);

	if (r == 0)
		inode->flags = flags;
	return r;
}

int mem_tree_set_attr(struct mem_tree *tree, const char *path, mode_t permissions, uint32_t uid,
	uint32_t gid, struct timespec mtime)
{
	struct mem_inode *inode;
	int r = resolve(tree, path, &inode);

	if (r < 0)
		return r;
	inode->mode = (inode->mode & S_IFMT) | (permissions & 07777);
	inode->uid = uid;
	inode->gid = gid;
	inode->mtime = mtime;
	return 0;
}

int mem_tree_fail(struct mem_tree *tree, enum mem_operation operation, const char *path, int error,
	unsigned times)
{
	struct mem_inode *inode = NULL;
	int r = path ? resolve(tree, path, &inode) : 0;

	if (r < 0)
		return r;
	mutex_lock(&tree->lock);
	tree->faults[operation] = (struct mem_fault){inode, error, times};
	mutex_unlock(&tree->lock);
	return 0;
}

int mem_tree_enter(struct mem_tree *tree, enum mem_operation operation, struct mem_inode *inode)
{
	struct mem_fault *fault = &tree->faults[operation];
	int r = 0;

	atomic_fetch_add(&tree->calls[operation], 1);
	mutex_lock(&tree->lock);
	if (fault->times && (!fault->inode || fault->inode == inode)) {
		fault->times--;
		r = -fault->error;
	}
	mutex_unlock(&tree->lock);
	return r;
}

uint64_t mem_tree_calls(struct mem_tree *tree, enum mem_operation operation)
{
	return atomic_load(&tree->calls[operation]);
}

uint64_t mem_tree_references(struct mem_tree *tree)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < tree->count; i++)
		sum += atomic_load(&tree->inodes[i]->references);
	return sum;
}
