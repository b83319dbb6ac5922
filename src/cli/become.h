/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <git-overlayfs/error.h>

/*
 * Makes this process that of `who`, USER[:GROUP] by names or numbers, for good: with the groups
 * of the user, or with the one that is given alone. Nobody but root can become another.
 */
int become(const char *who, struct error *err);
