/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Open files and directories of an overlay, a part of its contract: what overlay.h says of
 * threads, errors and ids holds here too. A handle is its opener's until it gives it back, and
 * keeps its node; requests may use it from several threads at once, but for a directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct overlay;
struct overlay_caller;
struct overlay_entry;
struct overlay_file;

/* --- files --- */
/* `flags` as open(2). A file opened for writing is copied up here. */
int overlay_open(struct overlay *ov, uint64_t node, int flags, struct overlay_file **ret_file);
int overlay_create(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, int flags, struct overlay_entry *ret_entry,
	struct overlay_file **ret_file);
/* O_TMPFILE: overlay_link() may give it a name. -EOPNOTSUPP where the upper cannot. */
int overlay_tmpfile(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	mode_t mode, int flags, struct overlay_entry *ret_entry, struct overlay_file **ret_file);
void overlay_release(struct overlay *ov, struct overlay_file *file);
/*
 * Of a file that was opened on a layer for the first time, so that the kernel has none of it: its
 * content, if that is in memory and not longer than `max`. True: the caller hands it to the kernel,
 * and calls overlay_end_fill() before it answers the open. Until then nobody can write to it.
 */
bool overlay_begin_fill(
	struct overlay_file *file, size_t max, const void **ret_data, size_t *ret_size);
void overlay_end_fill(struct overlay_file *file);
/* From the layer or the upper: a file opened before a copy-up follows it. 0 at the end. */
ssize_t overlay_read(
	struct overlay *ov, struct overlay_file *file, void *buf, size_t size, off_t offset);
ssize_t overlay_write(
	struct overlay *ov, struct overlay_file *file, const void *buf, size_t size, off_t offset);
/*
 * Of a mapping: nobody writes, so set-id bits and capabilities stay. -EPERM of a file that is
 * protected, for the kernel lets it be mapped all the same; but where it collects writes they come
 * in this way, too, and were allowed when they were made.
 */
ssize_t overlay_write_back(struct overlay *ov, struct overlay_file *file, const void *buf,
	size_t size, off_t offset, bool is_collected);
/*
 * Of a file that somebody writes, or that an open has cut, for reading alone as well: 1 when it had
 * set-id bits, which are gone now, 0 or -errno.
 */
int overlay_kill_set_id(struct overlay_file *file);
/* The same where overlay_setattr() with OVERLAY_OPENS_UNKNOWN said that this user might do it. */
int overlay_kill_announced(struct overlay_file *file, uint32_t uid);
/*
 * Where the kernel collects writes: why the next one on this file is not to be taken, or 0. It is
 * immutable by now, or what was written before found no room, which is told once.
 */
int overlay_refuse_write(struct overlay *ov, struct overlay_file *file);
/* Whether it would be refused if the node is open for writing. */
bool overlay_refuses_writes(struct overlay *ov, uint64_t node);
/* Somebody has it open for writing, so that there may be more to it than the upper knows. */
bool overlay_file_is_written(const struct overlay_file *file);
int overlay_fsync(struct overlay *ov, struct overlay_file *file, bool data_only);
int overlay_fallocate(
	struct overlay *ov, struct overlay_file *file, int mode, off_t offset, off_t length);
off_t overlay_lseek(struct overlay *ov, struct overlay_file *file, off_t offset, int whence);
ssize_t overlay_copy_file_range(struct overlay *ov, struct overlay_file *in, off_t in_offset,
	struct overlay_file *out, off_t out_offset, size_t size);
/* True where the content can never change again: a lower file of a read-only overlay. */
bool overlay_file_is_immutable(const struct overlay_file *file);
/* True for a blob that has not been copied up: nothing that is stored in it fills a hole. */
bool overlay_file_is_solid(const struct overlay_file *file);

/* --- directories --- */
struct overlay_dirent {
	const char *name; /* "." and ".." come first */
	mode_t type;	  /* S_IFREG, S_IFDIR... */
	uint64_t ino;
	uint64_t next; /* offset behind this entry */
};
/* Non-zero stops before this entry; it is given again for its offset. */
typedef int (*overlay_emit_fn)(void *ctx, const struct overlay_dirent *entry);

/*
 * Nothing is opened: a place in a listing has the same offset for everybody. Offset 0 shows what is
 * there now, with others what was removed or made since somebody began may show or not.
 */
int overlay_readdir(
	struct overlay *ov, uint64_t node, uint64_t offset, overlay_emit_fn emit, void *ctx);
int overlay_fsyncdir(struct overlay *ov, uint64_t node, bool data_only);
