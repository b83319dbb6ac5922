/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Link counts. */
#pragma once

#include "overlay/node.h"

/*
 * st_nlink of a directory: 2 and one for each directory that it shows, 1 where that cannot be
 * told. It is not held.
 */
nlink_t directory_links(struct overlay *ov, struct node *dir);

/* Finds out what st_nlink of the upper's directories means, and whose is what is staged. */
int probe_work(struct overlay *ov);
