/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_LENGTH_MAX 255
/* Offsets are 32 bits wide, and no directory has that many entries. */
#define TREE_SIZE_MAX	(1u << 30)
#define MODE_DIGITS_MAX 7

/* The shortest entry: a digit, a space, an empty name's NUL, an id. */
#define ENTRY_SIZE_MIN (3 + TREE_ID_SIZE)

/* Octal digits up to a space. Returns their number, 0 for anything else. */
static size_t parse_mode(const uint8_t *p, size_t size, mode_t *ret_mode)
{
	mode_t mode = 0;
	size_t n = 0;

	while (n < size && n < MODE_DIGITS_MAX && p[n] >= '0' && p[n] <= '7')
		mode = mode << 3 | (mode_t)(p[n++] - '0');
	if (n == 0 || n == size || p[n] != ' ')
		return 0;
	*ret_mode = mode;
	return n;
}

static bool type_is_known(mode_t mode)
{
	mode_t type = mode & S_IFMT;

	return type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == TREE_GITLINK;
}

static bool mode_is_dir(mode_t mode)
{
	return S_ISDIR(mode) || (mode & S_IFMT) == TREE_GITLINK;
}

/* What no directory can hold. Everything else is shown, ".git" too. */
static bool name_is_impossible(const char *name, size_t length)
{
	return length == 0 || length > NAME_LENGTH_MAX || memchr(name, '/', length) ||
	       !strcmp(name, ".") || !strcmp(name, "..");
}

/*
 * Checks the entry at `p`, and counts in the view what is to be left out. Returns its whole length,
 * or 0 with a reason.
 */
static size_t check_entry(const uint8_t *p, size_t size, struct tree_view *view, bool *ret_is_shown,
	const char **ret_fault)
{
	const uint8_t *name, *end;
	size_t digits;
	mode_t mode;

	digits = parse_mode(p, size, &mode);
	if (!digits) {
		*ret_fault = "a mode that is no octal number";
		return 0;
	}
	name = p + digits + 1;
	end = memchr(name, '\0', size - digits - 1);
	if (!end || (size_t)(p + size - (end + 1)) < TREE_ID_SIZE) {
		*ret_fault = "an entry that is cut off";
		return 0;
	}
	*ret_is_shown = false;
	if (!type_is_known(mode))
		view->unknown_count++;
	else if (name_is_impossible((const char *)name, (size_t)(end - name)))
		view->impossible_count++;
	else
		*ret_is_shown = true;
	return (size_t)(end + 1 + TREE_ID_SIZE - p);
}

static const char *name_at(const uint8_t *bytes, uint32_t offset)
{
	return strchr((const char *)bytes + offset, ' ') + 1;
}

static int compare_offsets(const void *a, const void *b, void *bytes)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int r = strcmp(name_at(bytes, x), name_at(bytes, y));

	/* Of two entries with one name the first one in the tree comes first. */
	return r ? r : x < y ? -1 : 1;
}

/* git's order is the plain one but for directories: mostly there is little to do. */
static void sort(struct tree_view *view)
{
	bool is_sorted = true;

	for (uint32_t i = 1; is_sorted && i < view->count; i++)
		is_sorted = strcmp(name_at(view->bytes, view->offsets[i - 1]),
				    name_at(view->bytes, view->offsets[i])) < 0;
	if (!is_sorted)
		qsort_r(view->offsets, view->count, sizeof(*view->offsets), compare_offsets,
			(void *)(uintptr_t)view->bytes);
}

static void drop_duplicates(struct tree_view *view)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < view->count; i++) {
		if (kept && !strcmp(name_at(view->bytes, view->offsets[kept - 1]),
				    name_at(view->bytes, view->offsets[i]))) {
			view->duplicate_count++;
			continue;
		}
		view->offsets[kept++] = view->offsets[i];
	}
	view->count = kept;
}

static void count_directories(struct tree_view *view)
{
	for (uint32_t i = 0; i < view->count; i++) {
		mode_t mode = 0;

		parse_mode(view->bytes + view->offsets[i], MODE_DIGITS_MAX + 1, &mode);
		view->directory_count += mode_is_dir(mode);
	}
}

int tree_view_parse(
	const void *bytes, size_t size, struct tree_view *ret_view, const char **ret_fault)
{
	struct tree_view view = {.bytes = bytes};
	uint32_t *shrunk;

	if (size > TREE_SIZE_MAX) {
		*ret_fault = "a tree of more than a gibibyte";
		return -EINVAL;
	}
	view.offsets = malloc((size / ENTRY_SIZE_MIN + 1) * sizeof(*view.offsets));
	if (!view.offsets)
		return -ENOMEM;
	for (size_t at = 0; at < size;) {
		bool is_shown;
		size_t n = check_entry(view.bytes + at, size - at, &view, &is_shown, ret_fault);

		if (n == 0) {
			tree_view_release(&view);
			return -EINVAL;
		}
		if (is_shown)
			view.offsets[view.count++] = (uint32_t)at;
		at += n;
	}
	sort(&view);
	drop_duplicates(&view);
	count_directories(&view);
	/* There was room for the shortest names. */
	shrunk = realloc(view.offsets, (view.count + 1) * sizeof(*view.offsets));
	if (shrunk)
		view.offsets = shrunk;
	*ret_view = view;
	return 0;
}

void tree_view_release(struct tree_view *view)
{
	free(view->offsets);
	view->offsets = NULL;
	view->count = 0;
}

struct tree_entry tree_view_entry(const struct tree_view *view, uint32_t index)
{
	const uint8_t *p = view->bytes + view->offsets[index];
	struct tree_entry entry = {0};
	size_t digits = parse_mode(p, MODE_DIGITS_MAX + 1, &entry.mode);

	entry.name = (const char *)p + digits + 1;
	entry.id = (const uint8_t *)entry.name + strlen(entry.name) + 1;
	return entry;
}

bool tree_view_find(const struct tree_view *view, const char *name, uint32_t *ret_index)
{
	uint32_t low = 0, high = view->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int r = strcmp(name_at(view->bytes, view->offsets[middle]), name);

		if (r == 0) {
			*ret_index = middle;
			return true;
		}
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool tree_entry_is_dir(const struct tree_entry *entry)
{
	return mode_is_dir(entry->mode);
}

mode_t tree_entry_stat_mode(const struct tree_entry *entry)
{
	if (tree_entry_is_dir(entry))
		return S_IFDIR | 0755;
	if (S_ISLNK(entry->mode))
		return S_IFLNK | 0777;
	/* Nothing above 0777: git writes no set-id bits, so one that is there is no good sign. */
	return S_IFREG | (entry->mode & 0777);
}
