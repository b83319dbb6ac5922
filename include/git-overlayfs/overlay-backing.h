/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Open files whose content somebody else may read and write past the overlay: the kernel, which
 * is given the file in the upper for it. What is said in overlay.h of threads and results holds.
 */
#pragma once

#include <git-overlayfs/overlay.h>

enum overlay_passing {
	OVERLAY_MAY_PASS,
	OVERLAY_IS_LOWER, /* a layer has the file */
	/*
	 * The overlay counts what is written, or forbids it (chattr +i, +a), or reading past it
	 * would move access times.
	 */
	OVERLAY_MUST_SEE,
};

/* A file that may pass goes on to lie in the same file of the upper, for the life of its node. */
enum overlay_passing overlay_file_passing(const struct overlay_file *file);
/* With the id of its node it is unique for the life of the overlay. */
uint64_t overlay_file_generation(const struct overlay_file *file);
/*
 * Of one that may pass: opened O_RDWR, whatever the file was opened for. 1: the caller closes it;
 * 0: it is borrowed from the file.
 */
int overlay_file_open_backing(struct overlay_file *file, int *ret_fd);
/* Of one that may pass: its size in bytes. 0 or -errno. */
int overlay_file_size(const struct overlay_file *file, uint64_t *ret_size);
/* Whether O_DIRECT, which passes as well, is possible there. */
bool overlay_file_has_direct(const struct overlay_file *file);
/* Whether this open made the file; then also how large it is by now, as far as it was written. */
bool overlay_file_is_new(const struct overlay_file *file, uint64_t *ret_size);
