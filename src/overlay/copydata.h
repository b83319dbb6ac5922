/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of a copy-up: a clone where the file system can, else its data without holes. */
#pragma once

#include "overlay/state.h"

/* How many bytes of blocks the first `size` bytes take up where holes stay holes. */
int copy_data_room(
	const struct layer_file *file, uint64_t size, uint64_t block, uint64_t *ret_bytes);
/*
 * Makes the empty file `out_fd` of the upper hold the first `size` bytes of the layer's file, of
 * which *st is what its layer says. -EIO when that is shorter than it said.
 */
int copy_data(struct overlay *ov, const struct layer_file *file, const struct stat *st,
	uint64_t size, int out_fd);
