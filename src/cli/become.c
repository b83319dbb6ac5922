/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "become.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

struct identity {
	const char *name; /* NULL: an id that has none */
	uid_t uid;
	gid_t gid;
	bool group_is_given;
};

/* 2^32-1 is nobody's. */
static bool parse_number(const char *text, uint32_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long number;

	if (!digits || digits > 10 || text[digits])
		return false;
	number = strtoul(text, NULL, 10);
	if (number >= UINT32_MAX)
		return false;
	*ret = (uint32_t)number;
	return true;
}

static int find_user(const char *user, struct identity *ret, struct error *err)
{
	const struct passwd *entry = getpwnam(user);

	if (!entry && parse_number(user, &ret->uid)) {
		entry = getpwuid(ret->uid);
		ret->gid = ret->uid;
	} else if (!entry) {
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "there is no user '%s'", user);
	}
	if (entry) {
		ret->name = entry->pw_name;
		ret->uid = entry->pw_uid;
		ret->gid = entry->pw_gid;
	}
	return 0;
}

static int find_group(const char *group, struct identity *ret, struct error *err)
{
	const struct group *entry = getgrnam(group);

	ret->group_is_given = true;
	if (entry)
		ret->gid = entry->gr_gid;
	else if (!parse_number(group, &ret->gid))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "there is no group '%s'", group);
	return 0;
}

static int set_groups(const struct identity *identity)
{
	if (identity->name && !identity->group_is_given)
		return initgroups(identity->name, identity->gid);
	return setgroups(1, &identity->gid);
}

int become(const char *who, struct error *err)
{
	_cleanup_free_ char *user = strdup(who);
	struct identity identity = {.name = NULL};
	char *colon = user ? strchr(user, ':') : NULL;
	int r;

	if (!user)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	if (colon)
		*colon++ = '\0';
	r = find_user(user, &identity, err);
	if (!r && colon)
		r = find_group(colon, &identity, err);
	if (r < 0 || (identity.uid == geteuid() && !colon))
		return r;
	if (geteuid() != 0)
		return error_set(err, EPERM, EXIT_STATUS_USAGE,
			"only root can look through the eyes of '%s'; run it as root, or as them",
			who);
	if (set_groups(&identity) < 0 || setresgid(identity.gid, identity.gid, identity.gid) < 0 ||
		setresuid(identity.uid, identity.uid, identity.uid) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "becoming '%s'", who);
	return 0;
}
