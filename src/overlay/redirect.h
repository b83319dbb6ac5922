/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Directories that were renamed although they have parts in lower layers. The upper's directory
 * carries the mark "redirect" and says where those parts are: a name in the same parent,
 * or a path from the root, both as the layers below the mark know them. Format and
 * rules: Linux Documentation/filesystems/overlayfs.rst, "redirect_dir".
 */
#pragma once

#include "overlay/upper.h"

/* Longer than any path that can be walked to; what an attribute can hold anyway. */
#define REDIRECT_MAX 65536

/* The mark of a directory that has one: -EIO when it makes no sense, -EACCES when it hides. */
int lower_redirect(const struct lower_ref *dir, char **ret_redirect);
int upper_redirect(struct overlay *ov, int fd, char **ret_redirect);

/*
 * Marks an upper directory that is about to leave `name` for another name of the same
 * parent, or for another parent; that it need not be marked is a success. -EXDEV where
 * there are no redirects, or this one cannot be kept.
 */
int redirect_leave(
	struct overlay *ov, struct node *dir, int parent_fd, const char *name, bool same_parent);
