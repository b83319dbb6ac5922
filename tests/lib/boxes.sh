# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154  # what engine.sh and podman.sh set
# Containers that people live in, with their home: source it after podman.sh.

# box_image COMMAND...: localhost/box:1, which has what distrobox and toolbox look for in an image; podman runs as a plain user with a
# configuration of its own, which names the hook. With the libraries of these commands.
box_image() {
	local command
	open_fuse_device
	podman_user
	make_rootfs rootfs
	for command in find wget less bc time lsof touch cut head tail tr env; do ln -sf busybox "rootfs/bin/$command"; done
	for command in bash capsh chpasswd diff findmnt getent groupadd mount passwd umount useradd usermod "$@"; do
		copy_program rootfs "$command"
	done
	for command in sudo pinentry curl; do
		printf '#!/bin/sh\n' >"rootfs/bin/$command"
		chmod 755 "rootfs/bin/$command"
	done
	ln -sf ../usr/bin/bash rootfs/bin/bash
	mkdir -p rootfs/etc/sudoers.d rootfs/root rootfs/home rootfs/var/log
	touch rootfs/etc/sudoers.d/sudoers
	echo 'root:*:19000:0:99999:7:::' >rootfs/etc/shadow
	echo root:x:0:0:root:/root:/bin/sh >rootfs/etc/passwd
	printf 'root:x:0:\nsudo:x:27:\n' >rootfs/etc/group
	echo 'ID=test' >rootfs/etc/os-release
	tar --owner=0 --group=0 -C rootfs -cf rootfs.tar .
	rm -rf rootfs
	hooks_file "$PWD/hooks.d/git-overlayfs.json"
	printf '[containers]\ndefault_ulimits = []\n[engine]\nruntime = "crun"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nhooks_dir = ["%s"]\n' \
		"$PWD/hooks.d" >containers.conf
	mkdir -p home/.config/containers
	printf '[storage]\ndriver = "vfs"\n' >home/.config/containers/storage.conf
	chown -R "$podman_user:" home
	on_exit as_user podman system migrate
	as_user podman import -q "$PWD/rootfs.tar" localhost/box:1 >/dev/null 2>&1
}

# as_user COMMAND...: in the user's home
as_user() {
	as_podman_user env -C "$PWD/home" "USER=$podman_user" SHELL=/bin/bash "PATH=$BUILD_DIR/src/cli:$PATH" "$@" </dev/null
}

# box_kill NAME: its processes; without cgroups podman cannot, and it has the host's pids
box_kill() {
	local pid
	pid=$(as_user podman inspect --format '{{.State.Pid}}' "$1" 2>/dev/null)
	# shellcheck disable=SC2046  # a list
	if [ "${pid:-0}" != 0 ]; then kill -KILL "$pid" $(pgrep -P "$pid"); fi
}

# box_ends NAME: it is killed, and podman knows
box_ends() {
	box_kill "$1"
	wait_for 10 box_is exited "$1" || fail "$1 is $(as_user podman inspect --format '{{.State.Status}}' "$1")"
}

box_is() { [ "$(as_user podman inspect --format '{{.State.Status}}' "$2")" = "$1" ]; }

# box_removed NAME: at the end of a test, wherever it has failed
box_removed() {
	box_kill "$1"
	as_user podman rm --force --ignore "$1" >/dev/null 2>&1
}
