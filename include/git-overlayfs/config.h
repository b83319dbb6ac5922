/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a workspace is to be: the options of -o, of the annotations and of the
 * hook's --mount, parsed by one table. Parsing touches no file.
 *
 * The table (config_options) drives the parser, --help, the shell completions
 * and the test that holds the manual page against it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/idmap.h>

#define CONFIG_LAYERS_MAX 500

/* One lower layer, topmost first. All strings are owned by the configuration. */
struct layer_spec {
	char *kind;   /* "git" or "dir" */
	char *path;   /* the repository or directory, as it was given */
	char *rev;    /* git: NULL: HEAD */
	char *subdir; /* git: NULL: the whole tree */
};

enum config_keep {
	CONFIG_KEEP_DEFAULT, /* discard an ephemeral upper, keep one that was given */
	CONFIG_KEEP_DISCARD,
	CONFIG_KEEP_KEEP,
};

/* Whether a directory that lower layers have can be renamed, as the kernel's overlayfs says it. */
enum config_redirect {
	CONFIG_REDIRECT_DEFAULT, /* on, but follow in fuse-overlayfs's calling convention */
	CONFIG_REDIRECT_ON,
	CONFIG_REDIRECT_FOLLOW, /* EXDEV; what is redirected already is followed */
	CONFIG_REDIRECT_NOFOLLOW,
};

struct workspace_config {
	struct layer_spec *layers;
	size_t layer_count;
	bool has_main_layer; /* layers[0] is what repo=, rev=, subdir= and a bare REPO name */
	char *upper;	     /* NULL: ephemeral, or none when `read_only` */
	char *work;
	char *target; /* the mountpoint; in an annotation a path in the container */
	char *id;     /* NULL: one is chosen */

	bool owner_is_set;
	uint32_t owner_uid, owner_gid; /* container ids */
	bool mtime_is_commit;
	int64_t mtime;
	enum config_keep keep;
	struct idmap ids;

	bool read_only;
	bool is_volatile;
	bool static_nlink;
	uint64_t max_size, max_inodes; /* bounds of the upper; 0: none */
	/* Where it can work; else the other way is taken without a word. */
	bool passthrough;  /* the kernel reads and writes files of the upper itself */
	bool writeback;	   /* it collects writes before the daemon gets them */
	bool kernel_opens; /* it opens files without a word to the daemon, which costs nothing */
	enum config_redirect redirect_dir;
	bool no_acls;
	bool aufs_whiteouts; /* set by the lowerdir= calling convention */
	/* Mount flags: -1 not said, 0 off, 1 on. */
	int suid, dev, exec;
	char *seccomp; /* "kill" (default), "trap", "log" or "off" */
	char *fsname;  /* the source that /proc/mounts shows */
};

/* Where the text comes from: decides which options are known, and how strict. */
enum config_origin {
	CONFIG_ORIGIN_COMMAND,	  /* -o of mount and mount(8): unknown is an error */
	CONFIG_ORIGIN_FUSE,	  /* fuse-overlayfs's convention: unknown is a warning */
	CONFIG_ORIGIN_ANNOTATION, /* an annotation or --mount: only the options meant for it */
};

struct config_option {
	const char *name;     /* "upperdir" */
	const char *argument; /* "DIR"; NULL: takes none */
	const char *help;     /* one line, no full stop */
	bool in_annotation;   /* may stand in an annotation */
	int (*set)(struct workspace_config *config, const char *value, struct error *err);
};

/* The table, ended by a NULL name, in the order in which --help shows it. */
extern const struct config_option config_options[];

void config_init(struct workspace_config *config);
void config_release(struct workspace_config *config); /* idempotent */

/*
 * Parses a list `name[=value],...`. Commas and backslashes in values are escaped
 * by a backslash; a value in double quotes may hold commas; empty items are
 * skipped. With CONFIG_ORIGIN_ANNOTATION a first item without a known name is
 * REPO[@REV][:SUBDIR]. Later options win over earlier ones, but layer= adds.
 */
int config_parse_options(struct workspace_config *config, const char *text,
	enum config_origin origin, struct error *err);

/*
 * Names the topmost layer, REPO[@REV][:SUBDIR]; what was said by repo=, rev= or
 * subdir= before stays where the text does not say otherwise. The first '@' that no backslash
 * escapes ends the path, the first ':' behind it (or, without '@', the first ':') the revision.
 */
int config_add_git_layer(struct workspace_config *config, const char *spec, struct error *err);

/* Checks what belongs together (workdir with upperdir, at least one layer...). */
int config_validate(const struct workspace_config *config, struct error *err);

/* Digits, with K, M, G or T (powers of 1024) behind them. -EINVAL. */
int config_parse_amount(const char *text, uint64_t *ret_amount);

/* An id that may name a directory: [A-Za-z0-9_][A-Za-z0-9_.+-]*, at most 128 bytes. */
bool config_id_is_valid(const char *id);
