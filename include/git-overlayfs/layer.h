/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A layer: one read-only source of a tree, below the upper directory. Kinds are "git" (a commit or
 * tree of a repository), "dir" (a directory) and "mem" (a tree in memory, for tests).
 *
 * A kind is a table of operations, all of them mandatory: layer_register()
 * refuses a table with a hole and names the missing one, because a hole that is
 * found at run time shows up as an error five storeys above its cause.
 *
 * Objects of a layer are named by a layer_node_t that the layer hands out in
 * root and lookup, each time with one reference; forget gives references back.
 * What a node means is the layer's business. A node stays valid, and means the
 * same object, until its last reference is gone.
 *
 * Every operation but open and close may be called from any thread, at the same
 * time. They return 0 or a count, or -errno. -ENOENT from lookup means that the
 * name is not there, and nothing else does: an object that is missing or corrupt
 * is -EIO, and the layer writes one line with its name, operation, path and
 * cause (layer_log_failure).
 *
 * Layers do not change while they are open, except that a lower directory may
 * be changed behind our back; what is seen then is undefined, as in overlayfs,
 * but never unsafe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/idmap.h>

typedef uint64_t layer_node_t;

/* Whose ids getattr_with_mapping reports. Nothing but uid and gid differs. */
enum id_view {
	/* What stat shows in the container: storage ids through the id map. */
	ID_VIEW_CONTAINER,
	/* What copy-up writes, so that the container's view does not change. */
	ID_VIEW_STORAGE,
};

struct layer_ops;

/* The base of every layer, embedded first in the kind's own struct. */
struct layer {
	const struct layer_ops *ops; /* immutable after open, as all members are */
	char *name;		     /* for the log: "git layer 1 (base)" */
	unsigned index;		     /* 0 is the topmost lower */
	const struct idmap *ids;     /* borrowed from the configuration */
	/* May whiteouts and opaque marks stand in it? Not in git: .wh.x is shown as any name. */
	bool has_whiteouts;
	bool has_no_holes; /* files are data from one end to the other, as blobs are */
};

/* What a layer is opened from. Everything is borrowed for the call, but `ids`. */
struct layer_config {
	const char *kind; /* "git", "dir" or "mem" */
	const char *name; /* for messages; NULL: the kind's choice */
	unsigned index;
	const struct idmap *ids; /* must outlive the layer */

	/* dir: the directory, O_PATH will do; the layer keeps a duplicate. */
	int root_fd;

	/*
	 * git: the repository as this process reaches it, which in a jail is not
	 * where the host has it. `git_dir` is a bare repository or a .git
	 * directory; `object_dirs` (NULL-terminated) are its objects directory
	 * and those of all its alternates, already resolved.
	 */
	const char *git_dir;
	const char *const *object_dirs;
	const char *rev;    /* what git rev-parse takes; NULL: HEAD */
	const char *subdir; /* NULL or "": the whole tree */
	uint32_t owner_uid; /* container ids */
	uint32_t owner_gid;
	bool mtime_is_commit; /* else `mtime` */
	int64_t mtime;	      /* seconds since the epoch */
	int scratch_fd;	      /* directory for unlinked temporary files of large blobs */

	/* mem: the tree, see mem-layer.h. Borrowed for the life of the layer. */
	struct mem_tree *mem;
};

/*
 * The content of a regular file. Exactly one of `fd` and `data` is set: a
 * descriptor for pread(2), or `size` bytes in memory. It does not change while
 * it is held, and holding it does not need the node's reference.
 */
struct layer_file {
	int fd;		 /* -1: in memory */
	bool is_lasting; /* who opens it later gets the same, whatever happens to names */
	const void *data;
	uint64_t size;
	void (*release)(struct layer_file *file);
	void *cookie; /* the layer's own */
};

/* What is known of an object without reading it. */
struct layer_identity {
	mode_t type; /* S_IFREG, S_IFDIR... */
	uint64_t ino;
	nlink_t links;
};

struct layer_traits {
	bool has_btime, btime_is_mtime;
	struct timespec btime; /* when it was made */
	uint32_t flags;	       /* FS_IMMUTABLE_FL... of linux/fs.h */
};

/* Returns 0 to go on, non-zero to stop before this entry. */
typedef int (*layer_emit_fn)(void *ctx, const char *name, mode_t type, uint64_t ino, uint64_t next);

/* Shorter ways to what the other operations tell, which are asked where one of these is NULL. */
struct layer_shortcuts {
	/* Of an object whose content is missing, too, where the directory tells. */
	int (*identify)(
		struct layer *layer, layer_node_t node, struct layer_identity *ret_identity);
	/* How many of a directory's entries are directories themselves. -ENOTDIR. */
	int (*count_directories)(struct layer *layer, layer_node_t dir, uint32_t *ret_count);
	/* lookup and, of what it found, getattr_with_mapping for the container. */
	int (*lookup_attributes)(struct layer *layer, layer_node_t parent, const char *name,
		layer_node_t *ret_node, struct stat *ret_st);
	/* The `size` bytes of a file, into an empty one. -EOPNOTSUPP: opening it is as good. */
	int (*write_file)(struct layer *layer, layer_node_t node, uint64_t size, int fd);
};

/* All are mandatory, but the shortcuts. */
struct layer_ops {
	const char *kind;

	/* Takes what `config` names. On failure err says what to do about it. */
	int (*open)(const struct layer_config *config, struct layer **ret_layer, struct error *err);
	/* Nodes need not be forgotten before. Open files stay readable. */
	void (*close)(struct layer *layer);

	/* The root directory, with a reference. Cannot fail. */
	layer_node_t (*root)(struct layer *layer);
	/*
	 * `name` is one component, not "." or "..", any bytes, at most 255. A
	 * new reference on success. -ENOENT; -ENOTDIR when parent is no directory.
	 */
	int (*lookup)(
		struct layer *layer, layer_node_t parent, const char *name, layer_node_t *ret_node);
	/* Drops `count` references. */
	void (*forget)(struct layer *layer, layer_node_t node, uint64_t count);
	/*
	 * Lists a directory without "." and "..": each name once, in an order
	 * that does not change while the layer is open. Starts behind the entry
	 * whose `next` was `offset` (0: at the start), and calls emit until it
	 * returns non-zero or the directory ends. `type` is S_IFREG, S_IFDIR...,
	 * `ino` what getattr would report. Returns 0, also when emit stopped.
	 */
	int (*readdir)(struct layer *layer, layer_node_t dir, uint64_t offset, layer_emit_fn emit,
		void *ctx);

	/*
	 * The one source of metadata: stat and copy-up both ask it. st_ino is
	 * unique among the layer's live objects (hard links share it) and the
	 * same at every open of the same source. st_dev is 0, st_nlink of a
	 * directory is 1: layer_count_directories() tells what is in it.
	 */
	int (*getattr_with_mapping)(
		struct layer *layer, layer_node_t node, enum id_view view, struct stat *ret_st);

	/*
	 * Copies the target of a symlink, without a terminator, as far as it
	 * fits. Returns its whole length. -EINVAL for anything else.
	 */
	ssize_t (*readlink)(struct layer *layer, layer_node_t node, char *buf, size_t size);

	/* Regular files only (-EINVAL, -EISDIR). The caller releases *ret_file. */
	int (*open_file)(struct layer *layer, layer_node_t node, struct layer_file *ret_file);

	/*
	 * As getxattr(2) and listxattr(2): size 0 asks for the length, -ERANGE
	 * when it does not fit, -ENODATA for a name that is not there. Internal
	 * names (overlay marks) are reported too; hiding is the overlay's job.
	 */
	ssize_t (*getxattr)(
		struct layer *layer, layer_node_t node, const char *name, void *buf, size_t size);
	ssize_t (*listxattr)(struct layer *layer, layer_node_t node, char *buf, size_t size);

	int (*statfs)(struct layer *layer, struct statvfs *ret_st);

	struct layer_shortcuts shortcuts;
	/* NULL: made when last modified, no flags. Without `all_flags` only those that protect. */
	int (*get_traits)(struct layer *layer, layer_node_t node, bool all_flags,
		struct layer_traits *ret_traits);
};

/*
 * Makes a kind known. `ops` is borrowed for the life of the process. Fails with
 * -EINVAL and the name of the first missing operation, -EEXIST for a kind that
 * is known, -ENOSPC when the registry is full. Not to be called while another
 * thread opens layers.
 */
int layer_register(const struct layer_ops *ops, struct error *err);

/* Registers the kinds that are built in; may be called again. */
int layer_register_builtin(struct error *err);

/* The caller owns *ret_layer and ends it with layer_close(). */
int layer_open(const struct layer_config *config, struct layer **ret_layer, struct error *err);
void layer_close(struct layer *layer); /* NULL is fine */

/* The operations, each through one traced wrapper that checks its arguments. */
layer_node_t layer_root(struct layer *layer);
int layer_lookup(
	struct layer *layer, layer_node_t parent, const char *name, layer_node_t *ret_node);
int layer_lookup_attributes(struct layer *layer, layer_node_t parent, const char *name,
	layer_node_t *ret_node, struct stat *ret_st);
void layer_forget(struct layer *layer, layer_node_t node, uint64_t count);
int layer_identify(struct layer *layer, layer_node_t node, struct layer_identity *ret_identity);
int layer_count_directories(struct layer *layer, layer_node_t dir, uint32_t *ret_count);
int layer_readdir(
	struct layer *layer, layer_node_t dir, uint64_t offset, layer_emit_fn emit, void *ctx);
int layer_getattr_with_mapping(
	struct layer *layer, layer_node_t node, enum id_view view, struct stat *ret_st);
ssize_t layer_readlink(struct layer *layer, layer_node_t node, char *buf, size_t size);
int layer_open_file(struct layer *layer, layer_node_t node, struct layer_file *ret_file);
int layer_write_file(struct layer *layer, layer_node_t node, uint64_t size, int fd);
ssize_t layer_getxattr(
	struct layer *layer, layer_node_t node, const char *name, void *buf, size_t size);
ssize_t layer_listxattr(struct layer *layer, layer_node_t node, char *buf, size_t size);
int layer_statfs(struct layer *layer, struct statvfs *ret_st);
int layer_get_traits(
	struct layer *layer, layer_node_t node, bool all_flags, struct layer_traits *ret_traits);

/* Reads from an open file wherever it lies. Returns the count, 0 at the end. */
ssize_t layer_file_pread(const struct layer_file *file, void *buf, size_t size, off_t offset);
/* Idempotent. */
void layer_file_release(struct layer_file *file);

/*
 * Fills in uid and gid of an object owned by these storage ids, as `view` wants
 * them: the one place where a layer's ids are translated.
 */
void layer_map_ids(const struct layer *layer, enum id_view view, uint32_t storage_uid,
	uint32_t storage_gid, struct stat *st);

/* One error line: "git layer 1 (base): getattr 'src/x': object 12ab.. missing". */
void layer_log_failure(const struct layer *layer, const char *operation, const char *path,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
