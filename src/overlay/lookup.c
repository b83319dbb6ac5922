/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/log.h>

#include "overlay/call.h"
#include "overlay/links.h"
#include "overlay/lower.h"
#include "overlay/mark.h"
#include "overlay/redirect.h"
#include "util/cleanup.h"

int check_name(const struct overlay *ov, const char *name)
{
	size_t length = strlen(name);

	if (length == 0)
		return -ENOENT;
	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/'))
		return -EINVAL;
	if (ov->aufs_whiteouts && strncmp(name, WHITEOUT_PREFIX, WHITEOUT_PREFIX_LEN) == 0)
		return -EINVAL;
	return 0;
}

/* --- the upper --- */

static int probe_directory(struct overlay *ov, int fd, bool has_lowers, struct probe *probe)
{
	struct mark_set marks;
	int r = upper_marks(fd, &marks);

	if (r < 0)
		return r;
	probe->is_impure = marks.impure;
	probe->has_redirect = marks.redirect && ov->redirect_dir != OVERLAY_REDIRECT_NOFOLLOW;
	if (!has_lowers && !probe->has_redirect)
		return 0;
	r = upper_opaque_state(ov, fd, &marks);
	probe->is_opaque = r == OPAQUE_YES;
	return r < 0 ? r : 0;
}

/* What the attributes of an upper object tell. */
static int probe_marks(
	struct overlay *ov, const struct dir_hold *hold, const char *name, struct probe *probe)
{
	bool is_dir = S_ISDIR(probe->upper_st.st_mode);
	bool has_lowers = hold->dir->dir->lowers.count > 0;
	_cleanup_close_ int fd = -1;
	int r;

	/* An object that never was below, in a directory that never was: no marks. */
	if (!has_lowers && !atomic_load(&hold->dir->dir->is_impure) && !is_dir)
		return 0;
	fd = call_openat(hold->pin.fd, name, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	if (is_dir)
		return probe_directory(ov, fd, has_lowers, probe);
	/*
	 * Symlinks and special files cannot carry a user attribute, and a daemon
	 * without rights over a file may not read one.
	 */
	r = upper_origin_ino(ov, fd, &probe->origin_ino);
	if (r < 0 && r != -ENODATA && r != -EACCES)
		return r;
	probe->may_have_origin =
		r == -EACCES || (!S_ISREG(probe->upper_st.st_mode) && !upper_marks_every_type(ov));
	r = upper_stands_in(ov, fd, &probe->upper_st);
	probe->is_device = r > 0;
	return r < 0 ? r : 0;
}

int probe_upper(
	struct overlay *ov, const struct dir_hold *hold, const char *name, struct probe *ret_probe)
{
	int r;

	*ret_probe = (struct probe){.upper = UPPER_NONE};
	if (hold->pin.fd < 0)
		return 0;
	r = upper_has_aufs_whiteout(ov, hold->pin.fd, name);
	if (r < 0)
		return r;
	ret_probe->is_hidden_below = r;
	r = call_fstatat(hold->pin.fd, name, &ret_probe->upper_st);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = upper_is_whiteout(ov, hold->pin.fd, name, &ret_probe->upper_st);
	if (r < 0)
		return r;
	ret_probe->upper = r ? UPPER_WHITEOUT : UPPER_OBJECT;
	return r ? 0 : probe_marks(ov, hold, name, ret_probe);
}

/* --- both --- */

/* Which inode number an upper object shows: the one that it had below, if it was there. */
static uint64_t upper_object_ino(
	const struct probe *probe, const struct lower_set *lowers, const struct stat *lower_st)
{
	mode_t type = probe->upper_st.st_mode & S_IFMT;

	if (probe->origin_ino)
		return probe->origin_ino;
	/* Directories merge with what is below; what covers its like was copied up. */
	if (lowers->count > 0 && type == (lower_st->st_mode & S_IFMT))
		return lower_st->st_ino;
	return ino_of_upper(probe->upper_st.st_ino);
}

/* Where the layers below have a directory of the upper: under its name, unless it moved. */
static int read_redirect(
	struct overlay *ov, const struct dir_hold *hold, const char *name, char **ret_redirect)
{
	_cleanup_close_ int fd = call_openat(hold->pin.fd, name, O_PATH | O_NOFOLLOW, 0);
	int r = fd < 0 ? fd : upper_redirect(ov, fd, ret_redirect);

	if (r == -EIO)
		log_warning("upper: redirect of '%s' makes no sense", name);
	return r;
}

static int find_below(struct overlay *ov, const struct dir_hold *hold, const struct probe *probe,
	struct node_spec *spec, struct stat *ret_st)
{
	int r = 0;

	if (probe->has_redirect)
		r = read_redirect(ov, hold, spec->name, &spec->redirect);
	if (r < 0 || probe->is_opaque || (probe->is_hidden_below && !spec->redirect))
		return r;
	if (S_ISDIR(spec->type) || probe->may_have_origin)
		r = lower_lookup(ov, hold->dir, spec->redirect ? spec->redirect : spec->name,
			&spec->lowers, ret_st);
	return r;
}

static int specify_upper(struct overlay *ov, const struct dir_hold *hold, const struct probe *probe,
	struct node_spec *spec)
{
	struct stat lower_st = {0};
	int r;

	spec->type = probe->is_device ? S_IFCHR : probe->upper_st.st_mode & S_IFMT;
	spec->has_upper = true;
	spec->is_impure = probe->is_impure;
	spec->is_shared = !S_ISDIR(spec->type) && probe->upper_st.st_nlink > 1;
	r = find_below(ov, hold, probe, spec, &lower_st);
	if (r < 0)
		return r;
	spec->ino = upper_object_ino(probe, &spec->lowers, &lower_st);
	if (!S_ISDIR(spec->type) || !S_ISDIR(lower_st.st_mode))
		lower_set_release(&spec->lowers);
	return 0;
}

static int specify_lower(struct overlay *ov, const struct dir_hold *hold, const struct probe *probe,
	struct node_spec *spec)
{
	struct stat st = {0};
	int r;

	if (probe->upper == UPPER_WHITEOUT || probe->is_hidden_below)
		return -ENOENT;
	r = lower_lookup(ov, hold->dir, spec->name, &spec->lowers, &st);
	if (r < 0)
		return r;
	if (spec->lowers.count == 0)
		return -ENOENT;
	spec->type = st.st_mode & S_IFMT;
	spec->ino = st.st_ino;
	spec->is_shared = !S_ISDIR(spec->type) && st.st_nlink > 1;
	if (spec->is_shared)
		spec->lower_links = st.st_nlink;
	return 0;
}

static int lookup_held_as(struct overlay *ov, const struct dir_hold *hold, const char *name,
	uint64_t id, struct node **ret_node)
{
	struct node_spec spec = {.parent = hold->dir, .name = name, .id = id};
	struct probe probe;
	struct node *node = node_find(ov, hold->dir, name);
	int r;

	if (node) {
		*ret_node = node;
		return 0;
	}
	r = probe_upper(ov, hold, name, &probe);
	if (r < 0)
		return r;
	if (probe.upper == UPPER_OBJECT)
		r = specify_upper(ov, hold, &probe, &spec);
	else
		r = specify_lower(ov, hold, &probe, &spec);
	if (r == 0)
		r = node_add(ov, &spec, ret_node);
	free(spec.redirect);
	return r;
}

int lookup_node_held(
	struct overlay *ov, const struct dir_hold *hold, const char *name, struct node **ret_node)
{
	return lookup_held_as(ov, hold, name, 0, ret_node);
}

int lookup_node_as(
	struct overlay *ov, struct node *dir, const char *name, uint64_t id, struct node **ret_node)
{
	_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
	int r = check_name(ov, name);

	if (r < 0)
		return r == -EINVAL ? -ENOENT : r;
	r = dir_hold(ov, dir, false, &hold);
	return r < 0 ? r : lookup_held_as(ov, &hold, name, id, ret_node);
}

int lookup_node(struct overlay *ov, struct node *dir, const char *name, struct node **ret_node)
{
	return lookup_node_as(ov, dir, name, 0, ret_node);
}

/* --- attributes --- */

/*
 * What a merged directory takes up in which layer means nothing: they all show the size
 * of a small one, before and after a copy-up. Their links node_attributes() counts.
 */
static void set_common_attributes(const struct node *node, struct stat *st)
{
	st->st_ino = node->ino;
	stand_in_attributes(node->type, st);
	if (!node_is_dir(node))
		return;
	st->st_nlink = 1;
	st->st_size = 4096;
	st->st_blocks = 8;
}

void attributes_from_upper(struct overlay *ov, const struct node *node, struct stat *st)
{
	st->st_uid = idmap_to_container(ov->ids, IDMAP_UID, st->st_uid);
	st->st_gid = idmap_to_container(ov->ids, IDMAP_GID, st->st_gid);
	st->st_dev = 0;
	set_common_attributes(node, st);
	if (node->lower_links)
		st->st_nlink += node->lower_links - node->hidden_links;
}

/* What the layer cannot know: that a name of the object went. Its ctime says when. */
static void set_hidden_attributes(const struct node *node, struct stat *st)
{
	int64_t at = atomic_load(&node->hidden_at);

	st->st_nlink -= node->hidden_links < st->st_nlink ? node->hidden_links : st->st_nlink;
	if (at)
		st->st_ctim =
			(struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
}

static int lower_attributes(struct node *node, struct stat *ret_st)
{
	const struct lower_ref *ref = node_is_dir(node) ? node->dir->lowers.refs : &node->lower;
	int r = layer_getattr_with_mapping(ref->layer, ref->node, ID_VIEW_CONTAINER, ret_st);

	if (r == 0) {
		set_common_attributes(node, ret_st);
		set_hidden_attributes(node, ret_st);
	}
	return r;
}

int node_attributes(struct overlay *ov, struct node *node, struct stat *ret_st)
{
	bool is_upper = node_is_upper(node), is_orphan;
	int r = is_upper ? upper_stat(ov, node, ret_st) : lower_attributes(node, ret_st);

	if (r < 0)
		return r;
	if (is_upper)
		attributes_from_upper(ov, node, ret_st);
	mutex_lock(&ov->table);
	is_orphan = !node->names && node != ov->root;
	mutex_unlock(&ov->table);
	if (node_is_dir(node))
		ret_st->st_nlink = is_orphan ? 0 : directory_links(ov, node);
	return 0;
}

int fill_entry(struct overlay *ov, struct node *node, struct overlay_entry *ret_entry)
{
	int r = node_attributes(ov, node, &ret_entry->st);

	ret_entry->is_unreadable = r == -EIO && !node_is_upper(node) && !node_is_dir(node);
	if (ret_entry->is_unreadable)
		ret_entry->st = (struct stat){.st_mode = node->type, .st_ino = node->ino};
	else if (r < 0)
		return r;
	ret_entry->node = node->id;
	ret_entry->generation = node_generation(ov, node);
	node_remember(ov, node, 1);
	return 0;
}

int overlay_lookup(
	struct overlay *ov, uint64_t parent, const char *name, struct overlay_entry *ret_entry)
{
	struct node *dir = node_get(ov, parent), *node;
	int r;

	if (!dir)
		return -ESTALE;
	r = lookup_node(ov, dir, name, &node);
	node_put(ov, dir);
	if (r < 0)
		return r;
	r = fill_entry(ov, node, ret_entry);
	node_put(ov, node);
	return r;
}

void overlay_forget(struct overlay *ov, uint64_t node, uint64_t count)
{
	node_forget(ov, node, count);
}
