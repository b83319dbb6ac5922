/* SPDX-License-Identifier: GPL-2.0-or-later */
/* daemon.json, as dockerd reads it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/json.h>

/* dockerd takes a file without anything in it for an empty object. */
bool docker_file_is_blank(const char *text, size_t size);
/* NULL in *ret_json where it is blank; else to be freed. -errno of json_parse(). */
int docker_file_parse(const char *text, size_t size, struct json **ret_json, struct error *err);
