/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open files. */
#pragma once

#include "overlay/state.h"

struct overlay_file {
	struct node *node;	 /* a reference; immutable */
	int fd;			 /* in the upper; -1: opened on the lower. Immutable */
	int flags;		 /* of open(2); immutable */
	struct layer_file lower; /* where fd is -1, and it is not late */
	/* Immutable once it is open, as the next two: `lower` is empty, what is read comes from
	 * `late`, which is opened by who reads first. */
	bool is_late;
	bool counts_late; /* what is opened late will be a descriptor */
	bool is_first;	  /* nobody had opened it on the layer before */
	_Atomic(struct layer_file *) late;
	struct overlay *ov;
	_Atomic uint64_t end; /* of what was written through it */
	bool has_backing;     /* the kernel may write to it without us */
	bool is_counted;      /* among the descriptors that files hold; immutable once it is open */
};

/* The upper's descriptor to ask; -1 while the content comes from the layer. Borrowed. */
int overlay_file_upper_fd(const struct overlay_file *file);
/* One that is open for writing, or -1. Borrowed. */
int overlay_file_write_fd(const struct overlay_file *file);

bool overlay_file_is_writer(const struct overlay_file *file);

/* Who collects writes says which mtime it keeps: to be called before it is set. NULL: none now. */
void overlay_file_keep_mtime(struct overlay *ov, struct node *node, const struct timespec *mtime);

/* Counts the file's descriptor. -ENFILE when there are too many. */
int overlay_file_take_descriptor(struct overlay_file *file);

/* --- on a layer --- */
/* 1, or 0 when the node is an upper one by now, or -errno. */
int lower_file_open(struct overlay_file *file);
void lower_file_close(struct overlay_file *file);
/* Borrowed from the file. */
int lower_file_content(struct overlay_file *file, const struct layer_file **ret_content);
/* Where its data lies, without reading it: in a descriptor, borrowed, or, -1, in memory. */
int lower_file_extent(struct overlay_file *file, int *ret_fd, uint64_t *ret_size);
