/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bench-floor knows of objects: their paths, and how often the kernel has been told of them.
 * Any thread may call. Without memory the process ends.
 */
#pragma once

#include <fuse_lowlevel.h>
#include <linux/limits.h>

/* The directory that is mirrored is the current one. */
void inodes_init(void);

/* Good until the kernel forgets the object. */
const char *inode_path(fuse_ino_t ino);
/* "PATH/NAME" in the buffer, which is returned. */
const char *inode_child(char buffer[PATH_MAX], fuse_ino_t parent, const char *name);

/* The object at the path, with a look-up more. */
fuse_ino_t inode_get(const char *path);
void inode_forget(fuse_ino_t ino, uint64_t lookups);
/* The path is nobody's any more. */
void inode_gone(const char *path);
/* What was at the one is at the other now; what is below it keeps its old path. */
void inode_moved(const char *from, const char *to);
