/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of src/overlay share: the overlay, its nodes, and the small
 * vocabulary on them.
 *
 * Locks, in the order in which they are taken:
 *   overlay.rename_lock   one rename between two directories at a time, so that no
 *                         directory moves while two of them are being locked
 *   node_dir.lock         the names of one directory in the upper. Shared by those who
 *                         reach an object by its name, exclusive for those who
 *                         change a name. An ancestor before its descendant. Held
 *                         over the system calls on names, never over data.
 *   overlay.table         the tables and all members marked so. Never over I/O. The lock of
 *                         the descriptor cache comes after it.
 * Descriptors of directories are pinned before their locks are taken, because
 * opening one takes its parent's lock.
 */
#pragma once

#include <limits.h>
#include <stdatomic.h>

#include <git-overlayfs/overlay.h>

#include "util/fdcache.h"
#include "util/lock.h"

#define WHITEOUT_PREFIX	    ".wh."
#define WHITEOUT_PREFIX_LEN 4
#define WHITEOUT_OPAQUE	    ".wh..wh..opq"

/* An object in one of the lower layers, with one reference of that layer. */
struct lower_ref {
	struct layer *layer;
	layer_node_t node;
};

/* The same name in several layers, topmost first. */
struct lower_set {
	size_t count;
	struct lower_ref *refs;
};

struct node;

/* One name of a node. A directory has one, a file with hard links several. */
struct node_name {
	struct node_name *hash_next; /* protected by table */
	struct node_name *node_next; /* protected by table */
	struct node *parent;	     /* a reference; immutable, a rename makes a new name */
	struct node *node;	     /* immutable */
	bool in_upper;		     /* protected by table: the upper has this name */
	char name[];		     /* immutable */
};

/* What only directories have. */
struct node_dir {
	struct rwlock lock;
	struct fdcache_entry upper_fd;
	struct lower_set lowers; /* immutable after lookup */
	/* The upper's is opaque by now, or gone: nothing shows from below any more. */
	_Atomic bool is_cleared;
	_Atomic bool is_impure;	  /* holds copied-up objects under new names */
	_Atomic uint64_t changes; /* how often its names may have changed; counted under `lock` */
	int64_t subdirs; /* protected by table: directories that it shows; -1: not counted */
	char *redirect;	 /* protected by table: what the layers below know it by, see redirect.h */
};

struct node {
	uint64_t id;		 /* immutable */
	uint64_t ino;		 /* immutable */
	uint64_t nlookup;	 /* protected by table: the kernel's references */
	uint64_t refs;		 /* protected by table: ours, among them one for nlookup > 0 */
	struct node *key_next;	 /* protected by table: chain of the inode-number table */
	struct node_name *names; /* protected by table */
	struct node_dir *dir;	 /* immutable; NULL: no directory */
	struct lower_ref lower;	 /* immutable; a file's own lower, layer NULL without one */
	uint32_t name_version;	 /* protected by table: counts changes of `names` */
	uint32_t lower_opens;	 /* protected by table: files that were opened on `lower` */
	/*
	 * Hard links of a layer: how many names it has there (0: it is none); and how many of
	 * a file's names no longer show the layer's object, because they are in the upper or gone.
	 */
	uint32_t lower_links; /* immutable, but for what is copied up without a name: 0 then */
	_Atomic uint32_t hidden_links;
	_Atomic int64_t hidden_at; /* when the last of them went, in nanoseconds; 0: none has */
	mode_t type;		   /* immutable: S_IFREG... */
	_Atomic bool has_upper;	   /* once true it stays so */
	_Atomic int protection;	   /* FS_IMMUTABLE_FL, FS_APPEND_FL; -1: not known yet */
	bool is_copying;	   /* protected by table: a copy-up is under way */
	bool is_kept; /* protected by table: one of `refs` is for the life of the mount */
	bool has_key; /* protected by table: found by its inode number */
	/*
	 * O_PATH descriptor of an upper object without a name (unlinked while in
	 * use, or made without one), -1 otherwise. Set under table; then constant, but for a
	 * file that gets a name: it is used under table.
	 */
	_Atomic int orphan_fd;
	/*
	 * The upper file of a node that had files open on its lower when it was
	 * copied up: they read from it from then on. Closed with the last of them.
	 */
	_Atomic int coherent_fd;
};

struct node_slot {
	struct node *node;   /* NULL: free */
	uint64_t generation; /* counts the lives of this id */
	uint64_t next_free;
};

struct overlay {
	/* Immutable after overlay_new(). */
	struct layer **layers;
	size_t layer_count;
	const struct idmap *ids;
	int upper_fd;		  /* -1: read-only */
	int work_fd;		  /* "work" below the work directory */
	const char *xattr_prefix; /* of the marks that are written */
	bool aufs_whiteouts;
	bool writes_aufs; /* device nodes cannot be made here */
	bool is_volatile;
	bool static_nlink;	 /* directories have a link count of 1 */
	bool upper_counts_links; /* st_nlink of its directories tells what is in them */
	enum overlay_redirect redirect_dir;
	bool has_acls;		   /* shown, and so enforced by the kernel */
	uint32_t own_uid, own_gid; /* what a new object belongs to by itself */

	struct quota *quota; /* NULL: the upper may grow as its file system lets it */
	struct fdcache *fds;
	size_t open_max; /* immutable: so many descriptors may files hold */
	_Atomic size_t open_count;
	_Atomic size_t freed_count; /* nodes, since memory was given back */
	_Atomic uint64_t temp_counter;
	struct node *root;

	struct mutex rename_lock;
	struct mutex table;
	pthread_cond_t copied; /* with table: a copy-up has ended */
	/* All protected by table. */
	struct node_slot *slots; /* index is the id */
	uint64_t slot_count, slot_free;
	struct node_name **name_buckets;
	size_t name_bucket_count, name_count;
	struct node **key_buckets;
	size_t key_bucket_count, key_count;
};

static inline bool node_is_dir(const struct node *node)
{
	return node->dir != NULL;
}

static inline void node_set_cleared(struct node *node)
{
	if (node_is_dir(node))
		atomic_store(&node->dir->is_cleared, true);
}

/* The directories of layers that take part in a directory. */
static inline const struct lower_set *node_lowers(const struct node *dir)
{
	static const struct lower_set none;

	return atomic_load(&dir->dir->is_cleared) ? &none : &dir->dir->lowers;
}

static inline bool node_is_upper(const struct node *node)
{
	return atomic_load_explicit(&node->has_upper, memory_order_acquire);
}
