# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A case once more as a user without rights, by way of fusermount3: source it after case.sh.

# as_plain_user: at the end of a case that runs as root; the case runs anew, with copies of what it uses, for sources and build may
# lie where only root can go. In there it does nothing, and without root the case was a plain user's already.
as_plain_user() {
	local home mode
	if [ "$(id -u)" != 0 ]; then return 0; fi
	if [ ! -u "$(command -v fusermount3 || echo /nonexistent)" ]; then fail "fusermount3 is not installed set-user-ID"; fi
	# udev makes the device so; this machine may have no udev.
	mode=$(stat -c %a /dev/fuse)
	on_exit chmod "$mode" /dev/fuse
	chmod 666 /dev/fuse
	home=$(mktemp -d /tmp/plain-user.XXXXXX)
	on_exit rm -rf "$home"
	mkdir -p "$home"/{cwd,home,run,state,source/tests,build/src/cli,build/hooks}
	cp -r "$SOURCE_DIR/docs" "$SOURCE_DIR/examples" "$home/source/"
	cp -r "$SOURCE_DIR/tests/lib" "$home/source/tests/"
	cp "$BUILD_DIR/src/cli/git-overlayfs" "$home/build/src/cli/"
	cp "$0" "$home/case"
	chown -R nobody:nogroup "$home"
	chmod -R u+rwX,go-w "$home"
	echo "as a plain user:"
	(cd "$home/cwd" && exec setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all env -u XDG_RUNTIME_DIR -u XDG_STATE_HOME \
		-u GIT_CONFIG_GLOBAL "HOME=$home/home" "GIT_OVERLAYFS_RUN_DIR=$home/run" "GIT_OVERLAYFS_STATE_DIR=$home/state" \
		"SOURCE_DIR=$home/source" "BUILD_DIR=$home/build" "TMPDIR=$home/cwd" bash "$home/case")
}
