/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * POSIX ACLs: extended attributes whose values name users and groups. The kernel enforces
 * what it is shown; here the ids are translated, and a directory's default ACL found.
 */
#pragma once

#include "overlay/state.h"

#define ACL_ACCESS   "system.posix_acl_access"
#define ACL_DEFAULT  "system.posix_acl_default"
#define ACL_SIZE_MAX 65536 /* of any extended attribute */

bool acl_is_name(const char *name);

/* Whether the mount has ACLs: the upper can hold them, and an id in one stands for somebody. */
bool acl_is_supported(const struct overlay *ov);

/*
 * Both translate in place. To the store: -EINVAL for an id that is not mapped or a value that is
 * no ACL. To the container: the new size, or -EIO; an entry of somebody who is not mapped does not
 * show, for nobody in the container is meant by it, least of all the overflow id.
 */
int acl_to_storage(const struct idmap *ids, void *acl, size_t size);
ssize_t acl_to_container(const struct idmap *ids, void *acl, size_t size);

/* -EOVERFLOW when an entry names somebody whom this user namespace does not know. */
int acl_check_copy(const void *acl, size_t size);

/* 1 when an upper directory has a default ACL, 0 or -errno. */
int acl_has_default(int dir_fd);

/* Takes away what a new object has inherited from the directory in which it was made. */
int acl_clear(int fd);
