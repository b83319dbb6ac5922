/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * posix-exerciser FILE [STEPS [SEED [PROCESSES]]]
 *
 * Changes and reads one file in all ways that there are, by several processes in turn, each with
 * descriptors and mappings that it opened at any time before, and holds what it reads against a
 * copy in memory. The file must be there; its content is taken for right at the start. At the end
 * it is unlinked, and used on. A difference ends it with the last steps and status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE_LIMIT (192 << 10)
#define BLOCK	   4096
#define LOG_LINES  40
#define LOG_WIDTH  96

/* Shared by all processes, protected by its mutex. */
struct world {
	pthread_mutex_t lock;
	unsigned long step, steps;
	unsigned seed;
	bool is_over, is_unlinked;
	char path[2][512];
	int name; /* which of the paths it has */
	off_t size;
	char image[SIZE_LIMIT];
	char log[LOG_LINES][LOG_WIDTH];
};

static struct world *world;

/* What one process holds. The reader and its mapping stay for long. */
static struct {
	int reader, writer, appender, direct;
	char *map;
	int number;
} own;

static char scratch[SIZE_LIMIT] __attribute__((aligned(BLOCK)));

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	char *line = world->log[world->step % LOG_LINES];
	int used = snprintf(line, LOG_WIDTH, "%lu process %d: ", world->step, own.number);
	va_list ap;

	va_start(ap, format);
	vsnprintf(line + used, LOG_WIDTH - (size_t)used, format, ap);
	va_end(ap);
}

static _Noreturn void give_up(const char *what, off_t at)
{
	printf("FAILED: %s at %lld (errno %s), seed %u\n", what, (long long)at,
		strerrorname_np(errno), world->seed);
	for (unsigned long i = 0; i < LOG_LINES; i++)
		if (world->step + i >= LOG_LINES)
			puts(world->log[(world->step + i + 1) % LOG_LINES]);
	world->is_over = true;
	fflush(stdout);
	pthread_mutex_unlock(&world->lock);
	_exit(1);
}

static unsigned number_below(unsigned limit)
{
	world->seed = world->seed * 1103515245u + 12345u;
	return limit ? (world->seed >> 8) % limit : 0;
}

static void compare(const char *what, const char *got, off_t at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (got[i] != world->image[at + (off_t)i]) {
			errno = 0;
			printf("got %02x, wanted %02x, size %lld\n", (unsigned char)got[i],
				(unsigned char)world->image[at + (off_t)i], (long long)world->size);
			give_up(what, at + (off_t)i);
		}
}

/* --- opening --- */

static const char *path_of_file(char buf[64])
{
	if (!world->is_unlinked)
		return world->path[world->name];
	snprintf(buf, 64, "/proc/self/fd/%d", own.reader);
	return buf;
}

static void reopen(int *fd, int flags)
{
	char buf[64];
	int new = open(path_of_file(buf), flags | O_CLOEXEC);

	if (new < 0)
		give_up("open", flags);
	if (*fd >= 0)
		close(*fd);
	*fd = new;
}

static void remap(void)
{
	if (own.map)
		munmap(own.map, SIZE_LIMIT);
	own.map = mmap(NULL, SIZE_LIMIT, PROT_READ, MAP_SHARED, own.reader, 0);
	if (own.map == MAP_FAILED)
		give_up("mmap", 0);
}

/* --- steps --- */

/* A range in the file, not empty; false when there is none. */
static bool choose_range(off_t *ret_at, size_t *ret_length)
{
	if (world->size == 0)
		return false;
	*ret_at = number_below((unsigned)world->size);
	*ret_length = 1 + number_below((unsigned)(world->size - *ret_at));
	if (number_below(2) && *ret_length > 5000)
		*ret_length = 1 + number_below(5000);
	return true;
}

/* One that may lie behind the end. */
static void choose_new_range(off_t *ret_at, size_t *ret_length)
{
	*ret_at = number_below(SIZE_LIMIT - 1);
	*ret_length = 1 + number_below(number_below(3) ? 9000 : 60000);
	if (*ret_at + (off_t)*ret_length > SIZE_LIMIT)
		*ret_length = (size_t)(SIZE_LIMIT - *ret_at);
}

static void grow(off_t size)
{
	if (size > world->size) {
		memset(world->image + world->size, 0, (size_t)(size - world->size));
		world->size = size;
	}
}

static void fill(char *out, size_t length)
{
	char first = (char)number_below(256);

	for (size_t i = 0; i < length; i++)
		out[i] = (char)(first + (char)i * 7);
}

static void check_size(void)
{
	struct stat st;
	char buf[64];

	if (fstat(own.reader, &st) < 0 || st.st_size != world->size)
		give_up("size of the descriptor", st.st_size);
	if (stat(path_of_file(buf), &st) < 0 || st.st_size != world->size)
		give_up("size of the name", st.st_size);
}

static void step_read(void)
{
	off_t at;
	size_t length;
	int fd = number_below(2) ? own.reader : own.writer;

	if (!choose_range(&at, &length))
		return;
	note("read %lld +%zu by the %s", (long long)at, length,
		fd == own.reader ? "reader" : "writer");
	if (pread(fd, scratch, length, at) != (ssize_t)length)
		give_up("read", at);
	compare("read", scratch, at, length);
	if (pread(fd, scratch, 10, world->size) != 0)
		give_up("read at the end", world->size);
}

static void step_read_map(void)
{
	off_t at;
	size_t length;

	if (!choose_range(&at, &length))
		return;
	note("read the mapping %lld +%zu", (long long)at, length);
	memcpy(scratch, own.map + at, length);
	compare("read of the mapping", scratch, at, length);
}

static void step_write(void)
{
	off_t at;
	size_t length;

	choose_new_range(&at, &length);
	note("write %lld +%zu", (long long)at, length);
	fill(scratch, length);
	if (pwrite(own.writer, scratch, length, at) != (ssize_t)length)
		give_up("write", at);
	grow(at + (off_t)length);
	memcpy(world->image + at, scratch, length);
}

static void step_append(void)
{
	size_t length = 1 + number_below(3000);

	if (world->size + (off_t)length > SIZE_LIMIT)
		return;
	note("append +%zu at %lld", length, (long long)world->size);
	fill(scratch, length);
	if (write(own.appender, scratch, length) != (ssize_t)length)
		give_up("append", world->size);
	memcpy(world->image + world->size, scratch, length);
	world->size += (off_t)length;
}

static void step_write_map(void)
{
	off_t at;
	size_t length;
	char *map;

	if (!choose_range(&at, &length))
		return;
	note("write through a mapping %lld +%zu", (long long)at, length);
	map = mmap(NULL, SIZE_LIMIT, PROT_READ | PROT_WRITE, MAP_SHARED, own.writer, 0);
	if (map == MAP_FAILED)
		give_up("mmap for writing", at);
	fill(scratch, length);
	memcpy(map + at, scratch, length);
	memcpy(world->image + at, scratch, length);
	if (number_below(3) == 0 && msync(map, SIZE_LIMIT, MS_SYNC) < 0)
		give_up("msync", at);
	munmap(map, SIZE_LIMIT);
}

/* A private mapping changes nothing for anybody. */
static void step_write_private(void)
{
	off_t at;
	size_t length;
	char *map;

	if (!choose_range(&at, &length))
		return;
	note("write through a private mapping %lld +%zu", (long long)at, length);
	map = mmap(NULL, SIZE_LIMIT, PROT_READ | PROT_WRITE, MAP_PRIVATE, own.reader, 0);
	if (map == MAP_FAILED)
		give_up("private mmap", at);
	memset(map + at, 'P', length);
	munmap(map, SIZE_LIMIT);
}

static void step_truncate(void)
{
	off_t size = number_below(4) ? number_below(SIZE_LIMIT) : number_below(3) * BLOCK;
	char buf[64];
	int r;

	note("truncate %lld to %lld", (long long)world->size, (long long)size);
	r = number_below(2) ? ftruncate(own.writer, size) : truncate(path_of_file(buf), size);
	if (r < 0)
		give_up("truncate", size);
	grow(size);
	world->size = size;
}

static void step_open_truncating(void)
{
	if (number_below(4))
		return;
	note("open with O_TRUNC");
	reopen(&own.writer, O_RDWR | O_TRUNC);
	world->size = 0;
}

static void step_fallocate(void)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	int mode = modes[number_below(sizeof(modes) / sizeof(modes[0]))];
	off_t at, end;
	size_t length;

	choose_new_range(&at, &length);
	note("fallocate %d %lld +%zu", mode, (long long)at, length);
	if (fallocate(own.writer, mode, at, (off_t)length) < 0)
		give_up("fallocate", at);
	end = at + (off_t)length;
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grow(end);
	if (end > world->size)
		end = world->size;
	if (mode & ~FALLOC_FL_KEEP_SIZE && end > at)
		memset(world->image + at, 0, (size_t)(end - at));
}

/* Within the file, to a place that does not overlap. */
static void step_copy(void)
{
	off_t from, to;
	size_t length;
	ssize_t n;

	if (!choose_range(&from, &length))
		return;
	to = number_below(SIZE_LIMIT);
	if (to + (off_t)length > SIZE_LIMIT ||
		(to < from + (off_t)length && from < to + (off_t)length))
		return;
	note("copy_file_range %lld to %lld +%zu", (long long)from, (long long)to, length);
	while (length > 0) {
		off_t in = from, out = to;

		n = copy_file_range(own.reader, &in, own.writer, &out, length, 0);
		if (n <= 0)
			give_up("copy_file_range", from);
		grow(to + n);
		memmove(world->image + to, world->image + from, (size_t)n);
		from += n;
		to += n;
		length -= (size_t)n;
	}
}

static void step_direct(void)
{
	off_t at = (off_t)number_below(SIZE_LIMIT / BLOCK - 8) * BLOCK;
	size_t length = BLOCK * (1 + number_below(8)), shown;

	if (own.direct < 0)
		return;
	if (number_below(2)) {
		note("write directly %lld +%zu", (long long)at, length);
		fill(scratch, length);
		if (pwrite(own.direct, scratch, length, at) != (ssize_t)length)
			give_up("direct write", at);
		grow(at + (off_t)length);
		memcpy(world->image + at, scratch, length);
		return;
	}
	note("read directly %lld +%zu", (long long)at, length);
	shown = at >= world->size		   ? 0
		: at + (off_t)length > world->size ? (size_t)(world->size - at)
						   : length;
	if (pread(own.direct, scratch, length, at) != (ssize_t)shown)
		give_up("direct read", at);
	compare("direct read", scratch, at, shown);
}

static void step_reopen(void)
{
	note("open again");
	switch (number_below(4)) {
	case 0:
		reopen(&own.reader, O_RDONLY);
		remap();
		break;
	case 1:
		reopen(&own.writer, O_RDWR);
		break;
	case 2:
		reopen(&own.appender, O_WRONLY | O_APPEND);
		break;
	default:
		if (own.direct >= 0)
			reopen(&own.direct, O_RDWR | O_DIRECT);
	}
}

/* Drops the page cache: of the file, or, where that may be, of everything. */
static void step_drop(void)
{
	int fd;

	note("drop the page cache");
	if (number_below(2))
		fsync(own.writer);
	posix_fadvise(own.reader, 0, 0, POSIX_FADV_DONTNEED);
	if (number_below(20) || !getenv("DROP_CACHES"))
		return;
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, number_below(2) ? "3" : "2", 1) < 0)
		note("cannot drop");
	if (fd >= 0)
		close(fd);
}

static void step_rename(void)
{
	if (world->is_unlinked)
		return;
	note("rename");
	if (rename(world->path[world->name], world->path[!world->name]) < 0)
		give_up("rename", 0);
	world->name = !world->name;
}

static void step_attributes(void)
{
	note("chmod, utimens");
	if (fchmod(own.reader, 0600 + number_below(2) * 044) < 0 || futimens(own.writer, NULL) < 0)
		give_up("attributes", 0);
}

static void (*const steps[])(void) = {step_read, step_read, step_read_map, step_read_map,
	step_write, step_write, step_append, step_write_map, step_write_map, step_write_private,
	step_truncate, step_open_truncating, step_fallocate, step_fallocate, step_copy, step_direct,
	step_direct, step_reopen, step_drop, step_rename, step_attributes};

/* --- processes --- */

static void check_all(void)
{
	size_t size = (size_t)world->size;

	note("compare all");
	check_size();
	if (pread(own.reader, scratch, SIZE_LIMIT, 0) != world->size)
		give_up("read of all", world->size);
	compare("read of all", scratch, 0, size);
	memcpy(scratch, own.map, size);
	compare("mapping of all", scratch, 0, size);
}

static int work(int number)
{
	char buf[64];

	own.number = number;
	own.writer = own.appender = -1;
	own.reader = open(world->path[0], O_RDONLY | O_CLOEXEC);
	remap();
	pthread_mutex_lock(&world->lock);
	/* Before anybody has written: what is mapped now is a lower's. */
	check_all();
	reopen(&own.writer, O_RDWR);
	reopen(&own.appender, O_WRONLY | O_APPEND);
	own.direct = open(path_of_file(buf), O_RDWR | O_DIRECT | O_CLOEXEC);
	while (!world->is_over && world->step < world->steps) {
		steps[number_below(sizeof(steps) / sizeof(steps[0]))]();
		check_size();
		if (world->step % 50 == 0)
			check_all();
		if (world->step++ == world->steps * 9 / 10) {
			note("unlink");
			if (unlink(world->path[world->name]) < 0)
				give_up("unlink", 0);
			world->is_unlinked = true;
		}
		/* The others' turn. */
		if (number_below(4) == 0) {
			pthread_mutex_unlock(&world->lock);
			sched_yield();
			pthread_mutex_lock(&world->lock);
		}
	}
	pthread_mutex_unlock(&world->lock);
	return 0;
}

static void read_image(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, world->image, SIZE_LIMIT);

	if (n < 0) {
		perror(path);
		exit(2);
	}
	world->size = n;
	close(fd);
	snprintf(world->path[0], sizeof(world->path[0]), "%s", path);
	snprintf(world->path[1], sizeof(world->path[1]), "%s.moved", path);
}

int main(int argc, char **argv)
{
	pthread_mutexattr_t attr;
	int processes = argc > 4 ? atoi(argv[4]) : 3, status, failed = 0;

	world = mmap(
		NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (argc < 2 || world == MAP_FAILED)
		return 2;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&world->lock, &attr);
	world->steps = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
	world->seed = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : (unsigned)getpid();
	printf("seed %u\n", world->seed);
	fflush(stdout);
	read_image(argv[1]);
	/* All open the file before any of them writes. */
	pthread_mutex_lock(&world->lock);
	for (int i = 0; i < processes; i++)
		if (fork() == 0)
			exit(work(i));
	usleep(100000);
	pthread_mutex_unlock(&world->lock);
	while (wait(&status) > 0)
		failed |= status;
	printf("%lu steps by %d processes\n", world->step, processes);
	return failed ? 1 : 0;
}
