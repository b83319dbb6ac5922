/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bound of the upper: how many bytes and inodes it may take up, what it does take up,
 * and who may have more. What counts are the blocks that the file system reports (st_blocks),
 * of directories too, so that du(1) of the upper and the counter agree; an inode with several
 * names counts once; whiteouts count nothing. An object counts as long as it has a name or is
 * open.
 *
 * Who makes something takes room for the worst case first, which is one atomic addition. After
 * the call the object's own blocks are asked for once, and replace what was taken. Nothing is
 * walked but once, at the start, and then only the upper.
 *
 * Locks: `gate`, then a stripe's, which is a leaf and is held over one fstat(2), so that two
 * threads do not write down what they saw in the wrong order.
 *
 * Every function accepts a NULL quota, and then does and refuses nothing.
 */
#pragma once

#include "overlay/state.h"

struct quota;

/* 0: without bound; both 0: *ret_quota is NULL. */
int quota_new(uint64_t bytes, uint64_t inodes, int upper_fd, struct quota **ret_quota);
void quota_free(struct quota *quota);
/* Counts the upper as it is. */
int quota_count(struct quota *quota, struct overlay *ov);

/* --- making objects --- */
/*
 * Takes room for objects that are not there yet: -ENOSPC, as a disk of that size would say. The
 * bytes are rounded up to blocks. A file system that is over its bound gives not even nothing.
 */
int quota_take(struct quota *quota, uint64_t bytes, uint64_t inodes);
/* The same where nobody may be refused. */
void quota_take_anyway(struct quota *quota, uint64_t bytes, uint64_t inodes);
/* What was taken and not used. */
void quota_give_back(struct quota *quota, uint64_t bytes, uint64_t inodes);
/* The object is there: what it really takes up replaces the bytes that were taken for it. */
void quota_add(struct quota *quota, const struct stat *st, uint64_t taken);
/* Room for a new object: a directory takes up a block, a long symlink too. */
uint64_t quota_object_bytes(const struct quota *quota, mode_t type, size_t target_length);
/* How much is allocated at once. */
uint64_t quota_block(const struct quota *quota);
/* An object that was added and has not become visible goes again. */
void quota_remove(struct quota *quota, const struct stat *st);

/* --- changing and removing them --- */
/* To be called before the first change, for what an inode takes up must be known then. */
int quota_track(struct quota *quota, int fd);
/* After a change; an object without a name counts as long as it is open, or its node is known. */
void quota_settle(struct quota *quota, int fd);
/* An open file counts without a name too, and so does what keeps a node that has lost its own. */
int quota_open(struct quota *quota, int fd);
void quota_close(struct quota *quota, int fd);

/* --- content --- */
struct quota_grant {
	uint64_t bytes;
	bool is_alone; /* the gate is held */
};

/*
 * How much of a stretch may be written or allocated: at the bound only what lies in blocks that
 * the file has already, and then it may be less than was asked for. -ENOSPC.
 */
ssize_t quota_begin_write(
	struct quota *quota, int fd, off_t offset, size_t size, struct quota_grant *ret_grant);
/* All of the stretch or -ENOSPC. */
int quota_begin_allocation(
	struct quota *quota, int fd, off_t offset, off_t length, struct quota_grant *ret_grant);
void quota_end_write(struct quota *quota, int fd, struct quota_grant *grant);
/* Around what may free blocks of a file, which others rely on at the bound. */
void quota_begin_shrink(struct quota *quota);
void quota_end_shrink(struct quota *quota);

/* Replaces what the file system of the upper says by what is left to the overlay. */
void quota_statfs(const struct quota *quota, struct statvfs *st);

/* --- for quota-count.c --- */
/* Adds an object that is there already. */
int quota_found(struct quota *quota, const struct stat *st);
