/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an upper directory hands on to what is made in it: its group, where its set-group-id bit
 * says so, and its default ACL. Asked for once, for each object that is made needs it.
 */
#pragma once

#include "overlay/upper.h"

struct heritage {
	bool has_acl;
	bool gives_group;
	uint32_t gid; /* where it gives it; a storage id */
};

/* The directory is held, shared at least. */
int heritage_of(const struct dir_hold *hold, struct heritage *ret_heritage);
/* What is known of a directory that was just made. */
void heritage_is(struct node *dir, const struct stat *st, bool has_acl);
/* Mode or group of a directory have changed, or may have. It is held exclusively. */
void heritage_forget(struct node *dir);
/* Its ACLs are about to change: it is asked for each time from now on. No hold is needed. */
void heritage_distrust(struct node *dir);
