/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "overlay/upper.h"
#include "util/cleanup.h"

void upper_lend(struct overlay *ov, struct node *node, int fd)
{
	struct node_use *use = node_use(node);

	mutex_lock(&ov->table);
	if (use->lent_fd < 0)
		use->lent_fd = fd;
	mutex_unlock(&ov->table);
}

void upper_close_lent(struct overlay *ov, struct node *node, int fd)
{
	struct node_use *use = node_use(node);

	mutex_lock(&ov->table);
	if (use->lent_fd == fd) {
		use->lent_is_left = use->lent_users > 0;
		if (use->lent_is_left)
			fd = -1;
		else
			use->lent_fd = -1;
	}
	mutex_unlock(&ov->table);
	close_keep_errno(fd);
}

static bool borrow_lent(struct overlay *ov, struct node *node, struct upper_loan *loan)
{
	struct node_use *use = node_use(node);

	if (!use)
		return false;
	mutex_lock(&ov->table);
	if (use->lent_fd >= 0) {
		use->lent_users++;
		*loan = (struct upper_loan){.fd = use->lent_fd, .node = node};
	}
	mutex_unlock(&ov->table);
	return loan->fd >= 0;
}

int upper_borrow(struct overlay *ov, struct node *node, struct upper_loan *ret_loan)
{
	int r;

	*ret_loan = (struct upper_loan){.fd = -1};
	if (!node_is_dir(node))
		return borrow_lent(ov, node, ret_loan)
			       ? 0
			       : upper_open(ov, node, O_PATH, &ret_loan->fd);
	r = upper_pin(ov, node, &ret_loan->pin);
	if (r < 0)
		return r;
	ret_loan->fd = ret_loan->pin.fd;
	ret_loan->node = node;
	return 0;
}

static void return_lent(struct overlay *ov, struct node_use *use)
{
	int fd = -1;

	mutex_lock(&ov->table);
	if (--use->lent_users == 0 && use->lent_is_left) {
		fd = use->lent_fd;
		use->lent_fd = -1;
		use->lent_is_left = false;
	}
	mutex_unlock(&ov->table);
	close_keep_errno(fd);
}

void upper_give_back(struct overlay *ov, struct upper_loan *loan)
{
	if (!loan->node)
		close_keep_errno(loan->fd);
	else if (node_is_dir(loan->node))
		upper_unpin(ov, &loan->pin);
	else
		return_lent(ov, node_use(loan->node));
	*loan = (struct upper_loan){.fd = -1};
}
