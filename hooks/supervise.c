/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/supervisor.h>

#include "util/cleanup.h"

/* Escapes for a list of options: what separates the items, and the escape itself. */
static void put_value(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == ',' || *value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
}

/* A part of REPO@REV:SUBDIR is escaped once for that form, and again for the list. */
static void put_part(FILE *out, const char *separator, const char *part)
{
	if (!part)
		return;
	fputs(separator, out);
	for (; *part; part++) {
		if (strchr("@:\\", *part))
			fputs("\\\\", out);
		put_value(out, (char[]){*part, '\0'});
	}
}

static void put_layer(FILE *out, const struct layer_spec *layer)
{
	fprintf(out, ",layer=%s:", layer->kind);
	if (strcmp(layer->kind, "git") != 0) {
		put_value(out, layer->path);
		return;
	}
	put_part(out, "", layer->path);
	put_part(out, "@", layer->rev);
	put_part(out, ":", layer->subdir);
}

static void put_string(FILE *out, const char *name, const char *value)
{
	if (!value)
		return;
	fprintf(out, ",%s=", name);
	put_value(out, value);
}

static void put_flags(FILE *out, const struct workspace_config *config)
{
	if (config->owner_is_set)
		fprintf(out, ",owner=%u:%u", config->owner_uid, config->owner_gid);
	if (!config->mtime_is_commit)
		fprintf(out, ",mtime=%lld", (long long)config->mtime);
	if (config->keep != CONFIG_KEEP_DEFAULT)
		fprintf(out, ",keep=%s", config->keep == CONFIG_KEEP_KEEP ? "keep" : "discard");
	if (config->read_only)
		fputs(",ro", out);
	if (config->is_volatile)
		fputs(",volatile", out);
	if (config->no_acls)
		fputs(",noacl", out);
	if (config->static_nlink)
		fputs(",static_nlink", out);
	fprintf(out, ",passthrough=%s", config->passthrough ? "auto" : "off");
	fprintf(out, ",writeback=%s", config->writeback ? "auto" : "off");
	fprintf(out, ",opens=%s", config->kernel_opens ? "kernel" : "daemon");
	if (config->max_size)
		fprintf(out, ",size=%" PRIu64, config->max_size);
	if (config->max_inodes)
		fprintf(out, ",inodes=%" PRIu64, config->max_inodes);
}

int supervise_options(const struct workspace_config *config, char **ret_text, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	put_string(out, "target", config->target);
	for (size_t i = 0; i < config->layer_count; i++)
		put_layer(out, &config->layers[i]);
	put_string(out, "upperdir", config->upper);
	put_string(out, "workdir", config->work);
	put_flags(out, config);
	if (fclose(out) != 0)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	*ret_text = steal_ptr(&text);
	return 0;
}

struct arguments {
	char **words; /* ended by NULL */
	size_t count, room;
};

static void arguments_release(struct arguments *arguments)
{
	for (size_t i = 0; arguments->words && i < arguments->count; i++)
		free(arguments->words[i]);
	free(arguments->words);
}

__attribute__((format(printf, 2, 3))) static int add(
	struct arguments *arguments, const char *format, ...)
{
	va_list ap;
	int n;

	if (arguments->count + 1 >= arguments->room)
		return -ENOMEM;
	va_start(ap, format);
	n = vasprintf(&arguments->words[arguments->count], format, ap);
	va_end(ap);
	if (n < 0) {
		arguments->words[arguments->count] = NULL;
		return -ENOMEM;
	}
	arguments->words[++arguments->count] = NULL;
	return 0;
}

static int add_sources(
	struct arguments *arguments, const struct supervise_request *request, struct error *err)
{
	for (size_t i = 0; i < request->config->layer_count; i++) {
		_cleanup_free_ char *text = NULL;
		int r = source_to_text(&request->sources[i], &text);

		if (!r)
			r = add(arguments, "--source=%s", text);
		if (r < 0)
			return error_set_errno(err, -r, EXIT_STATUS_FAILED, "layer %zu", i);
	}
	return 0;
}

static int make_arguments(const struct supervise_request *request, int control_fd,
	struct arguments *ret, struct error *err)
{
	const struct container *container = request->container;
	_cleanup_free_ char *options = NULL;
	int r = supervise_options(request->config, &options, err);

	if (r < 0)
		return r;
	ret->room = request->config->layer_count + 16 + POD_NAMESPACES_MAX;
	ret->words = calloc(ret->room, sizeof(char *));
	if (!ret->words)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	r = add(ret, "git-overlayfs");
	r = r ? r : add(ret, "supervise");
	r = r ? r : add(ret, "--control=%d", control_fd);
	r = r ? r : add(ret, "--workspace=%s", request->workspace->id);
	r = r ? r : add(ret, "--lock=%d", request->workspace->lock_fd);
	r = r ? r : add(ret, "--pidfd=%d", container->pidfd);
	r = r ? r : add(ret, "--container=%s", container->state.id);
	if (!r && container->userns_fd >= 0)
		r = add(ret, "--userns=%d", container->userns_fd);
	if (!r && request->upper_fd >= 0)
		r = add(ret, "--upper=%d", request->upper_fd);
	if (!r && request->work_fd >= 0)
		r = add(ret, "--work=%d", request->work_fd);
	for (size_t i = 0; r == 0 && i < POD_NAMESPACES_MAX; i++)
		if (request->pod->fds[i] >= 0)
			r = add(ret, "--hold=%d", request->pod->fds[i]);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "supervisor");
	r = add_sources(ret, request, err);
	if (!r && (add(ret, "--") < 0 || add(ret, "%s", options + 1) < 0))
		r = error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	return r;
}

static int let_pass(int fd)
{
	int flags = fd < 0 ? 0 : fcntl(fd, F_GETFD);

	return fd < 0 || (flags >= 0 && fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) == 0) ? 0 : -errno;
}

/*
 * The runtime waits for the end of file of the hook's output, so none of it may stay
 * open; a session of its own keeps the supervisor apart from the runtime's terminal.
 */
static int detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return -errno;
	return setsid() < 0 || chdir("/") < 0 ? -errno : 0;
}

_Noreturn static void exec_supervisor(
	const struct supervise_request *request, int control_fd, char **words)
{
	const struct container *container = request->container;
	int r = detach();

	if (!r)
		r = let_pass(control_fd);
	if (!r)
		r = let_pass(request->workspace->lock_fd);
	if (!r)
		r = let_pass(container->pidfd);
	if (!r)
		r = let_pass(container->userns_fd);
	if (!r)
		r = let_pass(request->upper_fd);
	if (!r)
		r = let_pass(request->work_fd);
	for (size_t i = 0; r == 0 && i < POD_NAMESPACES_MAX; i++)
		r = let_pass(request->pod->fds[i]);
	if (!r)
		execv(request->program, words);
	_exit(127);
}

/* source_to_text() made them inheritable: the next supervisor must not inherit them. */
static void hold_back_sources(const struct supervise_request *request)
{
	for (size_t i = 0; i < request->config->layer_count; i++) {
		const struct source *source = &request->sources[i];

		fcntl(source->dir.fd, F_SETFD, FD_CLOEXEC);
		for (size_t k = 0; k < source->alternate_count; k++)
			fcntl(source->alternates[k].fd, F_SETFD, FD_CLOEXEC);
	}
}

int supervise_start(const struct supervise_request *request, pid_t *ret_pid, int *ret_control_fd,
	struct error *err)
{
	_cleanup_(arguments_release) struct arguments arguments = {0};
	int fds[2];
	pid_t pid = -1;
	int r;

	if (access(request->program, X_OK) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
			"cannot run %s (--program names another)", request->program);
	r = control_pair(fds, err);
	if (r < 0)
		return r;
	r = make_arguments(request, fds[1], &arguments, err);
	if (!r) {
		pid = fork();
		if (pid == 0)
			exec_supervisor(request, fds[1], arguments.words);
		if (pid < 0)
			r = error_set_errno(err, errno, EXIT_STATUS_MACHINE, "fork");
	}
	hold_back_sources(request);
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return r;
	}
	*ret_pid = pid;
	*ret_control_fd = fds[0];
	return 0;
}
