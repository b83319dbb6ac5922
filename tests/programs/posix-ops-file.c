/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on open files. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "posix.h"

int posix_open_flags(const char *words)
{
	static const struct {
		const char *word;
		int flag;
	} rows[] = {{"r", O_RDONLY}, {"w", O_WRONLY}, {"rw", O_RDWR}, {"creat", O_CREAT},
		{"excl", O_EXCL}, {"trunc", O_TRUNC}, {"append", O_APPEND}, {"dir", O_DIRECTORY},
		{"nofollow", O_NOFOLLOW}, {"path", O_PATH}, {"tmpfile", O_TMPFILE},
		{"noatime", O_NOATIME}, {"direct", O_DIRECT}, {"nonblock", O_NONBLOCK},
		{"sync", O_SYNC}, {"acc3", O_ACCMODE}};
	char *copy = strdup(words), *save = NULL;
	int flags = O_CLOEXEC;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		size_t i = 0;

		while (i < sizeof(rows) / sizeof(rows[0]) && strcmp(rows[i].word, p) != 0)
			i++;
		if (i == sizeof(rows) / sizeof(rows[0]))
			posix_die("no open flag '%s'", p);
		flags |= rows[i].flag;
	}
	free(copy);
	return flags;
}

/* A FIFO or device must not block the test. */
static int open_words(char **args)
{
	return open(args[0], posix_open_flags(args[1]) | O_NONBLOCK,
		args[2] ? strtoul(args[2], NULL, 8) : 0644);
}

/* open PATH FLAGS [MODE]: and close */
static long op_open(struct posix_run *run, char **args, char *result)
{
	int fd = open_words(args);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* fd N PATH FLAGS [MODE] */
static long op_fd(struct posix_run *run, char **args, char *result)
{
	int fd = open_words(args + 1);

	if (fd < 0)
		return -errno;
	run->fds[atoi(args[0]) % POSIX_HANDLES] = fd;
	return 0;
}

static long op_close(struct posix_run *run, char **args, char *result)
{
	int fd = posix_fd(run, args[0]);

	run->fds[atoi(args[0])] = -1;
	return close(fd) < 0 ? -errno : 0;
}

static long check_count(ssize_t n, const char *text)
{
	return n < 0 ? -errno : n == (ssize_t)strlen(text) ? 0 : n;
}

static long op_write(struct posix_run *run, char **args, char *result)
{
	return check_count(write(posix_fd(run, args[0]), args[1], strlen(args[1])), args[1]);
}

static long op_pwrite(struct posix_run *run, char **args, char *result)
{
	return check_count(
		pwrite(posix_fd(run, args[0]), args[2], strlen(args[2]), posix_number(args[1])),
		args[2]);
}

/* Makes bytes readable: they are compared as text. */
static long show_bytes(const char *buf, ssize_t n, char *result)
{
	size_t used = 0;

	if (n < 0)
		return -errno;
	if (n == 0)
		strcpy(result, "-");
	for (ssize_t i = 0; i < n && used < 300; i++)
		used += (size_t)sprintf(result + used,
			buf[i] > ' ' && buf[i] < 127 ? "%c" : "\\%03o", (unsigned char)buf[i]);
	return n;
}

static long op_pread(struct posix_run *run, char **args, char *result)
{
	char buf[64];
	size_t size = (size_t)posix_number(args[2]);

	if (size > sizeof(buf))
		posix_die("reads at most %zu bytes", sizeof(buf));
	return show_bytes(
		buf, pread(posix_fd(run, args[0]), buf, size, posix_number(args[1])), result);
}

/* text PATH: its first 64 bytes */
static long op_text(struct posix_run *run, char **args, char *result)
{
	char buf[64];
	int fd = open(args[0], O_RDONLY | O_CLOEXEC);
	long r;

	if (fd < 0)
		return -errno;
	r = show_bytes(buf, read(fd, buf, sizeof(buf)), result);
	close(fd);
	return r;
}

/* put PATH TEXT: over its beginning */
static long op_put(struct posix_run *run, char **args, char *result)
{
	int fd = open(args[0], O_WRONLY | O_CLOEXEC);
	long r;

	if (fd < 0)
		return -errno;
	r = check_count(write(fd, args[1], strlen(args[1])), args[1]);
	close(fd);
	return r;
}

static long op_truncate(struct posix_run *run, char **args, char *result)
{
	return truncate(args[0], posix_number(args[1])) < 0 ? -errno : 0;
}

static long op_ftruncate(struct posix_run *run, char **args, char *result)
{
	return ftruncate(posix_fd(run, args[0]), posix_number(args[1])) < 0 ? -errno : 0;
}

/* fallocate N MODE OFFSET LENGTH */
static long op_fallocate(struct posix_run *run, char **args, char *result)
{
	static const struct {
		const char *word;
		int mode;
	} rows[] = {{"0", 0}, {"keep", FALLOC_FL_KEEP_SIZE},
		{"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
		{"punch-only", FALLOC_FL_PUNCH_HOLE}, {"zero", FALLOC_FL_ZERO_RANGE},
		{"zero-keep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE},
		{"collapse", FALLOC_FL_COLLAPSE_RANGE}, {"insert", FALLOC_FL_INSERT_RANGE}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].word, args[1]) == 0)
			return fallocate(posix_fd(run, args[0]), rows[i].mode,
				       posix_number(args[2]), posix_number(args[3])) < 0
				       ? -errno
				       : 0;
	posix_die("no mode '%s'", args[1]);
}

static long op_posix_fallocate(struct posix_run *run, char **args, char *result)
{
	return -posix_fallocate(
		posix_fd(run, args[0]), posix_number(args[1]), posix_number(args[2]));
}

/* copyrange FROM TO LENGTH, from offset 0 to offset 0 */
static long op_copyrange(struct posix_run *run, char **args, char *result)
{
	off_t from = 0, to = 0;
	ssize_t n = copy_file_range(posix_fd(run, args[0]), &from, posix_fd(run, args[1]), &to,
		(size_t)posix_number(args[2]), 0);

	return n < 0 ? -errno : n;
}

/* seek N OFFSET set|cur|end|data|hole */
static long op_seek(struct posix_run *run, char **args, char *result)
{
	static const char *const words[] = {"set", "cur", "end", "data", "hole"};
	int whence = 0;
	off_t at;

	while (strcmp(words[whence], args[2]) != 0)
		whence++;
	at = lseek(posix_fd(run, args[0]), posix_number(args[1]), whence);
	return at < 0 ? -errno : at;
}

/* mapwrite N OFFSET TEXT: by a shared mapping, and msync */
static long op_mapwrite(struct posix_run *run, char **args, char *result)
{
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, posix_fd(run, args[0]), 0);
	long r = 0;

	if (map == MAP_FAILED)
		return -errno;
	memcpy(map + posix_number(args[1]), args[2], strlen(args[2]));
	if (msync(map, 4096, MS_SYNC) < 0)
		r = -errno;
	munmap(map, 4096);
	return r;
}

/* map N r|w|rw|x shared|private: whether it may be mapped */
static long op_map(struct posix_run *run, char **args, char *result)
{
	int protection = (strchr(args[1], 'r') ? PROT_READ : 0) |
			 (strchr(args[1], 'w') ? PROT_WRITE : 0) |
			 (strchr(args[1], 'x') ? PROT_EXEC : 0);
	void *map = mmap(NULL, 4096, protection,
		strcmp(args[2], "shared") == 0 ? MAP_SHARED : MAP_PRIVATE, posix_fd(run, args[0]),
		0);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, 4096);
	return 0;
}

static long op_fsync(struct posix_run *run, char **args, char *result)
{
	return fsync(posix_fd(run, args[0])) < 0 ? -errno : 0;
}

/* A copy of a program, which may be run. */
static long op_copyfile(struct posix_run *run, char **args, char *result)
{
	int in = open(args[0], O_RDONLY | O_CLOEXEC), out;
	long r = 0;

	if (in < 0)
		return -errno;
	out = open(args[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (out < 0)
		r = -errno;
	while (r == 0) {
		ssize_t n = sendfile(out, in, NULL, 1 << 20);

		if (n <= 0)
			break;
	}
	close(in);
	if (out >= 0)
		close(out);
	return r;
}

const struct posix_op posix_file_ops[] = {
	{"open", 2, false, op_open},
	{"fd", 3, false, op_fd},
	{"close", 1, false, op_close},
	{"write", 2, false, op_write},
	{"pwrite", 3, false, op_pwrite},
	{"pread", 3, true, op_pread},
	{"text", 1, true, op_text},
	{"put", 2, false, op_put},
	{"truncate", 2, false, op_truncate},
	{"ftruncate", 2, false, op_ftruncate},
	{"fallocate", 4, false, op_fallocate},
	{"posix_fallocate", 3, false, op_posix_fallocate},
	{"copyrange", 3, true, op_copyrange},
	{"seek", 3, true, op_seek},
	{"mapwrite", 3, false, op_mapwrite},
	{"map", 3, false, op_map},
	{"fsync", 1, false, op_fsync},
	{"copyfile", 2, false, op_copyfile},
	{NULL},
};
