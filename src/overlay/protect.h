/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Immutable and append-only objects (chattr +i, +a). As in overlayfs the flags of an object in the
 * upper are a mark, "overlay.protattr" with the letters a and i, and never flags of the file there,
 * which would be in the way of copy-ups and whiteouts. The kernel knows nothing of them, so
 * whoever changes an object asks here first: before any lock is taken.
 */
#pragma once

#include <linux/fs.h>

#include "overlay/upper.h"

#define PROTECT_ALL (FS_IMMUTABLE_FL | FS_APPEND_FL)

/* The flags of PROTECT_ALL that the node has, or -errno. Remembered with the node. */
int protection_of(struct overlay *ov, struct node *node);
/* -EPERM when the node has one of these flags. */
int protect_check(struct overlay *ov, struct node *node, int flags);
/* Whether the entry may leave its directory. */
int protect_check_removal(struct overlay *ov, struct node *dir, struct node *node);

/* A new object, or a copy of one, has these flags. */
void protection_is(struct node *node, int flags);
/* Marks an upper object; `fd` may be O_PATH. */
int protect_mark(struct overlay *ov, int fd, int flags);
