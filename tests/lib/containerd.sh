# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154  # what runtime.sh sets
# containerd by hand, with directories of its own: source it after runtime.sh.

engine_directory
containerd_pid=

# containerd_start FILE: containerd with the configuration FILE, whose wrapper is the uninstalled one, and what else the
# machine and its lack of a network want
containerd_start() {
	sed "s|/usr/bin/git-overlayfs-runtime|$wrapper|; s|/etc/containerd/git-overlayfs.json|$PWD/base.json|" "$1" >config.toml
	cat >>config.toml <<-'END'
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "localhost/job:1"
		restrict_oom_score_adj = true
		disable_apparmor = true
		[plugins."io.containerd.grpc.v1.cri".containerd]
		snapshotter = "native"
	END
	containerd --config "$PWD/config.toml" --root "$engine_dir/root" --state "$engine_dir/state" \
		--address "$engine_dir/c.sock" >>containerd.log 2>&1 </dev/null &
	containerd_pid=$!
	on_exit containerd_stop
	wait_for 30 containerd_answers || fail "containerd does not start: $(tail -n 20 containerd.log)"
}

containerd_stop() {
	local id
	for id in $(containerd_ctr containers ls -q 2>/dev/null); do
		containerd_ctr tasks rm --force "$id" >/dev/null 2>&1
		containerd_ctr containers rm "$id" >/dev/null 2>&1
	done
	stop_engine "$containerd_pid"
}

containerd_answers() {
	containerd_ctr version >/dev/null 2>&1
}

# containerd_ctr ARG...: for at most so long
containerd_ctr() {
	timeout -k 5 100 ctr --address "$engine_dir/c.sock" "$@" </dev/null
}

# containerd_image: job:1, which runs the probe, as an archive that docker would save
containerd_image() {
	local digest
	mkdir archive
	engine_image_tar archive/layer.tar
	digest=$(sha256sum <archive/layer.tar | cut -d' ' -f1)
	printf '{"architecture":"%s","os":"linux","config":{"Cmd":["/bin/sleep","100000"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
		"$(containerd_architecture)" "$digest" >archive/config.json
	printf '[{"Config":"config.json","RepoTags":["localhost/job:1"],"Layers":["layer.tar"]}]' >archive/manifest.json
	tar -C archive -cf image.tar manifest.json config.json layer.tar
	rm -r archive
	containerd_ctr images import --snapshotter native image.tar >import.log 2>&1 || fail "$(cat import.log)"
	containerd_ctr --namespace k8s.io images import --snapshotter native image.tar >import.log 2>&1 || fail "$(cat import.log)"
}

containerd_architecture() {
	case $(uname -m) in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	*) uname -m ;;
	esac
}
