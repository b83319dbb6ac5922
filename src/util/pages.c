/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/pages.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/lock.h"

static struct mutex maps_lock = {.native = PTHREAD_MUTEX_INITIALIZER};
static struct pages_map *maps guarded_by(maps_lock);

/* Code that the dynamic linker has written into is in no file. */
static bool has_written_code(const struct dl_phdr_info *info)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Dyn) * entry;

		if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
			continue;
		entry = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
		for (; entry->d_tag != DT_NULL; entry++)
			if (entry->d_tag == DT_TEXTREL ||
				(entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL)))
				return true;
	}
	return false;
}

/* A segment that was never writable is in memory as it is in the file. */
static int release_object(struct dl_phdr_info *info, size_t size, void *data)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	/* The kernel's own, which is no file. */
	if (info->dlpi_addr == getauxval(AT_SYSINFO_EHDR) || has_written_code(info))
		return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t begin = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t end = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

void pages_add_map(struct pages_map *map, void *start, size_t size)
{
	mutex_lock(&maps_lock);
	*map = (struct pages_map){.next = maps, .start = start, .size = size};
	maps = map;
	mutex_unlock(&maps_lock);
}

void pages_remove_map(struct pages_map *map)
{
	struct pages_map **p = &maps;

	mutex_lock(&maps_lock);
	while (*p != map)
		p = &(*p)->next;
	*p = map->next;
	mutex_unlock(&maps_lock);
}

/* --- what cannot be read --- */

static bool is_mapped(const void *at)
{
	const struct pages_map *map;

	mutex_lock(&maps_lock);
	for (map = maps; map; map = map->next)
		if (at >= map->start && at < (const void *)((const char *)map->start + map->size))
			break;
	mutex_unlock(&maps_lock);
	return map;
}

/*
 * The signal comes to the thread that reads, in the midst of that, and a reader of a map holds
 * no lock of this file: so it may be taken here. Anything else ends the process as ever.
 */
static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	int saved = errno;

	if (!is_mapped(info->si_addr) ||
		mmap((void *)((uintptr_t)info->si_addr & ~(page - 1)), page, PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		struct sigaction act = {.sa_handler = SIG_DFL};

		/* It comes again when we return. */
		sigaction(signal, &act, NULL);
	}
	errno = saved;
}

int pages_guard(void)
{
	struct sigaction act = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

	sigemptyset(&act.sa_mask);
	return sigaction(SIGBUS, &act, NULL) < 0 ? -errno : 0;
}

/* --- what need not be kept --- */

void pages_release(void)
{
	dl_iterate_phdr(release_object, NULL);
	mutex_lock(&maps_lock);
	for (const struct pages_map *map = maps; map; map = map->next)
		madvise(map->start, map->size, MADV_DONTNEED);
	mutex_unlock(&maps_lock);
}
