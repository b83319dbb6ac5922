# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154  # what engine.sh sets
# podman with a storage of its own below the test's directory: source it after engine.sh.

podman_user=
# podman wants a short path for its sockets.
podman_dir=$(mktemp -d /tmp/govl.XXXXXX)
on_exit rm -rf "$podman_dir"
chmod 755 "$podman_dir"

# podman_user: makes a user with subordinate ids, as which podman runs from here on
podman_user() {
	local name=govl$$
	useradd --uid "$TEST_UID" --key "UID_MAX=$TEST_UID" --no-log-init --no-create-home --home-dir "$PWD/home" --shell /bin/sh "$name"
	on_exit remove_user "$name"
	# Newer useradd gives subordinate ids by itself.
	if ! grep -q "^$name:" /etc/subuid; then usermod --add-subuids 400000-465535 --add-subgids 400000-465535 "$name"; fi
	mkdir -p home "$podman_dir/runtime"
	chown "$name:" home "$podman_dir/runtime"
	chmod 700 "$podman_dir/runtime"
	chmod 755 .
	podman_user=$name
	# Hooks are not told XDG_RUNTIME_DIR, and the user has not logged in. The guard removes the first.
	record_dirs=("/tmp/git-overlayfs-$TEST_UID" "$PWD/home/.local/state/git-overlayfs")
}

remove_user() {
	local pid
	# podman's pause process keeps the user namespace.
	for pid in $(pgrep -u "$1" || :); do kill "$pid" || :; done
	wait_for 5 no_process_of "$1" || :
	userdel "$1"
}

no_process_of() {
	! pgrep -u "$1" >/dev/null
}

# as_podman_user COMMAND...: as who podman runs, for at most so long
as_podman_user() {
	set -- env "CONTAINERS_CONF=$PWD/containers.conf" "$@"
	if [ -n "$podman_user" ]; then
		set -- setpriv --reuid "$podman_user" --regid "$podman_user" --init-groups \
			env -i "HOME=$PWD/home" "XDG_RUNTIME_DIR=$podman_dir/runtime" "PATH=$PATH" "${@:2}"
	fi
	timeout -k 5 100 "$SOURCE_DIR/tests/lib/cgroup2-view" "$@"
}

# podman_run ARG...: podman with its own storage
podman_run() {
	local words=(--root "$podman_dir/storage" --runroot "$podman_dir/run" --tmpdir "$podman_dir/tmp" --storage-driver vfs
		--cgroup-manager cgroupfs --events-backend none)
	if [ -n "${podman_hooks_dir:-}" ]; then words+=(--hooks-dir "$podman_hooks_dir"); fi
	as_podman_user podman "${words[@]}" "$@"
}

# buildah_run ARG...: buildah with podman's storage
buildah_run() {
	as_podman_user buildah --root "$podman_dir/storage" --runroot "$podman_dir/run" --storage-driver vfs "$@"
}

# podman_image: the image localhost/job:1, which runs the probe
podman_image() {
	printf '[containers]\ndefault_ulimits = []\n[engine]\nruntime = "crun"\n' >containers.conf
	make_rootfs rootfs
	write_probe rootfs/probe.sh 0:0
	tar --owner=0 --group=0 -C rootfs -cf rootfs.tar .
	rm -rf rootfs
	mkdir "$podman_dir"/{storage,run,tmp}
	if [ -n "$podman_user" ]; then chown "$podman_user:" "$podman_dir"/{storage,run,tmp}; fi
	on_exit remove_storage
	podman_run import -q rootfs.tar localhost/job:1 >/dev/null
}

# podman's pause process ends, so that the user namespace and its mounts do.
remove_storage() {
	podman_run system migrate >/dev/null 2>&1
	rm -rf "$podman_dir/storage"
}

# hooks_file FILE OPTION...: the hooks.d file that is installed, for the uninstalled hook
hooks_file() {
	local file=$1
	shift
	set -- "--program=$program" "--log=$PWD/hook.log" "$@"
	mkdir -p "${file%/*}"
	: >hook.log
	chmod 666 hook.log
	"$SOURCE_DIR/tests/lib/hooks-file.py" "$BUILD_DIR/hooks/50-git-overlayfs.json" "$file" "$hook" "$@"
	podman_hooks_dir=${file%/*}
}

# podman_hooks root|user: a hooks.d directory for annotations; root's needs a policy
podman_hooks() {
	local options=()
	if [ "$1" = root ]; then
		printf '{"allow":[{"repositories":["%s/*"],"targets":["/workspace"]}]}' "$PWD" >policy.json
		options=("--policy=$PWD/policy.json")
	fi
	hooks_file "$PWD/hooks.d/git-overlayfs.json" "${options[@]}"
}

# buildah_bud: what RUN sees of a workspace, and what of it the image has: an empty directory
buildah_bud() {
	local id options=(--isolation=oci --runtime crun --runtime-flag cgroup-manager=disabled --network=none)
	before=$(fingerprint repo.git)
	id=$(container_id)
	mkdir context
	printf 'FROM localhost/job:1\nRUN /probe.sh && cat /workspace/src/x.c >/built\nRUN cat /workspace/file.txt >>/built\n' \
		>context/Containerfile
	hooks_file "$PWD/build-hooks/git-overlayfs.json" "--mount=$PWD/repo.git@main,target=/workspace,id=$id"
	podman_hooks_dir=
	chmod -R go+rX context build-hooks
	buildah_run bud --hooks-dir "$PWD/build-hooks" "${options[@]}" --pull-never \
		-t localhost/built:1 context >build.log 2>&1 </dev/null || fail "buildah bud: $(cat build.log hook.log)"
	grep -q '^probe done' build.log || fail "$(cat build.log)"
	expect_clean "buildah bud" "$id"
	expect_image localhost/built:1 "buildah bud" $'int x;\nplain'
	expect_equal "the repository" "$(fingerprint repo.git)" "$before"
}

# expect_image IMAGE WHAT BUILT: its /built, and all that it has of the workspace, by a look at the files themselves
expect_image() {
	local got
	got=$(podman_run run --rm --network=none --cgroups=disabled "$1" /bin/sh -c \
		'cat /built; cd /workspace && ls -A; stat -c "%n %F" /workspace; grep -c git-overlayfs /proc/self/mounts' 2>&1 || :)
	expect_equal "the image of $2" "$got" "$3"$'\n/workspace directory\n0'
}

# podman_job OPTION...: a container with a workspace by annotation runs the probe to its end
podman_job() {
	local text status=0
	rm -f "$podman_dir/tmp/cid"
	# podman before 5.0 splits annotations at commas.
	text=$(podman_run run --rm --cidfile "$podman_dir/tmp/cid" --network=none --cgroups=disabled "$@" \
		--annotation "org.git-overlayfs.mount=$PWD/repo.git@main;target=/workspace" \
		localhost/job:1 /probe.sh 2>&1 </dev/null) || status=$?
	if [ "$status" != 0 ] || [ "${text##*$'\n'}" != "probe done" ]; then fail "podman run $*: exit $status: $text $(cat hook.log)"; fi
	expect_clean "podman run $*" "$(cat "$podman_dir/tmp/cid")"
}

# podman_data_path PATTERN OPTION...: how the data of files goes that a container writes in its workspace,
# as "PATH, N passed through, BYTES written by the daemon", matches
podman_data_path() {
	local wanted=$1 id said as=() stats=(env -u XDG_RUNTIME_DIR -u XDG_STATE_HOME)
	shift
	id=$(podman_run run --detach --network=none --cgroups=disabled "$@" \
		--annotation "org.git-overlayfs.mount=$PWD/repo.git@main;target=/workspace" localhost/job:1 \
		/bin/sh -c 'cd /workspace && echo new >new && echo more >>src/x.c && touch /tmp/done && sleep 100' 2>&1 </dev/null) ||
		fail "podman run $*: $id $(cat hook.log)"
	wait_for 10 podman_run exec "$id" test -e /tmp/done || fail "the container does not write"
	if [ -n "$podman_user" ]; then as=(setpriv --reuid "$podman_user" --regid "$podman_user" --init-groups); fi
	said=$("${stats[@]}" "GIT_OVERLAYFS_RUN_DIR=${record_dirs[0]}" "GIT_OVERLAYFS_STATE_DIR=${record_dirs[1]}" "${as[@]}" \
		"$program" stats --json "$id" | python3 -c '
import json, sys
s = json.load(sys.stdin)[0]
path, opens, written = s["data_path"], s["opens"]["passthrough"], s["written_bytes"]
print(f"{path}, {opens} passed through, {written} written by the daemon")')
	if [ -z "$podman_user" ]; then
		expect_equal "the owner of what was written" "$(stat -c %u:%g "${record_dirs[1]}/$id/upper/new")" "${owner_outside-0:0}"
	fi
	podman_run rm --force --time 0 "$id" >/dev/null
	expect_clean "podman run $*" "$id"
	grep -Eqx "$wanted" <<<"$said" || fail "how data goes with $*: $said, wanted $wanted"
}
