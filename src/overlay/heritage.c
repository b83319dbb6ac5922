/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/heritage.h"

#include "overlay/acl.h"
#include "overlay/call.h"

/* In one word, so that it is read and written whole: flags, and the group below them. */
#define GIVES_GROUP   (1ull << 32)
#define HAS_ACL	      (1ull << 33)
#define IS_KNOWN      (1ull << 34)
#define IS_DISTRUSTED (1ull << 35)

static void remember(struct node *dir, const struct heritage *heritage)
{
	uint64_t none = 0, word = IS_KNOWN | (heritage->has_acl ? HAS_ACL : 0);

	if (heritage->gives_group)
		word |= GIVES_GROUP | heritage->gid;
	/* Whoever changes it meanwhile knows better. */
	(void)atomic_compare_exchange_strong(&dir->dir->heritage, &none, word);
}

static struct heritage heritage_in(const struct stat *st, bool has_acl)
{
	return (struct heritage){
		.has_acl = has_acl, .gives_group = st->st_mode & S_ISGID, .gid = st->st_gid};
}

void heritage_is(struct node *dir, const struct stat *st, bool has_acl)
{
	const struct heritage heritage = heritage_in(st, has_acl);

	remember(dir, &heritage);
}

static int ask(const struct dir_hold *hold, struct heritage *ret_heritage)
{
	struct stat st;
	int has_acl, r = call_fstat(hold->pin.fd, &st);

	if (r < 0)
		return r;
	has_acl = acl_has_default(hold->pin.fd);
	if (has_acl < 0)
		return has_acl;
	*ret_heritage = heritage_in(&st, has_acl);
	remember(hold->dir, ret_heritage);
	return 0;
}

int heritage_of(const struct dir_hold *hold, struct heritage *ret_heritage)
{
	uint64_t word = atomic_load(&hold->dir->dir->heritage);

	if (!(word & IS_KNOWN))
		return ask(hold, ret_heritage);
	*ret_heritage = (struct heritage){.has_acl = word & HAS_ACL,
		.gives_group = word & GIVES_GROUP,
		.gid = (uint32_t)word};
	return 0;
}

void heritage_forget(struct node *dir)
{
	if (node_is_dir(dir))
		(void)atomic_fetch_and(&dir->dir->heritage, IS_DISTRUSTED);
}

void heritage_distrust(struct node *dir)
{
	if (node_is_dir(dir))
		atomic_store(&dir->dir->heritage, IS_DISTRUSTED);
}
