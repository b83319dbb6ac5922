/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that containerd reads: its config.toml, and what that imports. An import of an import
 * is not followed.
 */
#pragma once

#include <stddef.h>

#include <git-overlayfs/error.h>

#define CONTAINERD_CONFIG      "containerd/config.toml"
#define CONTAINERD_IMPORTS_MAX 16
#define CONTAINERD_VERSIONS    4

/* What the CRI plugin is called in each version of the file; 0 and 1 are the same. */
extern const char *const containerd_plugins[CONTAINERD_VERSIONS];

/* 1: the text has a section of the CRI plugin, under any of its names; 0; -EINVAL. */
int containerd_names_plugin(const char *text, size_t size, struct error *err);

/* All zero at first. */
struct containerd_imports {
	char *patterns[CONTAINERD_IMPORTS_MAX]; /* absolute */
	size_t count;
};

/* What the file imports. A failure names the path. */
int containerd_imports_read(struct containerd_imports *imports, const char *path, const char *text,
	size_t size, struct error *err);
void containerd_imports_release(struct containerd_imports *imports);

/*
 * Calls fn for each of those files, in the order in which containerd reads them, until one call
 * fails. The section of a plugin that a later one has replaces the earlier ones whole.
 */
typedef int (*containerd_file_fn)(
	void *ctx, const char *path, const char *text, size_t size, struct error *err);
int containerd_imports_each(const struct containerd_imports *imports, int root_fd,
	containerd_file_fn fn, void *ctx, struct error *err);
