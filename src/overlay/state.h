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
#define LOWER_PLAIN_MAX 32
struct lower_set {
	uint32_t count;
	/* Which of the first are known to have no marks that make a file something else. */
	uint32_t plain;
	struct lower_ref *refs;
};

struct node;
struct listing;

/* So many directories keep what is still to be read of their listings. */
#define LISTINGS_MAX 16

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
	_Atomic bool is_impure;	   /* holds copied-up objects under new names */
	_Atomic uint64_t heritage; /* see heritage.h; 0: not known */
	_Atomic uint64_t changes;  /* how often its names may have changed; counted under `lock` */
	int64_t subdirs; /* protected by table: directories that it shows; -1: not counted */
	char *redirect;	 /* protected by table: what the layers below know it by, see redirect.h */
	struct listing *listing; /* protected by table: that somebody reads, see readdir.c */
};

/*
 * What a node has that is more than seen: one that is in the upper, or open, has several names or
 * loses one. The others, of lower layers and by far the most, do without it.
 */
struct node_use {
	struct node *key_next; /* protected by table: chain of the inode-number table */
	/*
	 * Hard links of a layer: how many names it has there (0: it is none); and how many of
	 * a file's names no longer show the layer's object, because they are in the upper or gone.
	 */
	uint32_t lower_links; /* immutable, but for what is copied up without a name: 0 then */
	_Atomic uint32_t hidden_links;
	_Atomic int64_t hidden_at;    /* when the last of them went, in nanoseconds; 0: none has */
	_Atomic uint64_t privileges;  /* see privileges.h */
	uint32_t lower_opens;	      /* protected by table: files that were opened on the lower */
	bool lasts_in_fd;	      /* the same: with is_lasting, what a reader gets */
	_Atomic uint32_t write_opens; /* files that are open for writing */
	_Atomic int write_error;      /* -errno of a write back that nobody was told of; 0: none */
	/* Protected by table: mtime as who collects writes knows it, while the file is written. */
	struct timespec kept_mtime;
	bool has_kept_mtime;
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
	/* Protected by table: the descriptor of one who has the upper file open, see
	 * upper_borrow(). */
	int lent_fd;	     /* -1: of nobody */
	uint32_t lent_users; /* who have borrowed it now */
	bool lent_is_left;   /* whose it was has closed the file: the last of these closes it */
	_Atomic bool lost_capability; /* it was taken away just now */
	/* See privileges_announce(). */
	_Atomic bool is_outsider;
	_Atomic uint32_t announced_by; /* 0: nobody */
};

/* A count of the kernel's references that has come so far is no longer right. */
#define NLOOKUP_MAX ((1u << 26) - 1)

/* There are as many as the kernel knows inodes: 64 bytes. */
struct node {
	uint32_t id;   /* immutable */
	uint32_t refs; /* protected by table: ours, among them one for nlookup > 0. 0: dead */
	union {
		uint64_t ino;		/* immutable */
		struct node *dead_next; /* of a dead one: chain of those that die with it */
	};
	struct node_name *names; /* protected by table */
	union {
		struct node_dir *dir;	/* immutable; of a directory */
		struct lower_ref lower; /* immutable; of all else, layer NULL without one */
	};
	struct node_use *_Atomic use; /* NULL: none yet; once there it stays */
	uint32_t generation;	      /* immutable: no other life of the id has it */
	uint32_t name_version;	      /* protected by table: counts changes of `names` */
	/* Protected by table: */
	uint32_t nlookup : 26;	 /* the kernel's references; from NLOOKUP_MAX it stays for ever */
	uint32_t is_copying : 1; /* a copy-up is under way */
	uint32_t is_filling : 1; /* the kernel is given the lower's content */
	uint32_t was_opened : 1; /* on the lower; see file-lower.c */
	uint32_t is_lasting : 1;
	uint32_t is_kept : 1; /* one of `refs` is for the life of the mount */
	uint32_t has_key : 1; /* found by its inode number */

	uint16_t type;		    /* immutable: S_IFREG... */
	_Atomic bool has_upper;	    /* once true it stays so; it has `use` then */
	_Atomic uint8_t protection; /* FS_IMMUTABLE_FL, FS_APPEND_FL, or: */
#define PROTECTION_UNKNOWN 0xff
};

/*
 * Nodes lie in blocks, by their ids. A block is there while one of its nodes is, so that what the
 * kernel forgets takes nothing. Among those with room, and among the empty, each is in a list.
 */
#define BLOCK_NODES 64
struct node_block {
	struct node *nodes;  /* NULL: empty */
	uint64_t used;	     /* a bit for each */
	uint32_t prev, next; /* in its list */
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
	bool may_pass;		     /* its files, past us: see overlay-backing.h */
	bool has_acls;		     /* shown, and so enforced by the kernel */
	uint32_t own_uid, own_gid;   /* what a new object belongs to by itself */
	uint32_t work_uid, work_gid; /* the same in the work directory, as was seen there */
	_Atomic bool cannot_clone;   /* the upper's file system shares no data between files */

	struct quota *quota; /* NULL: the upper may grow as its file system lets it */
	struct fdcache *fds;
	size_t open_max; /* immutable: so many descriptors may files hold */
	/* Immutable: with so many no object may lose its last name, and no directory its name. */
	size_t nameless_max, nameless_dirs_max;
	_Atomic size_t open_count;
	_Atomic size_t freed_count; /* nodes, since memory was given back */
	_Atomic uint64_t temp_counter;
	struct node *root;

	struct mutex rename_lock;
	struct mutex table;
	pthread_cond_t copied; /* with table: a copy-up has ended, or a filling */
	/* All protected by table. */
	struct node_block *blocks; /* index is the id / BLOCK_NODES */
	uint32_t block_count;
	uint32_t with_room, empty; /* the first of each list */
	uint32_t last_generation;
	struct node_name **name_buckets;
	size_t name_bucket_count, name_count;
	struct node **key_buckets;
	size_t key_bucket_count, key_count;
	_Atomic uint64_t whiteout_ino;	       /* of the shared whiteout; 0: not known */
	struct node_dir *listed[LISTINGS_MAX]; /* a ring: those that have a listing */
	size_t listed_next;
};

static inline bool node_is_dir(const struct node *node)
{
	return S_ISDIR(node->type);
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

/* NULL for a node that is only seen. */
static inline struct node_use *node_use(const struct node *node)
{
	return atomic_load_explicit(&node->use, memory_order_acquire);
}

/* A borrowed descriptor, which may be closed meanwhile unless the table is locked; -1 without. */
static inline int node_orphan_fd(const struct node *node)
{
	const struct node_use *use = node_use(node);

	return use ? atomic_load(&use->orphan_fd) : -1;
}

static inline bool node_is_upper(const struct node *node)
{
	return atomic_load_explicit(&node->has_upper, memory_order_acquire);
}
