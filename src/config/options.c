/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Reads a decimal id that ends the text or stands before `end`. Returns where it ended. */
static const char *parse_id(const char *text, char end, uint32_t *ret)
{
	unsigned long long value;
	char *p;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	value = strtoull(text, &p, 10);
	/* The largest u32 means "no id" to the kernel. */
	if (errno || value >= UINT32_MAX || (*p && *p != end))
		return NULL;
	*ret = (uint32_t)value;
	return p;
}

static int set_layer(struct workspace_config *config, const char *value, struct error *err)
{
	return config_append_layer_spec(config, value, err);
}

static int set_repo(struct workspace_config *config, const char *value, struct error *err)
{
	struct layer_spec *layer;
	int r = config_main_layer(config, &layer, err);

	return r < 0 ? r : config_set_string(&layer->path, value, err);
}

static int set_rev(struct workspace_config *config, const char *value, struct error *err)
{
	struct layer_spec *layer;
	int r = config_main_layer(config, &layer, err);

	return r < 0 ? r : config_set_string(&layer->rev, value, err);
}

static int set_subdir(struct workspace_config *config, const char *value, struct error *err)
{
	struct layer_spec *layer;
	int r = config_main_layer(config, &layer, err);

	return r < 0 ? r : config_set_subdir(&layer->subdir, value, err);
}

static int set_lowerdir(struct workspace_config *config, const char *value, struct error *err)
{
	config->aufs_whiteouts = true;
	return config_append_lowerdirs(config, value, err);
}

static int set_upperdir(struct workspace_config *config, const char *value, struct error *err)
{
	return config_set_string(&config->upper, value, err);
}

static int set_workdir(struct workspace_config *config, const char *value, struct error *err)
{
	return config_set_string(&config->work, value, err);
}

static int set_target(struct workspace_config *config, const char *value, struct error *err)
{
	if (value[0] != '/')
		return error_set(
			err, EINVAL, EXIT_STATUS_USAGE, "target=%s: not an absolute path", value);
	return config_set_string(&config->target, value, err);
}

static int set_owner(struct workspace_config *config, const char *value, struct error *err)
{
	uint32_t uid, gid;
	const char *p = parse_id(value, ':', &uid);

	gid = uid;
	if (p && *p == ':')
		p = parse_id(p + 1, '\0', &gid);
	if (!p)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"owner=%s: write UID or UID:GID, as numbers", value);
	config->owner_is_set = true;
	config->owner_uid = uid;
	config->owner_gid = gid;
	return 0;
}

static int set_mtime(struct workspace_config *config, const char *value, struct error *err)
{
	long long seconds;
	char *end;

	if (!strcmp(value, "commit")) {
		config->mtime_is_commit = true;
		return 0;
	}
	errno = 0;
	seconds = strtoll(value, &end, 10);
	if (errno || *end || value[0] < '0' || value[0] > '9')
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"mtime=%s: write mtime=commit or seconds since 1970", value);
	config->mtime_is_commit = false;
	config->mtime = seconds;
	return 0;
}

static int set_keep(struct workspace_config *config, const char *value, struct error *err)
{
	if (!strcmp(value, "discard"))
		config->keep = CONFIG_KEEP_DISCARD;
	else if (!strcmp(value, "keep"))
		config->keep = CONFIG_KEEP_KEEP;
	else if (!strncmp(value, "commit:", 7))
		return error_set(err, ENOTSUP, EXIT_STATUS_USAGE,
			"keep=%s: this version cannot commit what changed; use keep=keep", value);
	else
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"keep=%s: write keep=discard or keep=keep", value);
	return 0;
}

static int set_id(struct workspace_config *config, const char *value, struct error *err)
{
	if (!config_id_is_valid(value))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"id=%s: write letters, digits and any of _.+-, at most 128, none of .+- "
			"first",
			value);
	return config_set_string(&config->id, value, err);
}

static int set_uidmapping(struct workspace_config *config, const char *value, struct error *err)
{
	return idmap_parse(&config->ids, IDMAP_UID, value, err);
}

static int set_gidmapping(struct workspace_config *config, const char *value, struct error *err)
{
	return idmap_parse(&config->ids, IDMAP_GID, value, err);
}

static int set_squash(struct workspace_config *config, enum idmap_kind kind, const char *name,
	const char *value, struct error *err)
{
	uint32_t id;

	if (!parse_id(value, '\0', &id))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "%s=%s: not an id", name, value);
	config->ids.squash[kind] = true;
	config->ids.squash_id[kind] = id;
	return 0;
}

static int set_squash_to_uid(struct workspace_config *config, const char *value, struct error *err)
{
	return set_squash(config, IDMAP_UID, "squash_to_uid", value, err);
}

static int set_squash_to_gid(struct workspace_config *config, const char *value, struct error *err)
{
	return set_squash(config, IDMAP_GID, "squash_to_gid", value, err);
}

static int set_squash_to_root(struct workspace_config *config, const char *value, struct error *err)
{
	for (int kind = 0; kind < 2; kind++) {
		config->ids.squash[kind] = true;
		config->ids.squash_id[kind] = 0;
	}
	return 0;
}

static int set_ro(struct workspace_config *config, const char *value, struct error *err)
{
	config->read_only = true;
	return 0;
}

static int set_rw(struct workspace_config *config, const char *value, struct error *err)
{
	config->read_only = false;
	return 0;
}

static int set_volatile(struct workspace_config *config, const char *value, struct error *err)
{
	config->is_volatile = true;
	return 0;
}

static int set_static_nlink(struct workspace_config *config, const char *value, struct error *err)
{
	config->static_nlink = true;
	return 0;
}

static int set_acl(struct workspace_config *config, const char *value, struct error *err)
{
	config->no_acls = false;
	return 0;
}

static int set_noacl(struct workspace_config *config, const char *value, struct error *err)
{
	config->no_acls = true;
	return 0;
}

/* fuse-overlayfs's word, which podman's own images write into storage.conf. */
static int set_fsync(struct workspace_config *config, const char *value, struct error *err)
{
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "fsync=%s: write 0 or 1", value);
	config->is_volatile = value[0] == '0';
	return 0;
}

static int set_suid(struct workspace_config *config, const char *value, struct error *err)
{
	config->suid = 1;
	return 0;
}

static int set_nosuid(struct workspace_config *config, const char *value, struct error *err)
{
	config->suid = 0;
	return 0;
}

static int set_dev(struct workspace_config *config, const char *value, struct error *err)
{
	config->dev = 1;
	return 0;
}

static int set_nodev(struct workspace_config *config, const char *value, struct error *err)
{
	config->dev = 0;
	return 0;
}

static int set_exec(struct workspace_config *config, const char *value, struct error *err)
{
	config->exec = 1;
	return 0;
}

static int set_noexec(struct workspace_config *config, const char *value, struct error *err)
{
	config->exec = 0;
	return 0;
}

/* An option with one value that this version knows. */
static int require_value(
	const char *name, const char *value, const char *known, const char *what, struct error *err)
{
	if (!strcmp(value, known))
		return 0;
	return error_set(err, ENOTSUP, EXIT_STATUS_USAGE,
		"%s=%s: this version cannot %s; leave it out or write %s=%s", name, value, what,
		name, known);
}

static int set_pin(struct workspace_config *config, const char *value, struct error *err)
{
	return require_value("pin", value, "hold", "pin a commit that way", err);
}

static int set_gitdir(struct workspace_config *config, const char *value, struct error *err)
{
	return require_value("gitdir", value, "none", "show a .git in the mount", err);
}

/* Refused rather than ignored: everything would belong to whoever stored it. */
static int set_xattr_permissions(
	struct workspace_config *config, const char *value, struct error *err)
{
	return require_value(
		"xattr_permissions", value, "0", "read owners and modes from attributes", err);
}

static int set_redirect_dir(struct workspace_config *config, const char *value, struct error *err)
{
	static const struct {
		const char *value;
		enum config_redirect redirect;
	} known[] = {
		{"on", CONFIG_REDIRECT_ON},
		{"off", CONFIG_REDIRECT_FOLLOW},
		{"follow", CONFIG_REDIRECT_FOLLOW},
		{"nofollow", CONFIG_REDIRECT_NOFOLLOW},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(value, known[i].value) != 0)
			continue;
		config->redirect_dir = known[i].redirect;
		return 0;
	}
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"redirect_dir=%s: write redirect_dir=on, off, follow or nofollow", value);
}

static int set_size(struct workspace_config *config, const char *value, struct error *err)
{
	uint64_t size;

	if (config_parse_amount(value, &size) < 0 || size == 0)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"size=%s: write a number of bytes, 1 or more, or one with K, M, G or T behind it",
			value);
	config->max_size = size;
	return 0;
}

static int set_inodes(struct workspace_config *config, const char *value, struct error *err)
{
	uint64_t inodes;

	if (config_parse_amount(value, &inodes) < 0 || inodes == 0)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"inodes=%s: write a number, 1 or more, or one with K, M, G or T behind it",
			value);
	config->max_inodes = inodes;
	return 0;
}

/* auto or off; in numbers fuse-overlayfs's callers say it. */
static int set_auto(bool *ret, const char *name, const char *value, struct error *err)
{
	if (!strcmp(value, "auto") || !strcmp(value, "1"))
		*ret = true;
	else if (!strcmp(value, "off") || !strcmp(value, "0"))
		*ret = false;
	else
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "%s=%s: write %s=auto or off",
			name, value, name);
	return 0;
}

static int set_passthrough(struct workspace_config *config, const char *value, struct error *err)
{
	return set_auto(&config->passthrough, "passthrough", value, err);
}

static int set_writeback(struct workspace_config *config, const char *value, struct error *err)
{
	return set_auto(&config->writeback, "writeback", value, err);
}

static int set_opens(struct workspace_config *config, const char *value, struct error *err)
{
	if (strcmp(value, "kernel") != 0 && strcmp(value, "daemon") != 0)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"opens=%s: write opens=daemon or opens=kernel", value);
	config->kernel_opens = !strcmp(value, "kernel");
	return 0;
}

static int set_seccomp(struct workspace_config *config, const char *value, struct error *err)
{
	static const char *const modes[] = {"kill", "trap", "log", "off"};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(value, modes[i]))
			return config_set_string(&config->seccomp, value, err);
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"seccomp=%s: write seccomp=kill, trap, log or off", value);
}

static int set_fsname(struct workspace_config *config, const char *value, struct error *err)
{
	return config_set_string(&config->fsname, value, err);
}

const struct config_option config_options[] = {
	{"layer", "git:REPO[@REV][:SUBDIR]|dir:DIR", "a lower layer, the topmost first", true,
		set_layer},
	{"repo", "REPO", "the repository of the topmost layer", true, set_repo},
	{"rev", "REV", "its revision, as git rev-parse takes it (default: HEAD)", true, set_rev},
	{"subdir", "DIR", "the directory of the revision that is shown", true, set_subdir},
	{"lowerdir", "DIR[:DIR...]", "lower directories, the topmost first; \\: is a colon", false,
		set_lowerdir},
	{"upperdir", "DIR", "where changes go (default: a directory of its own, ephemeral)", true,
		set_upperdir},
	{"workdir", "DIR", "an empty directory on the file system of upperdir", true, set_workdir},
	{"target", "DIR", "the mountpoint, in a container a path of it", true, set_target},
	{"owner", "UID[:GID]", "who owns what comes from git (default: who mounts)", true,
		set_owner},
	{"mtime", "commit|SECONDS", "the time of what comes from git (default: the commit's)", true,
		set_mtime},
	{"keep", "discard|keep", "what happens to an ephemeral upper at the end", true, set_keep},
	{"id", "ID", "the name of the workspace (default: a random one)", true, set_id},
	{"ro", NULL, "read-only, without an upper", true, set_ro},
	{"rw", NULL, "writable (default)", true, set_rw},
	{"volatile", NULL, "never wait for the disk; a crash may lose everything", true,
		set_volatile},
	{"static_nlink", NULL, "directories have one link: what is in them is not counted", true,
		set_static_nlink},
	{"acl", NULL, "show and enforce POSIX ACLs (default)", true, set_acl},
	{"noacl", NULL, "neither show nor enforce POSIX ACLs", true, set_noacl},
	{"fsync", "0|1", "0: as volatile", false, set_fsync},
	{"suid", NULL, "honour set-user-ID bits", false, set_suid},
	{"nosuid", NULL, "ignore set-user-ID bits (default)", true, set_nosuid},
	{"dev", NULL, "let device nodes work", false, set_dev},
	{"nodev", NULL, "device nodes do not work (default)", true, set_nodev},
	{"exec", NULL, "programs may run (default)", true, set_exec},
	{"noexec", NULL, "programs may not run", true, set_noexec},
	{"uidmapping", "C:H:N[:C:H:N...]", "container uids C... are stored as H...", false,
		set_uidmapping},
	{"gidmapping", "C:H:N[:C:H:N...]", "container gids C... are stored as H...", false,
		set_gidmapping},
	{"squash_to_root", NULL, "everything belongs to root", false, set_squash_to_root},
	{"squash_to_uid", "UID", "everything belongs to this user", false, set_squash_to_uid},
	{"squash_to_gid", "GID", "everything belongs to this group", false, set_squash_to_gid},
	{"xattr_permissions", "0", "owners and modes kept in attributes: 0, not", false,
		set_xattr_permissions},
	{"pin", "hold", "how the commit is kept alive: its packs are held open", true, set_pin},
	{"gitdir", "none", "the .git that the mount shows: none", true, set_gitdir},
	{"redirect_dir", "on|off|follow|nofollow", "renaming a lower directory: on, or EXDEV",
		false, set_redirect_dir},
	{"size", "BYTES[K|M|G|T]", "how much the upper may hold; past it, no space is left", true,
		set_size},
	{"inodes", "COUNT[K|M|G|T]", "how many files, directories and links the upper may hold",
		true, set_inodes},
	{"passthrough", "auto|off", "files of the upper are read and written by the kernel itself",
		true, set_passthrough},
	{"writeback", "auto|off", "the kernel collects writes, where it passes none through (off)",
		true, set_writeback},
	{"opens", "daemon|kernel",
		"who opens files: the kernel alone is faster, and passes no data through", true,
		set_opens},
	{"seccomp", "kill|trap|log|off", "what a forbidden system call of the daemon does", false,
		set_seccomp},
	{"fsname", "NAME", "the source that /proc/mounts shows", false, set_fsname},
	{NULL, NULL, NULL, false, NULL},
};
