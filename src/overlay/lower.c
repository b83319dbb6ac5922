/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/lower.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/mark.h"

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

/* Whether one of the directories above hides the name from those below it. */
static int is_hidden_above(const struct lower_ref *dirs, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		int r = lower_has_aufs_whiteout(&dirs[i], name);

		if (r)
			return r;
	}
	return 0;
}

/*
 * Adds what stands under the name in one layer. Returns 1 when layers further down have
 * no say, 0 when they have.
 */
static int add_from_layer(struct overlay *ov, const struct lower_ref *dirs, size_t i,
	const char *name, struct lower_set *set, struct stat *ret_st)
{
	struct lower_ref ref = {.layer = dirs[i].layer};
	struct stat st;
	int r = layer_lookup(ref.layer, dirs[i].node, name, &ref.node);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = layer_getattr_with_mapping(ref.layer, ref.node, ID_VIEW_CONTAINER, &st);
	if (r == 0)
		r = lower_is_whiteout(&dirs[i], &ref, &st);
	if (r == 0)
		r = is_hidden_above(dirs, i, name);
	/* A file below a directory ends the directory, as a whiteout does. */
	if (r == 0 && set->count > 0 && !S_ISDIR(st.st_mode))
		r = 1;
	if (r == 0)
		r = lower_set_add(set, ref);
	if (r != 0) {
		layer_forget(ref.layer, ref.node, 1);
		return r;
	}
	if (set->count == 1) {
		*ret_st = st;
		ret_st->st_ino = ino_of_lower(ov, ref.layer, st.st_ino);
	}
	if (!S_ISDIR(st.st_mode))
		return 1;
	r = lower_opaque_state(&ref);
	return r < 0 ? r : r == OPAQUE_YES;
}

int lower_lookup(struct overlay *ov, struct node *dir, const char *name, struct lower_set *ret_set,
	struct stat *ret_st)
{
	const struct lower_set *dirs = &dir->dir->lowers;
	bool is_reserved = strncmp(name, WHITEOUT_PREFIX, WHITEOUT_PREFIX_LEN) == 0;
	struct lower_set set = {0};

	for (size_t i = 0; i < dirs->count; i++) {
		int r;

		if (is_reserved && dirs->refs[i].layer->has_whiteouts)
			continue;
		r = add_from_layer(ov, dirs->refs, i, name, &set, ret_st);
		if (r < 0) {
			lower_set_release(&set);
			return r;
		}
		if (r > 0)
			break;
	}
	*ret_set = set;
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
