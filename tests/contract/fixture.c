/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one table of what every layer shows in these tests. */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LARGE_SIZE (5 * 1024 * 1024 + 13)

static char name_255[] = "names/"
			 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
			 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
			 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
			 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";

#define DIRECTORY(p)                                                         \
	{                                                                    \
		.path = (p), .mode = S_IFDIR | 0755, .uid = 1000, .gid = 100 \
	}
#define TEXT(p, m, t)                                                                  \
	{                                                                              \
		.path = (p), .mode = S_IFREG | (m), .data = (t), .size = sizeof(t) - 1 \
	}
#define SYMLINK(p, t)                                                                   \
	{                                                                               \
		.path = (p), .mode = S_IFLNK | 0777, .data = (t), .size = sizeof(t) - 1 \
	}
#define ODD_MODE(p, mode_)                                                   \
	{                                                                    \
		.path = (p), .mode = (mode_), .data = "", .needs = HAS_MODES \
	}

static const struct fixture_entry common[] = {
	TEXT("hello", 0644, "hello, world\n"),
	TEXT("script", 0755, "#!/bin/sh\nexit 0\n"),
	TEXT("empty", 0644, ""),
	TEXT("zeros", 0644, "a\0b\0"),
	{.path = "large", .mode = S_IFREG | 0644, .size = LARGE_SIZE},
	/* On both sides of where a layer may change from memory to files. */
	{.path = "mib", .mode = S_IFREG | 0644, .size = 1024 * 1024},
	{.path = "mib1", .mode = S_IFREG | 0644, .size = 1024 * 1024 + 1},
	SYMLINK("link", "hello"),
	SYMLINK("dangling", "/no/such/\xff/thing"),
	{.path = "longlink", .mode = S_IFLNK | 0777, .size = 4000},
	DIRECTORY("sub"),
	DIRECTORY("sub/deep"),
	DIRECTORY("sub/deep/er"),
	TEXT("sub/deep/er/file", 0644, "deep"),
	/* The same content, and the same names, elsewhere: still objects of their own. */
	TEXT("sub/hello", 0644, "hello, world\n"),
	DIRECTORY("twin"),
	DIRECTORY("twin/deep"),
	DIRECTORY("twin/deep/er"),
	TEXT("twin/deep/er/file", 0644, "deep"),
	DIRECTORY("names"),
	TEXT("names/new\nline", 0644, "1"),
	TEXT("names/\xff\xfe", 0644, "2"),
	TEXT("names/-rf", 0644, "3"),
	TEXT("names/ ", 0644, "4"),
	TEXT("names/...", 0644, "5"),
	TEXT("names/a\\b", 0644, "6"),
	TEXT("names/\x01\x7f", 0644, "7"),
	TEXT("names/.wh.x", 0644, "8"),
	{.path = name_255, .mode = S_IFREG | 0644, .data = "9", .size = 1},
	/* git sorts a directory as if its name ended in '/'. */
	DIRECTORY("sort"),
	DIRECTORY("sort/foo"),
	TEXT("sort/foo/x", 0644, "x"),
	TEXT("sort/foo-bar", 0644, "a"),
	TEXT("sort/foo.c", 0644, "b"),
	TEXT("sort/foo0", 0644, "c"),
	DIRECTORY("sort/foo.d"),
	TEXT("sort/foo.d/y", 0644, "y"),
	TEXT("sort/fo", 0644, "d"),
	DIRECTORY("bare"),
	ODD_MODE("private", S_IFREG | 0600),
	ODD_MODE("suid", S_IFREG | 04711),
	{.path = "sticky", .mode = S_IFDIR | 01777, .needs = HAS_MODES},
	{.path = "owned",
		.mode = S_IFREG | 0644,
		.data = "",
		.needs = HAS_OWNERS,
		.uid = 70000,
		.gid = 70001},
	{.path = "fifo", .mode = S_IFIFO | 0644, .needs = HAS_SPECIAL},
	{.path = "one", .mode = S_IFREG | 0644, .data = "linked", .size = 6, .needs = HAS_LINKS},
	{.path = "sub/two",
		.mode = S_IFREG | 0644,
		.data = "linked",
		.size = 6,
		.needs = HAS_LINKS,
		.link_to = "one"},
	{.path = "submodule", .mode = S_IFDIR | 0755, .needs = HAS_GITLINK, .is_gitlink = true},
	DIRECTORY("big"),
};

const char fixture_xattr_path[] = "hello";
const struct fixture_xattr fixture_xattrs[] = {
	{"user.colour", "blue", 4},
	{"user.binary", "\0\xff\n", 3},
	{"user.empty", "", 0},
};
const size_t fixture_xattr_count = sizeof(fixture_xattrs) / sizeof(fixture_xattrs[0]);

struct fixture fixture_new(unsigned flags)
{
	const size_t common_count = sizeof(common) / sizeof(common[0]);
	struct fixture fixture = {
		.entries = calloc(common_count + BIG_COUNT, sizeof(*fixture.entries))};

	assert_non_null(fixture.entries);
	for (size_t i = 0; i < common_count; i++)
		if ((common[i].needs & flags) == common[i].needs)
			fixture.entries[fixture.count++] = common[i];
	for (int i = 0; i < BIG_COUNT; i++) {
		char *path;

		assert_true(asprintf(&path, "big/file-%05d", i) > 0);
		fixture.entries[fixture.count++] =
			(struct fixture_entry){.path = path, .mode = S_IFREG | 0644, .data = ""};
	}
	return fixture;
}

void fixture_free(struct fixture *fixture)
{
	for (size_t i = fixture->count - BIG_COUNT; i < fixture->count; i++)
		free((char *)(uintptr_t)fixture->entries[i].path);
	free(fixture->entries);
}

/* No period that divides a power of two, so that a shifted page shows. */
char pattern_byte(uint64_t offset)
{
	return (char)('!' + (offset * 7 + offset / 251) % 93);
}

char *fixture_content(const struct fixture_entry *entry)
{
	char *content = malloc(entry->size + 1);

	assert_non_null(content);
	for (size_t i = 0; i < entry->size; i++)
		content[i] = entry->data ? entry->data[i] : pattern_byte(i);
	content[entry->size] = '\0';
	return content;
}

int64_t fixture_mtime(const struct fixture_entry *entry)
{
	return 1000000000 + (int64_t)strlen(entry->path) * 1000;
}

bool fixture_is_child(const char *dir, const char *path)
{
	size_t length = strlen(dir);

	if (length) {
		if (strncmp(path, dir, length) != 0 || path[length] != '/')
			return false;
		path += length + 1;
	}
	return !strchr(path, '/');
}
