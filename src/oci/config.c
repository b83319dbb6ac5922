/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/oci.h>

#include <errno.h>
#include <string.h>

#include "oci/member.h"

static int take_user(struct oci_config *config, struct error *err)
{
	const struct json *process, *user;
	int r = oci_take_object(config->json, "process", &process, err);

	if (r < 0)
		return r;
	r = oci_take_object(process, "user", &user, err);
	if (r < 0)
		return error_prefix(err, "process");
	r = oci_take_id(json_member(user, "uid"), "process.user.uid", &config->uid, err);
	if (r < 0)
		return r;
	return oci_take_id(json_member(user, "gid"), "process.user.gid", &config->gid, err);
}

static int take_root(struct oci_config *config, struct error *err)
{
	const struct json *root;
	int r = oci_take_object(config->json, "root", &root, err);

	if (r < 0)
		return r;
	if (!root)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "root: missing");
	r = oci_take_string(root, "path", true, &config->root_path, err);
	if (r < 0)
		return error_prefix(err, "root");
	if (!config->root_path[0])
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "root.path: empty");
	return 0;
}

int oci_config_parse(
	const char *text, size_t size, struct oci_config *ret_config, struct error *err)
{
	struct oci_config config = {0};
	int r = json_parse(text, size, &config.json, err);

	if (!r && config.json->type != JSON_OBJECT)
		r = error_set(err, EINVAL, EXIT_STATUS_FAILED, "no JSON object");
	if (!r)
		r = take_root(&config, err);
	if (!r)
		r = take_user(&config, err);
	if (r < 0) {
		oci_config_release(&config);
		return error_prefix(err, "config.json");
	}
	*ret_config = config;
	return 0;
}

void oci_config_release(struct oci_config *config)
{
	free(config->root_path);
	json_free(config->json);
	memset(config, 0, sizeof(*config));
}
