/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon without rights over files, a plain user's, may do with its own what their modes allow
 * and no more, while the kernel asks it for what their owner may do: to see that a directory of
 * mode 0 is empty, to read a mark, to write on in a file that has lost its mode since. There
 * the mode is lifted for the length of a call. What is not its own stays -EACCES.
 *
 * Meanwhile the object has its own mode for everybody else: the calls of call.h tell that one, and
 * one that call_chmod() sets meanwhile is what it has afterwards; an ACL is not looked after.
 * Several may lift the same object at once.
 */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct lifted;

struct lift {
	int fd;		       /* borrowed */
	struct lifted *object; /* NULL: nothing is lifted */
};

/* Adds bits to the mode. -EACCES where it has them: they are not what is missing. -ENOMEM. */
int lift_begin(int fd, mode_t bits, struct lift *ret_lift);
int lift_end(struct lift *lift); /* idempotent */
/* The object goes, and its mode may stay as it is. */
void lift_leave(struct lift *lift);

/* As the calls of call.h, tried again with what is missing; O_NOFOLLOW is implied. */
int lift_openat(int dir_fd, const char *name, int flags);
int lift_reopen(int fd, int flags);
int lift_opendir(int dir_fd, DIR **ret_stream);

/* --- for call.c --- */

/* To be asked before a look at an object, for lift_hides(). */
unsigned lift_changes(void);
/* Takes off what is lifted. Whether something has changed since, so that it takes another look. */
bool lift_hides(struct stat *st, unsigned changes);
/* Sets an object's own mode. */
int lift_chmod(int fd, mode_t mode);
