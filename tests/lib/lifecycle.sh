# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154  # what engine.sh and podman.sh set
# The life of containers with workspaces under podman: source it after podman.sh, when the image and
# the hooks are there.

# podman_start OPTION... -- COMMAND...: sets id; the container runs detached, with a workspace, and sleeps after the command
podman_start() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	id=$(podman_run run --detach --network=none --cgroups=disabled "${options[@]}" \
		--annotation "org.git-overlayfs.mount=${wish:-$PWD/repo.git@main;target=/workspace}" localhost/job:1 \
		/bin/sh -c "$* && touch /tmp/done && exec sleep 1000" 2>start.log </dev/null) ||
		fail "podman run ${options[*]}: $(cat start.log hook.log)"
	wait_for 20 podman_run exec "$id" test -e /tmp/done || fail "'$*' did not come to its end: $(podman_run logs "$id" 2>&1)"
}

# in_container COMMAND: what it says there
in_container() {
	podman_run exec "$id" /bin/sh -c "$1" 2>&1
}

# how_many: the workspaces that have a record
how_many() {
	find "${record_dirs[0]}" -mindepth 1 -maxdepth 1 ! -name '.*' 2>/dev/null | wc -l
}

# A container that is killed takes its workspace along; one that is restarted gets another one, of the same commit.
killed_and_restarted() {
	podman_start -- 'cd /workspace && echo new >made && rm big'
	podman_run kill "$id" >/dev/null
	expect_clean "podman kill" "$id"
	# /tmp is the container's own, and is still there.
	podman_run start "$id" >/dev/null
	wait_for 20 podman_run exec "$id" test -e /workspace/made || fail "podman start after a kill: the command did not run again"
	podman_run restart --time 0 "$id" >/dev/null
	wait_for 20 podman_run exec "$id" test -e /workspace/made || fail "podman restart: the command did not run again"
	expect_equal "workspaces after a restart" "$(how_many)" 1
	podman_run stop --time 0 "$id" >/dev/null
	podman_run stop --time 0 "$id" >/dev/null || fail "a container that was stopped cannot be stopped again"
	expect_clean "podman stop" "$id"
	podman_run rm "$id" >/dev/null
}

has_run_twice() {
	[ "$(in_container 'wc -l </tmp/found')" = 2 ]
}

# The command of these tells on /tmp, which outlives the workspace, what it found in its workspace.
uppers_at_restart() {
	local mark='echo x >>/workspace/mark; wc -l </workspace/mark >>/tmp/found'
	podman_start -- "$mark"
	podman_run restart --time 0 "$id" >/dev/null
	wait_for 20 has_run_twice || fail "podman restart: the command did not run again"
	expect_equal "a new upper at each start" "$(in_container 'cat /tmp/found' | xargs)" "1 1"
	podman_run rm --force --time 0 "$id" >/dev/null
	expect_clean "podman rm --force" "$id"
	wish="$PWD/repo.git@main;target=/workspace;upperdir=$PWD/changes/upper;workdir=$PWD/changes/work" podman_start -- "$mark"
	podman_run restart --time 0 "$id" >/dev/null
	wait_for 20 has_run_twice || fail "podman restart: the command did not run again"
	expect_equal "the kept upper at each start" "$(in_container 'cat /tmp/found' | xargs)" "1 2"
	podman_run rm --force --time 0 "$id" >/dev/null
	expect_clean "podman rm --force" "$id"
	expect_equal "the kept upper" "$(wc -l <changes/upper/mark)" 2
}

# checkpoint REASON: podman makes none of a container with a workspace, says why, and touches neither. Where it has a runtime
# and a CRIU that can, it is CRIU that refuses: tests/engines/runc-checkpoint.
checkpoint() {
	local before
	podman_start -- 'echo new >/workspace/made'
	before="$(podman_run inspect --format '{{.State.Status}} {{.State.Pid}}' "$id") $(daemons | xargs)"
	if podman_run container checkpoint "$id" >checkpoint.log 2>&1 </dev/null; then fail "a checkpoint was made: $(cat checkpoint.log)"; fi
	grep -Eq "^Error: .*($1)" checkpoint.log || fail "podman refuses a checkpoint for another reason: $(cat checkpoint.log)"
	expect_equal "the container, its supervisor and daemon after it" \
		"$(podman_run inspect --format '{{.State.Status}} {{.State.Pid}}' "$id") $(daemons | xargs)" "$before"
	expect_equal "the workspace after it" "$(in_container 'cd /workspace && cat file.txt made && echo again >after')" $'plain\nnew'
	podman_run rm --force --time 0 "$id" >/dev/null
	expect_clean "a checkpoint" "$id"
}

# A container that goes by itself, detached; and two in a pod, each with a workspace of its own.
removed_by_itself() {
	podman_start --rm -- 'echo new >/workspace/made'
	podman_run kill "$id" >/dev/null
	expect_clean "podman run --rm --detach" "$id"
	wait_for 20 is_gone "$id" || fail "the container is still there"
}

is_gone() {
	! podman_run container exists "$1"
}

# pod OPTION...: of pod create
pod() {
	local first
	podman_run pod create "$@" --name pod >/dev/null
	podman_start --pod pod -- 'echo one >/workspace/made'
	first=$id
	podman_start --pod pod -- 'test ! -e /workspace/made && echo two >/workspace/made'
	expect_equal "workspaces in a pod" "$(how_many)" 2
	expect_equal "the workspaces" "$(in_container 'cat /workspace/made'; id=$first in_container 'cat /workspace/made')" $'two\none'
	podman_run pod rm --force --time 0 pod >/dev/null
	expect_clean "a pod" "$first"
	expect_clean "a pod" "$id"
}

# A pod whose containers have namespaces in common: one name is one container's, however often the pod is restarted.
names_in_pod() {
	local wish="$PWD/repo.git@main;target=/workspace;id=ws" first
	podman_run pod create --network=none --name pod >/dev/null
	podman_start --pod pod -- 'echo one >/workspace/made'
	first=$id
	# It goes at once: it would be started with the pod, and might be the first.
	if podman_run run --rm --pod pod --network=none --cgroups=disabled --annotation "org.git-overlayfs.mount=$wish" \
		localhost/job:1 /bin/true >start.log 2>&1 </dev/null; then fail "two containers of a pod have a workspace called ws"; fi
	grep -q "id=ws is a workspace of container $first of the same pod" hook.log || fail "$(cat start.log hook.log)"
	wish="$PWD/repo.git@main;target=/workspace;id=other" podman_start --pod pod -- true
	podman_run pod restart pod >/dev/null || fail "podman pod restart: $(cat hook.log)"
	wait_for 20 is_made "$first" || fail "podman pod restart: the command did not run again"
	expect_equal "workspaces after podman pod restart" "$(how_many)" 2
	podman_run pod rm --force --time 0 pod >/dev/null
	expect_clean "a pod with names" "$first"
	expect_clean "a pod with names" "$id"
}

# Namespaces make the pod, not the engine's word: a shared network does not, and one ipc namespace does without a pod.
names_without_pod() {
	local wish="$PWD/repo.git@main;target=/workspace;id=ws" first
	podman_run pod create --share net --network=none --name pod >/dev/null
	podman_start --pod pod -- 'echo one >/workspace/made'
	first=$id
	podman_start --pod pod -- 'test ! -e /workspace/made'
	expect_equal "workspaces called ws in a pod that shares a network" \
		"$(find "${record_dirs[0]}" -mindepth 1 -maxdepth 1 -name '*:ws' | wc -l)" 2
	podman_run pod rm --force --time 0 pod >/dev/null
	expect_clean "a pod that shares a network" "$first"
	expect_clean "a pod that shares a network" "$id"
	podman_start --ipc=shareable -- true
	if podman_run run --rm --ipc="ns:/proc/$(podman_run inspect --format '{{.State.Pid}}' "$id")/ns/ipc" --network=none --cgroups=disabled \
		--annotation "org.git-overlayfs.mount=$wish" localhost/job:1 /bin/true >start.log 2>&1 </dev/null; then fail "two of an ipc namespace"; fi
	grep -q "id=ws is a workspace of container $id of the same pod" hook.log || fail "$(cat start.log hook.log)"
	podman_run rm --force --time 0 "$id" >/dev/null
	expect_clean "two of an ipc namespace" "$id"
}

is_made() {
	podman_run exec "$1" test -e /workspace/made
}
