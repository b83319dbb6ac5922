# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154  # what engine.sh and podman.sh set
# podman as people run it: with the configuration of the system or of the user, and no --hooks-dir. Source it after
# podman.sh.

hooks_installed=$(sed -n 's/^#define HOOKS_DIR "\(.*\)"/\1/p' "$BUILD_DIR/build-config.h")

# configured_system: /etc/containers and the directory of the installed hooks are this test's, in its mount namespace.
# Before the first podman: the pause process of a plain user's keeps the mounts that it found.
configured_system() {
	local dir=$hooks_installed
	cp -a /etc/containers etc
	rm -rf etc/containers.conf.d
	mkdir -p other-hooks
	printf '[containers]\ndefault_ulimits = []\n[engine]\nruntime = "crun"\nhooks_dir = ["%s/other-hooks"]\n' "$PWD" >etc/containers.conf
	while [ ! -e "$dir" ]; do
		on_exit rmdir "$dir"
		dir=${dir%/*}
	done
	mkdir -p "$hooks_installed"
	mount --bind hooks.d "$hooks_installed"
	on_exit umount "$hooks_installed"
	mount --bind etc /etc/containers
	on_exit umount /etc/containers
}

# as_podman COMMAND...: as whom podman runs
as_podman() {
	local prefix=(timeout -k 5 100)
	if [ "$1" = podman ]; then prefix+=("$SOURCE_DIR/tests/lib/cgroup2-view"); fi
	if [ -n "$podman_user" ]; then
		"${prefix[@]}" setpriv --reuid "$podman_user" --regid "$podman_user" --init-groups env -i "HOME=$PWD/home" \
			"XDG_RUNTIME_DIR=$podman_dir/runtime" "PATH=$PATH" "$@"
	else
		"${prefix[@]}" env -u XDG_CONFIG_HOME "$@"
	fi
}

# configured_job: what a container with a workspace by annotation says
configured_job() {
	rm -f "$podman_dir/tmp/cid"
	as_podman podman --root "$podman_dir/storage" \
		--runroot "$podman_dir/run" --tmpdir "$podman_dir/tmp" --storage-driver vfs --cgroup-manager cgroupfs \
		--events-backend none run --rm --cidfile "$podman_dir/tmp/cid" --network=none --cgroups=disabled \
		--annotation "org.git-overlayfs.mount=$PWD/repo.git@main;target=/workspace" \
		localhost/job:1 /probe.sh 2>&1 </dev/null || :
}

# expect_configuring: the hook is found after `configure podman`, not before it, and no longer once that was taken back
expect_configuring() {
	local said
	said=$(configured_job)
	if [ "${said##*$'\n'}" = "probe done" ]; then fail "there is a workspace without being configured"; fi
	said=$(as_podman "$program" configure podman)
	grep -q '^created .*/containers.conf.d/90-git-overlayfs.conf' <<<"$said" || fail "configure says $said"
	grep -q '^check: podman --help passed' <<<"$said" || fail "configure says $said"
	said=$(configured_job)
	expect_equal "the last line" "${said##*$'\n'}" "probe done"
	expect_clean "podman run" "$(cat "$podman_dir/tmp/cid")"
	# An administrator's file of the same name masks ours: this one never matches.
	python3 -c 'import json, sys
said = json.load(open(sys.argv[1]))
said["when"] = {"annotations": {"^never$": "never"}}
json.dump(said, open(sys.argv[2], "w"))' hooks.d/git-overlayfs.json other-hooks/git-overlayfs.json
	said=$(configured_job)
	if [ "${said##*$'\n'}" = "probe done" ]; then fail "the installed file masks an administrator's"; fi
	rm other-hooks/git-overlayfs.json
	said=$(as_podman "$program" configure podman)
	grep -q '^nothing to do' <<<"$said" || fail "configure again says $said"
	as_podman "$program" configure podman --remove >/dev/null
	said=$(configured_job)
	if [ "${said##*$'\n'}" = "probe done" ]; then fail "there is a workspace after --remove"; fi
}
