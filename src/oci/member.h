/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members of the objects that a runtime writes, with errors that name them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/json.h>

/*
 * A copy of the string `key` of `object`. Missing (or null): an error when it is
 * `required`, else *ret is NULL.
 */
int oci_take_string(
	const struct json *object, const char *key, bool required, char **ret, struct error *err);

/* An id; `value` NULL: *ret stays. `name` is what an error calls it. */
int oci_take_id(const struct json *value, const char *name, uint32_t *ret, struct error *err);

/* The object `key` of `object`, NULL when missing or null. Another type is an error. */
int oci_take_object(
	const struct json *object, const char *key, const struct json **ret, struct error *err);
