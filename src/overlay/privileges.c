/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/privileges.h"

#include <errno.h>

#include "overlay/call.h"

/* Of node_use.privileges; the bits above count the changes. */
#define NONE 1

bool privileges_are_none(const struct node *node)
{
	const struct node_use *use = node_use(node);

	return use && atomic_load(&use->privileges) & NONE;
}

void privileges_of_new(struct node *node, mode_t mode)
{
	uint64_t none = 0;

	if (!(mode & (S_ISUID | S_ISGID)))
		atomic_compare_exchange_strong(&node_use(node)->privileges, &none, NONE);
}

void privileges_change(struct node *node)
{
	struct node_use *use = node_use(node);
	uint64_t now = use ? atomic_load(&use->privileges) : 0;

	/* Of what is not in the upper yet nothing was seen. */
	while (use && !atomic_compare_exchange_weak(&use->privileges, &now, (now | NONE) + 1))
		continue;
}

int privileges_read(struct node *node, int fd, struct privileges *ret)
{
	_Atomic uint64_t *privileges = &node_use(node)->privileges;
	uint64_t seen = atomic_load(privileges);
	struct stat st;
	int r = call_fstat(fd, &st);

	if (r < 0)
		return r;
	ret->mode = st.st_mode & 07777;
	ret->size =
		call_getxattr(fd, PRIVILEGES_CAPABILITY, ret->capability, sizeof(ret->capability));
	if (ret->size < 0 && ret->size != -ENODATA && ret->size != -EOPNOTSUPP)
		return (int)ret->size;
	if (ret->size < 0)
		ret->size = 0;
	if (ret->size == 0 && !(ret->mode & (S_ISUID | S_ISGID)))
		atomic_compare_exchange_strong(privileges, &seen, seen | NONE);
	return 0;
}

int privileges_restore(int fd, const struct privileges *before)
{
	mode_t bits = before->mode & (S_ISUID | S_ISGID);
	struct stat now;
	int r = bits ? call_fstat(fd, &now) : 0;

	if (r == 0 && bits && (now.st_mode & bits) != bits)
		r = call_chmod(fd, (now.st_mode & 07777) | bits);
	/* Without the right to set it a daemon's write does not lose it either. */
	if (r == 0 && before->size > 0)
		r = call_setxattr(
			fd, PRIVILEGES_CAPABILITY, before->capability, (size_t)before->size, 0);
	return r == -EPERM ? 0 : r;
}

mode_t privileges_doomed(mode_t mode)
{
	return mode & (S_ISUID | (mode & S_IXGRP ? S_ISGID : 0));
}

mode_t privileges_doomed_when_told(mode_t mode)
{
	return (mode & (S_ISUID | S_ISGID)) == S_ISGID ? S_ISGID : privileges_doomed(mode);
}

static int kill_bits(struct node *node, int fd, mode_t (*doomed_of)(mode_t mode))
{
	struct privileges has;
	mode_t doomed;
	int r;

	if (privileges_are_none(node))
		return 0;
	r = privileges_read(node, fd, &has);
	doomed = r < 0 ? 0 : doomed_of(has.mode);
	if (!doomed)
		return r;
	r = call_chmod(fd, has.mode & ~doomed);
	return r < 0 ? r : 1;
}

int privileges_kill(struct node *node, int fd)
{
	return kill_bits(node, fd, privileges_doomed);
}

void privileges_announce(struct node *node, uint32_t uid, bool is_outsider)
{
	struct node_use *use = node_use(node);

	atomic_store(&use->is_outsider, is_outsider);
	atomic_store(&use->announced_by, uid);
}

int privileges_kill_announced(struct node *node, int fd, uint32_t uid)
{
	struct node_use *use = node_use(node);

	if (uid == 0 || !atomic_compare_exchange_strong(&use->announced_by, &(uint32_t){uid}, 0))
		return 0;
	return kill_bits(node, fd,
		atomic_load(&use->is_outsider) ? privileges_doomed_when_told : privileges_doomed);
}
