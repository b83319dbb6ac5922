# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The same work on a native directory and on a mount, at the same path, for tests/software: source it after case.sh.
#	place_native TREE; work; place_leave native
#	place_mount TREE; work; place_leave mount
#	expect_same_lines native.lines mount.lines
# The work is done in $place; TREE is what is there at first.

need root "mounts directly"
need fuse "mounts"

place=$PWD/place
software_cache=$BUILD_DIR/test-data/software
mkdir -p "$place" "$software_cache"

# place_native TREE: $place is a plain directory on the file system of the test
place_native() {
	cp -a "$1" native
	mount --bind native "$place"
	on_exit place_unmount
	place_started=$EPOCHREALTIME
}

# place_mount TREE [OPTION]...: the same tree as the lower directory of a mount
place_mount() {
	mkdir -p upper work
	chown --reference="$1" upper
	chmod --reference="$1" upper
	place_lower=$(realpath "$1")
	place_options=("${@:2}")
	place_mount_again
	place_started=$EPOCHREALTIME
}

# place_mount_again: after place_unmount, what was changed is still there
place_mount_again() {
	local options="layer=dir:$place_lower,upperdir=$PWD/upper,workdir=$PWD/work,suid,dev" word
	for word in "${place_options[@]}"; do options+=,$word; done
	git-overlayfs mount -o "$options" "$place"
	on_exit place_unmount
}

place_unmount() {
	if ! mountpoint -q "$place"; then return 0; fi
	if grep -q " $place fuse" /proc/self/mounts; then git-overlayfs umount "$place" || umount -l "$place"; else umount "$place"; fi
}

# place_leave NAME [OPTION]...: NAME.lines describes the tree, with tree-lines' options
place_leave() {
	local seconds
	seconds=$(bc <<<"scale=1; ($EPOCHREALTIME - $place_started) / 1")
	echo "$1: $seconds s"
	"$SOURCE_DIR/tests/lib/tree-lines" "${@:2}" "$place" >"$1.lines"
	if [ "$1" = mount ]; then
		place_unmount
		place_mount_again
		"$SOURCE_DIR/tests/lib/tree-lines" "${@:2}" "$place" >again.lines
		expect_same_lines again.lines mount.lines
	fi
	place_unmount
}

# expect_same_lines GOT WANTED
expect_same_lines() {
	local difference
	difference=$(diff "$2" "$1" | head -n 30) || :
	if [ -n "$difference" ]; then fail "$1 is not $2: $difference"; fi
	if [ -f "$2" ] && [ ! -s "$2" ]; then fail "$2 is empty: nothing was compared"; fi
}

# cached NAME COMMAND...: the path of a file or directory that COMMAND PATH makes once, kept in the build directory
cached() {
	local path=$software_cache/$1 making
	shift
	if [ ! -e "$path" ]; then
		making=$(mktemp -d -p "$software_cache")
		if ! "$@" "$making/it" >"$making.log" 2>&1; then
			tail -n 20 "$making.log" >&2
			rm -rf "$making" "$making.log"
			return 1
		fi
		mv -T "$making/it" "$path" && rmdir "$making" && rm -f "$making.log"
	fi
	echo "$path"
}
