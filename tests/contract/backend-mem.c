/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "contract.h"

#include <stdlib.h>

#include <git-overlayfs/mem-layer.h>

static void build(struct backend *self, const struct fixture *fixture)
{
	struct mem_tree *tree = mem_tree_new();

	assert_non_null(tree);
	for (size_t i = 0; i < fixture->count; i++) {
		const struct fixture_entry *entry = &fixture->entries[i];
		char *content = fixture_content(entry);
		struct mem_entry mem = {
			.path = entry->path,
			.mode = entry->mode,
			.uid = entry->uid,
			.gid = entry->gid,
			.mtime = {.tv_sec = fixture_mtime(entry)},
			.data = content,
			.length = entry->size,
		};

		assert_int_equal(entry->link_to ? mem_tree_link(tree, entry->link_to, entry->path)
						: mem_tree_add(tree, &mem),
			0);
		free(content);
	}
	for (size_t i = 0; i < fixture_xattr_count; i++)
		assert_int_equal(
			mem_tree_set_xattr(tree, fixture_xattr_path, fixture_xattrs[i].name,
				fixture_xattrs[i].value, fixture_xattrs[i].length),
			0);
	self->state = tree;
	self->config.mem = tree;
}

static void destroy(struct backend *self)
{
	assert_int_equal(mem_tree_references(self->state), 0);
	mem_tree_free(self->state);
}

struct backend mem_backend = {
	.kind = "mem",
	.flags = HAS_OWNERS | HAS_XATTRS | HAS_SPECIAL | HAS_LINKS | HAS_MODES | HAS_TIMES,
	.build = build,
	.destroy = destroy,
	.config = {.kind = "mem", .root_fd = -1, .scratch_fd = -1},
};
