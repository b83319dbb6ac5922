/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is shared: mappings that stay, locks, leases, events, the page cache, other processes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

#define MAP_SIZE 16384

static char *maps[POSIX_HANDLES];

static long result_of(int r)
{
	return r < 0 ? -errno : r;
}

/* --- mappings --- */

/* mmap MAP N r|rw shared|private */
static long op_mmap(struct posix_run *run, char **args, char *result)
{
	char **map = &maps[atoi(args[0]) % POSIX_HANDLES];
	int protection = PROT_READ | (strchr(args[2], 'w') ? PROT_WRITE : 0);
	int flags = strcmp(args[3], "shared") == 0 ? MAP_SHARED : MAP_PRIVATE;
	void *new = mmap(NULL, MAP_SIZE, protection, flags, posix_fd(run, args[1]), 0);

	if (new == MAP_FAILED)
		return -errno;
	if (*map)
		munmap(*map, MAP_SIZE);
	*map = new;
	return 0;
}

static char *map_of(const char *number)
{
	char *map = maps[atoi(number) % POSIX_HANDLES];

	if (!map)
		posix_die("no mapping %s", number);
	return map;
}

/* mread MAP OFFSET LENGTH */
static long op_mread(struct posix_run *run, char **args, char *result)
{
	const char *from = map_of(args[0]) + posix_number(args[1]);

	for (long i = 0; i < posix_number(args[2]); i++)
		result[i] = from[i] > ' ' && from[i] < 127 ? from[i] : '.';
	result[posix_number(args[2])] = '\0';
	return 0;
}

/* mwrite MAP OFFSET TEXT */
static long op_mwrite(struct posix_run *run, char **args, char *result)
{
	memcpy(map_of(args[0]) + posix_number(args[1]), args[2], strlen(args[2]));
	return 0;
}

static long op_msync(struct posix_run *run, char **args, char *result)
{
	return result_of(msync(map_of(args[0]), MAP_SIZE, MS_SYNC));
}

/* --- the page cache --- */

/* drop 1|2|3: what the whole machine has cached; what is dirty here is written back first */
static long op_drop(struct posix_run *run, char **args, char *result)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (here >= 0) {
		syncfs(here);
		close(here);
	}
	/* Without that right the check says less. */
	if (fd >= 0 && write(fd, args[0], strlen(args[0])) < 0)
		errno = 0;
	if (fd >= 0)
		close(fd);
	return 0;
}

static long op_forget(struct posix_run *run, char **args, char *result)
{
	return -posix_fadvise(posix_fd(run, args[0]), 0, 0, POSIX_FADV_DONTNEED);
}

/* --- other processes --- */

/* other WORD ARGUMENT...: by a process that has nothing open, as the same user */
static long op_other(struct posix_run *run, char **args, char *result)
{
	const struct posix_op *op = posix_find_op(args[0]);
	struct posix_run none = {0};
	int ends[2];
	ssize_t n;
	pid_t pid;

	if (!op || pipe2(ends, O_CLOEXEC) < 0)
		posix_die("no other can do '%s'", args[0]);
	pid = fork();
	if (pid == 0) {
		char text[POSIX_RESULT] = "";
		long r;

		memset(none.fds, -1, sizeof(none.fds));
		r = op->fn(&none, args + 1, text);
		if (r < 0)
			snprintf(text, sizeof(text), "%s", strerrorname_np((int)-r));
		else if (!text[0])
			snprintf(text, sizeof(text), "%ld", r);
		_exit(write(ends[1], text, strlen(text) + 1) < 0);
	}
	close(ends[1]);
	n = read(ends[0], result, POSIX_RESULT);
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return n < 0 ? -errno : 0;
}

/* --- locks and leases --- */

/* flock N sh|ex|un, without waiting. N may be a path with a slash, for another process. */
static long op_flock(struct posix_run *run, char **args, char *result)
{
	int operation = args[1][0] == 's' ? LOCK_SH : args[1][0] == 'e' ? LOCK_EX : LOCK_UN;
	int fd = args[0][1] ? open(args[0], O_RDWR | O_CLOEXEC) : posix_fd(run, args[0]);

	return result_of(flock(fd, operation | LOCK_NB));
}

static long set_lock(struct posix_run *run, char **args, int command)
{
	struct flock lock = {
		.l_type = args[1][0] == 'r'   ? F_RDLCK
			  : args[1][0] == 'w' ? F_WRLCK
					      : F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = posix_number(args[2]),
		.l_len = posix_number(args[3]),
	};
	int fd = args[0][1] ? open(args[0], O_RDWR | O_CLOEXEC) : posix_fd(run, args[0]);

	return result_of(fcntl(fd, command, &lock));
}

/* lock N|/PATH r|w|u OFFSET LENGTH: of the process */
static long op_lock(struct posix_run *run, char **args, char *result)
{
	return set_lock(run, args, F_SETLK);
}

/* ofd N|/PATH r|w|u OFFSET LENGTH: of the open file */
static long op_ofd(struct posix_run *run, char **args, char *result)
{
	return set_lock(run, args, F_OFD_SETLK);
}

/* who PATH r|w OFFSET LENGTH: whether a lock could be had, and else which one is in the way */
static long op_who(struct posix_run *run, char **args, char *result)
{
	struct flock lock = {
		.l_type = args[1][0] == 'r' ? F_RDLCK : F_WRLCK,
		.l_start = posix_number(args[2]),
		.l_len = posix_number(args[3]),
	};
	int fd = open(args[0], O_RDWR | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0)
		return -errno;
	close(fd);
	snprintf(result, POSIX_RESULT, "%s",
		lock.l_type == F_UNLCK	 ? "free"
		: lock.l_type == F_RDLCK ? "read"
					 : "write");
	return 0;
}

static long op_lease(struct posix_run *run, char **args, char *result)
{
	int type = args[1][0] == 'r' ? F_RDLCK : args[1][0] == 'w' ? F_WRLCK : F_UNLCK;

	return result_of(fcntl(posix_fd(run, args[0]), F_SETLEASE, type));
}

/* --- events --- */

/* watch N PATH: everything that happens, by inotify */
static long op_watch(struct posix_run *run, char **args, char *result)
{
	int *fd = &run->fds[atoi(args[0]) % POSIX_HANDLES];

	if (*fd < 0)
		*fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return inotify_add_watch(*fd, args[1], IN_ALL_EVENTS) < 0 ? -errno : 0;
}

static size_t show_mask(char *out, size_t room, uint32_t mask)
{
	static const char *const names[] = {"access", "modify", "attrib", "close-write", "close",
		"open", "from", "to", "create", "delete", "delete-self", "move-self"};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mask & 1u << i && used < room)
			used += (size_t)snprintf(out + used, room - used, "%s", names[i]);
	return used < room ? used : room - 1;
}

/* events N: what has happened since, without reads */
static long op_events(struct posix_run *run, char **args, char *result)
{
	char buf[8192] __attribute__((aligned(8)));
	ssize_t n = read(posix_fd(run, args[0]), buf, sizeof(buf));
	size_t used = 0;

	strcpy(result, "-");
	for (char *p = buf; p < buf + n && used < 400;) {
		struct inotify_event event;

		memcpy(&event, p, sizeof(event));
		if (event.mask & (IN_ALL_EVENTS & ~IN_ACCESS)) {
			used += show_mask(result + used, POSIX_RESULT - used, event.mask);
			used += (size_t)snprintf(result + used, POSIX_RESULT - used, ":%.40s,",
				event.len ? p + sizeof(event) : "");
		}
		p += sizeof(event) + event.len;
	}
	return n < 0 && errno != EAGAIN ? -errno : 0;
}

/* fanwatch N DIR: what is opened, changed and closed in it */
static long op_fanwatch(struct posix_run *run, char **args, char *result)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY);

	if (fd < 0)
		return -errno;
	run->fds[atoi(args[0]) % POSIX_HANDLES] = fd;
	return result_of(fanotify_mark(fd, FAN_MARK_ADD,
		FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_EVENT_ON_CHILD,
		AT_FDCWD, args[1]));
}

static long op_fanevents(struct posix_run *run, char **args, char *result)
{
	char buf[8192] __attribute__((aligned(8)));
	ssize_t n = read(posix_fd(run, args[0]), buf, sizeof(buf));
	size_t used = 0;

	strcpy(result, "-");
	for (char *p = buf; p < buf + n && used < 400;) {
		struct fanotify_event_metadata event;

		memcpy(&event, p, sizeof(event));
		used += show_mask(result + used, POSIX_RESULT - used, (uint32_t)event.mask);
		used += (size_t)snprintf(result + used, POSIX_RESULT - used, ",");
		close(event.fd);
		p += event.event_len;
	}
	return n < 0 && errno != EAGAIN ? -errno : 0;
}

const struct posix_op posix_share_ops[] = {
	{"mmap", 4, false, op_mmap},
	{"mread", 3, true, op_mread},
	{"mwrite", 3, false, op_mwrite},
	{"msync", 1, false, op_msync},
	{"drop", 1, false, op_drop},
	{"forget", 1, false, op_forget},
	{"other", 2, true, op_other},
	{"flock", 2, false, op_flock},
	{"lock", 4, false, op_lock},
	{"ofd", 4, false, op_ofd},
	{"who", 4, true, op_who},
	{"lease", 2, false, op_lease},
	{"watch", 2, false, op_watch},
	{"events", 1, true, op_events},
	{"fanwatch", 2, false, op_fanwatch},
	{"fanevents", 1, true, op_fanevents},
	{NULL},
};
