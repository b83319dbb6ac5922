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
/*
 * The same where the kernel has announced the change. It does so for no set-group-id that is alone
 * and means nothing to execution, unless who changes the file is not in its group.
 */
mode_t privileges_doomed_when_told(mode_t mode);
/* Takes them away: 1 when there were some, 0, or -errno. */
int privileges_kill(struct node *node, int fd);

/*
 * Where nobody tells who has a file open: this user may be about to change it, and if so takes away
 * set-id bits. An outsider may be no member of its group. Of several the last one counts.
 */
void privileges_announce(struct node *node, uint32_t uid, bool is_outsider);
/* He does: as privileges_kill(), and 0 where he was not announced. */
int privileges_kill_announced(struct node *node, int fd, uint32_t uid);
