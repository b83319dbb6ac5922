/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "overlay/upper.h"

/* 0 when nothing shows in the directory, else -ENOTEMPTY. It is held. */
int directory_is_empty(struct overlay *ov, const struct dir_hold *hold);
/* The same for who holds nothing: how it is at a moment. */
int directory_check_empty(struct overlay *ov, struct node *dir);

/*
 * Takes the whiteouts out of an upper directory that shows nothing, so that it can be removed
 * or replaced by one system call. It is made opaque before, and shows nothing still.
 */
int directory_clear(struct overlay *ov, struct node *dir, int dir_fd);
