/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reaching the objects of the upper: pinned directories, their locks, objects by name. */
#pragma once

#include "overlay/node.h"

/* A directory's descriptor in the upper. */
struct upper_pin {
	int fd; /* -1: the directory is not in the upper */
	struct fdcache_entry *entry;
};

/* Opens parents as needed, so no lock of a directory may be held. */
int upper_pin(struct overlay *ov, struct node *dir, struct upper_pin *ret_pin);
void upper_unpin(struct overlay *ov, struct upper_pin *pin); /* idempotent */

/* A directory that is pinned and locked. */
struct dir_hold {
	struct overlay *ov;
	struct node *dir; /* NULL: nothing is held */
	struct upper_pin pin;
	bool is_exclusive;
};

int dir_hold(struct overlay *ov, struct node *dir, bool exclusive, struct dir_hold *ret_hold);
/* Exclusively, with a pin that is in *hold already; it goes with the hold. */
int dir_hold_pinned(struct overlay *ov, struct node *dir, struct dir_hold *hold);
void dir_release(struct dir_hold *hold); /* idempotent */
#define _cleanup_hold_ __attribute__((cleanup(dir_release)))

/*
 * Opens an upper object whatever its name is by now; O_NOFOLLOW is implied.
 * -ENOENT when the upper was changed behind our back.
 */
int upper_open(struct overlay *ov, struct node *node, int flags, int *ret_fd);

/*
 * A descriptor of an upper object to ask and to change it by, O_PATH or better: that of somebody
 * who has it open, of a directory its pin, or else one that is opened for it.
 */
struct upper_loan {
	int fd;
	struct node *node; /* of whom it is borrowed; NULL: of nobody */
	struct upper_pin pin;
};

int upper_borrow(struct overlay *ov, struct node *node, struct upper_loan *ret_loan);
void upper_give_back(struct overlay *ov, struct upper_loan *loan); /* idempotent */
/* The descriptor of who opens a file, as long as that is open: for others to borrow. */
void upper_lend(struct overlay *ov, struct node *node, int fd);
/* Closes it, now or when it is given back. */
void upper_close_lent(struct overlay *ov, struct node *node, int fd);

/* Storage ids, as the file system tells. */
int upper_stat(struct overlay *ov, struct node *node, struct stat *ret_st);

/* A name in the work directory that is free. */
#define TEMP_NAME_MAX 24
void work_temp_name(struct overlay *ov, char name[TEMP_NAME_MAX]);
/* Removes whatever a temporary name stands for, a whole tree too. */
int work_remove(struct overlay *ov, const char *name);

/* Before an object loses its last name. -ENFILE: too many have none as it is. */
int upper_check_nameless(const struct overlay *ov, bool is_dir);

/*
 * Keeps an upper object reachable when its last name goes. First, under the lock, a descriptor,
 * -1 where none is needed; when the name has gone, and before the lock is released, the node
 * takes it over.
 */
int upper_open_orphan(struct overlay *ov, struct node *node, const struct dir_hold *hold,
	const char *name, int *ret_fd);
void upper_keep_orphan(struct overlay *ov, struct node *node, int fd);
/* The object has a name by which it is reached: it needs no descriptor any more. No directory. */
void upper_drop_orphan(struct overlay *ov, struct node *node);
