/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "util/cleanup.h"

struct hook {
	struct hook_options options;
	struct container container;
	struct entries entries;
	struct oci_wish *wishes;
	size_t wish_count;
	struct policy *policy;
	struct pod pod;
	struct job jobs[OCI_WORKSPACES_MAX];
	size_t job_count;
};

/* What a runtime leaves open or blocked must not reach the supervisor. */
static int clean_process(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The pipes that we write to end with the runtime: that is no reason to die. */
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
			return -errno;
	return close_range(3, ~0u, 0) < 0 ? -errno : 0;
}

static bool has_wish(const struct hook *hook, const char *name)
{
	for (size_t i = 0; i < hook->wish_count; i++)
		if (strcmp(hook->wishes[i].name, name) == 0)
			return true;
	return false;
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

/* The wishes of --mount: named after their place, the first one not at all. */
static int add_trusted_wishes(struct hook *hook, struct error *err)
{
	size_t extra = hook->options.mount_count;
	struct oci_wish *wishes;

	if (hook->wish_count + extra > OCI_WORKSPACES_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_USAGE,
			"more than %d workspaces in one container", OCI_WORKSPACES_MAX);
	wishes = reallocarray(hook->wishes, hook->wish_count + extra + 1, sizeof(*wishes));
	if (!wishes)
		return out_of_memory(err);
	hook->wishes = wishes;
	for (size_t i = 0; i < extra; i++) {
		struct oci_wish wish = {.trusted = true};
		char name[24] = "";

		if (i > 0 || has_wish(hook, name))
			snprintf(name, sizeof(name), "mount%zu", i + 1);
		wish.name = strdup(name);
		wish.options = strdup(hook->options.mounts[i]);
		hook->wishes[hook->wish_count++] = wish;
		if (!wish.name || !wish.options)
			return out_of_memory(err);
	}
	return 0;
}

static int name_wish(const struct oci_wish *wish, struct error *err)
{
	if (wish->trusted)
		return error_prefix(err, "--mount");
	return error_prefix(
		err, "annotation " OCI_ANNOTATION "%s%s", wish->name[0] ? "." : "", wish->name);
}

/* The second one would wait for the first to end. */
static int check_ids(const struct hook *hook, struct error *err)
{
	for (size_t i = 0; i < hook->job_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(hook->jobs[i].id, hook->jobs[k].id) == 0)
				return error_set(err, EINVAL, EXIT_STATUS_USAGE,
					"two workspaces of the container are called '%s'; leave "
					"id= out, or choose another",
					hook->jobs[i].id);
	return 0;
}

/* Everything is judged before anything is made; outer targets are mounted first. */
static int prepare_jobs(struct hook *hook, const struct job_context *context, struct error *err)
{
	for (size_t i = 0; i < hook->wish_count; i++) {
		struct job *job = &hook->jobs[hook->job_count++];
		int r;

		job_init(job, &hook->wishes[i]);
		r = job_prepare(job, context, err);
		if (r < 0)
			return name_wish(job->wish, err);
	}
	qsort(hook->jobs, hook->job_count, sizeof(hook->jobs[0]), job_compare);
	for (size_t i = 1; i < hook->job_count; i++)
		if (job_compare(&hook->jobs[i - 1], &hook->jobs[i]) == 0)
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"two workspaces have the target '%s'", hook->jobs[i].config.target);
	return check_ids(hook, err);
}

static struct report report_of(const struct hook *hook)
{
	return (struct report){
		.log = hook->options.log,
		.container_id = hook->container.state.id,
	};
}

/* What a container that is started should know; a failure says its own line alone. */
static void report_remarks(const struct hook *hook)
{
	struct report report = report_of(hook);

	for (size_t i = 0; i < hook->job_count; i++)
		if (hook->jobs[i].mounter.remark.text[0])
			report_warning(&report, hook->jobs[i].mounter.remark.text);
}

static int claim_names(struct hook *hook, struct error *err)
{
	struct pod_name names[OCI_WORKSPACES_MAX];
	const struct job *jobs[OCI_WORKSPACES_MAX];
	size_t count = 0, taken = 0;
	int r;

	for (size_t i = 0; i < hook->job_count; i++) {
		const struct job *job = &hook->jobs[i];

		if (!job_name_in_pod(job))
			continue;
		names[count] = (struct pod_name){job_name_in_pod(job), &job->workspace};
		jobs[count++] = job;
	}
	if (count == 0)
		return 0;
	r = pod_open(&hook->container, &hook->pod, err);
	if (r < 0)
		return r;
	r = pod_claim_names(&hook->pod, hook->container.state.id, names, count, &taken, err);
	return r > 0 ? name_wish(jobs[taken]->wish, err) : r;
}

/* What all of them need comes first: then little has to be undone. */
static int start_jobs(struct hook *hook, const struct job_context *context, struct error *err)
{
	int r;

	for (size_t i = 0; i < hook->job_count; i++)
		if (job_reserve(&hook->jobs[i], context, err) < 0)
			return name_wish(hook->jobs[i].wish, err);
	r = claim_names(hook, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < hook->job_count; i++)
		if (job_start(&hook->jobs[i], context, err) < 0)
			return name_wish(hook->jobs[i].wish, err);
	for (size_t i = 0; i < hook->job_count; i++)
		if (job_release_workspace(&hook->jobs[i], err) < 0)
			return name_wish(hook->jobs[i].wish, err);
	for (size_t i = 0; i < hook->job_count; i++)
		mounter_commit(&hook->jobs[i].mounter);
	report_remarks(hook);
	return 0;
}

static bool needs_policy(const struct hook *hook)
{
	for (size_t i = 0; i < hook->wish_count; i++)
		if (!hook->wishes[i].trusted)
			return true;
	return false;
}

static int run_jobs(struct hook *hook, struct error *err)
{
	struct job_context context = {.options = &hook->options,
		.container = &hook->container,
		.pod = &hook->pod,
		.by_target = hook->entries.has_others};
	int r = 0;

	if (needs_policy(hook))
		r = policy_read(hook->options.policy, engine_is_rootful(), &hook->policy, err);
	context.policy = hook->policy;
	if (!r)
		r = prepare_jobs(hook, &context, err);
	if (!r)
		r = start_jobs(hook, &context, err);
	/* The inner ones first. */
	for (size_t i = hook->job_count; i > 0; i--) {
		if (r < 0)
			job_undo(&hook->jobs[i - 1], err);
		job_release(&hook->jobs[i - 1]);
	}
	return r;
}

static void drop_wishes(struct hook *hook)
{
	oci_wishes_free(hook->wishes, hook->wish_count);
	hook->wishes = NULL;
	hook->wish_count = 0;
}

/* Other processes of this hook in the container have their part of the wishes. */
static int share_wishes(struct hook *hook, char **argv, int r, struct error *err)
{
	const struct container *container = &hook->container;

	if (hook->options.mount_count == 0)
		return r < 0 || hook->wish_count == 0
			       ? r
			       : entries_check_only_one(container, argv, err);
	entries_judge(container, argv, r < 0 || hook->wish_count > 0, &hook->entries);
	if (!hook->entries.leaves_annotations)
		return r;
	/* One that is misspelt is for the entry that takes them to complain of. */
	drop_wishes(hook);
	*err = (struct error){0};
	return 0;
}

static int collect_wishes(struct hook *hook, char **argv, struct error *err)
{
	const struct container *container = &hook->container;
	int r = oci_wishes(
		&container->state, &container->config, &hook->wishes, &hook->wish_count, err);

	r = share_wishes(hook, argv, r, err);
	return r < 0 ? r : add_trusted_wishes(hook, err);
}

static int create(struct hook *hook, char **argv, struct error *err)
{
	struct container *container = &hook->container;
	int r = container_read_config(container, err);

	if (r < 0)
		return r;
	if (oci_is_sandbox_container(&container->state, &container->config))
		return 0;
	r = collect_wishes(hook, argv, err);
	if (r < 0 || hook->wish_count == 0)
		return r;
	r = container_open(container, err);
	return r ? r : run_jobs(hook, err);
}

static int read_state(struct hook *hook, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = input_read_stdin(OCI_STATE_MAX, &text, &size, err);

	return r ? r : oci_state_parse(text, size, &hook->container.state, err);
}

static void hook_release(struct hook *hook)
{
	drop_wishes(hook);
	policy_free(hook->policy);
	pod_release(&hook->pod);
	container_release(&hook->container);
}

int main(int argc, char **argv)
{
	static struct hook hook;
	struct error err = {0};
	struct report report;
	int r;

	clock_start(0);
	r = clean_process();
	container_init(&hook.container);
	pod_init(&hook.pod);
	if (!r)
		r = hook_clean_environment();
	if (r < 0)
		error_set_errno(&err, -r, EXIT_STATUS_FAILED, "start of the hook");
	else
		r = arguments_parse(argc, argv, &hook.options, &err);
	if (r == 1)
		return EXIT_STATUS_OK;
	report = report_of(&hook);
	report_open_log(&report);
	if (!r)
		r = read_state(&hook, &err);
	if (!r && hook.options.verb == HOOK_POSTSTOP)
		janitor_run(hook.container.state.id);
	else if (!r)
		r = create(&hook, argv, &err);
	report = report_of(&hook);
	if (r < 0)
		report_failure(&report, err.text);
	hook_release(&hook);
	/* The container is gone: nobody is helped by a failure then. */
	return r < 0 && hook.options.verb != HOOK_POSTSTOP ? (int)err.status : EXIT_STATUS_OK;
}
