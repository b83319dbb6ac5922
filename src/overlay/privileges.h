/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes a program more than who runs it: set-id bits and security.capability of a file in the
 * upper. Who changes the file takes them away, but for set-id bits with CAP_FSETID. Of the set-id
 * bits the kernel says when (FUSE_HANDLE_KILLPRIV_V2), and here they go; capabilities it takes away
 * itself. That a file has neither is remembered with its node, so that a write costs no look.
 */
#pragma once

#include "overlay/state.h"

#define PRIVILEGES_CAPABILITY "security.capability"

struct privileges {
	mode_t mode;	     /* 07777 of it */
	ssize_t size;	     /* of the capability; 0: none */
	char capability[64]; /* struct vfs_ns_cap_data has 24 */
};

/* Nobody has to look. */
bool privileges_are_none(const struct node *node);
/* Of a file that was just made, of this mode: no capability comes to it by itself. */
void privileges_of_new(struct node *node, mode_t mode);
/* Before and after somebody gives the file some: what is seen between the two is not remembered. */
void privileges_change(struct node *node);

/* `fd` may be O_PATH. */
int privileges_read(struct node *node, int fd, struct privileges *ret);
/* Puts back what the upper's file system took away because somebody seemed to write. */
int privileges_restore(int fd, const struct privileges *before);

/* The set-id bits of a file of this mode that a change takes away. */
mode_t privileges_doomed(mode_t mode);
/* Takes them away: 1 when there were some, 0, or -errno. */
int privileges_kill(struct node *node, int fd);
