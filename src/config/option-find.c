/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An option by its name, or by what was meant. */
#include "config-internal.h"

#include <stdint.h>
#include <string.h>

static bool option_is_for(const struct config_option *option, enum config_origin origin)
{
	return origin != CONFIG_ORIGIN_ANNOTATION || option->in_annotation;
}

const struct config_option *config_option_find(const char *name, enum config_origin origin)
{
	for (const struct config_option *o = config_options; o->name; o++)
		if (option_is_for(o, origin) && !strcmp(o->name, name))
			return o;
	return NULL;
}

/* The number of bytes to insert, drop or change. Names are short: longer ones are far away. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[32], length = strlen(b);

	if (length >= 31)
		return SIZE_MAX;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (diagonal + 1 < best)
				best = diagonal + 1;
			row[j + 1] = best;
		}
	}
	return row[length];
}

const char *config_option_nearest(const char *name, enum config_origin origin)
{
	const char *nearest = NULL;
	size_t limit = strlen(name) / 3 + 1, best = limit + 1;

	if (strlen(name) > 30)
		return NULL;
	for (const struct config_option *o = config_options; o->name; o++) {
		size_t distance = edit_distance(name, o->name);

		if (option_is_for(o, origin) && distance < best && distance < strlen(o->name)) {
			best = distance;
			nearest = o->name;
		}
	}
	return nearest;
}
