/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on names: make, link, move, remove. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix.h"

static long result_of(int r)
{
	return r < 0 ? -errno : r;
}

static mode_t mode_of(const char *text)
{
	return (mode_t)strtoul(text, NULL, 8);
}

static long op_create(struct posix_run *run, char **args, char *result)
{
	int fd = open(args[0], O_WRONLY | O_CREAT | O_EXCL, mode_of(args[1]));
	long r = fd < 0 ? -errno : 0;

	if (fd >= 0 && args[2] && write(fd, args[2], strlen(args[2])) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static long op_mkdir(struct posix_run *run, char **args, char *result)
{
	return result_of(mkdir(args[0], mode_of(args[1])));
}

static long op_rmdir(struct posix_run *run, char **args, char *result)
{
	return result_of(rmdir(args[0]));
}

static long op_unlink(struct posix_run *run, char **args, char *result)
{
	return result_of(unlink(args[0]));
}

static long op_symlink(struct posix_run *run, char **args, char *result)
{
	return result_of(symlink(args[0], args[1]));
}

static long op_link(struct posix_run *run, char **args, char *result)
{
	return result_of(link(args[0], args[1]));
}

static long op_link_follow(struct posix_run *run, char **args, char *result)
{
	return result_of(linkat(AT_FDCWD, args[0], AT_FDCWD, args[1], AT_SYMLINK_FOLLOW));
}

/* linkfd N PATH: gives a name to an O_TMPFILE, or to an unlinked file */
static long op_linkfd(struct posix_run *run, char **args, char *result)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", posix_fd(run, args[0]));
	return result_of(linkat(AT_FDCWD, path, AT_FDCWD, args[1], AT_SYMLINK_FOLLOW));
}

static long op_rename(struct posix_run *run, char **args, char *result)
{
	return result_of(rename(args[0], args[1]));
}

/* rename2 FROM TO noreplace|exchange|whiteout|NUMBER */
static long op_rename2(struct posix_run *run, char **args, char *result)
{
	unsigned flags = 0;

	if (strstr(args[2], "noreplace"))
		flags |= RENAME_NOREPLACE;
	if (strstr(args[2], "exchange"))
		flags |= RENAME_EXCHANGE;
	if (strstr(args[2], "whiteout"))
		flags |= RENAME_WHITEOUT;
	if (!flags)
		flags = (unsigned)posix_number(args[2]);
	return result_of(renameat2(AT_FDCWD, args[0], AT_FDCWD, args[1], flags));
}

/* mknod PATH fifo|sock|chr|blk|reg MODE [MAJOR MINOR] */
static long op_mknod(struct posix_run *run, char **args, char *result)
{
	static const struct {
		const char *word;
		mode_t type;
	} types[] = {{"fifo", S_IFIFO}, {"sock", S_IFSOCK}, {"chr", S_IFCHR}, {"blk", S_IFBLK},
		{"reg", S_IFREG}, {"dir", S_IFDIR}, {"none", 0}};
	dev_t device = args[3] ? makedev((unsigned)atoi(args[3]), (unsigned)atoi(args[4])) : 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].word, args[1]) == 0)
			return result_of(mknod(args[0], types[i].type | mode_of(args[2]), device));
	posix_die("no type '%s'", args[1]);
}

static long op_bind(struct posix_run *run, char **args, char *result)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long r;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", args[0]);
	r = result_of(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	close(fd);
	return r;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* ls DIR: names in order, without the dots */
static long op_ls(struct posix_run *run, char **args, char *result)
{
	struct dirent **entries;
	size_t used = 0;
	int n = scandir(args[0], &entries, NULL, by_name);

	if (n < 0)
		return -errno;
	snprintf(result, POSIX_RESULT, "-");
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && used < 400)
			used += (size_t)snprintf(result + used, POSIX_RESULT - used, "%s%.100s",
				used ? "," : "", name);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

/* fill DIR COUNT FILE: so many links of a file */
static long op_links(struct posix_run *run, char **args, char *result)
{
	char name[64];

	for (long i = 0; i < posix_number(args[1]); i++) {
		snprintf(name, sizeof(name), "%s/%ld", args[0], i);
		if (link(args[2], name) < 0)
			return -errno;
	}
	return 0;
}

static long op_chdir(struct posix_run *run, char **args, char *result)
{
	return result_of(chdir(args[0]));
}

const struct posix_op posix_tree_ops[] = {
	{"create", 2, false, op_create},
	{"mkdir", 2, false, op_mkdir},
	{"rmdir", 1, false, op_rmdir},
	{"unlink", 1, false, op_unlink},
	{"symlink", 2, false, op_symlink},
	{"link", 2, false, op_link},
	{"linkfollow", 2, false, op_link_follow},
	{"linkfd", 2, false, op_linkfd},
	{"rename", 2, false, op_rename},
	{"rename2", 3, false, op_rename2},
	{"mknod", 3, false, op_mknod},
	{"bind", 1, false, op_bind},
	{"ls", 1, true, op_ls},
	{"links", 3, false, op_links},
	{"cd", 1, false, op_chdir},
	{NULL},
};
