/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding a repository: every shape of one, alternates, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/source.h>

#include "host/source-read.h"

static char top[PATH_MAX];

static char *at(const char *name)
{
	static char paths[4][PATH_MAX];
	static int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", top, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void make_dirs(const char *name)
{
	char path[PATH_MAX];

	strcpy(path, at(name));
	for (char *p = path + strlen(top) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	mkdir(path, 0755);
}

static void put_in(const char *dir, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	put(path, text);
}

static void make_repository(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/objects/info", name);
	make_dirs(path);
	snprintf(path, sizeof(path), "%s/refs", name);
	make_dirs(path);
	put_in(name, "HEAD", "ref: refs/heads/main\n");
	put_in(name, "config", "[core]\n\trepositoryformatversion = 0\n\tbare = true\n");
}

static int setup(void **state)
{
	strcpy(top, "/tmp/unit-source.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	make_repository("bare.git");
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int open_kind(const char *kind, const char *name, struct source *ret, struct error *err)
{
	struct layer_spec spec = {.kind = (char *)kind, .path = at(name)};

	return source_open(&spec, ret, err);
}

/* Opens, and compares where the source was found with what is expected. */
static void expect(const char *name, const char *dir, const char *git_dir)
{
	struct source source;
	struct error err = {0};
	struct stat st;

	if (open_kind("git", name, &source, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	assert_string_equal(source.dir.path, at(dir));
	assert_string_equal(source.git_dir, git_dir);
	assert_int_equal(stat(at(dir), &st), 0);
	assert_int_equal(source.dir.uid, st.st_uid);
	assert_int_equal(source.dir.gid, st.st_gid);
	assert_true(fcntl(source.dir.fd, F_GETFL) & O_PATH);
	assert_int_equal(fcntl(source.dir.fd, F_GETFD), FD_CLOEXEC);
	source_release(&source);
	source_release(&source);
}

static void refuse(const char *name, int code, const char *words)
{
	struct source source;
	struct error err = {0};
	int r = open_kind("git", name, &source, &err);

	if (r != -code)
		fail_msg("%s: %d, not %d (%s)", name, r, -code, err.text);
	if (!strstr(err.text, words))
		fail_msg("%s: '%s' does not say '%s'", name, err.text, words);
	assert_int_equal(err.status, EXIT_STATUS_SOURCE);
}

static void shapes_of_a_repository(void **state)
{
	expect("bare.git", "bare.git", "");
	expect("bare.git/", "bare.git", "");

	make_repository("tree/.git");
	expect("tree", "tree/.git", "");
	expect("tree/.git", "tree/.git", "");

	make_dirs("tree/.git/worktrees/two");
	put("tree/.git/worktrees/two/HEAD", "ref: refs/heads/two\n");
	put("tree/.git/worktrees/two/commondir", "../..\n");
	make_dirs("two");
	put("two/.git", "gitdir: ../tree/.git/worktrees/two\n");
	expect("two", "tree/.git", "worktrees/two");
	expect("two/.git", "tree/.git", "worktrees/two");
	expect("tree/.git/worktrees/two", "tree/.git", "worktrees/two");

	make_repository("tree/.git/modules/sub");
	make_dirs("tree/sub");
	put("tree/sub/.git", "gitdir: ../.git/modules/sub");
	expect("tree/sub", "tree/.git/modules/sub", "");

	assert_int_equal(symlink("bare.git", at("link")), 0);
	expect("link", "bare.git", "");
}

static void absolute_gitdir(void **state)
{
	char line[PATH_MAX + 16];

	make_dirs("away");
	snprintf(line, sizeof(line), "gitdir: %s\n", at("bare.git"));
	put("away/.git", line);
	expect("away", "bare.git", "");
}

static void not_a_repository(void **state)
{
	refuse("missing", ENOENT, "no such repository");
	make_dirs("empty");
	refuse("empty", ENOENT, "has no HEAD");
	make_dirs("head-only");
	put("head-only/HEAD", "ref: x\n");
	refuse("head-only", ENOENT, "has no objects directory");
	make_dirs("head-only/objects");
	refuse("head-only", ENOENT, "has no refs directory");
	put("head-only/refs", "");
	refuse("head-only", ENOTDIR, "refs' is not a directory");
	put("text", "hello\n");
	refuse("text", EBADMSG, "gitdir: PATH");
	make_dirs("fifo");
	assert_int_equal(mkfifo(at("fifo/.git"), 0600), 0);
	refuse("fifo", EBADMSG, "gitdir: PATH");
	make_dirs("lost");
	put("lost/.git", "gitdir: ../nowhere\n");
	refuse("lost", ENOENT, "lost/.git': the git directory that it leads to");
	put("lost/.git", "gitdir: a\ngitdir: b\n");
	refuse("lost", EBADMSG, "gitdir: PATH");
}

static void large_files_are_refused(void **state)
{
	static char text[SOURCE_TEXT_MAX + 100];

	memset(text, '#', sizeof(text) - 1);
	make_dirs("large");
	put("large/.git", text);
	refuse("large", EBADMSG, "gitdir: PATH");
	make_repository("fat");
	put("fat/objects/info/alternates", text);
	refuse("fat", EFBIG, "alternates");
	make_repository("wide");
	put("wide/config", text);
	refuse("wide", EFBIG, "config");
}

static void worktree_outside_its_common_directory(void **state)
{
	make_dirs("elsewhere");
	put("elsewhere/HEAD", "ref: x\n");
	put("elsewhere/commondir", "../bare.git\n");
	refuse("elsewhere", EXDEV, "does not lie below");
	/* A name that begins alike is not below. */
	make_dirs("bare.git-not");
	put("bare.git-not/HEAD", "ref: x\n");
	put("bare.git-not/commondir", "../bare.git\n");
	refuse("bare.git-not", EXDEV, "does not lie below");
}

static void symlinked_objects(void **state)
{
	make_repository("workdir");
	assert_int_equal(rmdir(at("workdir/objects/info")), 0);
	assert_int_equal(rmdir(at("workdir/objects")), 0);
	assert_int_equal(symlink("../bare.git/objects", at("workdir/objects")), 0);
	refuse("workdir", ENOTSUP, "symbolic link");
}

/* What a file of the host says must not show up, wherever the link to it lies. */
static void links_to_files_of_the_host(void **state)
{
	static const struct {
		const char *name, *link;
	} rows[] = {
		{"l1", "l1/objects/info/alternates"},
		{"l2", "l2/commondir"},
		{"l3", "l3/config"},
		{"l4", "l4/objects/info"},
	};
	struct source source;

	make_dirs("host");
	put("host/secret", "hush\n");
	put("host/alternates", "hush\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};
		int r;

		make_repository(rows[i].name);
		if (remove(at(rows[i].link)) < 0)
			assert_int_equal(errno, ENOENT);
		assert_int_equal(symlink(at(i == 3 ? "host" : "host/secret"), at(rows[i].link)), 0);
		r = open_kind("git", rows[i].name, &source, &err);
		if (r != -ELOOP || strstr(err.text, "hush"))
			fail_msg("%s: %d '%s'", rows[i].link, r, err.text);
	}
	make_dirs("l5");
	assert_int_equal(symlink(at("host/secret"), at("l5/.git")), 0);
	refuse("l5", ELOOP, "l5/.git'");
}

/* A hard link, or the file of whom one may not ask: the text is never quoted. */
static void contents_are_not_quoted(void **state)
{
	static const struct {
		const char *file, *text;
	} rows[] = {
		{"q/commondir", "hush\n"},
		{"q/commondir", "hush\nhush\n"},
		{"q/config", "[extensions]\nobjectformat = hush\n"},
		{"q/config", "[extensions]\nrefstorage = hush\n"},
		{"q/.git", "gitdir: hush\n"},
		{"q/.git", "hush\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct source source;
		struct error err = {0};

		make_repository("q");
		put(rows[i].file, rows[i].text);
		if (open_kind("git", "q", &source, &err) >= 0 || strstr(err.text, "hush"))
			fail_msg("row %zu: '%s'", i, err.text);
		assert_int_equal(remove(at(rows[i].file)), 0);
	}
}

static void formats(void **state)
{
	static const struct {
		const char *config;
		const char *words; /* NULL: fine */
	} rows[] = {
		{"", NULL},
		{"[core]\n", NULL},
		{"[core]\n\trepositoryformatversion = 1\n[extensions]\n\tworktreeConfig = true\n",
			NULL},
		{"[core]\nrepositoryformatversion=2\n", "format version 2"},
		{"[extensions]\n\tobjectformat = sha1\n", NULL},
		{"[extensions]\n\tobjectFormat = sha256\n", "object format is sha256"},
		{"[EXTENSIONS] objectformat=sha256", "object format is sha256"},
		{"[extensions] ; c\n objectformat = \"sha256\" # c\n", "object format is sha256"},
		{"[extensions]\n objectformat = sha\\\n256\n", "object format is sha256"},
		{"[extensions]\n\trefstorage = reftable\n", "stored as reftable"},
		{"[extensions]\n\trefstorage = files\n", NULL},
		{"[extensions \"x\"]\n\tobjectformat = sha256\n", NULL},
		{"[alias]\n\tobjectformat = sha256\n", NULL},
		{"# [extensions]\n#objectformat = sha256\n", NULL},
		{"[alias]\n x = \"[extensions]\\n objectformat = sha256\"\n", NULL},
		{"[a \"]\\\"\n\"]\n[extensions]objectformat=sha256", "object format"},
		{"[extensions\nobjectformat = sha256", NULL},
		{"[]=\n=x\n\\\n\"\n[core", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};
		int r = source_check_format(rows[i].config, &err);

		if (r != (rows[i].words ? -ENOTSUP : 0))
			fail_msg("row %zu: %d (%s)", i, r, err.text);
		if (rows[i].words && !strstr(err.text, rows[i].words))
			fail_msg("row %zu: '%s' does not say '%s'", i, err.text, rows[i].words);
	}
	put("bare.git/config", "[extensions]\n\tobjectformat = sha256\n");
	refuse("bare.git", ENOTSUP, "bare.git' cannot be used");
}

static void alternate_lines(void **state)
{
	static const struct {
		const char *line;
		const char *path; /* NULL: none */
	} rows[] = {
		{"", NULL},
		{"# comment", NULL},
		{"/a/objects", "/a/objects"},
		{"../../b/objects", "../../b/objects"},
		{"with space ", "with space "},
		{"\"/q\\tx\\\"\\\\\"", "/q\tx\"\\"},
		{"\"/oct\\303\\251\"", "/oct\303\251"},
		{"\"unterminated", "\"unterminated"},
		{"\"tail\"x", "\"tail\"x"},
		{"\"bad\\z\"", "\"bad\\z\""},
		{"\"nul\\000\"", "\"nul\\000\""},
		{"\"\\40", "\"\\40"},
		{"\"\\", "\"\\"},
		{"\"", "\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *path = NULL;
		/* A copy of the very size, so that a sanitizer sees a read behind it. */
		size_t n = strlen(rows[i].line);
		char *line = malloc(n ? n : 1);
		int r;

		memcpy(line, rows[i].line, n);
		r = source_parse_alternate(line, n, &path);
		assert_int_equal(r, rows[i].path ? 1 : 0);
		if (rows[i].path)
			assert_string_equal(path, rows[i].path);
		free(path);
		free(line);
	}
}

static void alternates_are_followed(void **state)
{
	struct source source;
	char text[PATH_MAX * 2];

	make_repository("a");
	make_repository("b");
	make_repository("c");
	make_repository("d");
	snprintf(text, sizeof(text), "# to b and d\n../../b/objects\n%s\n\n../../gone/objects\n",
		at("d/objects"));
	put("a/objects/info/alternates", text);
	put("b/objects/info/alternates", "\"../../c/objects\"\n../../d/objects\n");
	assert_int_equal(open_kind("git", "a", &source, NULL), 0);
	assert_int_equal(source.alternate_count, 3);
	assert_string_equal(source.alternates[0].path, at("b/objects"));
	assert_string_equal(source.alternates[1].path, at("c/objects"));
	assert_string_equal(source.alternates[2].path, at("d/objects"));
	source_release(&source);
}

static void loops_of_alternates(void **state)
{
	make_repository("a");
	make_repository("b");
	put("a/objects/info/alternates", "../../b/objects\n");
	put("b/objects/info/alternates", "../../a/objects\n");
	refuse("a", ELOOP, "a loop");
	put("a/objects/info/alternates", "../objects\n");
	refuse("a", ELOOP, "a loop");
}

static void chain_of_alternates(void **state)
{
	struct source source;
	char name[64], text[64];

	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		make_repository(name);
		snprintf(text, sizeof(text), "../../n%d/objects\n", i + 1);
		if (i < 6)
			put_in(name, "objects/info/alternates", text);
	}
	refuse("n0", ELOOP, "nest deeper than 5");
	assert_int_equal(open_kind("git", "n1", &source, NULL), 0);
	assert_int_equal(source.alternate_count, 5);
	source_release(&source);
}

static void flood_of_alternates(void **state)
{
	struct source source;
	char text[8192] = "", name[64];

	make_repository("a");
	for (int i = 0; i <= SOURCE_ALTERNATES_MAX; i++) {
		if (i == SOURCE_ALTERNATES_MAX) {
			put("a/objects/info/alternates", text);
			assert_int_equal(open_kind("git", "a", &source, NULL), 0);
			assert_int_equal(source.alternate_count, SOURCE_ALTERNATES_MAX);
			source_release(&source);
		}
		snprintf(name, sizeof(name), "o%d", i);
		make_dirs(name);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "../../o%d\n", i);
	}
	put("a/objects/info/alternates", text);
	refuse("a", E2BIG, "more than 64 alternates");
}

static void directory_layer(void **state)
{
	struct source source;
	struct error err = {0};

	make_dirs("plain");
	assert_int_equal(open_kind("dir", "plain", &source, NULL), 0);
	assert_string_equal(source.dir.path, at("plain"));
	source_release(&source);
	assert_int_equal(open_kind("dir", "missing", &source, &err), -ENOENT);
	assert_int_equal(err.status, EXIT_STATUS_SOURCE);
	put("file", "");
	assert_int_equal(open_kind("dir", "file", &source, &err), -ENOTDIR);
	assert_int_equal(open_kind("zip", "plain", &source, &err), -EINVAL);
}

static void over_an_exec(void **state)
{
	struct source source, copy;
	char *text;

	make_repository("tree/.git");
	make_dirs("tree/.git/worktrees/a:b,%");
	put("tree/.git/worktrees/a:b,%/HEAD", "ref: x\n");
	put("tree/.git/worktrees/a:b,%/commondir", "../..\n");
	put("tree/.git/objects/info/alternates", "../../../bare.git/objects\n");
	assert_int_equal(open_kind("git", "tree/.git/worktrees/a:b,%", &source, NULL), 0);
	assert_int_equal(source_to_text(&source, &text), 0);
	assert_int_equal(fcntl(source.dir.fd, F_GETFD), 0);
	assert_int_equal(fcntl(source.alternates[0].fd, F_GETFD), 0);
	assert_int_equal(source_from_text(text, &copy, NULL), 0);
	assert_int_equal(copy.dir.fd, source.dir.fd);
	assert_int_equal(fcntl(copy.dir.fd, F_GETFD), FD_CLOEXEC);
	assert_string_equal(copy.dir.path, source.dir.path);
	assert_string_equal(copy.git_dir, "worktrees/a:b,%");
	assert_int_equal(copy.alternate_count, 1);
	assert_string_equal(copy.alternates[0].path, at("bare.git/objects"));
	assert_int_equal(copy.alternates[0].uid, source.alternates[0].uid);
	source_release(&copy);
	source.dir.fd = -1; /* the copy has closed them */
	source.alternates[0].fd = -1;
	source_release(&source);
	free(text);
}

static void bad_texts(void **state)
{
	static const char *const rows[] = {"", ":", "x::", "0::", "2::", "-4::", "4",
		"4:", "99999999999::", "8765::", "04::", "8765::8765,",
		"8765:%0:", "8765:%zz:", "8765:%00:", "8765: :", "8765::,", "8765::1x"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct source source;
		struct error err = {0};

		if (source_from_text(rows[i], &source, &err) >= 0)
			fail_msg("'%s' was taken", rows[i]);
		assert_true(err.text[0] != '\0');
	}
}

#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(shapes_of_a_repository),
		row(absolute_gitdir),
		row(not_a_repository),
		row(large_files_are_refused),
		row(worktree_outside_its_common_directory),
		row(symlinked_objects),
		row(links_to_files_of_the_host),
		row(contents_are_not_quoted),
		row(formats),
		row(alternate_lines),
		row(alternates_are_followed),
		row(loops_of_alternates),
		row(chain_of_alternates),
		row(flood_of_alternates),
		row(directory_layer),
		row(over_an_exec),
		row(bad_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
