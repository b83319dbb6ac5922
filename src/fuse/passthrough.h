/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which open files the kernel reads and writes without us. A file of the upper is registered with
 * it when it is opened first, and stays so for a while after it was closed. Where that cannot be,
 * its data goes through the daemon, and nobody is told.
 */
#pragma once

#include <fuse_lowlevel.h>

#include <git-overlayfs/session.h>

struct passthrough;

/* Both are borrowed. NULL without memory. */
struct passthrough *passthrough_new(
	const struct session_backing *backing, struct session_counters *counters);
void passthrough_free(struct passthrough *pass);

/* How one open file is answered to the kernel. */
struct passthrough_open {
	int backing_id; /* 0: its data goes through the daemon */
	bool keep_cache;
	/* What the kernel knows about the file may become old without a request, from now on. */
	bool turns_fleeting;
};

/*
 * 0, -ENOMEM, or -EINVAL for O_DIRECT where the upper has none, and the others who have the file
 * open go past us. Each success is followed by passthrough_release().
 */
int passthrough_enter(struct passthrough *pass, fuse_ino_t ino, struct overlay_file *file,
	int flags, struct passthrough_open *ret_open);
/* `was_taken`: the kernel had it open. */
void passthrough_release(
	struct passthrough *pass, fuse_ino_t ino, struct overlay_file *file, bool was_taken);

/* The kernel's references to a node, given back. */
void passthrough_forget(
	struct passthrough *pass, struct overlay *ov, fuse_ino_t ino, uint64_t count);
/* For how long the kernel may believe the attributes of a node, in seconds. */
double passthrough_attr_timeout(struct passthrough *pass, fuse_ino_t ino);
