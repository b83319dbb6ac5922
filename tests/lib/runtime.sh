# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154  # what engine.sh sets
# The runtime wrapper, for engines that know no hooks: source it after engine.sh.

# shellcheck disable=SC2034  # for the tests
wrapper=$BUILD_DIR/hooks/git-overlayfs-runtime

# wrapper_hooks: the installed hooks.d files for the uninstalled hook, with a policy for ./repo.git
# on /workspace; from here on the wrapper reads them.
wrapper_hooks() {
	local name
	mkdir -p wrapper-hooks
	: >hook.log
	printf '{"allow":[{"repositories":["%s/repo.git"],"targets":["/workspace"]}]}' "$PWD" >policy.json
	for name in 50-git-overlayfs.json 50-git-overlayfs-poststop.json; do
		"$SOURCE_DIR/tests/lib/hooks-file.py" "$BUILD_DIR/hooks/$name" "wrapper-hooks/$name" "$hook" \
			"--program=$program" "--log=$PWD/hook.log" "--policy=$PWD/policy.json"
	done
	export GIT_OVERLAYFS_HOOKS_DIR=$PWD/wrapper-hooks
}

# engine_directory: a directory with a short path, for engines' sockets; $engine_dir
engine_directory() {
	engine_dir=$(mktemp -d /tmp/govl.XXXXXX)
	on_exit remove_engine_directory
	chmod 755 "$engine_dir"
}

remove_engine_directory() {
	local place
	# What an engine that was killed left mounted.
	awk -v dir="$engine_dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r place; do umount -l "$place"; done
	rm -rf --one-file-system "$engine_dir"
}

# stop_engine PID: ends what this test started, and waits for it
stop_engine() {
	kill "$1" 2>/dev/null || return 0
	if ! wait_for 20 is_gone "$1"; then kill -9 "$1"; fi
	wait "$1" 2>/dev/null || :
}

is_gone() {
	[ ! -e "/proc/$1" ] || [ "$(cut -d' ' -f3 <"/proc/$1/stat")" = Z ]
}

# engine_image_tar FILE: the root file system of the image job:1, which runs the probe
engine_image_tar() {
	make_rootfs rootfs
	write_probe rootfs/probe.sh 0:0
	tar --owner=0 --group=0 -C rootfs -cf "$1" .
	rm -rf rootfs
}

# workspaces: records and uppers of workspaces of ./repo.git, one a line
workspaces() {
	grep -rlsF --exclude=".events*" "$PWD/repo.git" "${record_dirs[@]}" || :
}

no_workspaces() {
	[ -z "$(workspaces)" ] && [ -z "$(daemons)" ] && ! grep -q " $PWD/.* fuse\.git-overlayfs" /proc/self/mounts
}

# expect_no_workspaces WHAT: within seconds no record, process or mount is left
expect_no_workspaces() {
	if wait_for 10 no_workspaces; then return 0; fi
	workspaces
	daemons
	fail "$1: this is left"
}
