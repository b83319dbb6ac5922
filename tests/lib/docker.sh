# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154  # what runtime.sh sets
# dockerd by hand, with directories of its own: source it after runtime.sh.

engine_directory
docker_pid=
export DOCKER_HOST=unix://$engine_dir/d.sock DOCKER_CONFIG=$engine_dir/config

# docker_start FILE [OPTION]...: dockerd with the configuration FILE, whose wrapper is the uninstalled one
docker_start() {
	local file=$1
	shift
	sed "s|/usr/bin/git-overlayfs-runtime|$wrapper|" "$file" >daemon.json
	mkdir -p "$engine_dir/config"
	dockerd --host "$DOCKER_HOST" --data-root "$engine_dir/data" --exec-root "$engine_dir/exec" \
		--pidfile "$engine_dir/d.pid" --config-file "$PWD/daemon.json" --storage-driver vfs --iptables=false \
		--ip6tables=false --ip-forward=false --ip-masq=false --bridge=none "$@" >>dockerd.log 2>&1 </dev/null &
	docker_pid=$!
	if [ -z "${docker_started-}" ]; then on_exit docker_stop; fi
	docker_started=1
	wait_for 30 docker_answers || fail "dockerd does not start: $(tail -n 20 dockerd.log)"
}

docker_stop() {
	stop_engine "$docker_pid"
}

docker_answers() {
	docker version >/dev/null 2>&1
}

# docker ARG...: the client beside Debian's dockerd, for at most so long
docker() {
	timeout -k 5 100 /usr/bin/docker "$@" </dev/null
}

# docker_image: job:1, which runs the probe
docker_image() {
	if [ ! -e "$engine_dir/rootfs.tar" ]; then engine_image_tar "$engine_dir/rootfs.tar"; fi
	docker import "$engine_dir/rootfs.tar" job:1 >/dev/null
}

# docker_job WHAT [OPTION]...: a container of job:1 runs the probe in a workspace, and nothing is left
docker_job() {
	local what=$1 text status=0
	shift
	text=$(docker run --rm --network=none --runtime git-overlayfs \
		-e "GIT_OVERLAYFS_MOUNT=$PWD/repo.git@main,target=/workspace" "$@" job:1 /probe.sh 2>&1) || status=$?
	if [ "$status" != 0 ] || [ "${text##*$'\n'}" != "probe done" ]; then
		fail "$what: exit $status: $text $(cat hook.log)"
	fi
	expect_no_workspaces "$what"
}
