/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many small system calls in the current directory, for tests/bench/run: "VERB COUNT SECONDS" for
 * each kind of them. Nothing here but the calls themselves and their loop takes time that counts.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void report(const char *verb, size_t count, double started)
{
	printf("%s %zu %.9f\n", verb, count, now() - started);
}

size_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value == 0)
		errx(2, "'%s' is no number", text);
	return value;
}

static char *contents(const char *file, size_t *ret_size)
{
	struct stat st;
	char *data;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", file);
	data = malloc((size_t)st.st_size + 1);
	if (!data || read(fd, data, (size_t)st.st_size) != st.st_size)
		err(1, "%s", file);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return data;
}

struct paths read_paths(const char *file)
{
	struct paths paths = {NULL, 0};
	size_t size;
	char *data = contents(file, &size);

	for (size_t i = 0; i < size; i++)
		paths.count += data[i] == '\0';
	paths.names = calloc(paths.count + 1, sizeof(*paths.names));
	if (!paths.names)
		err(1, "calloc");
	for (size_t i = 0; i < paths.count; i++) {
		paths.names[i] = data;
		data += strlen(data) + 1;
	}
	return paths;
}

/* Each path with a name in its place that no directory has. */
static struct paths absent_ones(struct paths paths)
{
	struct paths absent = {calloc(paths.count + 1, sizeof(*absent.names)), paths.count};

	if (!absent.names)
		err(1, "calloc");
	for (size_t i = 0; i < paths.count; i++) {
		if (asprintf(&absent.names[i], "%s~", paths.names[i]) < 0)
			err(1, "asprintf");
	}
	return absent;
}

static void stat_all(const char *verb, struct paths paths, size_t times, int wanted)
{
	double started = now();
	struct stat st;

	for (size_t turn = 0; turn < times; turn++) {
		for (size_t i = 0; i < paths.count; i++) {
			int got = lstat(paths.names[i], &st) < 0 ? errno : 0;

			if (got != wanted)
				errx(1, "%s: %s, wanted %s", paths.names[i], strerror(got),
					strerror(wanted));
		}
	}
	report(verb, paths.count * times, started);
}

/* stat LIST TIMES */
static void do_stat(char **args)
{
	struct paths paths = read_paths(args[0]);
	size_t times = number(args[1]);

	stat_all("stat", paths, times, 0);
	stat_all("negative", absent_ones(paths), times, ENOENT);
}

static void read_all(struct paths paths)
{
	static char data[1 << 17];

	for (size_t i = 0; i < paths.count; i++) {
		int fd = open(paths.names[i], O_RDONLY | O_CLOEXEC);
		ssize_t n;

		if (fd < 0)
			err(1, "%s", paths.names[i]);
		while ((n = read(fd, data, sizeof(data))) > 0)
			;
		if (n < 0)
			err(1, "%s", paths.names[i]);
		close(fd);
	}
}

/* open LIST TIMES */
static void do_open(char **args)
{
	struct paths paths = read_paths(args[0]);
	size_t times = number(args[1]);
	double started;

	read_all(paths);
	started = now();
	for (size_t turn = 0; turn < times; turn++) {
		for (size_t i = 0; i < paths.count; i++) {
			int fd = open(paths.names[i], O_RDONLY | O_CLOEXEC);

			if (fd < 0)
				err(1, "%s", paths.names[i]);
			close(fd);
		}
	}
	report("open", paths.count * times, started);
}

static int create(const char *name, const char *unused)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	(void)unused;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(const char *name, const char *unused)
{
	(void)unused;
	return unlink(name);
}

static int make_directory(const char *name, const char *unused)
{
	(void)unused;
	return mkdir(name, 0755);
}

static int remove_directory(const char *name, const char *unused)
{
	(void)unused;
	return rmdir(name);
}

static void loop(const char *verb, size_t count, int (*call)(const char *, const char *),
	const char *from, const char *to)
{
	double started = now();
	char a[64], b[64];

	for (size_t i = 0; i < count; i++) {
		snprintf(a, sizeof(a), "%s%zu", from, i);
		snprintf(b, sizeof(b), "%s%zu", to, i);
		if (call(a, b) < 0)
			err(1, "%s %s", verb, a);
	}
	report(verb, count, started);
}

/* loops COUNT: in a new directory */
static void do_loops(char **args)
{
	size_t count = number(args[0]);

	if (mkdir("loops", 0755) < 0 || chdir("loops") < 0)
		err(1, "loops");
	loop("create", count, create, "file-", "");
	loop("rename", count, rename, "file-", "other-");
	loop("unlink", count, remove_file, "other-", "");
	loop("mkdir", count, make_directory, "dir-", "");
	loop("rmdir", count, remove_directory, "dir-", "");
}

static const struct verb {
	const char *name;
	int arguments;
	void (*run)(char **args);
} verbs[] = {
	{"stat", 2, do_stat},
	{"open", 2, do_open},
	{"loops", 1, do_loops},
	{"fill", 2, do_fill},
	{"seqread", 2, do_sequential_read},
	{"seqwrite", 2, do_sequential_write},
	{"randread", 2, do_random_read},
	{"randwrite", 2, do_random_write},
	{"clients", 3, do_clients},
	{"machine", 0, do_machine},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (argc >= 2 && strcmp(argv[1], verbs[i].name) == 0 &&
			argc - 2 == verbs[i].arguments) {
			verbs[i].run(argv + 2);
			return 0;
		}
	}
	fprintf(stderr, "usage: bench-operations VERB ARGUMENT..., of the verbs in bench.h\n");
	return 2;
}
