/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/json.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* `skip` bytes of the text at `at` make room for `text`. */
struct change {
	size_t at, skip;
	char *text;
};

struct json_edit {
	const char *text;
	size_t size;
	struct change *changes; /* by `at`, and then in the order in which they came */
	size_t count;
	int error; /* the first, -errno */
};

int json_edit_new(const char *text, size_t size, struct json_edit **ret_edit)
{
	struct json_edit *edit = calloc(1, sizeof(*edit));

	if (!edit)
		return -ENOMEM;
	edit->text = text;
	edit->size = size;
	*ret_edit = edit;
	return 0;
}

/* Takes ownership of `text`, also on failure. */
static void change(struct json_edit *edit, size_t at, size_t skip, char *text)
{
	struct change *changes =
		reallocarray(edit->changes, edit->count + 1, sizeof(*edit->changes));
	size_t place = edit->count;

	if (!text || !changes) {
		edit->error = edit->error ? edit->error : -ENOMEM;
		edit->changes = changes ? changes : edit->changes;
		free(text);
		return;
	}
	for (; place > 0 && changes[place - 1].at > at; place--)
		changes[place] = changes[place - 1];
	changes[place] = (struct change){.at = at, .skip = skip, .text = text};
	edit->changes = changes;
	edit->count++;
}

/* No two containers end at the same place, so what was put there came into this one. */
static bool is_empty(const struct json_edit *edit, const struct json *container, size_t at)
{
	for (size_t i = 0; i < edit->count; i++)
		if (edit->changes[i].at == at && edit->changes[i].skip == 0)
			return false;
	return container->count == 0;
}

/* Behind the last value: the space before the bracket stays where it is. */
static size_t place_of(const struct json *container)
{
	return container->count ? container->values[container->count - 1].end
				: container->begin + 1;
}

static void add(
	struct json_edit *edit, const struct json *container, const char *name, const char *value)
{
	size_t at = place_of(container);
	char *text = NULL;

	if (asprintf(&text, "%s%s%s%s", is_empty(edit, container, at) ? "" : ",", name,
		    name[0] ? ":" : "", value) < 0)
		text = NULL;
	change(edit, at, 0, text);
}

void json_edit_add_member(
	struct json_edit *edit, const struct json *object, const char *key, const char *value)
{
	_cleanup_free_ char *name = NULL;
	int r = json_quote(key, &name);

	if (r < 0)
		edit->error = edit->error ? edit->error : r;
	else
		add(edit, object, name, value);
}

void json_edit_add_item(struct json_edit *edit, const struct json *array, const char *value)
{
	add(edit, array, "", value);
}

void json_edit_replace(struct json_edit *edit, const struct json *old, const char *value)
{
	change(edit, old->begin, old->end - old->begin, strdup(value));
}

static int write_all(const struct json_edit *edit, FILE *out)
{
	size_t done = 0;

	for (size_t i = 0; i < edit->count; i++) {
		const struct change *next = &edit->changes[i];

		if (next->at < done || next->skip > edit->size - next->at)
			return -EINVAL;
		fwrite(edit->text + done, 1, next->at - done, out);
		fputs(next->text, out);
		done = next->at + next->skip;
	}
	fwrite(edit->text + done, 1, edit->size - done, out);
	return ferror(out) ? -ENOMEM : 0;
}

int json_edit_finish(struct json_edit *edit, char **ret_text, size_t *ret_size)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = edit->error ? NULL : open_memstream(&text, &size);
	int r = edit->error;

	if (!r)
		r = out ? write_all(edit, out) : -ENOMEM;
	if (out && fclose(out) != 0 && !r)
		r = -ENOMEM;
	for (size_t i = 0; i < edit->count; i++)
		free(edit->changes[i].text);
	free(edit->changes);
	free(edit);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}
