/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/oci.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <git-overlayfs/config.h>

#include "oci/member.h"

/* The pid that a workspace may be mounted for; 0 where the state has none. */
static int take_pid(struct oci_state *state, struct error *err)
{
	const struct json *pid = json_member(state->json, "pid");

	if (!pid || pid->type == JSON_NULL)
		return 0;
	if (pid->type != JSON_NUMBER || !pid->is_integer || pid->integer < 0 ||
		pid->integer > INT_MAX)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"pid: no integer between 0 and %d", INT_MAX);
	state->pid = (pid_t)pid->integer;
	return 0;
}

static int check_id(const char *id, struct error *err)
{
	if (config_id_is_valid(id))
		return 0;
	return error_set(err, EINVAL, EXIT_STATUS_FAILED,
		"id: '%.40s' is none that can name a directory (letters, digits, _.+-, at most "
		"128 bytes)",
		id);
}

static int take_members(struct oci_state *state, struct error *err)
{
	int r = oci_take_string(state->json, "id", true, &state->id, err);

	if (!r)
		r = check_id(state->id, err);
	if (!r)
		r = oci_take_string(state->json, "status", false, &state->status, err);
	if (!r)
		r = oci_take_string(state->json, "bundle", true, &state->bundle, err);
	if (!r && state->bundle[0] != '/')
		r = error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"bundle: '%.200s' is no absolute path", state->bundle);
	if (!r)
		r = oci_take_string(state->json, "root", false, &state->root, err);
	return r ? r : take_pid(state, err);
}

int oci_state_parse(const char *text, size_t size, struct oci_state *ret_state, struct error *err)
{
	struct oci_state state = {0};
	int r = json_parse(text, size, &state.json, err);

	if (!r && state.json->type != JSON_OBJECT)
		r = error_set(err, EINVAL, EXIT_STATUS_FAILED, "no JSON object");
	if (!r)
		r = take_members(&state, err);
	if (r < 0) {
		oci_state_release(&state);
		return error_prefix(err, "container state");
	}
	*ret_state = state;
	return 0;
}

void oci_state_release(struct oci_state *state)
{
	free(state->id);
	free(state->status);
	free(state->bundle);
	free(state->root);
	json_free(state->json);
	memset(state, 0, sizeof(*state));
}
