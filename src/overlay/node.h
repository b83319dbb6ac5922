/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of nodes: ids, names, inode numbers, references. No I/O in here. */
#pragma once

#include "overlay/state.h"

int nodes_init(struct overlay *ov);
/* All nodes, whoever holds them. */
void nodes_free(struct overlay *ov);

/* What a new node is made of. Takes `lowers` over, also on failure. */
struct node_spec {
	struct node *parent; /* borrowed; NULL only for the root */
	const char *name;
	mode_t type;
	uint64_t ino;
	bool has_upper;
	bool is_impure;
	/* The object has further names: it is found by its inode number. */
	bool is_shared;
	nlink_t lower_links; /* of a lower file */
	struct lower_set lowers;
	char *redirect; /* of a directory; taken over where it is used, then NULL */
	uint64_t id;	/* 0: any that is free */
};

/*
 * Binds a name to a node: the one that has the name already, the one that is known
 * by the inode number of a shared object, or a new one. Returns a reference in
 * *ret_node, or -ENOMEM, or -EEXIST when spec->id is taken.
 */
int node_add(struct overlay *ov, struct node_spec *spec, struct node **ret_node);

/* By id, a new reference; NULL for an id that is not in use. */
struct node *node_get(struct overlay *ov, uint64_t id);
/* By name, a new reference; NULL when the name is not known. */
struct node *node_find(struct overlay *ov, struct node *parent, const char *name);
void node_ref(struct overlay *ov, struct node *node);
void node_put(struct overlay *ov, struct node *node); /* NULL is fine */

/* The mark of an upper directory. Takes the string over. */
void node_set_redirect(struct overlay *ov, struct node *dir, char *redirect);

/*
 * How many directories a directory shows, -1 where nobody has counted. Once told it follows what
 * happens to names; set with the directory held.
 */
int64_t node_subdirs(struct overlay *ov, const struct node *dir);
void node_set_subdirs(struct overlay *ov, struct node *dir, int64_t count);
/* A new directory was made in it. */
void node_add_subdir(struct overlay *ov, struct node *dir);

/* The kernel's references. */
void node_remember(struct overlay *ov, struct node *node, uint64_t count);
/* True when none of them is left. */
bool node_forget(struct overlay *ov, uint64_t id, uint64_t count);
uint64_t node_generation(const struct node *node);

/*
 * Gives it what a node needs (`struct node_use`) before it comes into the upper, is opened or loses
 * a name: afterwards nothing may fail. 0 or -ENOMEM. A node with an upper or several names has it.
 */
int node_prepare(struct node *node);

/*
 * One name of the node, of an upper node one that the upper has (a hard link of a lower
 * layer may be known under further names): a reference to its parent, the name copied
 * out, and the version to compare with after the parent is locked. -ENOENT without one.
 */
struct node_place {
	struct node *parent;
	char name[NAME_MAX + 1];
	uint32_t version;
};

int node_place(struct overlay *ov, struct node *node, struct node_place *ret_place);
bool node_is_placed(struct overlay *ov, struct node *node, const struct node_place *place);

/*
 * A name in the upper for the functions that take one over. It is made before the upper is
 * changed, for afterwards nothing may fail. free() it when it is not used; NULL without memory.
 */
struct node_name *node_new_name(struct node *parent, const char *name);
/* Another name for an upper node. The name must be free. Takes `name` over. */
void node_add_name(struct overlay *ov, struct node *node, struct node_name *name);
/* The upper has this name of a node from now on. */
void node_name_set_upper(struct overlay *ov, struct node *parent, const char *name);
/* Whether the upper has this name of the node: 1, 0, or -ENOENT when it is the node's no longer. */
int node_name_in_upper(
	struct overlay *ov, const struct node *node, struct node *parent, const char *name);
/* Whether the upper has the node under another name than this one. */
bool node_has_other_name(
	struct overlay *ov, struct node *node, struct node *parent, const char *name);
/* One of its names in this directory, held, that the upper has; false without one. */
bool node_name_in(
	struct overlay *ov, struct node *node, const struct node *dir, char name[NAME_MAX + 1]);
/* A name of an upper node that the upper does not have: see node_place(). -ENOENT without one. */
int node_alias(struct overlay *ov, struct node *node, struct node_place *ret_place);
/*
 * One name of the layer's object shows it no longer. A node with further names stays for the life
 * of the mount, or what was hidden would be counted again. The caller holds the node.
 */
void node_hide_link(struct overlay *ov, struct node *node);
/* The node stays for the life of the mount. */
void node_keep_locked(struct overlay *ov, struct node *node) requires_lock(ov->table);
/* The name goes; a node without names is an orphan. */
void node_drop_name(struct overlay *ov, struct node *parent, const char *name);
/* Moves a name in the upper, over whatever had the new one. Takes `new_name` over. */
void node_move_name(
	struct overlay *ov, struct node *parent, const char *name, struct node_name *new_name);
/* Swaps the nodes of two names that are known: these take their places. Takes both over. */
void node_swap_names(struct overlay *ov, struct node_name *a, struct node_name *b);

/* Whether `node` is `ancestor` or lies below it. */
bool node_is_below(struct overlay *ov, struct node *node, struct node *ancestor);

/*
 * A node's orphan_fd or coherent_fd, which count among the descriptors that files may hold.
 * node_take_fd() returns -1 where none is kept.
 */
void node_keep_fd(struct overlay *ov, _Atomic int *slot, int fd);
int node_take_fd(struct overlay *ov, _Atomic int *slot);

void lower_set_release(struct lower_set *set);
