/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "describe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

/* "REPO@REV:SUBDIR" of the topmost layer. */
static char *describe_layer(const struct layer_spec *layer)
{
	_cleanup_free_ char *path = realpath(layer->path, NULL);
	char *text;

	if (asprintf(&text, "%s%s%s%s%s", path ? path : layer->path, layer->rev ? "@" : "",
		    layer->rev ? layer->rev : "", layer->subdir ? ":" : "",
		    layer->subdir ? layer->subdir : "") < 0)
		return NULL;
	return text;
}

static char *describe_upper(
	const struct workspace_config *config, const struct workspace *workspace)
{
	char *text;

	if (config->read_only)
		return strdup("");
	if (config->upper)
		return strdup(config->upper);
	return asprintf(&text, "%s/upper", workspace->state_dir ? workspace->state_dir : "") < 0
		       ? NULL
		       : text;
}

/* What was kept once is not thrown away because nobody said so again. */
static bool was_kept(const struct workspace *workspace)
{
	_cleanup_free_ char *mark = NULL;

	return workspace->state_dir && asprintf(&mark, "%s/keep", workspace->state_dir) > 0 &&
	       access(mark, F_OK) == 0;
}

static bool outlives_workspace(
	const struct workspace_config *config, const struct workspace *workspace)
{
	/* An upper that was given is never ours to throw away. */
	if (config->upper || config->keep == CONFIG_KEEP_KEEP)
		return true;
	return config->keep == CONFIG_KEEP_DEFAULT && was_kept(workspace);
}

int describe_workspace(const struct workspace_config *config, const struct workspace *workspace,
	const char *mountpoint, const char *container, struct workspace_info *ret_info,
	struct error *err)
{
	struct workspace_info info = {
		.id = strdup(workspace->id),
		.mountpoint = strdup(mountpoint),
		.source = describe_layer(&config->layers[0]),
		.commit = strdup(""),
		.upper = describe_upper(config, workspace),
		.container = strdup(container),
		.keep = outlives_workspace(config, workspace),
		.created = time(NULL),
		.alive = true,
	};

	if (!info.id || !info.mountpoint || !info.source || !info.commit || !info.upper ||
		!info.container) {
		workspace_info_release(&info);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	*ret_info = info;
	return 0;
}
