/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "configure/config-home.h"

#include <stdio.h>
#include <stdlib.h>

bool config_home_find(char *ret_path, size_t size)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	bool has_config = config && *config == '/';
	int n;

	if (!has_config && (!home || *home != '/'))
		return false;
	n = snprintf(
		ret_path, size, "%s%s", has_config ? config : home, has_config ? "" : "/.config");
	return n >= 0 && (size_t)n < size;
}
