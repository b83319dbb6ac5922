/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/merge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/call.h"
#include "overlay/lift.h"
#include "overlay/lookup.h"
#include "overlay/lower.h"
#include "overlay/mark.h"
#include "util/cleanup.h"
#include "util/name-order.h"

#define TABLE_MIN 64
#define NAMES_MIN 1000
#define NAMES_MAX 60000

/* Names in a row, and the block that was filled before. */
struct merged_names {
	struct merged_names *next;
	size_t used, room;
	char bytes[];
};

/* The place in the table where the name is, or would be. */
static size_t *find_place(struct merged_list *list, const char *name)
{
	size_t i = (size_t)name_hash(name) & (list->table_size - 1);

	while (list->table[i] && strcmp(list->entries[list->table[i] - 1].name, name) != 0)
		i = (i + 1) & (list->table_size - 1);
	return &list->table[i];
}

static int grow_table(struct merged_list *list)
{
	size_t size = list->table_size ? list->table_size * 2 : TABLE_MIN, *table;

	while (list->count * 2 >= size)
		size *= 2;
	table = calloc(size, sizeof(*table));

	if (!table)
		return -ENOMEM;
	free(list->table);
	list->table = table;
	list->table_size = size;
	for (size_t i = 0; i < list->count; i++)
		*find_place(list, list->entries[i].name) = i + 1;
	return 0;
}

static int grow_entries(struct merged_list *list)
{
	size_t room = list->room ? list->room * 2 : TABLE_MIN;
	struct merged_entry *entries = realloc(list->entries, room * sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	list->entries = entries;
	list->room = room;
	return 0;
}

/* Whether it has the name. 1, 0 or -ENOMEM. */
static int has_name(struct merged_list *list, const char *name)
{
	if (list->count == 0)
		return 0;
	if (list->table_size == 0 && grow_table(list) < 0)
		return -ENOMEM;
	return *find_place(list, name) > 0;
}

/* Each block is twice as large as the one before, up to a bound; no layer bounds a name. */
static struct merged_names *make_room(struct merged_list *list, size_t size)
{
	struct merged_names *names = list->names, *fresh;
	size_t room = names ? names->room * 2 : NAMES_MIN;

	if (names && names->room - names->used >= size)
		return names;
	room = room > NAMES_MAX ? NAMES_MAX : room;
	room = room < size ? size : room;
	fresh = malloc(sizeof(*fresh) + room);
	if (!fresh)
		return NULL;
	*fresh = (struct merged_names){.next = names, .room = room};
	list->names = fresh;
	return fresh;
}

/* The name must not be in the list. */
static int add_entry(struct merged_list *list, const struct merged_entry *entry)
{
	size_t size = strlen(entry->name) + 1;
	struct merged_names *names = make_room(list, size);
	char *name;

	if (!names || (list->count == list->room && grow_entries(list) < 0) ||
		(list->table_size && list->count * 2 >= list->table_size && grow_table(list) < 0))
		return -ENOMEM;
	name = memcpy(names->bytes + names->used, entry->name, size);
	names->used += size;
	list->entries[list->count] = *entry;
	list->entries[list->count].name = name;
	list->count++;
	if (list->table_size)
		*find_place(list, name) = list->count;
	return 0;
}

static void free_names(struct merged_list *list)
{
	struct merged_names *next;

	for (; list->names; list->names = next) {
		next = list->names->next;
		free(list->names);
	}
}

void merged_list_release(struct merged_list *list)
{
	free_names(list);
	free(list->entries);
	free(list->table);
	*list = (struct merged_list){0};
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool has_whiteout_prefix(const char *name)
{
	return strncmp(name, WHITEOUT_PREFIX, WHITEOUT_PREFIX_LEN) == 0;
}

/* --- the upper --- */

/* A .wh.NAME takes NAME out of what comes from below, not out of its own directory. */
static int add_hiding(struct merged_list *list, const char *name)
{
	struct merged_entry entry = {.name = name, .is_hiding = true};
	int r = has_name(list, name);

	return r == 0 ? add_entry(list, &entry) : r < 0 ? r : 0;
}

struct upper_walk {
	struct overlay *ov;
	int dir_fd;
	struct merged_list *list;
	bool is_impure;	     /* an inode number may be one from below */
	bool may_hide_files; /* an empty file may be a whiteout or stand for a device */
};

/* Anything but a directory or a filled file may be something else, or is not told. */
static int examine_upper(struct upper_walk *walk, const char *name, struct merged_entry *entry)
{
	struct stat st;
	int r = call_fstatat(walk->dir_fd, name, &st);

	if (r < 0)
		return r;
	entry->type = st.st_mode & S_IFMT;
	r = upper_is_whiteout(walk->ov, walk->dir_fd, name, &st);
	entry->is_hiding = r > 0;
	if (r == 0 && walk->may_hide_files)
		r = upper_name_stands_in(walk->ov, walk->dir_fd, name, &st);
	else
		return r < 0 ? r : 0;
	if (r > 0)
		entry->type = S_IFCHR;
	return r < 0 ? r : 0;
}

static int add_upper_entry(struct upper_walk *walk, const struct dirent *e)
{
	struct merged_entry entry = {.name = e->d_name, .type = DTTOIF(e->d_type)};
	int r = 0;

	if (walk->ov->aufs_whiteouts && has_whiteout_prefix(e->d_name))
		return 0;
	/* Most whiteouts are names of one device: its number tells. */
	if (e->d_type == DT_CHR && e->d_ino == atomic_load(&walk->ov->whiteout_ino))
		entry.is_hiding = true;
	else if (e->d_type == DT_CHR || e->d_type == DT_UNKNOWN ||
		 (e->d_type == DT_REG && walk->may_hide_files))
		r = examine_upper(walk, e->d_name, &entry);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	entry.ino = walk->is_impure ? 0 : ino_of_upper(e->d_ino);
	return add_entry(walk->list, &entry);
}

static int begin_upper(struct overlay *ov, const struct dir_hold *hold, struct upper_walk *walk)
{
	bool is_marked = atomic_load(&hold->dir->dir->is_impure);
	struct mark_set marks;
	int r = upper_marks(hold->pin.fd, &marks);

	if (r == 0)
		r = upper_opaque_state(ov, hold->pin.fd, &marks);
	walk->is_impure = is_marked || hold->dir->dir->lowers.count > 0;
	walk->may_hide_files = is_marked || r == OPAQUE_XATTR_WHITEOUTS;
	return r < 0 ? r : 0;
}

static int add_upper(struct overlay *ov, const struct dir_hold *hold, struct merged_list *list)
{
	struct upper_walk walk = {.ov = ov, .dir_fd = hold->pin.fd, .list = list};
	_cleanup_closedir_ DIR *stream = NULL;
	struct dirent *e;
	int r = begin_upper(ov, hold, &walk);

	if (r == 0)
		r = lift_opendir(hold->pin.fd, &stream);
	while (r == 0 && (r = call_readdir(stream, &e)) > 0)
		r = is_dot(e->d_name) ? 0 : add_upper_entry(&walk, e);
	if (r < 0 || !ov->aufs_whiteouts)
		return r;
	rewinddir(stream);
	while (r == 0 && (r = call_readdir(stream, &e)) > 0)
		r = has_whiteout_prefix(e->d_name)
			    ? add_hiding(list, e->d_name + WHITEOUT_PREFIX_LEN)
			    : 0;
	return r;
}

/* --- the layers --- */

struct layer_walk {
	struct overlay *ov;
	struct merged_list *list;
	const struct lower_ref *dir;
	struct merged_list hidden; /* by this layer, from the layers below it */
	bool has_others;	   /* the list has names of what is above; this has each once */
	bool may_hide_files;	   /* as in the upper */
	int result;
};

/* Whether it is a whiteout. *type becomes what the entry stands for. */
static int examine_lower(struct layer_walk *walk, const char *name, mode_t *type)
{
	struct lower_ref ref = {.layer = walk->dir->layer};
	struct stat st;
	int r;

	if (*type != S_IFCHR && !(*type == S_IFREG && walk->may_hide_files))
		return 0;
	r = layer_lookup(ref.layer, walk->dir->node, name, &ref.node);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = layer_getattr_with_mapping(ref.layer, ref.node, ID_VIEW_CONTAINER, &st);
	if (r == 0)
		r = lower_is_whiteout(walk->dir, &ref, &st);
	if (r == 0 && lower_stands_in(&ref, &st) > 0)
		*type = S_IFCHR;
	layer_forget(ref.layer, ref.node, 1);
	return r;
}

static int add_lower_entry(void *ctx, const char *name, mode_t type, uint64_t ino, uint64_t next)
{
	struct layer_walk *walk = ctx;
	struct merged_entry entry = {.name = name, .type = type};
	int r;

	if (walk->dir->layer->has_whiteouts && has_whiteout_prefix(name)) {
		walk->result = add_hiding(&walk->hidden, name + WHITEOUT_PREFIX_LEN);
		return walk->result;
	}
	/* The topmost of merged directories has the number. */
	r = walk->has_others ? has_name(walk->list, name) : 0;
	if (r != 0) {
		walk->result = r < 0 ? r : 0;
		return walk->result;
	}
	walk->result = walk->dir->layer->has_whiteouts ? examine_lower(walk, name, &entry.type) : 0;
	if (walk->result < 0)
		return walk->result;
	entry.is_hiding = walk->result;
	entry.ino = ino_of_lower(walk->ov, walk->dir->layer, ino);
	walk->result = add_entry(walk->list, &entry);
	return walk->result;
}

static int read_layer_marks(struct layer_walk *walk)
{
	struct mark_set marks;
	int r = lower_marks(walk->dir, &marks);

	if (r == 0 && marks.opaque)
		r = lower_opaque_state(walk->dir, &marks);
	walk->may_hide_files = marks.impure || r == OPAQUE_XATTR_WHITEOUTS;
	return r < 0 ? r : 0;
}

static int add_layer(
	struct overlay *ov, const struct lower_set *lowers, size_t i, struct merged_list *list)
{
	const struct lower_ref *dir = &lowers->refs[i];
	struct layer_walk walk = {
		.ov = ov, .list = list, .dir = dir, .has_others = list->count > 0};
	bool is_plain = i < LOWER_PLAIN_MAX && lowers->plain & 1u << i;
	int r = dir->layer->has_whiteouts && !is_plain ? read_layer_marks(&walk) : 0;

	if (r >= 0)
		r = layer_readdir(dir->layer, dir->node, 0, add_lower_entry, &walk);
	if (r == 0)
		r = walk.result;
	for (size_t k = 0; r == 0 && k < walk.hidden.count; k++)
		r = add_hiding(list, walk.hidden.entries[k].name);
	merged_list_release(&walk.hidden);
	return r;
}

/* Whiteouts have done their work. */
static void drop_hiding(struct merged_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++)
		if (!list->entries[i].is_hiding)
			list->entries[kept++] = list->entries[i];
	list->count = kept;
	free(list->table);
	list->table = NULL;
	list->table_size = 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct merged_entry *x = a, *y = b;

	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* A name has its place whatever else comes and goes, if no other name hashes to the same. */
static void give_places(struct merged_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		list->entries[i].place = MERGED_PLACE_MIN + name_order(list->entries[i].name);
	if (list->count > 1)
		qsort(list->entries, list->count, sizeof(list->entries[0]), compare_places);
	for (size_t i = 1; i < list->count; i++)
		if (list->entries[i].place <= list->entries[i - 1].place)
			list->entries[i].place = list->entries[i - 1].place + 1;
}

size_t merged_list_behind(const struct merged_list *list, uint64_t place)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->entries[middle].place <= place)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int merge_directory(struct overlay *ov, const struct dir_hold *hold, struct merged_list *ret_list)
{
	const struct lower_set *lowers = node_lowers(hold->dir);
	int r = 0;

	if (hold->pin.fd >= 0)
		r = add_upper(ov, hold, ret_list);
	for (size_t i = 0; r == 0 && i < lowers->count; i++)
		r = add_layer(ov, lowers, i, ret_list);
	if (r < 0) {
		merged_list_release(ret_list);
		return r;
	}
	drop_hiding(ret_list);
	give_places(ret_list);
	return 0;
}
