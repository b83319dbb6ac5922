/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "overlay/call.h"
#include "overlay/quota-counter.h"
#include "overlay/quota-internal.h"

/* What an inode that changed in this mount was last seen to take up. */
struct inode {
	struct hash_link link; /* first; by hash_of() */
	dev_t dev;
	ino_t ino;
	uint64_t bytes;
	uint32_t opens;
	bool is_nameless; /* and counts only for those who have it open */
};

static struct stripe *stripe_of(struct quota *quota, const struct stat *st)
{
	return &quota->stripes[st->st_ino % STRIPES];
}

/* The stripe has looked at the lowest digits. */
static uint64_t hash_of(const struct stat *st)
{
	return st->st_ino / STRIPES;
}

static struct inode *find_locked(struct stripe *stripe, const struct stat *st)
	requires_lock(stripe->lock)
{
	struct hash_link *link = hash_table_find(&stripe->inodes, hash_of(st));

	for (; link; link = hash_link_next(link)) {
		struct inode *inode = (struct inode *)link;

		if (inode->ino == st->st_ino && inode->dev == st->st_dev)
			return inode;
	}
	return NULL;
}

static int insert_locked(struct stripe *stripe, const struct stat *st, struct inode **ret_inode)
	requires_lock(stripe->lock)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		return -ENOMEM;
	inode->dev = st->st_dev;
	inode->ino = st->st_ino;
	inode->bytes = (uint64_t)st->st_blocks * STAT_BLOCK;
	hash_table_add(&stripe->inodes, &inode->link, hash_of(st));
	*ret_inode = inode;
	return 0;
}

static void update_locked(struct quota *quota, struct inode *inode, const struct stat *st)
{
	uint64_t bytes = (uint64_t)st->st_blocks * STAT_BLOCK;
	bool is_nameless = st->st_nlink == 0;

	counter_replace(&quota->bytes, inode->bytes, bytes);
	inode->bytes = bytes;
	if (is_nameless && !inode->is_nameless)
		atomic_fetch_add(&quota->nameless, 1);
	if (!is_nameless && inode->is_nameless)
		atomic_fetch_sub(&quota->nameless, 1);
	inode->is_nameless = is_nameless;
}

/* The inode's entry, as it is now. One that was not known yet has not changed since the count. */
static int note_locked(struct quota *quota, struct stripe *stripe, const struct stat *st,
	struct inode **ret_inode) requires_lock(stripe->lock)
{
	struct inode *found = find_locked(stripe, st);
	int r;

	if (found) {
		update_locked(quota, found, st);
		*ret_inode = found;
		return 0;
	}
	r = insert_locked(stripe, st, ret_inode);
	/* It had stopped counting, and is opened again. */
	if (r == 0 && st->st_nlink == 0) {
		(*ret_inode)->is_nameless = true;
		atomic_fetch_add(&quota->nameless, 1);
		atomic_fetch_add(&quota->bytes, (*ret_inode)->bytes);
		atomic_fetch_add(&quota->inodes, 1);
	}
	return r;
}

static void forget_locked(struct quota *quota, struct stripe *stripe, struct inode *inode)
	requires_lock(stripe->lock)
{
	counter_subtract(&quota->bytes, inode->bytes);
	counter_subtract(&quota->inodes, 1);
	if (inode->is_nameless)
		atomic_fetch_sub(&quota->nameless, 1);
	hash_table_remove(&stripe->inodes, &inode->link);
	free(inode);
}

static void settle_locked(struct quota *quota, struct stripe *stripe, const struct stat *st)
	requires_lock(stripe->lock)
{
	struct inode *found = find_locked(stripe, st);

	if (!found)
		return;
	if (st->st_nlink == 0 && found->opens == 0)
		forget_locked(quota, stripe, found);
	else
		update_locked(quota, found, st);
}

/* An inode's number does not change: it finds the stripe. What counts is asked for in it. */
static int enter(
	struct quota *quota, int fd, struct stat *st, struct stripe **ret_stripe) no_lock_analysis
{
	struct stripe *stripe;
	int r = call_fstat(fd, st);

	if (r < 0)
		return r;
	stripe = stripe_of(quota, st);
	mutex_lock(&stripe->lock);
	r = call_fstat(fd, st);
	if (r < 0)
		mutex_unlock(&stripe->lock);
	else
		*ret_stripe = stripe;
	return r;
}

int quota_track(struct quota *quota, int fd) no_lock_analysis
{
	struct stripe *stripe;
	struct inode *inode;
	struct stat st;
	int r;

	if (!quota || fd < 0)
		return 0;
	r = enter(quota, fd, &st, &stripe);
	if (r < 0)
		return r;
	/* Without a name it counts only while it is open, and then it is known. */
	if (st.st_nlink > 0)
		r = note_locked(quota, stripe, &st, &inode);
	mutex_unlock(&stripe->lock);
	return r;
}

void quota_settle(struct quota *quota, int fd) no_lock_analysis
{
	struct stripe *stripe;
	struct stat st;

	if (!quota || fd < 0 || enter(quota, fd, &st, &stripe) < 0)
		return;
	settle_locked(quota, stripe, &st);
	mutex_unlock(&stripe->lock);
}

int quota_open(struct quota *quota, int fd) no_lock_analysis
{
	struct stripe *stripe;
	struct inode *inode;
	struct stat st;
	int r;

	if (!quota || fd < 0)
		return 0;
	r = enter(quota, fd, &st, &stripe);
	if (r < 0)
		return r;
	r = note_locked(quota, stripe, &st, &inode);
	if (r == 0)
		inode->opens++;
	mutex_unlock(&stripe->lock);
	return r;
}

void quota_close(struct quota *quota, int fd) no_lock_analysis
{
	struct stripe *stripe;
	struct inode *found;
	struct stat st;

	if (!quota || fd < 0 || enter(quota, fd, &st, &stripe) < 0)
		return;
	found = find_locked(stripe, &st);
	if (found && found->opens > 0)
		found->opens--;
	settle_locked(quota, stripe, &st);
	mutex_unlock(&stripe->lock);
}

void quota_add(struct quota *quota, const struct stat *st, uint64_t taken) no_lock_analysis
{
	struct stripe *stripe;
	struct inode *found, *inode;

	if (!quota)
		return;
	stripe = stripe_of(quota, st);
	mutex_lock(&stripe->lock);
	/* Left by one whose end nobody saw: it has ended, for its number is given to another. */
	found = find_locked(stripe, st);
	if (found)
		forget_locked(quota, stripe, found);
	/* Without memory it is one that has not changed yet. */
	(void)insert_locked(stripe, st, &inode);
	counter_replace(
		&quota->bytes, quota_round_up(quota, taken), (uint64_t)st->st_blocks * STAT_BLOCK);
	mutex_unlock(&stripe->lock);
}

void quota_remove(struct quota *quota, const struct stat *st) no_lock_analysis
{
	struct stripe *stripe;
	struct inode *found;

	if (!quota)
		return;
	stripe = stripe_of(quota, st);
	mutex_lock(&stripe->lock);
	found = find_locked(stripe, st);
	if (found)
		forget_locked(quota, stripe, found);
	mutex_unlock(&stripe->lock);
}

int quota_found(struct quota *quota, const struct stat *st) no_lock_analysis
{
	struct stripe *stripe = stripe_of(quota, st);
	bool is_linked = !S_ISDIR(st->st_mode) && st->st_nlink > 1;
	struct inode *inode;
	int r = 0;

	mutex_lock(&stripe->lock);
	/* Only what has several names must be remembered, so that it counts once. */
	if (is_linked && find_locked(stripe, st)) {
		mutex_unlock(&stripe->lock);
		return 0;
	}
	if (is_linked)
		r = insert_locked(stripe, st, &inode);
	mutex_unlock(&stripe->lock);
	if (r < 0)
		return r;
	atomic_fetch_add(&quota->bytes, (uint64_t)st->st_blocks * STAT_BLOCK);
	atomic_fetch_add(&quota->inodes, 1);
	return 0;
}

static void stripe_free(struct stripe *stripe) no_lock_analysis
{
	struct hash_link *all = hash_table_release(&stripe->inodes);

	for (struct hash_link *next; all; all = next) {
		next = all->next;
		free(all);
	}
	mutex_destroy(&stripe->lock);
}

void quota_init_stripes(struct quota *quota)
{
	for (size_t i = 0; i < STRIPES; i++)
		mutex_init(&quota->stripes[i].lock);
}

void quota_free_stripes(struct quota *quota)
{
	for (size_t i = 0; i < STRIPES; i++)
		stripe_free(&quota->stripes[i]);
}
