/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an upper directory holds: all that differs from the layers below. */
#pragma once

#include <stdint.h>

#include <git-overlayfs/error.h>

struct changes {
	uint64_t files;	      /* and whatever else is neither directory nor whiteout */
	uint64_t directories; /* without the upper itself */
	uint64_t removed;     /* whiteouts that are devices */
	uint64_t bytes;	      /* that it takes up on the disk */
};

/* Walks through it. A container may write there meanwhile: no link is followed. */
int changes_count(const char *upper, struct changes *ret_changes, struct error *err);
