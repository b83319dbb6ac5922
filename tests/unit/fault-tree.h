/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree that operations are tried on, and its text, so that two states can be compared. */
#pragma once

#include "overlay-fixture.h"

/* How the upper writes whiteouts. */
enum fault_format { FORMAT_NATIVE, FORMAT_AUFS };

/*
 * Two layers and an upper with one of everything, not mounted. What it holds is written in
 * fault-tree.c. All times lie in the past.
 */
void fault_tree_init(struct fixture *fx, enum fault_format format);
/* Mounts it in the format; what is armed applies to other steps. */
void fault_tree_mount(struct fixture *fx, enum fault_format format);

/*
 * One line for each object that the overlay shows: path, type, mode, owner, links, size, inode
 * number (where it comes from below), mtime ("now": since the fixture was made), content and
 * attributes. What goes wrong is written into the text. The caller frees it.
 */
char *fault_tree_text(struct fixture *fx);

/*
 * Whether a tree is the one that was wanted. After a fault the mtime of a directory may be new
 * although nothing changed in it, and with `any_numbers` inode numbers and counts of links do
 * not matter.
 */
bool fault_tree_equal(const char *got, const char *wanted, bool after_fault, bool any_numbers);

/* How many objects are in the work directory. */
unsigned fault_tree_leftovers(const struct fixture *fx);
