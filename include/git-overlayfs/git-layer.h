/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is particular to layers of kind "git"; everything else is layer.h.
 *
 * A revision is resolved once, when the layer is opened, and so is the time that
 * all its objects show: the commit's (committer's) time, or `mtime` of the
 * configuration, but never later than the opening. A tree that was named without
 * a commit has no time of its own and shows 0, the epoch.
 */
#pragma once

#include <git-overlayfs/layer.h>

#define GIT_LAYER_ID_SIZE 65

/*
 * The id of the commit that the layer shows, or of the tree where it was opened
 * by a tree's id, as hexadecimal digits with a terminator. `subdir` does not change it.
 * -EINVAL for a layer of another kind.
 */
int git_layer_object_id(const struct layer *layer, char ret_hex[GIT_LAYER_ID_SIZE]);
