# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Real containers, for tests/engines and the hook's cases: source it after case.sh.

need root "real containers are started with bare runtimes"
need fuse "workspaces are mounted in containers"

hook=$BUILD_DIR/hooks/git-overlayfs-hook
program=$BUILD_DIR/src/cli/git-overlayfs
userns_first=300000
# Where records and uppers are; the hook heeds no variables.
record_dirs=(/run/git-overlayfs /var/lib/git-overlayfs)

# json_list WORD...: a JSON list of strings
json_list() {
	python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@"
}

# open_fuse_device: everybody may open /dev/fuse until the end of the test, for engines
# that a plain user runs.
open_fuse_device() {
	local mode
	mode=$(stat -c %a /dev/fuse)
	if [ "$mode" = 666 ]; then return 0; fi
	on_exit chmod "$mode" /dev/fuse
	chmod 666 /dev/fuse
}

# make_rootfs DIR: busybox and, where the host has it, sqlite3 with its libraries
make_rootfs() {
	local command file
	mkdir -p "$1"/{bin,dev,proc,sys,tmp,etc,run}
	chmod 1777 "$1/tmp"
	cp "$(command -v busybox)" "$1/bin/busybox"
	for command in sh cat ls stat chmod chown mkdir rm mv grep id sleep true touch mount wc test; do
		ln -s busybox "$1/bin/$command"
	done
	touch "$1"/etc/{hosts,resolv.conf,hostname,passwd,group}
	if ! command -v sqlite3 >/dev/null; then return 0; fi
	cp "$(command -v sqlite3)" "$1/bin/sqlite3"
	for file in $(ldd "$(command -v sqlite3)" | grep -o '/[^ ]*'); do
		mkdir -p "$1${file%/*}"
		cp -L "$file" "$1$file"
	done
}

# copy_program DIR COMMAND: with its libraries
copy_program() {
	local file
	for file in "$(command -v "$2")" $(ldd "$(command -v "$2")" | grep -o '/[^ ]*'); do
		mkdir -p "$1${file%/*}"
		cp -L --remove-destination "$file" "$1$file"
	done
}

# write_probe FILE OWNER: a script that uses a workspace of that owner (or of $PROBE_OWNER in the
# container) on /workspace as a job would. It prints "probe done" at its end.
write_probe() {
	cat >"$1" <<-PROBE
		#!/bin/sh
		set -e
		export HOME=/tmp
		fail() { echo "probe: \$*"; exit 1; }
		equal() { [ "\$2" = "\$3" ] || fail "\$1: got '\$2', wanted '\$3'"; }
		cd /workspace
		equal "read" "\$(cat file.txt)" plain
		equal "owner" "\$(stat -c %u:%g src/x.c)" "\${PROBE_OWNER:-$2}"
		equal "mode" "\$(stat -c %a run.sh)" 755
		equal "script" "\$(./run.sh)" "hello from git"
		echo new >new.txt
		equal "write" "\$(cat new.txt)" new
		echo more >>data/deep/er/file
		equal "append" "\$(cat data/deep/er/file | wc -l)" 2
		equal "mode of the parent" "\$(stat -c %a data/deep/er)" 755
		echo 'echo again' >>run.sh
		equal "mode after copy-up" "\$(stat -c %a run.sh)" 755
		chmod 600 file.txt
		equal "chmod" "\$(stat -c %a file.txt)" 600
		if [ "\$(id -u)" = 0 ]; then
			chown 7:8 src/x.c
			equal "chown" "\$(stat -c %u:%g src/x.c)" 7:8
		fi
		rm big
		[ ! -e big ] || fail "big is still there"
		mkdir -p made/by/us
		mv new.txt made/by/us/
		if [ -e /bin/sqlite3 ]; then
			equal "WAL" "\$(sqlite3 data/db 'PRAGMA journal_mode=WAL')" wal
			equal "rows" "\$(sqlite3 data/db 'CREATE TABLE t(x); INSERT INTO t VALUES(1),(2);
				SELECT count(*) FROM t;')" 2
			equal "integrity" "\$(sqlite3 data/db 'PRAGMA integrity_check')" ok
		fi
		echo probe done
	PROBE
	chmod 755 "$1"
}

# daemons: the pids of supervisors and daemons of this build, one a line
daemons() {
	find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$program" 2>/dev/null | cut -d/ -f3
}

# is_clean ID: nothing is left of the container's workspaces
is_clean() {
	local left
	if grep -q " $PWD/.* fuse\.git-overlayfs" /proc/self/mounts || [ -n "$(daemons)" ]; then return 1; fi
	left=$(find "${record_dirs[@]}" -mindepth 1 -maxdepth 1 -name "$1*" 2>/dev/null || :)
	[ -z "$left" ]
}

# expect_clean WHAT ID: within seconds no mount, process, record or upper is left
expect_clean() {
	if wait_for 10 is_clean "$2"; then return 0; fi
	grep " $PWD/.* fuse\.git-overlayfs" /proc/self/mounts || :
	for pid in $(daemons); do
		tr '\0' ' ' <"/proc/$pid/cmdline"
		echo
	done
	find "${record_dirs[@]}" -mindepth 1 -maxdepth 1 -name "$2*" 2>/dev/null || :
	fail "$1: this is left"
}

# runtime NAME ARG...: a bare runtime with a root directory of its own. crun wants cgroup v2
# alone, and on a small machine may not raise the limit its device filter needs.
runtime() {
	local name=$1
	shift
	case $name in
	crun) timeout -k 5 60 "$SOURCE_DIR/tests/lib/cgroup2-view" crun --cgroup-manager=disabled --root "$PWD/state-crun" "$@" ;;
	*) timeout -k 5 60 "$name" --root "$PWD/state-$name" "$@" ;;
	esac
}

# container_id: one that no other test has
container_id() {
	echo "test-$$-$RANDOM"
}

# bundle [bundle.py's OPTION]... -- COMMAND...: in ./bundle, with the root file system ./rootfs
bundle() {
	"$SOURCE_DIR/tests/lib/bundle.py" bundle "$PWD/rootfs" "$@"
}

# hook_list OPTION...: the hook as bundle.py's --hook wants it
hook_list() {
	echo "createRuntime=$(json_list "$hook" --program="$program" "$@" createRuntime)"
}

poststop_list() {
	echo "poststop=$(json_list "$hook" poststop)"
}

# prepare_rootfs OWNER-OFFSET: ./rootfs with the probe, owned by the container's root
prepare_rootfs() {
	make_rootfs rootfs
	chmod 755 .
	if [ "$1" != 0 ]; then chown -R --no-dereference "$1:$1" rootfs; fi
}

# runtime_case RUNTIME [userns] [readonly]: a job in a workspace, by annotation and by --mount
runtime_case() {
	local name=$1 first=0 owner options=() before id
	shift
	for word; do
		case $word in
		userns)
			first=$userns_first
			options+=(--userns "$first")
			;;
		readonly) options+=(--readonly) ;;
		esac
	done
	sample_repository repo.git
	# Only the host's root may read it, whoever the container's root is.
	chmod -R go= repo.git
	before=$(fingerprint repo.git)
	prepare_rootfs "$first"
	write_probe rootfs/probe.sh 0:0
	id=$(container_id)
	bundle "${options[@]}" --hook "$(hook_list --mount="$PWD/repo.git@main,target=/workspace")" \
		--hook "$(poststop_list)" -- /probe.sh
	expect_job "$name" "$id" "a workspace by --mount"

	owner=1000:100
	write_probe rootfs/probe.sh "$owner"
	printf '{"allow":[{"repositories":["%s/*"],"targets":["/workspace"]}]}' "$PWD" >policy.json
	bundle "${options[@]}" --user "$owner" --hook "$(hook_list --policy="$PWD/policy.json")" \
		--annotation "org.git-overlayfs.mount=$PWD/repo.git@main,target=/workspace" -- /probe.sh
	expect_job "$name" "$id" "a workspace by annotation"
	expect_equal "the repository" "$(fingerprint repo.git)" "$before"
}

# expect_job RUNTIME ID WHAT: the container of ./bundle runs the probe to its end, nothing is left
expect_job() {
	local text status=0
	text=$(runtime "$1" run --bundle bundle "$2" 2>&1 </dev/null) || status=$?
	if [ "$status" != 0 ] || [ "${text##*$'\n'}" != "probe done" ]; then
		runtime "$1" delete --force "$2" 2>/dev/null || :
		fail "$3: exit $status: $text"
	fi
	expect_clean "$3" "$2"
}
