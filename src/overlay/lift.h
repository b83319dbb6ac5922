/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon without rights over files, a plain user's, may do with its own what their modes allow
 * and no more, while the kernel asks it for what their owner may do: to see that a directory of
 * mode 0 is empty, to read a mark, to write on in a file that has lost its mode since. There
 * the mode is lifted for the length of a call. What is not its own stays -EACCES.
 */
#pragma once

#include <dirent.h>
#include <sys/types.h>

struct lift {
	int fd; /* borrowed; -1: nothing is lifted */
	mode_t mode;
};

/* Adds bits to the mode. -EACCES where it has them: they are not what is missing. */
int lift_begin(int fd, mode_t bits, struct lift *ret_lift);
int lift_end(struct lift *lift); /* idempotent */

/* As the calls of call.h, tried again with what is missing; O_NOFOLLOW is implied. */
int lift_openat(int dir_fd, const char *name, int flags);
int lift_reopen(int fd, int flags);
int lift_opendir(int dir_fd, DIR **ret_stream);
