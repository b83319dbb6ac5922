/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/layer.h>

#include <errno.h>
#include <string.h>

#include <git-overlayfs/log.h>

#include "layer/layer-kind.h"

#define KINDS_MAX 8

/* Written before threads start, read-only from then on. */
static struct {
	const struct layer_ops *kinds[KINDS_MAX];
	size_t count;
} registry;

#define OPERATION(name)                                 \
	{                                               \
#name, offsetof(struct layer_ops, name) \
	}

/* Every member of struct layer_ops but `kind` and the shortcuts; the assertion below counts them.
 */
static const struct {
	const char *name;
	size_t offset;
} operations[] = {
	OPERATION(open),
	OPERATION(close),
	OPERATION(root),
	OPERATION(lookup),
	OPERATION(forget),
	OPERATION(readdir),
	OPERATION(getattr_with_mapping),
	OPERATION(readlink),
	OPERATION(open_file),
	OPERATION(getxattr),
	OPERATION(listxattr),
	OPERATION(statfs),
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

_Static_assert(offsetof(struct layer_ops, shortcuts) ==
		       sizeof(char *) + OPERATION_COUNT * sizeof(void (*)(void)),
	"an operation is missing in the table");

static const char *missing_operation(const struct layer_ops *ops)
{
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		void (*fn)(void);

		memcpy(&fn, (const char *)ops + operations[i].offset, sizeof(fn));
		if (!fn)
			return operations[i].name;
	}
	return NULL;
}

static const struct layer_ops *find_kind(const char *kind)
{
	for (size_t i = 0; i < registry.count; i++)
		if (!strcmp(registry.kinds[i]->kind, kind))
			return registry.kinds[i];
	return NULL;
}

int layer_register(const struct layer_ops *ops, struct error *err)
{
	const char *missing = missing_operation(ops);

	if (!ops->kind || !*ops->kind)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "a kind of layer without a name");
	if (missing)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"layer kind '%s': operation '%s' is missing", ops->kind, missing);
	if (find_kind(ops->kind))
		return error_set(err, EEXIST, EXIT_STATUS_FAILED,
			"layer kind '%s' is registered already", ops->kind);
	if (registry.count == KINDS_MAX)
		return error_set(err, ENOSPC, EXIT_STATUS_FAILED,
			"layer kind '%s': no more than %d kinds", ops->kind, KINDS_MAX);
	registry.kinds[registry.count++] = ops;
	return 0;
}

int layer_register_builtin(struct error *err)
{
	static const struct layer_ops *const builtin[] = {
		&mem_layer_ops, &dir_layer_ops, &git_layer_ops};

	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
		int r;

		if (find_kind(builtin[i]->kind) == builtin[i])
			continue;
		r = layer_register(builtin[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int layer_open(const struct layer_config *config, struct layer **ret_layer, struct error *err)
{
	const struct layer_ops *ops = find_kind(config->kind);
	struct layer *layer;
	int r;

	if (!ops)
		return error_set(err, ENOENT, EXIT_STATUS_SOURCE,
			"no such kind of layer: '%s' (there are git and dir)", config->kind);
	r = ops->open(config, &layer, err);
	if (r < 0)
		return r;
	log_debug("%s: open", layer->name);
	*ret_layer = layer;
	return 0;
}
