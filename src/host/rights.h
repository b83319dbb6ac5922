/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The capabilities of this process, without a library: what it can do, and giving them up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether it is in the effective set; `capability` is a CAP_ number. */
bool rights_has(int capability);

/* Gives up everything but a mask of (1 << CAP_...), as far as it is there. 0 or -errno. */
int rights_keep_only(uint64_t mask);
