# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034  # `request` is for the tests
# Containers that the hook must refuse: source it after engine.sh.

# refused STATUS PATTERN [bundle.py's OPTION]...: the container of this bundle is not started, the
# hook says one line that matches, and leaves nothing
refused() {
	local status=$1 pattern=$2 text id
	shift 2
	id=$(container_id)
	rm -f hook.log
	bundle "$@" -- /bin/true
	if text=$(runtime runc run --bundle "$(bundle_of "$id")" "$id" 2>&1 </dev/null); then fail "$pattern: it was started"; fi
	grep -q "exit status $status," <<<"$text" || fail "$pattern: wanted exit status $status: $text"
	expect_equal "lines of the hook for $pattern" "$(wc -l <hook.log)" 1
	grep -Eq -- "$pattern" hook.log || fail "the hook said '$(cat hook.log)', wanted /$pattern/"
	expect_clean "$pattern" "$id"
	runtime runc delete --force "$id" 2>/dev/null || :
}

# bundle_of ID: where the bundle is; with of_containerd=1 it goes where containerd's plugin for Kubernetes has them, which is what
# the hook knows its containers by
bundle_of() {
	local place=$PWD/io.containerd.runtime.v2.task/k8s.io/$1
	if [ -z "${of_containerd:-}" ]; then
		echo bundle
		return
	fi
	mkdir -p "${place%/*}"
	mv bundle "$place"
	echo "$place"
}

# by_annotation OPTIONS: sets `request` to the options of bundle.py for a wish that the policy judges
by_annotation() {
	request=(--hook "$(hook_list --log="$PWD/hook.log" --policy="$PWD/policy.json")"
		--annotation "org.git-overlayfs.mount=$1")
}

# by_mount OPTIONS: the same for a trusted wish
by_mount() {
	request=(--hook "$(hook_list --log="$PWD/hook.log" --mount="$1")")
}
