/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is open of each node where the kernel opens files by itself: its requests name the node and
 * no handle, and no RELEASE comes. A file is opened when a request needs it, for reading or for
 * writing too, and stays open until the kernel forgets the node, others need its place, or nobody
 * asks for anything.
 *
 * Any thread; no lock is held while the overlay is called.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <git-overlayfs/overlay.h>

struct node_files;

/* An open file in use. Its user gives it back, and does not look inside. */
struct node_file {
	struct overlay_file *file;
	void *place; /* NULL: it closes when it is given back */
};

/* `ov` is borrowed, and outlives the files. NULL without memory. */
struct node_files *node_files_new(struct overlay *ov);
/* Closes them all; nobody uses one. */
void node_files_free(struct node_files *files);

/* -errno as overlay_open(): with `writes` a file of a layer is copied up here. */
int node_files_take(
	struct node_files *files, uint64_t node, bool writes, struct node_file *ret_file);
void node_files_give_back(struct node_files *files, struct node_file *file);
/* One that was just made, open for reading and writing. Takes it over. */
void node_files_add(struct node_files *files, uint64_t node, struct overlay_file *file);
/* Closes what nobody uses of the node (0: of all), and what is in use when it is given back. */
void node_files_drop(struct node_files *files, uint64_t node);
/* True: the error was for want of descriptors, and now there may be some. NULL is fine. */
bool node_files_make_room(struct node_files *files, int error);
