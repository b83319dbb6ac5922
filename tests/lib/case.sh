# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the tests in tests/cases and tests/engines share. A test begins with:
#	#!/bin/bash
#	set -eu
#	. "$SOURCE_DIR/tests/lib/case.sh"
# tests/run gives it an empty working directory, a HOME, the run and state directories of
# git-overlayfs and a git identity of its own. At its end, however it comes, on_exit
# commands run in reverse order.

# The programs, uninstalled.
PATH=$BUILD_DIR/src/cli:$BUILD_DIR/hooks:$PATH:/usr/sbin:/sbin
# tests/run trap: a forbidden system call ends the daemon by SIGSYS, and with it the test.
if [ -n "${TEST_SECCOMP-}" ]; then PATH=$SOURCE_DIR/tests/lib/seccomp:$PATH; fi

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# skip REASON: the test could not run. Where the machine lacks something that tests/lib/features
# knows, take `need` instead, for CI lets no other skip pass.
skip() {
	echo "$*"
	exit 77
}

# need FEATURE WHY: skips where the machine lacks it.
need() {
	if ! "$SOURCE_DIR/tests/lib/features" "$1"; then skip "needs $1: $2"; fi
}

exit_commands=()
on_exit() {
	exit_commands+=("$(printf '%q ' "$@")")
}

run_exit_commands() {
	local status=$? i
	set +e
	for ((i = ${#exit_commands[@]} - 1; i >= 0; i--)); do eval "${exit_commands[i]}"; done
	exit "$status"
}
trap run_exit_commands EXIT
trap 'exit 143' TERM INT

# expect_equal WHAT GOT WANTED
expect_equal() {
	if [ "$2" != "$3" ]; then fail "$1: got '$2', wanted '$3'"; fi
}

# expect_failure STATUS PATTERN COMMAND...: it fails with that status and says one line that
# matches the extended regular expression.
expect_failure() {
	local wanted=$1 pattern=$2 status=0 text
	shift 2
	text=$("$@" 2>&1) || status=$?
	if [ "$status" != "$wanted" ]; then fail "'$*': exit $status, wanted $wanted: $text"; fi
	if ! grep -Eq -- "$pattern" <<<"$text"; then fail "'$*' said '$text', wanted /$pattern/"; fi
	if [ "$(wc -l <<<"$text")" != 1 ]; then fail "'$*' said more than one line: $text"; fi
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		if [ $SECONDS -ge $end ]; then return 1; fi
		sleep 0.05
	done
}

# repository_of TREE REPO [BRANCH]: a bare repository whose one commit holds the files of TREE.
repository_of() {
	git init -q --bare "$2"
	git --git-dir="$2" symbolic-ref HEAD "refs/heads/${3:-main}"
	git --git-dir="$2" --work-tree="$1" add -A -f
	git --git-dir="$2" --work-tree="$1" commit -q -m import
	rm "$2/index"
}

# checkout REPO DIR: the files of its branch main, with git's modes
checkout() {
	mkdir -p "$2"
	git --git-dir="$1" -c tar.umask=022 archive main | tar -x -p -C "$2"
}

# sample_tree DIR: one of everything that git can hold, gitlinks aside.
sample_tree() {
	mkdir -p "$1/data/deep/er" "$1/src"
	printf '#!/bin/sh\necho hello from git\n' >"$1/run.sh"
	chmod 755 "$1/run.sh"
	printf 'plain\n' >"$1/file.txt"
	: >"$1/empty"
	printf 'int x;\n' >"$1/src/x.c"
	printf 'row\n' >"$1/data/rows.csv"
	printf 'deep\n' >"$1/data/deep/er/file"
	ln -s file.txt "$1/link"
	ln -s nowhere/at/all "$1/dangling"
	printf 'odd\n' >"$1/"$'name with \t tab, \xff byte and space'
	head -c 300000 /dev/zero | tr '\0' 'z' >"$1/big"
}

# sample_repository REPO: bare, with sample_tree in its branch main.
sample_repository() {
	sample_tree sample-tree
	repository_of sample-tree "$1"
	rm -rf sample-tree
}

# mount_workspace [-o OPTIONS] SPEC DIR: unmounted at the end of the test.
mount_workspace() {
	local dir=${!#}
	mkdir -p "$dir"
	git-overlayfs mount "$@"
	on_exit unmount_quietly "$(realpath "$dir")"
}

unmount_quietly() {
	if mountpoint -q "$1"; then git-overlayfs umount "$1" || umount -l "$1"; fi
}

# unmount_workspace DIR
unmount_workspace() {
	git-overlayfs umount "$1"
	if mountpoint -q "$1"; then fail "$1 is still mounted"; fi
}

# listing DIR: type, mode, size of files, link target and name of all below it.
listing() {
	(cd "$1" && find . -mindepth 1 \( -type f -printf '%y %#m %s %P\n' -o -printf '%y %#m %l %P\n' \) | LC_ALL=C sort)
}

# contents DIR: the checksum of each regular file.
contents() {
	(cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum)
}

# expect_same_tree GOT WANTED: names, types, modes, sizes, link targets and contents
expect_same_tree() {
	local difference
	difference=$(diff <(listing "$2") <(listing "$1") | head -n 40)
	if [ -n "$difference" ]; then fail "$1 is not as $2:"$'\n'"$difference"; fi
	difference=$(diff <(contents "$2") <(contents "$1") | head -n 40)
	if [ -n "$difference" ]; then fail "the contents of $1 are not those of $2:"$'\n'"$difference"; fi
}

# fingerprint REPO: changes when any file of the repository changes, atime aside.
fingerprint() {
	(cd "$1" && find . -printf '%p %y %#m %U %G %s %T@\n' | LC_ALL=C sort && contents .) | sha256sum
}
