/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The capabilities of a process outside of the sandbox: what it can do, and giving them up. */
#pragma once

#include <stdbool.h>

/* CAP_SYS_ADMIN in the process's own user namespace. */
bool rights_has_admin(void);

/* Whether that is the one that the machine began with: what its root may is not only said. */
bool rights_in_initial_userns(void);

/*
 * Gives up everything but what it takes to end other processes and to remove what a
 * container made, and where `unmount` to unmount. 0 or -errno.
 */
int rights_keep_to_clean(bool unmount);
