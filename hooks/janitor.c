/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <string.h>

#include <git-overlayfs/log.h>

/* The records of one container that no supervisor holds any more. */
struct leftovers {
	const char *container;
	char ids[OCI_WORKSPACES_MAX][WORKSPACE_ID_MAX + 1];
	bool keep[OCI_WORKSPACES_MAX];
	size_t count;
};

static int collect(void *ctx, const struct workspace_info *info)
{
	struct leftovers *leftovers = ctx;

	/* A live supervisor is on its way out by itself: under `crun run` it waits for us. */
	if (info->alive || strcmp(info->container, leftovers->container) != 0 ||
		leftovers->count == OCI_WORKSPACES_MAX)
		return 0;
	strncpy(leftovers->ids[leftovers->count], info->id, WORKSPACE_ID_MAX);
	leftovers->keep[leftovers->count++] = info->keep;
	return 0;
}

void janitor_run(const char *container_id)
{
	struct leftovers leftovers = {.container = container_id};
	struct error err = {0};

	if (workspace_for_each(collect, &leftovers, &err) < 0)
		log_warning("janitor: %s", err.text);
	for (size_t i = 0; i < leftovers.count; i++) {
		struct workspace ws;

		if (workspace_open(leftovers.ids[i], &ws, &err) < 0)
			continue;
		if (workspace_remove(&ws, leftovers.keep[i], &err) < 0)
			log_warning("janitor: %s: %s", leftovers.ids[i], err.text);
		workspace_release(&ws);
	}
}
