/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/claim.h"

#include <errno.h>

#include "overlay/copyup.h"
#include "overlay/lookup.h"
#include "overlay/lower.h"
#include "overlay/protect.h"

int claim_probe(struct claim *claim)
{
	struct overlay *ov = claim->ov;
	struct probe probe;
	int r = probe_upper(ov, &claim->hold, claim->name, &probe);

	if (r < 0)
		return r;
	if (probe.upper == UPPER_OBJECT)
		return -EEXIST;
	claim->is_probed = true;
	claim->over_whiteout = probe.upper == UPPER_WHITEOUT;
	claim->is_hidden_below = probe.is_hidden_below;
	if (claim->over_whiteout || claim->is_hidden_below)
		return 0;
	r = lower_is_visible(ov, claim->hold.dir, claim->name);
	return r > 0 ? -EEXIST : r;
}

static int see_that_free(struct claim *claim, struct node *dir)
{
	struct overlay *ov = claim->ov;
	struct node *known = node_find(ov, dir, claim->name);

	node_put(ov, known);
	if (known)
		return -EEXIST;
	/* With nothing below, the attempt itself tells whether something stands there. */
	if (node_lowers(dir)->count == 0 && !ov->aufs_whiteouts)
		return 0;
	return claim_probe(claim);
}

int claim_name(struct overlay *ov, struct node *dir, const char *name, struct claim *ret_claim)
{
	int r = check_name(ov, name);

	*ret_claim = (struct claim){.ov = ov, .name = name};
	if (r == 0)
		r = protect_check(ov, dir, FS_IMMUTABLE_FL);
	if (r == 0)
		r = copyup_node(ov, dir, COPYUP_ALL);
	if (r == 0)
		r = dir_hold(ov, dir, true, &ret_claim->hold);
	return r < 0 ? r : see_that_free(ret_claim, dir);
}

void unmake_name(struct overlay *ov, uint64_t parent, const char *name, mode_t type)
{
	if (S_ISDIR(type))
		(void)overlay_rmdir(ov, parent, name);
	else
		(void)overlay_unlink(ov, parent, name);
}
