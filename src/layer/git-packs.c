/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-packs.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/log.h>

#include "util/cleanup.h"

/* As many times a directory is listed again when packs vanish while it is. */
#define SCAN_TRIES 5

static int compare_packs(const void *a, const void *b)
{
	const struct held_pack *const *x = a, *const *y = b;

	return strcmp((*x)->index_path, (*y)->index_path);
}

static bool pack_is_known(const struct pack_list *list, const char *path)
{
	struct held_pack key = {.index_path = (char *)(uintptr_t)path}, *key_pointer = &key;

	return bsearch(
		&key_pointer, list->packs, list->count, sizeof(list->packs[0]), compare_packs);
}

struct scan {
	const struct pack_list *known;
	struct held_pack **found;
	size_t count, space;
	bool has_vanished; /* a pack was removed while we looked: something replaces it */
};

static int scan_add(struct scan *scan, const char *path)
{
	struct object_cause cause;
	int r;

	if (pack_is_known(scan->known, path))
		return 0;
	if (scan->count == scan->space) {
		size_t space = scan->space ? scan->space * 2 : 16;
		struct held_pack **found = reallocarray(scan->found, space, sizeof(*scan->found));

		if (!found)
			return -ENOMEM;
		scan->found = found;
		scan->space = space;
	}
	r = held_pack_open(path, &scan->found[scan->count], &cause);
	if (r == -ENOENT) {
		scan->has_vanished = true;
		return 0;
	}
	if (r < 0)
		return r;
	if (*cause.text)
		log_warning("%s", cause.text);
	scan->count++;
	return 0;
}

static int scan_dir(struct scan *scan, const char *objects_dir)
{
	_cleanup_free_ char *pack_dir = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	int r = 0;

	if (asprintf(&pack_dir, "%s/pack", objects_dir) < 0) {
		pack_dir = NULL;
		return -ENOMEM;
	}
	dir = opendir(pack_dir);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');
		_cleanup_free_ char *path = NULL;

		if (!dot || strcmp(dot, ".idx") != 0)
			continue;
		if (asprintf(&path, "%s/%s", pack_dir, entry->d_name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = scan_add(scan, path);
	}
	return r ? r : -errno;
}

static int publish(struct packs *packs, const struct scan *scan)
{
	struct pack_list *old = atomic_load(&packs->list), *list;

	list = malloc(sizeof(*list) + (old->count + scan->count) * sizeof(list->packs[0]));
	if (!list)
		return -ENOMEM;
	list->older = old;
	list->count = old->count + scan->count;
	memcpy(list->packs, old->packs, old->count * sizeof(list->packs[0]));
	memcpy(list->packs + old->count, scan->found, scan->count * sizeof(list->packs[0]));
	qsort(list->packs, list->count, sizeof(list->packs[0]), compare_packs);
	atomic_store(&packs->list, list);
	return 0;
}

static int scan_once(struct packs *packs, char *const *object_dirs, bool *ret_has_vanished)
{
	struct scan scan = {.known = atomic_load(&packs->list)};
	int r = 0;

	for (; r == 0 && *object_dirs; object_dirs++)
		r = scan_dir(&scan, *object_dirs);
	if (r == 0 && scan.count)
		r = publish(packs, &scan);
	for (size_t i = 0; r < 0 && i < scan.count; i++)
		held_pack_close(scan.found[i]);
	free(scan.found);
	*ret_has_vanished = scan.has_vanished;
	return r;
}

int packs_look_again(struct packs *packs, char *const *object_dirs, const struct pack_list *seen)
{
	bool has_vanished = true;
	int r = 0;

	mutex_lock(&packs->lock);
	/* Another thread may have been here since the caller looked in vain. */
	for (int i = 0; i < SCAN_TRIES && r == 0 && has_vanished; i++)
		if (i > 0 || atomic_load(&packs->list) == seen)
			r = scan_once(packs, object_dirs, &has_vanished);
		else
			break;
	mutex_unlock(&packs->lock);
	return r;
}

const struct pack_list *packs_now(struct packs *packs)
{
	return atomic_load(&packs->list);
}

int packs_init(struct packs *packs)
{
	struct pack_list *none = calloc(1, sizeof(*none));

	atomic_init(&packs->list, none);
	mutex_init(&packs->lock);
	return none ? 0 : -ENOMEM;
}

void packs_release(struct packs *packs)
{
	struct pack_list *list = atomic_load(&packs->list), *older;

	for (size_t i = 0; list && i < list->count; i++)
		held_pack_close(list->packs[i]);
	for (; list; list = older) {
		older = list->older;
		free(list);
	}
	mutex_destroy(&packs->lock);
}
