/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/oci.h>

#include <stddef.h>
#include <string.h>

/* Where to go on when what follows a star did not match: the star takes one byte more. */
struct retreat {
	const char *glob; /* behind the star; NULL: none yet */
	const char *text;
};

static bool retreat_one(
	struct retreat *retreat, bool may_cross, const char **glob, const char **text)
{
	if (!retreat->glob || !*retreat->text || (!may_cross && *retreat->text == '/'))
		return false;
	retreat->text++;
	*glob = retreat->glob;
	*text = retreat->text;
	return true;
}

static bool literal_matches(const char **glob, char c)
{
	const char *g = *glob;

	if (*g == '?') {
		if (c == '/')
			return false;
	} else {
		if (*g == '\\' && g[1])
			g++;
		if (*g != c)
			return false;
	}
	*glob = g + 1;
	return true;
}

/*
 * Only the last star of each kind needs remembering: what an earlier one took is the
 * least it can take, and a later star can make up for it.
 */
bool policy_glob_matches(const char *glob, const char *text)
{
	struct retreat within = {NULL, NULL}, across = {NULL, NULL};

	/* No path is longer, and what a glob costs grows with the square of it. */
	if (strnlen(text, POLICY_TEXT_MAX + 1) > POLICY_TEXT_MAX)
		return false;
	for (;;) {
		if (glob[0] == '*' && glob[1] == '*') {
			while (*glob == '*')
				glob++;
			across = (struct retreat){glob, text};
			within.glob = NULL;
			continue;
		}
		if (*glob == '*') {
			within = (struct retreat){++glob, text};
			continue;
		}
		if (!*glob && !*text)
			return true;
		if (*glob && *text && literal_matches(&glob, *text)) {
			text++;
			continue;
		}
		if (retreat_one(&within, false, &glob, &text))
			continue;
		within.glob = NULL;
		if (!retreat_one(&across, true, &glob, &text))
			return false;
	}
}
