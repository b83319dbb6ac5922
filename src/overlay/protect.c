/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/protect.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "overlay/call.h"
#include "overlay/mark.h"
#include "util/cleanup.h"

static int flags_of_mark(const char *value, ssize_t length)
{
	int flags = 0;

	for (ssize_t i = 0; i < length; i++) {
		if (value[i] == 'a')
			flags |= FS_APPEND_FL;
		if (value[i] == 'i')
			flags |= FS_IMMUTABLE_FL;
	}
	return flags;
}

static int read_upper(struct overlay *ov, struct node *node)
{
	_cleanup_close_ int fd = -1;
	char value[8];
	int r = upper_open(ov, node, O_PATH, &fd);
	ssize_t n;

	if (r < 0)
		return r;
	n = upper_own_mark(ov, fd, MARK_PROTECTION, value, sizeof(value));
	return n == -ENODATA ? 0 : n < 0 ? (int)n : flags_of_mark(value, n);
}

static int read_lower(const struct node *node)
{
	const struct lower_ref *ref = node_is_dir(node) ? node->dir->lowers.refs : &node->lower;
	struct layer_traits traits;
	int r = layer_get_traits(ref->layer, ref->node, false, &traits);

	return r < 0 ? r : (int)(traits.flags & PROTECT_ALL);
}

int protection_of(struct overlay *ov, struct node *node)
{
	uint8_t known = atomic_load(&node->protection);
	int flags;

	if (known != PROTECTION_UNKNOWN)
		return known;
	if (!S_ISREG(node->type) && !S_ISDIR(node->type))
		flags = 0;
	else
		flags = node_is_upper(node) ? read_upper(ov, node) : read_lower(node);
	/* Whoever has set them meanwhile knows better. */
	if (flags >= 0 &&
		!atomic_compare_exchange_strong(&node->protection, &known, (uint8_t)flags))
		flags = known;
	return flags;
}

int protect_check(struct overlay *ov, struct node *node, int flags)
{
	int has = protection_of(ov, node);

	return has < 0 ? has : has & flags ? -EPERM : 0;
}

int protect_check_removal(struct overlay *ov, struct node *dir, struct node *node)
{
	int r = protect_check(ov, dir, PROTECT_ALL);

	return r < 0 ? r : protect_check(ov, node, PROTECT_ALL);
}

void protection_is(struct node *node, int flags)
{
	atomic_store(&node->protection, (uint8_t)flags);
}

int protect_mark(struct overlay *ov, int fd, int flags)
{
	char value[3] = "";

	if (flags & FS_APPEND_FL)
		strcat(value, "a");
	if (flags & FS_IMMUTABLE_FL)
		strcat(value, "i");
	return *value ? upper_set_mark(ov, fd, MARK_PROTECTION, value)
		      : upper_remove_mark(ov, fd, MARK_PROTECTION);
}
