/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands under a name, in the upper and below it. */
#pragma once

#include "overlay/upper.h"

enum upper_state {
	UPPER_NONE,
	UPPER_WHITEOUT, /* native or xattr form: an object stands there */
	UPPER_OBJECT,
};

struct probe {
	enum upper_state upper;
	struct stat upper_st; /* of what stands there, storage ids */
	bool is_hidden_below; /* a .wh.NAME stands beside it */
	bool is_opaque;
	bool has_redirect;
	bool is_device; /* a file that stands for one */
	bool is_impure;
	uint64_t origin_ino;  /* 0: none is marked */
	bool may_have_origin; /* what it covers tells the number: it carries no mark */
};

/* What the upper has under a name. The directory is held. */
int probe_upper(
	struct overlay *ov, const struct dir_hold *hold, const char *name, struct probe *ret_probe);

/* A reference to the node of a name; it is looked up where it is not known. -ENOENT. */
int lookup_node(struct overlay *ov, struct node *dir, const char *name, struct node **ret_node);
/* The same; a node that was not known gets this id. */
int lookup_node_as(struct overlay *ov, struct node *dir, const char *name, uint64_t id,
	struct node **ret_node);
/* 0, or -ENOENT, -EINVAL, -ENAMETOOLONG for a name that cannot be or is reserved. */
int check_name(const struct overlay *ov, const char *name);

/* Makes a reply: a reference for the kernel, and the attributes. */
int fill_entry(struct overlay *ov, struct node *node, struct overlay_entry *ret_entry);
/* The same for an upper object whose attributes (storage ids) were just read. */
void fill_entry_from(struct overlay *ov, struct node *node, const struct stat *st,
	struct overlay_entry *ret_entry);
/* The attributes of a node, container ids. */
int node_attributes(struct overlay *ov, struct node *node, struct stat *ret_st);
/* Turns storage ids of an upper object into what the container sees. */
void attributes_from_upper(struct overlay *ov, const struct node *node, struct stat *st);
