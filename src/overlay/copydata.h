/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of a copy-up: a clone where the file system can, else its data without holes. */
#pragma once

#include <git-overlayfs/layer.h>

/* How many bytes of blocks the first `size` bytes take up where holes stay holes. */
int copy_data_room(
	const struct layer_file *file, uint64_t size, uint64_t block, uint64_t *ret_bytes);
/*
 * Makes the empty file `out_fd` hold the first `size` bytes of the layer's file. -EIO when
 * that is shorter than it said.
 */
int copy_data(const struct layer_file *file, uint64_t size, int out_fd);
