/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the upper really takes up, what the overlay says, and files to fill it with. */
#pragma once

#include "overlay-fixture.h"

#define BLOCK 4096u

struct usage {
	uint64_t bytes, inodes;
	ino_t linked[4096];
	size_t linked_count;
};

/*
 * A fixture with a bounded upper, in UPPER_BASE or in memory: tmpfs counts a block as soon as it
 * is there, ext4 also what it adds behind our back. Both are bounded, so that both are counted.
 */
void begin_bounded(struct fixture *fx, size_t trees, uint64_t bytes, uint64_t inodes);

/* By a walk. */
void count_upper(struct fixture *fx, struct usage *ret);
/* By the overlay's statfs, which shows no more than all of it as used. */
void counted(struct fixture *fx, struct usage *ret);
void expect_counted(struct fixture *fx, int line);
#define assert_counted(fx) expect_counted(fx, __LINE__)

/* Writes zeros. */
ssize_t fill(struct fixture *fx, struct overlay_file *file, off_t offset, size_t size);
int set_size(struct fixture *fx, const char *path, off_t size);
