/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything that can be known of a tree. */
#include "oracle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static void *must(void *memory)
{
	if (!memory)
		die("out of memory");
	return memory;
}

static void note_error(struct item *item)
{
	if (!item->error)
		item->error = errno;
}

static void read_content(int parent, const char *name, struct item *item)
{
	static char buffer[256 * 1024];
	int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 0;

	item->content = HASH_START;
	while (fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0)
		item->content = hash_bytes(item->content, buffer, (size_t)n);
	if (n < 0)
		note_error(item);
	if (fd >= 0)
		close(fd);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "NAME=HASH", sorted. There is no *at() for extended attributes: the caller is in the directory.
 */
static void read_xattrs(const char *name, struct item *item)
{
	char list[4096], value[4096], *texts[64];
	ssize_t n = llistxattr(name, list, sizeof(list));
	size_t count = 0, size;
	FILE *out;

	if (n < 0)
		note_error(item);
	for (char *p = list; n > 0 && p < list + n && count < COUNT(texts); p += strlen(p) + 1) {
		ssize_t length = lgetxattr(name, p, value, sizeof(value));

		if (length < 0)
			note_error(item);
		else if (asprintf(&texts[count++], "%s=%zd:%llx", p, length,
				 (unsigned long long)hash_bytes(
					 HASH_START, value, (size_t)length)) < 0)
			die("out of memory");
	}
	qsort(texts, count, sizeof(texts[0]), compare_texts);
	out = must(open_memstream(&item->xattrs, &size));
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%s%s", i ? " " : "", texts[i]);
		free(texts[i]);
	}
	fclose(out);
}

static struct item *add_item(struct tree *tree)
{
	if (tree->count == tree->capacity) {
		tree->capacity = tree->capacity ? 2 * tree->capacity : 256;
		tree->items = must(reallocarray(tree->items, tree->capacity, sizeof(struct item)));
	}
	tree->items[tree->count] = (struct item){.path = NULL};
	return &tree->items[tree->count++];
}

static void read_birth(int parent, const char *name, struct item *item)
{
	struct statx stx;

	if (statx(parent, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &stx) == 0 &&
		stx.stx_mask & STATX_BTIME)
		item->birth = (uint64_t)stx.stx_btime.tv_sec * 1000000000u + stx.stx_btime.tv_nsec;
}

static void fill_item(int parent, const char *name, struct item *item)
{
	char target[4096];
	ssize_t n;

	if (fstatat(parent, name, &item->st, AT_SYMLINK_NOFOLLOW) < 0) {
		note_error(item);
		return;
	}
	read_birth(parent, name, item);
	read_xattrs(name, item);
	if (S_ISREG(item->st.st_mode))
		read_content(parent, name, item);
	if (S_ISLNK(item->st.st_mode)) {
		n = readlink(name, target, sizeof(target) - 1);
		if (n < 0)
			note_error(item);
		target[n < 0 ? 0 : n] = '\0';
		item->target = must(strdup(target));
	}
}

static void scan(int fd, const char *prefix, struct tree *tree)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		die("%s: %m", prefix);
	errno = 0;
	while ((entry = readdir(dir))) {
		struct item *item;
		size_t index = tree->count;
		int child;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		item = add_item(tree);
		if (asprintf(&item->path, "%s%s%s", prefix, *prefix ? "/" : "", entry->d_name) < 0)
			die("out of memory");
		item->listed_ino = entry->d_ino;
		item->listed_type = entry->d_type;
		if (fchdir(fd) < 0)
			die("%s: %m", prefix);
		fill_item(fd, entry->d_name, item);
		if (S_ISDIR(item->st.st_mode)) {
			child = openat(
				fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (child < 0)
				note_error(item);
			else
				scan(child, tree->items[index].path, tree);
		}
		errno = 0;
	}
	if (errno)
		die("listing '%s': %m", prefix);
	closedir(dir);
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->path, ((const struct item *)b)->path);
}

void tree_scan(const char *root, struct tree *ret_tree)
{
	int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_tree = (struct tree){NULL, 0, 0};
	if (fd < 0)
		die("%s: %m", root);
	/* The root itself is named "." */
	if (fchdir(fd) < 0)
		die("%s: %m", root);
	add_item(ret_tree)->path = must(strdup("."));
	fill_item(fd, ".", &ret_tree->items[0]);
	ret_tree->items[0].listed_ino = ret_tree->items[0].st.st_ino;
	ret_tree->items[0].listed_type = DT_DIR;
	scan(fd, "", ret_tree);
	qsort(ret_tree->items, ret_tree->count, sizeof(struct item), compare_items);
	if (fchdir(back) < 0)
		die("going back: %m");
	close(back);
}

void tree_free(struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->items[i].path);
		free(tree->items[i].xattrs);
		free(tree->items[i].target);
	}
	free(tree->items);
	*tree = (struct tree){NULL, 0, 0};
}
