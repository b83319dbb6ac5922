/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/oci.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/source-read.h"
#include "util/cleanup.h"

/* Out is never ahead of in: each component has at least the slash before it. */
void target_normalize(char *target)
{
	const char *p = target;
	char *out = target;

	for (size_t n; *(p += strspn(p, "/")); p += n) {
		n = strcspn(p, "/");
		if (n == 1 && p[0] == '.')
			continue;
		*out++ = '/';
		memmove(out, p, n);
		out += n;
	}
	if (out == target)
		*out++ = '/';
	*out = '\0';
}

static int check_target(char *target, struct error *err)
{
	if (!target)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"target= is missing; add target=/workspace");
	for (const char *p = target; *(p += strspn(p, "/"));) {
		size_t n = strcspn(p, "/");

		if (n == 2 && strncmp(p, "..", 2) == 0)
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"target '%s': '..' is not allowed", target);
		p += n;
	}
	target_normalize(target);
	return 0;
}

int wish_parse(const char *options, uint32_t uid, uint32_t gid, struct workspace_config *config,
	struct error *err)
{
	int r = config_parse_options(config, options, CONFIG_ORIGIN_ANNOTATION, err);

	if (!r)
		r = config_validate(config, err);
	if (!r)
		r = check_target(config->target, err);
	if (!r && !config->owner_is_set) {
		config->owner_is_set = true;
		config->owner_uid = uid;
		config->owner_gid = gid;
	}
	return r;
}

void wish_places_init(struct wish_places *places)
{
	memset(places, 0, sizeof(*places));
	source_dir_init(&places->upper);
	source_dir_init(&places->work);
}

void wish_places_release(struct wish_places *places)
{
	for (size_t i = 0; i < places->source_count; i++)
		source_release(&places->sources[i]);
	free(places->sources);
	source_dir_release(&places->upper);
	source_dir_release(&places->work);
	wish_places_init(places);
}

static int open_given(
	const char *option, const char *path, struct source_dir *ret, struct error *err)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int fd = -1;
	int r;

	if (!path)
		return 0;
	fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	r = fd < 0 ? -errno : source_dir_adopt(fd, ret);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "%s=%s", option, path);
	steal_fd(&fd);
	return 0;
}

int wish_open(const struct workspace_config *config, struct wish_places *places, struct error *err)
{
	int r;

	places->sources = calloc(config->layer_count, sizeof(struct source));
	if (!places->sources)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	for (size_t i = 0; i < config->layer_count; i++) {
		r = source_open(&config->layers[i], &places->sources[i], err);
		if (r < 0)
			return r;
		places->source_count++;
	}
	r = open_given("upperdir", config->upper, &places->upper, err);
	if (!r)
		r = open_given("workdir", config->work, &places->work, err);
	places->are_open = !r;
	return r;
}

struct policy_request wish_request(const struct workspace_config *config,
	const struct wish_places *places, const char *target, const struct policy_asker *asker)
{
	return (struct policy_request){
		.config = config,
		.sources = places->are_open ? places->sources : NULL,
		.upper = places->are_open ? places->upper.path : NULL,
		.work = places->are_open ? places->work.path : NULL,
		.target = target,
		.asker = asker,
	};
}

static int ask(const struct policy *policy, const struct workspace_config *config,
	const struct wish_places *places, const struct policy_asker *asker, struct error *err)
{
	struct policy_request request = wish_request(config, places, NULL, asker);

	return policy_check(policy, &request, err);
}

int wish_judge(const struct policy *policy, const struct workspace_config *config,
	const struct policy_asker *asker, struct wish_places *places, struct error *err)
{
	struct error refusal = {0};
	int r;

	/* Who may not have a path anyway must not learn from the error whether it exists. */
	if (ask(policy, config, places, asker, &refusal) < 0) {
		if (wish_open(config, places, NULL) == 0 &&
			ask(policy, config, places, asker, NULL) == 0)
			return 0;
		if (err)
			*err = refusal;
		return -refusal.code;
	}
	r = wish_open(config, places, err);
	return r ? r : ask(policy, config, places, asker, err);
}
