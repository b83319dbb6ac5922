/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "holders.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/mountinfo.h"
#include "util/cleanup.h"

#define NAMED_MAX 3

/* What of a process is looked for; `pid` as in /proc. */
typedef bool (*holds_fn)(const char *pid, const void *what);

static bool link_is_within(const char *link, const char *dir)
{
	char target[PATH_MAX];
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	size_t length = strlen(dir);

	if (n < (ssize_t)length)
		return false;
	target[n] = '\0';
	return !strncmp(target, dir, length) && (!target[length] || target[length] == '/');
}

static bool process_is_within(const char *pid, const void *dir)
{
	static const char *const links[] = {"cwd", "root", "exe"};
	_cleanup_closedir_ DIR *fds = NULL;
	struct dirent *entry;
	char path[300];

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, links[i]);
		if (link_is_within(path, dir))
			return true;
	}
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	while (fds && (entry = readdir(fds))) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		if (link_is_within(path, dir))
			return true;
	}
	return false;
}

static int is_of_connection(void *ctx, const struct mountinfo *info)
{
	return !strcmp(info->type, MOUNTINFO_OURS) && info->minor == *(const unsigned *)ctx;
}

static bool namespace_shows(const char *pid, const void *connection)
{
	unsigned minor = *(const unsigned *)connection;

	return mountinfo_for_each_of(pid, is_of_connection, &minor) > 0;
}

static void read_name(const char *pid, char *ret_name, size_t size)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (!file || !fgets(ret_name, (int)size, file))
		snprintf(ret_name, size, "?");
	ret_name[strcspn(ret_name, "\n")] = '\0';
	if (file)
		fclose(file);
}

static void describe(holds_fn holds, const void *what, char *ret_text, size_t size)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t used = 0;
	unsigned found = 0;

	ret_text[0] = '\0';
	while (proc && (entry = readdir(proc)) && used < size) {
		char name[32];

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
			!holds(entry->d_name, what) || ++found > NAMED_MAX)
			continue;
		read_name(entry->d_name, name, sizeof(name));
		used += (size_t)snprintf(ret_text + used, size - used, "%s%s (%s)",
			found > 1 ? ", " : "", entry->d_name, name);
	}
	if (found > NAMED_MAX && used < size)
		snprintf(ret_text + used, size - used, " and %u more", found - NAMED_MAX);
}

void holders_describe(const char *mountpoint, char *ret_text, size_t size)
{
	describe(process_is_within, mountpoint, ret_text, size);
}

void holders_describe_namespaces(unsigned connection, char *ret_text, size_t size)
{
	describe(namespace_shows, &connection, ret_text, size);
}
