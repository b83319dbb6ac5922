/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open files. */
#pragma once

#include "overlay/state.h"

struct overlay_file {
	struct node *node;	 /* a reference; immutable */
	int fd;			 /* in the upper; -1: opened on the lower. Immutable */
	int flags;		 /* of open(2); immutable */
	struct layer_file lower; /* where fd is -1; immutable */
	struct overlay *ov;
	bool is_counted; /* among the descriptors that files hold; immutable once it is open */
};

/* The upper's descriptor to ask; -1 while the content comes from the layer. Borrowed. */
int overlay_file_upper_fd(const struct overlay_file *file);
/* One that is open for writing, or -1. Borrowed. */
int overlay_file_write_fd(const struct overlay_file *file);
