/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passthrough-stress DIRECTORY SECONDS SEED [keep]: several processes open, map, change, rename,
 * link and remove the same few files in all ways, and keep descriptors and mappings for a while.
 * Nobody may ever get EIO, which is what the kernel says to a mixture of opens that it cannot have.
 * From time to time the kernel is made to forget all of them, but for `keep`.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 4
#define NAMES	  12
#define KEPT	  6
#define MAP_SIZE  8192

/* What a process holds on to, the oldest replaced by the next. */
static struct {
	int fd;
	void *map;
	bool is_writable;
} kept[KEPT];
static size_t next_kept;
static unsigned state;
static sigjmp_buf beyond_end;

static unsigned number(unsigned below)
{
	state = state * 1103515245 + 12345;
	return (state >> 8) % below;
}

static int any_name(char name[16])
{
	return snprintf(name, 16, "f%u", number(NAMES));
}

static void expect(const char *what, long r)
{
	if (r >= 0 || errno == ENOENT || errno == EEXIST)
		return;
	fprintf(stderr, "passthrough-stress: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void on_bus_error(int signal)
{
	siglongjmp(beyond_end, 1);
}

/* The file may have been cut off behind us. */
static void touch(char *map, bool is_writable)
{
	volatile char *byte = map + number(MAP_SIZE);

	if (sigsetjmp(beyond_end, 1))
		return;
	if (is_writable)
		*byte = (char)('a' + number(26));
	else
		(void)*byte;
}

static void keep(int fd, void *map, bool is_writable)
{
	size_t i = next_kept++ % KEPT;

	if (kept[i].map)
		munmap(kept[i].map, MAP_SIZE);
	if (kept[i].fd >= 0)
		close(kept[i].fd);
	kept[i].fd = fd;
	kept[i].map = map;
	kept[i].is_writable = is_writable;
}

static void use(int fd, bool reads, bool writes)
{
	char buf[512];
	void *map = NULL;

	memset(buf, 'A' + (int)number(26), sizeof(buf));
	if (reads)
		expect("pread", pread(fd, buf, sizeof(buf), number(MAP_SIZE)));
	if (reads && number(4) == 0)
		posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	if (writes)
		expect("pwrite", pwrite(fd, buf, 1 + number(sizeof(buf)), number(MAP_SIZE)));
	if (writes && number(4) == 0)
		expect("fsync", fsync(fd));
	if (reads && number(2) == 0) {
		map = mmap(
			NULL, MAP_SIZE, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			expect("mmap", -1);
		touch(map, writes);
	}
	if (map && number(2) == 0) {
		close(fd);
		fd = -1;
	}
	keep(fd, map, writes);
}

static void open_one(void)
{
	static const int flags[] = {O_RDONLY, O_RDONLY, O_RDONLY, O_RDWR, O_RDWR, O_WRONLY,
		O_WRONLY | O_TRUNC, O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_TRUNC,
		O_RDWR | O_APPEND, O_RDONLY | O_DIRECT};
	int flag = flags[number(sizeof(flags) / sizeof(flags[0]))], fd;
	char name[16];

	any_name(name);
	fd = open(name, flag | O_CLOEXEC, 0644);
	expect("open", fd);
	if (fd >= 0 && flag & O_DIRECT)
		keep(fd, NULL, false);
	else if (fd >= 0)
		use(fd, (flag & O_ACCMODE) != O_WRONLY, (flag & O_ACCMODE) != O_RDONLY);
}

static void change_names(void)
{
	char name[16], other[16];
	struct stat st;

	any_name(name);
	any_name(other);
	switch (number(6)) {
	case 0:
		expect("rename", rename(name, other));
		break;
	case 1:
		expect("unlink", unlink(name));
		break;
	case 2:
		expect("link", link(name, other));
		break;
	case 3:
		expect("truncate", truncate(name, number(MAP_SIZE)));
		break;
	default:
		expect("stat", stat(name, &st));
		break;
	}
}

static void touch_kept(void)
{
	size_t i = number(KEPT);

	if (kept[i].map)
		touch(kept[i].map, kept[i].is_writable);
}

static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "2", 1);
	close(fd);
}

static void work(unsigned seed, time_t end, bool forgets)
{
	state = seed;
	signal(SIGBUS, on_bus_error);
	for (size_t i = 0; i < KEPT; i++)
		kept[i].fd = -1;
	for (unsigned step = 0; time(NULL) < end; step++) {
		switch (number(8)) {
		case 0:
		case 1:
			change_names();
			break;
		case 2:
			touch_kept();
			break;
		default:
			open_one();
			break;
		}
		if (forgets && step % 1000 == 999)
			drop_caches();
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int failed = 0;
	time_t end;

	if (argc < 4 || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: passthrough-stress DIRECTORY SECONDS SEED [keep]\n");
		return 2;
	}
	end = time(NULL) + atoi(argv[2]);
	for (unsigned i = 0; i < PROCESSES; i++)
		if (fork() == 0)
			work((unsigned)atoi(argv[3]) * PROCESSES + i, end, argc == 4);
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status;

		wait(&status);
		failed |= !WIFEXITED(status) || WEXITSTATUS(status);
	}
	return failed;
}
