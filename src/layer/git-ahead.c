/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-ahead.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "util/lock.h"

/* What the cache of blobs holds many of. */
#define FILE_MAX (128u << 10)

struct read_ahead {
	struct object_cache *trees, *blobs; /* immutable, as the next two */
	struct object_loader *loader;
	bool is_off;
	struct mutex lock;
	pthread_cond_t changed;
	struct walk walk guarded_by(lock);
	bool is_idle guarded_by(lock); /* the thread waits for `changed` */
	unsigned rests guarded_by(lock);
	bool is_stopped guarded_by(lock);
	bool has_thread guarded_by(lock);
	pthread_t thread;
};

struct read_ahead *read_ahead_new(struct object_cache *trees, struct object_cache *blobs,
	struct object_loader *loader) no_lock_analysis
{
	struct read_ahead *ahead = calloc(1, sizeof(*ahead));
	cpu_set_t processors;

	if (!ahead)
		return NULL;
	ahead->trees = trees;
	ahead->blobs = blobs;
	ahead->loader = loader;
	ahead->is_off = sched_getaffinity(0, sizeof(processors), &processors) < 0 ||
			CPU_COUNT(&processors) < 2;
	mutex_init(&ahead->lock);
	pthread_cond_init(&ahead->changed, NULL);
	return ahead;
}

void read_ahead_free(struct read_ahead *ahead) no_lock_analysis
{
	if (!ahead)
		return;
	mutex_lock(&ahead->lock);
	ahead->is_stopped = true;
	pthread_cond_signal(&ahead->changed);
	mutex_unlock(&ahead->lock);
	if (ahead->has_thread)
		pthread_join(ahead->thread, NULL);
	walk_release(&ahead->walk);
	pthread_cond_destroy(&ahead->changed);
	mutex_destroy(&ahead->lock);
	free(ahead);
}

void read_ahead_rest(struct read_ahead *ahead)
{
	mutex_lock(&ahead->lock);
	walk_release(&ahead->walk);
	ahead->rests++;
	mutex_unlock(&ahead->lock);
}

/* --- the thread --- */

/* What cannot be read is told to those who ask for it. */
static void read_directory(struct read_ahead *ahead, const git_oid *id)
{
	struct object_cause cause = {""};
	struct cached_object *object;
	const struct tree_view *view;
	uint64_t size;

	if (object_cache_get(ahead->trees, id, load_tree, ahead->loader, &object, &cause) < 0)
		return;
	view = &cached_object_content(object)->tree;
	for (uint32_t i = 0; i < view->count && i < WALK_ENTRIES_MAX; i++) {
		struct tree_entry entry = tree_view_entry(view, i);

		if (!tree_entry_is_dir(&entry))
			(void)load_size(ahead->loader, object, i, &size, &cause);
	}
	cached_object_put(object);
}

static void read_file(struct read_ahead *ahead, struct cached_object *tree, uint32_t entry)
{
	struct object_cause cause = {""};
	struct tree_entry file = tree_view_entry(&cached_object_content(tree)->tree, entry);
	const git_oid id = git_entry_id(&file);
	struct cached_object *object;
	uint64_t size;

	if (load_size(ahead->loader, tree, entry, &size, &cause) < 0 || size > FILE_MAX)
		return;
	if (object_cache_get(ahead->blobs, &id, load_blob, ahead->loader, &object, &cause) == 0)
		cached_object_put(object);
}

static void take_step(struct read_ahead *ahead, const struct walk_step *step)
{
	if (step->object)
		read_file(ahead, step->object, step->entry);
	else
		read_directory(ahead, &step->directory);
	cached_object_put(step->object);
}

static void *run(void *data)
{
	struct read_ahead *ahead = data;
	struct walk_step step;
	unsigned rests;

	mutex_lock(&ahead->lock);
	while (!ahead->is_stopped) {
		if (walk_next(&ahead->walk, &step)) {
			rests = ahead->rests;
			mutex_unlock(&ahead->lock);
			take_step(ahead, &step);
			mutex_lock(&ahead->lock);
			/* The cache was emptied meanwhile, and this came behind it. */
			if (rests != ahead->rests)
				object_cache_empty(ahead->trees);
			continue;
		}
		ahead->is_idle = true;
		mutex_wait(&ahead->lock, &ahead->changed);
		ahead->is_idle = false;
	}
	mutex_unlock(&ahead->lock);
	return NULL;
}

/*
 * A server that yields to everybody, or keeps to one processor, would hand that down. A thread is
 * what it is before it serves, so each asks once, and not at each step of a walk.
 */
static bool schedules_as_usual(void)
{
	static _Thread_local int policy = -1;

	if (policy < 0)
		policy = sched_getscheduler(0);
	return policy == SCHED_OTHER;
}

/*
 * No signal is for it, but those that its own calls and reads bring about: blocked, they would end
 * the process whatever handler it has (pages.h, sandbox.h).
 */
static void start(struct read_ahead *ahead) requires_lock(ahead->lock)
{
	static const int own[] = {SIGBUS, SIGSEGV, SIGSYS, SIGILL, SIGFPE, SIGTRAP};
	sigset_t others, old;

	sigfillset(&others);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&others, own[i]);
	pthread_sigmask(SIG_BLOCK, &others, &old);
	ahead->has_thread = pthread_create(&ahead->thread, NULL, run, ahead) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Gives the lock back: who is woken should not find it taken. */
static void go_on(struct read_ahead *ahead) releases(ahead->lock)
{
	bool wants = walk_wants_more(&ahead->walk);
	bool wakes = wants && ahead->is_idle;

	if (wants && !ahead->has_thread && schedules_as_usual())
		start(ahead);
	mutex_unlock(&ahead->lock);
	if (wakes)
		pthread_cond_signal(&ahead->changed);
}

void read_ahead_list(struct read_ahead *ahead, const struct walk_place *place)
{
	if (ahead->is_off)
		return;
	mutex_lock(&ahead->lock);
	walk_list(&ahead->walk, place);
	go_on(ahead);
}

void read_ahead_open(struct read_ahead *ahead, const git_oid *tree, uint32_t entry)
{
	if (ahead->is_off)
		return;
	mutex_lock(&ahead->lock);
	walk_open(&ahead->walk, tree, entry);
	go_on(ahead);
}
