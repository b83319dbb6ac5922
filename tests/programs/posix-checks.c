/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * posix-checks prepare DIR [AREA...]        a fixture for each check below DIR
 * posix-checks compare NATIVE MOUNT [AREA...]  runs each check in both and compares
 * posix-checks exact NATIVE MOUNT [AREA...]    also with what the check expects
 *
 * A fixture is DIR/AREA/NUMBER. "AREA" may be AREA/NUMBER. The last line counts; the
 * area read-only runs only when it is named. The exit status is 1 when something differs. VERBOSE=1
 * prints every statement.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix.h"

static const struct posix_area *const areas[] = {&posix_names, &posix_tmpfile, &posix_acls,
	&posix_flags, &posix_guards, &posix_mounts, &posix_read_only, &posix_coherence,
	&posix_locks, &posix_renames, &posix_permissions, &posix_sticky, &posix_modes,
	&posix_owners, &posix_times, &posix_times_explicit, &posix_files, &posix_limits};
#define AREAS (sizeof(areas) / sizeof(areas[0]))

/* What every check finds: alice's, in a directory that all may write to. */
static const char fixture[] =
	"create f 0644 content\\sof\\sthe\\sfile; create x 0755 #!/bin/true; mkdir d 0755; "
	"create d/in 0644 inner; mkdir d/sub 0755; create d/sub/deep 0644 deep; mkdir e 0755; "
	"create d/filled 0644 filled; symlink f l; symlink nowhere dangling; "
	"create g 0644 linked; link g h; mknod p fifo 0644; ? mknod c chr 0644 1 3; ? lchown c alice alice; mknod s sock 0644; "
	"each f,x,d,d/in,d/sub,d/sub/deep,d/filled,e,l,dangling,g,p,s { lchown $ alice alice }; ";

static int base;

static void enter(int dir, const char *area, size_t number)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%zu", area, number);
	fd = openat(dir, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fchdir(fd) < 0)
		posix_die("%s: %s", path, strerror(errno));
	close(fd);
}

static void run_setup(const char *name, const char *script)
{
	struct posix_transcript t;

	posix_script(name, script, &t);
	for (size_t i = 0; i < t.count; i++)
		if (t.lines[i].wanted && strcmp(t.lines[i].wanted, t.lines[i].got) != 0)
			posix_die("%s: setup: %s gave %s", name, t.lines[i].statement,
				t.lines[i].got);
	posix_transcript_free(&t);
}

static void prepare(const struct posix_area *area, size_t i, int dir)
{
	char path[64];

	mkdirat(dir, area->name, 0755);
	snprintf(path, sizeof(path), "%s/%zu", area->name, i);
	if (mkdirat(dir, path, 0777) < 0 || fchmodat(dir, path, 0777, 0) < 0)
		posix_die("%s: %s", path, strerror(errno));
	enter(dir, area->name, i);
	run_setup(area->checks[i].name, fixture);
	if (area->checks[i].setup)
		run_setup(area->checks[i].name, area->checks[i].setup);
}

/* --- comparing --- */

struct counts {
	unsigned statements, checks, differ, unexpected;
};

static bool is_as_wanted(const struct posix_line *line)
{
	return !line->wanted || strcmp(line->wanted, line->got) == 0;
}

static void compare_lines(const struct posix_transcript *native,
	const struct posix_transcript *mount, bool is_exact, const char *label, struct counts *c)
{
	bool differs = false, verbose = getenv("VERBOSE");

	for (size_t i = 0; i < native->count; i++) {
		const struct posix_line *n = &native->lines[i], *m = &mount->lines[i];

		c->statements++;
		if (verbose)
			printf("%s: %s = %s\n", label, n->statement, n->got);
		if (strcmp(n->limit ? n->limit : n->got, m->got) != 0 &&
			strcmp(n->got, m->got) != 0) {
			printf("DIFFERS %s: %s: native %s, mount %s\n", label, n->statement, n->got,
				m->got);
			differs = true;
		}
		if (is_exact && !is_as_wanted(n)) {
			printf("UNEXPECTED %s: %s: native %s, expected %s\n", label, n->statement,
				n->got, n->wanted);
			c->unexpected++;
		}
	}
	c->checks++;
	c->differ += differs;
}

static void compare(
	const struct posix_area *area, size_t i, const int dirs[2], bool is_exact, struct counts *c)
{
	const struct posix_check *check = &area->checks[i];
	struct posix_transcript native, mount;
	char label[256];

	snprintf(label, sizeof(label), "%s/%zu (%s)", area->name, i, check->name);
	enter(dirs[0], area->name, i);
	posix_script(check->name, check->script, &native);
	enter(dirs[1], area->name, i);
	posix_script(check->name, check->script, &mount);
	if (fchdir(base) < 0)
		posix_die("the working directory: %s", strerror(errno));
	compare_lines(&native, &mount, is_exact, label, c);
	posix_transcript_free(&native);
	posix_transcript_free(&mount);
}

static bool is_chosen(const struct posix_area *area, size_t i, char **names)
{
	char label[64];

	snprintf(label, sizeof(label), "%s/%zu", area->name, i);
	for (size_t n = 0; names[n]; n++)
		if (strcmp(names[n], label) == 0 || strcmp(names[n], area->name) == 0)
			return true;
	/* What changes nothing is for a file system that lets nothing change. */
	return !names[0] && area != &posix_read_only;
}

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		posix_die("%s: %s", path, strerror(errno));
	return fd;
}

int main(int argc, char **argv)
{
	struct counts total = {0};
	bool prepares = argc > 2 && strcmp(argv[1], "prepare") == 0;
	bool is_exact = argc > 3 && strcmp(argv[1], "exact") == 0;
	char **names = argv + (prepares ? 3 : 4);
	int dirs[2];

	if (!prepares && !is_exact && !(argc > 3 && strcmp(argv[1], "compare") == 0))
		posix_die(
			"usage: prepare DIR | compare NATIVE MOUNT | exact NATIVE MOUNT [AREA...]");
	umask(022);
	base = open_dir(".");
	dirs[0] = open_dir(argv[2]);
	dirs[1] = prepares ? -1 : open_dir(argv[3]);
	for (size_t a = 0; a < AREAS; a++) {
		struct counts c = {0};

		for (size_t i = 0; i < areas[a]->count; i++) {
			if (!is_chosen(areas[a], i, names))
				continue;
			if (prepares)
				prepare(areas[a], i, dirs[0]);
			else
				compare(areas[a], i, dirs, is_exact, &c);
		}
		if (c.checks)
			printf("%-16s %3u checks, %4u statements, %u differ\n", areas[a]->name,
				c.checks, c.statements, c.differ);
		total.checks += c.checks;
		total.statements += c.statements;
		total.differ += c.differ;
		total.unexpected += c.unexpected;
	}
	if (!prepares)
		printf("%u checks, %u statements, %u differ, %u not as expected\n", total.checks,
			total.statements, total.differ, total.unexpected);
	return total.differ || total.unexpected ? 1 : 0;
}
