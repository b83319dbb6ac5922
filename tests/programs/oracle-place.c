/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mount and the native copy, made and made anew. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("oracle: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(2);
}

void run_program(const char *const argv[])
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		die("%s %s ... failed", argv[0], argv[1]);
}

void remove_tree(const char *path)
{
	run_program((const char *const[]){"rm", "-rf", "--", path, NULL});
}

static void make_directory(const struct place *place, const char *name, mode_t mode)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", place->dir, name);
	if (mkdir(path, mode) < 0 || chmod(path, mode) < 0)
		die("%s: %m", path);
}

void place_init(struct place *place)
{
	snprintf(place->mount, sizeof(place->mount), "%s/mount", place->dir);
	snprintf(place->native, sizeof(place->native), "%s/native", place->dir);
	umask(0);
	make_directory(place, "mount", 0755);
	plant_layers(place);
}

/* An upper that is given keeps its own attributes, and they are the root's. */
static void adorn_root(const char *path)
{
	struct timespec times[2] = {{.tv_sec = 1234567890}, {.tv_sec = 1234567890}};

	if (chmod(path, 0777) < 0 || chown(path, 0, 2000) < 0 ||
		utimensat(AT_FDCWD, path, times, 0) < 0)
		die("%s: %m", path);
}

void place_fresh(struct place *place)
{
	char upper[400], work[400];

	place_unmount(place);
	snprintf(upper, sizeof(upper), "%s/upper", place->dir);
	snprintf(work, sizeof(work), "%s/work", place->dir);
	run_program((const char *const[]){"rm", "-rf", "--", upper, work, place->native, NULL});
	make_directory(place, "upper", 0777);
	make_directory(place, "work", 0755);
	make_directory(place, "native", 0777);
	plant_native(place, place->native);
	adorn_root(upper);
	adorn_root(place->native);
	place_mount(place);
}

static const char *layers_of(const struct place *place, char *text, size_t size)
{
	switch (place->layout) {
	case LAYOUT_GIT:
		snprintf(text, size, "layer=git:%s/base.git@main", place->dir);
		break;
	case LAYOUT_DIR:
		snprintf(text, size, "layer=dir:%s/base", place->dir);
		break;
	case LAYOUT_LAYERS:
		snprintf(text, size,
			"layer=dir:%s/top,layer=dir:%s/middle,layer=git:%s/base.git@main",
			place->dir, place->dir, place->dir);
		break;
	}
	return text;
}

void place_mount(struct place *place)
{
	char options[3000], layers[1000];

	snprintf(options, sizeof(options),
		"suid,dev,owner=1000:2000,%s,upperdir=%s/upper,workdir=%s/work%s%s",
		layers_of(place, layers, sizeof(layers)), place->dir, place->dir,
		*place->options ? "," : "", place->options);
	run_program((const char *const[]){
		"git-overlayfs", "mount", "-o", options, "none", place->mount, NULL});
	place->is_mounted = true;
}

void place_unmount(struct place *place)
{
	if (place->is_mounted)
		run_program((const char *const[]){"git-overlayfs", "umount", place->mount, NULL});
	place->is_mounted = false;
}

/* A remount in place makes the kernel drop every name of this one file system. */
void place_forget(struct place *place)
{
	struct statvfs st;
	unsigned long flags = MS_REMOUNT;

	if (statvfs(place->mount, &st) < 0)
		die("%s: %m", place->mount);
	flags |= st.f_flag & ST_NOSUID ? MS_NOSUID : 0;
	flags |= st.f_flag & ST_NODEV ? MS_NODEV : 0;
	flags |= st.f_flag & ST_RELATIME ? MS_RELATIME : 0;
	if (mount("none", place->mount, NULL, flags, NULL) < 0)
		die("remounting %s: %m", place->mount);
}

void place_remove(struct place *place)
{
	place_unmount(place);
	remove_tree(place->dir);
}
