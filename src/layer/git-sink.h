/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an object goes piece by piece, that is too large to be in memory as a whole. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "layer/git-id.h"

/* It is hashed and written while a processor has it near. */
#define OBJECT_PIECE_SIZE (128u << 10)

/* Both return 0, or -errno, which ends it. */
struct object_sink {
	/* What comes now is an object of this size; also once more, where another place has it. */
	int (*begin)(struct object_sink *sink, git_object_t type, uint64_t size);
	int (*take)(struct object_sink *sink, const void *data, size_t size);
};
