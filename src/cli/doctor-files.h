/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of the machine that the doctor reads, as engines read them. Tests make the faults of a
 * machine below a directory that the environment names, GIT_OVERLAYFS_DOCTOR_ROOT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>

#include "doctor.h"

/* An absolute path of the machine, below that directory; valid until the next call. */
const char *doctor_path(const char *path);
bool doctor_exists(const char *path);
/* Whether it stands in one of the usual directories of programs. */
bool doctor_has_program(const char *name);

/* A regular file of at most 1 MiB, for the caller to free; NULL: none that can be read. */
char *doctor_read(const char *path);
/* The number in a file of /proc/sys or /sys; `otherwise` when there is none. */
long doctor_read_number(const char *path, long otherwise);

/* Calls `each` with the path of each entry that ends in `suffix`, in order of names. */
void doctor_each_file(const char *directory, const char *suffix,
	void (*each)(void *ctx, const char *path), void *ctx);

/*
 * Calls `each` for each `key = value` of a TOML text, and with key "" where a section begins; the
 * value is as it is written (toml_each_string()). At what is no TOML it ends: -EINVAL, and err has
 * the line.
 */
typedef void (*doctor_setting_fn)(
	void *ctx, const char *section, const char *key, const char *value, size_t size);
int doctor_each_setting(const char *text, doctor_setting_fn each, void *ctx, struct error *err);

/* Fills in what was found; the probes' only way to say it. */
void finding_set(struct finding *finding, enum finding_state state, const char *remedy,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* `what`, which may be "", and the error's text; its remedy, where it has one behind "; ", or else
 * `remedy`. */
void finding_set_error(struct finding *finding, enum finding_state state, const char *remedy,
	const char *what, const struct error *err);
