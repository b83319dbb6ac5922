/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the configuration files of who runs us are, as the engines find them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* XDG_CONFIG_HOME, or .config in HOME; false where neither is an absolute path. */
bool config_home_find(char *ret_path, size_t size);
