/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"

static void cleanup_fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

void mountinfo_release(struct mountinfo *info)
{
	free(steal_ptr(&info->mountpoint));
	free(steal_ptr(&info->type));
	free(steal_ptr(&info->source));
}

static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' &&
	       p[2] <= '7';
}

/* The kernel writes blanks and backslashes as \NNN. */
static char *unescape(const char *text, size_t size)
{
	char *out = malloc(size + 1), *p = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\\' && i + 3 < size && is_octal(text + i + 1)) {
			*p++ = (char)((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
				      (text[i + 3] - '0'));
			i += 3;
		} else {
			*p++ = text[i];
		}
	}
	*p = '\0';
	return out;
}

static char *take_field(const char **p)
{
	size_t size = strcspn(*p, " ");
	char *field = unescape(*p, size);

	*p += size;
	*p += strspn(*p, " ");
	return field;
}

/* Whether one of the optional fields before `end` begins so. */
static bool has_field(const char *p, const char *end, const char *prefix)
{
	for (; p < end; p += strcspn(p, " ") + 1)
		if (strncmp(p, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

int mountinfo_parse(const char *line, struct mountinfo *ret_info)
{
	struct mountinfo info = {0};
	const char *p, *separator = strstr(line, " - ");
	int at = 0;

	if (!separator ||
		sscanf(line, "%d %d %u:%u %*s %n", &info.id, &info.parent, &info.major, &info.minor,
			&at) != 4 ||
		!at || line + at > separator)
		return -EINVAL;
	p = line + at;
	info.mountpoint = take_field(&p);
	info.is_shared = has_field(p, separator, "shared:");
	p = separator + 3;
	info.type = take_field(&p);
	info.source = take_field(&p);
	if (!info.mountpoint || !info.type || !info.source) {
		mountinfo_release(&info);
		return -ENOMEM;
	}
	*ret_info = info;
	return 0;
}

static FILE *open_mountinfo(const char *pid)
{
	char path[300];

	snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
	return fopen(path, "re");
}

int mountinfo_for_each(mountinfo_fn fn, void *ctx)
{
	return mountinfo_for_each_of("self", fn, ctx);
}

int mountinfo_for_each_of(const char *pid, mountinfo_fn fn, void *ctx)
{
	_cleanup_(cleanup_fclosep) FILE *file = open_mountinfo(pid);
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int r = 0;

	if (!file)
		return -errno;
	while (r == 0 && (n = getline(&line, &size, file)) > 0) {
		_cleanup_(mountinfo_release) struct mountinfo info = {0};

		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		r = mountinfo_parse(line, &info);
		if (r == 0)
			r = fn(ctx, &info);
		else if (r == -EINVAL)
			r = 0;
	}
	return r;
}

struct search {
	const char *mountpoint;
	struct mountinfo found;
	bool is_found;
};

/* Later lines are mounted later, and so on top. */
static int compare(void *ctx, const struct mountinfo *info)
{
	struct search *search = ctx;

	if (strcmp(info->mountpoint, search->mountpoint))
		return 0;
	mountinfo_release(&search->found);
	search->found = *info;
	search->found.mountpoint = strdup(info->mountpoint);
	search->found.type = strdup(info->type);
	search->found.source = strdup(info->source);
	search->is_found = true;
	return search->found.mountpoint && search->found.type && search->found.source ? 0 : -ENOMEM;
}

int mountinfo_find(const char *mountpoint, struct mountinfo *ret_info)
{
	struct search search = {.mountpoint = mountpoint};
	int r = mountinfo_for_each(compare, &search);

	if (r == 0 && !search.is_found)
		r = -ENOENT;
	if (r < 0) {
		mountinfo_release(&search.found);
		return r;
	}
	*ret_info = search.found;
	return 0;
}

bool mountinfo_is_dead(const char *mountpoint)
{
	_cleanup_(mountinfo_release) struct mountinfo info = {0};
	struct statx st;

	if (mountinfo_find(mountpoint, &info) < 0 || strcmp(info.type, MOUNTINFO_OURS))
		return false;
	/* FORCE_SYNC: attributes that the kernel has cached say nothing of the server. */
	return statx(AT_FDCWD, mountpoint, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS,
		       &st) < 0 &&
	       (errno == ENOTCONN || errno == ECONNABORTED);
}
