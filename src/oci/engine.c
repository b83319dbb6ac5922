/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/oci.h>

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

static bool read_own_map(unsigned *ret_inside, unsigned *ret_outside, unsigned *ret_count)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	int n;

	if (!map)
		return false;
	n = fscanf(map, "%u %u %u", ret_inside, ret_outside, ret_count); /* NOLINT(cert-err34-c) */
	fclose(map);
	return n == 3;
}

bool engine_map_is_rootful(FILE *map)
{
	unsigned inside, outside, count;

	while (fscanf(map, "%u %u %u", &inside, &outside, &count) == 3) /* NOLINT(cert-err34-c) */
		if (inside == 0 && count > 0)
			return count != 1 || outside == 0;
	return true;
}

bool engine_is_rootful(void)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	bool is_rootful = !map || engine_map_is_rootful(map);

	if (map)
		fclose(map);
	return is_rootful;
}

int engine_check_file(bool is_rootful, const struct stat *st, struct error *err)
{
	if (!is_rootful || (st->st_uid == 0 && !(st->st_mode & 0022)))
		return 0;
	return error_set(err, EPERM, EXIT_STATUS_FAILED,
		"may be written by others than root; chown root it, chmod go-w it");
}

unsigned engine_user(void)
{
	unsigned inside, outside, count, uid = geteuid();

	if (read_own_map(&inside, &outside, &count) && uid >= inside && uid - inside < count)
		return outside + (uid - inside);
	return uid;
}

const char *engine_user_name(char *buffer, size_t size)
{
	const struct passwd *entry = getpwuid(engine_user());

	if (entry && entry->pw_name[0])
		snprintf(buffer, size, "%s", entry->pw_name);
	else
		snprintf(buffer, size, "%u", engine_user());
	return buffer;
}
