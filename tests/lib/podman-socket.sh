# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # what engine.sh, podman.sh and runtime.sh set and use
# podman behind docker's API, with the wrapper as its runtime, as examples/gitlab-runner/config.toml has it: source it
# after podman.sh and runtime.sh, when the image is there.

# podman_service: $socket; the runtime has the name of the example's, and is a script, for conmon hands no variables on
podman_service() {
	wrapper_hooks
	mkdir -p bin no-hooks
	printf '#!/bin/sh\nGIT_OVERLAYFS_HOOKS_DIR=%s GIT_OVERLAYFS_RUNTIME=%s exec %s --cgroup-manager=disabled "$@"\n' \
		"$GIT_OVERLAYFS_HOOKS_DIR" "$(command -v crun)" "$wrapper" >bin/runtime
	chmod 755 bin/runtime
	# This machine may have no cgroups that it could give.
	sed "s|/usr/bin/git-overlayfs-runtime|$PWD/bin/runtime|; s|^runtime = .*|&\nruntime_supports_nocgroup = [\"git-overlayfs\"]|" \
		"$SOURCE_DIR/examples/gitlab-runner/containers.conf" >containers.conf
	printf '[containers]\ndefault_ulimits = []\ncgroups = "disabled"\n' >>containers.conf
	expect_equal "lines of the example that name the runtime" "$(grep -cE "^runtime_supports|^git-overlayfs = .*$PWD/bin/runtime" containers.conf)" 2
	podman_hooks_dir=$PWD/no-hooks
	socket=$podman_dir/tmp/podman.sock
	podman_run system service --time 0 "unix://$socket" >service.log 2>&1 &
	on_exit stop_service $!
	wait_for 20 test -S "$socket" || fail "podman system service: $(cat service.log)"
}

# stop_service PID: of the shell whose child it is
stop_service() {
	local child
	for child in $(pgrep -P "$1"); do kill "$child" || :; done
	wait "$1" 2>/dev/null || :
}

# api_job HOSTCONFIG VARIABLE...: the probe, in a container made by the API
api_job() {
	"$SOURCE_DIR/tests/lib/docker-api.py" "$socket" localhost/job:1 "$@" -- /probe.sh
}

# socket_jobs: what GitLab's docker executor asks for
socket_jobs() {
	local said before
	before=$(fingerprint repo.git)
	said=$(api_job '{}' "GIT_OVERLAYFS_MOUNT=$PWD/repo.git@main,target=/workspace") || fail "by a variable: $said $(cat hook.log service.log)"
	expect_equal "by a variable" "$said" "probe done"
	expect_no_workspaces "by a variable"
	if said=$(api_job '{}'); then fail "without a variable there is a workspace: $said"; fi
	expect_equal "the repository" "$(fingerprint repo.git)" "$before"
}
