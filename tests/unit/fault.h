/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps that fail on command: every system call on the upper (src/overlay/call.c, built with
 * CALL_GATED), every call of a layer (a layer that wraps another one), every allocation
 * (wrapped by the linker). While a fault is armed they are counted together, from 1, and those
 * from `first` to `last` fail, or end the process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <git-overlayfs/layer.h>

enum fault_source {
	FAULT_CALLS = 1 << 0,
	FAULT_LAYERS = 1 << 1,
	FAULT_MEMORY = 1 << 2,
};

struct fault {
	unsigned sources; /* mask of enum fault_source: which steps count */
	uint64_t first;	  /* 0: they are only counted */
	uint64_t last;
	int error;     /* EIO, not -EIO; an allocation that fails is always ENOMEM */
	bool is_crash; /* the process ends by _exit(FAULT_CRASHED) instead */
};

#define FAULT_CRASHED 99
#define FAULT_FOREVER UINT64_MAX

void fault_arm(const struct fault *fault);
/* Returns how many steps there were. */
uint64_t fault_disarm(void);
/* The step that failed last, "openat" or "layer readdir"; "" when none has. */
const char *fault_step(void);
/* How many have failed. */
unsigned fault_count(void);

/* From now on mknod(2) of the upper is -EPERM, as for a daemon that may not make devices. */
void fault_refuse_devices(bool refuses);

/* Wraps a layer, which goes with it. It is what the layer is, name and all. */
struct layer *fault_layer_new(struct layer *inner);
