/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-id.h"

#include <stdio.h>

static const struct {
	git_object_t type;
	const char *name;
} type_names[] = {{GIT_OBJECT_COMMIT, "commit"}, {GIT_OBJECT_TREE, "tree"},
	{GIT_OBJECT_BLOB, "blob"}, {GIT_OBJECT_TAG, "tag"}};

void id_to_hex(const git_oid *id, char ret_hex[GIT_OID_HEXSZ + 1])
{
	for (size_t i = 0; i < GIT_OID_RAWSZ; i++)
		sprintf(ret_hex + 2 * i, "%02x", id->id[i]);
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t id_count_digits(const char *text)
{
	size_t n = 0;

	while (digit_value(text[n]) >= 0)
		n++;
	return n;
}

bool id_from_hex(const char *hex, git_oid *ret_id)
{
	git_oid id;

	for (size_t i = 0; i < GIT_OID_RAWSZ; i++) {
		int high = digit_value(hex[2 * i]),
		    low = high < 0 ? -1 : digit_value(hex[2 * i + 1]);

		if (low < 0)
			return false;
		id.id[i] = (unsigned char)(high << 4 | low);
	}
	*ret_id = id;
	return true;
}

const char *object_type_name(git_object_t type)
{
	for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return "";
}

git_object_t object_type_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
		if (strcmp(type_names[i].name, name) == 0)
			return type_names[i].type;
	return GIT_OBJECT_INVALID;
}
