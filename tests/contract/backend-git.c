/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fixture as a commit, made by git itself: fast-import takes names of any bytes. */
#include "contract.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git-overlayfs/git-layer.h>

#define COMMIT_TIME "1500000000"
#define EMPTY_TREE  "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

static char top[] = "contract-git-XXXXXX";

/* A path as fast-import quotes it: C-style, octal for what is odd. */
static void put_path(FILE *out, const char *path)
{
	fputc('"', out);
	for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
		if (*p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
			fprintf(out, "\\%03o", *p);
		else
			fputc(*p, out);
	}
	fputs("\"\n", out);
}

static void put_entry(FILE *out, const struct fixture_entry *entry)
{
	char *content;

	if (entry->is_gitlink) {
		fputs("M 160000 1234567812345678123456781234567812345678 ", out);
		put_path(out, entry->path);
		return;
	}
	if (S_ISDIR(entry->mode))
		return; /* made by what is in it; "bare" is added later */
	content = fixture_content(entry);
	fprintf(out, "M %o inline ", S_ISLNK(entry->mode) ? 0120000 : entry->mode);
	put_path(out, entry->path);
	fprintf(out, "data %zu\n", entry->size);
	fwrite(content, 1, entry->size, out);
	fputc('\n', out);
	free(content);
}

static void import(const struct fixture *fixture)
{
	FILE *out = fopen("import", "w");

	assert_non_null(out);
	fputs("commit refs/heads/import\ncommitter T <t@example.org> " COMMIT_TIME
	      " +0000\ndata 1\nx\n",
		out);
	for (size_t i = 0; i < fixture->count - BIG_COUNT; i++)
		put_entry(out, &fixture->entries[i]);
	assert_int_equal(fclose(out), 0);
}

static void list_big(const struct fixture *fixture)
{
	FILE *out = fopen("big", "w");

	assert_non_null(out);
	for (size_t i = fixture->count - BIG_COUNT; i < fixture->count; i++)
		fprintf(out, "%s\n", strrchr(fixture->entries[i].path, '/') + 1);
	assert_int_equal(fclose(out), 0);
}

/*
 * git keeps no empty directories, but its trees can name one. The big directory
 * is made apart, for fast-import takes a time that is quadratic in its entries.
 */
static const char script[] =
	"set -e; export GIT_CONFIG_NOSYSTEM=1 HOME=$PWD;"
	"git init -q --bare repo.git; cd repo.git; git fast-import --quiet <../import;"
	"blob=$(git hash-object -w --stdin </dev/null);"
	"big=$(sed \"s/^/100644 blob $blob\t/\" ../big | git mktree);"
	"tree=$( (git ls-tree -z import;"
	"	printf '040000 tree %s\\tbig\\0' \"$big\";"
	"	printf '040000 tree " EMPTY_TREE "\\tbare\\0') | git mktree -z);"
	"export GIT_AUTHOR_NAME=T GIT_AUTHOR_EMAIL=t GIT_COMMITTER_NAME=T GIT_COMMITTER_EMAIL=t"
	"	GIT_AUTHOR_DATE='" COMMIT_TIME " +0000' GIT_COMMITTER_DATE='" COMMIT_TIME " +0000';"
	"git update-ref refs/heads/main \"$(git commit-tree -m x \"$tree\")\";"
	"git symbolic-ref HEAD refs/heads/main";

static void build(struct backend *self, const struct fixture *fixture)
{
	static char git_dir[64], objects[64];
	static const char *dirs[] = {objects, NULL};
	struct error err = {0};

	assert_int_equal(git_layer_prepare(-1, NULL, &err), 0);
	assert_non_null(mkdtemp(top));
	assert_int_equal(chdir(top), 0);
	import(fixture);
	list_big(fixture);
	assert_int_equal(system(script), 0);
	assert_int_equal(chdir(".."), 0);
	snprintf(git_dir, sizeof(git_dir), "%s/repo.git", top);
	snprintf(objects, sizeof(objects), "%s/repo.git/objects", top);
	self->config.git_dir = git_dir;
	self->config.object_dirs = dirs;
	self->config.scratch_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	self->mtime = atoll(COMMIT_TIME);
}

static void destroy(struct backend *self)
{
	char command[128];

	close(self->config.scratch_fd);
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	assert_int_equal(system(command), 0);
}

struct backend git_backend = {
	.kind = "git",
	.flags = HAS_GITLINK | HAS_OWN_NODES,
	.build = build,
	.destroy = destroy,
	.config = {.kind = "git", .root_fd = -1, .scratch_fd = -1, .mtime_is_commit = true},
};
