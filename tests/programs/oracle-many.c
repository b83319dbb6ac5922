/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several processes on one mount, and some that only look. */
#include "oracle.h"

#include <errno.h>
#include <ftw.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBSERVERS 2

/* --- observers --- */

static bool may_be(int error)
{
	/* What is looked at changes. */
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENXIO;
}

static int observe(const char *path, const struct stat *st, int type, struct FTW *where)
{
	char buffer[8192];
	int fd;

	if (type == FTW_NS && !may_be(errno)) {
		fprintf(stderr, "observer: stat of %s: %m\n", path);
		return 1;
	}
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && !may_be(errno)) {
		fprintf(stderr, "observer: opening %s: %m\n", path);
		return 1;
	}
	if (fd >= 0 && read(fd, buffer, sizeof(buffer)) < 0 && errno != EISDIR && errno != EINVAL) {
		fprintf(stderr, "observer: reading %s: %m\n", path);
		return 1;
	}
	if (fd >= 0)
		close(fd);
	return 0;
}

/* Reads everything again and again. */
static pid_t start_observer(const struct session *s)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	while (pid == 0) {
		if (nftw(s->place.mount, observe, 16, FTW_PHYS) > 0)
			_exit(1);
		usleep(2000);
	}
	return pid;
}

static bool end_observer(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) == pid)
		return false;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* --- those that change things --- */

static int run_one(const struct session *whole, unsigned number, uint64_t seed, size_t steps)
{
	struct session s = *whole;
	struct sequence seq;
	struct divergence div;
	char subtree[20];

	snprintf(subtree, sizeof(subtree), "p%u", number);
	s.place.subtree = subtree;
	s.ids = (struct identities){NULL, 0, 0};
	s.board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s.board == MAP_FAILED)
		die("mmap: %m");
	sequence_generate(seed, steps, s.without, &seq);
	session_run(&s, &seq, &div);
	if (!div.is_there)
		return 0;
	printf("process %u, seed %llu, step %zu of %zu: %s\n", number, (unsigned long long)seed,
		div.step, steps, div.signature);
	session_print_end(stdout, &seq, &div, 12);
	fflush(stdout);
	return 1;
}

static pid_t start_one(const struct session *s, unsigned number, uint64_t seed, size_t steps)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	if (pid == 0)
		exit(run_one(s, number, seed, steps));
	return pid;
}

static void check_whole(struct session *s, int *failures)
{
	static const char *const words[] = {"before", "after"};
	struct divergence div;

	for (unsigned i = 0; i < 2; i++) {
		struct tree trees[2];

		tree_scan(s->place.mount, &trees[0]);
		tree_scan(s->place.native, &trees[1]);
		tree_compare(&trees[0], &trees[1], s->board, &s->ids, s->without, div.text,
			sizeof(div.text));
		tree_free(&trees[0]);
		tree_free(&trees[1]);
		if (*div.text) {
			printf("the whole tree, %s a remount:\n%s", words[i], div.text);
			(*failures)++;
		}
		if (i == 0) {
			place_unmount(&s->place);
			place_mount(&s->place);
		}
	}
}

int session_many(struct session *s, unsigned processes, uint64_t seed, size_t steps)
{
	pid_t pids[64], observers[OBSERVERS];
	int failures = 0, status;

	place_fresh(&s->place);
	s->ids.count = 0;
	s->board->epochs.count = 0;
	epoch_begin(s->board);
	for (unsigned i = 0; i < processes; i++)
		pids[i] = start_one(s, i, seed + 1000003 * (uint64_t)i, steps);
	for (unsigned i = 0; i < OBSERVERS; i++)
		observers[i] = start_observer(s);
	for (unsigned i = 0; i < processes; i++) {
		if (waitpid(pids[i], &status, 0) < 0 || status != 0)
			failures++;
	}
	for (unsigned i = 0; i < OBSERVERS; i++)
		if (!end_observer(observers[i]))
			failures++;
	if (failures == 0)
		check_whole(s, &failures);
	return failures;
}
