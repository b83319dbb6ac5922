/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks the policy what the hook would ask it, and says why it answers so. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/oci.h>

#include "become.h"
#include "build-config.h"
#include "command.h"
#include "policy-report.h"
#include "util/cleanup.h"

enum {
	OPTION_AS = 256,
	OPTION_NAMESPACE,
	OPTION_SERVICE_ACCOUNT,
	OPTION_OWNER,
	OPTION_POLICY,
};

static const struct cli_option policy_options[] = {
	{OPTION_AS, "as", "USER[:GROUP]", "who runs the engine; by default who runs this"},
	{OPTION_NAMESPACE, "namespace", "NAME", "the Kubernetes namespace of the pod"},
	{OPTION_SERVICE_ACCOUNT, "service-account", "NAME", "the service account of the pod"},
	{OPTION_OWNER, "owner", "UID:GID", "whom the container runs as; by default 0:0"},
	{OPTION_POLICY, "policy", "FILE", "instead of " POLICY_PATH},
	{'j', "json", NULL, "as JSON"},
	{0},
};

struct policy_arguments {
	const char *as;
	const char *policy;
	struct policy_asker asker;
	uint32_t uid, gid;
	bool json;
};

static int parse_owner(const char *text, struct policy_arguments *arguments, struct error *err)
{
	unsigned long long uid, gid;
	char end;

	if (strspn(text, "0123456789:") == strlen(text) &&
		sscanf(text, "%10llu:%10llu%c", /* NOLINT(cert-err34-c) */
			&uid, &gid, &end) == 2 &&
		uid < UINT32_MAX && gid < UINT32_MAX) {
		arguments->uid = (uint32_t)uid;
		arguments->gid = (uint32_t)gid;
		return 0;
	}
	return error_set(err, EINVAL, EXIT_STATUS_USAGE, "--owner '%s': write UID:GID", text);
}

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	struct policy_arguments *arguments = ctx;

	switch (key) {
	case OPTION_AS:
		arguments->as = value;
		return 0;
	case OPTION_NAMESPACE:
		arguments->asker.namespaces[0] = value;
		return 0;
	case OPTION_SERVICE_ACCOUNT:
		arguments->asker.service_account = value;
		return 0;
	case OPTION_OWNER:
		return parse_owner(value, arguments, err);
	case OPTION_POLICY:
		arguments->policy = value;
		return 0;
	default:
		arguments->json = true;
		return 0;
	}
}

/* A rootless engine makes its user root of a namespace first: who is not root here would be. */
static bool is_rootful(void)
{
	return geteuid() == 0 && engine_is_rootful();
}

static void free_policy(struct policy **policy)
{
	policy_free(*policy);
}

/* Everything is judged; the verdict is ours to tell, a failure of another kind main's. */
static int tell(const struct policy_arguments *arguments, const struct policy *policy,
	const struct workspace_config *config, struct wish_places *places, struct error *err)
{
	struct error verdict = {0}, place = {0};
	int r = wish_judge(policy, config, &arguments->asker, places, &verdict);
	struct policy_request request = wish_request(config, places, NULL, &arguments->asker);
	struct policy_report report = {
		.path = arguments->policy,
		.policy = policy,
		.request = &request,
		.is_rootful = is_rootful(),
	};

	if (r < 0 && report_is_allowed(&report)) {
		if (!arguments->json)
			report_print_missing(policy, arguments->policy);
		*err = verdict;
		return r;
	}
	if (!places->are_open) {
		wish_places_release(places);
		if (wish_open(config, places, &place) < 0)
			report.place_error = place.text;
	}
	*err = verdict;
	/* The hook says 3 of it; here that is a repository that cannot be used. */
	err->status = EXIT_STATUS_FAILED;
	if (!arguments->json)
		report_print(&report);
	else if (report_print_json(&report, err) < 0)
		return -EIO;
	return r;
}

static int check(const struct policy_arguments *arguments, const struct policy *policy,
	const char *text, struct error *err)
{
	struct workspace_config config;
	struct wish_places places;
	struct oci_wish wish;
	int r = oci_wish_from_text(text, &wish, err);

	if (r < 0)
		return r;
	config_init(&config);
	wish_places_init(&places);
	r = wish_parse(wish.options, arguments->uid, arguments->gid, &config, err);
	if (!r)
		r = tell(arguments, policy, &config, &places, err);
	wish_places_release(&places);
	config_release(&config);
	oci_wish_release(&wish);
	return r;
}

static int show(
	const struct policy_arguments *arguments, const struct policy *policy, struct error *err)
{
	if (arguments->json)
		return policy_show_json(policy, arguments->policy, err);
	policy_show(policy, arguments->policy);
	return 0;
}

static int check_words(int count, char **words, struct error *err)
{
	if (count == 2 && !strcmp(words[0], "check"))
		return 0;
	if (count == 1 && !strcmp(words[0], "show"))
		return 0;
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"write policy check 'REPO[@REV],target=PATH', or policy show");
}

static int run_policy(int argc, char **argv, struct error *err)
{
	struct policy_arguments arguments = {.policy = POLICY_PATH};
	_cleanup_(free_policy) struct policy *policy = NULL;
	char user[64];
	int first, r = cli_parse(argc, argv, &command_policy, take_option, &arguments, &first, err);

	if (!r)
		r = check_words(argc - first, argv + first, err);
	if (!r && arguments.as)
		r = become(arguments.as, err);
	if (r < 0)
		return err->status;
	arguments.asker.user = engine_user_name(user, sizeof(user));
	r = policy_read(arguments.policy, is_rootful(), &policy, err);
	if (!r && !strcmp(argv[first], "show"))
		r = show(&arguments, policy, err);
	else if (!r)
		r = check(&arguments, policy, argv[first + 1], err);
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_policy = {
	.name = "policy",
	.arguments = "check ANNOTATION | show",
	.help = "say what the policy of annotations grants, and why not",
	.options = policy_options,
	.run = run_policy,
};
