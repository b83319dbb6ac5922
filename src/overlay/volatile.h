/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "overlay/state.h"

/* Refuses a work directory that a crash of a volatile mount left. `tolerates`: warns only. */
int volatile_check(int work_fd, bool tolerates, struct error *err);
