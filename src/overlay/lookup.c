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

/* Attributes that the search for an object has told by the way. */
struct known_attributes {
	enum { KNOWN_NOT, KNOWN_UPPER, KNOWN_LOWER } from;
	struct stat st; /* of the upper: storage ids */
};

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
	struct node_spec *spec, struct stat *ret_st)
{
	int r;

	if (probe->upper == UPPER_WHITEOUT || probe->is_hidden_below)
		return -ENOENT;
	r = lower_lookup(ov, hold->dir, spec->name, &spec->lowers, ret_st);
	if (r < 0)
		return r;
	if (spec->lowers.count == 0)
		return -ENOENT;
	spec->type = ret_st->st_mode & S_IFMT;
	spec->ino = ret_st->st_ino;
	spec->is_shared = !S_ISDIR(spec->type) && ret_st->st_nlink > 1;
	if (spec->is_shared)
		spec->lower_links = ret_st->st_nlink;
	return 0;
}

/* What the object that shows is like, where finding it has told already. */
static void note_attributes(const struct probe *probe, const struct node_spec *spec,
	const struct stat *lower_st, struct known_attributes *ret_known)
{
	if (!ret_known)
		return;
	*ret_known = (struct known_attributes){.from = KNOWN_NOT};
	if (probe->upper == UPPER_OBJECT)
		*ret_known = (struct known_attributes){KNOWN_UPPER, probe->upper_st};
	else if (spec->lowers.refs[0].layer->has_whiteouts)
		*ret_known = (struct known_attributes){KNOWN_LOWER, *lower_st};
}

static int lookup_unknown(struct overlay *ov, const struct dir_hold *hold, struct node_spec *spec,
	struct known_attributes *ret_known, struct node **ret_node)
{
	struct stat lower_st = {0};
	struct probe probe;
	int r = probe_upper(ov, hold, spec->name, &probe);

	if (r < 0)
		return r;
	if (probe.upper == UPPER_OBJECT)
		r = specify_upper(ov, hold, &probe, spec);
	else
		r = specify_lower(ov, hold, &probe, spec, &lower_st);
	if (r == 0) {
		note_attributes(&probe, spec, &lower_st, ret_known);
		r = node_add(ov, spec, ret_node);
	}
	free(spec->redirect);
	return r;
}

/* With the directory held. `ret_known` may be NULL. */
static int lookup_held(struct overlay *ov, const struct dir_hold *hold, struct node_spec *spec,
	struct known_attributes *ret_known, struct node **ret_node)
{
	struct node *node = node_find(ov, hold->dir, spec->name);

	if (!node)
		return lookup_unknown(ov, hold, spec, ret_known, ret_node);
	if (ret_known)
		ret_known->from = KNOWN_NOT;
	*ret_node = node;
	return 0;
}

static int lookup_specified(struct overlay *ov, struct node_spec *spec,
	struct known_attributes *ret_known, struct node **ret_node)
{
	_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
	int r = check_name(ov, spec->name);

	if (r < 0)
		return r == -EINVAL ? -ENOENT : r;
	r = dir_hold(ov, spec->parent, false, &hold);
	return r < 0 ? r : lookup_held(ov, &hold, spec, ret_known, ret_node);
}

int lookup_node_as(
	struct overlay *ov, struct node *dir, const char *name, uint64_t id, struct node **ret_node)
{
	struct node_spec spec = {.parent = dir, .name = name, .id = id};

	return lookup_specified(ov, &spec, NULL, ret_node);
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
	const struct node_use *use = node_use(node);

	st->st_uid = idmap_to_container(ov->ids, IDMAP_UID, st->st_uid);
	st->st_gid = idmap_to_container(ov->ids, IDMAP_GID, st->st_gid);
	st->st_dev = 0;
	set_common_attributes(node, st);
	if (use->lower_links)
		st->st_nlink += use->lower_links - use->hidden_links;
}

/* What the layer cannot know: that a name of the object went. Its ctime says when. */
static void set_hidden_attributes(const struct node *node, struct stat *st)
{
	const struct node_use *use = node_use(node);
	int64_t at = use ? atomic_load(&use->hidden_at) : 0;

	if (use)
		st->st_nlink -= use->hidden_links < st->st_nlink ? use->hidden_links : st->st_nlink;
	if (at)
		st->st_ctim =
			(struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
}

static int stat_lower(struct node *node, struct stat *ret_st)
{
	const struct lower_ref *ref = node_is_dir(node) ? node->dir->lowers.refs : &node->lower;

	return layer_getattr_with_mapping(ref->layer, ref->node, ID_VIEW_CONTAINER, ret_st);
}

static void complete_attributes(
	struct overlay *ov, struct node *node, bool is_upper, struct stat *st)
{
	bool is_orphan;

	if (is_upper) {
		attributes_from_upper(ov, node, st);
	} else {
		set_common_attributes(node, st);
		set_hidden_attributes(node, st);
	}
	if (!node_is_dir(node))
		return;
	mutex_lock(&ov->table);
	is_orphan = !node->names && node != ov->root;
	mutex_unlock(&ov->table);
	st->st_nlink = is_orphan ? 0 : directory_links(ov, node);
}

int node_attributes(struct overlay *ov, struct node *node, struct stat *ret_st)
{
	bool is_upper = node_is_upper(node);
	int r = is_upper ? upper_stat(ov, node, ret_st) : stat_lower(node, ret_st);

	if (r == 0)
		complete_attributes(ov, node, is_upper, ret_st);
	return r;
}

/* A copy-up meanwhile may have changed them. */
static int attributes_if_known(struct overlay *ov, struct node *node,
	const struct known_attributes *known, struct stat *ret_st)
{
	bool is_upper = node_is_upper(node);

	if (!known || known->from != (is_upper ? KNOWN_UPPER : KNOWN_LOWER))
		return node_attributes(ov, node, ret_st);
	*ret_st = known->st;
	complete_attributes(ov, node, is_upper, ret_st);
	return 0;
}

static void hand_out(struct overlay *ov, struct node *node, struct overlay_entry *ret_entry)
{
	ret_entry->node = node->id;
	ret_entry->generation = node_generation(node);
	node_remember(ov, node, 1);
}

void fill_entry_from(struct overlay *ov, struct node *node, const struct stat *st,
	struct overlay_entry *ret_entry)
{
	ret_entry->st = *st;
	ret_entry->is_unreadable = false;
	attributes_from_upper(ov, node, &ret_entry->st);
	if (node_is_dir(node))
		ret_entry->st.st_nlink = directory_links(ov, node);
	hand_out(ov, node, ret_entry);
}

static int fill_entry_knowing(struct overlay *ov, struct node *node,
	const struct known_attributes *known, struct overlay_entry *ret_entry)
{
	int r = attributes_if_known(ov, node, known, &ret_entry->st);

	ret_entry->is_unreadable = r == -EIO && !node_is_upper(node) && !node_is_dir(node);
	if (ret_entry->is_unreadable)
		ret_entry->st = (struct stat){.st_mode = node->type, .st_ino = node->ino};
	else if (r < 0)
		return r;
	hand_out(ov, node, ret_entry);
	return 0;
}

int fill_entry(struct overlay *ov, struct node *node, struct overlay_entry *ret_entry)
{
	return fill_entry_knowing(ov, node, NULL, ret_entry);
}

int overlay_lookup(
	struct overlay *ov, uint64_t parent, const char *name, struct overlay_entry *ret_entry)
{
	struct node *dir = node_get(ov, parent), *node;
	struct node_spec spec = {.parent = dir, .name = name};
	struct known_attributes known;
	int r;

	if (!dir)
		return -ESTALE;
	r = lookup_specified(ov, &spec, &known, &node);
	node_put(ov, dir);
	if (r < 0)
		return r;
	r = fill_entry_knowing(ov, node, &known, ret_entry);
	node_put(ov, node);
	return r;
}

bool overlay_forget(struct overlay *ov, uint64_t node, uint64_t count)
{
	return node_forget(ov, node, count);
}
