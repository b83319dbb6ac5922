/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/member.h"

#include <errno.h>
#include <string.h>

static const struct json *member_or_null(const struct json *object, const char *key)
{
	const struct json *value = json_member(object, key);

	return value && value->type != JSON_NULL ? value : NULL;
}

int oci_take_string(
	const struct json *object, const char *key, bool required, char **ret, struct error *err)
{
	const struct json *value = member_or_null(object, key);

	if (!value && !required) {
		*ret = NULL;
		return 0;
	}
	if (!value)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "%s: missing", key);
	if (value->type != JSON_STRING)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "%s: no string", key);
	*ret = strdup(value->string);
	return *ret ? 0 : error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

int oci_take_id(const struct json *value, const char *name, uint32_t *ret, struct error *err)
{
	if (!value || value->type == JSON_NULL)
		return 0;
	/* 2^32-1 is the "leave it alone" of chown(2), nobody's id. */
	if (value->type != JSON_NUMBER || !value->is_integer || value->integer < 0 ||
		value->integer >= UINT32_MAX)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "%s: no id", name);
	*ret = (uint32_t)value->integer;
	return 0;
}

int oci_take_object(
	const struct json *object, const char *key, const struct json **ret, struct error *err)
{
	const struct json *value = member_or_null(object, key);

	if (value && value->type != JSON_OBJECT)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "%s: no object", key);
	*ret = value;
	return 0;
}
