/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several processes at once, all that they do in a time. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ENOUGH_AT_ONCE 16 /* operations between two looks at the clock */

struct client {
	struct paths paths;
	size_t next;
	char directory[32];
};

static int read_one(struct client *client)
{
	char data[4096];
	int fd = open(
		client->paths.names[client->next++ % client->paths.count], O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, data, sizeof(data));

	return got < 0 || close(fd) < 0 ? -1 : 0;
}

static int create_one(struct client *client)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "%s/%zu", client->directory, client->next++ % 100);
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	return fd < 0 || close(fd) < 0 || unlink(name) < 0 ? -1 : 0;
}

static void serve(struct client *client, int (*one)(struct client *), double end, size_t *ret_count)
{
	size_t count = 0;

	while (now() < end) {
		for (int i = 0; i < ENOUGH_AT_ONCE; i++) {
			if (one(client) < 0)
				err(1, "client in %s", client->directory);
		}
		count += ENOUGH_AT_ONCE;
	}
	*ret_count = count;
}

static struct client new_client(struct paths paths, size_t number, size_t processes)
{
	struct client client = {.paths = paths, .next = paths.count / processes * number};

	snprintf(client.directory, sizeof(client.directory), "client-%zu", number);
	return client;
}

static void wait_for_all(size_t processes)
{
	int status;

	for (size_t i = 0; i < processes; i++) {
		if (wait(&status) < 0 || status != 0)
			errx(1, "a client failed");
	}
}

static void run_clients(const char *verb, struct paths paths, size_t processes, double seconds,
	int (*one)(struct client *))
{
	size_t *counts = mmap(NULL, processes * sizeof(*counts), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double started = now();
	size_t total = 0;

	if (counts == MAP_FAILED)
		err(1, "mmap");
	fflush(stdout);
	for (size_t i = 0; i < processes; i++) {
		struct client client = new_client(paths, i, processes);
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (pid == 0) {
			serve(&client, one, started + seconds, &counts[i]);
			_exit(0);
		}
	}
	wait_for_all(processes);
	for (size_t i = 0; i < processes; i++)
		total += counts[i];
	report(verb, total, started);
}

void do_clients(char **args)
{
	struct paths paths = read_paths(args[0]);
	size_t processes = number(args[1]);
	double seconds = (double)number(args[2]) / 1000;

	for (size_t i = 0; i < processes; i++) {
		struct client client = new_client(paths, i, processes);

		if (mkdir(client.directory, 0755) < 0)
			err(1, "%s", client.directory);
	}
	run_clients("read", paths, processes, seconds, read_one);
	run_clients("create", paths, processes, seconds, create_one);
	for (size_t i = 0; i < processes; i++) {
		struct client client = new_client(paths, i, processes);

		rmdir(client.directory);
	}
}
