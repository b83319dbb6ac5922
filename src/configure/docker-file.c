/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "docker-file.h"

#include <string.h>

bool docker_file_is_blank(const char *text, size_t size)
{
	return strspn(text, " \t\r\n") == size;
}

int docker_file_parse(const char *text, size_t size, struct json **ret_json, struct error *err)
{
	size_t skip = size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;

	*ret_json = NULL;
	if (docker_file_is_blank(text, size))
		return 0;
	return json_parse(text + skip, size - skip, ret_json, err);
}
