/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/lift.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "overlay/call.h"
#include "util/cleanup.h"
#include "util/lock.h"

/* An object whose mode is lifted. */
struct lifted {
	struct lifted *next;
	dev_t dev;
	ino_t ino;
	mode_t added; /* what is not of its own mode */
	unsigned lifts;
};

/* A leaf: held over fstat(2) and chmod(2). */
static struct mutex lock = {.native = PTHREAD_MUTEX_INITIALIZER};
static struct lifted *objects guarded_by(lock);
/*
 * Written under the lock: an object counts from before its mode is lifted until after it is back,
 * and each change counts when it is made. So who looks without the lock misses none.
 */
static atomic_uint object_count, change_count;

static struct lifted *find_locked(const struct stat *st) requires_lock(lock)
{
	struct lifted *object = objects;

	while (object && (object->ino != st->st_ino || object->dev != st->st_dev))
		object = object->next;
	return object;
}

static struct lifted *add_locked(const struct stat *st) requires_lock(lock)
{
	struct lifted *object = malloc(sizeof(*object));

	if (!object)
		return NULL;
	*object = (struct lifted){.next = objects, .dev = st->st_dev, .ino = st->st_ino};
	objects = object;
	object_count++;
	return object;
}

static void drop_locked(struct lifted *object) requires_lock(lock)
{
	struct lifted **at = &objects;

	if (--object->lifts > 0)
		return;
	while (*at != object)
		at = &(*at)->next;
	*at = object->next;
	object_count--;
	free(object);
}

static int set_locked(int fd, mode_t mode) requires_lock(lock)
{
	int r = call_chmod_as_it_is(fd, mode);

	change_count++;
	return r;
}

static int begin_locked(int fd, mode_t bits, struct lifted **ret_object) requires_lock(lock)
{
	struct lifted *object;
	struct stat st;
	int r = call_fstat_as_it_is(fd, &st);

	if (r < 0)
		return r;
	object = find_locked(&st);
	bits &= ~st.st_mode;
	if (!object && !bits)
		return -EACCES;
	if (!object && !(object = add_locked(&st)))
		return -ENOMEM;
	object->lifts++;
	r = bits ? set_locked(fd, (st.st_mode & 07777) | bits) : 0;
	if (r < 0) {
		drop_locked(object);
		return r == -EPERM ? -EACCES : r;
	}
	object->added |= bits;
	*ret_object = object;
	return 0;
}

int lift_begin(int fd, mode_t bits, struct lift *ret_lift)
{
	int r;

	*ret_lift = (struct lift){.fd = fd};
	mutex_lock(&lock);
	r = begin_locked(fd, bits, &ret_lift->object);
	mutex_unlock(&lock);
	return r;
}

/* What the mode has lost meanwhile, a write to a set-id program's, it has not again. */
static int restore_locked(int fd, const struct lifted *object) requires_lock(lock)
{
	struct stat st;
	int r;

	if (object->lifts > 1)
		return 0;
	r = call_fstat_as_it_is(fd, &st);
	if (r < 0 || !(st.st_mode & object->added))
		return r;
	return set_locked(fd, st.st_mode & 07777 & ~object->added);
}

int lift_end(struct lift *lift)
{
	int r;

	if (!lift->object)
		return 0;
	mutex_lock(&lock);
	r = restore_locked(lift->fd, lift->object);
	drop_locked(lift->object);
	mutex_unlock(&lock);
	lift->object = NULL;
	return r;
}

void lift_leave(struct lift *lift)
{
	mutex_lock(&lock);
	drop_locked(lift->object);
	mutex_unlock(&lock);
	lift->object = NULL;
}

unsigned lift_changes(void)
{
	return change_count;
}

bool lift_hides(struct stat *st, unsigned changes)
{
	if (object_count) {
		const struct lifted *object;

		mutex_lock(&lock);
		object = find_locked(st);
		if (object)
			st->st_mode &= ~object->added;
		mutex_unlock(&lock);
	}
	return change_count != changes;
}

static int chmod_locked(int fd, mode_t mode) requires_lock(lock)
{
	struct lifted *object = NULL;
	struct stat st;
	mode_t added;
	int r = object_count ? call_fstat_as_it_is(fd, &st) : 0;

	if (r < 0)
		return r;
	if (object_count)
		object = find_locked(&st);
	if (!object)
		return call_chmod_as_it_is(fd, mode);
	added = (st.st_mode & object->added) & ~mode;
	r = set_locked(fd, mode | added);
	if (r == 0)
		object->added = added;
	return r;
}

int lift_chmod(int fd, mode_t mode)
{
	int r;

	mutex_lock(&lock);
	r = chmod_locked(fd, mode);
	mutex_unlock(&lock);
	return r;
}

static mode_t needed(int flags)
{
	if (flags & O_DIRECTORY)
		return 0500;
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return 0400;
	case O_WRONLY:
		return 0200;
	default:
		return 0600;
	}
}

int lift_reopen(int fd, int flags)
{
	struct lift lift;
	int r, opened = call_reopen(fd, flags);

	if (opened != -EACCES)
		return opened;
	r = lift_begin(fd, needed(flags), &lift);
	if (r < 0)
		return r;
	opened = call_reopen(fd, flags);
	r = lift_end(&lift);
	if (r < 0 && opened >= 0)
		close_keep_errno(opened);
	return r < 0 ? r : opened;
}

int lift_openat(int dir_fd, const char *name, int flags)
{
	_cleanup_close_ int path_fd = -1;
	int fd = call_openat(dir_fd, name, flags | O_NOFOLLOW, 0);

	if (fd != -EACCES || flags & O_PATH)
		return fd;
	path_fd = call_openat(dir_fd, name, O_PATH | O_NOFOLLOW, 0);
	return path_fd < 0 ? -EACCES : lift_reopen(path_fd, flags);
}

int lift_opendir(int dir_fd, DIR **ret_stream)
{
	struct lift lift;
	int back, r = call_opendir(dir_fd, ret_stream);

	if (r != -EACCES)
		return r;
	r = lift_begin(dir_fd, 0500, &lift);
	if (r < 0)
		return r;
	r = call_opendir(dir_fd, ret_stream);
	back = lift_end(&lift);
	if (r == 0 && back < 0) {
		closedir(*ret_stream);
		*ret_stream = NULL;
	}
	return r < 0 ? r : back;
}
