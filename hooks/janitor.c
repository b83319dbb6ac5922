/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <string.h>

#include <git-overlayfs/log.h>

/* The records of one container that no supervisor holds any more. */
struct leftovers {
	const char *container;
	char ids[OCI_WORKSPACES_MAX][WORKSPACE_ID_MAX + 1];
	size_t count;
};

/* A hook that was killed at once left a record that says nothing: then by its id. */
static bool belongs_to(const struct workspace_info *info, const char *container)
{
	return info->created ? strcmp(info->container, container) == 0
			     : workspace_id_is_of(info->id, container);
}

static int collect(void *ctx, const struct workspace_info *info)
{
	struct leftovers *leftovers = ctx;

	/* A live supervisor is on its way out by itself: under `crun run` it waits for us. */
	if (info->alive || !belongs_to(info, leftovers->container) ||
		leftovers->count == OCI_WORKSPACES_MAX)
		return 0;
	strncpy(leftovers->ids[leftovers->count++], info->id, WORKSPACE_ID_MAX);
	return 0;
}

/* One that lives again meanwhile is left alone. */
static int remove_dead(const char *id, struct error *err)
{
	int r = workspace_clear(id, err);

	return r == -EBUSY || r == -EADDRINUSE ? 0 : r;
}

void janitor_run(const char *container_id)
{
	struct leftovers leftovers = {.container = container_id};
	struct error err = {0};

	if (workspace_for_each(collect, &leftovers, &err) < 0)
		log_warning("janitor: %s", err.text);
	for (size_t i = 0; i < leftovers.count; i++)
		if (remove_dead(leftovers.ids[i], &err) < 0)
			log_warning("janitor: %s: %s", leftovers.ids[i], err.text);
}
