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

#include <git-overlayfs/error.h>
#include <git-overlayfs/layer.h>

#define GIT_LAYER_ID_SIZE 65

/*
 * Readies the process for layer_open() at this revision (NULL: HEAD) of the repository in the
 * directory `git_dir_fd` (O_PATH will do; -1: any): libgit2 is loaded if it will be needed, which
 * for HEAD, the name of a branch or tag, and a whole id it is not. It comes from where the dynamic
 * linker looks for libraries, so this is to be called before the process goes to where a container
 * decides what is there; layer_open() itself loads nothing, and fails where this has not been
 * called and libgit2 is needed. 0, or -ENOTSUP: there is no libgit2 that can be used.
 */
int git_layer_prepare(int git_dir_fd, const char *rev, struct error *err);

/*
 * The id of the commit that the layer shows, or of the tree where it was opened
 * by a tree's id, as hexadecimal digits with a terminator. `subdir` does not change it.
 * -EINVAL for a layer of another kind.
 */
int git_layer_object_id(const struct layer *layer, char ret_hex[GIT_LAYER_ID_SIZE]);
