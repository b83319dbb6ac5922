/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/lower.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/mark.h"
#include "overlay/redirect.h"
#include "util/cleanup.h"

/*
 * Inode numbers: what lies below has bit 62 set, what is only in the upper has its own
 * number. Bit 63 stays clear, for programs that keep them in signed integers.
 */
#define INO_LOWER (1ull << 62)
#define INO_MASK  (INO_LOWER - 1)

uint64_t ino_of_lower(const struct overlay *ov, const struct layer *layer, uint64_t ino)
{
	/* Counted from the bottom: a layer put on top does not change the others. */
	uint64_t height = ov->layer_count - 1 - layer->index;

	if (height > 0) {
		ino ^= height * 0x9e3779b97f4a7c15u;
		ino = (ino ^ (ino >> 30)) * 0xbf58476d1ce4e5b9u;
		ino ^= ino >> 31;
	}
	return INO_LOWER | (ino & INO_MASK);
}

bool ino_is_lower(uint64_t ino)
{
	return ino & INO_LOWER;
}

uint64_t ino_of_upper(uint64_t ino)
{
	return ino & INO_MASK;
}

static int lower_set_add(struct lower_set *set, struct lower_ref ref)
{
	struct lower_ref *refs = realloc(set->refs, (set->count + 1) * sizeof(*refs));

	if (!refs)
		return -ENOMEM;
	set->refs = refs;
	set->refs[set->count++] = ref;
	return 0;
}

/* --- one name on its way down --- */

/*
 * A directory that was renamed while its layer was an upper says where its parts further
 * down are: under another name of the same parent, or at a path from the roots.
 */
struct descent {
	struct overlay *ov;
	const struct lower_set *dirs; /* the parent's; of a path the root's */
	size_t since; /* the first of `dirs` whose whiteouts of `target` are not known */
	char *target; /* a name, or a path that begins with '/' */
	struct lower_set set;
	struct stat st; /* of the topmost */
};

/* The part of the target that is `length` long and followed by `rest` more leads elsewhere. */
static int retarget(struct descent *d, size_t length, size_t rest, const char *redirect)
{
	size_t total = strlen(d->target);
	size_t prefix = redirect[0] == '/' ? 0 : total - rest - length;
	char *target = NULL;

	if (asprintf(&target, "%.*s%s%s", (int)prefix, d->target, redirect,
		    d->target + total - rest) < 0)
		return -ENOMEM;
	free(d->target);
	d->target = target;
	return strlen(target) > REDIRECT_MAX ? -EIO : 0;
}

/*
 * What a directory's own marks say about the layers further down: 1 when they have no
 * say, else 0 and the target to ask them for.
 */
static int obey_marks(struct descent *d, const struct lower_ref *ref, size_t length, size_t rest)
{
	_cleanup_free_ char *redirect = NULL;
	struct mark_set marks;
	int r = ref->layer->has_whiteouts ? lower_marks(ref, &marks) : 0;

	if (r < 0 || !ref->layer->has_whiteouts)
		return r;
	if (rest == 0 && d->set.count <= LOWER_PLAIN_MAX && !marks.opaque && !marks.impure)
		d->set.plain |= 1u << (d->set.count - 1);
	r = lower_opaque_state(ref, &marks);
	if (r < 0 || r == OPAQUE_YES)
		return r < 0 ? r : 1;
	if (!marks.redirect || d->ov->redirect_dir == OVERLAY_REDIRECT_NOFOLLOW)
		return 0;
	r = lower_redirect(ref, &redirect);
	return r == 0 ? retarget(d, length, rest, redirect) : r;
}

/*
 * An object with its attributes where it may be a whiteout, which they tell; elsewhere with type,
 * number and links alone: they are there for an object whose content is missing too, so that it can
 * be removed.
 */
static int find_described(const struct lower_ref *dir, const char *name, struct lower_ref *ret_ref,
	struct stat *ret_st)
{
	struct lower_ref ref = {.layer = dir->layer};
	struct layer_identity identity;
	int r;

	if (ref.layer->has_whiteouts)
		r = layer_lookup_attributes(ref.layer, dir->node, name, &ref.node, ret_st);
	else
		r = layer_lookup(ref.layer, dir->node, name, &ref.node);
	if (r == 0)
		*ret_ref = ref;
	if (r < 0 || ref.layer->has_whiteouts)
		return r;
	r = layer_identify(ref.layer, ref.node, &identity);
	if (r < 0)
		layer_forget(ref.layer, ref.node, 1);
	else
		*ret_st = (struct stat){
			.st_mode = identity.type,
			.st_ino = identity.ino,
			.st_nlink = identity.links,
		};
	return r;
}

/*
 * Whether an empty file stands for nothing, or for a device: 1, 0 or -errno. Its directory's
 * marks say whether any may.
 */
static int examine_empty(const struct lower_ref *dir, const struct lower_ref *ref, struct stat *st)
{
	struct mark_set marks;
	int r = lower_marks(dir, &marks);

	if (r == 0 && marks.opaque)
		r = lower_is_whiteout(dir, ref, st);
	if (r != 0 || !marks.impure)
		return r;
	r = lower_stands_in(ref, st);
	if (r > 0)
		stand_in_attributes(S_IFCHR, st);
	return r > 0 ? 0 : r;
}

/* An object of one layer, unless a whiteout stands there: then 1. */
static int find_in_layer(const struct lower_ref *dir, const char *name, struct lower_ref *ret_ref,
	struct stat *ret_st)
{
	struct lower_ref ref;
	int r = find_described(dir, name, &ref, ret_st);

	if (r < 0)
		return r;
	if (!ref.layer->has_whiteouts)
		r = 0;
	else if (may_stand_in(ret_st))
		r = examine_empty(dir, &ref, ret_st);
	else
		r = lower_is_whiteout(dir, &ref, ret_st);
	if (r != 0)
		layer_forget(ref.layer, ref.node, 1);
	else
		*ret_ref = ref;
	return r;
}

/*
 * Adds what was found at the end of the target; takes the reference. Returns 1 when layers
 * further down have no say, 0 when they have.
 */
static int add_found(struct descent *d, struct lower_ref ref, const struct stat *st, size_t length)
{
	int r = 0;

	/* A file below a directory ends the directory, as a whiteout does. */
	if (d->set.count > 0 && !S_ISDIR(st->st_mode))
		r = 1;
	if (r == 0)
		r = lower_set_add(&d->set, ref);
	if (r != 0) {
		layer_forget(ref.layer, ref.node, 1);
		return r;
	}
	if (d->set.count == 1) {
		d->st = *st;
		d->st.st_ino = ino_of_lower(d->ov, ref.layer, st->st_ino);
	}
	return S_ISDIR(st->st_mode) ? obey_marks(d, &ref, length, 0) : 1;
}

/* --- by name --- */

/*
 * Whether one of the directories above hides the name from those below it. Each is asked once:
 * a directory may be in hundreds of layers.
 */
static int is_hidden_above(struct descent *d, size_t count)
{
	for (size_t i = d->since; i < count; i++) {
		int r = lower_has_aufs_whiteout(&d->dirs->refs[i], d->target);

		if (r)
			return r;
	}
	d->since = count;
	return 0;
}

static int add_by_name(struct descent *d, size_t i)
{
	const struct lower_ref *dir = &d->dirs->refs[i];
	struct lower_ref ref;
	struct stat st;
	int r;

	if (dir->layer->has_whiteouts &&
		strncmp(d->target, WHITEOUT_PREFIX, WHITEOUT_PREFIX_LEN) == 0)
		return 0;
	r = find_in_layer(dir, d->target, &ref, &st);
	if (r != 0)
		return r == -ENOENT ? 0 : r;
	r = is_hidden_above(d, i);
	if (r == 0)
		return add_found(d, ref, &st, strlen(d->target));
	layer_forget(ref.layer, ref.node, 1);
	return r;
}

/* --- by path --- */

/* The next component of the target, of which `rest` bytes are still to go. */
static size_t next_component(const struct descent *d, size_t rest, char name[NAME_MAX + 1])
{
	const char *start = d->target + strlen(d->target) - rest + 1;
	size_t length = strcspn(start, "/");

	memcpy(name, start, length);
	name[length] = '\0';
	return length;
}

/*
 * One component of a path in one layer: *at becomes the object. Returns 0 or -errno, 1 when
 * the path ends here; *ret_ends is set when layers further down have no say.
 */
static int enter(struct descent *d, struct lower_ref *at, size_t *rest, bool *ret_ends)
{
	char name[NAME_MAX + 1];
	size_t length = next_component(d, *rest, name);
	struct lower_ref ref;
	struct stat st;
	int r = lower_has_aufs_whiteout(at, name);

	if (r > 0)
		*ret_ends = true;
	if (r >= 0)
		r = find_in_layer(at, name, &ref, &st);
	if (r != 0) {
		*ret_ends |= r > 0;
		return r == -ENOENT ? 1 : r;
	}
	*rest -= length + 1;
	if (*rest == 0 || !S_ISDIR(st.st_mode)) {
		r = *rest == 0 ? add_found(d, ref, &st, length) : 1;
		if (*rest > 0)
			layer_forget(ref.layer, ref.node, 1);
		*ret_ends |= r > 0;
		return r < 0 ? r : 1;
	}
	layer_forget(at->layer, at->node, 1);
	*at = ref;
	r = obey_marks(d, &ref, length, *rest);
	*ret_ends |= r > 0;
	return r < 0 ? r : 0;
}

static int add_by_path(struct descent *d, size_t i)
{
	struct layer *layer = d->dirs->refs[i].layer;
	struct lower_ref at = {layer, layer_root(layer)};
	size_t rest = strlen(d->target);
	bool ends = false;
	int r = 0;

	while (r == 0)
		r = enter(d, &at, &rest, &ends);
	layer_forget(at.layer, at.node, 1);
	return r < 0 ? r : ends;
}

/* --- all the way --- */

/* The directories to ask after a redirect, from the layer below `layer` on. */
static size_t go_on_below(struct descent *d, const struct layer *layer)
{
	size_t i = 0;

	if (d->target[0] == '/')
		d->dirs = &d->ov->root->dir->lowers;
	while (i < d->dirs->count && d->dirs->refs[i].layer->index <= layer->index)
		i++;
	return i;
}

static int descend(struct descent *d)
{
	size_t i = 0;
	int r = 0;

	if (d->target[0] == '/')
		d->dirs = &d->ov->root->dir->lowers;
	while (r == 0 && i < d->dirs->count) {
		const struct layer *layer = d->dirs->refs[i].layer;
		const char *target = d->target;

		r = target[0] == '/' ? add_by_path(d, i) : add_by_name(d, i);
		i++;
		if (d->target != target)
			d->since = i = go_on_below(d, layer);
	}
	return r;
}

int lower_lookup(struct overlay *ov, struct node *dir, const char *target,
	struct lower_set *ret_set, struct stat *ret_st)
{
	struct descent d = {.ov = ov, .dirs = node_lowers(dir), .target = strdup(target)};
	int r = d.target ? descend(&d) : -ENOMEM;

	free(d.target);
	if (r < 0) {
		lower_set_release(&d.set);
		return r;
	}
	*ret_set = d.set;
	if (d.set.count > 0)
		*ret_st = d.st;
	return 0;
}

int lower_is_visible(struct overlay *ov, struct node *dir, const char *name)
{
	struct lower_set set;
	struct stat st;
	int r = lower_lookup(ov, dir, name, &set, &st);

	if (r < 0)
		return r;
	r = set.count > 0;
	lower_set_release(&set);
	return r;
}
