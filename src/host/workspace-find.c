/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workspace-internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/config.h>

#include "mountinfo.h"
#include "util/cleanup.h"

#define LINKS_MAX 40

/*
 * The absolute path of a directory that may be a dead mount: its own root must not be
 * asked, for that fails or hangs. So only what is above it is resolved.
 */
static int resolve_mountpoint(const char *path, char ret[static PATH_MAX])
{
	char current[PATH_MAX], parent[PATH_MAX], link[PATH_MAX];

	if (snprintf(current, sizeof(current), "%s", path) >= (int)sizeof(current))
		return -ENAMETOOLONG;
	for (int i = 0; i < LINKS_MAX; i++) {
		size_t length = strlen(current);
		char *slash;
		ssize_t n;

		while (length > 1 && current[length - 1] == '/')
			current[--length] = '\0';
		slash = strrchr(current, '/');
		if (!strcmp(slash ? slash + 1 : current, "..") ||
			!strcmp(slash ? slash + 1 : current, ".") || !strcmp(current, "/"))
			return realpath(current, ret) ? 0 : -errno;
		if (slash)
			*slash = '\0';
		if (!realpath(!slash ? "." : *current ? current : "/", parent))
			return -errno;
		if (snprintf(ret, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "",
			    slash ? slash + 1 : current) >= PATH_MAX)
			return -ENAMETOOLONG;
		n = readlink(ret, link, sizeof(link) - 1);
		if (n < 0)
			return 0;
		link[n] = '\0';
		if (snprintf(current, sizeof(current), "%s%s%s", *link == '/' ? "" : parent,
			    *link == '/' ? "" : "/", link) >= (int)sizeof(current))
			return -ENAMETOOLONG;
	}
	return -ELOOP;
}

struct search {
	const char *mountpoint;
	char id[WORKSPACE_ID_MAX + 1]; /* of the best so far, "" for none */
	bool alive;
	int64_t created;
	unsigned connection; /* of the mount that stands there; 0: none of ours */
	bool connected;	     /* the best so far is that mount's */
};

/* Of several on one mountpoint the living one, and then the youngest, is on top. */
/* Whether the best so far stays it. */
static bool is_better(const struct search *best, const struct workspace_info *info, bool connected)
{
	if (best->connected != connected)
		return best->connected;
	if (best->alive != info->alive)
		return best->alive;
	return best->created > info->created;
}

static int compare(void *ctx, const struct workspace_info *info)
{
	struct search *search = ctx;
	bool connected;

	/* A container's mountpoint is a path of another world. */
	if (*info->container || strcmp(info->mountpoint, search->mountpoint))
		return 0;
	connected = search->connection && info->connection == search->connection;
	/* Of another mount namespace, or below the one on top. */
	if (search->connection && info->connection && !connected && info->alive)
		return 0;
	if (*search->id && is_better(search, info, connected))
		return 0;
	strcpy(search->id, info->id);
	search->connected = connected;
	search->alive = info->alive;
	search->created = info->created;
	return 0;
}

bool workspace_id_is_of(const char *id, const char *container)
{
	size_t n = strlen(container);

	return strncmp(id, container, n) == 0 && (!id[n] || id[n] == WORKSPACE_ID_SEPARATOR);
}

bool workspace_id_is_valid(const char *id)
{
	const char *separator = strchr(id, WORKSPACE_ID_SEPARATOR);
	char container[WORKSPACE_ID_MAX + 1];
	size_t n;

	if (!separator || strlen(id) > WORKSPACE_ID_MAX)
		return config_id_is_valid(id);
	n = (size_t)(separator - id);
	memcpy(container, id, n);
	container[n] = '\0';
	return config_id_is_valid(container) && config_id_is_valid(separator + 1);
}

/* The minor number of the mount of ours on top at this path, or 0. */
static unsigned connection_at(const char *path)
{
	_cleanup_(mountinfo_release) struct mountinfo mount = {0};

	if (mountinfo_find(path, &mount) < 0 || strcmp(mount.type, MOUNTINFO_OURS))
		return 0;
	return mount.minor;
}

static int read_by_id(const char *id, struct workspace_info *ret_info, struct error *err)
{
	struct workspace ws;
	int r = workspace_open(id, &ws, err);

	if (r < 0)
		return r;
	r = workspace_info_read(ws.run_fd, id, ret_info, err);
	workspace_release(&ws);
	return r;
}

int workspace_find(const char *id_or_mountpoint, struct workspace_info *ret_info, struct error *err)
{
	char path[PATH_MAX];
	struct search search = {.mountpoint = path};
	int r;

	if (workspace_id_is_valid(id_or_mountpoint)) {
		struct error why = {0};

		r = read_by_id(id_or_mountpoint, ret_info, &why);
		if (r < 0 && r != -ENOENT && err)
			*err = why;
		if (r != -ENOENT)
			return r;
	}
	r = resolve_mountpoint(id_or_mountpoint, path);
	if (r == 0) {
		search.connection = connection_at(path);
		r = workspace_for_each(compare, &search, err);
	} else if (r != -ENOENT && r != -ENOTDIR)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "%s", id_or_mountpoint);
	if (*search.id)
		return read_by_id(search.id, ret_info, err);
	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		return r;
	return error_set(err, ENOENT, EXIT_STATUS_FAILED,
		"no workspace is named or mounted at '%s'; git-overlayfs list shows them",
		id_or_mountpoint);
}
